"""Losses: means over real samples; a stage without samples contributes zero."""

from __future__ import annotations

from torch import Tensor, nn


def binary_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of independent decisions: summed over the types of a sample, mean over the samples.

    JEREX's release sums the relation loss over the types, where the paper only speaks of an average over samples.

    Args:
        logits: [samples] or [samples, types], float.
        labels: the same shape, 0 or 1, float.

    Returns:
        A scalar; zero (with a gradient of zero) where there are no samples.
    """
    total = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")
    return total / max(len(labels), 1)


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of exclusive classes, mean over the samples.

    Args:
        logits: [samples, classes], float.
        labels: [samples], int64.

    Returns:
        A scalar; zero (with a gradient of zero) where there are no samples.
    """
    return nn.functional.cross_entropy(logits.float(), labels, reduction="sum") / max(len(labels), 1)
