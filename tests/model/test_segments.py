"""Ragged operations against loops over dense tensors."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_docre.modeling_memory_jerex import segment_softmax
from modeling_docre.segments import (
    at_least_float32,
    chunk_bounds,
    in_chunks,
    positions_in_segments,
    range_max,
    range_mean,
    segment_logsumexp,
    segment_max,
    segment_mean,
    segment_starts,
    segment_sum,
)

COUNTS = st.lists(st.integers(0, 5), max_size=8)


def dense_range_max(values: torch.Tensor, ranges: torch.Tensor) -> torch.Tensor:
    """The papers' max-pooling: add -1e30 outside the range, maximum over all positions; zeros for empty ranges."""
    rows = torch.arange(len(values))
    mask = (rows >= ranges[:, :1]) & (rows < ranges[:, 1:])  # [queries, rows]
    maxima = (values + (~mask)[:, :, None] * -1e30).amax(1)
    return torch.where(mask.any(1)[:, None], maxima, torch.zeros_like(maxima))


def all_ranges(rows: int) -> torch.Tensor:
    return torch.tensor([(start, end) for start in range(rows) for end in range(rows + 1)])


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 9, 16, 17, 33])
def test_every_range_has_its_maximum(rows):
    values, ranges = torch.randn(rows, 3, dtype=torch.float64), all_ranges(rows)
    assert torch.equal(range_max(values, ranges), dense_range_max(values, ranges))


def test_negative_maxima_are_kept_and_empty_ranges_are_zero():
    values = -torch.rand(6, 2, dtype=torch.float64) - 1
    found = range_max(values, torch.tensor([[0, 6], [3, 3], [5, 2], [6, 6], [2, 3]]))
    assert torch.equal(found[0], values.amax(0))
    assert not found[1:4].any()
    assert torch.equal(found[4], values[2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_maxima_are_exact_in_every_float_type(dtype):
    values = torch.randn(40, 4).to(dtype)
    ranges = all_ranges(40)
    expected = dense_range_max(values.double(), ranges).to(dtype)
    assert torch.equal(range_max(values, ranges), expected)


@given(st.integers(1, 300), st.data())
@settings(max_examples=30, deadline=None)
def test_ranges_of_any_length(rows, data):
    bounds = st.integers(0, rows)
    ranges = torch.tensor(data.draw(st.lists(st.tuples(bounds, bounds), min_size=1, max_size=10)))
    values = torch.arange(rows * 2, dtype=torch.float64).view(rows, 2)[torch.randperm(rows)]
    assert torch.equal(range_max(values, ranges), dense_range_max(values, ranges))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=6), st.sampled_from([(), (3,), (2, 3)]))
@settings(max_examples=50, deadline=None)
def test_range_mean_is_the_mean_of_the_rows(ranges, shape):
    values = torch.randn(9, *shape, dtype=torch.float64)
    bounds = torch.tensor([(start, start + size) for start, size in ranges], dtype=torch.int64).view(-1, 2)
    found = range_mean(values, bounds)
    assert found.shape == (len(ranges), *shape)
    for row, (start, end) in zip(found, bounds.tolist(), strict=True):
        assert torch.allclose(row, values[start:end].mean(0) if end > start else torch.zeros(shape).double())


def test_range_max_gradients_equal_those_of_the_dense_formula():
    ranges = all_ranges(11)
    weights = torch.randn(len(ranges), 3, dtype=torch.float64)
    gradients = []
    values = torch.randn(11, 3, dtype=torch.float64)
    for pool in (range_max, dense_range_max):
        leaf = values.clone().requires_grad_()
        (pool(leaf, ranges) * weights).sum().backward()
        gradients.append(leaf.grad)
    assert torch.allclose(*gradients, atol=1e-12)


def test_range_max_passes_gradcheck():
    values = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    ranges = torch.tensor([[0, 9], [2, 5], [4, 4], [8, 9], [1, 8]])
    assert torch.autograd.gradcheck(lambda rows: range_max(rows, ranges), values)


def test_tied_maxima_share_a_gradient_of_one():
    values = torch.zeros(7, 1, requires_grad=True)
    range_max(values, torch.tensor([[0, 7]])).sum().backward()
    assert values.grad.sum() == pytest.approx(1)


