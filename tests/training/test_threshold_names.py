"""Thresholds with a name: what they stand for, and where they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from samples import ANNA, OTTO
from tiny import tiny_atlop, tiny_jerex
from training import spread, trainer

from modeling_docre import JerexConfig
from modeling_docre.training.thresholds import (
    NamedThreshold,
    fit_named_thresholds,
    name_thresholds,
)


def named(scores: Sequence[float], correct: Sequence[int], gold: int) -> dict[str, NamedThreshold]:
    return {item.name: item for item in name_thresholds(np.array(scores), np.array(correct, dtype=bool), gold)}


def test_names_stand_for_a_precision_the_best_f1_and_what_may_be_shown() -> None:
    # precision:  1    1    1   3/4  4/5  4/6  5/7  5/8  5/9  5/10, then wrong ones only
    correct = [1, 1, 1, 0, 1, 0, 1, 0, 0, 0] + [0] * 8
    scores = [0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5] + [0.4 - 0.01 * step for step in range(8)]
    found = named(scores, correct, gold=6)
    assert list(found) == ["precise", "balanced", "everything"]
    assert found["precise"][1:] == (pytest.approx(0.725), "precision 0.8", 0.8, pytest.approx(4 / 6), 5)
    assert found["balanced"][1:] == (pytest.approx(0.625), "best F1", pytest.approx(5 / 7), pytest.approx(5 / 6), 7)
    # 5 of 16 are more than 0.3, 5 of 17 are not.
    assert found["everything"][1:] == (pytest.approx(0.345), "precision 0.3", 5 / 16, pytest.approx(5 / 6), 16)
    thresholds = [item.threshold for item in found.values()]
    assert thresholds == sorted(thresholds, reverse=True)


def test_where_no_threshold_is_precise_the_best_of_twenty_relations_is() -> None:
    correct = [0, 1] * 15 + [0] * 30
    scores = np.linspace(0.99, 0.2, 60)
    found = named(scores, correct, gold=20)
    assert found["precise"].chosen_by == "best precision of at least 20 relations"
    assert (found["precise"].precision, found["precise"].relations) == (0.5, 30)
    assert "precise" not in named(scores[:10], correct[:10], gold=20)
    assert named([0.9, 0.8], [0, 0], gold=3) == {} == named([], [], gold=3), "nothing can be learned from wrong ones"


def test_a_threshold_keeps_all_relations_of_a_score() -> None:
    found = named([0.9, 0.5, 0.5, 0.5], [1, 0, 1, 1], gold=3)
    assert {name: (item.threshold, item.relations) for name, item in found.items()} == {
        "precise": (pytest.approx(0.7), 1),
        "balanced": (pytest.approx(0.275), 4),
        "everything": (pytest.approx(0.275), 4),
    }


def test_named_thresholds_are_stored_and_cut_what_they_say(tmp_path: Path) -> None:
    for model in (spread(tiny_jerex(task="relation")), tiny_atlop()):
        running = trainer(model, tmp_path / model.config.model_type, [ANNA, OTTO])
        named = fit_named_thresholds(running, [ANNA, OTTO])
        assert named, "the test needs a right relation"
        model.save_pretrained(tmp_path / "saved")
        config = type(model).from_pretrained(tmp_path / "saved").config
        assert config.named_thresholds == [[item.name, item.threshold] for item in named]
        for item in named:
            kept = running.predict_documents([ANNA, OTTO], relation_threshold=config.named_threshold(item.name))
            scores = running.score(kept, [ANNA, OTTO])
            assert sum(len(document.relations) for document in kept) == item.relations
            assert scores["relation_precision"] == pytest.approx(item.precision)
            assert scores["relation_recall"] == pytest.approx(item.recall)


def test_pairs_that_are_no_named_thresholds_are_refused() -> None:
    assert JerexConfig().named_thresholds == []
    for wrong in ([["precise"]], [["precise", 1.5]], [["precise", "high"]], [[0.5, 0.5]]):
        with pytest.raises(Exception, match=r"named_thresholds has .*; give pairs \[name, number from 0 to 1\]"):
            JerexConfig(named_thresholds=wrong)
    with pytest.raises(Exception, match="named_thresholds has the duplicate label 'precise'"):
        JerexConfig(named_thresholds=[["precise", 0.5], ["precise", 0.6]])
