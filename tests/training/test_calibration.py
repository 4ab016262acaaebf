"""Calibration of a model's scores: what is fitted, what the report says, what stays as it was."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from pipelines import build, decisive_atlop, decisive_jerex
from samples import ANNA, OTTO
from scipy.special import expit
from training import trainer

from metrics.docre_f1.ranking_scores import calibration_error, precision_threshold
from modeling_docre import AtlopConfig, JerexConfig
from modeling_docre.decoding import Scaling
from modeling_docre.training.calibration import (
    LEAST_SCORE,
    SHIFTS,
    TEMPERATURES,
    Calibrator,
    fit_scaling,
    logits_of,
    scores_of,
    set_scaling,
)

DOCUMENTS = [ANNA, OTTO]


def ranking(running: Any, threshold: float) -> dict:
    predictions = running.predict_documents(DOCUMENTS, relation_threshold=threshold)
    return running.score(predictions, DOCUMENTS, ranking=True)["ranking"]


def facts(running: Any) -> list:
    documents = running.predict_documents(DOCUMENTS)
    return [[(item.head, item.tail, item.type) for item in document.relations] for document in documents]


# --- the scaling --------------------------------------------------------------------------------------------------


@pytest.fixture
def items() -> tuple[np.ndarray, np.ndarray]:
    """Logits, and correctness that has a temperature of 2.5 and a shift of -1."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=400)
    return logits, rng.random(400) < expit(logits / 2.5 - 1)


def likelihood(logits: np.ndarray, targets: Any, temperature: float, shift: float) -> float:
    shares, targets = 1 / (1 + np.exp(-(logits / temperature + shift))), np.asarray(targets)
    return float((targets * np.log(shares) + (1 - targets) * np.log(1 - shares)).sum())


def test_the_temperature_is_the_most_likely_one(items):
    logits, correct = items
    fitted = fit_scaling(logits, correct, shifted=False)
    grid = np.exp(np.linspace(0.0, np.log(TEMPERATURES[1]), 1001))
    best = max(grid, key=lambda value: likelihood(logits, correct, value, 0.0))
    assert fitted == (pytest.approx(best, rel=0.01), 0.0)


def test_temperature_and_shift_are_the_most_likely_ones(items):
    logits, correct = items
    fitted = fit_scaling(logits, correct)
    right, wrong = correct.sum(), (~correct).sum()
    targets = [(right + 1) / (right + 2) if hit else 1 / (wrong + 2) for hit in correct]
    best = likelihood(logits, targets, *fitted)
    for temperature in np.linspace(0.9, 1.1, 5) * fitted.temperature:
        for shift in np.linspace(-0.1, 0.1, 5) + fitted.shift:
            assert likelihood(logits, targets, temperature, shift) <= best + 1e-6
    assert 2 < fitted.temperature < 3.2 and -1.4 < fitted.shift < -0.7
    plain, scaled = (calibration_error(scores_of(logits, scaling), correct) for scaling in (Scaling(), fitted))
    assert scaled < plain / 3


def test_edges_of_fitting():
    assert fit_scaling([], []) == (1, 0)
    assert TEMPERATURES[0] <= fit_scaling([-3.0, 3.0], [False, True], shifted=False).temperature < 0.3
    assert fit_scaling([-3.0, 3.0], [True, False], shifted=False).temperature == pytest.approx(TEMPERATURES[1])
    few = fit_scaling([1.0, 2.0, math.inf], [True, True, True])
    assert SHIFTS[0] < few.shift < SHIFTS[1] and scores_of(2.0, few) < 0.9, "three of three are no certainty"
    for scaling in (Scaling(), Scaling(3.0, 0.0), Scaling(0.5, -1.0)):
        assert scores_of(logits_of([0.0, 0.5, 1.0], scaling), scaling).tolist() == [0.0, 0.5, 1.0]


def test_thresholds_follow_the_scaling():
    config = JerexConfig(relation_threshold=0.8, named_thresholds=[["precise", 0.8], ["everything", 0.1]])
    set_scaling(config, Scaling(2.0, -1.0))
    moved = [
        [name, pytest.approx(expit(math.log(odds) / 2 - 1))] for name, odds in (("precise", 4), ("everything", 1 / 9))
    ]
    assert config.named_thresholds == moved
    set_scaling(config, Scaling(3.0, 1.0), "entity")
    assert Scaling.of(config, "entity") == (3, 1) and config.named_thresholds == moved, "entities have no threshold"
    assert Scaling.of(config) == (2, -1) and config.relation_threshold == pytest.approx(expit(math.log(4) / 2 - 1))
    set_scaling(config, Scaling())
    assert config.relation_threshold == pytest.approx(0.8)
    types = AtlopConfig(relation_types=["a", "b"], loss="bce", threshold="per_class", relation_thresholds=[0.2, 0.9])
    set_scaling(types, Scaling(0.5))
    assert types.relation_thresholds == pytest.approx([expit(2 * math.log(0.25)), expit(2 * math.log(9))])


