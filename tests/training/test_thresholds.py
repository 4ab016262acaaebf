"""Threshold search: the order of the stages, the choice on the grid, and equality with predicting at each value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import ANNA, ODD_DOCUMENTS, OTTO
from tiny import tiny_atlop, tiny_jerex, tiny_tokenizer
from training import spread, trainer

from metrics.docre_f1.scores import compute_scores
from modeling_docre import Document, Predictor
from modeling_docre.training.thresholds import (
    GRID,
    cut_relations,
    tune_thresholds,
)

DOCUMENTS = [OTTO, ODD_DOCUMENTS[0], ANNA, ODD_DOCUMENTS[7]]


def count(documents: Sequence[Document]) -> dict[str, int]:
    """Mentions, entities, relations."""
    entities = [entity for document in documents for entity in document.entities]
    return {
        "mentions": sum(len(entity.mentions) for entity in entities),
        "entities": len(entities),
        "relations": sum(len(document.relations) for document in documents),
    }


NOTHING_RIGHT = {"scores": [], "correct": [], "types": [], "gold_count": 0}


class Scorer:
    """Scores that are best on a range of counts, the same for all unless told, and a record of what was asked."""

    def __init__(self, config: Any, **best: Callable[[dict[str, int]], float]):
        self.config, self.best = config, best
        self.calls: list[tuple[dict[str, Any], list[Document]]] = []

    def __call__(self, predictions: Sequence[Document], ranking: bool = False) -> dict[str, Any]:
        self.calls.append((self.config.thresholds_in_force(), list(predictions)))
        counts = count(predictions)
        flat = {"mention_f1": 1.0, "cluster_f1": 1.0, "ranking": NOTHING_RIGHT}
        return flat | {target: float(score(counts)) for target, score in self.best.items()}


def joint_scorer(references: Sequence[Document]) -> Callable[..., dict[str, Any]]:
    return lambda predictions, **options: compute_scores(predictions, references, **options)


def test_stages_are_searched_in_order_with_the_earlier_ones_fixed() -> None:
    model = spread(tiny_jerex())
    start = model.config.thresholds_in_force()
    score = Scorer(model.config)  # flat: the lowest value of the grid is taken, stage by stage
    assert tune_thresholds(Predictor(model, tiny_tokenizer()), [OTTO], score) == dict.fromkeys(start, 0.05)
    assert model.config.thresholds_in_force() == dict.fromkeys(start, 0.05)
    in_force = [thresholds for thresholds, _ in score.calls]
    assert len(in_force) == 2 * len(GRID) + 1
    assert in_force[0] == start and in_force[len(GRID)] == {**start, "mention_threshold": 0.05}
    assert in_force[-1] == {**start, "mention_threshold": 0.05, "coreference_threshold": 0.05}


def test_the_best_value_is_chosen_and_the_lowest_of_equals() -> None:
    model = spread(tiny_jerex())
    predictor = Predictor(model, tiny_tokenizer())

    def mentions(value: float) -> int:
        model.config.mention_threshold = value
        return count(predictor.predict([ANNA], relation_threshold=1.0))["mentions"]

    numbers = {value: mentions(value) for value in GRID}
    assert len(set(numbers.values())) > 5
    wanted = numbers[0.6]
    score = Scorer(
        model.config,
        mention_f1=lambda counts: counts["mentions"] == wanted,
        cluster_f1=lambda counts: counts["entities"],
    )
    chosen = tune_thresholds(predictor, [ANNA], score)
    assert chosen["mention_threshold"] == min(value for value, number in numbers.items() if number == wanted)
    assert chosen["coreference_threshold"] > GRID[0], "fewer merges leave more entities"


def test_the_search_equals_predicting_at_each_value() -> None:
    grid, documents = GRID[1::6], DOCUMENTS[:2]  # every value costs a whole prediction here
    score = joint_scorer(documents)
    for options in ({"coref_symmetrise": "mean"}, {"relation_head": "global"}):
        slow, fast = (spread(tiny_jerex(relation_threshold=0.3, **options)) for _ in range(2))
        predictor = Predictor(slow, tiny_tokenizer())
        best: dict[str, dict[float, float]] = {}
        for stage, target in (("mention", "mention_f1"), ("coreference", "cluster_f1"), ("relation", "relation_f1")):
            best[stage] = {}
            for value in grid:
                setattr(slow.config, f"{stage}_threshold", value)
                best[stage][value] = score(predictor.predict(documents))[target]
            setattr(slow.config, f"{stage}_threshold", max(best[stage], key=best[stage].__getitem__))
        assert len(set(best["mention"].values())) > 1

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("modeling_docre.training.thresholds.GRID", grid)
            chosen = tune_thresholds(Predictor(fast, tiny_tokenizer()), documents, score, max_tokens=10)
        assert chosen == slow.config.thresholds_in_force() == fast.config.thresholds_in_force()


def test_each_value_sees_the_same_documents_as_a_prediction_with_it() -> None:
    model = spread(tiny_jerex())
    predictor = Predictor(model, tiny_tokenizer())
    score = Scorer(model.config, mention_f1=lambda counts: -abs(counts["mentions"] - 30))
    chosen = tune_thresholds(predictor, DOCUMENTS, score, max_tokens=40)
    tried = [documents for _, documents in score.calls]
    assert all([item.id for item in documents] == [item.id for item in DOCUMENTS] for documents in tried)
    for value, clustered in list(zip(GRID, tried[len(GRID) : 2 * len(GRID)], strict=True))[::6]:
        model.config.coreference_threshold = value
        decided = predictor.predict(DOCUMENTS, 40, relation_threshold=1.0)
        assert [[entity.mentions for entity in item.entities] for item in clustered] == [
            [entity.mentions for entity in item.entities] for item in decided
        ]
    model.config.coreference_threshold = chosen["coreference_threshold"]
    for value in GRID[::6]:
        model.config.relation_threshold = value
        assert cut_relations(model.config, tried[-1]) == predictor.predict(DOCUMENTS, 40)


def test_the_model_runs_once_per_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = spread(tiny_jerex()), []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda **batch: runs.append(len(batch["document_lengths"])) or forward(**batch)
    )
    tune_thresholds(Predictor(model, tiny_tokenizer()), [ANNA, OTTO], Scorer(model.config), max_tokens=10_000)
    assert runs == [2, 2, 2]


def test_the_references_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gold, read = [ANNA, OTTO], []
    to_dict = Document.to_dict
    monkeypatch.setattr(Document, "to_dict", lambda item: read.append(id(item)) or to_dict(item))
    for model in (tiny_jerex(), tiny_atlop(loss="bce", threshold="global")):
        read.clear()
        running = trainer(model, tmp_path, gold)
        tune_thresholds(Predictor(model, tiny_tokenizer()), gold, running.scorer(gold))
        assert [read.count(id(document)) for document in gold] == [1, 1]


def test_only_what_the_model_decides_is_tuned() -> None:
    given = tiny_jerex(task="relation")
    start = given.config.thresholds_in_force()
    for model, source, tuned in (
        (given, None, {"relation"}),
        (tiny_jerex(), "mentions", {"coreference", "relation"}),
        (tiny_jerex(task="mention"), None, {"mention"}),
    ):
        chosen = tune_thresholds(Predictor(model, tiny_tokenizer(), source), [OTTO], Scorer(model.config))
        assert chosen == {f"{stage}_threshold": 0.05 for stage in tuned}
    assert given.config.thresholds_in_force() == {**start, "relation_threshold": 0.05}


def test_the_grid_is_exact() -> None:
    assert len(GRID) == 19 and GRID[0] == 0.05 and GRID[-1] == 0.95
    assert all(value == round(value, 2) for value in GRID)
    assert torch.allclose(torch.tensor(GRID).diff(), torch.tensor(0.05))
