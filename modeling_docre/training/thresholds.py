"""Threshold search on validation documents, stage by stage."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from modeling_docre.candidates import Spans
from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.decoding import decode
from modeling_docre.documents import Document, Relation
from modeling_docre.predictor import Predictor, to_device
from modeling_docre.stage_entities import find_entities, select_mentions, symmetric_scores

if TYPE_CHECKING:
    from .trainer import DocRETrainer

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The candidate values 0.05, 0.10, ..., 0.95."""

PRECISE, EVERYTHING = 0.8, 0.3
"""The shares of right relations that the thresholds of these names reach."""

LEAST_RELATIONS = 20
"""A precision of fewer relations says little."""

LEAST_SCORE = 0.05
"""No named threshold is lower."""

Score = Callable[..., Mapping[str, Any]]
"""From predicted documents, and options of docre_f1, to scores."""


def tune_thresholds(
    predictor: Predictor, documents: Sequence[Document], score: Score, max_tokens: int | None = None
) -> dict[str, Any]:
    """Set the model's thresholds to the best values on a grid, and return them.

    The thresholds interact through the stages, so they are searched in the order of the stages, each with the earlier
    ones fixed: the mention threshold by mention F1, the coreference threshold by cluster F1, the relation threshold
    by relation F1. Of equally good values the first (lowest) is taken. JEREX's paper only says that a grid search was
    done per threshold. The model runs once per stage; the values of the grid are tried on its scores.

    Args:
        predictor: the model; its configuration is changed. What it is given is not decided and so not tuned.
        documents: validation documents.
        score: from predictions for these documents, and options of docre_f1, to scores (`DocRETrainer.scorer`).
        max_tokens: subwords per batch; None for as many as is fastest (`Predictor.batches`).
    """
    config = predictor.config
    chosen: dict[str, Any] = {}

    def search(stage: str, target: str, decisions: Callable[[_Run, float], dict[str, Tensor]]) -> None:
        runs = list(_run(predictor, documents, max_tokens))
        scores = {value: score(_decide(runs, decisions, value, config))[target] for value in GRID}
        chosen[f"{stage}_threshold"] = max(scores, key=scores.__getitem__)
        setattr(config, f"{stage}_threshold", chosen[f"{stage}_threshold"])

    if "mention" in config.traits.stages and predictor.given is None:
        search("mention", "mention_f1", _mentions_at)
    if "coreference" in config.traits.stages and predictor.given in (None, "mentions"):
        search("coreference", "cluster_f1", partial(_clusters_at, symmetrise=config.coref_symmetrise))
    if "relation" in config.traits.stages:
        predictions = predictor.predict(documents, max_tokens, relation_threshold=relation_grid(config)[0])
        fit_relation_thresholds(config, score(predictions, ranking=True)["ranking"])
        chosen |= {name: value for name, value in config.thresholds_in_force().items() if name.startswith("relation")}
    return chosen


def relation_grid(config: DocREConfig) -> tuple[float, ...]:
    """Candidate values of a relation threshold, ascending: `GRID`, for ATLOP 0.1, 0.2, ..., 0.9 as in its paper."""
    return GRID[1::2] if config.traits.relation_cut.strict else GRID


def fit_relation_thresholds(config: DocREConfig, ranking: Mapping[str, Any]) -> None:
    """Set the relation thresholds to those with the best micro F1, of equals the lowest.

    With `threshold="per_class"` each type has its own: starting from the best common value, one type after the other is
    set to its best value while the others stand, until nothing improves (ATLOP section 6.4, cyclic optimization).

    Args:
        config: its thresholds are changed.
        ranking: docre_f1's `ranking` of the predictions from the lowest value of `relation_grid` on.
    """
    grid, gold = relation_grid(config), ranking["gold_count"]
    predicted, hits = _counts(config, ranking)  # [types, values] each
    best = int((hits.sum(0) / (predicted.sum(0) + gold)).argmax()) if gold else 0
    if getattr(config, "threshold", None) == "per_class":
        chosen = _cyclic_search(predicted, hits, gold, np.full(len(config.relation_types), best))
        config.relation_thresholds = [grid[value] for value in chosen]
    else:
        config.relation_threshold = grid[best]


