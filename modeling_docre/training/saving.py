"""What a run leaves: the model with its card, the command that made it, and checkpoints to go on from."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import pipeline
from transformers.trainer_callback import TrainerState

from modeling_docre.hub.cards import write_card
from modeling_docre.hub.push import failure, share
from modeling_docre.hub.upload import UPLOAD_ERRORS

from .arguments import DataArguments
from .trainer import DocRETrainer

logger = logging.getLogger(__name__)


def card_facts(data: DataArguments, command: str, split: str = "validation") -> dict[str, Any]:
    """What a card says of the data and of how the scores of a split were made."""
    corpus = data.test_corpus if split == "test" and data.test_corpus else data.corpus
    return {"corpus": corpus or "own documents", "dataset": data.hub_dataset_id, "command": command}


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


def save(trainer: DocRETrainer, scores: Mapping[str, Any] | None, **facts: Any) -> None:
    """Save the model with its tokenizer, the code of model and pipeline, and its card; facts as for `CardFacts`."""
    if trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        extract = pipeline("doc-relation-extraction", model=model, tokenizer=trainer.processing_class)
        extract.save_pretrained(trainer.args.output_dir)
        write_card(trainer.args.output_dir, model, repository=trainer.hub_model_id, scores=scores, **facts)


def push(trainer: DocRETrainer) -> None:
    """Push what was saved, as a commit with a tag of its own.

    Raises:
        ConnectionError: it could not be pushed; the message says why, and by which command it can be pushed later.
    """
    args, name = trainer.args, str(trainer.hub_model_id)
    if not trainer.is_world_process_zero():
        return
    try:
        commit, tag = share(
            args.output_dir, name, message="End of training", revision=args.hub_revision, token=args.hub_token
        )
    except UPLOAD_ERRORS as error:
        raise ConnectionError(failure(args.output_dir, name, error, args.hub_revision)) from error
    logger.info('pushed to %s, revision="%s" (commit %s)', commit.repo_url, tag, commit.oid)
