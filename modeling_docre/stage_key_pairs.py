"""Which mention pairs of an entity pair are key: by what they say of the gold relations, and by their own probability.

All lists of mention pairs are flat, with the entity pair of each one in `owners`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .segments import segment_max, segment_mean

# What a mention pair may lack: the mean of a single value is not always that value, and of equal mention pairs the
# scores may differ by what other documents a batch has.
TOLERANCE = 1e-6


def assign_labels(scores: Tensor, labels: Tensor, owners: Tensor) -> Tensor:
    """The gold types of its entity pair that a mention pair states at least as clearly as the mean (KMGRE equation 9).

    A mention pair with a type is key: that is its pseudo label in the E-step.

    Args:
        scores: [mention pairs, types], probabilities.
        labels: [entity pairs, types], 0 or 1.
        owners: [mention pairs], int64.

    Returns:
        [mention pairs, types], bool.
    """
    means = segment_mean(scores, owners, len(labels))  # [entity pairs, types]
    return labels.bool()[owners] & (scores >= means[owners] - TOLERANCE)


def select_key_pairs(scores: Tensor, owners: Tensor, count: int, xi: float, tau: float) -> Tensor:
    """The mention pairs that reach the relaxed threshold of their entity pair (KMGRE equations 12 to 14).

    The threshold is the mean probability plus `xi` times the range, at most `tau`, and at most the highest
    probability: each entity pair has a key mention pair. Mention pairs `TOLERANCE` below it are still key, so that of
    equal ones all are.

    Args:
        scores: [mention pairs], probabilities.
        owners: [mention pairs], int64.
        count: number of entity pairs.
        xi: the relaxation.
        tau: the cap.

    Returns:
        [mention pairs], bool.
    """
    column = scores[:, None]
    highest, lowest = segment_max(column, owners, count), -segment_max(-column, owners, count)  # [entity pairs, 1]
    threshold = segment_mean(column, owners, count) + xi * (highest - lowest)
    return (column >= torch.minimum(threshold.clamp(max=tau), highest)[owners] - TOLERANCE).squeeze(1)
