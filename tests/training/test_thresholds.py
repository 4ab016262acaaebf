"""Threshold search: the order of the stages, the choice on the grid, and equality with predicting at each value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import evaluate
import numpy as np
import pytest
import torch
from samples import ANNA, ODD_DOCUMENTS, OTTO, build
from tiny import RELATION_TYPES, tiny_atlop, tiny_encoder_config, tiny_jerex, tiny_tokenizer

from metrics.docre_f1.scores import compute_scores
from modeling_docre import AtlopConfig, Candidate, Document, JerexConfig, Predictor, Relation, metric_folder
from modeling_docre.training.thresholds import (
    GRID,
    fit_relation_thresholds,
    relation_grid,
    tune_thresholds,
)

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
        self.calls.append((self.config.thresholds_in_force(), counts))
        return {
            target: float(self.best[target](counts))
            for target in ("mention_f1", "cluster_f1", "relation_f1")
            if target in self.best
        }


def test_stages_are_searched_in_order_with_the_earlier_ones_fixed() -> None:
    model = spread(tiny_jerex())
    start = model.config.thresholds_in_force()
    # Flat scores: the lowest value of the grid is taken, stage by stage.
    score = Scorer(model.config, dict.fromkeys(("mention_f1", "cluster_f1", "relation_f1"), lambda counts: 1.0))
    assert tune_thresholds(Predictor(model, tiny_tokenizer()), [OTTO], score) == dict.fromkeys(start, 0.05)
    assert model.config.thresholds_in_force() == dict.fromkeys(start, 0.05)
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
        patch.setattr("modeling_docre.training.thresholds.GRID", grid)
        chosen = tune_thresholds(Predictor(fast, tiny_tokenizer()), documents, score, max_tokens=10)
    assert chosen == slow.config.thresholds_in_force() == fast.config.thresholds_in_force()


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
    start = given.config.thresholds_in_force()
    assert tune_thresholds(Predictor(given, tiny_tokenizer()), [OTTO], Scorer(given.config, flat)) == {
        "relation_threshold": 0.05
    }
    assert given.config.thresholds_in_force() == {**start, "relation_threshold": 0.05}
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


# --- relation thresholds between given entities -------------------------------------------------------------------

TENTHS = tuple(step / 10 for step in range(1, 10))


def atlop(threshold: str, types: int = 3) -> AtlopConfig:
    names = RELATION_TYPES[:types]
    return AtlopConfig(loss="bce", threshold=threshold, relation_types=names, encoder_config=tiny_encoder_config())


def drawn(seed: int, types: int = 3, documents: int = 2) -> tuple[list[Document], list[Document]]:
    """Scored predictions and references; right relations tend to score higher, some scores lie on the grid."""
    random = np.random.default_rng(seed)
    predictions, references = [], []
    for number in range(documents):
        entities = [("PER", [(0, place, place + 1)]) for place in range(3)]
        names = [(*pair, kind) for pair in product(range(3), repeat=2) if len({*pair}) == 2 for kind in range(types)]
        gold = random.random(len(names)) < 0.3
        scores = np.float32(np.clip(random.random(len(names)) * 0.7 + 0.3 * gold, 0.11, 1))
        scores = np.where(random.random(len(names)) < 0.3, np.float32(scores.round(1).clip(0.2)), scores)
        scored = zip(names, scores.tolist(), strict=True)
        facts = [Relation(h, t, RELATION_TYPES[kind], score=score) for (h, t, kind), score in scored]
        bare = build(f"{seed} {number}", ["a b c d"], entities)
        listed = random.random(len(names)) < 0.8
        predictions.append(replace(bare, relations=tuple(r for r, there in zip(facts, listed, strict=True) if there)))
        right = tuple(replace(r, score=None) for r, there in zip(facts, gold, strict=True) if there)
        references.append(replace(bare, relations=right))
    return predictions, references


def above(documents: Sequence[Document], limits: Mapping[str, float], strict: bool = True) -> list[Document]:
    """The documents with the relations whose score exceeds (or else reaches) the limit of their type."""
    rounded = {name: float(np.float32(value)) for name, value in limits.items()}

    def holds(item: Relation) -> bool:
        return item.score > rounded[item.type] or (not strict and item.score == rounded[item.type])

    return [replace(item, relations=tuple(filter(holds, item.relations))) for item in documents]


def _facts(document: Document) -> set[tuple[int, int, str]]:
    return {(relation.head, relation.tail, relation.type) for relation in document.relations}


def f1(predictions: Sequence[Document], references: Sequence[Document]) -> Fraction:
    """Relation F1 as a fraction, so that equals are equal."""
    hits = found = gold = 0
    for prediction, reference in zip(predictions, references, strict=True):
        said, true = _facts(prediction), _facts(reference)
        hits, found, gold = hits + len(said & true), found + len(said), gold + len(true)
    assert compute_scores(predictions, references, entities_given=True)["relation_f1"] == pytest.approx(
        float(Fraction(2 * hits, max(found + gold, 1)))
    )
    return Fraction(2 * hits, max(found + gold, 1))


def best_common(score: Callable[[float], Fraction], grid: Sequence[float]) -> float:
    return max(grid, key=lambda value: (score(value), -value))  # of equals the lowest


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("system", ["atlop", "jerex"])
def test_one_threshold_for_all_types_is_the_best_of_the_grid(seed: int, system: str) -> None:
    predictions, references = drawn(seed)
    strict = system == "atlop"
    config = atlop("global") if strict else JerexConfig(task="relation", relation_types=RELATION_TYPES)
    grid = TENTHS if strict else GRID
    assert relation_grid(config) == grid

    def kept(value: float) -> list[Document]:
        return above(predictions, dict.fromkeys(RELATION_TYPES, value), strict)

    chosen = best_common(lambda value: f1(kept(value), references), grid)
    assert fit_relation_thresholds(config, predictions, references) == kept(chosen)
    assert config.relation_threshold == chosen
    assert config.thresholds_in_force()["relation_threshold"] == chosen


@pytest.mark.parametrize("seed", [*range(8), 32, 53, 111, 112])  # the last ones need a second round, for small gains
def test_the_cyclic_search_sets_one_type_after_the_other_until_nothing_improves(seed: int) -> None:
    predictions, references = drawn(seed, documents=3)

    def score(limits: Mapping[str, float]) -> Fraction:
        return f1(above(predictions, limits), references)

    common = best_common(lambda value: score(dict.fromkeys(RELATION_TYPES, value)), TENTHS)
    limits, improved = dict.fromkeys(RELATION_TYPES, common), True
    while improved:
        improved = False
        for kind in RELATION_TYPES:
            changed = {value: score({**limits, kind: value}) for value in TENTHS}
            best = best_common(changed.__getitem__, TENTHS)
            if changed[best] > score(limits):
                limits[kind], improved = best, True

    config = atlop("per_class")
    found = fit_relation_thresholds(config, predictions, references)
    assert config.relation_thresholds == list(limits.values())
    assert found == above(predictions, limits)
    assert config.thresholds_in_force() == {"relation_thresholds": config.relation_thresholds}
    assert config.relation_threshold == 0.5  # that of all types is not touched


@pytest.mark.parametrize("types", [1, 2])
def test_the_cyclic_search_lies_between_the_best_common_and_the_best_of_all(types: int) -> None:
    gained = 0
    for seed in range(20 if types == 1 else 5):
        predictions, references = drawn(seed, types)
        names = RELATION_TYPES[:types]
        scores = {
            values: f1(above(predictions, dict(zip(names, values, strict=True))), references)
            for values in product(TENTHS, repeat=types)
        }
        config = atlop("per_class", types)
        fit_relation_thresholds(config, predictions, references)
        chosen = scores[tuple(config.relation_thresholds)]
        common = max(scores[(value,) * types] for value in TENTHS)
        assert common <= chosen <= max(scores.values())
        gained += chosen > common
        if types == 1:
            assert chosen == common
        for place, value in product(range(types), TENTHS):  # no single change helps
            changed = [*config.relation_thresholds]
            changed[place] = value
            assert scores[tuple(changed)] <= chosen
    assert (gained > 0) == (types > 1)


@pytest.mark.parametrize("threshold", ["global", "per_class"])
def test_where_nothing_can_be_right_the_lowest_value_is_chosen(threshold: str) -> None:
    predictions, references = drawn(0)
    silent = [replace(document, relations=()) for document in predictions]
    for found, gold in ((predictions, silent), (silent, references), (silent, silent), ([], [])):
        config = atlop(threshold)
        kept = fit_relation_thresholds(config, found, gold)
        assert (config.relation_thresholds or [config.relation_threshold] * 3) == [0.1] * 3
        assert kept == found  # all of them score above 0.1


def test_a_score_on_the_threshold_is_not_kept() -> None:
    bare = build("border", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])])
    told = ((0, 1, "born", 0.7), (1, 0, "born", 0.6), (1, 0, "works", 0.6))
    relations = tuple(Relation(h, t, kind, score=float(np.float32(score))) for h, t, kind, score in told)
    reference = replace(bare, relations=(Relation(0, 1, "born"),))
    for threshold in ("global", "per_class"):
        config = atlop(threshold)
        [kept] = fit_relation_thresholds(config, [replace(bare, relations=relations)], [reference])
        assert kept.relations == relations[:1]
        assert (config.relation_thresholds or [config.relation_threshold])[0] == 0.6


@pytest.mark.parametrize(
    "options",
    [{"threshold": "global"}, {"threshold": "per_class"}, {"threshold": "adaptive", "top_k": 2}],
    ids=lambda options: options["threshold"],
)
def test_atlop_predicts_with_the_fitted_thresholds_what_the_search_saw(options: dict[str, Any]) -> None:
    model = tiny_atlop(loss="bce", **options)
    with torch.no_grad():
        model.bilinear.linear.weight.mul_(60)
    predictor = Predictor(model, tiny_tokenizer())
    scored = predictor.predict([ANNA, OTTO], relation_threshold=0.1)
    assert len({round(relation.score, 1) for document in scored for relation in document.relations}) > 4

    def relation_f1(found: Sequence[Document]) -> float:
        return compute_scores(found, [ANNA, OTTO], entities_given=True)["relation_f1"]

    chosen = tune_thresholds(predictor, [ANNA, OTTO], lambda *documents: pytest.fail("scored by counting"))
    assert chosen == model.config.thresholds_in_force()
    kept = fit_relation_thresholds(model.config, scored, [ANNA, OTTO])
    assert [_facts(document) for document in predictor.predict([ANNA, OTTO])] == [_facts(item) for item in kept]
    common = [relation_f1(predictor.predict([ANNA, OTTO], relation_threshold=value)) for value in TENTHS]
    best = relation_f1(predictor.predict([ANNA, OTTO]))
    assert best >= max(common) > min(common)
    if options["threshold"] != "per_class":
        assert chosen == {"relation_threshold": TENTHS[int(np.argmax(common))]}


def on_candidates(candidates: Sequence[Candidate], gold: Sequence[tuple], told: Sequence[tuple]) -> tuple[float, float]:
    """F1 by docre_f1 at the fitted threshold, and the best that a value of the grid has."""
    bare = build("candidates", ["a b c d e"], [("PER", [(0, place, place + 1)]) for place in range(5)])
    reference = replace(bare, candidates=tuple(candidates), relations=tuple(Relation(*fact, "born") for fact in gold))
    scored = [replace(bare, relations=tuple(Relation(*pair, "born", score=score) for *pair, score in told))]
    fitted = fit_relation_thresholds(atlop("global"), scored, [reference])
    tried = [above(scored, dict.fromkeys(RELATION_TYPES, value)) for value in TENTHS]
    scores = [compute_scores(found, [reference], entities_given=True)["relation_f1"] for found in (fitted, *tried)]
    return scores[0], max(scores[1:])


def test_the_search_finds_the_best_score_on_candidates() -> None:
    asked = [Candidate(0, 1), Candidate(1, 0), Candidate(2, 3), Candidate(3, 4, scored=False)]
    found, best = on_candidates(asked, [(0, 1), (2, 3)], [(0, 1, 0.85), (2, 3, 0.75), (1, 0, 0.65)])
    assert found == best == 1.0


@pytest.mark.parametrize(
    ("candidates", "gold", "told"),
    [
        ([Candidate(0, 1), Candidate(2, 3)], [(1, 0)], [(0, 1, 0.85), (2, 3, 0.75)]),
        (
            [
                Candidate(0, 1),
                *(Candidate(1, n) for n in (0, 2, 3, 4)),
                *(Candidate(3, n, scored=False) for n in (1, 2, 4, 0)),
            ],
            [(0, 1), (1, 0), (3, 1), (3, 2), (3, 4), (3, 0)],
            [(0, 1, 0.85), (1, 0, 0.25), (1, 2, 0.25), (1, 3, 0.25), (1, 4, 0.25)],
        ),
    ],
    ids=["gold in the other order", "gold on pairs that are not scored"],
)
def test_the_search_counts_candidates_as_the_metric_does(candidates: Any, gold: Any, told: Any) -> None:
    found, best = on_candidates(candidates, gold, told)
    assert found == best