def cut_relations(config: DocREConfig, documents: Sequence[Document]) -> list[Document]:
    """Documents with only the relations whose score the thresholds of a configuration keep."""
    thresholds = np.broadcast_to(np.array(config.traits.relation_cut.threshold, np.float32), len(config.relation_types))
    limits = dict(zip(config.relation_types, thresholds.tolist(), strict=True))
    holds = operator.gt if config.traits.relation_cut.strict else operator.ge

    def kept(relation: Relation) -> bool:
        return relation.score is not None and holds(relation.score, limits[relation.type])

    return [replace(document, relations=tuple(filter(kept, document.relations))) for document in documents]


class NamedThreshold(NamedTuple):
    """A relation threshold with a name, what it was chosen by, and what it gave on the documents of the choice."""

    name: str
    threshold: float
    chosen_by: str
    precision: float
    recall: float
    relations: int


def fit_named_thresholds(trainer: DocRETrainer, documents: Sequence[Document]) -> list[NamedThreshold]:
    """Store the relation thresholds "precise", "balanced" and "everything" in a model's configuration.

    Args:
        trainer: the trainer of the model.
        documents: validation documents.

    Returns:
        The thresholds, see `name_thresholds`.
    """
    predictions = trainer.predict_documents(documents, relation_threshold=LEAST_SCORE)
    ranking = trainer.score(predictions, documents, ranking=True)["ranking"]
    named = name_thresholds(
        np.array(ranking["scores"]), np.array(ranking["correct"], dtype=bool), ranking["gold_count"]
    )
    trainer.model.config.named_thresholds = [[item.name, item.threshold] for item in named]
    return named


def name_thresholds(scores: np.ndarray, correct: np.ndarray, gold_count: int) -> list[NamedThreshold]:
    """The thresholds "precise", "balanced" and "everything", from the highest to the lowest.

    "balanced" has the best F1. "precise" is the lowest from there on with a precision of `PRECISE`; where none reaches
    it, the one with the best precision that keeps at least `LEAST_RELATIONS` relations, and where none keeps so many,
    there is none. "everything" is the lowest up to "balanced" with a precision of `EVERYTHING`, else "balanced" itself.
    Each lies halfway between the lowest score that it keeps and the next one.

    Args:
        scores: score of each predicted relation, [n].
        correct: whether it is right, [n] bool.
        gold_count: number of gold relations.

    Returns:
        The thresholds; none if no relation is right.
    """
    if not correct.any():
        return []
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) < 0, True))  # a threshold keeps all relations of a score
    values, hits, counts = scores[order][last], correct[order].cumsum()[last], last + 1
    precision = hits / counts
    cuts = (values + np.append(values[1:], min(LEAST_SCORE, values[-1]))) / 2
    balanced = int((hits / (counts + gold_count)).argmax())
    passable = np.flatnonzero(precision >= EVERYTHING)
    precise = _precise(precision[: balanced + 1], counts[: balanced + 1])
    chosen = {
        **({"precise": precise} if precise else {}),
        "balanced": (balanced, "best F1"),
        "everything": (max([balanced, *passable[-1:].tolist()]), f"precision {EVERYTHING}"),
    }
    return [
        NamedThreshold(name, float(cuts[at]), by, float(precision[at]), float(hits[at] / gold_count), int(counts[at]))
        for name, (at, by) in chosen.items()
    ]


def _precise(precision: np.ndarray, counts: np.ndarray) -> tuple[int, str] | None:
    """The position of the threshold "precise", and what it was chosen by."""
    reached = np.flatnonzero(precision >= PRECISE)
    if len(reached):
        return int(reached[-1]), f"precision {PRECISE}"
    enough = np.flatnonzero(counts >= LEAST_RELATIONS)
    if not len(enough):
        return None
    best = enough[precision[enough] == precision[enough].max()][-1]
    return int(best), f"best precision of at least {LEAST_RELATIONS} relations"


