"""A bilinear layer in groups, whose products are made and multiplied block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

# Products of two vectors' elements that exist at once: on a CPU few enough to stay in its cache.
PRODUCT_COLUMNS, PRODUCT_ROWS, PRODUCT_ROWS_ON_CPU = 4096, 8192, 512


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

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Outputs [rows, out_features] of inputs [rows, size] each, in float32 (float64 for such inputs)."""
        weight, device = self.linear.weight, left.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
            left, right, weight = left.to(kind), right.to(kind), weight.to(kind)
        with torch.autocast(device, enabled=False):
            result = _BlockwiseBilinear.apply(left, right, weight, self.group_size)
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
