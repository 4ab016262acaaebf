"""A trainer over a few documents that saves, evaluates and shows nothing unless asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from samples import ANNA, OTTO
from tiny import tiny_tokenizer
from transformers import TrainerCallback

from modeling_docre import Document
from modeling_docre.features import Featurizer
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.sampling import TrainingExamples
from modeling_docre.training.trainer import DocRETrainer

QUIET = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "disable_tqdm": True}

FIVE = [
    replace(document, id=f"{document.id} {number}") for number, document in enumerate((ANNA, OTTO, ANNA, OTTO, ANNA))
]
BRIEF = [
    "--use_cpu",
    "--disable_tqdm",
    "true",
    "--learning_rate",
    "1e-3",
    "--negatives_mention",
    "20",
    "--window_overlap",
    "16",
]


def write_jsonl(path: Path, documents: list[Document]) -> str:
    path.write_text("".join(json.dumps(document.to_dict()) + "\n" for document in documents), encoding="utf-8")
    return str(path)


def spread(model: Any, factor: float = 40.0) -> Any:
    """The model with the scores of its stages spread over the whole grid."""
    for head in (model.mention_classifier, model.coreference_scorer, model.relation_classifier):
        if head is not None:
            output = getattr(head, "classifier", head).output
            output.weight.data *= factor
    return model


class ScriptedTrainer(DocRETrainer):
    """Evaluation finds the scores of a script instead of its own, one after the other."""

    script: ClassVar[Iterator[float]]

    def scorer(self, references: Any) -> Any:
        def score(predictions: Any, ranking: bool = False) -> dict[str, Any]:
            return {"ranking": {}} if ranking else {"relation_f1": next(self.script), "mention_f1": 1.0}

        return score


class Killed(Exception):
    """Stands for the end of the process."""


class Killer(TrainerCallback):
    """Breaks training off after an update, before anything of that update is saved."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed


def trainer(
    model: Any,
    folder: str | Path,
    documents: Sequence[Document],
    kind: type[DocRETrainer] = DocRETrainer,
    callbacks: Sequence[TrainerCallback] = (),
    examples: type[TrainingExamples] = TrainingExamples,
    tokenizer: Any = None,
    **arguments: Any,
) -> DocRETrainer:
    """A trainer that learns from the documents and evaluates on them.

    Args:
        model: the model.
        folder: where it writes.
        documents: the documents.
        kind: class of the trainer.
        callbacks: further callbacks.
        examples: class of the training examples.
        tokenizer: that of the model's encoder; by default the tiny one.
        **arguments: training arguments.
    """
    settings = DocRETrainingArguments(str(folder), use_cpu=True, **{**QUIET, **arguments})
    tokenizer = tokenizer or tiny_tokenizer()
    features = Featurizer(tokenizer, model.config)(documents)
    return kind(
        model,
        settings,
        train_dataset=examples(features, model.config, settings, settings.seed),
        eval_dataset=documents,
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )
