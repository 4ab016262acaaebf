"""The layers that every classifier is built of: a linear layer over a concatenation, and a two-layer network on it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ConcatLinear(nn.Linear):
    """`Linear([a; b; ...])` without the concatenation.

    A linear layer over a concatenation is the sum of one projection per part. Parts that many rows share (the vector
    of a mention that stands in forty pairs) are projected once and added by index. The parameters are those of one
    `nn.Linear` over the concatenated width.

    Args:
        part_sizes: widths of the parts, in the order of the concatenation.
        out_features: width of the result.
    """

    def __init__(self, part_sizes: Sequence[int], out_features: int):
        super().__init__(sum(part_sizes), out_features)
        self.part_sizes = tuple(part_sizes)

    def forward(self, *parts: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Apply the layer to rows whose parts are given separately.

        Args:
            *parts: per part either its rows [rows, size], or a pair of a table [entries, size] and an int64 index
                [rows] into it.

        Returns:
            [rows, out_features].
        """
        weights = self.weight.split(self.part_sizes, dim=1)
        result, bias = None, self.bias  # the first part carries the bias
        for part, weight in zip(parts, weights, strict=True):
            table, index = part if isinstance(part, tuple) else (part, None)
            projected = nn.functional.linear(table, weight, bias)  # [entries or rows, out]
            rows = projected if index is None else projected.index_select(0, index)
            result, bias = rows if result is None else result + rows, None
        return result


class TwoLayer(nn.Module):
    """Linear, ReLU, dropout, linear, on a concatenation of parts (the papers' two-layer feed-forward network).

    Args:
        part_sizes: widths of the input's parts.
        hidden_size: width of the hidden layer.
        out_features: number of outputs.
        dropout: dropout probability after the ReLU.
    """

    def __init__(self, part_sizes: Sequence[int], hidden_size: int, out_features: int, dropout: float):
        super().__init__()
        self.hidden = ConcatLinear(part_sizes, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_size, out_features)

    def forward(self, *parts: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Outputs [rows, out_features] for parts as in `ConcatLinear.forward`."""
        return self.output(self.dropout(torch.relu(self.hidden(*parts))))


class ClampedEmbedding(nn.Embedding):
    """An embedding table for sizes and distances; values beyond the last row share it."""

    def row(self, values: Tensor) -> Tensor:
        """Row numbers int64 [n] of values int64 [n] >= 0."""
        return values.clamp(max=self.num_embeddings - 1)

    def part(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Table and row numbers of values [n], as a part for `ConcatLinear`."""
        return self.weight, self.row(values)

    def forward(self, values: Tensor) -> Tensor:
        """Rows [n, width] of values int64 [n]."""
        return super().forward(self.row(values))