def test_the_pipeline_returns_scaled_scores_of_the_same_relations():
    text = "Anna Berg was born in Berlin. She works at the Institute."
    entities = [
        {"type": "PER", "mentions": [{"char_start": 0, "char_end": 9}]},
        {"type": "LOC", "mentions": [{"char_start": 22, "char_end": 28}]},
    ]
    for model, options in ((decisive_jerex(), {}), (decisive_atlop(), {"entities": entities})):
        extract = build(model)
        runs = []
        for scaling in (Scaling(), Scaling(6.0), Scaling(12.0, -0.5)):
            set_scaling(model.config, scaling)
            relations = extract(text, **options)["relations"]
            runs.append({(item["head"], item["tail"], item["type"]): item["score"] for item in relations})
        assert runs[0], "the test needs relations"
        assert runs[0].keys() == runs[1].keys() == runs[2].keys()
        for triple, score in runs[2].items():
            expected = scores_of(logits_of(runs[1][triple], Scaling(6.0)), Scaling(12.0, -0.5))
            assert score == pytest.approx(float(expected), abs=1e-4)


def test_an_impossible_scaling_is_refused():
    for level in ("relation", "entity"):
        for option, value in (
            ("temperature", 0),
            ("temperature", -1.0),
            ("temperature", math.nan),
            ("shift", math.inf),
        ):
            with pytest.raises(Exception, match=rf"{level}_{option} is .*; give a"):
                JerexConfig(**{f"{level}_{option}": value})


def test_a_fitted_map_lowers_the_calibration_error_of_entity_scores():
    """Type probabilities times linkage of a hand-made sample that is too sure: half of what scores 0.9 is right."""
    groups = ((0.99, 20, 14), (0.9, 20, 10), (0.6, 20, 5), (0.2, 10, 1), (1.0, 10, 8))
    scores = [score for score, count, _ in groups for _ in range(count)]
    correct = [number < right for _, count, right in groups for number in range(count)]
    assert calibration_error(scores, correct) == pytest.approx((5.8 + 8 + 7 + 1 + 2) / 80)
    fitted = fit_scaling(logits_of(scores, Scaling()), correct)
    rescored = fitted.rescore(np.array(scores)).tolist()
    assert calibration_error(rescored, correct) < 0.5 * calibration_error(scores, correct)
    order = [rescored[scores.index(score)] for score in (0.2, 0.6, 0.9, 0.99, 1.0)]
    assert order == sorted(order) and order[-1] < 1, "a score of 1 is no certainty"


# --- the calibrator -----------------------------------------------------------------------------------------------


def test_scores_are_fitted_and_decisions_stay(tmp_path):
    model = decisive_atlop(relation_threshold=0.6)
    running = trainer(model, tmp_path, DOCUMENTS)
    before, decided = ranking(running, LEAST_SCORE), facts(running)
    calibrator = Calibrator(running)
    calibrator.fit(DOCUMENTS)
    expected = fit_scaling(logits_of(before["scores"], Scaling()), before["correct"])
    assert Scaling.of(model.config) == pytest.approx(expected, abs=1e-3)
    assert abs(expected.temperature - 1) > 0.1 and abs(expected.shift) > 0.1
    assert facts(running) == decided and any(decided)
    calibrator.fit(DOCUMENTS)
    assert Scaling.of(model.config) == pytest.approx(expected, abs=0.02), "fitting twice changes nothing"


