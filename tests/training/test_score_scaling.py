"""Scaling against a search over the written-out likelihood; decisions stay, scores move."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pipelines import build, decisive_atlop, decisive_jerex
from scipy.special import expit

from metrics.docre_f1.ranking_scores import calibration_error
from modeling_docre import AtlopConfig, JerexConfig
from modeling_docre.training.score_scaling import SHIFTS, TEMPERATURES, Scaling, fit_scaling, scaling_of, set_scaling


def likelihood(logits, targets, temperature: float, shift: float) -> float:
    total = 0.0
    for value, target in zip(logits, targets, strict=True):
        share = 1 / (1 + math.exp(-(value / temperature + shift)))
        total += target * math.log(share) + (1 - target) * math.log(1 - share)
    return total


@pytest.fixture
def items() -> tuple[np.ndarray, np.ndarray]:
    """Logits, and correctness that has a temperature of 2.5 and a shift of -1."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=400)
    return logits, rng.random(400) < expit(logits / 2.5 - 1)


def test_the_temperature_is_the_most_likely_one(items):
    logits, correct = items
    found = fit_scaling(logits, correct, shifted=False)
    grid = np.exp(np.linspace(0.0, np.log(TEMPERATURES[1]), 1001))
    best = max(grid, key=lambda value: likelihood(logits, correct, value, 0.0))
    assert found == (pytest.approx(best, rel=0.01), 0.0)


def test_temperature_and_shift_are_the_most_likely_ones(items):
    logits, correct = items
    found = fit_scaling(logits, correct)
    right, wrong = correct.sum(), (~correct).sum()
    targets = [(right + 1) / (right + 2) if hit else 1 / (wrong + 2) for hit in correct]
    best = likelihood(logits, targets, *found)
    for temperature in np.linspace(0.9, 1.1, 5) * found.temperature:
        for shift in np.linspace(-0.1, 0.1, 5) + found.shift:
            assert likelihood(logits, targets, temperature, shift) <= best + 1e-6
    assert 2 < found.temperature < 3.2 and -1.4 < found.shift < -0.7
    plain, scaled = (calibration_error(scaling.scores(logits), correct) for scaling in (Scaling(), found))
    assert scaled < plain / 3


def test_edges():
    assert fit_scaling([], []) == (1, 0)
    assert TEMPERATURES[0] <= fit_scaling([-3.0, 3.0], [False, True], shifted=False).temperature < 0.3
    assert fit_scaling([-3.0, 3.0], [True, False], shifted=False).temperature == pytest.approx(TEMPERATURES[1])
    few = fit_scaling([1.0, 2.0, math.inf], [True, True, True])
    assert SHIFTS[0] < few.shift < SHIFTS[1] and few.scores(2.0) < 0.9, "three of three are no certainty"
    assert Scaling(3.0, 0.0).scores(Scaling().logits([0.0, 0.5, 1.0])).tolist() == [0.0, 0.5, 1.0]


def test_thresholds_follow_the_scaling():
    config = JerexConfig(relation_threshold=0.8)
    set_scaling(config, Scaling(2.0, -1.0))
    assert scaling_of(config) == (2, -1) and config.relation_threshold == pytest.approx(expit(math.log(4) / 2 - 1))
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
            found = extract(text, **options)["relations"]
            runs.append({(item["head"], item["tail"], item["type"]): item["score"] for item in found})
        assert runs[0], "the test needs relations"
        assert runs[0].keys() == runs[1].keys() == runs[2].keys()
        for triple, score in runs[2].items():
            assert score == pytest.approx(Scaling(12.0, -0.5).scores(Scaling(6.0).logits(runs[1][triple])), abs=1e-4)


@pytest.mark.parametrize(
    ("option", "value"), [("temperature", 0), ("temperature", -1.0), ("temperature", math.nan), ("shift", math.inf)]
)
def test_an_impossible_scaling_is_refused(option, value):
    with pytest.raises(Exception, match=rf"relation_{option} is .*; give a"):
        JerexConfig(**{f"relation_{option}": value})
