"""Temperature scaling against a search over the written-out likelihood; decisions stay, scores move."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pipelines import build, decisive_atlop, decisive_jerex
from scipy.special import expit

from metrics.docre_f1.ranking_scores import calibration_error
from modeling_docre import AtlopConfig, JerexConfig
from modeling_docre.temperature import RANGE, cooled, fit_temperature, set_temperature


def likelihood(scores, correct, temperature: float) -> float:
    total = 0.0
    for score, hit in zip(scores, correct, strict=True):
        share = 1 / (1 + math.exp(-math.log(score / (1 - score)) / temperature))
        total += math.log(share if hit else 1 - share)
    return total


def test_the_temperature_is_the_most_likely_one():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=4, size=400)
    scores, correct = expit(logits), rng.random(400) < expit(logits / 2.5)
    found = fit_temperature(scores, correct)
    grid = np.exp(np.linspace(np.log(0.5), np.log(RANGE[1]), 2001))
    best = max(grid, key=lambda value: likelihood(scores, correct, value))
    assert found == pytest.approx(best, rel=0.01)
    assert 2 < found < 3.2
    assert calibration_error(cooled(scores, found), correct) < calibration_error(scores, correct) / 2


def test_edges():
    assert fit_temperature([], []) == 1
    assert fit_temperature([0.0, 1.0], [False, True]) == pytest.approx(RANGE[0], rel=0.01)
    assert fit_temperature([0.0, 1.0], [True, False]) == pytest.approx(RANGE[1], rel=0.01)
    assert cooled(np.array([0.0, 0.5, 1.0]), 3.0).tolist() == [0.0, 0.5, 1.0]


def test_thresholds_follow_the_temperature():
    config = JerexConfig(relation_threshold=0.8)
    set_temperature(config, 2.0)
    assert config.relation_temperature == 2 and config.relation_threshold == pytest.approx(expit(math.log(4) / 2))
    set_temperature(config, 1.0)
    assert config.relation_threshold == pytest.approx(0.8)
    types = AtlopConfig(relation_types=["a", "b"], loss="bce", threshold="per_class", relation_thresholds=[0.2, 0.9])
    set_temperature(types, 0.5)
    assert types.relation_thresholds == pytest.approx([expit(2 * math.log(0.25)), expit(2 * math.log(9))])


def test_the_pipeline_returns_cooled_scores_of_the_same_relations():
    text = "Anna Berg was born in Berlin. She works at the Institute."
    entities = [
        {"type": "PER", "mentions": [{"char_start": 0, "char_end": 9}]},
        {"type": "LOC", "mentions": [{"char_start": 22, "char_end": 28}]},
    ]
    for model, options in ((decisive_jerex(), {}), (decisive_atlop(), {"entities": entities})):
        extract = build(model)
        runs = []
        for temperature in (1.0, 6.0, 12.0):
            set_temperature(model.config, temperature)
            found = extract(text, **options)["relations"]
            runs.append({(item["head"], item["tail"], item["type"]): item["score"] for item in found})
        assert runs[0], "the test needs relations"
        assert runs[0].keys() == runs[1].keys() == runs[2].keys()
        for triple, score in runs[2].items():
            assert score == pytest.approx(cooled(runs[1][triple], 2.0), abs=1e-4)
            assert 0.5 < score < runs[1][triple] <= runs[0][triple] or score <= 0.5


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf])
def test_an_impossible_temperature_is_refused(value):
    with pytest.raises(Exception, match=r"relation_temperature is .*; give a number greater than 0"):
        JerexConfig(relation_temperature=value)
