"""Heads against the layers of torch on the concatenation itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modeling_docre import layers as heads
from modeling_docre.layers import ClampedEmbedding, ConcatLinear, DropoutLinear, GroupedBilinear, TwoLayer

SIZES = (4, 3, 2)


def inputs() -> tuple[list[torch.Tensor], list[torch.Tensor | None]]:
    """Two shared tables with an index each, and one part given row by row."""
    tables = [torch.randn(5, 4), torch.randn(2, 3), torch.randn(7, 2)]
    index = [torch.tensor([0, 4, 4, 2, 1, 0, 3]), torch.tensor([1, 1, 0, 0, 1, 0, 1]), None]
    return [table.double().requires_grad_() for table in tables], index


def parts_of(tables, index):
    return [table if rows is None else (table, rows) for table, rows in zip(tables, index, strict=True)]


def concatenated(tables, index):
    rows = [table if chosen is None else table[chosen] for table, chosen in zip(tables, index, strict=True)]
    return torch.cat(rows, dim=1)


def test_state_dict_is_that_of_one_linear_layer():
    ours, plain = ConcatLinear(SIZES, 6), nn.Linear(9, 6)
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    plain.load_state_dict(ours.state_dict())
    assert isinstance(ours, nn.Linear)


def test_values_and_gradients_equal_a_linear_layer_over_the_concatenation():
    ours, plain = ConcatLinear(SIZES, 6).double(), nn.Linear(9, 6).double()
    plain.load_state_dict(ours.state_dict())
    tables, index = inputs()
    weight = torch.randn(7, 6).double()
    result = ours(*parts_of(tables, index))
    (result * weight).sum().backward()
    gradients = [table.grad.clone() for table in tables]
    for table in tables:
        table.grad = None
    expected = plain(concatenated(tables, index))
    (expected * weight).sum().backward()
    assert torch.allclose(result, expected, atol=1e-12)
    for table, gradient in zip(tables, gradients, strict=True):
        assert torch.allclose(table.grad, gradient, atol=1e-12)
    assert torch.allclose(ours.weight.grad, plain.weight.grad, atol=1e-12)
    assert torch.allclose(ours.bias.grad, plain.bias.grad, atol=1e-12)


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_part_too_many_or_too_few_is_refused(parts):
    with pytest.raises(ValueError):
        ConcatLinear(SIZES, 6)(*[torch.randn(2, size) for size in (*SIZES, 2)[:parts]])


def test_a_part_of_the_wrong_width_is_refused():
    with pytest.raises(RuntimeError):
        ConcatLinear(SIZES, 6)(torch.randn(2, 3), torch.randn(2, 4), torch.randn(2, 2))


def test_two_layers_are_linear_relu_linear():
    layer = TwoLayer(SIZES, 8, 5, dropout=0.5).double().eval()
    tables, index = inputs()
    hidden = concatenated(tables, index) @ layer.hidden.weight.T + layer.hidden.bias
    expected = hidden.clamp(min=0) @ layer.output.weight.T + layer.output.bias
    assert torch.allclose(layer(*parts_of(tables, index)), expected, atol=1e-12)


def test_dropout_acts_between_the_layers_in_training_only():
    layer = TwoLayer([4], 64, 5, dropout=0.5)
    rows = torch.randn(3, 4)
    assert not torch.allclose(layer(rows), layer(rows))
    layer.eval()
    assert torch.equal(layer(rows), layer(rows))
    layer.train()
    layer.dropout.p = 1.0
    assert torch.allclose(layer(rows), layer.output.bias.expand(3, 5))


def test_no_rows_give_no_rows():
    layer = TwoLayer([4, 2], 3, 5, dropout=0.0)
    none = torch.zeros(0, dtype=torch.int64)
    assert layer((torch.randn(2, 4), none), (torch.randn(3, 2), none)).shape == (0, 5)


def test_values_beyond_the_table_share_its_last_row():
    table = ClampedEmbedding(4, 2)
    values = torch.tensor([0, 3, 4, 999])
    assert torch.equal(table(values), table.weight[[0, 3, 3, 3]])
    weight, rows = table.part(values)
    assert torch.equal(weight[rows], table(values))
    table(values).sum().backward()
    assert table.weight.grad[:, 0].tolist() == [1, 0, 0, 3]


# --- the grouped bilinear layer -------------------------------------------------------------------------------------


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
    monkeypatch.setattr(heads, "PRODUCT_ROWS_ON_CPU", 7)
    monkeypatch.setattr(heads, "PRODUCT_COLUMNS", columns)
    layer = GroupedBilinear(24, groups, 5).double()
    assert_equals_linear_over_products(layer, groups, rows, 24)


def test_more_rows_than_a_block_of_the_usual_size():
    assert_equals_linear_over_products(GroupedBilinear(12, 3, 2).double(), 3, heads.PRODUCT_ROWS_ON_CPU + 3, 12)


def test_blocks_of_products_stay_within_their_bounds(monkeypatch):
    made = []
    products = heads._products

    def noting(left, right):
        made.append((len(left), left.shape[1] * right.shape[1]))
        return products(left, right)

    monkeypatch.setattr(heads, "_products", noting)
    monkeypatch.setattr(heads, "PRODUCT_ROWS_ON_CPU", 4)
    monkeypatch.setattr(heads, "PRODUCT_COLUMNS", 30)
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
    monkeypatch.setattr(heads, "PRODUCT_ROWS_ON_CPU", 2)
    monkeypatch.setattr(heads, "PRODUCT_COLUMNS", 4)
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


def test_dropout_on_the_input_is_that_of_a_linear_layer_over_the_concatenation():
    torch.manual_seed(0)
    layer = DropoutLinear([3, 2], 4, dropout=0.5).train()
    table, rows = torch.randn(5, 3), torch.randn(6, 2)
    index = torch.tensor([0, 4, 4, 1, 2, 4])
    torch.manual_seed(1)
    found = layer((table, index), rows)
    torch.manual_seed(1)
    dropped = torch.nn.functional.dropout(torch.cat([table[index], rows], dim=1), 0.5)
    torch.testing.assert_close(found, torch.nn.functional.linear(dropped, layer.weight, layer.bias))
    whole = torch.nn.functional.linear(torch.cat([table[index], rows], dim=1), layer.weight, layer.bias)
    torch.testing.assert_close(layer.eval()((table, index), rows), whole)
    layer.train().dropout.p = 0.0
    torch.testing.assert_close(layer((table, index), rows), whole)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
