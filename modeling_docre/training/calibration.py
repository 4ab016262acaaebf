"""What scores are worth: the scaling that fits them, and the relation thresholds that reach a precision."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.decoding import Scaling
from modeling_docre.documents import Document

if TYPE_CHECKING:
    from .trainer import DocRETrainer

logger = logging.getLogger(__name__)

PRECISIONS = (0.5, 0.6, 0.7)
"""The shares of right relations for which the report gives a threshold."""

LEAST_SCORE = 0.05
"""Relations with a lower unscaled score pass no sensible threshold, and say nothing about those that do."""

MARGIN = 1e-6
"""Thresholds lie so far below the last score that they keep: each pass over the documents rounds it anew."""

TEMPERATURES = (0.05, 20.0)
SHIFTS = (-20.0, 20.0)
"""The ranges in which temperature and shift are fitted."""


class Calibrator:
    """Fits the scores of a trained model to documents, and reports how well they fit others.

    Args:
        trainer: the trainer; `fit` changes the configuration of its model.
        least_precision: the share of right relations that the model's relation threshold has to reach, where that is
            possible; None keeps the threshold, so that the model decides as before.

    Raises:
        ValueError: a threshold is to be set, and the model has one for each relation type.
    """

    def __init__(self, trainer: DocRETrainer, least_precision: float | None = None):
        self.trainer, self.config = trainer, trainer.model.config
        self.least_precision = least_precision
        self.thresholds: dict[float, float | None] = {}
        self.temperature_alone: dict[str, Scaling] = {}
        if least_precision is not None and not isinstance(self.config.traits.relation_cut.threshold, float | int):
            raise ValueError(
                'least_precision sets one relation threshold, and with threshold="per_class" each type has its own; '
                "leave out one of them"
            )

    def fit(self, documents: Sequence[Document]) -> None:
        """Set the scalings of relations and entities, and the threshold where a precision was asked for."""
        rankings = self._rankings(documents)
        for level, (logits, correct, _) in rankings.items():
            set_scaling(self.config, fit_scaling(logits, correct), level)
            self.temperature_alone[level] = fit_scaling(logits, correct, shifted=False)
            scaling = Scaling.of(self.config, level)
            logger.info("%s_temperature: %.3f, %s_shift: %.3f", level, scaling.temperature, level, scaling.shift)
        self._fit_thresholds(rankings["relation"])

    def _fit_thresholds(self, ranking: _Ranking) -> None:
        scores = scores_of(ranking.logits, Scaling.of(self.config))

        def fitted(precision: float) -> float | None:
            last = self.trainer.metric.precision_threshold(scores, ranking.correct, precision)
            return None if last is None else max(0.0, last - MARGIN)

        self.thresholds = {value: fitted(value) for value in PRECISIONS}
        if self.least_precision is None:
            return
        threshold = fitted(self.least_precision)
        if threshold is None:
            logger.warning(
                "no relation threshold reaches a precision of %s; it stays at %s",
                *(self.least_precision, self.config.relation_threshold),
            )
        else:
            self.config.relation_threshold = threshold
            logger.info("relation_threshold: %.3f", threshold)

    def report(self, documents: Sequence[Document]) -> dict[str, Any]:
        """How well the scores fit documents.

        Returns:
            `temperature` and `shift` of relations; the calibration errors `error` with both, `error_temperature` with a
            temperature fitted alone, and `error_unscaled` with neither; `relations`, the number of relations that the
            errors are means over; and `thresholds`, for each of `PRECISIONS` (`aim`) the fitted `threshold` (None where
            none reaches it) with its `precision` and `recall` here. For a model that scores entities, `entity` has
            temperature, shift and errors of these, over so many `entities`.
        """
        rankings = self._rankings(documents)
        relations, scaling = rankings.pop("relation"), Scaling.of(self.config)
        report: dict[str, Any] = {
            **self._errors("relation", relations),
            "relations": len(relations.logits),
            "thresholds": [
                {"aim": aim, "threshold": value} | ({} if value is None else relations.from_score(value, scaling))
                for aim, value in self.thresholds.items()
            ],
        }
        for level, ranking in rankings.items():
            report[level] = self._errors(level, ranking) | {"entities": len(ranking.logits)}
        return report

    def _errors(self, level: str, ranking: _Ranking) -> dict[str, float]:
        """The scaling of a level, and the calibration errors with and without it."""

        def error(scaling: Scaling) -> float:
            return self.trainer.metric.calibration_error(scores_of(ranking.logits, scaling), ranking.correct)

        scaling = Scaling.of(self.config, level)
        return {
            "temperature": scaling.temperature,
            "shift": scaling.shift,
            "error": error(scaling),
            "error_temperature": error(self.temperature_alone.get(level, Scaling())),
            "error_unscaled": error(Scaling()),
        }

    def _rankings(self, documents: Sequence[Document]) -> dict[str, _Ranking]:
        """The relations that score at least `LEAST_SCORE` unscaled, and the entities, where a model scores any.

        An entity is right if its mentions and its type are those of a gold one.
        """
        least = float(scores_of(logits_of(LEAST_SCORE, Scaling()), Scaling.of(self.config)))
        predictions = self.trainer.predict_documents(documents, relation_threshold=least)
        found = self.trainer.score(predictions, documents, ranking=True)["ranking"]
        rankings = {"relation": _Ranking.of(found, Scaling.of(self.config))}
        if found.get("entities", {}).get("scores"):
            rankings["entity"] = _Ranking.of(found["entities"], Scaling.of(self.config, "entity"))
        return rankings


class _Ranking(NamedTuple):
    """Logits [n] and correctness [n] of predicted relations or entities, and how many are gold."""

    logits: np.ndarray
    correct: np.ndarray
    gold_count: int

    @classmethod
    def of(cls, ranking: Mapping[str, Any], scaling: Scaling) -> _Ranking:
        """A ranking of docre_f1, of scores after a scaling."""
        return cls(logits_of(ranking["scores"], scaling), np.array(ranking["correct"], bool), ranking["gold_count"])

    def from_score(self, threshold: float, scaling: Scaling) -> dict[str, float]:
        """Precision and recall of the relations from a score on."""
        kept = scores_of(self.logits, scaling) >= threshold
        hits = int((kept & self.correct).sum())
        return {"precision": hits / max(int(kept.sum()), 1), "recall": hits / max(self.gold_count, 1)}


def scores_of(logits: Any, scaling: Scaling) -> np.ndarray:
    """The scores of a model's logits, float64 of any shape."""
    return expit(scaling.scale(np.asarray(logits, dtype=np.float64)))


