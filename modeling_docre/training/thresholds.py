"""Threshold search on validation documents, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.decoding import decode
from modeling_docre.documents import Document, Relation
from modeling_docre.predictor import Predictor, to_device
from modeling_docre.segments import token_batches
from modeling_docre.stage_coreference import cluster_mentions, symmetric_scores
from modeling_docre.stage_mentions import select_mentions

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The candidate values 0.05, 0.10, ..., 0.95."""

Score = Callable[[Sequence[Document], Sequence[Document]], Mapping[str, float]]


def tune_thresholds(
    predictor: Predictor, documents: Sequence[Document], score: Score, max_tokens: int = 2048
) -> dict[str, Any]:
    """Set the model's thresholds to the best values on a grid, and return them.

    The thresholds interact through the stages, so they are searched in the order of the stages, each with the earlier
    ones fixed: the mention threshold by mention F1, the coreference threshold by cluster F1, the relation threshold
    by strict relation F1. Of equally good values the first (lowest) is taken. JEREX's paper only says that a grid
    search was done per threshold. The model runs once per stage; the values of the grid are tried on its scores.

    Args:
        predictor: the model; its configuration is changed. What it is given is not decided and so not tuned.
        documents: gold validation documents.
        score: predictions and references to the scores of docre_f1.
        max_tokens: subwords per batch.
    """
    config = predictor.config
    chosen: dict[str, Any] = {}

    def search(stage: str, target: str, predictions: Callable[[float], list[Document]]) -> None:
        found = {value: score(predictions(value), documents)[target] for value in GRID}
        chosen[f"{stage}_threshold"] = max(found, key=found.__getitem__)
        setattr(config, f"{stage}_threshold", chosen[f"{stage}_threshold"])

    if "mention" in config.traits.stages and predictor.given is None:
        mention_runs = list(_run(predictor, documents, max_tokens))
        search("mention", "mention_f1", lambda value: _decide(mention_runs, _mentions_at(value), config))
    if "coreference" in config.traits.stages and predictor.given in (None, "mentions"):
        coreference_runs = list(_run(predictor, documents, max_tokens))
        search(
            "coreference", "cluster_f1", lambda value: _decide(coreference_runs, _clusters_at(value, config), config)
        )
    if "relation" in config.traits.stages:
        scored = predictor.predict(documents, max_tokens, relation_threshold=relation_grid(config)[0])
        # The facts of sentence-level systems are not those of the documents as they are; `score` knows both.
        if predictor.given == "entities" and not config.traits.reads_sentences:
            fit_relation_thresholds(config, scored, documents)
            chosen |= {
                name: value for name, value in config.thresholds_in_force().items() if name.startswith("relation")
            }
        else:
            search(
                "relation",
                "relation_f1",
                lambda value: _cut(scored, dict.fromkeys(config.relation_types, np.float32(value)), strict=False),
            )
    return chosen


def relation_grid(config: DocREConfig) -> tuple[float, ...]:
    """Candidate values of a relation threshold, ascending: `GRID`, for ATLOP 0.1, 0.2, ..., 0.9 as in its paper."""
    return GRID[1::2] if config.traits.relation_cut.strict else GRID


def fit_relation_thresholds(
    config: DocREConfig, scored: Sequence[Document], references: Sequence[Document]
) -> list[Document]:
    """Set the relation thresholds between given entities to those with the best micro F1, of equals the lowest.

    With `threshold="per_class"` each type has its own: starting from the best common value, one type after the other is
    set to its best value while the others stand, until nothing improves (ATLOP section 6.4, cyclic optimization).

    Args:
        config: its thresholds are changed.
        scored: predictions with all relations from the lowest value of `relation_grid` on.
        references: the same documents with gold relations.

    Returns:
        The predictions with the relations that are kept.
    """
    grid = np.array(relation_grid(config), dtype=np.float32)
    gold = sum(len(_facts(document)) for document in references)
    predicted, hits = _counts(config, scored, references, grid)  # [types, values] each
    best = int((hits.sum(0) / (predicted.sum(0) + gold)).argmax()) if gold else 0
    chosen = np.full(len(config.relation_types), best)
    if getattr(config, "threshold", None) == "per_class":
        chosen = _cyclic_search(predicted, hits, gold, chosen)
        config.relation_thresholds = [relation_grid(config)[value] for value in chosen]
    else:
        config.relation_threshold = relation_grid(config)[best]
    return _cut(scored, dict(zip(config.relation_types, grid[chosen], strict=True)), config.traits.relation_cut.strict)


