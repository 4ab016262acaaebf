"""What relation scores are worth: their temperature, the thresholds that reach a precision, and the curve of both."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .documents import Document
from .temperature import cooled, fit_temperature, set_temperature
from .trainer_docre import DocRETrainer

logger = logging.getLogger(__name__)

PRECISIONS = (0.5, 0.6, 0.7)
"""The shares of right relations for which a threshold is told."""

LEAST_SCORE = 0.05
"""Relations that score less at temperature 1 come through no sensible threshold, and say nothing of those that do."""

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
        if least_precision is not None and not isinstance(self.config.relation_cut.threshold, float | int):
            raise ValueError(
                'least_precision sets one relation threshold, and with threshold="per_class" each type has its own; '
                "leave out one of them"
            )

    def fit(self, documents: Sequence[Document]) -> None:
        """Set the temperature, and the threshold where a precision was asked for."""
        before = self.config.relation_temperature
        ranking = self._ranking(documents)
        metric, correct = self.trainer.metric, ranking["correct"]
        temperature = fit_temperature(cooled(ranking["scores"], 1 / before), correct)
        set_temperature(self.config, temperature)
        scores = cooled(ranking["scores"], temperature / before)
        self.thresholds = {value: metric.precision_threshold(scores, correct, value) for value in PRECISIONS}
        logger.info("relation_temperature: %.3f", temperature)
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
            `temperature`; `error` and `error_uncalibrated`, the calibration errors with it and without; `relations`,
            the number of relations that they are taken over; `thresholds`, for each of `PRECISIONS` the fitted
            `threshold` (None where it is out of reach) with its `precision` and `recall` here; and `curve`, rows of
            threshold, precision and recall.
        """
        ranking = self._ranking(documents)
        scores, correct = np.array(ranking["scores"]), np.array(ranking["correct"], dtype=bool)
        temperature, error = self.config.relation_temperature, self.trainer.metric.calibration_error
        return {
            "temperature": temperature,
            "error": error(scores, correct),
            "error_uncalibrated": error(cooled(scores, 1 / temperature), correct),
            "relations": len(scores),
            "thresholds": [
                {"aim": aim, "threshold": value} | ({} if value is None else _precision_recall(ranking, value))
                for aim, value in self.thresholds.items()
            ],
            "curve": [[float(value), *_precision_recall(ranking, value).values()] for value in _CURVE],
        }

    def _ranking(self, documents: Sequence[Document]) -> dict[str, Any]:
        """Scores and correctness of the relations that score at least `LEAST_SCORE` at temperature 1."""
        least = float(cooled(LEAST_SCORE, self.config.relation_temperature))
        predictions = self.trainer.predict_documents(documents, relation_threshold=least)
        return self.trainer.score(predictions, documents, ranking=True)["ranking"]


def _precision_recall(ranking: Mapping[str, Any], threshold: float) -> dict[str, float]:
    """Precision and recall of the relations from a score on."""
    kept = np.array(ranking["scores"]) >= threshold
    hits = int((kept & np.array(ranking["correct"], dtype=bool)).sum())
    return {"precision": hits / max(int(kept.sum()), 1), "recall": hits / max(ranking["gold_count"], 1)}
