"""Temperature scaling: relation scores that come close to the share of relations that are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

RANGE = (0.05, 20.0)
"""The temperatures that are tried."""


def fit_temperature(scores: Sequence[float] | np.ndarray, correct: Sequence[bool] | np.ndarray) -> float:
    """The temperature under which the scores make what is correct most likely.

    It is what logits are divided by, so that a score becomes sigmoid(logit(score) / temperature): above 1 it moves all
    scores towards 0.5, below 1 away from it. Their order stays.

    Args:
        scores: score of each item, from 0 to 1, shape [n].
        correct: whether the item is correct, shape [n].

    Returns:
        A temperature in `RANGE`; 1 without items.

    Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
    """
    hits = np.asarray(correct, dtype=bool)
    logits = logit(np.clip(np.asarray(scores, dtype=np.float64), 1e-7, 1 - 1e-7))
    if not len(logits):
        return 1.0
    signed = np.where(hits, logits, -logits)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -signed / np.exp(log_temperature)).mean())

    found = minimize_scalar(loss, bounds=np.log(RANGE), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def cooled(score: Any, temperature: float) -> Any:
    """A score from 0 to 1, or an array of them, at another temperature."""
    with np.errstate(divide="ignore"):  # 0 and 1 stay what they are
        return expit(logit(score) / temperature)


def set_temperature(config: Any, temperature: float) -> None:
    """Give the relation scores of a model another temperature; its thresholds follow, so that it decides as before.

    Args:
        config: the model's configuration, which is changed.
        temperature: the new one.
    """
    change = temperature / config.relation_temperature
    config.relation_temperature = float(temperature)
    for name in ("relation_threshold", "relation_thresholds"):
        if (value := getattr(config, name, None)) is not None:
            setattr(config, name, cooled(np.asarray(value, dtype=np.float64), change).tolist())
