"""Calibration of a model's relation scores: what is fitted, what is told, what stays as it was."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from pipelines import decisive_atlop, decisive_jerex
from samples import ANNA, OTTO
from training import trainer

from modeling_docre.calibration import LEAST_SCORE, PRECISIONS, Calibrator
from modeling_docre.temperature import cooled, fit_temperature


def running(model, folder):
    return trainer(model, folder, [ANNA, OTTO])


def ranking(model, folder, threshold: float) -> dict:
    found = running(model, folder)
    predictions = found.predict_documents([ANNA, OTTO], relation_threshold=threshold)
    return found.score(predictions, [ANNA, OTTO], ranking=True)["ranking"]


def test_scores_are_fitted_and_decisions_stay(tmp_path):
    model = decisive_atlop(relation_threshold=0.6)
    before = ranking(model, tmp_path, LEAST_SCORE)
    decided = running(model, tmp_path).predict_documents([ANNA, OTTO])
    calibrator = Calibrator(running(model, tmp_path))
    calibrator.fit([ANNA, OTTO])
    temperature = fit_temperature(before["scores"], before["correct"])
    assert model.config.relation_temperature == pytest.approx(temperature) and abs(temperature - 1) > 0.1
    after = running(model, tmp_path).predict_documents([ANNA, OTTO])
    facts = [[(item.head, item.tail, item.type) for item in document.relations] for document in decided]
    assert [[(item.head, item.tail, item.type) for item in document.relations] for document in after] == facts
    calibrator.fit([ANNA, OTTO])
    assert model.config.relation_temperature == pytest.approx(temperature, rel=1e-3), "fitted once, fitted for good"


def test_the_report_is_about_the_same_relations_at_any_temperature(tmp_path):
    model = decisive_atlop()
    metric = running(model, tmp_path).metric
    before = ranking(model, tmp_path, LEAST_SCORE)
    plain = metric.calibration_error(before["scores"], before["correct"])
    calibrator = Calibrator(running(model, tmp_path))
    assert calibrator.report([ANNA, OTTO])["error"] == pytest.approx(plain)
    calibrator.fit([ANNA, OTTO])
    report = calibrator.report([ANNA, OTTO])
    temperature = model.config.relation_temperature
    assert report["relations"] == len(before["scores"]) and report["temperature"] == temperature
    assert report["error_uncalibrated"] == pytest.approx(plain, abs=1e-4)
    scores, correct = cooled(before["scores"], temperature), np.array(before["correct"])
    assert report["error"] == pytest.approx(metric.calibration_error(scores, correct), abs=1e-4)
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
    found = ranking(model, tmp_path, LEAST_SCORE)
    reachable = max(np.cumsum(np.array(found["correct"])[np.argsort(found["scores"])[::-1]])) > 0
    assert reachable, "the test needs a right relation"
    aim = float(np.mean(found["correct"]))  # all of them together have it
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