def logits_of(scores: Any, scaling: Scaling) -> np.ndarray:
    """The model's logits of scores from 0 to 1, float64 of any shape; those of 0 and 1 are infinite."""
    with np.errstate(divide="ignore"):
        return (logit(np.asarray(scores, dtype=np.float64)) - scaling.shift) * scaling.temperature


def fit_scaling(
    logits: Sequence[float] | np.ndarray, correct: Sequence[bool] | np.ndarray, shifted: bool = True
) -> Scaling:
    """The scaling under which what is correct is most likely.

    Args:
        logits: logit of each item, shape [n]; infinite ones count as ±16.
        correct: whether the item is correct, shape [n].
        shifted: whether there is a shift beside the temperature.

    Returns:
        The scaling; without items the one that changes nothing.

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
    best = minimize(loss, np.zeros(1 + shifted), jac=True, method="L-BFGS-B", bounds=bounds[: 1 + shifted]).x
    return Scaling(float(np.exp(best[0])), float(best[1]) if shifted else 0.0)


def set_scaling(config: DocREConfig, scaling: Scaling, level: str = "relation") -> None:
    """Give the scores of a model another scaling; its thresholds of relations follow, so that it decides as before.

    Args:
        config: the model's configuration, which is changed.
        scaling: the new one.
        level: `"relation"`, or `"entity"`: entity scores decide nothing.
    """
    before = Scaling.of(config, level)
    setattr(config, f"{level}_temperature", float(scaling.temperature))
    setattr(config, f"{level}_shift", float(scaling.shift))
    if level != "relation":
        return

    def moved(threshold: Any) -> Any:
        return scores_of(logits_of(threshold, before), scaling).tolist()

    for name in ("relation_threshold", "relation_thresholds"):
        if (value := getattr(config, name, None)) is not None:
            setattr(config, name, moved(value))
    config.named_thresholds = [[name, moved(value)] for name, value in config.named_thresholds]