def test_nothing_asked_and_nothing_there():
    assert range_max(torch.randn(3, 4), torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 4)
    assert torch.equal(range_max(torch.zeros(0, 4), torch.zeros(2, 2, dtype=torch.int64)), torch.zeros(2, 4))


@given(st.lists(st.integers(0, 4), max_size=12))
@settings(max_examples=40, deadline=None)
def test_segment_max_is_the_maximum_of_each_owner(owners):
    values = torch.randn(len(owners), 3, dtype=torch.float64) - 3
    index = torch.tensor(owners, dtype=torch.int64)
    found = segment_max(values, index, 5)
    for owner in range(5):
        rows = values[index == owner]
        assert torch.equal(found[owner], rows.amax(0) if len(rows) else torch.zeros(3, dtype=torch.float64))


def test_segment_max_passes_gradcheck():
    values = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    owners = torch.tensor([2, 0, 0, 2, 3, 0])
    assert torch.autograd.gradcheck(lambda rows: segment_max(rows, owners, 5), values)


@given(COUNTS)
@settings(max_examples=50, deadline=None)
def test_positions_in_segments(counts):
    owners, positions = positions_in_segments(torch.tensor(counts, dtype=torch.int64))
    expected = [(owner, position) for owner, count in enumerate(counts) for position in range(count)]
    assert list(zip(owners.tolist(), positions.tolist(), strict=True)) == expected
    starts = segment_starts(torch.tensor(counts, dtype=torch.int64)).tolist()
    assert starts == [sum(counts[:owner]) for owner in range(len(counts))]


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_chunks_cover_all_segments_within_the_limit(counts, limit):
    bounds = list(chunk_bounds(torch.tensor(counts, dtype=torch.int64), limit))
    assert [segment for start, end in bounds for segment in range(start, end)] == list(range(len(counts)))
    for start, end in bounds:
        assert end > start
        assert sum(counts[start:end]) <= limit or end == start + 1
    for (start, end), (_, after) in itertools.pairwise(bounds):
        assert sum(counts[start : end + 1]) > limit, (start, end, after)


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 7])
def test_in_chunks_equals_one_call(rows):
    values = torch.randn(rows, 2)
    sizes = []

    def double(part: slice) -> torch.Tensor:
        sizes.append(len(values[part]))
        return values[part] * 2

    assert torch.equal(in_chunks(double, rows, 3), values * 2)
    assert max(sizes) <= 3 and sum(sizes) == rows


# --- sums, means and logsumexps of owners --------------------------------------------------------------------------

OWNERS = st.lists(st.integers(0, 5), max_size=14)  # owner 6 has never any rows
LOOPS = {
    segment_sum: lambda rows: rows.sum(0),
    segment_mean: lambda rows: rows.sum(0) / len(rows),
    segment_logsumexp: lambda rows: torch.stack([value.exp().sum().log() for value in rows.unbind(1)]),
}


@pytest.mark.parametrize("reduce", LOOPS, ids=lambda reduce: reduce.__name__)
@given(owners=OWNERS)
@settings(max_examples=60, deadline=None)
def test_segments_are_reduced_as_by_loops(reduce, owners):
    values = torch.randn(len(owners), 3, dtype=torch.float64) * 5
    leaf, twin = values.clone().requires_grad_(), values.clone().requires_grad_()
    index = torch.tensor(owners, dtype=torch.int64)
    found = reduce(leaf, index, 7)
    empty = torch.zeros(3, dtype=torch.float64)
    expected = torch.stack([LOOPS[reduce](twin[index == n]) if n in owners else empty for n in range(7)])
    assert found.shape == (7, 3) and torch.allclose(found, expected, atol=1e-12)
    assert not found[6].any()
    if owners:
        pull = torch.randn(7, 3, dtype=torch.float64)
        (found * pull).sum().backward()
        (expected * pull).sum().backward()
        assert torch.allclose(leaf.grad, twin.grad, atol=1e-12)