def _cut(documents: Sequence[Document], limits: Mapping[str, np.float32], strict: bool) -> list[Document]:
    """Documents with only the relations that reach the limit of their type, or with `strict` exceed it."""

    def kept(relation: Relation) -> bool:
        score, limit = relation.score or 0.0, limits[relation.type]
        return bool(score > limit or (score == limit and not strict))

    return [replace(document, relations=tuple(filter(kept, document.relations))) for document in documents]


def _facts(document: Document) -> set[tuple[int, int, str]]:
    """The relations that count, in the order of their candidates where a corpus names candidates (as docre_f1 does)."""
    facts = {(relation.head, relation.tail, relation.type) for relation in document.relations}
    if document.candidates is None:
        return facts
    scored: dict[tuple[int, int], bool] = {}
    for item in document.candidates:
        scored.setdefault((item.head, item.tail), item.scored)
    turned = {
        (tail, head, kind) if (tail, head) in scored and (head, tail) not in scored else (head, tail, kind)
        for head, tail, kind in facts
    }
    return {fact for fact in turned if scored.get(fact[:2], True)}


def _counts(
    config: DocREConfig, scored: Sequence[Document], references: Sequence[Document], grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How many relations each type keeps at each value, and how many of them are right, [types, values] int64."""
    index = {name: number for number, name in enumerate(config.relation_types)}
    predicted, hits = np.zeros((2, len(index), len(grid)), dtype=np.int64)
    side: Literal["left", "right"] = "left" if config.traits.relation_cut.strict else "right"
    for document, reference in zip(scored, references, strict=True):
        facts = _facts(reference)
        for item in document.relations:
            kept = int(np.searchsorted(grid, np.float32(item.score), side=side))  # the lowest values keep it
            predicted[index[item.type], :kept] += 1
            hits[index[item.type], :kept] += (item.head, item.tail, item.type) in facts
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
    """What the model said about a batch: the documents, their positions in the input, and the scores of the stages."""

    documents: list[Document]
    positions: list[int]
    output: dict[str, Tensor]
    spans: Mapping[str, Tensor]


def _run(predictor: Predictor, documents: Sequence[Document], max_tokens: int) -> Iterator[_Run]:
    features = predictor.featurizer(documents)
    for positions in token_batches([len(item.input_ids) for item in features], max_tokens):
        output, spans = predictor.run([features[position] for position in positions])
        # The rest is large and not looked at.
        kept = {name: output[name] for name in ("mention_logits", "mentions", "coreference_logits") if name in output}
        yield _Run(
            [documents[position] for position in positions], positions, to_device(kept, torch.device("cpu")), spans
        )


def _decide(runs: Sequence[_Run], decisions: Callable[[_Run], dict[str, Tensor]], config: Any) -> list[Document]:
    """Documents of other decisions on the same scores, in input order."""
    found: dict[int, Document] = {}
    for run in runs:
        scores = {name: run.output[name] for name in ("mention_logits",) if name in run.output}
        decoded = decode({**scores, **decisions(run)}, run.spans, run.documents, config)
        found.update(zip(run.positions, decoded, strict=True))
    return [found[position] for position in range(len(found))]


def _mentions_at(threshold: float) -> Callable[[_Run], dict[str, Tensor]]:
    return lambda run: {"mentions": select_mentions(run.output["mention_logits"], threshold)}


def _clusters_at(threshold: float, config: Any) -> Callable[[_Run], dict[str, Tensor]]:
    def clusters(run: _Run) -> dict[str, Tensor]:
        mentions = run.output["mentions"]
        scores = symmetric_scores(torch.sigmoid(run.output["coreference_logits"].float()), config.coref_symmetrise)
        found = cluster_mentions(mentions, run.spans["document"][mentions], scores, threshold)
        return {"entity_members": found.members, "entity_sizes": found.sizes, "entity_documents": found.document}

    return clusters
