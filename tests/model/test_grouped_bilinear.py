"""The bilinear layer in groups against a linear layer over all products."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modeling_docre import stage_pairs
from modeling_docre.stage_pairs import GroupedBilinear


def grouped_products(left: torch.Tensor, right: torch.Tensor, groups: int) -> torch.Tensor:
    """All products inside groups, group by group, the left element outer."""
    size = left.shape[1] // groups
    blocks = [
        (a[:, :, None] * b[:, None, :]).reshape(len(left), size * size)
        for a, b in zip(left.split(size, 1), right.split(size, 1), strict=True)
    ]
    return torch.cat(blocks, dim=1)


def assert_equals_linear_over_products(layer: GroupedBilinear, groups: int, rows: int, size: int) -> None:
    """Values and the gradients of both inputs, weight and bias."""
    plain = nn.Linear(*layer.linear.weight.shape[::-1]).double()
    plain.load_state_dict(layer.linear.state_dict())
    left, right = torch.randn(2, rows, size).double()
    pull = torch.randn(rows, layer.linear.out_features).double()
    inputs = [value.clone().requires_grad_() for value in (left, right, left, right)]
    found = layer(*inputs[:2])
    expected = plain(grouped_products(*inputs[2:], groups))
    assert found.dtype == torch.float64 and torch.allclose(found, expected, atol=1e-10)
    (found * pull).sum().backward()
    (expected * pull).sum().backward()
    assert torch.allclose(inputs[0].grad, inputs[2].grad, atol=1e-10)
    assert torch.allclose(inputs[1].grad, inputs[3].grad, atol=1e-10)
    assert torch.allclose(layer.linear.weight.grad, plain.weight.grad, atol=1e-10)
    assert torch.allclose(layer.linear.bias.grad, plain.bias.grad, atol=1e-10)
    assert rows == 0 or layer.linear.weight.grad.any()


@pytest.mark.parametrize("columns", [1, 10, 100, 4096])
@pytest.mark.parametrize("rows", [0, 1, 7, 8, 20])
@pytest.mark.parametrize("groups", [1, 3, 12])
def test_grouped_bilinear_is_linear_over_the_products(groups, rows, columns, monkeypatch):
    monkeypatch.setattr(stage_pairs, "PRODUCT_ROWS_ON_CPU", 7)
    monkeypatch.setattr(stage_pairs, "PRODUCT_COLUMNS", columns)
    layer = GroupedBilinear(24, groups, 5).double()
    assert_equals_linear_over_products(layer, groups, rows, 24)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("rows", [0, 1, 20])
def test_what_is_not_wanted_of_a_row_is_minus_infinity_and_the_rest_is_as_ever(groups, rows, monkeypatch):
    monkeypatch.setattr(stage_pairs, "PRODUCT_ROWS_ON_CPU", 7)
    layer = GroupedBilinear(24, groups, 5).double()
    left, right = torch.randn(2, rows, 24).double()
    outputs = torch.tensor([[1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()
    kinds = torch.arange(rows).flip(0) % 4
    found, every = layer(left, right, kinds, outputs), layer(left, right)
    assert found.dtype == torch.float64 and found.shape == (rows, 5)
    assert torch.allclose(found, every.masked_fill(~outputs[kinds], -torch.inf), atol=1e-12)


def test_more_rows_than_a_block_of_the_usual_size():
    assert_equals_linear_over_products(GroupedBilinear(12, 3, 2).double(), 3, stage_pairs.PRODUCT_ROWS_ON_CPU + 3, 12)


def test_blocks_of_products_stay_within_their_bounds(monkeypatch):
    made = []
    products = stage_pairs._products

    def noting(left, right):
        made.append((len(left), left.shape[1] * right.shape[1]))
        return products(left, right)

    monkeypatch.setattr(stage_pairs, "_products", noting)
    monkeypatch.setattr(stage_pairs, "PRODUCT_ROWS_ON_CPU", 4)
    monkeypatch.setattr(stage_pairs, "PRODUCT_COLUMNS", 30)
    layer = GroupedBilinear(24, 3, 2)  # groups of 8: three of a group's rows of products at once
    layer(*torch.randn(2, 10, 24, requires_grad=True)).sum().backward()
    assert max(rows for rows, _ in made) == 4 and max(columns for _, columns in made) == 24
    assert len(made) == 2 * 3 * 3 * 3  # forward and backward, runs of rows, groups, parts of a group


def test_one_group_is_the_bilinear_form():
    layer = GroupedBilinear(6, 1, 4).double()
    left, right = torch.randn(2, 3, 6).double()
    for row in range(3):
        for out in range(4):
            form = left[row] @ layer.linear.weight[out].view(6, 6) @ right[row] + layer.linear.bias[out]
            assert layer(left, right)[row, out].item() == pytest.approx(form.item(), abs=1e-12)


def test_twelve_groups_of_64_have_49152_columns():
    layer = GroupedBilinear(768, 12, 97)
    assert layer.linear.weight.shape == (97, 49_152)
    assert sum(value.numel() for value in layer.parameters()) == 49_152 * 97 + 97
    with torch.device("meta"):
        assert GroupedBilinear(768, 1, 97).linear.weight.numel() == 57_212_928


def test_gradients_of_the_grouped_bilinear_layer_pass_gradcheck(monkeypatch):
    monkeypatch.setattr(stage_pairs, "PRODUCT_ROWS_ON_CPU", 2)
    monkeypatch.setattr(stage_pairs, "PRODUCT_COLUMNS", 4)
    layer = GroupedBilinear(6, 2, 3).double()
    inputs = torch.randn(2, 3, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda pair: layer(*pair), inputs)


def test_autocast_gives_float32_close_to_full_precision_with_gradients():
    layer = GroupedBilinear(96, 12, 5)
    left, right = torch.randn(2, 40, 96).tanh().unbind()
    inputs = [value.clone().requires_grad_() for value in (left, right, left, right)]
    expected = layer(*inputs[2:])
    expected.square().sum().backward()
    wanted = [inputs[2].grad, inputs[3].grad, layer.linear.weight.grad.clone(), layer.linear.bias.grad.clone()]
    layer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(*inputs[:2])
        loss = found.square().sum()
    loss.backward()
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=0.03) and not torch.equal(found, expected)
    got = [inputs[0].grad, inputs[1].grad, layer.linear.weight.grad, layer.linear.bias.grad]
    for ours, exact in zip(got, wanted, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - exact).norm() < 0.02 * exact.norm()


def test_a_layer_in_half_precision_answers_in_float32():
    layer, inputs = GroupedBilinear(24, 3, 5), torch.randn(2, 9, 24).bfloat16()
    half = GroupedBilinear(24, 3, 5).bfloat16()
    half.load_state_dict(layer.state_dict())
    found = half(*inputs)
    assert found.dtype == torch.float32
    assert torch.allclose(found, half.float()(*inputs.float()), atol=0.05)
