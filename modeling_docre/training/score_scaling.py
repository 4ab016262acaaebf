"""Scaling of relation logits, after which scores are close to the share of relations that are right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit


class Scaling(NamedTuple):
    """What makes a score of a logit: sigmoid(logit / temperature + shift). The order of the scores stays.

    A temperature above 1 moves scores towards 0.5, the shift all of them up or down: of the relations between found
    entities fewer are right than of those between the entities of the training data.
    """

    temperature: float = 1.0
    shift: float = 0.0

    def logits(self, scores: Any) -> np.ndarray:
        """The logits of scores from 0 to 1; those of 0 and 1 are infinite."""
        with np.errstate(divide="ignore"):
            return (logit(np.asarray(scores, dtype=np.float64)) - self.shift) * self.temperature

    def scores(self, logits: Any) -> np.ndarray:
        """The scores of logits."""
        return expit(np.asarray(logits, dtype=np.float64) / self.temperature + self.shift)


TEMPERATURES = (0.05, 20.0)
SHIFTS = (-20.0, 20.0)
"""The temperatures and shifts that are tried."""


def fit_scaling(
    logits: Sequence[float] | np.ndarray, correct: Sequence[bool] | np.ndarray, shifted: bool = True
) -> Scaling:
    """The scaling under which what is correct is most likely.

    Args:
        logits: logit of each item, shape [n]; infinite ones count as ±16.
        correct: whether the item is correct, shape [n].
        shifted: whether there is a shift beside the temperature.

    Returns:
        The scaling; that which changes nothing without items.

    Source: Platt, Probabilistic Outputs for Support Vector Machines (1999), section 2, with its targets; without the
    shift the temperature of Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
    """
    values, hits = np.clip(np.asarray(logits, dtype=np.float64), -16, 16), np.asarray(correct, dtype=bool)
    if not len(values):
        return Scaling()
    right, wrong = int(hits.sum()), int((~hits).sum())
    targets = np.where(hits, (right + 1) / (right + 2), 1 / (wrong + 2)) if shifted else hits.astype(np.float64)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, shift = np.exp(-parameters[0]), parameters[1] if shifted else 0.0
        scaled = slope * values + shift
        error = expit(scaled) - targets
        gradient = np.array([-(error * values).mean() * slope, error.mean()])
        return float((np.logaddexp(0.0, scaled) - targets * scaled).mean()), gradient[: 1 + shifted]

    bounds = [tuple(np.log(TEMPERATURES)), SHIFTS]
    found = minimize(loss, np.zeros(1 + shifted), jac=True, method="L-BFGS-B", bounds=bounds[: 1 + shifted])
    return Scaling(float(np.exp(found.x[0])), float(found.x[1]) if shifted else 0.0)


def scaling_of(config: Any) -> Scaling:
    """The scaling of a model's relation scores."""
    return Scaling(config.relation_temperature, config.relation_shift)


def set_scaling(config: Any, scaling: Scaling) -> None:
    """Give the relation scores of a model another scaling; its thresholds follow, so that it decides as before.

    Args:
        config: the model's configuration, which is changed.
        scaling: the new one.
    """
    before = scaling_of(config)
    config.relation_temperature, config.relation_shift = map(float, scaling)
    for name in ("relation_threshold", "relation_thresholds"):
        if (value := getattr(config, name, None)) is not None:
            setattr(config, name, scaling.scores(before.logits(value)).tolist())
