"""Joint: entities from raw text, related by the context that both attend to, with trained evidence."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from .candidates import Entities, Spans, entity_pairs, mention_pairs
from .configuration_joint import JointConfig
from .encoder import DocumentEncoder
from .encoder_attention import AttendedEncoder
from .layers import ConcatLinear, TwoLayer, binary_loss, class_loss, evidence_loss
from .modeling_docre import DocREOutput, DocREPreTrainedModel
from .segments import at_least_float32, positions_in_segments, range_max, segment_max, segment_mean
from .stage_coreference import CoreferenceScorer, resolve_mentions
from .stage_localized_context import AttendedText
from .stage_mention_attention import attend_from_spans, pool_subwords, weigh_mention_pairs
from .stage_mentions import MentionClassifier, pool_entities, select_mentions
from .stage_pairs import GroupedBilinear, PairClassifier, PairScores, threshold_losses


class Related(NamedTuple):
    """Entities as stage (d) sees them, their types [entities] int64, and the pairs [pairs, 2] int64 to score."""

    entities: Entities
    types: Tensor
    pairs: Tensor


class Attended(NamedTuple):
    """What mentions [mentions, heads, longest document] and entities [entities, heads, ...] attend to."""

    mentions: Tensor
    entities: Tensor


class JointModel(DocREPreTrainedModel):
    """Joint extraction of entities and relations with an adaptive threshold, trained evidence and incomplete labels.

    One encoder pass serves five stages. As in JEREX, (a) spans are scored as mentions, (b) mention pairs as coreferent,
    (c) entities as types. As in ATLOP, but without markers, (d) entity pairs are scored by both entities and the
    context that both attend to; they also see the types. (e) Where that context lies is trained to be the evidence.
    In training each stage sees the gold result of the stage before, and stage (d) all ordered pairs; otherwise each
    stage sees the decisions of those before. What a caller gives (`entities`, `entity_types`, spans that are all
    mentions) is not decided.

    Stages (a) to (c) are from Eberts and Ulges (EACL 2021); the localized context, the bilinear layer and the adaptive
    threshold from Zhou et al. (AAAI 2021); the evidence loss from Ma, Wang and Okazaki (EACL 2023). What differs: a
    mention's attention is the mean over its subwords; labels that may be missing are masked or count less; a teacher's
    scores are learned beside the labels.
    """

    config_class = JointConfig
    title = "Joint"
    citation = """
@misc{modeling-docre,
  title = {modeling_docre: document-level relation extraction for the Hugging Face Hub},
  author = {The authors of modeling_docre},
  note = {joint}
}"""
    training_defaults: ClassVar[dict[str, Any]] = {
        "learning_rate": 1e-4,
        "head_learning_rate": 4e-4,
        "negatives_relation": -1,
        "signature_min": 2,
    }

    def __init__(self, config: JointConfig):
        super().__init__(config)
        self.require_labels("entity_types", "relation_types")
        width, size = config.encoder_config.hidden_size, config.pair_width
        self.encoder = self.new_encoder(AttendedEncoder if config.attended_context else DocumentEncoder)
        self.mention_classifier = MentionClassifier(width, config.meta_size, config.size_rows, config.dropout)
        self.coreference_scorer = CoreferenceScorer(width, config.meta_size, config.edit_distance_rows, config.dropout)
        self.entity_dropout = nn.Dropout(config.dropout)
        self.entity_classifier = TwoLayer([width], width, len(config.entity_types), config.dropout)
        self.type_embedding = (
            nn.Embedding(len(config.entity_types), config.meta_size) if config.type_embedding else None
        )
        parts = [width + config.type_embedding * config.meta_size, *[width] * config.attended_context]
        self.head_extractor, self.tail_extractor = ConcatLinear(parts, size), ConcatLinear(parts, size)
        self.bilinear = GroupedBilinear(size, config.pair_groups, 1 + len(config.relation_types))
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        document_lengths: Tensor,
        spans: dict[str, Tensor],
        special_lengths: Tensor | None = None,
        subword_sentences: Tensor | None = None,
        span_texts: list[str] | None = None,
        span_labels: Tensor | None = None,
        coreference: dict[str, Tensor] | None = None,
        entities: dict[str, Tensor] | None = None,
        entity_types: Tensor | None = None,
        relations: dict[str, Tensor] | None = None,
        related_types: Tensor | None = None,
    ) -> DocREOutput:
        """Run the stages on what is given and on their own decisions for the rest; all lists are flat over the batch.

        Args:
            input_ids: [subwords] int64, the documents end to end.
            document_lengths: [documents] int64, subwords per document, start and end tokens included.
            spans: the fields of `Spans`; candidates, sampled spans or given mentions.
            special_lengths: [2] int64, start and end tokens of each document; None for a tokenizer that has neither.
            subword_sentences: [subwords] int64, the sentence of each subword, -1 outside of sentences.
            span_texts: one string per span, compared by coreference when it has to list the mention pairs itself.
            span_labels: [spans] 1 for mentions; absent, the model decides.
            coreference: `pairs` [pairs, 2] span indices, `distances` [pairs], `labels` [pairs]: training samples.
            entities: the fields of `Entities`; absent, the model decides.
            entity_types: [entities] int64; absent, the model decides.
            relations: `pairs` [pairs, 2] entity indices to score and, in training, `labels` [pairs, types] with what
                else the collator knows of them; absent, all ordered pairs are scored.
            related_types: [entity types, entity types] bool, which types of head and tail can be related at all; where
                the model lists the pairs, it does not score those of other types. None for all.

        Returns:
            Logits and decisions of the stages, with what carried the relations, and the losses of those with labels.
        """
        listed = Spans(**spans)
        hidden, attention = self.encoder(input_ids, document_lengths, special_lengths)
        vectors = range_max(hidden, listed.subword_range)  # [spans, hidden]
        result: dict[str, Any] = {"mention_logits": self.mention_classifier(vectors, listed.sizes)}  # (a)
        losses: dict[str, Tensor] = {}
        if span_labels is not None:
            losses["mention"] = binary_loss(result["mention_logits"], span_labels)

        if coreference is not None:  # (b) sampled pairs
            logits = self.coreference_scorer(vectors, coreference["pairs"], coreference["distances"])
            result["coreference_logits"] = logits
            losses["coreference"] = binary_loss(logits, coreference["labels"])
        if entities is not None:
            clusters = Entities(**entities)
        else:  # (b) all pairs of the mentions found
            result["mentions"] = self._find_mentions(result["mention_logits"], span_labels)
            resolved, clusters = resolve_mentions(
                self.coreference_scorer, vectors, listed, span_texts or [], result["mentions"], self.config
            )
            result |= resolved
        result |= {"entity_members": clusters.members, "entity_sizes": clusters.sizes}
        result["entity_documents"] = clusters.document

        type_logits = self.entity_classifier(self.entity_dropout(pool_entities(vectors, clusters)))  # (c)
        result["entity_type_logits"] = type_logits
        if entity_types is not None:
            losses["entity"] = class_loss(type_logits, entity_types)
        else:
            entity_types = type_logits.argmax(1)

        related = _related_entities(clusters, entity_types, relations, related_types)  # (d)
        attended = self._attend(attention, listed, related.entities)
        text = attended and AttendedText(
            hidden, attended.entities, document_lengths, related.entities.document, subword_sentences
        )
        scores = self._score_pairs(self._entity_vectors(hidden, vectors, listed, related), related.pairs, text)
        result |= {"pairs": related.pairs, "relation_logits": self._relation_logits(scores)}
        if relations is not None and "labels" in relations:
            losses |= self._relation_losses(scores, relations)
            if text is not None and "evidence_pairs" in relations:  # (e)
                losses["evidence"] = _evidence_loss(scores, relations, text)
        elif attended is not None:
            result |= self._explain(scores, attended, related)
        return DocREOutput(**self.weigh(losses), entity_types=entity_types, **result)

    def _find_mentions(self, logits: Tensor, labels: Tensor | None) -> Tensor:
        """Span indices of the given mentions, else of those that reach the threshold."""
        return select_mentions(logits, self.config.mention_threshold) if labels is None else labels.nonzero().squeeze(1)

    def _attend(self, attention: Any, spans: Spans, entities: Entities) -> Attended | None:
        """What entities attend to: the mean over their mentions of the mean over the mention's subwords."""
        if attention is None:
            return None
        mentions = attend_from_spans(attention, spans.take(entities.members))
        return Attended(mentions, segment_mean(mentions, entities.owners, len(entities.sizes)))

    def _entity_vectors(self, hidden: Tensor, vectors: Tensor, spans: Spans, related: Related) -> Tensor:
        """What a pair sees of an entity: its pooled mentions and its type, [entities, hidden + meta size]."""
        if self.config.mention_pool != "max":
            vectors = pool_subwords(hidden, spans, self.config.mention_pool)
        pooled = pool_entities(at_least_float32(vectors), related.entities, self.config.entity_pool).to(hidden.dtype)
        return pooled if self.type_embedding is None else torch.cat([pooled, self.type_embedding(related.types)], dim=1)

    def _score_pairs(self, entity_vectors: Tensor, pairs: Tensor, text: AttendedText | None) -> PairScores:
        classifier = PairClassifier(self.head_extractor, self.tail_extractor, self.bilinear)
        if text is None:
            return classifier.score(entity_vectors, pairs)
        return classifier.score_in_context(entity_vectors, pairs, text)

    def _relation_logits(self, scores: PairScores) -> Tensor:
        """[pairs, types]; with an adaptive threshold what they exceed it by."""
        types = scores.logits[:, 1:]
        return types - scores.logits[:, :1] if self.config.loss == "at" else types

    def _relation_losses(self, scores: PairScores, relations: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses of labels and of a teacher's scores."""
        if self.config.loss == "at":
            return threshold_losses(scores.logits, relations, self.config.unlabelled_weight)
        return {"relation": binary_loss(scores.logits[:, 1:], relations["labels"])}

    def _explain(self, scores: PairScores, attended: Attended, related: Related) -> dict[str, Tensor]:
        """The sentences and the mention pairs that carried each pair."""
        entities, pairs = related.entities, related.pairs
        listed = mention_pairs(entities, pairs)
        result = {
            "mention_pair_owner": listed.owner,
            "mention_pair_head": listed.head_mention,
            "mention_pair_tail": listed.tail_mention,
            "mention_pair_weight": weigh_mention_pairs(attended.mentions, entities, listed, pairs),
        }
        evidence = scores.evidence(self.evidence_share)
        return result if evidence is None else result | {f"evidence_{k}": v for k, v in evidence._asdict().items()}


def _related_entities(
    clusters: Entities, types: Tensor, relations: dict[str, Tensor] | None, related_types: Tensor | None
) -> Related:
    """What is related: given pairs, perhaps of damaged entities, else all pairs but those of types never related."""
    if relations is None:
        pairs = entity_pairs(clusters.document)
        if related_types is not None:
            head, tail = types[pairs].unbind(1)
            pairs = pairs[related_types[head, tail]]
        return Related(clusters, types, pairs)
    if "members" in relations:
        damaged = Entities(relations["members"], relations["sizes"], relations["document"])
        return Related(damaged, relations["types"], relations["pairs"])
    return Related(clusters, types, relations["pairs"])


def _evidence_loss(scores: PairScores, relations: dict[str, Tensor], text: AttendedText) -> Tensor:
    """How far the context of the pairs with evidence lies on other sentences; zero where there are no pairs."""
    if scores.sentence_weights is None or scores.unordered is None:
        return scores.logits.sum() * 0.0
    assert text.sentences is not None
    documents = positions_in_segments(text.document_lengths)[0]  # [subwords]
    counts = segment_max(text.sentences[:, None] + 1, documents, len(text.document_lengths)).squeeze(1)
    return evidence_loss(
        scores.sentence_weights[scores.unordered],
        counts[text.documents[relations["pairs"][:, 0]]],
        relations["evidence_pairs"],
        relations["evidence_sentences"],
        relations["evidence_shares"],
    )
