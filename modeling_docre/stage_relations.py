"""Stage (d) of JEREX: relations between entities, by entity pair (global) or by mention pairs (multi-instance)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .candidates import Entities, MentionPairs, Spans, mention_pairs
from .layers import ClampedEmbedding, ConcatLinear, TwoLayer, gather_sum
from .segments import chunk_bounds, in_chunks, range_max, segment_max, segment_starts, segment_sum, unique_rows

# Mention pairs (and entity pairs) classified at once at inference: bounds the memory of very long documents.
PAIR_CHUNK = 65_536


class Scene(NamedTuple):
    """What a relation classifier sees of a batch.

    `hidden` [subwords, hidden]; `spans` and their vectors `span_vectors` [spans, hidden]; `entities`, their vectors
    `entity_vectors` [entities, hidden] and types `entity_types` [entities] int64; `pairs` [pairs, 2] int64 entity
    indices. `type_vectors` [entity types, type size] is for classifiers without a table of types of their own.
    """

    hidden: Tensor
    spans: Spans
    span_vectors: Tensor
    entities: Entities
    entity_vectors: Tensor
    entity_types: Tensor
    pairs: Tensor
    type_vectors: Any = None


class Contexts(NamedTuple):
    """What lies between two mentions: the subwords strictly between them, and their distances.

    `subword_range` [pairs, 2] is empty (end <= start) for adjacent, overlapping and nested mentions;
    `word_distance` [pairs] is 1 for adjacent mentions and 0 for overlapping ones; `sentence_distance` [pairs].
    """

    subword_range: Tensor
    word_distance: Tensor
    sentence_distance: Tensor

    def take(self, index: Tensor) -> Contexts:
        """The contexts at `index`."""
        return Contexts(*(values[index] for values in self))


class MentionPairWeights(NamedTuple):
    """Which mention pairs carried the entity pairs' vectors.

    `pairs` are the mention pairs, `weight` [mention pairs] the part of the vector's elements that each of them won in
    the maximum over its entity pair's mention pairs; those of an entity pair sum to 1.
    """

    pairs: MentionPairs
    weight: Tensor


class PairSizes(NamedTuple):
    """The sizes of a classifier of entity pairs.

    `hidden` is the width of span and entity vectors, `meta` that of embeddings; `entity_types` and `relation_types` are
    numbers of types, `dropout` is a probability. `type_size` is the width of the scene's `type_vectors`, for a
    classifier without a table of types of its own.
    """

    hidden: int
    entity_types: int
    relation_types: int
    meta: int
    dropout: float
    type_size: int | None = None

    def type_table(self) -> nn.Embedding | None:
        """The classifier's own table of entity types."""
        return nn.Embedding(self.entity_types, self.meta) if self.type_size is None else None

    def classifier(self, vectors: int) -> TwoLayer:
        """The network that reads so many vectors of an entity pair and the types of both entities."""
        types = self.type_size or self.meta
        return TwoLayer([*[self.hidden] * vectors, types, types], self.hidden, self.relation_types, self.dropout)


def _type_vectors(table: nn.Module | None, scene: Scene) -> Tensor:
    """One vector per entity for its type: a row of the classifier's own table, else of the scene's."""
    return scene.type_vectors[scene.entity_types] if table is None else table(scene.entity_types)


class GlobalRelationClassifier(nn.Module):
    """Classifies ordered entity pairs from both entities' vectors and types (JEREX section 3.4, GRC)."""

    def __init__(self, sizes: PairSizes):
        super().__init__()
        self.type_embedding = sizes.type_table()
        self.classifier = sizes.classifier(vectors=2)

    def forward(self, scene: Scene) -> tuple[Tensor, None]:
        """Logits [pairs, relation types]; nothing to point at as evidence."""
        types = _type_vectors(self.type_embedding, scene)  # [entities, meta or type size]

        def classify(rows: slice) -> Tensor:
            head, tail = scene.pairs[rows].unbind(1)
            vectors = scene.entity_vectors
            return self.classifier((vectors, head), (vectors, tail), (types, head), (types, tail))

        return in_chunks(classify, len(scene.pairs), PAIR_CHUNK), None


