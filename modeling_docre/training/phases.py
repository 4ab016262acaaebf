"""What changes in the course of training: which part of a model an update trains, and whether memories are read.

Everything here is a function of the number of updates done, so that a resumed run needs no state of its own.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import SchedulerType, TrainerCallback, TrainingArguments, get_scheduler

logger = logging.getLogger(__name__)


@dataclass
class PhaseArguments:
    """How the parts of a model take turns (KMGRE section 3.2).

    Args:
        warmup_epochs: first epochs, in which each update trains all parts.
        alternate: after the warm-up each part is trained for one epoch (`epoch`) or for one update (`batch`) in turn.
    """

    warmup_epochs: int = 3
    alternate: str = field(default="epoch", metadata={"choices": ["epoch", "batch"]})


@dataclass(frozen=True)
class PhaseSchedule:
    """The phases of a training run.

    Args:
        updates: updates of the whole run.
        warmup: first updates, which train all parts.
        turn: updates of a turn.
        order: the phases in the order of their turns.
    """

    updates: int
    warmup: int
    turn: int
    order: tuple[str, ...]

    @classmethod
    def of(cls, arguments: Any, batches: int, updates: int, order: tuple[str, ...]) -> PhaseSchedule:
        """The schedule for the training arguments, batches per epoch, updates of the run, and the phases in order.

        Raises:
            ValueError: a setting has no such value.
        """
        if arguments.warmup_epochs < 0:
            raise ValueError(f"warmup_epochs is {arguments.warmup_epochs}; give a whole number from 0 on")
        if arguments.alternate not in ("epoch", "batch"):
            raise ValueError(f'alternate is {arguments.alternate!r}; give "epoch" or "batch"')
        per_epoch = max(1, -(-batches // arguments.gradient_accumulation_steps))
        turn = per_epoch if arguments.alternate == "epoch" else 1
        return cls(updates, arguments.warmup_epochs * per_epoch, turn, order)

    def phases(self, done: int) -> tuple[str, ...]:
        """What the update after `done` updates trains."""
        if done < self.warmup:
            return self.order
        return (self.order[(done - self.warmup) // self.turn % len(self.order)],)

    def updates_of(self, phase: str, done: int, with_warmup: bool = True) -> int:
        """How many of the first `done` updates trained a phase's part, with or without those of the warm-up."""
        first = min(done, self.warmup)
        rounds, rest = divmod(done - first, len(self.order) * self.turn)
        last = min(max(rest - self.order.index(phase) * self.turn, 0), self.turn)
        return (first if with_warmup else 0) + rounds * self.turn + last

    def learning_rates(self, arguments: TrainingArguments, optimizer: torch.optim.Optimizer) -> LambdaLR:
        """A scheduler by which the learning rate of each parameter group follows the updates of its `phase`.

        Raises:
            ValueError: the schedule does not follow from the number of updates alone.
        """
        functions = []
        for group in optimizer.param_groups:
            phase = group["phase"]
            total = self.updates_of(phase, self.updates)
            # Some schedules know their least rate, and turn it into a share of the optimizer's.
            alone = torch.optim.SGD(
                [torch.zeros(1, requires_grad=True)], lr=group.get("initial_lr", group["lr"]) or 1.0
            )
            warmup = arguments.get_warmup_steps(total)
            options = arguments.lr_scheduler_kwargs
            found = get_scheduler(arguments.lr_scheduler_type, alone, warmup, total, scheduler_specific_kwargs=options)
            if not isinstance(found, LambdaLR):
                kind = SchedulerType(arguments.lr_scheduler_type).value
                raise ValueError(
                    f"lr_scheduler_type is {kind!r}, which cannot follow the updates of a part of the model; give "
                    '"linear", "cosine" or another function of the number of updates'
                )
            functions.append(partial(self._factor, found.lr_lambdas[0], phase))
        return LambdaLR(optimizer, functions)

    def _factor(self, function: Any, phase: str, done: int) -> float:
        return function(self.updates_of(phase, done))


class PhaseCallback(TrainerCallback):
    """Tells the model which part the next update trains, and its configuration how far each part has come."""

    def __init__(self, schedule: PhaseSchedule):
        self.schedule = schedule

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        """Set the phases of the update that begins."""
        model.phases = self.schedule.phases(state.global_step)
        self._count(model, state.global_step)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        """Leave the model as it was before training."""
        model.phases, model.phase = type(model).phases, type(model).phase

    def on_step_end(self, args, state, control, model=None, **kwargs):
        """Count the update that is done."""
        self._count(model, state.global_step)

    def _count(self, model: Any, done: int) -> None:
        for phase in self.schedule.order:
            model.config.count_updates(phase, self.schedule.updates_of(phase, done, with_warmup=False))


@dataclass
class MemoryArguments:
    """When reading begins.

    Args:
        memory_warmup_ratio: share of the updates before the memories are read (Kosciukiewicz et al., section 3.3).
    """

    memory_warmup_ratio: float = 0.4


class MemoryCallback(TrainerCallback):
    """Turns the reading of the memories on in the model's configuration, which every checkpoint saves.

    It follows the number of updates done, so that a resumed run needs no state of its own. Evaluation and checkpoints
    read where the update before them did. Where the model that training ends with does not read, a warning says so.
    """

    def __init__(self, ratio: float):
        if not 0.0 <= ratio <= 1.0:
            raise ValueError(f"memory_warmup_ratio is {ratio}; give a number from 0 to 1")
        self.ratio = ratio

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        """Read from here on if the warm-up is over, as the update before a resumption did."""
        begins = int(self.ratio * state.max_steps)
        model.config.memory_reading = begins == 0 or state.global_step > begins

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        """Begin to read at the first update after the warm-up."""
        model.config.memory_reading = state.global_step >= int(self.ratio * state.max_steps)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        """Warn of a final model that does not read its memories."""
        config = model.config
        if config.traits.memory_levels and not config.memory_reading and self.ratio < 1:
            logger.warning(
                "the model does not read its memories: its best evaluation came in the first %s of the updates, which "
                "only write them; train for more epochs, or with a smaller memory_warmup_ratio",
                self.ratio,
            )
