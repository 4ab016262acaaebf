"""Which mention pairs of an entity pair are key: by what they say of the gold relations, and by their own probability.

All lists of mention pairs are flat, with the entity pair of each one in `owners`. The equations compare probabilities;
logits are compared in their place, since probabilities near 0 and 1 round to the same number.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from .segments import segment_logsumexp, segment_max, segment_mean

# What a logit may lack, as a share: the mean of a single value is not always that value, and of equal mention pairs the
# logits may differ by what other documents a batch has.
TOLERANCE = 4e-6


def assign_labels(logits: Tensor, labels: Tensor, owners: Tensor) -> Tensor:
    """The gold types of its entity pair that a mention pair states at least as clearly as the mean (KMGRE equation 9).

    A mention pair with a type is key: that is its pseudo label in the E-step.

    Args:
        logits: [mention pairs, types], of the probabilities.
        labels: [entity pairs, types], 0 or 1.
        owners: [mention pairs], int64.

    Returns:
        [mention pairs, types], bool.
    """
    # The logit of the mean, log(mean p / mean (1 - p)); the numbers of mention pairs cancel. [entity pairs, types]
    yes, no = (segment_logsumexp(logsigmoid(values), owners, len(labels)) for values in (logits, -logits))
    return labels.bool()[owners] & _reaches(logits, (yes - no)[owners])


def select_key_pairs(logits: Tensor, owners: Tensor, count: int, xi: float, tau: float) -> Tensor:
    """The mention pairs that reach the relaxed threshold of their entity pair (KMGRE equations 12 to 14).

    The threshold is the mean probability plus `xi` times the range, at most `tau`, and at most the highest
    probability: each entity pair has a key mention pair. Mention pairs below it by rounding are still key, so that of
    equal ones all are.

    Args:
        logits: [mention pairs], of the probabilities.
        owners: [mention pairs], int64.
        count: number of entity pairs.
        xi: the relaxation.
        tau: the cap.

    Returns:
        [mention pairs], bool.
    """
    column = logits[:, None]
    # The threshold and what it lacks to 1, each without a difference of numbers close to 1. [entity pairs, 1]
    threshold, rest = (
        _relaxed(values.sigmoid(), owners, count, xi * sign) for values, sign in ((column, 1), (-column, -1))
    )
    cap = torch.logit(torch.tensor(tau)).item()
    wanted = (threshold.log() - rest.clamp(min=0).log()).clamp(max=cap)
    return _reaches(column, torch.minimum(wanted, segment_max(column, owners, count))[owners]).squeeze(1)


def _relaxed(values: Tensor, owners: Tensor, count: int, xi: float) -> Tensor:
    """The mean of values [mention pairs, 1] plus `xi` times their range, [entity pairs, 1]."""
    highest, lowest = segment_max(values, owners, count), -segment_max(-values, owners, count)
    return segment_mean(values, owners, count) + xi * (highest - lowest)


def _reaches(logits: Tensor, thresholds: Tensor) -> Tensor:
    """Whether logits are at least the thresholds, but for rounding."""
    return logits >= thresholds - TOLERANCE * (1 + thresholds.abs())
