"""Measures the share of each stage in what a model costs, including the backward pass: time, or what is counted."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.contenders import SystemContender
from benchmarks.measure import TASKS, synchronize
from modeling_docre import (
    candidates,
    encoder_attention,
    modeling_atlop,
    modeling_end_to_end,
    modeling_given_entities,
    modeling_jerex,
    modeling_joint,
    modeling_kmgre,
    modeling_memory_jerex,
    modeling_spert,
    predictor,
    stage_pairs,
)

COLLATE = "candidates, samples, collation"
REST = "rest"
# A pass of the network that is not trained; its stages are not distinguished.
FROZEN = "frozen network"


def jerex_places(model: Any) -> list[tuple[Any, str, str]]:
    """The functions of JEREX's stages: owner, name, stage."""
    return [
        (modeling_jerex, "range_max", "span pooling"),
        (model.mention_classifier, "forward", "mention classifier"),
        (model, "_find_mentions", "mention classifier"),
        (model.coreference_scorer, "forward", "coreference"),
        (modeling_end_to_end, "resolve_mentions", "coreference"),
        (candidates.Entities, "pool", "entity classifier"),
        (model.entity_classifier, "forward", "entity classifier"),
        (modeling_jerex, "entity_pairs", "relation classifier"),
        (model.relation_classifier, "forward", "relation classifier"),
    ]


def memory_jerex_places(model: Any) -> list[tuple[Any, str, str]]:
    """The functions of JEREX's stages, and the reading of the memories."""
    readers = [(reader, "forward", "memory reading") for reader in model.readers.values()]
    return [*jerex_places(model), (modeling_memory_jerex, "range_max", "span pooling"), *readers]


def atlop_places(model: Any) -> list[tuple[Any, str, str]]:
    """The functions of ATLOP's stages: owner, name, stage."""
    return [
        (encoder_attention, "_rows", "attention rows"),
        (modeling_given_entities, "range_mean", "mentions and entities"),
        (candidates.Entities, "pool", "mentions and entities"),
        (stage_pairs, "unordered_pairs", "localized context"),
        (stage_pairs, "blocks", "localized context"),
        (stage_pairs, "pool_block", "localized context"),
        (stage_pairs, "weigh_sentences", "evidence"),
        (stage_pairs.PairScores, "evidence", "evidence"),
        (model.head_extractor, "forward", "extractors"),
        (model.tail_extractor, "forward", "extractors"),
        (model.bilinear, "forward", "bilinear"),
        (modeling_atlop, "threshold_losses", "loss"),
    ]


def kmgre_places(model: Any) -> list[tuple[Any, str, str]]:
    """The functions of KMGRE's stages: owner, name, stage."""
    return [
        (model, "_judge", FROZEN),
        (model, "_assign", FROZEN),
        (encoder_attention, "_rows", "attention rows"),
        (modeling_given_entities, "range_mean", "mentions"),
        (modeling_kmgre, "mention_pairs", "mention pairs"),
        (modeling_kmgre, "unordered_pairs", "localized context"),
        (modeling_kmgre, "pool_pairs", "localized context"),
        (model.relation_extractor, "forward", "mention pair layers"),
        (model.key_classifier, "forward", "mention pair layers"),
        (model, "_select", "key mention pairs"),
        (model, "_decide", "fusion"),
        (model, "_explain", "evidence"),
        (modeling_kmgre, "threshold_losses", "loss"),
        (modeling_kmgre, "focal_loss", "loss"),
    ]


def spert_places(model: Any) -> list[tuple[Any, str, str]]:
    """The functions of SpERT's stages: owner, name, stage."""
    return [
        (modeling_spert, "range_max", "span and context pooling"),
        (model, "_classify_spans", "span classifier"),
        (model, "_filter", "span classifier"),
        (model, "_relate", "relation classifier"),
    ]


def joint_places(model: Any) -> list[tuple[Any, str, str]]:
    """The functions of joint's stages: owner, name, stage."""
    return [
        (modeling_joint, "range_max", "span pooling"),
        (model.mention_classifier, "forward", "mention classifier"),
        (model, "_find_mentions", "mention classifier"),
        (model.coreference_scorer, "forward", "coreference"),
        (modeling_end_to_end, "resolve_mentions", "coreference"),
        (model.entity_classifier, "forward", "entity classifier"),
        (candidates.Entities, "pool", "entities"),
        (encoder_attention, "_rows", "attention rows"),
        (modeling_joint, "attend_from", "attention rows"),
        (stage_pairs, "unordered_pairs", "localized context"),
        (stage_pairs, "blocks", "localized context"),
        (stage_pairs, "pool_block", "localized context"),
        (stage_pairs, "weigh_sentences", "evidence"),
        (model.head_extractor, "forward", "extractors"),
        (model.tail_extractor, "forward", "extractors"),
        (model.bilinear, "forward", "bilinear"),
        (modeling_joint, "threshold_losses", "loss"),
        (modeling_joint, "_evidence_loss", "evidence"),
        (model, "_explain", "evidence"),
    ]