def test_the_report_is_about_the_same_relations_in_any_scaling(tmp_path, monkeypatch):
    model = decisive_atlop()
    running = trainer(model, tmp_path, DOCUMENTS)
    before = ranking(running, LEAST_SCORE)
    logits, correct = logits_of(before["scores"], Scaling()), np.array(before["correct"])
    plain = calibration_error(before["scores"], correct)
    precisions = (float(correct.mean()), 1.0)  # all of the relations together have the first
    monkeypatch.setattr("modeling_docre.training.calibration.PRECISIONS", precisions)
    calibrator = Calibrator(running)
    assert calibrator.report(DOCUMENTS)["error"] == pytest.approx(plain)
    calibrator.fit(DOCUMENTS)
    report, scaling = calibrator.report(DOCUMENTS), Scaling.of(model.config)
    scores = scores_of(logits, scaling)
    assert (report["temperature"], report["shift"], report["relations"]) == (*scaling, len(scores))
    assert report["error_unscaled"] == pytest.approx(plain, abs=1e-3)
    assert report["error"] == pytest.approx(calibration_error(scores, correct), abs=1e-3)
    alone = scores_of(logits, fit_scaling(logits, correct, shifted=False))
    assert report["error_temperature"] == pytest.approx(calibration_error(alone, correct), abs=1e-3)
    assert report["error"] < report["error_temperature"] <= report["error_unscaled"]
    assert [row["aim"] for row in report["thresholds"]] == list(precisions)
    reached = [row for row in report["thresholds"] if row["threshold"] is not None]
    assert reached, "the test needs a precision that is reached"
    for row in report["thresholds"]:
        expected = precision_threshold(scores, correct, row["aim"])
        assert row["threshold"] == (None if expected is None else pytest.approx(expected, abs=1e-4))
    for row in reached:
        kept = scores >= row["threshold"]
        assert row["recall"] == pytest.approx(correct[kept].sum() / before["gold_count"])
        assert row["precision"] == pytest.approx(correct[kept].mean())
        assert row["precision"] >= row["aim"], "these are the documents that it was fitted to"


def test_a_precision_sets_the_threshold(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    model = decisive_atlop()
    running = trainer(model, tmp_path, DOCUMENTS)
    aim = float(np.mean(ranking(running, LEAST_SCORE)["correct"]))  # all of them together have it
    assert aim > 0, "the test needs a right relation"
    Calibrator(running, least_precision=aim).fit(DOCUMENTS)
    fitted = ranking(running, 0.0)
    kept = np.array(fitted["scores"]) >= model.config.relation_threshold
    assert np.array(fitted["correct"])[kept].mean() >= aim
    wrong = trainer(decisive_jerex(relation_threshold=0.7), tmp_path, DOCUMENTS)
    Calibrator(wrong, least_precision=1.0).fit(DOCUMENTS)
    assert "no relation threshold reaches a precision of 1.0; it stays at 0." in caplog.text


def test_one_threshold_cannot_be_set_where_each_type_has_its_own(tmp_path):
    model = decisive_atlop(loss="bce", threshold="per_class")
    with pytest.raises(ValueError, match="each type has its own"):
        Calibrator(trainer(model, tmp_path, DOCUMENTS), least_precision=0.5)


def test_entity_scores_are_fitted_like_those_of_relations(tmp_path):
    model = decisive_jerex(task="entity", seed=1)
    running = trainer(model, tmp_path, DOCUMENTS)

    def entities() -> list[tuple[str, float]]:
        return [
            (entity.type, entity.score) for item in running.predict_documents(DOCUMENTS) for entity in item.entities
        ]

    before = entities()
    truth = [entity.type for document in DOCUMENTS for entity in document.entities]
    correct = [kind == right for (kind, _), right in zip(before, truth, strict=True)]
    assert 0 < sum(correct) < len(correct), "the test needs right and wrong entities"
    scores = [score for _, score in before]
    calibrator = Calibrator(running)
    assert calibrator.report(DOCUMENTS)["entity"]["error"] == pytest.approx(calibration_error(scores, correct))
    calibrator.fit(DOCUMENTS)
    fitted = Scaling.of(model.config, "entity")
    assert fitted == pytest.approx(fit_scaling(logits_of(scores, Scaling()), correct), abs=1e-3) and fitted != Scaling()
    assert Scaling.of(model.config) == Scaling(), "it finds no relations"
    after = entities()
    assert [kind for kind, _ in after] == [kind for kind, _ in before]
    assert [score for _, score in after] == pytest.approx(fitted.rescore(np.array(scores)).tolist())
    report = calibrator.report(DOCUMENTS)["entity"]
    assert report["entities"] == len(scores) and (report["temperature"], report["shift"]) == fitted
    assert report["error_unscaled"] == pytest.approx(calibration_error(scores, correct), abs=1e-6)
    assert report["error"] == pytest.approx(calibration_error([score for _, score in after], correct), abs=1e-6)
    assert report["error"] < report["error_unscaled"]
    model.save_pretrained(tmp_path / "saved")
    assert Scaling.of(type(model).from_pretrained(tmp_path / "saved").config, "entity") == fitted
    given = Calibrator(trainer(decisive_atlop(), tmp_path, DOCUMENTS))
    given.fit(DOCUMENTS)
    assert "entity" not in given.report(DOCUMENTS), "entities that are given have no score"
