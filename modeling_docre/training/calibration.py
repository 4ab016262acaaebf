"""What relation scores are worth: their scaling, the thresholds that reach a precision, the curve of precision."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from modeling_docre.documents import Document

from .score_scaling import Scaling, fit_scaling, scaling_of, set_scaling
from .trainer import DocRETrainer

logger = logging.getLogger(__name__)

PRECISIONS = (0.5, 0.6, 0.7)
"""The shares of right relations for which a threshold is told."""

LEAST_SCORE = 0.05
"""Relations that score less without scaling come through no sensible threshold, and say nothing of those that do."""

_CURVE = np.linspace(0.01, 0.99, 99)


class Calibrator:
    """Fits the scores of a trained model to documents, and tells how well they fit to others.

    Args:
        trainer: the trainer; `fit` changes the configuration of its model.
        least_precision: the share of right relations that the model's relation threshold has to reach, where it is
            possible; None leaves the threshold at the decisions that it makes.

    Raises:
        ValueError: a threshold is to be set, and the model has one for each relation type.
    """

    def __init__(self, trainer: DocRETrainer, least_precision: float | None = None):
        self.trainer, self.config = trainer, trainer.model.config
        self.least_precision = least_precision
        self.thresholds: dict[float, float | None] = {}
        self.temperature_alone = Scaling()
        if least_precision is not None and not isinstance(self.config.traits.relation_cut.threshold, float | int):
            raise ValueError(
                'least_precision sets one relation threshold, and with threshold="per_class" each type has its own; '
                "leave out one of them"
            )

    def fit(self, documents: Sequence[Document]) -> None:
        """Set the scaling, and the threshold where a precision was asked for."""
        logits, correct, _ = self._ranking(documents)
        scaling = fit_scaling(logits, correct)
        set_scaling(self.config, scaling)
        scores, metric = scaling.scores(logits), self.trainer.metric
        self.temperature_alone = fit_scaling(logits, correct, shifted=False)
        self.thresholds = {value: metric.precision_threshold(scores, correct, value) for value in PRECISIONS}
        logger.info("relation_temperature: %.3f, relation_shift: %.3f", *scaling)
        if self.least_precision is None:
            return
        threshold = metric.precision_threshold(scores, correct, self.least_precision)
        if threshold is None:
            logger.warning(
                "no relation threshold reaches a precision of %s; it stays at %s",
                *(self.least_precision, self.config.relation_threshold),
            )
        else:
            self.config.relation_threshold = threshold
            logger.info("relation_threshold: %.3f", threshold)

    def report(self, documents: Sequence[Document]) -> dict[str, Any]:
        """How the scores fit to documents.

        Returns:
            `temperature` and `shift`; the calibration errors `error` with both, `error_temperature` with a temperature
            fitted alone, and `error_unscaled` with neither; `relations`, the number of relations that they are taken
            over; `thresholds`, for each of `PRECISIONS` the fitted `threshold` (None where it is out of reach) with its
            `precision` and `recall` here; and `curve`, rows of threshold, precision and recall.
        """
        logits, correct, gold_count = self._ranking(documents)
        scaling, error = scaling_of(self.config), self.trainer.metric.calibration_error
        found = _Judged(scaling.scores(logits), correct, gold_count)
        return {
            "temperature": scaling.temperature,
            "shift": scaling.shift,
            "error": error(found.scores, correct),
            "error_temperature": error(self.temperature_alone.scores(logits), correct),
            "error_unscaled": error(Scaling().scores(logits), correct),
            "relations": len(logits),
            "thresholds": [
                {"aim": aim, "threshold": value} | ({} if value is None else found.from_score(value))
                for aim, value in self.thresholds.items()
            ],
            "curve": [[float(value), *found.from_score(value).values()] for value in _CURVE],
        }

    def _ranking(self, documents: Sequence[Document]) -> tuple[np.ndarray, np.ndarray, int]:
        """Logits and correctness of the relations that score at least `LEAST_SCORE` unscaled, and how many are gold."""
        scaling = scaling_of(self.config)
        least = float(scaling.scores(Scaling().logits(LEAST_SCORE)))
        predictions = self.trainer.predict_documents(documents, relation_threshold=least)
        ranking = self.trainer.score(predictions, documents, ranking=True)["ranking"]
        return scaling.logits(ranking["scores"]), np.array(ranking["correct"], dtype=bool), ranking["gold_count"]


class _Judged(NamedTuple):
    """Scores and correctness of predicted relations, and how many are gold."""

    scores: np.ndarray
    correct: np.ndarray
    gold_count: int

    def from_score(self, threshold: float) -> dict[str, float]:
        """Precision and recall of the relations from a score on."""
        kept = self.scores >= threshold
        hits = int((kept & self.correct).sum())
        return {"precision": hits / max(int(kept.sum()), 1), "recall": hits / max(self.gold_count, 1)}
