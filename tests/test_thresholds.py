"""Threshold search: the order of the stages, the choice on the grid, and equality with predicting at each value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import evaluate
import pytest
import torch
from samples import ANNA, ODD_DOCUMENTS, OTTO
from tiny import tiny_jerex, tiny_tokenizer

from modeling_docre import Document, Predictor, metric_folder
from modeling_docre.thresholds import GRID, thresholds_of, tune_thresholds

DOCUMENTS = [OTTO, ODD_DOCUMENTS[0], ANNA, ODD_DOCUMENTS[7]]


def spread(model: Any, factor: float = 40.0) -> Any:
    """The model with the scores of its stages spread over the whole grid."""
    for head in (model.mention_classifier, model.coreference_scorer, model.relation_classifier):
        if head is not None:
            output = getattr(head, "classifier", head).output
            output.weight.data *= factor
    return model


def count(documents: Sequence[Document]) -> dict[str, int]:
    """Mentions, entities, relations."""
    entities = [entity for document in documents for entity in document.entities]
    return {
        "mentions": sum(len(entity.mentions) for entity in entities),
        "entities": len(entities),
        "relations": sum(len(document.relations) for document in documents),
    }


class Scorer:
    """Scores that are best on a range of counts, and a record of what was asked."""

    def __init__(self, config: Any, best: dict[str, Any]):
        self.config, self.best, self.calls = config, best, []

    def __call__(self, predictions: Sequence[Document], references: Sequence[Document]) -> dict[str, float]:
        assert [document.id for document in predictions] == [document.id for document in references]
        counts = count(predictions)
        self.calls.append((thresholds_of(self.config), counts))
        return {
            target: float(self.best[target](counts))
            for target in ("mention_f1", "cluster_f1", "relation_f1")
            if target in self.best
        }


def test_stages_are_searched_in_order_with_the_earlier_ones_fixed() -> None:
    model = spread(tiny_jerex())
    start = thresholds_of(model.config)
    # Flat scores: the lowest value of the grid is taken, stage by stage.
    score = Scorer(model.config, dict.fromkeys(("mention_f1", "cluster_f1", "relation_f1"), lambda counts: 1.0))
    assert tune_thresholds(Predictor(model, tiny_tokenizer()), [OTTO], score) == dict.fromkeys(start, 0.05)
    assert thresholds_of(model.config) == dict.fromkeys(start, 0.05)
    in_force = [thresholds for thresholds, _ in score.calls]
    assert len(in_force) == 3 * len(GRID)
    for stage, earlier in (("mention", {}), ("coreference", {"mention_threshold": 0.05})):
        first = in_force[0 if stage == "mention" else len(GRID)]
        assert first == {**start, **earlier}
    assert in_force[-1] == {**start, "mention_threshold": 0.05, "coreference_threshold": 0.05}


def test_the_best_value_is_chosen_and_the_lowest_of_equals() -> None:
    model = spread(tiny_jerex())
    predictor = Predictor(model, tiny_tokenizer())

    def mentions(value: float) -> int:
        model.config.mention_threshold = value
        return count(predictor.predict([ANNA], relation_threshold=1.0))["mentions"]

    found = {value: mentions(value) for value in GRID}
    assert len(set(found.values())) > 5
    wanted = found[0.6]
    score = Scorer(
        model.config,
        {
            "mention_f1": lambda counts: counts["mentions"] == wanted,
            "cluster_f1": lambda counts: counts["entities"],
            "relation_f1": lambda counts: -counts["relations"],
        },
    )
    chosen = tune_thresholds(predictor, [ANNA], score)
    assert chosen["mention_threshold"] == min(value for value, number in found.items() if number == wanted)
    relations = {value: count(predictor.predict([ANNA], relation_threshold=value))["relations"] for value in GRID}
    assert len(set(relations.values())) > 2
    assert chosen["relation_threshold"] == min(GRID, key=lambda value: (relations[value], value))


@pytest.mark.parametrize("options", [{"coref_symmetrise": "mean"}, {"relation_head": "global"}])
def test_the_search_equals_predicting_at_each_value(options: dict[str, Any]) -> None:
    metric = evaluate.load(str(metric_folder()))

    def score(predictions: Sequence[Document], references: Sequence[Document]) -> dict[str, float]:
        return metric.compute(
            predictions=[item.to_dict() for item in predictions], references=[item.to_dict() for item in references]
        )

    slow, fast = (spread(tiny_jerex(relation_threshold=0.3, **options)) for _ in range(2))
    predictor = Predictor(slow, tiny_tokenizer())
    grid, documents = GRID[1::6], DOCUMENTS[:2]  # every value costs a whole prediction here
    best: dict[str, dict[float, float]] = {}
    for stage, target in (("mention", "mention_f1"), ("coreference", "cluster_f1"), ("relation", "relation_f1")):
        best[stage] = {}
        for value in grid:
            setattr(slow.config, f"{stage}_threshold", value)
            best[stage][value] = score(predictor.predict(documents), documents)[target]
        setattr(slow.config, f"{stage}_threshold", max(best[stage], key=best[stage].__getitem__))
    assert len(set(best["mention"].values())) > 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modeling_docre.thresholds.GRID", grid)
        chosen = tune_thresholds(Predictor(fast, tiny_tokenizer()), documents, score, max_tokens=10)
    assert chosen == thresholds_of(slow.config) == thresholds_of(fast.config)


def test_each_value_sees_the_same_documents_as_a_prediction_with_it() -> None:
    model = spread(tiny_jerex())
    predictor = Predictor(model, tiny_tokenizer())
    found: list[list[Document]] = []

    def score(predictions: Sequence[Document], references: Sequence[Document]) -> dict[str, float]:
        found.append(list(predictions))
        return {"mention_f1": -abs(count(predictions)["mentions"] - 30), "cluster_f1": 1.0, "relation_f1": 1.0}

    chosen = tune_thresholds(predictor, DOCUMENTS, score, max_tokens=40)
    model.config.coreference_threshold = chosen["coreference_threshold"]
    for value, filtered in zip(GRID, found[2 * len(GRID) :], strict=True):
        assert filtered == predictor.predict(DOCUMENTS, 40, relation_threshold=value)
    for value, clustered in list(zip(GRID, found[len(GRID) : 2 * len(GRID)], strict=True))[::6]:
        model.config.coreference_threshold = value
        decided = predictor.predict(DOCUMENTS, 40, relation_threshold=1.0)
        assert [[entity.mentions for entity in item.entities] for item in clustered] == [
            [entity.mentions for entity in item.entities] for item in decided
        ]


def test_the_model_runs_once_per_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    model, runs = spread(tiny_jerex()), []
    forward = model.forward
    monkeypatch.setattr(
        model, "forward", lambda **batch: runs.append(len(batch["document_lengths"])) or forward(**batch)
    )
    score = Scorer(model.config, dict.fromkeys(("mention_f1", "cluster_f1", "relation_f1"), lambda counts: 1.0))
    tune_thresholds(Predictor(model, tiny_tokenizer()), [ANNA, OTTO], score, max_tokens=10_000)
    assert runs == [2, 2, 2]


def test_only_what_the_model_decides_is_tuned() -> None:
    flat = dict.fromkeys(("mention_f1", "cluster_f1", "relation_f1"), lambda counts: 1.0)
    given = tiny_jerex(task="relation")
    start = thresholds_of(given.config)
    assert tune_thresholds(Predictor(given, tiny_tokenizer()), [OTTO], Scorer(given.config, flat)) == {
        "relation_threshold": 0.05
    }
    assert thresholds_of(given.config) == {**start, "relation_threshold": 0.05}
    joint = tiny_jerex()
    predictor = Predictor(joint, tiny_tokenizer(), given="mentions")
    chosen = tune_thresholds(predictor, [OTTO], Scorer(joint.config, flat))
    assert set(chosen) == {"coreference_threshold", "relation_threshold"}
    alone = tiny_jerex(task="mention")
    assert set(tune_thresholds(Predictor(alone, tiny_tokenizer()), [OTTO], Scorer(alone.config, flat))) == {
        "mention_threshold"
    }


def test_the_grid_is_exact() -> None:
    assert len(GRID) == 19 and GRID[0] == 0.05 and GRID[-1] == 0.95
    assert all(value == round(value, 2) for value in GRID)
    assert torch.allclose(torch.tensor(GRID).diff(), torch.tensor(0.05))
