"""What a model is given and decides, in flat lists: spans, entities, entity pairs and their mention pairs.

Training and inference call the same functions, so what is trained is what is asked later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .segments import positions_in_segments, segment_logsumexp, segment_max, segment_mean, segment_starts

POOLS = {"max": segment_max, "mean": segment_mean, "logsumexp": segment_logsumexp}


class Spans(NamedTuple):
    """Spans of words, flat over the batch.

    `subword_range` [spans, 2] points into the batch's flat subword list, `word_range` [spans, 2] counts the words of
    the document, `sentence` [spans] the sentences of the document, `document` [spans] the documents of the batch.
    All int64, ranges half-open.
    """

    subword_range: Tensor
    word_range: Tensor
    sentence: Tensor
    document: Tensor

    @property
    def sizes(self) -> Tensor:
        """Words per span, [spans]."""
        return self.word_range[:, 1] - self.word_range[:, 0]

    def take(self, index: Tensor) -> Spans:
        """The spans at `index`."""
        return Spans(*(values[index] for values in self))

    def in_text_order(self, index: Tensor) -> Tensor:
        """The spans at `index`, sorted by document and by place in its text."""
        for place in (self.word_range[:, 1], self.word_range[:, 0], self.document):
            index = index[place[index].argsort(stable=True)]
        return index

    def between(self, head: Tensor, tail: Tensor) -> Tensor:
        """The subwords strictly between spans `head` and `tail` [pairs], whatever their order (JEREX section 3.4).

        Returns:
            Half-open ranges [pairs, 2]; empty (end <= start) for adjacent, overlapping and nested spans.
        """
        start, end = self.subword_range.unbind(1)
        return torch.stack([torch.minimum(end[head], end[tail]), torch.maximum(start[head], start[tail])], dim=1)


class Text(NamedTuple):
    """The text of a batch, and its spans.

    `input_ids` [subwords] int64, the documents end to end; `document_lengths` [documents] int64, subwords per document,
    start and end tokens included; `spans` are candidates or mentions; `special_lengths` [2] int64, start and end tokens
    of each document, or None; `sentences` [subwords] int64, the sentence of each subword, -1 outside of sentences, or
    None without evidence.
    """

    input_ids: Tensor
    document_lengths: Tensor
    spans: Spans
    special_lengths: Tensor | None = None
    sentences: Tensor | None = None


class Entities(NamedTuple):
    """Entities as sets of spans, flat over the batch.

    `members` [mentions] are span indices, grouped by entity; `sizes` [entities] counts the mentions of each entity;
    `document` [entities] is each entity's document. All int64.
    """

    members: Tensor
    sizes: Tensor
    document: Tensor

    @property
    def owners(self) -> Tensor:
        """The entity of each member, [mentions]."""
        return positions_in_segments(self.sizes)[0]

    def pool(self, span_vectors: Tensor, pool: str = "max") -> Tensor:
        """Entity vectors [entities, ...] from the vectors [spans, ...] of their mentions, elementwise.

        The `pool` is `"max"` (JEREX), `"logsumexp"` (ATLOP equation 2) or `"mean"`.
        """
        return POOLS[pool](span_vectors[self.members], self.owners, len(self.sizes))


class MentionPairs(NamedTuple):
    """Mention pairs of entity pairs, flat.

    `owner` [pairs] is the entity pair, `head` and `tail` [pairs] are span indices, `head_mention` and `tail_mention`
    [pairs] the positions of the two mentions inside their entities. All int64.
    """

    owner: Tensor
    head: Tensor
    tail: Tensor
    head_mention: Tensor
    tail_mention: Tensor

    def take(self, index: Tensor) -> MentionPairs:
        """The pairs at `index`."""
        return MentionPairs(*(values[index] for values in self))


def span_candidates(sentence_starts: Sequence[int], max_span_size: int) -> tuple[np.ndarray, np.ndarray]:
    """All spans of 1 to `max_span_size` words inside the sentences that begin at `Document.sentence_starts`.

    They are half-open document word ranges [spans, 2] and sentence numbers [spans], int64, ordered by sentence, then
    size, then start (the order decides which mention of a pair comes first in coreference).
    """
    starts, lengths = np.array(sentence_starts[:-1], dtype=np.int64), np.diff(sentence_starts)
    sizes = np.arange(1, max_span_size + 1)
    counts = (lengths[:, None] - sizes + 1).clip(min=0)  # [sentences, sizes]
    sentences, columns = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    before = np.repeat(counts.cumsum() - counts.ravel(), counts.ravel())
    first = starts[sentences] + np.arange(len(sentences)) - before
    return np.stack([first, first + sizes[columns]], axis=1), sentences


def entity_pairs(documents: Tensor) -> Tensor:
    """All ordered pairs of different entities of the same document, [pairs, 2] int64, row-major (head outer).

    `documents` [entities] int64 is the document of each entity, ascending.
    """
    counts = torch.bincount(documents)
    head, position = positions_in_segments(counts[documents] - 1)
    tail = segment_starts(counts)[documents[head]] + position
    return torch.stack([head, tail + (tail >= head).long()], dim=1)


def mention_pairs(entities: Entities, pairs: Tensor) -> MentionPairs:
    """All mention pairs of entity pairs [entity pairs, 2] int64, grouped by entity pair, row-major inside each."""
    heads, tails = entities.sizes[pairs].unbind(1)  # mentions of either entity
    owner, position = positions_in_segments(heads * tails)
    left = torch.div(position, tails[owner], rounding_mode="floor")
    right = position % tails[owner]
    first, second = segment_starts(entities.sizes)[pairs[owner]].unbind(1)
    return MentionPairs(owner, entities.members[first + left], entities.members[second + right], left, right)
