"""Localized context pooling: the part of a document that both entities of a pair attend to (ATLOP section 5).

For entities s and o with attention A_s and A_o over the document, the context is the mean of the hidden states under
the weights `A_s * A_o`, averaged over heads and normalised. It is the same for both orders of a pair.

The weights of all pairs of a block of entities are one batched product of the attention with itself, one small matrix
per subword; no tensor of size [pairs, heads, subwords] or [pairs, subwords, hidden] exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .segments import rows_in_ranges, segment_mean, segment_sum, unique_rows

EPSILON = 1e-5  # in the denominator of the weights, as in ATLOP's release
# Weights that exist at once: bounds the memory of documents with hundreds of entities.
BLOCK_WEIGHTS = 2**23


class AttendedText(NamedTuple):
    """The text of a batch, and what its entities (for KMGRE its mentions) attend to.

    `hidden` [subwords, hidden]; `attention` [entities, heads, longest document]; `document_lengths` [documents] int64;
    `documents` [entities] int64, ascending; `sentences` [subwords] int64, -1 outside of sentences, or None without
    evidence.
    """

    hidden: Tensor
    attention: Tensor
    document_lengths: Tensor
    documents: Tensor
    sentences: Tensor | None = None


class Block(NamedTuple):
    """Pairs of one document whose first entity lies in a run of entities.

    `subwords` are the document's, `firsts` the run of entities, `seconds` those that can be second; `rows` is where the
    block's pairs stand in the list of pairs.
    """

    subwords: slice
    firsts: slice
    seconds: slice
    rows: slice


def attend_from(attention: Callable[[Tensor], Tensor], ranges: Tensor) -> Tensor:
    """The mean of `AttendedEncoder`'s attention over subword ranges [ranges, 2]: [ranges, heads, longest document]."""
    owners, positions = rows_in_ranges(ranges)
    return segment_mean(attention(positions), owners, len(ranges))


def unordered_pairs(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Each of the pairs [pairs, 2] int64 once, whatever its order, smaller index first; result as of `unique_rows`."""
    return unique_rows(torch.stack(pairs.aminmax(dim=1), dim=1))


def blocks(text: AttendedText, pairs: Tensor, depth: int = 1) -> list[Block]:
    """Cut pairs [unordered, 2] into blocks of at most `BLOCK_WEIGHTS` weights, or the pairs of one first entity.

    A pair has `depth` weights per subword.
    """
    lengths = text.document_lengths.tolist()
    counts = torch.bincount(text.documents, minlength=len(lengths)).tolist()
    ends = torch.bincount(pairs[:, 0], minlength=sum(counts)).cumsum(0).tolist()  # pairs up to each first entity
    listed, subword, entity = [], 0, 0
    for length, count in zip(lengths, counts, strict=True):
        last = entity + count
        step = max(1, BLOCK_WEIGHTS // max(length * count * depth, 1))
        for first in range(entity, last, step):
            stop = min(first + step, last)
            rows = slice(ends[first - 1] if first else 0, ends[stop - 1])
            if rows.start < rows.stop:
                listed.append(Block(slice(subword, subword + length), slice(first, stop), slice(first, last), rows))
        subword, entity = subword + length, last
    return listed


def pool_block(text: AttendedText, pairs: Tensor, block: Block) -> tuple[Tensor, Tensor]:
    """Contexts [block's pairs, hidden], and their weights [subwords of the document, block's pairs].

    The pairs [unordered, 2] are those that `unordered_pairs` lists.
    """
    length, heads = block.subwords.stop - block.subwords.start, text.attention.shape[1]
    with torch.autocast(text.attention.device.type, enabled=False):
        # Contiguous, since matrices laid out otherwise are multiplied one by one.
        seconds = text.attention[block.seconds, :, :length].permute(2, 0, 1).contiguous()  # [subwords, seconds, heads]
        firsts = seconds[:, : block.firsts.stop - block.firsts.start]  # the seconds begin with the firsts
        table = torch.bmm(firsts, seconds.transpose(1, 2)).flatten(1) / heads  # [subwords, firsts * seconds]
        first, second = (pairs[block.rows] - block.firsts.start).unbind(1)
        weights = table.index_select(1, first * seconds.shape[1] + second)  # [subwords, pairs]
        weights = weights / (weights.sum(0) + EPSILON)
        return weights.T @ text.hidden[block.subwords].to(weights.dtype), weights


def weigh_sentences(text: AttendedText, block: Block, weights: Tensor) -> Tensor:
    """The weight [subwords, pairs] of each pair of a block by sentence, [pairs, sentences of the batch's longest list].

    Start and end tokens belong to no sentence.
    """
    assert text.sentences is not None
    sentences = text.sentences[block.subwords]
    inside = sentences >= 0
    return segment_sum(weights[inside], sentences[inside], int(text.sentences.max()) + 1).T


def find_evidence(sentence_weights: Tensor, least_share: float) -> tuple[Tensor, Tensor, Tensor]:
    """The fewest sentences that hold more than a share of the weight [pairs, sentences] of each pair; with 1, all.

    Each item is a pair, a sentence, and the sentence's part of the context's weight that lies on sentences: start and
    end tokens take most of the attention of many encoders, and say nothing.
    """
    total = sentence_weights.sum(1, keepdim=True)
    ranked, order = sentence_weights.sort(dim=1, descending=True, stable=True)
    before = ranked.cumsum(1) - ranked
    pair, rank = ((before <= least_share * total) & (ranked > 0)).nonzero(as_tuple=True)
    return pair, order[pair, rank], ranked[pair, rank] / total[pair, 0]
