"""JEREX: an end-to-end model for entity-level relation extraction using multi-instance learning."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .candidates import Entities, Spans, entity_pairs
from .configuration_jerex import JerexConfig
from .layers import TwoLayer, binary_loss, class_loss
from .modeling_docre import DocREOutput, DocREPreTrainedModel
from .segments import range_max
from .stage_coreference import CoreferenceScorer, resolve_mentions
from .stage_mentions import MentionClassifier, pool_entities, select_mentions
from .stage_relations import GlobalRelationClassifier, MultiInstanceRelationClassifier, PairSizes, Scene


class JerexModel(DocREPreTrainedModel):
    """Joint entity and relation extraction on documents (Eberts and Ulges, EACL 2021).

    One encoder pass serves four stages: (a) spans are scored as mentions, (b) mention pairs as coreferent, (c) entities
    as types, (d) entity pairs as relations, either by a global classifier or by a multi-instance classifier over
    mention pairs. In training each stage sees the gold result of the stage before; otherwise it sees its own
    decisions. What a caller gives (`entities`, `entity_types`, spans that are all mentions) is not decided again,
    which is how single stages are evaluated and how relations between known entities are extracted.

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

    def forward(
        self,
        input_ids: Tensor,
        document_lengths: Tensor,
        spans: dict[str, Tensor],
        span_texts: list[str] | None = None,
        span_labels: Tensor | None = None,
        coreference: dict[str, Tensor] | None = None,
        entities: dict[str, Tensor] | None = None,
        entity_types: Tensor | None = None,
        relations: dict[str, Tensor] | None = None,
    ) -> DocREOutput:
        """Run the stages on what is given and on their own decisions for the rest; all lists are flat over the batch.

        Args:
            input_ids: [subwords] int64, the documents end to end.
            document_lengths: [documents] int64, subwords per document.
            spans: the fields of `Spans`; candidates, sampled spans or given mentions.
            span_texts: one string per span, compared by coreference when it has to list the mention pairs itself.
            span_labels: [spans] 1 for mentions; absent, the model decides.
            coreference: `pairs` [pairs, 2] span indices, `distances` [pairs], `labels` [pairs]: training samples.
            entities: the fields of `Entities`; absent, the model decides.
            entity_types: [entities] int64; absent, the model decides.
            relations: `pairs` [pairs, 2] entity indices to classify and, for training samples, their `labels` [pairs,
                types]; absent, all ordered pairs are classified.

        Returns:
            Logits and decisions of the stages, and the losses of those with labels.
        """
        listed = Spans(**spans)
        known = torch.ones_like(listed.document) if entities is not None and span_labels is None else span_labels
        hidden, vectors = self._encode(input_ids, document_lengths, listed, known)
        result: dict[str, Any] = {}
        losses: dict[str, Tensor] = {}

        if self.mention_classifier is not None:  # (a) mention localization
            result["mention_logits"] = self.mention_classifier(vectors["mention"], listed.sizes)
            if span_labels is not None:
                losses["mention"] = binary_loss(result["mention_logits"], span_labels)

        if self.coreference_scorer is not None and coreference is not None:  # (b) coreference, sampled pairs
            logits = self.coreference_scorer(vectors["coreference"], coreference["pairs"], coreference["distances"])
            result["coreference_logits"] = logits
            losses["coreference"] = binary_loss(logits, coreference["labels"])
        if entities is not None:
            clusters = Entities(**entities)
        else:  # (b) coreference, all pairs of the mentions found
            result["mentions"] = self._find_mentions(result.get("mention_logits"), span_labels)
            if self.coreference_scorer is None:
                return DocREOutput(**self.weigh(losses), **result)
            scorer, of_spans = self.coreference_scorer, vectors["coreference"]
            resolved, clusters = resolve_mentions(
                scorer, of_spans, listed, span_texts or [], result["mentions"], self.config
            )
            result |= resolved
        result |= {"entity_members": clusters.members, "entity_sizes": clusters.sizes}
        result["entity_documents"] = clusters.document

        if self.entity_classifier is not None:  # (c) entity classification
            entity_vectors = self.entity_dropout(pool_entities(vectors["entity"], clusters))  # [entities, hidden]
            result["entity_type_logits"] = self.entity_classifier(entity_vectors)
            if entity_types is not None:
                losses["entity"] = class_loss(result["entity_type_logits"], entity_types)
            else:
                entity_types = result["entity_type_logits"].argmax(1)

        if self.relation_classifier is not None:  # (d) relation classification
            if vectors["relation"] is not vectors["entity"] or self.entity_classifier is None:
                entity_vectors = self.entity_dropout(pool_entities(vectors["relation"], clusters))
            pairs = entity_pairs(clusters.document) if relations is None else relations["pairs"]
            scene = Scene(
                hidden["relation"], listed, vectors["relation"], clusters, entity_vectors, entity_types, pairs
            )
            result |= self._relate(scene)
            if relations is not None and "labels" in relations:
                losses["relation"] = binary_loss(result["relation_logits"], relations["labels"])
        return DocREOutput(**self.weigh(losses), entity_types=entity_types, **result)

    def _encode(
        self, input_ids: Tensor, document_lengths: Tensor, spans: Spans, mentions: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Hidden states and span vectors by stage; the stages of a joint model share theirs.

        Which spans are `mentions` [spans], where that is known, is for models whose vectors depend on it.
        """
        hidden = [encoder(input_ids, document_lengths).hidden for encoder in self.encoders]  # [subwords, hidden] each
        vectors = [range_max(states, spans.subword_range) for states in hidden]  # [spans, hidden] each
        shared = len(self.encoders) == 1
        index = {stage: 0 if shared else number for number, stage in enumerate(self.config.traits.stages)}
        index = {stage: index.get(stage, 0) for stage in ("mention", "coreference", "entity", "relation")}
        return (
            {stage: hidden[number] for stage, number in index.items()},
            {stage: vectors[number] for stage, number in index.items()},
        )

    def _find_mentions(self, logits: Tensor | None, labels: Tensor | None) -> Tensor:
        """Span indices of the given mentions, else of those that reach the threshold."""
        if labels is not None:
            return labels.nonzero().squeeze(1)
        if logits is None:
            raise ValueError(f'a model with task="{self.config.task}" finds no mentions; give it entities or mentions')
        return select_mentions(logits, self.config.mention_threshold)

    def _relate(self, scene: Scene) -> dict[str, Tensor]:
        """Logits of the scene's entity pairs, and the mention pairs that carried them."""
        if scene.entity_types is None:
            raise ValueError(f'a model with task="{self.config.task}" finds no entity types; give it typed entities')
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
