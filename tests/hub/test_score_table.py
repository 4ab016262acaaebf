"""Scores by level and as a table."""

from __future__ import annotations

from modeling_docre.hub.score_table import score_table, scored_levels

SCORES = {
    "relation_precision": 0.5,
    "relation_recall": 0.25,
    "relation_f1": 1 / 3,
    "ign_precision": 0.4,
    "ign_f1": 0.3,
    "macro_entity_precision": 1.0,
    "macro_entity_recall": 0.5,
    "macro_entity_f1": 2 / 3,
    "reported": {"macro_entity": {}},
}


def test_levels_are_those_that_were_scored_and_reported():
    found = scored_levels(SCORES, ("mention", "relation", "ign"))
    assert list(found) == ["relation", "ign", "macro_entity"]
    assert found["ign"] == {"precision": 0.4, "recall": 0.25, "f1": 0.3}


def test_the_table_is_aligned_and_in_percent():
    assert score_table(SCORES).splitlines() == [
        "                   precision    recall        F1",
        "relation               50.00     25.00     33.33",
        "ign                    40.00     25.00     30.00",
        "macro entity          100.00     50.00     66.67",
    ]
