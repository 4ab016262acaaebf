"""Calibration of a model's relation scores: what is fitted, what is told, what stays as it was."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from pipelines import decisive_atlop, decisive_jerex
from samples import ANNA, OTTO
from training import trainer

from modeling_docre.training.calibration import LEAST_SCORE, PRECISIONS, Calibrator
from modeling_docre.training.score_scaling import Scaling, fit_scaling, scaling_of


def running(model: Any, folder: Any) -> Any:
    return trainer(model, folder, [ANNA, OTTO])


def ranking(model: Any, folder: Any, threshold: float) -> dict:
    found = running(model, folder)
    predictions = found.predict_documents([ANNA, OTTO], relation_threshold=threshold)
    return found.score(predictions, [ANNA, OTTO], ranking=True)["ranking"]


def facts(model: Any, folder: Any) -> list:
    documents = running(model, folder).predict_documents([ANNA, OTTO])
    return [[(item.head, item.tail, item.type) for item in document.relations] for document in documents]


def test_scores_are_fitted_and_decisions_stay(tmp_path):
    model = decisive_atlop(relation_threshold=0.6)
    before, decided = ranking(model, tmp_path, LEAST_SCORE), facts(model, tmp_path)
    calibrator = Calibrator(running(model, tmp_path))
    calibrator.fit([ANNA, OTTO])
    expected = fit_scaling(Scaling().logits(before["scores"]), before["correct"])
    assert scaling_of(model.config) == pytest.approx(expected, abs=1e-3)
    assert abs(expected.temperature - 1) > 0.1 and abs(expected.shift) > 0.1
    assert facts(model, tmp_path) == decided and any(decided)
    calibrator.fit([ANNA, OTTO])
    assert scaling_of(model.config) == pytest.approx(expected, abs=0.02), "fitted once, fitted for good"


def test_the_report_is_about_the_same_relations_in_any_scaling(tmp_path):
    model = decisive_atlop()
    metric, before = running(model, tmp_path).metric, ranking(model, tmp_path, LEAST_SCORE)
    logits, correct = Scaling().logits(before["scores"]), np.array(before["correct"])
    plain = metric.calibration_error(before["scores"], correct)
    calibrator = Calibrator(running(model, tmp_path))
    assert calibrator.report([ANNA, OTTO])["error"] == pytest.approx(plain)
    calibrator.fit([ANNA, OTTO])
    report, scaling = calibrator.report([ANNA, OTTO]), scaling_of(model.config)
    scores = scaling.scores(logits)
    assert (report["temperature"], report["shift"], report["relations"]) == (*scaling, len(scores))
    assert report["error_unscaled"] == pytest.approx(plain, abs=1e-3)
    assert report["error"] == pytest.approx(metric.calibration_error(scores, correct), abs=1e-3)
    alone = fit_scaling(logits, correct, shifted=False).scores(logits)
    assert report["error_temperature"] == pytest.approx(metric.calibration_error(alone, correct), abs=1e-3)
    assert report["error"] < report["error_temperature"] <= report["error_unscaled"]
    assert [row["aim"] for row in report["thresholds"]] == list(PRECISIONS)
    for row in report["thresholds"]:
        expected = metric.precision_threshold(scores, correct, row["aim"])
        assert row["threshold"] == (None if expected is None else pytest.approx(expected, abs=1e-4))
        if row["threshold"] is not None:
            assert row["precision"] >= row["aim"], "these are the documents that it was fitted to"
    for threshold, precision, recall in report["curve"][::20]:
        kept = scores >= threshold
        assert recall == pytest.approx(correct[kept].sum() / before["gold_count"])
        assert precision == pytest.approx(correct[kept].sum() / max(kept.sum(), 1))


def test_a_precision_sets_the_threshold(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    model = decisive_atlop()
    aim = float(np.mean(ranking(model, tmp_path, LEAST_SCORE)["correct"]))  # all of them together have it
    assert aim > 0, "the test needs a right relation"
    Calibrator(running(model, tmp_path), least_precision=aim).fit([ANNA, OTTO])
    fitted = ranking(model, tmp_path, 0.0)
    kept = np.array(fitted["scores"]) >= model.config.relation_threshold
    assert np.array(fitted["correct"])[kept].mean() >= aim
    wrong = decisive_jerex(relation_threshold=0.7)
    Calibrator(running(wrong, tmp_path), least_precision=1.0).fit([ANNA, OTTO])
    assert "no relation threshold reaches a precision of 1.0; it stays at 0." in caplog.text


def test_one_threshold_cannot_be_set_where_each_type_has_its_own(tmp_path):
    model = decisive_atlop(loss="bce", threshold="per_class")
    with pytest.raises(ValueError, match="each type has its own"):
        Calibrator(running(model, tmp_path), least_precision=0.5)
