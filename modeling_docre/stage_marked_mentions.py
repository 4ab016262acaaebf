"""Marked mentions as the encoder reads them: their vectors, and the attention that they pay to the document."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from .candidates import Spans
from .encoder import DocumentEncoder
from .segments import positions_in_segments, segment_mean


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
    least float32, or None where it was not asked for.
    """

    hidden: Tensor
    mentions: Tensor
    attention: Any


def read(encoder: DocumentEncoder, text: MarkedText, with_attention: bool = True) -> Reading:
    """A mention's vector and attention are those of its opening marker, without markers the means over its subwords."""
    start, end = text.spans.subword_range.unbind(1)
    owner, offset = positions_in_segments(end - start)
    queries = start[owner] + offset  # one per marker, or all subwords of the mentions
    hidden, attention = encoder(text.input_ids, text.document_lengths, text.special_lengths, with_attention)
    mentions = segment_mean(hidden[queries], owner, len(start))
    return Reading(hidden, mentions, attention and segment_mean(attention(queries), owner, len(start)))