class MultiInstanceRelationClassifier(nn.Module):
    """Classifies ordered entity pairs through all their mention pairs, max-pooled (JEREX section 3.4, MRC).

    A mention pair is represented by the context between the mentions, both mention vectors, both entity vectors and
    the distances in words and sentences.

    Args:
        sizes: widths and numbers of types; its dropout is applied to mention-pair vectors, too.
        word_distance_rows, sentence_distance_rows: rows of the distance embeddings.
        entity_repr: whether a mention pair sees the entities' vectors.
        localized_context: whether a mention pair sees the context between the mentions.
        pairing: `"all"` mention pairs or `"intra_sentence_or_closest"`.
    """

    def __init__(
        self,
        sizes: PairSizes,
        word_distance_rows: int,
        sentence_distance_rows: int,
        entity_repr: bool = True,
        localized_context: bool = True,
        pairing: str = "all",
    ):
        super().__init__()
        self.entity_repr, self.localized_context, self.pairing = entity_repr, localized_context, pairing
        self.word_distance_embedding = ClampedEmbedding(word_distance_rows, sizes.meta)
        self.sentence_distance_embedding = ClampedEmbedding(sentence_distance_rows, sizes.meta)
        self.type_embedding = sizes.type_table()
        vectors = 2 + 2 * entity_repr + localized_context
        self.mention_pair = ConcatLinear([*[sizes.hidden] * vectors, sizes.meta, sizes.meta], sizes.hidden)
        self.dropout = nn.Dropout(sizes.dropout)
        self.classifier = sizes.classifier(vectors=1)

    def forward(self, scene: Scene) -> tuple[Tensor, MentionPairWeights]:
        """Logits [pairs, relation types], and the mention pairs with their weights in the pair vectors."""
        head, tail = scene.pairs.unbind(1)
        counts = scene.entities.sizes[head] * scene.entities.sizes[tail]
        runs = [self._classify(scene, slice(*bounds)) for bounds in chunk_bounds(counts, PAIR_CHUNK)]
        runs = runs or [self._classify(scene, slice(0, 0))]
        logits, weights = zip(*runs, strict=True)
        pairs = MentionPairs(*(torch.cat(values) for values in zip(*(item.pairs for item in weights), strict=True)))
        return torch.cat(logits), MentionPairWeights(pairs, torch.cat([item.weight for item in weights]))

    def _classify(self, scene: Scene, rows: slice) -> tuple[Tensor, MentionPairWeights]:
        """Logits of a run of entity pairs, and what carried them."""
        pairs = scene.pairs[rows]
        candidates, context = self._pair_mentions(scene, pairs)
        vectors = self._mention_pair_vectors(scene, pairs, candidates, context)  # [mention pairs, hidden]
        pair_vectors = segment_max(vectors, candidates.owner, len(pairs))  # [pairs, hidden]
        types = _type_vectors(self.type_embedding, scene)  # [entities, meta or type size]
        logits = self.classifier(pair_vectors, (types, pairs[:, 0]), (types, pairs[:, 1]))
        won = (vectors.detach() == pair_vectors.detach().index_select(0, candidates.owner)).sum(1).float()
        weight = won / segment_sum(won, candidates.owner, len(pairs))[candidates.owner]
        return logits, MentionPairWeights(candidates._replace(owner=candidates.owner + rows.start), weight)

    def _pair_mentions(self, scene: Scene, pairs: Tensor) -> tuple[MentionPairs, Contexts]:
        """The mention pairs of a run of entity pairs, with what lies between the mentions."""
        candidates = mention_pairs(scene.entities, pairs)
        context = contexts(scene.spans, candidates.head, candidates.tail)
        if self.pairing == "all":
            return candidates, context
        kept = intra_sentence_or_closest(candidates, context, len(pairs))
        return candidates.take(kept), context.take(kept)

    def _mention_pair_vectors(self, scene: Scene, pairs: Tensor, candidates: MentionPairs, context: Contexts) -> Tensor:
        """One vector per mention pair; a single linear layer, without an activation.

        What a mention adds to its many pairs is summed once, and so is what lies between two mentions: both directions
        share it, and all pairs of neighbouring mentions.
        """
        words, word_rows = self.word_distance_embedding.part(context.word_distance)
        sentences, sentence_rows = self.sentence_distance_embedding.part(context.sentence_distance)
        distances = word_rows * len(sentences) + sentence_rows
        gaps, gap_index = unique_rows(torch.cat([context.subword_range, distances[:, None]], dim=1))

        mentions = scene.span_vectors[scene.entities.members]  # [mentions, hidden]: the other spans are not projected
        parts = [mentions, mentions, *[scene.entity_vectors] * (2 * self.entity_repr)]
        if self.localized_context:
            parts.append(range_max(scene.hidden, gaps[:, :2]))
        heads, tails, *tables = self.mention_pair.tables(*parts, words, sentences)
        if self.entity_repr:
            (of_heads, of_tails, *tables), owners = tables, scene.entities.owners
            heads, tails = heads + of_heads[owners], tails + of_tails[owners]  # [mentions, hidden] each
        *between, words, sentences = tables
        distance_rows = (words, gaps[:, 2] // len(sentences)), (sentences, gaps[:, 2] % len(sentences))
        gap_vectors = gather_sum(*distance_rows, *((table, None) for table in between))  # [gaps, hidden]

        starts, (head, tail) = segment_starts(scene.entities.sizes), pairs[candidates.owner].unbind(1)
        head_rows, tail_rows = starts[head] + candidates.head_mention, starts[tail] + candidates.tail_mention
        return self.dropout(gather_sum((heads, head_rows), (tails, tail_rows), (gap_vectors, gap_index)))


def contexts(spans: Spans, head: Tensor, tail: Tensor) -> Contexts:
    """Context range and distances of mention pairs, the same for both orders (JEREX section 3.4).

    Args:
        spans: the batch's spans.
        head, tail: [pairs], int64 span indices.
    """
    start, end = spans.word_range.unbind(1)
    distance = torch.maximum(start[head], start[tail]) - (torch.minimum(end[head], end[tail]) - 1)
    sentences = (spans.sentence[head] - spans.sentence[tail]).abs()
    return Contexts(spans.between(head, tail), distance.clamp(min=0), sentences)


def intra_sentence_or_closest(candidates: MentionPairs, context: Contexts, count: int) -> Tensor:
    """Mention pairs within one sentence; for an entity pair without any, its closest mention pair.

    The pairing of JEREX's third ablation (Table 5 c). Of equally close pairs the first one listed is taken.

    Args:
        candidates: mention pairs.
        context: their distances.
        count: number of entity pairs.

    Returns:
        [kept], int64 positions in `candidates`, ascending.
    """
    owner, rows = candidates.owner, len(candidates.owner)
    intra = context.sentence_distance == 0
    has_intra = torch.zeros(count, dtype=torch.bool, device=owner.device)
    has_intra[owner[intra]] = True
    order = context.word_distance * rows + torch.arange(rows, device=owner.device)
    best = order.new_zeros(count).scatter_reduce(0, owner, order, "amin", include_self=False)
    closest = ~has_intra[owner] & (order == best[owner])
    return (intra | closest).nonzero().squeeze(1)