def _counts(config: DocREConfig, ranking: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """How many relations each type keeps at each value, and how many of them are right, [types, values] int64."""
    index = {name: number for number, name in enumerate(config.relation_types)}
    types = np.array([index[name] for name in ranking["types"]], dtype=np.int64)
    grid, scores = np.array(relation_grid(config), np.float32), np.array(ranking["scores"], np.float32)
    side: Literal["left", "right"] = "left" if config.traits.relation_cut.strict else "right"
    shape = (2, len(index), len(grid) + 1)
    cells = types * shape[2] + np.searchsorted(grid, scores, side=side)  # by how many of the lowest values keep it
    right = cells[np.array(ranking["correct"], dtype=bool)]
    counts = np.reshape([np.bincount(items, minlength=shape[1] * shape[2]) for items in (cells, right)], shape)
    predicted, hits = counts[:, :, ::-1].cumsum(axis=2)[:, :, -2::-1]
    return predicted, hits


def _cyclic_search(predicted: np.ndarray, hits: np.ndarray, gold: int, chosen: np.ndarray) -> np.ndarray:
    """Positions in the grid [types], better one by one than those at the start."""
    chosen, types = chosen.copy(), np.arange(len(chosen))
    found, right = predicted[types, chosen].sum(), hits[types, chosen].sum()
    improved = True
    while improved:
        improved = False
        for kind in types:
            now = chosen[kind]
            others = found - predicted[kind, now] + predicted[kind], right - hits[kind, now] + hits[kind]
            scores = others[1] / np.maximum(others[0] + gold, 1)  # half of F1, at each value for this type
            best = int(scores.argmax())
            if scores[best] > scores[now]:
                chosen[kind], found, right, improved = best, others[0][best], others[1][best], True
    return chosen


class _Run(NamedTuple):
    """A batch after the model: the documents, their positions in the input, and the scores of the stages."""

    documents: list[Document]
    positions: list[int]
    output: dict[str, Tensor]
    spans: Mapping[str, Tensor]


def _run(predictor: Predictor, documents: Sequence[Document], max_tokens: int | None) -> Iterator[_Run]:
    features = predictor.featurizer(documents)
    for positions in predictor.batches(features, max_tokens):
        output, spans = predictor.run([features[position] for position in positions])
        # The rest is large and not needed.
        kept = {name: output[name] for name in ("mention_logits", "mentions", "coreference_logits") if name in output}
        yield _Run(
            [documents[position] for position in positions], positions, to_device(kept, torch.device("cpu")), spans
        )


def _decide(
    runs: Sequence[_Run], decisions: Callable[[_Run, float], dict[str, Tensor]], threshold: float, config: Any
) -> list[Document]:
    """Documents of the decisions at a threshold on the same scores, in input order."""
    documents: dict[int, Document] = {}
    for run in runs:
        scores = {name: run.output[name] for name in ("mention_logits",) if name in run.output}
        decoded = decode({**scores, **decisions(run, threshold)}, run.spans, run.documents, config)
        documents.update(zip(run.positions, decoded, strict=True))
    return [documents[position] for position in range(len(documents))]


def _mentions_at(run: _Run, threshold: float) -> dict[str, Tensor]:
    return {"mentions": select_mentions(run.output["mention_logits"], threshold)}


def _clusters_at(run: _Run, threshold: float, symmetrise: str) -> dict[str, Tensor]:
    scores = symmetric_scores(torch.sigmoid(run.output["coreference_logits"].float()), symmetrise)
    clusters = find_entities(run.output["mentions"], Spans(**run.spans), scores, threshold)
    return {
        "entity_members": clusters.members,
        "entity_sizes": clusters.sizes,
        "entity_documents": clusters.document,
    }
