"""Scores of docre_f1 level by level: as numbers for a card, and as a printed table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LEVELS = ("mention", "cluster", "entity", "relation", "relation_untyped", "ign", "intra", "inter")


def scored_levels(scores: Mapping[str, Any], levels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of each scored level and of the levels that the corpus' convention reports.

    Ign F1 has the recall of all relations.
    """
    return {
        level: {
            part: scores.get(f"{level}_{part}", scores["relation_recall"]) for part in ("precision", "recall", "f1")
        }
        for level in dict.fromkeys((*levels, *scores.get("reported", ())))
        if f"{level}_f1" in scores
    }


def score_table(scores: Mapping[str, Any]) -> str:
    """Precision, recall and F1 of each scored level as an aligned table, in percent."""
    lines = [f"{'':18}{'precision':>10}{'recall':>10}{'F1':>10}"]
    for level, values in scored_levels(scores, LEVELS).items():
        lines.append(f"{level.replace('_', ' '):18}{''.join(f'{100 * value:10.2f}' for value in values.values())}")
    return "\n".join(lines)
