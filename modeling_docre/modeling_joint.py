"""Joint: entities from raw text, related by the context that both attend to, with trained evidence."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .candidates import Entities, MentionPairs, Text, entity_pairs, mention_pairs
from .configuration_joint import JointConfig
from .encoder import DocumentEncoder
from .encoder_attention import AttendedEncoder
from .layers import ConcatLinear, TwoLayer, binary_loss, threshold_losses
from .modeling_end_to_end import Encoding, EndToEndModel, Resolved
from .segments import (
    at_least_float32,
    positions_in_segments,
    range_max,
    range_mean,
    segment_max,
    segment_mean,
    segment_starts,
    segment_sum,
)
from .stage_entities import CoreferenceScorer, MentionClassifier
from .stage_localized_context import AttendedText, attend_from
from .stage_pairs import GroupedBilinear, PairClassifier, PairScores


class JointModel(EndToEndModel):
    """Joint extraction of entities and relations with an adaptive threshold, trained evidence and incomplete labels.

    One encoder pass serves five stages. As in JEREX, (a) spans are scored as mentions, (b) mention pairs as coreferent,
    (c) entities as types. As in ATLOP, but without markers, (d) entity pairs are scored by both entities and the
    context that both attend to, and may see the types. (e) Where that context lies is trained to be the evidence.
    In training stage (d) sees all ordered pairs.

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

    def encode(self, text: Text, mentions: Tensor | None) -> Encoding:
        """Hidden states and what is attended to; all stages share their span vectors."""
        hidden, attention = self.encoder(text.input_ids, text.document_lengths, text.special_lengths)
        vectors = range_max(hidden, text.spans.subword_range)  # [spans, hidden]
        return Encoding(text, hidden, dict.fromkeys(self.config.traits.stages, vectors), attention)

    def relate(
        self, encoding: Encoding, found: Resolved, relations: dict[str, Tensor] | None, allowed_types: Tensor | None
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Logits of entity pairs with what carried them; with labels the losses of these and of the evidence."""
        assert found.types is not None
        text = encoding.text
        entities, types, pairs = _related(found.entities, found.types, relations, allowed_types)
        attending = attended = None
        if encoding.attention is not None:
            attending = attend_from(encoding.attention, text.spans.take(entities.members).subword_range)
            of_entities = segment_mean(attending, entities.owners, len(entities.sizes))
            attended = AttendedText(
                encoding.hidden, of_entities, text.document_lengths, entities.document, text.sentences
            )
        # The threshold class is always allowed.
        typed = None if allowed_types is None else (types, pad(allowed_types, (1, 0), value=True))
        classifier = PairClassifier(self.head_extractor, self.tail_extractor, self.bilinear, typed)
        scores = classifier.score(self._entity_vectors(encoding, entities, types), pairs, attended)
        threshold = scores.logits[:, :1] if self.config.loss == "at" else 0.0
        result = {"pairs": pairs, "relation_logits": scores.logits[:, 1:] - threshold}
        losses: dict[str, Tensor] = {}
        if relations is not None and "labels" in relations:
            if self.config.loss == "at":
                losses = threshold_losses(scores.logits, relations, self.config.unlabelled_weight)
            else:
                losses = {"relation": binary_loss(scores.logits[:, 1:], relations["labels"])}
            if attended is not None and "evidence_pairs" in relations:  # (e)
                losses["evidence"] = _evidence_loss(scores, relations, attended)
        elif attending is not None:
            result |= self._explain(scores, attending, entities, pairs)
        return result, losses

    def _entity_vectors(self, encoding: Encoding, entities: Entities, types: Tensor) -> Tensor:
        """What a pair sees of an entity: its pooled mentions and its type, [entities, hidden + meta size]."""
        hidden, ranges, vectors = encoding.hidden, encoding.text.spans.subword_range, encoding.vectors["relation"]
        if self.config.mention_pool != "max":
            vectors = range_mean(hidden, ranges) if self.config.mention_pool == "mean" else hidden[ranges[:, 0]]
        pooled = entities.pool(at_least_float32(vectors), self.config.entity_pool).to(hidden.dtype)
        return pooled if self.type_embedding is None else torch.cat([pooled, self.type_embedding(types)], dim=1)

    def _explain(self, scores: PairScores, attending: Tensor, entities: Entities, pairs: Tensor) -> dict[str, Tensor]:
        """The sentences and the mention pairs that carried each pair, by what mentions attend to."""
        listed = mention_pairs(entities, pairs)
        return {
            "mention_pair_owner": listed.owner,
            "mention_pair_head": listed.head_mention,
            "mention_pair_tail": listed.tail_mention,
            "mention_pair_weight": weigh_mention_pairs(attending, entities, listed, pairs),
            **scores.evidence(self.evidence_share),
        }


def _related(
    entities: Entities, types: Tensor, relations: dict[str, Tensor] | None, allowed_types: Tensor | None
) -> tuple[Entities, Tensor, Tensor]:
    """The entities that are related, their types [entities] int64, and their pairs [pairs, 2] int64.

    The pairs are given, perhaps those of damaged entities, else all but those of types that are never related.
    """
    if relations is None:
        pairs = entity_pairs(entities.document)
        if allowed_types is not None:
            pairs = pairs[allowed_types.any(2)[types[pairs].unbind(1)]]
        return entities, types, pairs
    if "members" in relations:
        entities = Entities(relations["members"], relations["sizes"], relations["document"])
        types = relations["types"]
    return entities, types, relations["pairs"]


def weigh_mention_pairs(attention: Tensor, entities: Entities, listed: MentionPairs, pairs: Tensor) -> Tensor:
    """How far each mention pair shapes the context of its entity pair, [mention pairs]; the weights of a pair sum to 1.

    An entity's attention is the mean of its mentions', so the unnormalised context of a pair is the mean over its
    mention pairs of the products of both mentions' attention, and a mention pair's part in it is the sum of its own.

    Args:
        attention: [mentions, heads, longest document], in the order of the entities' members.
        entities: the batch's entities.
        listed: the mention pairs of `pairs`.
        pairs: [pairs, 2] int64 entity indices.
    """
    if len(listed.owner) == 0:
        return attention.new_zeros(0)
    document = entities.document[entities.owners]  # [mentions], ascending
    counts = torch.bincount(document)
    products = [rows.flatten(1) @ rows.flatten(1).T for rows in attention.split(counts.tolist())]
    table = torch.cat([product.flatten() for product in products])  # those of all pairs of mentions of a document
    first, corner = segment_starts(counts), segment_starts(counts**2)
    member = segment_starts(entities.sizes)
    head, tail = member[pairs[listed.owner]].unbind(1)
    head, tail = head + listed.head_mention, tail + listed.tail_mention
    here = document[head]
    weights = table[corner[here] + (head - first[here]) * counts[here] + tail - first[here]]
    total = segment_sum(weights, listed.owner, len(pairs))
    return weights / total[listed.owner].clamp(min=torch.finfo(weights.dtype).tiny)


def _evidence_loss(scores: PairScores, relations: dict[str, Tensor], text: AttendedText) -> Tensor:
    """How far the context of the pairs with evidence lies on other sentences; zero where there are no pairs."""
    if scores.sentence_weights is None:
        return scores.logits.sum() * 0.0
    assert text.sentences is not None
    documents = positions_in_segments(text.document_lengths)[0]  # [subwords]
    counts = segment_max(text.sentences[:, None] + 1, documents, len(text.document_lengths)).squeeze(1)
    of_pairs = counts[text.documents[relations["pairs"][:, 0]]]  # [pairs]
    items = (relations[f"evidence_{name}"] for name in ("pairs", "sentences", "shares"))
    return evidence_loss(scores.sentence_weights, of_pairs, *items)


def evidence_loss(weights: Tensor, sentence_counts: Tensor, pairs: Tensor, sentences: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy of where a pair's context lies, against its evidence sentences (Ma, Wang and Okazaki, EACL 2023).

    With `p_i = (w_i + 1e-6) / sum over the document's sentences j of (w_j + 1e-6)` it is the mean over the pairs with
    evidence of `-sum of v_i log p_i`.

    Args:
        weights: [pairs, longest list of sentences], float, w: how much of each pair's context lies on each sentence.
        sentence_counts: [pairs], int64, sentences of each pair's document.
        pairs, sentences: [items], int64, the pairs with evidence, ascending, and their sentences.
        shares: [items], float, v, which sums to 1 over the items of a pair.

    Returns:
        A scalar; zero (with a gradient of zero) without evidence.
    """
    small = 1e-6
    total = weights.float().sum(1) + small * sentence_counts
    log_p = (weights[pairs, sentences].float() + small).log() - total[pairs].log()  # [items]
    return -(shares * log_p).sum() / max(len(pairs.unique_consecutive()), 1)