@pytest.mark.parametrize("reduce", LOOPS, ids=lambda reduce: reduce.__name__)
def test_segment_reductions_pass_gradcheck(reduce):
    values = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    owners = torch.tensor([2, 0, 0, 2, 3, 0])
    assert torch.autograd.gradcheck(lambda rows: reduce(rows, owners, 5), values)


@pytest.mark.parametrize("reduce", [segment_sum, segment_mean])
def test_rows_may_have_any_shape(reduce):
    values, owners = torch.randn(5, 2, 3, dtype=torch.float64), torch.tensor([1, 0, 1, 1, 3])
    found = reduce(values, owners, 4)
    flat = reduce(values.flatten(1), owners, 4)
    assert found.shape == (4, 2, 3) and torch.equal(found.flatten(1), flat)
    assert torch.allclose(found[1], values[[0, 2, 3]].sum(0) / (3 if reduce is segment_mean else 1))


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_logsumexp_of_large_values_does_not_overflow(scale):
    values = torch.tensor([[scale], [scale], [scale - 50], [0.0], [scale]], requires_grad=True)
    found = segment_logsumexp(values, torch.tensor([0, 0, 1, 2, 2]), 3)
    expected = [scale + 0.6931472, scale - 50, max(scale, 0.0)]
    assert found.squeeze(1).tolist() == pytest.approx(expected, rel=1e-6)
    found.sum().backward()
    assert torch.isfinite(values.grad).all()
    assert values.grad[:3, 0].tolist() == pytest.approx([0.5, 0.5, 1.0], abs=1e-6)
    assert values.grad[3:, 0].tolist() == ([0, 1] if scale > 0 else [1, 0])


def test_logsumexp_of_one_row_is_the_row():
    values = torch.tensor([[3.0, -7.5e3, 0.0]])
    assert torch.equal(segment_logsumexp(values, torch.tensor([0]), 1), values)


# --- softmax inside an owner ----------------------------------------------------------------------------------------


@given(owners=OWNERS)
@settings(max_examples=60, deadline=None)
def test_softmax_runs_inside_each_owner(owners):
    values = torch.randn(len(owners), 3, dtype=torch.float64) * 5
    leaf, twin = values.clone().requires_grad_(), values.clone().requires_grad_()
    index = torch.tensor(owners, dtype=torch.int64)
    found, expected = segment_softmax(leaf, index, 7), torch.zeros(len(owners), 3, dtype=torch.float64)
    for owner in set(owners):
        for column in range(3):
            exponentials = twin[index == owner, column].exp()
            expected[index == owner, column] = exponentials / exponentials.sum()
    assert found.shape == (len(owners), 3) and torch.allclose(found, expected, atol=1e-12)
    if owners:
        pull = torch.randn_like(found)
        (found * pull).sum().backward()
        (expected * pull).sum().backward()
        assert torch.allclose(leaf.grad, twin.grad, atol=1e-12)


def test_softmax_passes_gradcheck():
    values = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    owners = torch.tensor([2, 0, 0, 2, 3, 0])
    assert torch.autograd.gradcheck(lambda rows: segment_softmax(rows, owners, 5), values)


@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_softmax_of_large_values_does_not_overflow(scale):
    """Each owner and each column subtracts its own highest value."""
    values = torch.tensor([[scale, 0.0], [scale, scale], [0.0, -scale], [1.0, -scale]], requires_grad=True)
    found = segment_softmax(values, torch.tensor([0, 0, 1, 1]), 2)
    first = [0.0, 1.0] if scale > 0 else [1.0, 0.0]
    assert found[:2].T.tolist() == [[0.5, 0.5], first]
    assert found[2:].T.flatten().tolist() == pytest.approx([0.2689414, 0.7310586, 0.5, 0.5])
    found.square().sum().backward()
    assert torch.isfinite(values.grad).all()


def test_softmax_of_one_row_is_one():
    values = torch.tensor([[-7.5e3, 0.0, 4.0]])
    assert torch.equal(segment_softmax(values, torch.tensor([1]), 3), torch.ones(1, 3))


@pytest.mark.parametrize("given_kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_at_least_float32(given_kind):
    values = torch.ones(2, dtype=given_kind)
    assert at_least_float32(values).dtype == (torch.float64 if given_kind == torch.float64 else torch.float32)
