"""Losses: means over real samples; a stage without samples contributes zero."""

from __future__ import annotations

import torch
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


def adaptive_threshold_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Adaptive-threshold loss: gold types rank above the threshold class, all others below it (ATLOP section 4).

    Per pair, `-sum over gold types r of log softmax(r)` among the gold types and the threshold class, plus
    `-log softmax(threshold)` among the other types and the threshold class; mean over the pairs.

    Args:
        logits: [pairs, 1 + types], float, the threshold class first.
        labels: [pairs, types], 0 or 1.

    Returns:
        A scalar; zero (with a gradient of zero) where there are no pairs.
    """
    logits, gold = logits.float(), labels.bool()
    threshold, types = logits[:, :1], logits[:, 1:]
    minus_infinity = float("-inf")
    above = torch.cat([threshold, types.masked_fill(~gold, minus_infinity)], dim=1).logsumexp(1)  # [pairs]
    below = torch.cat([threshold, types.masked_fill(gold, minus_infinity)], dim=1).logsumexp(1)  # [pairs]
    first = gold.sum(1) * above - types.masked_fill(~gold, 0.0).sum(1)
    second = below - threshold.squeeze(1)
    return (first + second).sum() / max(len(logits), 1)


def focal_loss(logits: Tensor, labels: Tensor, gamma: float, alpha: float, balanced: bool = False) -> Tensor:
    """Focal loss of binary decisions, mean over the samples (KMGRE equations 10 and 11).

    Per sample `-alpha * (1 - p)^gamma * log p`, where p is the probability of its label.

    Args:
        logits: [samples], float.
        labels: [samples], bool.
        gamma: how much less a sample counts that is decided well.
        alpha: weight of the samples.
        balanced: negative samples have the weight `1 - alpha` instead.

    Returns:
        A scalar; zero (with a gradient of zero) where there are no samples.
    """
    of_label = torch.where(labels, logits.float(), -logits.float())  # the logit of the label
    weights = torch.where(labels, alpha, 1.0 - alpha) if balanced else alpha
    focus = torch.exp(gamma * nn.functional.logsigmoid(-of_label))
    return -(weights * focus * nn.functional.logsigmoid(of_label)).sum() / max(len(logits), 1)
