"""Relation scores over a ranking of all scored triples: the best F1, F1 at a threshold, and the area under the curve.

The inputs are arrays over all (document, ordered entity pair, relation type), because a corpus has millions of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np


def theta_scores(
    scores: Sequence[float] | np.ndarray,
    correct: Sequence[bool] | np.ndarray,
    gold_count: int,
    in_train: Sequence[bool] | np.ndarray | None = None,
    theta: float | None = None,
) -> dict[str, float]:
    """F1 at a given or tuned threshold over a ranking of triples, and the area under the curve.

    Triples are ranked by score, ties in the order given (by convention document, head, tail, type). Without `theta`,
    the cut is the first rank with the largest F1, and its score becomes `theta`. With `theta`, the cut is the last rank
    whose score is strictly greater, or rank 1 if none is. The item at theta itself is dropped, as in the source.

    Args:
        scores: score of each triple, shape [n]. Triples with a score that is NaN or infinite count as not predicted.
        correct: whether the triple is gold, shape [n].
        gold_count: number of gold triples, including those that were not scored; 0 counts as 1.
        in_train: whether the triple is a fact of the training split, shape [n]; adds the Ign scores.
        theta: threshold found on development data.

    Returns:
        `theta`, `rank` (number of triples kept), `precision`, `recall` and `f1` at the cut, `max_f1` and `auc`; with
        `in_train` also `ign_precision` and `ign_f1` at the same cut, `ign_max_f1` and `ign_auc`. Fractions.

    Raises:
        ValueError: the arrays differ in length, are not flat, or hold more correct triples than `gold_count`.

    Source: evaluation of the DocRED baselines (DocRED section 5).
    """
    values, hits, known = _ranked(scores, correct, in_train)
    hit_count = int(hits.sum())
    if hit_count > gold_count:
        raise ValueError(f"gold_count is {gold_count}, but {hit_count} triples are correct; count all gold triples")
    if not len(values):
        return _no_ranking(theta, known is not None)
    hits_by_rank = np.cumsum(hits)
    ranks = np.arange(1, len(values) + 1)
    recall = hits_by_rank / max(gold_count, 1)
    precision = hits_by_rank / ranks
    f1 = _f1(precision, recall)
    cut = _cut(values, f1, theta)
    result = {
        "theta": float(values[cut] if theta is None else theta),
        "rank": cut + 1,
        "precision": float(precision[cut]),
        "recall": float(recall[cut]),
        "f1": float(f1[cut]),
        "max_f1": float(f1.max()),
        "auc": _area(recall, precision),
    }
    return result if known is None else result | _ign_scores(hits_by_rank, np.cumsum(hits & known), ranks, recall, cut)


def precision_threshold(
    scores: Sequence[float] | np.ndarray, correct: Sequence[bool] | np.ndarray, precision: float
) -> float | None:
    """The lowest threshold at which at least this share of the items is correct; None if there is none.

    Args:
        scores: score of each item, shape [n]; as in `theta_scores`.
        correct: whether the item is correct, shape [n].
        precision: the share, from 0 to 1.
    """
    values, hits, _ = _ranked(scores, correct, None)
    shares = np.cumsum(hits) / np.arange(1, len(values) + 1)
    last_of_score = np.append(values[1:] < values[:-1], True)  # a threshold keeps all items of its score
    reached = np.flatnonzero(last_of_score[: len(values)] & (shares >= precision))
    return float(values[reached[-1]]) if len(reached) else None


def calibration_error(
    scores: Sequence[float] | np.ndarray, correct: Sequence[bool] | np.ndarray, bins: int = 10
) -> float:
    """The expected calibration error: how far scores are from the share of correct items.

    Items are put into bins of equal width by their score. The result is the mean over the items of the distance between
    their bin's mean score and its share of correct items; 0 without items.

    Args:
        scores: score of each item, from 0 to 1, shape [n]; as in `theta_scores`.
        correct: whether the item is correct, shape [n].
        bins: number of bins.

    Source: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), equation 3.
    """
    values, hits, _ = _ranked(scores, correct, None)
    if not len(values):
        return 0.0
    index = np.clip(np.ceil(values * bins).astype(int) - 1, 0, bins - 1)  # right ends belong to their bins
    return float(np.abs(np.bincount(index, values - hits)).sum() / len(values))


def _ranked(scores: Any, correct: Any, in_train: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The arrays in descending order of score, without the triples whose score is not finite."""
    values = np.asarray(scores, dtype=np.float64)
    hits = np.asarray(correct, dtype=bool)
    known = None if in_train is None else np.asarray(in_train, dtype=bool)
    for name, array in (("scores", values), ("correct", hits), ("in_train", known)):
        if array is not None and array.shape != (len(values),):
            raise ValueError(f"{name} has shape {array.shape}; give one flat array of {values.size} items each")
    finite = np.isfinite(values)
    if not finite.all():
        dropped = int((~finite).sum())
        warnings.warn(f"{dropped} scores are NaN or infinite and count as not predicted", stacklevel=3)
    order = np.flatnonzero(finite)
    order = order[np.argsort(-values[order], kind="stable")]
    return values[order], hits[order], None if known is None else known[order]


def _cut(values: np.ndarray, f1: np.ndarray, theta: float | None) -> int:
    """Index of the last rank that is kept."""
    if theta is None:
        return int(f1.argmax())
    return max(int(np.count_nonzero(values > theta)) - 1, 0)


def _ign_scores(
    hits: np.ndarray, hits_in_train: np.ndarray, ranks: np.ndarray, recall: np.ndarray, cut: int
) -> dict[str, float]:
    new = hits - hits_in_train
    precision = np.where(new == 0, 0.0, new / np.maximum(ranks - hits_in_train, 1))
    f1 = _f1(precision, recall)
    return {
        "ign_precision": float(precision[cut]),
        "ign_f1": float(f1[cut]),
        "ign_max_f1": float(f1.max()),
        "ign_auc": _area(recall, precision),
    }


def _f1(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    return 2 * precision * recall / (precision + recall + 1e-20)


def _area(recall: np.ndarray, precision: np.ndarray) -> float:
    """Area under precision over recall by the trapezoid rule, from the first rank to the last; 0 for a single rank."""
    return float(((recall[1:] - recall[:-1]) * (precision[1:] + precision[:-1]) / 2).sum())


def _no_ranking(theta: float | None, with_ign: bool) -> dict[str, float]:
    names = ["precision", "recall", "f1", "max_f1", "auc"]
    names += ["ign_precision", "ign_f1", "ign_max_f1", "ign_auc"] if with_ign else []
    return {"theta": 0.0 if theta is None else float(theta), "rank": 0} | dict.fromkeys(names, 0.0)
