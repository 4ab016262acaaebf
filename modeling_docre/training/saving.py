"""What a run leaves: the model with its card, the command that made it, and checkpoints to go on from."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import pipeline
from transformers.trainer_callback import TrainerState

from modeling_docre.encoder_onnx import EXPORTED
from modeling_docre.hub.cards import write_card
from modeling_docre.hub.files import full_disk_named, replacing_files, write_whole
from modeling_docre.hub.push import PUSH_ERRORS, failure_message, push_folder

from .arguments import DataArguments

if TYPE_CHECKING:
    from .trainer import DocRETrainer

logger = logging.getLogger(__name__)

# Files of a run's folder that belong to its weights.
_WEIGHTS = ("config.json", "*.safetensors", "*.safetensors.index.json", EXPORTED)
_REPORTS = ("README.md", ".eval_results/*.yaml", "validation/*.json", "test/*.json")
_TRAINING_REPORTS = ("train_results.json",)


def card_facts(data: DataArguments, command: str, split: str = "validation") -> dict[str, Any]:
    """What a card says of the data and of how the scores of a split were made."""
    corpus = data.test_corpus if split == "test" and data.test_corpus else data.corpus
    name = data.validation_split if split == "validation" else data.test_split or split
    return {"corpus": corpus or "own documents", "dataset": data.hub_dataset_id, "split": name, "command": command}


def command_line(arguments: Sequence[str]) -> str:
    """The command of this run, without the token that it may hold."""
    words, secret = ["docre", "train"], False
    for word in arguments:
        name = word.partition("=")[0].lstrip("-").replace("-", "_")
        if not secret and name != "hub_token":
            words.append(word)
        secret = name == "hub_token" and "=" not in word
    return shlex.join(words)


def last_checkpoint(folder: str) -> str | None:
    """The newest complete checkpoint in a folder, None where there is none.

    A run that is killed while it saves leaves a folder without its last part, the state of the trainer.
    """
    states = [file for file in Path(folder).glob("checkpoint-*/trainer_state.json") if _is_complete(file)]
    newest = max(states, key=lambda file: int(file.parent.name.rpartition("-")[2]), default=None)
    return None if newest is None else str(newest.parent)


def _is_complete(state: Path) -> bool:
    try:
        TrainerState.load_from_json(str(state))
    except (ValueError, TypeError):
        return False
    return True


def save_model(trainer: DocRETrainer) -> None:
    """Save the model with its tokenizer and the code of model and pipeline.

    The folder is that of one run: once everything is written, an earlier run's weights, scores and card go first.

    Raises:
        ValueError: the weights are not finite.
        OSError: it cannot be written, and the folder is as it was.
    """
    if not trainer.is_world_process_zero():
        return
    output, model = Path(str(trainer.args.output_dir)), trainer.accelerator.unwrap_model(trainer.model)
    model.check_finite("the trained model")
    extract = pipeline("doc-relation-extraction", model=model, tokenizer=trainer.processing_class)
    stale = (*_WEIGHTS, *_REPORTS, *(_TRAINING_REPORTS if trainer.args.do_train else ()))
    with replacing_files(output, stale, last="config.json") as draft:
        extract.save_pretrained(draft)


def save_train_results(trainer: DocRETrainer, results: Mapping[str, Any]) -> None:
    """Write what the Trainer measured to `train_results.json`."""
    if trainer.is_world_process_zero():
        file = Path(str(trainer.args.output_dir)) / "train_results.json"
        write_whole(file, json.dumps(results, indent=1, sort_keys=True) + "\n")


def save_card(trainer: DocRETrainer, scores: Mapping[str, Any] | None, **facts: Any) -> None:
    """Write the card beside the saved model; facts as for `CardFacts`."""
    if trainer.is_world_process_zero():
        output, model = Path(str(trainer.args.output_dir)), trainer.accelerator.unwrap_model(trainer.model)
        with full_disk_named(output):
            write_card(output, model, repository=trainer.hub_model_id, scores=scores, **facts)


def push(trainer: DocRETrainer) -> None:
    """Push what was saved, as a commit with a tag of its own.

    Raises:
        ConnectionError: it could not be pushed; the message says why, and by which command it can be pushed later.
    """
    args, name = trainer.args, str(trainer.hub_model_id)
    if not trainer.is_world_process_zero():
        return
    try:
        commit, tag = push_folder(
            args.output_dir, name, message="End of training", revision=args.hub_revision, token=args.hub_token
        )
    except PUSH_ERRORS as error:
        raise ConnectionError(failure_message(args.output_dir, name, error, args.hub_revision)) from error
    logger.info('pushed to %s, revision="%s" (commit %s)', commit.repo_url, tag, commit.oid)
