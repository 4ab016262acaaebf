"""Which share of a model's time each stage costs, backward pass included."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.contenders import JerexContender
from benchmarks.measure import TASKS, synchronize
from modeling_docre import inference, modeling_jerex

COLLATE = "candidates, samples, collation"
REST = "rest"
STAGES = (
    COLLATE,
    "encoder",
    "span pooling",
    "mention classifier",
    "coreference",
    "entity classifier",
    "relation classifier",
    "decoding",
    "optimiser",
    REST,
)


class StageClock:
    """A clock that charges all time to one stage at a time.

    Functions run for their stage while they last. In the backward pass the gradient of a stage's output arrives when
    the stage's own backward computation begins, so that is where the clock is switched: autograd works through the
    graph in the reverse order of its making, one stage after the other.

    Args:
        device: device of the model; the clock waits for it before each switch.
    """

    def __init__(self, device: torch.device | str):
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self._running, self._since = REST, time.perf_counter()

    def switch(self, stage: str) -> str:
        """Charge the time since the last switch to the stage that ran, go on with `stage`, return the one that ran."""
        synchronize(self.device)
        now = time.perf_counter()
        self.seconds[self._running] += now - self._since
        previous, self._running, self._since = self._running, stage, now
        return previous

    def timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """`function`, its own time and that of its backward computation charged to `stage`."""

        @wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            previous = self.switch(stage)
            try:
                return self._mark(function(*arguments, **options), stage)
            finally:
                self.switch(previous)

        return run

    def _mark(self, value: Any, stage: str) -> Any:
        if isinstance(value, torch.Tensor) and value.requires_grad:
            return _BackwardMark.apply(value, self, stage)
        if type(value) is tuple:
            return tuple(self._mark(item, stage) for item in value)
        return value


class _BackwardMark(torch.autograd.Function):
    """The identity; switches the clock when its gradient arrives."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, clock: StageClock, stage: str) -> torch.Tensor:
        ctx.clock, ctx.stage = clock, stage
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        ctx.clock.switch(ctx.stage)
        return gradients[0], None, None


@contextmanager
def watched(contender: JerexContender) -> Iterator[StageClock]:
    """Put a clock on the stages of a model; everything is as before afterwards."""
    clock, model, predictor = StageClock(contender.device), contender.model, contender.predictor
    places = [
        *((encoder, "forward", "encoder") for encoder in model.encoders),
        (modeling_jerex, "range_max", "span pooling"),
        (model.mention_classifier, "forward", "mention classifier"),
        (model, "_find_mentions", "mention classifier"),
        (model.coreference_scorer, "forward", "coreference"),
        (model, "_resolve", "coreference"),
        (modeling_jerex, "pool_entities", "entity classifier"),
        (model.entity_classifier, "forward", "entity classifier"),
        (modeling_jerex, "entity_pairs", "relation classifier"),
        (model.relation_classifier, "forward", "relation classifier"),
        (inference, "decode", "decoding"),
        (predictor, "example", COLLATE),
        (predictor, "collator", COLLATE),
        (contender, "training_batch", COLLATE),
        (contender, "update", "optimiser"),
    ]
    with ExitStack() as stack:
        for owner, name, stage in places:
            function = getattr(owner, name)
            timed = clock.timed(function, stage)
            stack.enter_context(patch.object(owner, name, timed))
        yield clock


def stage_seconds(contender: JerexContender, task: str, batches: Sequence[Any]) -> dict[str, float]:
    """Seconds that each of `STAGES` costs over all batches, after one untimed batch."""
    run = getattr(contender, TASKS[task])
    run(batches[0])
    with watched(contender) as clock:
        clock.switch(REST)
        clock.seconds.clear()
        for batch in batches:
            clock.switch(REST)
            run(batch)
        clock.switch(REST)
    return {stage: clock.seconds.get(stage, 0.0) for stage in STAGES}
