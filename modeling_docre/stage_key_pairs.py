"""Mention pairs as KMGRE sees them: their contexts, and which are key.

A mention pair is key by what it says of the gold relations, or by its own probability. All lists of mention pairs are
flat, with the entity pair of each one in `owners`. The equations compare probabilities; logits are compared in their
place, since probabilities near 0 and 1 round to the same number.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch.utils.checkpoint import checkpoint

from .segments import segment_logsumexp, segment_max, segment_mean
from .stage_localized_context import EPSILON, AttendedText, Block, blocks, pool_block

HeadNorm = Literal["sum_then_norm", "norm_then_sum", "norm_then_mean"]

# What a logit may lack, as a share: the mean of a single value is not always that value, and of equal mention pairs the
# logits may differ by what other documents a batch has.
TOLERANCE = 4e-6


def pool_pairs(text: AttendedText, pairs: Tensor, head_norm: HeadNorm) -> Tensor:
    """The contexts of pairs of mentions, block by block (KMGRE section 3.1, equation 4).

    A training step with several blocks recomputes each of them in its backward pass, so that one block's weights exist
    at a time.

    Args:
        text: the batch, and what its mentions attend to.
        pairs: [unordered, 2], as `unordered_pairs` lists them.
        head_norm: `"sum_then_norm"` normalises the sum of the heads (ATLOP), `"norm_then_sum"` and `"norm_then_mean"`
            normalise each head before; its weights then exist head by head, and blocks are smaller.

    Returns:
        [unordered, hidden].
    """
    listed = blocks(text, pairs, 1 if head_norm == "sum_then_norm" else text.attention.shape[1])
    recompute = torch.is_grad_enabled() and len(listed) > 1
    pool = partial(_pool_block, text, pairs, head_norm)
    contexts = [checkpoint(pool, block, use_reentrant=False) if recompute else pool(block) for block in listed]
    return torch.cat(contexts) if contexts else text.attention.new_zeros(0, text.hidden.shape[1])


def _pool_block(text: AttendedText, pairs: Tensor, head_norm: HeadNorm, block: Block) -> Tensor:
    """The contexts [block's pairs, hidden] of a block's pairs."""
    if head_norm == "sum_then_norm":
        return pool_block(text, pairs, block)[0]
    with torch.autocast(text.attention.device.type, enabled=False):
        attention = text.attention[block.seconds, :, : block.subwords.stop - block.subwords.start]
        first, second = (pairs[block.rows] - block.seconds.start).unbind(1)
        products = attention.index_select(0, first) * attention.index_select(0, second)  # [pairs, heads, subwords]
        scale = 1.0 / (products.sum(2) + EPSILON)  # [pairs, heads]
        if head_norm == "norm_then_mean":
            scale = scale / products.shape[1]
        weights = torch.bmm(scale[:, None], products).squeeze(1)  # [pairs, subwords]
        return weights @ text.hidden[block.subwords].to(weights.dtype)


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
    focus = torch.exp(gamma * logsigmoid(-of_label))
    return -(weights * focus * logsigmoid(of_label)).sum() / max(len(logits), 1)
