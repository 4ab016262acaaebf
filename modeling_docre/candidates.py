"""The one place that lists what a model decides: spans, mention pairs, entity pairs, contexts and distances.

Training and inference call the same functions, so what is trained is what is asked later.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist
from torch import Tensor

from .segments import positions_in_segments, ragged_product, segment_starts


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


def span_candidates(sentence_starts: Sequence[int], max_span_size: int) -> tuple[np.ndarray, np.ndarray]:
    """All spans of 1 to `max_span_size` words inside the sentences of a document.

    Args:
        sentence_starts: document word index of each sentence's first word, and the number of words as last item.
        max_span_size: longest span in words.

    Returns:
        Half-open document word ranges [spans, 2] and sentence numbers [spans], int64, ordered by sentence, then
        size, then start (the order decides which mention of a pair comes first in coreference).
    """
    ranges, sentences = [np.empty((0, 2), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for sentence, (start, end) in enumerate(pairwise(sentence_starts)):
        for size in range(1, min(max_span_size, end - start) + 1):
            first = np.arange(start, end - size + 1)
            ranges.append(np.stack([first, first + size], axis=1))
            sentences.append(np.full(len(first), sentence))
    return np.concatenate(ranges), np.concatenate(sentences)


def coreference_pairs(documents: Tensor, both_orders: bool = False) -> Tensor:
    """Pairs of mentions of the same document, the earlier one first.

    Args:
        documents: [mentions], int64, ascending: the document of each mention.
        both_orders: whether each pair is listed in the reversed order too (appended after all others).

    Returns:
        [pairs, 2], int64 positions in the mention list; row-major.
    """
    counts = torch.bincount(documents) if len(documents) else documents
    ends = counts.cumsum(0)[documents] if len(documents) else documents
    later = ends - torch.arange(len(documents), device=documents.device) - 1  # mentions after this one
    first, offset = positions_in_segments(later)
    pairs = torch.stack([first, first + 1 + offset], dim=1)
    return torch.cat([pairs, pairs.flip(1)]) if both_orders else pairs


def entity_pairs(documents: Tensor) -> Tensor:
    """All ordered pairs of different entities of the same document.

    Args:
        documents: [entities], int64, ascending: the document of each entity.

    Returns:
        [pairs, 2], int64 entity indices, row-major (head outer, tail inner).
    """
    if len(documents) == 0:
        return documents.new_zeros(0, 2)
    counts = torch.bincount(documents)
    head, position = positions_in_segments(counts[documents] - 1)
    tail = segment_starts(counts)[documents[head]] + position
    return torch.stack([head, tail + (tail >= head).long()], dim=1)


def mention_pairs(entities: Entities, pairs: Tensor) -> MentionPairs:
    """All mention pairs of the given entity pairs.

    Args:
        entities: the batch's entities.
        pairs: [entity pairs, 2], int64.

    Returns:
        Mention pairs grouped by entity pair, row-major inside each.
    """
    head, tail = pairs.unbind(1)
    owner, left, right = ragged_product(entities.sizes[head], entities.sizes[tail])
    starts = segment_starts(entities.sizes)
    head_span = entities.members[starts[head[owner]] + left]
    tail_span = entities.members[starts[tail[owner]] + right]
    return MentionPairs(owner, head_span, tail_span, left, right)


def contexts(spans: Spans, head: Tensor, tail: Tensor) -> Contexts:
    """Context range and distances of mention pairs, the same for both orders (JEREX section 3.4).

    Args:
        spans: the batch's spans.
        head, tail: [pairs], int64 span indices.
    """
    start, end = spans.word_range.unbind(1)
    swapped = (start[tail] < start[head]) | ((start[tail] == start[head]) & (end[tail] < end[head]))
    first, second = torch.where(swapped, tail, head), torch.where(swapped, head, tail)
    between = torch.stack([spans.subword_range[first, 1], spans.subword_range[second, 0]], dim=1)
    return Contexts(
        between,
        (start[second] - (end[first] - 1)).clamp(min=0),
        (spans.sentence[head] - spans.sentence[tail]).abs(),
    )


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


@torch.compiler.disable  # NumPy on the host
def edit_distances(texts: Sequence[str], documents: Tensor, pairs: Tensor) -> Tensor:
    """Character Levenshtein distances (unit costs, case-sensitive) between mention strings.

    Args:
        texts: the string of each mention.
        documents: [mentions], int64, ascending: the document of each mention.
        pairs: [pairs, 2], int64 positions in `texts`, both of one document.

    Returns:
        [pairs], int64, on the device of `pairs`.
    """
    distances = np.zeros(len(pairs), dtype=np.int64)
    if len(pairs) == 0:
        return torch.from_numpy(distances).to(pairs.device)
    host_pairs, host_documents = pairs.cpu().numpy(), documents.cpu().numpy()
    pair_documents = host_documents[host_pairs[:, 0]]
    for document in np.unique(pair_documents):
        first, end = np.searchsorted(host_documents, [document, document + 1])
        here = pair_documents == document
        matrix = cdist(texts[first:end], texts[first:end], scorer=Levenshtein.distance, dtype=np.int32)
        left, right = (host_pairs[here] - first).T
        distances[here] = matrix[left, right]
    return torch.from_numpy(distances).to(pairs.device)
