"""Threshold search on validation documents, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .documents import Document
from .inference import Predictor

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
    search was done per threshold.

    Args:
        predictor: the model; its configuration is changed.
        documents: gold validation documents.
        score: predictions and references to the scores of docre_f1.
        max_tokens: subwords per batch.
    """
    config, chosen = predictor.config, {}
    stages = [
        (f"{stage}_threshold", target)
        for stage, target in (("mention", "mention_f1"), ("coreference", "cluster_f1"))
        if stage in config.stages and predictor.given is None
    ]
    for name, target in stages:
        found = {}
        for value in GRID:
            setattr(config, name, value)
            predictions = predictor.predict(documents, max_tokens, relation_threshold=1.0)
            found[value] = score(predictions, documents)[target]
        chosen[name] = max(found, key=found.__getitem__)
        setattr(config, name, chosen[name])
    if "relation" in config.stages:
        scored = predictor.predict(documents, max_tokens, relation_threshold=GRID[0])
        found = {value: score(_at_least(scored, value), documents)["relation_f1"] for value in GRID}
        config.relation_threshold = chosen["relation_threshold"] = max(found, key=found.__getitem__)
    return chosen


def _at_least(documents: Sequence[Document], threshold: float) -> list[Document]:
    """Documents with only the relations that reach a threshold."""
    limit = np.float32(threshold)
    return [
        replace(document, relations=tuple(relation for relation in document.relations if relation.score >= limit))
        for document in documents
    ]


def thresholds_of(config: Any) -> dict[str, float]:
    """The thresholds in force, by option name."""
    names = ("mention_threshold", "coreference_threshold", "relation_threshold")
    return {name: getattr(config, name) for name in names if hasattr(config, name)}
