"""Rankings of scored triples: golden numbers, loops over thresholds and bins restated, edges, what compute ranks."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.docre_f1.ranking_scores import calibration_error, precision_threshold, theta_scores
from metrics.docre_f1.scores import compute_scores


def test_theta_golden_numbers():
    scores, correct = [0.7, 0.9, 0.8], [True, True, False]
    tuned = theta_scores(scores, correct, gold_count=2)
    assert (tuned["theta"], tuned["rank"]) == (0.7, 3)
    assert tuned["f1"] == pytest.approx(0.8)
    assert tuned["f1"] == tuned["max_f1"]
    tested = theta_scores(scores, correct, gold_count=2, theta=0.7)
    assert tested["rank"] == 2
    assert tested["f1"] == pytest.approx(0.5)
    assert tested["max_f1"] == pytest.approx(0.8)


@settings(max_examples=100, deadline=None)
@given(
    items=st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), min_size=1, max_size=12),
    missed=st.integers(0, 3),
    theta=st.none() | st.integers(-1, 10),
)
def test_theta_scores_equal_the_loop_of_the_source(items: list, missed: int, theta: int | None):
    scores, correct, in_train = zip(*items, strict=True)
    gold_count = sum(correct) + missed
    found = theta_scores(scores, correct, gold_count, in_train, theta)
    ranked = sorted(items, key=lambda item: -item[0])
    for prefix, ign in (("", False), ("ign_", True)):
        hits = known = last = 0
        curve = []
        for rank, (score, hit, train) in enumerate(ranked):
            hits += hit
            known += hit and train
            dropped = known if ign else 0
            precision = 0.0 if hits == dropped else (hits - dropped) / (rank + 1 - dropped)
            recall = hits / max(gold_count, 1)
            curve.append((precision, recall, 2 * precision * recall / (precision + recall + 1e-20)))
            if theta is not None and score > theta:
                last = rank
        if not ign and theta is None:
            cut = max(range(len(curve)), key=lambda rank: curve[rank][2])
        elif theta is not None:
            cut = last
        area = sum((b[1] - a[1]) * (a[0] + b[0]) / 2 for a, b in itertools.pairwise(curve))
        assert found[f"{prefix}f1"] == pytest.approx(curve[cut][2])
        assert found[f"{prefix}precision"] == pytest.approx(curve[cut][0])
        assert found[f"{prefix}max_f1"] == pytest.approx(max(point[2] for point in curve))
        assert found[f"{prefix}auc"] == pytest.approx(area)
    assert found["rank"] == cut + 1


def test_theta_edges():
    with pytest.warns(UserWarning, match="1 scores"):
        found = theta_scores([0.9, math.nan, 0.1], [True, True, False], 2)
    assert (found["rank"], found["precision"], found["recall"]) == (1, 1, 0.5)
    assert theta_scores([], [], 0, in_train=[])["ign_auc"] == 0
    assert theta_scores([0.5], [False], 0)["f1"] == 0
    assert theta_scores(np.array([0.2, 0.2]), np.array([True, False]), 1)["rank"] == 1
    with pytest.raises(ValueError, match="gold_count is 0, but 1"):
        theta_scores([0.5], [True], 0)
    with pytest.raises(ValueError, match=r"correct has shape \(1,\)"):
        theta_scores([0.5, 0.6], [True], 1)


SCORED = st.lists(st.tuples(st.integers(0, 20).map(lambda value: value / 20), st.booleans()), max_size=15)


@settings(max_examples=200, deadline=None)
@given(items=SCORED, precision=st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]))
def test_the_threshold_of_a_precision_is_the_lowest_that_keeps_it(items: list, precision: float):
    scores, correct = zip(*items, strict=True) if items else ((), ())
    found = precision_threshold(scores, correct, precision)
    kept = {limit: [hit for score, hit in items if score >= limit] for limit in scores}
    assert found == min((limit for limit, hits in kept.items() if sum(hits) >= precision * len(hits)), default=None)


@settings(max_examples=200, deadline=None)
@given(items=SCORED, bins=st.sampled_from([1, 4, 10]))
def test_the_calibration_error_equals_the_written_out_sum(items: list, bins: int):
    scores, correct = zip(*items, strict=True) if items else ((), ())
    expected = 0.0
    for number in range(bins):
        inside = [
            (score, hit)
            for score, hit in items
            if (number < score * bins <= number + 1) or (number == 0 and score == 0)
        ]
        if inside:
            confidence = sum(score for score, _ in inside) / len(inside)
            share = sum(hit for _, hit in inside) / len(inside)
            expected += len(inside) / len(items) * abs(share - confidence)
    assert calibration_error(scores, correct, bins) == pytest.approx(expected, abs=1e-12)


def test_compute_ranks_distinct_predicted_relations():
    def document(name: str, relations: list) -> dict:
        entities = [
            {"type": kind, "mentions": [{"sentence": 0, "start": start, "end": start + 1}]}
            for start, kind in enumerate(["PER", "LOC", "ORG"])
        ]
        listed = [dict(zip(("head", "tail", "type", "score"), item, strict=False)) for item in relations]
        return {"id": name, "sentences": [["a", "b", "c"]], "entities": entities, "relations": listed}

    gold = [document("x", [(0, 1, "r"), (1, 2, "r")]), document("y", [(2, 0, "s")])]
    predicted = [
        document("x", [(0, 1, "r", 0.2), (0, 1, "r", 0.9), (1, 0, "r", 0.4), (0, 1, "s", math.nan)]),
        document("z", [(0, 1, "r", 0.7)]),
    ]
    with pytest.warns(UserWarning):
        ranking = compute_scores(predicted, gold, ranking=True)["ranking"]
    types, entities = ranking.pop("types"), ranking.pop("entities")
    assert entities == {"scores": [], "correct": [], "types": [], "gold_count": 6}, "none of them has a score"
    assert ranking == {"scores": [0.9, 0.4, 0.7], "correct": [True, False, False], "gold_count": 3}
    assert types == ["r", "r", "r"]
    assert theta_scores(**ranking)["recall"] == pytest.approx(1 / 3)
    with pytest.warns(UserWarning):
        options = {"symmetric_relations": ["r"], "entities_given": True}
        swapped = compute_scores(predicted[:1], gold[:1], ranking=True, **options)
    once = {"scores": [0.9], "correct": [True], "types": ["r"], "gold_count": 2}
    del swapped["ranking"]["entities"]
    assert swapped["ranking"] == once, "both orders are one relation"
    del predicted[0]["relations"][2]["score"]
    with pytest.raises(ValueError, match="document 'x': the score of a predicted relation is None; a ranking needs"):
        compute_scores(predicted[:1], gold[:1], ranking=True)


def test_compute_ranks_predicted_entities_that_have_a_score():
    def entity(kind: str, *starts: int, score: float | None = None) -> dict:
        mentions = [{"sentence": 0, "start": start, "end": start + 1} for start in starts]
        return {"type": kind, "mentions": mentions, "score": score}

    gold = {"id": "x", "sentences": [["a", "b", "c"]], "entities": [entity("PER", 0, 2), entity("LOC", 1)]}
    found = [
        entity("PER", 0, 2, score=0.6),
        entity("PER", 0, score=0.8),  # lacks a mention
        entity("ORG", 1, score=0.3),  # has another type
        entity("PER", 0, 2, score=0.7),
        entity("LOC", 1),
        entity("", 2, score=0.9),  # a span that is no entity
    ]
    ranking = compute_scores([{**gold, "entities": found}], [gold], ranking=True)["ranking"]
    assert ranking["entities"] == {
        "scores": [0.7, 0.8, 0.3],
        "correct": [True, False, False],
        "types": ["PER", "PER", "ORG"],
        "gold_count": 2,
    }
    assert "entities" not in compute_scores([{"id": "x"}], [gold], entities_given=True, ranking=True)["ranking"]
