"""Thresholds of relations are found by the metric's ranking, for all types or for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import ANNA, OTTO, build
from tiny import RELATION_TYPES, tiny_atlop, tiny_encoder_config, tiny_tokenizer
from training import trainer

from metrics.docre_f1.scores import compute_scores
from modeling_docre import AtlopConfig, Candidate, Document, JerexConfig, Predictor, Relation
from modeling_docre.training.thresholds import (
    GRID,
    cut_relations,
    fit_relation_thresholds,
    relation_grid,
    tune_thresholds,
)

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


def fit(config: Any, predictions: Sequence[Document], references: Sequence[Document], **options: Any) -> list[Document]:
    """The predictions that the thresholds keep which are best for the references."""
    options = {"entities_given": True, "ranking": True} | options
    fit_relation_thresholds(config, compute_scores(predictions, references, **options)["ranking"])
    return cut_relations(config, predictions)


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


def test_one_threshold_for_all_types_is_the_best_of_the_grid() -> None:
    for seed, system in product(range(6), ("atlop", "jerex")):
        predictions, references = drawn(seed)
        strict = system == "atlop"
        config = atlop("global") if strict else JerexConfig(task="relation", relation_types=RELATION_TYPES)
        grid = TENTHS if strict else GRID
        assert relation_grid(config) == grid
        kept = {value: above(predictions, dict.fromkeys(RELATION_TYPES, value), strict) for value in grid}
        scores = {value: f1(found, references) for value, found in kept.items()}
        chosen = best_common(scores.__getitem__, grid)
        assert fit(config, predictions, references) == kept[chosen], (seed, system)
        assert config.thresholds_in_force()["relation_threshold"] == chosen


def test_the_cyclic_search_sets_one_type_after_the_other_until_nothing_improves() -> None:
    for seed in (*range(4), 32, 53, 111, 112):  # the last ones need a second round, for small gains
        predictions, references = drawn(seed, documents=3)

        def score(limits: Mapping[str, float]) -> Fraction:
            return f1(above(predictions, limits), references)  # noqa: B023

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
        kept = fit(config, predictions, references)
        assert config.relation_thresholds == list(limits.values()), seed
        assert kept == above(predictions, limits)
        assert config.thresholds_in_force() == {"relation_thresholds": config.relation_thresholds}
        assert config.relation_threshold == 0.5  # that of all types is not touched


def test_the_cyclic_search_lies_between_the_best_common_and_the_best_of_all() -> None:
    for types, seeds in ((1, 10), (2, 5)):
        gained = 0
        for seed in range(seeds):
            predictions, references = drawn(seed, types)
            names = RELATION_TYPES[:types]
            scores = {
                values: f1(above(predictions, dict(zip(names, values, strict=True))), references)
                for values in product(TENTHS, repeat=types)
            }
            config = atlop("per_class", types)
            fit(config, predictions, references)
            chosen = scores[tuple(config.relation_thresholds)]
            common = max(scores[(value,) * types] for value in TENTHS)
            assert common <= chosen <= max(scores.values())
            gained += chosen > common
            for place, value in product(range(types), TENTHS):  # no single change helps
                changed = [*config.relation_thresholds]
                changed[place] = value
                assert scores[tuple(changed)] <= chosen
        assert (gained > 0) == (types > 1)


def test_where_nothing_can_be_right_the_lowest_value_is_chosen() -> None:
    predictions, references = drawn(0)
    silent = [replace(document, relations=()) for document in predictions]
    for threshold in ("global", "per_class"):
        for found, gold in ((predictions, silent), (silent, references), (silent, silent), ([], [])):
            config = atlop(threshold)
            kept = fit(config, found, gold)
            assert (config.relation_thresholds or [config.relation_threshold] * 3) == [0.1] * 3
            assert kept == found  # all of them score above 0.1


def test_a_score_on_the_threshold_is_not_kept() -> None:
    bare = build("border", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])])
    told = ((0, 1, "born", 0.7), (1, 0, "born", 0.6), (1, 0, "works", 0.6))
    relations = tuple(Relation(h, t, kind, score=float(np.float32(score))) for h, t, kind, score in told)
    reference = replace(bare, relations=(Relation(0, 1, "born"),))
    for threshold in ("global", "per_class"):
        config = atlop(threshold)
        [kept] = fit(config, [replace(bare, relations=relations)], [reference])
        assert kept.relations == relations[:1]
        assert (config.relation_thresholds or [config.relation_threshold])[0] == 0.6


def test_atlop_predicts_with_the_fitted_thresholds_what_the_search_saw() -> None:
    gold = [ANNA, OTTO]

    def score(predictions: Sequence[Document], **options: Any) -> dict[str, Any]:
        return compute_scores(predictions, gold, entities_given=True, **options)

    for options in ({"threshold": "global"}, {"threshold": "per_class"}, {"threshold": "adaptive", "top_k": 2}):
        model = tiny_atlop(loss="bce", **options)
        with torch.no_grad():
            model.bilinear.linear.weight.mul_(60)
        predictor = Predictor(model, tiny_tokenizer())
        scored = predictor.predict(gold, relation_threshold=0.1)
        assert len({round(relation.score, 1) for document in scored for relation in document.relations}) > 4
        chosen = tune_thresholds(predictor, gold, score)
        assert chosen == model.config.thresholds_in_force()
        kept = fit(model.config, scored, gold)
        assert [_facts(document) for document in predictor.predict(gold)] == [_facts(item) for item in kept]
        common = [score(predictor.predict(gold, relation_threshold=value))["relation_f1"] for value in TENTHS]
        assert score(predictor.predict(gold))["relation_f1"] >= max(common) > min(common)
        if options["threshold"] != "per_class":
            assert chosen == {"relation_threshold": TENTHS[int(np.argmax(common))]}


CASES = {
    "each on its own pair": (
        [Candidate(0, 1), Candidate(1, 0), Candidate(2, 3), Candidate(3, 4, scored=False)],
        [(0, 1), (2, 3)],
        [(0, 1, 0.85), (2, 3, 0.75), (1, 0, 0.65)],
    ),
    "gold in the other order": ([Candidate(0, 1), Candidate(2, 3)], [(1, 0)], [(0, 1, 0.85), (2, 3, 0.75)]),
    "gold on pairs that are not scored": (
        [
            Candidate(0, 1),
            *(Candidate(1, n) for n in (0, 2, 3, 4)),
            *(Candidate(3, n, scored=False) for n in (1, 2, 4, 0)),
        ],
        [(0, 1), (1, 0), (3, 1), (3, 2), (3, 4), (3, 0)],
        [(0, 1, 0.85), (1, 0, 0.25), (1, 2, 0.25), (1, 3, 0.25), (1, 4, 0.25)],
    ),
    "one pair predicted in both orders": ([Candidate(0, 1)], [(0, 1)], [(1, 0, 0.25), (0, 1, 0.85), (2, 3, 0.35)]),
    "no candidates": (None, [(0, 1), (2, 3)], [(1, 0, 0.25), (0, 1, 0.85), (3, 2, 0.35), (0, 2, 0.45)]),
}


def test_relations_are_matched_as_the_metric_does() -> None:
    bare = build("pairs", ["a b c d e"], [("PER", [(0, place, place + 1)]) for place in range(5)])
    for (name, (candidates, gold, said)), symmetric in product(CASES.items(), ([], ["born"])):
        listed = None if candidates is None else tuple(candidates)
        reference = replace(bare, candidates=listed, relations=tuple(Relation(*fact, "born") for fact in gold))
        scored = [replace(bare, relations=tuple(Relation(*pair, "born", score=score) for *pair, score in said))]

        def score(found: Sequence[Document]) -> float:
            options = {"entities_given": True, "symmetric_relations": symmetric}  # noqa: B023
            return compute_scores(found, [reference], **options)["relation_f1"]  # noqa: B023

        best = max(score(above(scored, dict.fromkeys(RELATION_TYPES, value))) for value in TENTHS)
        for threshold in ("global", "per_class"):
            fitted = fit(atlop(threshold), scored, [reference], symmetric_relations=symmetric)
            assert score(fitted) == best, (name, symmetric, threshold)


def test_a_symmetric_relation_is_right_in_either_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = build("symmetric", ["a b c d"], [("PER", [(0, place, place + 1)]) for place in range(4)])
    gold = replace(bare, relations=(Relation(0, 1, "born"), Relation(2, 3, "born")))
    said = replace(bare, relations=(Relation(0, 1, "born", score=0.85), Relation(3, 2, "born", score=0.35)))
    for threshold in ("global", "per_class"):
        running = trainer(tiny_atlop(loss="bce", threshold=threshold, symmetric_relations=["born"]), tmp_path, [gold])
        monkeypatch.setattr(running, "predict_documents", lambda documents, **options: [said])
        assert running.evaluate([gold])["eval_relation_f1"] == 1.0
        fitted = running.model.config
        assert (fitted.relation_thresholds or [fitted.relation_threshold])[0] == 0.1
