"""Mentions as the encoder reads them, with markers or without: their vectors, and what they attend to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .candidates import Entities, MentionPairs, Spans
from .encoder import DocumentEncoder
from .segments import positions_in_segments, segment_mean, segment_starts, segment_sum


class MarkedText(NamedTuple):
    """A batch of documents with marked mentions.

    `input_ids` [subwords] int64, the documents end to end; `document_lengths` [documents] int64; `special_lengths` [2]
    int64, start and end tokens of each document, or None; `spans` are the mentions, whose subword ranges are their
    opening markers, or all their subwords where nothing is marked. `sentences` [subwords] int64 is the sentence of each
    subword, -1 outside of sentences, or None without evidence.
    """

    input_ids: Tensor
    document_lengths: Tensor
    special_lengths: Tensor | None
    spans: Spans
    sentences: Tensor | None = None


class Reading(NamedTuple):
    """What an encoder makes of marked text.

    `hidden` [subwords, hidden]; `mentions` [mentions, hidden]; `attention` [mentions, heads, longest document], at
    least float32, or None where the encoder gives none.
    """

    hidden: Tensor
    mentions: Tensor
    attention: Any


def read(encoder: DocumentEncoder, text: MarkedText) -> Reading:
    """A mention's vector and attention are those of its opening marker, without markers the means over its subwords."""
    hidden, attention = encoder(text.input_ids, text.document_lengths, text.special_lengths)
    mentions = pool_subwords(hidden, text.spans, "mean")
    return Reading(hidden, mentions, attention and attend_from_spans(attention, text.spans))


def attend_from_spans(attention: Callable[[Tensor], Tensor], spans: Spans) -> Tensor:
    """The attention of spans, each the mean over its subwords: [spans, heads, longest document].

    Args:
        attention: gives the attention rows of positions, as the encoder returns it.
        spans: the spans, here mentions.
    """
    owner, positions = _subwords(spans)
    return segment_mean(attention(positions), owner, len(spans.document))


def pool_subwords(hidden: Tensor, spans: Spans, pool: str) -> Tensor:
    """Span vectors [spans, hidden] of hidden states [subwords, hidden]: the first subword's, or the mean of all."""
    if pool == "first":
        return hidden[spans.subword_range[:, 0]]
    owner, positions = _subwords(spans)
    return segment_mean(hidden[positions], owner, len(spans.document))


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


def _subwords(spans: Spans) -> tuple[Tensor, Tensor]:
    """The owner and the position of each subword of each span."""
    start, end = spans.subword_range.unbind(1)
    owner, offset = positions_in_segments(end - start)
    return owner, start[owner] + offset
