"""Operations on flat lists with an owner index: segment reductions, range maxima, ragged products.

A batch holds lists of different lengths (spans of a sentence, mentions of an entity, mention pairs of an entity pair).
They are kept end to end in one tensor, and an index tells whom each row belongs to, so nothing is padded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32, or as they are where they are more precise (for exponentials, sums and softmax)."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def segment_max(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Elementwise maximum of the rows of each owner, [count, width]; zeros for an owner without rows.

    Args:
        values: [rows, width], float.
        owners: [rows], int64, the owner of each row, from 0 up to `count`; in any order.
        count: number of owners.
    """
    index = owners[:, None].expand_as(values)
    return values.new_zeros(count, values.shape[1]).scatter_reduce(0, index, values, "amax", include_self=False)


def segment_sum(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Sum of the rows of each owner: [count, ...] of values [rows, ...]; arguments as for `segment_max`."""
    return values.new_zeros(count, *values.shape[1:]).index_add(0, owners, values)


def segment_mean(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Mean of the rows of each owner, zeros for an owner without rows; arguments and result as for `segment_sum`."""
    rows = torch.bincount(owners, minlength=count).clamp(min=1)
    return segment_sum(values, owners, count) / rows.view(-1, *[1] * (values.dim() - 1))


def segment_logsumexp(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Elementwise log of the sum of exponentials of the rows of each owner; otherwise as `segment_max`."""
    highest = segment_max(values.detach(), owners, count)
    total = segment_sum((values - highest.index_select(0, owners)).exp(), owners, count)  # at least 1 with rows
    return highest + torch.where(total > 0, total, 1.0).log()


def segment_starts(counts: Tensor) -> Tensor:
    """Index of the first row of each segment when segments of `counts` rows lie end to end; [segments], int64."""
    return counts.cumsum(0) - counts


def positions_in_segments(counts: Tensor) -> tuple[Tensor, Tensor]:
    """For segments of `counts` rows end to end, the segment of each row and its position inside: int64 [rows] both."""
    owners = torch.repeat_interleave(counts)
    return owners, torch.arange(len(owners), device=counts.device) - segment_starts(counts)[owners]


def range_max(values: Tensor, ranges: Tensor) -> Tensor:
    """Elementwise maximum over each half-open row range, by two look-ups.

    Level k of a table holds the maximum over the 2^k rows from each position on. A range of length L is covered by two
    overlapping windows of 2^floor(log2 L) rows, and a maximum does not mind the overlap, so the result is exactly that
    of reducing the range itself. Memory is O(rows * log(longest range)), and gradients flow to the maximal elements.
    From values [rows, width] and ranges [queries, 2] int64 to [queries, width]; an empty range (end <= start) gives 0.
    """
    if len(ranges) == 0 or len(values) == 0:
        return values.new_zeros(len(ranges), values.shape[1])
    start, end = ranges.unbind(1)
    length = (end - start).clamp(min=0)
    sizes, longest = [len(values)], int(length.max())
    while 2 ** len(sizes) <= longest:
        sizes.append(len(values) - 2 ** len(sizes) + 1)
    level = torch.frexp(length.clamp(min=1).float()).exponent.long() - 1  # floor(log2(length))
    before, empty = segment_starts(torch.tensor(sizes, device=values.device))[level], length == 0
    first, second = ((before + row).masked_fill(empty, 0) for row in (start, end - (1 << level)))
    highest = _TableMax.apply(values, first, second, sizes)
    return highest.masked_fill(empty[:, None], 0) if empty.any() else highest


class _TableMax(torch.autograd.Function):
    """The maximum of rows `first` and `second` of the table with levels of `sizes` rows; equal ones share gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, first: Tensor, second: Tensor, sizes: list[int]) -> Tensor:
        table = values.new_empty(sum(sizes), values.shape[1])
        levels = table.split(sizes)
        levels[0].copy_(values)
        for half, (last, level) in enumerate(pairwise(levels)):
            torch.maximum(last[: len(level)], last[2**half :], out=level)
        ctx.save_for_backward(table, first, second)
        ctx.sizes = sizes
        return torch.maximum(left := table.index_select(0, first), table.index_select(0, second), out=left)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        table, first, second = ctx.saved_tensors
        left, right = _share(gradients[0], table.index_select(0, first), table.index_select(0, second))
        into = torch.zeros_like(table).index_add_(0, first, left).index_add_(0, second, right).split(ctx.sizes)
        for half, (last, level) in reversed(list(enumerate(pairwise(table.split(ctx.sizes))))):
            left, right = _share(into[half + 1], last[: len(level)], last[2**half :])
            into[half][: len(level)] += left
            into[half][2**half :] += right
        return into[0], None, None, None


def _share(gradient: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of two tensors from that of their maximum."""
    part = torch.addcmul(gradient, gradient, (left - right).sign_()) / 2
    return part, gradient - part


def unique_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Each of the rows [rows, columns] int64 from 0 on once, ascending, and the place [rows] of each among them.

    The product of the columns' ranges must fit an int64.
    """
    ranges = (rows.amax(0) + 1).tolist() if len(rows) else [1] * rows.shape[1]
    keys = rows[:, 0]
    for column, size in enumerate(ranges[1:], start=1):
        keys = keys * size + rows[:, column]
    keys, index = torch.unique(keys, return_inverse=True)
    columns: list[Tensor] = []
    for size in reversed(ranges[1:]):
        columns.append(keys % size)
        keys = keys.div(size, rounding_mode="floor")
    return torch.stack([keys, *reversed(columns)], dim=1), index


def rows_in_ranges(ranges: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of half-open row ranges [ranges, 2], range by range: the range and the number of each, int64 [rows]."""
    start, end = ranges.unbind(1)
    owners, offsets = positions_in_segments(end - start)
    return owners, start[owners] + offsets


def range_mean(values: Tensor, ranges: Tensor) -> Tensor:
    """Mean over each half-open row range, zeros for an empty one: [ranges, ...] of values [rows, ...]."""
    owners, rows = rows_in_ranges(ranges)
    return segment_mean(values.index_select(0, rows), owners, len(ranges))


def chunk_bounds(counts: Tensor, limit: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of segments, of `counts` rows each, that hold at most `limit` rows together or one segment."""
    ends = counts.cumsum(0).cpu()
    start, done = 0, 0
    while start < len(ends):
        stop = max(int(torch.searchsorted(ends, done + limit, right=True)), start + 1)
        yield start, stop
        start, done = stop, int(ends[stop - 1])


def in_chunks(function: Callable[[slice], Tensor], rows: int, limit: int) -> Tensor:
    """Concatenate `function(slice)` over consecutive slices of at most `limit` rows; one call where that suffices."""
    if rows <= limit:
        return function(slice(0, rows))
    return torch.cat([function(slice(start, min(start + limit, rows))) for start in range(0, rows, limit)])


def token_batches(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Lists of positions of texts, longest texts first, so that neighbours in length share a batch.

    A batch holds at most `max_tokens` subwords, padding included; a longer text forms a batch of its own.
    """
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
