"""The trainer's pushes to the Hub: what it pushes, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo
from transformers import Trainer
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging

from .cards import write_card
from .push import PUSH_ERRORS, failure_message, push_folder

logger = logging.get_logger(__name__)


class PushTrainer(Trainer):
    """A trainer that pushes models, but no training arguments and no optimizer state.

    `hub_strategy` "every_save" pushes each checkpoint that is the best so far (every checkpoint if none is selected),
    "end" only the last model. `card_facts` are the facts of the cards except scores (see `CardFacts`); `scored` is the
    step of the last evaluation with its scores.
    """

    # The Trainer's own state.
    hub_model_id: str | None

    card_facts: dict[str, Any] = {}  # noqa: RUF012 - replaced, never changed
    scored: tuple[int, dict[str, Any]] | None = None

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Create the repository before training begins.

        Raises:
            ConnectionError: the Hub cannot be reached or refuses.
            ValueError: `hub_strategy` would push pickles.
        """
        if self.args.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            raise ValueError(
                f"hub_strategy is {self.args.hub_strategy.value!r}, which pushes pickles of the optimizer; give "
                "'every_save' (each best checkpoint) or 'end' (the last model)"
            )
        try:
            # Older versions of transformers have no `private`.
            super().init_hf_repo(token=token, **({} if private is None else {"private": private}))
        except PUSH_ERRORS as error:
            name = self.args.hub_model_id or Path(self.args.output_dir).absolute().name
            raise ConnectionError(
                f"the repository {name} cannot be created: {str(error).splitlines()[0]}; check the connection, "
                "the name and your token (`hf auth login`), or train without --push_to_hub and push the model later"
            ) from error

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **facts: Any,
    ) -> CommitInfo | None:
        """Save the model and its card, and push them with the tokenizer and the code.

        Args:
            commit_message: the text of the commit.
            blocking: must be True.
            token, revision, private: in place of `hub_token`, `hub_revision` and `hub_private_repo`.
            **facts: for the card, beside `card_facts`.

        Returns:
            The commit; None in processes other than the main one.

        Raises:
            ValueError: `blocking` is False.
        """
        if not blocking:
            raise ValueError("blocking is False; these models are only pushed synchronously, so leave it out")
        if self.hub_model_id is None:
            self.init_hf_repo(token=token, private=private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        return self._push(self.args.output_dir, commit_message, token=token, revision=revision, **facts)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Push a checkpoint if it is the best one so far, or if no best one is tracked.

        Training waits for the push, because it may delete older checkpoints afterwards.
        """
        best = self.state.best_model_checkpoint
        beaten = best is not None and Path(best) != Path(checkpoint_folder)
        if not self.is_world_process_zero() or self.args.hub_strategy == HubStrategy.END or beaten:
            return
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        step = self.state.global_step
        facts: dict[str, Any] = {}
        if self.scored and self.scored[0] == step:  # an earlier evaluation scored other weights
            facts = {"scores": self.scored[1], "split": "validation"}
        try:
            self._push(checkpoint_folder, f"Training in progress, step {step}", tagged=False, **facts)
        except PUSH_ERRORS as error:
            logger.warning(failure_message(checkpoint_folder, str(self.hub_model_id), error, self.args.hub_revision))

    def _push(
        self,
        folder: str,
        message: str | None,
        token: str | None = None,
        revision: str | None = None,
        tagged: bool = True,
        **facts: Any,
    ) -> CommitInfo:
        model = self.accelerator.unwrap_model(self.model)
        write_card(folder, model, repository=self.hub_model_id, **{**self.card_facts, **facts})
        return push_folder(
            folder,
            str(self.hub_model_id),
            message=message,
            token=token or self.args.hub_token,
            revision=revision or self.args.hub_revision,
            tagged=tagged,
        ).commit
