"""Entity pairs scored by both entities and the context that both attend to (ATLOP sections 3.2 and 5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .layers import ConcatLinear
from .segments import at_least_float32, chunk_bounds, in_chunks
from .stage_localized_context import (
    AttendedText,
    Block,
    blocks,
    find_evidence,
    pool_block,
    unordered_pairs,
    weigh_sentences,
)

# Pairs classified at once; with more, a training step recomputes each run of them in its backward pass.
PAIR_CHUNK = 16_384
# Products of two vectors' elements that exist at once: on a CPU few enough to stay in its cache.
PRODUCT_COLUMNS, PRODUCT_ROWS, PRODUCT_ROWS_ON_CPU = 4096, 8192, 512


class PairScores(NamedTuple):
    """What is said of entity pairs.

    `logits` [pairs, 1 + types], the threshold class first. `sentence_weights` [pairs, sentences] is the weight of each
    pair's context on each sentence, zero beyond a document's last one; both orders of a pair share it. It is None where
    the sentences are not known, or nobody attends to anything.
    """

    logits: Tensor
    sentence_weights: Tensor | None = None

    def evidence(self, least_share: float) -> dict[str, Tensor]:
        """As fields of the output, the fewest sentences that hold more than a share of each pair's context."""
        if self.sentence_weights is None:
            return {}
        names = ("evidence_pair", "evidence_sentence", "evidence_weight")
        return dict(zip(names, find_evidence(self.sentence_weights, least_share), strict=True))


