"""Layers against the layers of torch on the concatenation itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from modeling_docre.layers import ClampedEmbedding, ConcatLinear, TwoLayer
from modeling_docre.modeling_spert import DropoutLinear

SIZES = (4, 3, 2)


def inputs(entries: int = 5) -> tuple[list[torch.Tensor], list[torch.Tensor | None]]:
    """Two shared tables with an index each, the first of so many entries, and one part given row by row."""
    tables = [torch.randn(entries, 4), torch.randn(2, 3), torch.randn(7, 2)]
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


@pytest.mark.parametrize("entries", [5, 9])  # fewer and more than rows
def test_values_and_gradients_equal_a_linear_layer_over_the_concatenation(entries):
    ours, plain = ConcatLinear(SIZES, 6).double(), nn.Linear(9, 6).double()
    plain.load_state_dict(ours.state_dict())
    tables, index = inputs(entries)
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
    weight, rows = table.part(values)
    assert torch.equal(weight[rows], table.weight[[0, 3, 3, 3]])
    weight[rows].sum().backward()
    assert table.weight.grad[:, 0].tolist() == [1, 0, 0, 3]


# --- the grouped bilinear layer -------------------------------------------------------------------------------------


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