PLACES = {
    "docre-jerex": jerex_places,
    "docre-memory-jerex": memory_jerex_places,
    "docre-atlop": atlop_places,
    "docre-kmgre": kmgre_places,
    "docre-spert": spert_places,
    "docre-joint": joint_places,
}


class StageClock:
    """A clock that charges all time, or all that another meter counts, to one stage at a time.

    The time of a function is charged to its stage. In the backward pass the clock is switched when the gradient of a
    stage's output arrives, because the stage's own backward computation begins then. Autograd processes the graph in
    reverse order, one stage after the other.

    Args:
        device: device of the model; the clock waits for it before each switch.
        read: what has been spent so far, a number or an array.
    """

    def __init__(self, device: torch.device | str, read: Callable[[], Any] = time.perf_counter):
        self.device, self.read = device, read
        self.seconds: dict[str, Any] = defaultdict(float)
        self._running, self._since = REST, read()

    def switch(self, stage: str) -> str:
        """Charge the time since the last switch to the running stage, start `stage`, and return the former one."""
        synchronize(self.device)
        now = self.read()
        self.seconds[self._running] += now - self._since
        previous, self._running, self._since = self._running, stage, now
        return previous

    def timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        """Wrap `function` so that its time and that of its backward computation are charged to `stage`."""

        @wraps(function)
        def run(*arguments: Any, **options: Any) -> Any:
            if self._running == FROZEN:
                return function(*arguments, **options)
            previous = self.switch(stage)
            if previous not in (REST, stage):
                # The backward computation of the outer stage continues after this one's.
                arguments = tuple(self._mark(argument, previous) for argument in arguments)
            try:
                return self._mark(function(*arguments, **options), stage)
            finally:
                self.switch(previous)

        return run

    def _mark(self, value: Any, stage: str) -> Any:
        if isinstance(value, torch.Tensor) and value.requires_grad:
            return _BackwardMark.apply(value, self, stage)
        if isinstance(value, dict):
            return {name: self._mark(item, stage) for name, item in value.items()}
        if isinstance(value, tuple):
            items = [self._mark(item, stage) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
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
def watched(contender: SystemContender, read: Callable[[], Any] = time.perf_counter) -> Iterator[StageClock]:
    """Put a clock on the stages of a model for the duration of the block."""
    clock = StageClock(contender.device, read)
    with ExitStack() as stack:
        for owner, name, stage in _places(contender):
            function = getattr(owner, name)
            timed = clock.timed(function, stage)
            stack.enter_context(patch.object(owner, name, timed))
        yield clock


def _places(contender: SystemContender) -> list[tuple[Any, str, str]]:
    """All timed functions as owner, name and stage, in the order of a report."""
    model = contender.model
    return [
        (contender.predictor, "example", COLLATE),
        (contender.predictor, "collator", COLLATE),
        (contender, "training_batch", COLLATE),
        *((encoder, "forward", "encoder") for encoder in contender.encoders),
        *PLACES[model.config.model_type](model),
        (predictor, "decode", "decoding"),
        (contender, "update", "optimiser"),
    ]


def stages(contender: SystemContender) -> list[str]:
    """Names of the stages of a system, in the order of a report."""
    return [*dict.fromkeys(stage for _, _, stage in _places(contender)), REST]


def stage_seconds(
    contender: SystemContender, task: str, batches: Sequence[Any], read: Callable[[], Any] = time.perf_counter
) -> dict[str, Any]:
    """Seconds (or what else is read) that each of `stages` costs over all batches, after one untimed batch."""
    run = getattr(contender, TASKS[task])
    run(batches[0])
    with watched(contender, read) as clock:
        clock.switch(REST)
        clock.seconds.clear()
        for batch in batches:
            clock.switch(REST)
            run(batch)
        clock.switch(REST)
    return {stage: clock.seconds.get(stage, 0.0) for stage in stages(contender)}