class PairClassifier(NamedTuple):
    """The layers that score entity pairs: two extractors and a grouped bilinear layer.

    `head_extractor` and `tail_extractor` take an entity's vector and, where there is one, the pair's context. With
    `typed`, the types of the entities [entities] int64 and what is allowed between two types [entity types, entity
    types, 1 + relation types] bool, all other logits are minus infinity.
    """

    head_extractor: ConcatLinear
    tail_extractor: ConcatLinear
    bilinear: GroupedBilinear
    typed: tuple[Tensor, Tensor] | None = None

    def score(self, entity_vectors: Tensor, pairs: Tensor, text: AttendedText | None) -> PairScores:
        """Score pairs of entities.

        Args:
            entity_vectors: [entities, width].
            pairs: [pairs, 2] int64 entity indices.
            text: what the entities attend to, from which each pair has its context; None without contexts.
        """
        if text is None:
            return PairScores(in_chunks(lambda rows: self._logits(entity_vectors, pairs[rows]), len(pairs), PAIR_CHUNK))
        unordered, index = unordered_pairs(pairs)
        sorted_index, order = index.sort(stable=True)  # both orders of a pair together
        listed = blocks(text, unordered)
        counts = torch.tensor([block.rows.stop - block.rows.start for block in listed])
        runs = [listed[slice(*bounds)] for bounds in chunk_bounds(counts, PAIR_CHUNK // 2)]
        if not runs:
            return PairScores(self._logits(entity_vectors, pairs, text.hidden[:0], index))
        recompute = torch.is_grad_enabled() and len(runs) > 1
        score_run = partial(checkpoint, self._score_run, use_reentrant=False) if recompute else self._score_run
        logits: list[Tensor] = []
        weights: list[Tensor] = []
        for run in runs:
            first, stop = run[0].rows.start, run[-1].rows.stop
            rows = slice(*torch.searchsorted(sorted_index, torch.tensor([first, stop], device=index.device)).tolist())
            scored = score_run(entity_vectors, pairs[order[rows]], sorted_index[rows] - first, text, unordered, run)
            logits.append(scored[0])
            weights += scored[1]
        return PairScores(torch.cat(logits)[order.argsort()], torch.cat(weights)[index] if weights else None)

    def _score_run(
        self, vectors: Tensor, pairs: Tensor, index: Tensor, text: AttendedText, unordered: Tensor, run: Sequence[Block]
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of the pairs of some blocks, and the sentence weights of their unordered pairs."""
        contexts, sentence_weights = [], []
        for block in run:
            context, weights = pool_block(text, unordered, block)
            contexts.append(context.to(vectors.dtype))
            if text.sentences is not None:
                sentence_weights.append(weigh_sentences(text, block, weights))
        return self._logits(vectors, pairs, torch.cat(contexts), index), sentence_weights

    def _logits(
        self, entity_vectors: Tensor, pairs: Tensor, contexts: Tensor | None = None, index: Tensor | None = None
    ) -> Tensor:
        """Logits [pairs, 1 + types], the threshold class first; contexts [contexts, hidden] by index [pairs]."""
        head, tail = pairs.unbind(1)
        context = [] if contexts is None or index is None else [(contexts, index)]
        head_vectors = torch.tanh(self.head_extractor((entity_vectors, head), *context))  # [pairs, pair size]
        tail_vectors = torch.tanh(self.tail_extractor((entity_vectors, tail), *context))
        if self.typed is None:
            return self.bilinear(head_vectors, tail_vectors)
        types, allowed = self.typed
        kinds = types[head] * len(allowed) + types[tail]
        return self.bilinear(head_vectors, tail_vectors, kinds, allowed.flatten(0, 1))


class GroupedBilinear(nn.Module):
    """Bilinear layer whose two inputs interact inside groups only (ATLOP equation 5).

    It equals `nn.Linear` over all products `left[i] * right[j]` with i and j in one group, and has its parameters. The
    products of all rows are never there at once: blocks of them are made, multiplied with their columns of the weight,
    and made again in the backward pass.

    Args:
        size: width of either input.
        groups: number of groups; 1 is the full bilinear layer.
        out_features: number of outputs.
    """

    def __init__(self, size: int, groups: int, out_features: int):
        super().__init__()
        self.group_size = size // groups
        self.linear = nn.Linear(groups * self.group_size**2, out_features)

    def forward(self, left: Tensor, right: Tensor, kinds: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        """Outputs [rows, out_features] of inputs [rows, size] each, in float32 (float64 for such inputs).

        With the `kinds` [rows] int64 of the rows, an output that is not `wanted` [kinds, out_features] bool is minus
        infinity, and takes no time.
        """
        weight, device = self.linear.weight, left.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
            left, right, weight = left.to(kind), right.to(kind), weight.to(kind)
        with torch.autocast(device, enabled=False):
            if kinds is None or wanted is None:
                result = _BlockwiseBilinear.apply(left, right, weight, self.group_size)
            else:
                result = at_least_float32(left.new_full((len(left), len(weight)), -torch.inf))
                for kind in kinds.unique().tolist():
                    rows, outputs = (kinds == kind).nonzero().squeeze(1), wanted[kind].nonzero().squeeze(1)
                    chosen = left.index_select(0, rows), right.index_select(0, rows), weight.index_select(0, outputs)
                    result[rows[:, None], outputs] = _BlockwiseBilinear.apply(*chosen, self.group_size)
            return result + self.linear.bias.to(result.dtype)


def _product_blocks(size: int, group_size: int) -> Iterator[tuple[slice, slice, slice]]:
    """Blocks of products: columns of the left and of the right input, and the columns of the weight for them."""
    step = max(1, PRODUCT_COLUMNS // group_size)
    for group in range(0, size, group_size):
        for start in range(group, group + group_size, step):
            stop = min(start + step, group + group_size)
            yield slice(start, stop), slice(group, group + group_size), slice(start * group_size, stop * group_size)


class _BlockwiseBilinear(torch.autograd.Function):
    """`linear(products of left and right)` and its gradients, a block of rows and products at a time."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, weight: Tensor, group_size: int) -> Tensor:
        ctx.save_for_backward(left, right, weight)
        ctx.group_size = group_size
        kind = torch.promote_types(left.dtype, torch.float32)
        result = torch.zeros(len(left), len(weight), dtype=kind, device=left.device)
        for rows in _row_blocks(left):
            for ours, theirs, columns in _product_blocks(left.shape[1], group_size):
                result[rows] += _products(left[rows, ours], right[rows, theirs]) @ weight[:, columns].T
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        left, right, weight = ctx.saved_tensors
        left_gradient, right_gradient = torch.zeros_like(left), torch.zeros_like(right)
        weight_gradient = torch.zeros_like(weight, dtype=gradients[0].dtype)  # many blocks of rows add up here
        for rows in _row_blocks(left):
            gradient = gradients[0][rows].to(left.dtype)  # [rows, out]
            for ours, theirs, columns in _product_blocks(left.shape[1], ctx.group_size):
                a, b = left[rows, ours], right[rows, theirs]
                weight_gradient[:, columns] += gradient.T @ _products(a, b)
                products = (gradient @ weight[:, columns]).view(len(a), a.shape[1], b.shape[1])
                left_gradient[rows, ours] += torch.bmm(products, b[:, :, None]).squeeze(2)
                right_gradient[rows, theirs] += torch.bmm(a[:, None], products).squeeze(1)
        return left_gradient, right_gradient, weight_gradient.to(weight.dtype), None


def _row_blocks(values: Tensor) -> Iterator[slice]:
    size = PRODUCT_ROWS_ON_CPU if values.device.type == "cpu" else PRODUCT_ROWS
    return (slice(start, start + size) for start in range(0, len(values), size))


def _products(left: Tensor, right: Tensor) -> Tensor:
    """All products of a row's elements, [rows, left width * right width]."""
    return (left[:, :, None] * right[:, None, :]).flatten(1)
