"""Renders the model card that is saved beside a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from .modeling_docre import DocREPreTrainedModel
from .resources import resource
from .thresholds import thresholds_of

LEVELS = ("mention", "cluster", "entity", "relation")
LEVELS_OF_GIVEN_ENTITIES = ("relation", "ign", "intra", "inter")


def render_card(model: DocREPreTrainedModel, **facts: Any) -> str:
    """The card of a model as Markdown.

    Args:
        model: the model; its docstring opens the card.
        **facts: `corpus`, `split`, `scores` (what docre_f1 returned), `command`, `base_model`, `repository`, `license`;
            what is absent is left out or said to be unknown.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    template = environment.from_string(resource("model_card.md").read_text(encoding="utf-8"))
    known = {
        "corpus": None,
        "split": None,
        "command": "",
        "base_model": None,
        "repository": "REPOSITORY",
        "license": "apache-2.0",
    }
    scores = facts.pop("scores", None)
    return template.render(
        **{**known, **facts},
        system=model.config.model_type.removeprefix("docre-"),
        language=model.config.language,
        description=(type(model).__doc__ or "").split("\n\n")[0],
        entities_given=model.config.entities_given,
        entity_types=model.config.entity_types,
        relation_types=model.config.relation_types,
        thresholds=thresholds_of(model.config),
        documents=scores and scores["documents"],
        scores=scores and scored_levels(scores, LEVELS_OF_GIVEN_ENTITIES if model.config.entities_given else LEVELS),
    )


def write_card(folder: str | Path, model: DocREPreTrainedModel, **facts: Any) -> None:
    """Write the card as `README.md` into a folder; facts as for `render_card`."""
    (Path(folder) / "README.md").write_text(render_card(model, **facts), encoding="utf-8")


def scored_levels(scores: Mapping[str, Any], levels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of the levels that were scored, and of those that the corpus' convention reports.

    Ign F1 takes its recall from all relations.
    """
    return {
        level: {
            part: scores.get(f"{level}_{part}", scores["relation_recall"]) for part in ("precision", "recall", "f1")
        }
        for level in dict.fromkeys((*levels, *scores.get("reported", ())))
        if f"{level}_f1" in scores
    }
