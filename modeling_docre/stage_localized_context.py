"""Localized context pooling: the part of a document that both entities of a pair attend to (ATLOP section 5).

For entities s and o with attention A_s and A_o over the document, the context is the mean of the hidden states under
the weights `A_s * A_o`, averaged over heads and normalised. It is the same for both orders of a pair.

The weights of all pairs of a block of entities are one batched product of the attention with itself, one small matrix
per subword; no tensor of size [pairs, heads, subwords] or [pairs, subwords, hidden] exists.

KMGRE pools between mentions instead of entities, and normalises each head by itself (section 3.1, equation 4). The
products of a block of pairs then exist head by head, and blocks are smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .segments import segment_sum

HeadNorm = Literal["sum_then_norm", "norm_then_sum", "norm_then_mean"]

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


class Evidence(NamedTuple):
    """Sentences that hold most of a pair's context: the `pair` [items], its `sentence` [items], its `weight` [items].

    A weight is the sentence's part of the context's weight that lies on sentences: start and end tokens take most of
    the attention of many encoders, and say nothing.
    """

    pair: Tensor
    sentence: Tensor
    weight: Tensor


class Block(NamedTuple):
    """Pairs of one document whose first entity lies in a run of entities.

    `subwords` are the document's, `firsts` the run of entities, `seconds` those that can be second; `rows` is where the
    block's pairs stand in the list of pairs.
    """

    subwords: slice
    firsts: slice
    seconds: slice
    rows: slice


def unordered_pairs(pairs: Tensor, entities: int) -> tuple[Tensor, Tensor]:
    """Each pair once, whatever its order.

    Args:
        pairs: [pairs, 2], int64 entity indices.
        entities: number of entities.

    Returns:
        [unordered, 2] int64, smaller index first, ascending; and the position in it of each pair, [pairs] int64.
    """
    smaller, larger = pairs.amin(1), pairs.amax(1)
    keys, index = torch.unique(smaller * entities + larger, return_inverse=True)
    return torch.stack([torch.div(keys, max(entities, 1), rounding_mode="floor"), keys % max(entities, 1)], 1), index


def blocks(text: AttendedText, pairs: Tensor, head_norm: HeadNorm = "sum_then_norm") -> list[Block]:
    """Cut pairs into blocks of at most `BLOCK_WEIGHTS` weights, or the pairs of one first entity.

    Args:
        text: the batch.
        pairs: [unordered, 2], as `unordered_pairs` lists them.
        head_norm: as for `pool_block`.
    """
    depth = 1 if head_norm == "sum_then_norm" else text.attention.shape[1]  # weights per pair and subword
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


def pool_block(
    text: AttendedText, pairs: Tensor, block: Block, head_norm: HeadNorm = "sum_then_norm"
) -> tuple[Tensor, Tensor]:
    """The contexts of a block's pairs.

    Args:
        text: the batch.
        pairs: [unordered, 2], as `unordered_pairs` lists them.
        block: which of them.
        head_norm: `"sum_then_norm"` normalises the sum of the heads (ATLOP), `"norm_then_sum"` and `"norm_then_mean"`
            normalise each head before (KMGRE).

    Returns:
        Contexts [block's pairs, hidden], and their weights [subwords of the document, block's pairs].
    """
    with torch.autocast(text.attention.device.type, enabled=False):
        if head_norm == "sum_then_norm":
            weights = _weights_of_joined_heads(text, pairs, block)
        else:
            weights = _weights_of_single_heads(text, pairs, block, head_norm)
        return weights.T @ text.hidden[block.subwords].to(weights.dtype), weights


def pool_pairs(text: AttendedText, pairs: Tensor, head_norm: HeadNorm = "sum_then_norm") -> Tensor:
    """The contexts [unordered, hidden] of all pairs, block by block.

    A training step with several blocks recomputes each of them in its backward pass, so that one block's weights exist
    at a time. Arguments as for `pool_block`.
    """
    listed = blocks(text, pairs, head_norm)
    recompute = torch.is_grad_enabled() and len(listed) > 1

    def pool(block: Block) -> Tensor:
        return pool_block(text, pairs, block, head_norm)[0]

    contexts = [checkpoint(pool, block, use_reentrant=False) if recompute else pool(block) for block in listed]
    return torch.cat(contexts) if contexts else text.attention.new_zeros(0, text.hidden.shape[1])


def _weights_of_joined_heads(text: AttendedText, pairs: Tensor, block: Block) -> Tensor:
    length, heads = block.subwords.stop - block.subwords.start, text.attention.shape[1]
    firsts = text.attention[block.firsts, :, :length].permute(2, 0, 1)  # [subwords, firsts, heads]
    seconds = text.attention[block.seconds, :, :length].permute(2, 1, 0)  # [subwords, heads, seconds]
    table = torch.bmm(firsts, seconds).flatten(1) / heads  # [subwords, firsts * seconds]
    first, second = (pairs[block.rows] - block.firsts.start).unbind(1)
    weights = table.index_select(1, first * seconds.shape[2] + second)  # [subwords, pairs]
    return weights / (weights.sum(0) + EPSILON)


def _weights_of_single_heads(text: AttendedText, pairs: Tensor, block: Block, head_norm: HeadNorm) -> Tensor:
    attention = text.attention[block.seconds, :, : block.subwords.stop - block.subwords.start]
    first, second = (pairs[block.rows] - block.seconds.start).unbind(1)
    products = attention.index_select(0, first) * attention.index_select(0, second)  # [pairs, heads, subwords]
    scale = 1.0 / (products.sum(2) + EPSILON)  # [pairs, heads]
    if head_norm == "norm_then_mean":
        scale = scale / products.shape[1]
    return torch.bmm(scale[:, None], products).squeeze(1).T


def weigh_sentences(text: AttendedText, block: Block, weights: Tensor) -> Tensor:
    """The weight [subwords, pairs] of each pair of a block by sentence, [pairs, sentences of the batch's longest list].

    Start and end tokens belong to no sentence.
    """
    assert text.sentences is not None
    sentences = text.sentences[block.subwords]
    inside = sentences >= 0
    return segment_sum(weights[inside], sentences[inside], int(text.sentences.max()) + 1).T


def find_evidence(sentence_weights: Tensor, least_share: float) -> Evidence:
    """The fewest sentences that hold more than a share of the weight [pairs, sentences] of each pair.

    With 1 as the least share they are all sentences that have any weight.
    """
    total = sentence_weights.sum(1, keepdim=True)
    ranked, order = sentence_weights.sort(dim=1, descending=True, stable=True)
    before = ranked.cumsum(1) - ranked
    pair, rank = ((before <= least_share * total) & (ranked > 0)).nonzero(as_tuple=True)
    return Evidence(pair, order[pair, rank], ranked[pair, rank] / total[pair, 0])


def runs(listed: Sequence[Block], limit: int) -> Iterator[list[Block]]:
    """Consecutive blocks that hold at most `limit` pairs together (a larger single block stays whole)."""
    run: list[Block] = []
    for block in listed:
        if run and block.rows.stop - run[0].rows.start > limit:
            yield run
            run = []
        run.append(block)
    if run:
        yield run
