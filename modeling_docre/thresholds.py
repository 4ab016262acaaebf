"""Threshold search on validation documents, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .coreference import cluster_mentions, symmetric_scores
from .decoding import decode
from .documents import Document
from .inference import Predictor, to_device, token_batches
from .mentions import select_mentions

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""The candidate values 0.05, 0.10, ..., 0.95."""

Score = Callable[[Sequence[Document], Sequence[Document]], Mapping[str, float]]


def tune_thresholds(
    predictor: Predictor, documents: Sequence[Document], score: Score, max_tokens: int = 2048
) -> dict[str, float]:
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
    config, chosen = predictor.config, {}

    def search(stage: str, target: str, predictions: Callable[[float], list[Document]]) -> None:
        found = {value: score(predictions(value), documents)[target] for value in GRID}
        chosen[f"{stage}_threshold"] = max(found, key=found.__getitem__)
        setattr(config, f"{stage}_threshold", chosen[f"{stage}_threshold"])

    if "mention" in config.stages and predictor.given is None:
        mention_runs = list(_run(predictor, documents, max_tokens))
        search("mention", "mention_f1", lambda value: _decide(mention_runs, _mentions_at(value), config))
    if "coreference" in config.stages and predictor.given in (None, "mentions"):
        coreference_runs = list(_run(predictor, documents, max_tokens))
        search(
            "coreference", "cluster_f1", lambda value: _decide(coreference_runs, _clusters_at(value, config), config)
        )
    if "relation" in config.stages:
        scored = predictor.predict(documents, max_tokens, relation_threshold=GRID[0])
        search("relation", "relation_f1", lambda value: _at_least(scored, value))
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


def _at_least(documents: Sequence[Document], threshold: float) -> list[Document]:
    """Documents with only the relations that reach a threshold."""
    limit = np.float32(threshold)
    kept = [tuple(item for item in document.relations if (item.score or 0.0) >= limit) for document in documents]
    return [replace(document, relations=relations) for document, relations in zip(documents, kept, strict=True)]


def thresholds_of(config: Any) -> dict[str, float]:
    """The thresholds in force, by option name."""
    names = ("mention_threshold", "coreference_threshold", "relation_threshold")
    return {name: getattr(config, name) for name in names if hasattr(config, name)}
