"""JEREX: an end-to-end model for entity-level relation extraction using multi-instance learning."""

from __future__ import annotations

from itertools import cycle
from typing import Any

from torch import Tensor, nn

from .candidates import Text, entity_pairs
from .configuration_jerex import JerexConfig
from .layers import TwoLayer, binary_loss
from .modeling_end_to_end import Encoding, EndToEndModel, Resolved
from .segments import range_max
from .stage_entities import CoreferenceScorer, MentionClassifier
from .stage_relations import GlobalRelationClassifier, MultiInstanceRelationClassifier, PairSizes, Scene


class JerexModel(EndToEndModel):
    """Joint entity and relation extraction on documents (Eberts and Ulges, EACL 2021).

    One encoder pass serves four stages: (a) spans are scored as mentions, (b) mention pairs as coreferent, (c) entities
    as types, (d) entity pairs as relations, either by a global classifier or by a multi-instance classifier over
    mention pairs. What a caller gives is not decided again: so single stages are evaluated, and relations between
    known entities extracted.

    Deviations from the paper's release, all of them options or exact rewrites:

    - Spans, contexts and pairs are computed by range maxima and shared projections, equal to the dense formulation.
    - Documents beyond the encoder's positions are encoded in overlapping windows (`long_input="windows"`); the
      release enlarges the position table (`"extend"`), whose new rows start at N(0, 0.02), not N(0, 1).
    - Mention strings are the document's words in training and inference; the release decodes subwords at inference
      (`edit_distance_text="decoded"`).
    - Sizes and distances beyond their table share its last row; the release fails on them.
    - Given mentions alone (`task="coreference"`) are taken once each in the order of candidates; the release keeps the
      order of the file and mentions that it names twice, so which of two is the earlier one can differ.
    - With `task="pipeline"` the four separately trained models are four encoders in one checkpoint. They share no
      parameter, so training them side by side is training them apart, but for the gradient clipping, whose norm
      runs over all of them.
    """

    config_class = JerexConfig
    title = "JEREX"
    citation = """
@inproceedings{eberts-ulges-2021-end,
  title = {An End-to-end Model for Entity-level Relation Extraction using Multi-instance Learning},
  author = {Eberts, Markus and Ulges, Adrian},
  booktitle = {Proceedings of the 16th Conference of the European Chapter of the ACL},
  year = {2021},
  url = {https://aclanthology.org/2021.eacl-main.319/}
}"""

    def __init__(self, config: JerexConfig):
        super().__init__(config)
        width, stages = config.encoder_config.hidden_size, config.traits.stages
        if {"entity", "relation"} & set(stages):
            self.require_labels("entity_types")
        if "relation" in stages:
            self.require_labels("relation_types")
        self.encoders = nn.ModuleList(self.new_encoder() for _ in (stages if config.task == "pipeline" else stages[:1]))
        absent: Any = None
        self.mention_classifier = self.coreference_scorer = absent
        self.entity_classifier = self.relation_classifier = absent
        if "mention" in stages:
            self.mention_classifier = MentionClassifier(width, config.meta_size, config.size_rows, config.dropout)
        if "coreference" in stages:
            self.coreference_scorer = CoreferenceScorer(
                width, config.meta_size, config.edit_distance_rows, config.dropout
            )
        self.entity_dropout = nn.Dropout(config.dropout)
        if "entity" in stages:
            self.entity_classifier = self.new_entity_classifier()
        if "relation" in stages:
            self.relation_classifier = self.new_relation_classifier()
        self.post_init()

    def new_entity_classifier(self) -> nn.Module:
        """A classifier of entity vectors, with random weights (section 3.3); there is no class for "none"."""
        width = self.config.encoder_config.hidden_size
        return TwoLayer([width], width, len(self.config.entity_types), self.config.dropout)

    def pair_sizes(self) -> PairSizes:
        """The sizes of the classifier of entity pairs."""
        config = self.config
        types = len(config.entity_types), len(config.relation_types)
        return PairSizes(config.encoder_config.hidden_size, *types, config.meta_size, config.dropout)

    def new_relation_classifier(self) -> nn.Module:
        """A classifier of entity pairs, with random weights."""
        config = self.config
        if config.relation_head == "global":
            return GlobalRelationClassifier(self.pair_sizes())
        return MultiInstanceRelationClassifier(
            self.pair_sizes(),
            config.word_distance_rows,
            config.sentence_distance_rows,
            config.entity_repr,
            config.localized_context,
            config.pairing,
        )

    def encode(self, text: Text, mentions: Tensor | None) -> Encoding:
        """Hidden states and span vectors; the stages of a joint model share theirs."""
        hidden = [encoder(text.input_ids, text.document_lengths).hidden for encoder in self.encoders]
        vectors = [range_max(states, text.spans.subword_range) for states in hidden]  # [spans, hidden] each
        return Encoding(text, hidden[-1], dict(zip(self.config.traits.stages, cycle(vectors), strict=False)))

    def relate(
        self, encoding: Encoding, found: Resolved, relations: dict[str, Tensor] | None, allowed_types: Tensor | None
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Logits of entity pairs with the mention pairs that carried them, and the loss of those with labels."""
        if found.types is None:
            raise ValueError(f'a model with task="{self.config.task}" finds no entity types; give it typed entities')
        entities, vectors, entity_vectors = found.entities, encoding.vectors["relation"], found.vectors
        if entity_vectors is None or vectors is not encoding.vectors["entity"]:
            entity_vectors = self.entity_dropout(entities.pool(vectors))
        pairs = entity_pairs(entities.document) if relations is None else relations["pairs"]
        result = self._relate(
            Scene(encoding.hidden, encoding.text.spans, vectors, entities, entity_vectors, found.types, pairs)
        )
        if relations is None or "labels" not in relations:
            return result, {}
        return result, {"relation": binary_loss(result["relation_logits"], relations["labels"])}

    def _relate(self, scene: Scene) -> dict[str, Tensor]:
        """Logits of the scene's entity pairs, and the mention pairs that carried them."""
        logits, weights = self.relation_classifier(scene)
        result = {"pairs": scene.pairs, "relation_logits": logits}
        if weights is None:
            return result
        return result | {
            "mention_pair_owner": weights.pairs.owner,
            "mention_pair_head": weights.pairs.head_mention,
            "mention_pair_tail": weights.pairs.tail_mention,
            "mention_pair_weight": weights.weight,
        }
