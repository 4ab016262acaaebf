"""Phases of training: what each update trains, against a simulation, and learning rates that follow own updates."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANNA, OTTO
from tiny import tiny_atlop, tiny_kmgre
from training import QUIET, trainer
from transformers import HfArgumentParser, TrainerCallback, get_scheduler

from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.phases import PhaseArguments, PhaseCallback, PhaseSchedule

EXPECTATION, MAXIMIZATION = ORDER = ("expectation", "maximization")


def arguments(**given: Any) -> Any:
    """What a schedule reads of the training arguments."""
    return SimpleNamespace(**{"warmup_epochs": 3, "alternate": "epoch", "gradient_accumulation_steps": 1, **given})


def simulated(warmup_epochs: int, alternate: str, batches: int, accumulation: int, epochs: int) -> list[set[str]]:
    """What each update of a training run trains, written down epoch by epoch and batch by batch."""
    updates: list[set[str]] = []
    turn = EXPECTATION
    for epoch in range(epochs):
        for batch in range(batches):
            if (batch + 1) % accumulation and batch + 1 < batches:
                continue  # only part of an update
            if epoch < warmup_epochs:
                updates.append({EXPECTATION, MAXIMIZATION})
                continue
            updates.append({turn})
            if alternate == "batch" or batch + 1 == batches:
                turn = MAXIMIZATION if turn == EXPECTATION else EXPECTATION
    return updates


RUNS = {
    "warmup_epochs": st.integers(0, 4),
    "alternate": st.sampled_from(["epoch", "batch"]),
    "batches": st.integers(1, 9),
    "accumulation": st.integers(1, 5),
    "epochs": st.integers(0, 8),
    "cut": st.integers(0, 12),
}


@given(**RUNS)
@settings(max_examples=400, deadline=None)
def test_a_schedule_is_the_simulated_run(warmup_epochs, alternate, batches, accumulation, epochs, cut):
    wanted = simulated(warmup_epochs, alternate, batches, accumulation, epochs)
    wanted = wanted[: max(len(wanted) - cut, 0)]  # a run may end within an epoch
    options = {"warmup_epochs": warmup_epochs, "alternate": alternate, "gradient_accumulation_steps": accumulation}
    schedule = PhaseSchedule.of(arguments(**options), batches, len(wanted), ORDER)
    assert schedule.updates == len(wanted)
    found = [schedule.phases(done) for done in range(len(wanted))]
    assert [set(phases) for phases in found] == wanted
    assert all(len(set(phases)) == len(phases) for phases in found)
    for done in range(len(wanted) + 1):
        for phase in ORDER:
            own = [phase in update for update in wanted[:done]]
            alone = [update == {phase} for update in wanted[:done]]
            assert schedule.updates_of(phase, done) == sum(own)
            assert schedule.updates_of(phase, done, with_warmup=False) == sum(alone)


def test_the_warm_up_trains_the_extractor_after_its_pseudo_labels_were_read():
    assert PhaseSchedule(10, 4, 2, ORDER).phases(3) == (EXPECTATION, MAXIMIZATION) == ORDER


def test_the_paper_s_schedule():
    """Three epochs of warm-up, then 27 rounds of an epoch each: the extractor sees 30 epochs."""
    schedule = PhaseSchedule.of(arguments(), 10, 57 * 10, ORDER)
    assert [schedule.updates_of(phase, 570) for phase in ORDER] == [300, 300]
    assert schedule.updates_of(EXPECTATION, 570, with_warmup=False) == 270
    assert schedule.phases(29) == ORDER
    assert [schedule.phases(done) for done in (30, 39, 40, 49, 50)] == [
        (EXPECTATION,),
        (EXPECTATION,),
        (MAXIMIZATION,),
        (MAXIMIZATION,),
        (EXPECTATION,),
    ]


@pytest.mark.parametrize(
    ("given_arguments", "message"),
    [
        ({"warmup_epochs": -1}, "warmup_epochs is -1; give a whole number from 0 on"),
        ({"alternate": "step"}, r'alternate is \'step\'; give "epoch" or "batch"'),
        ({"alternate": None}, r'alternate is None; give "epoch" or "batch"'),
    ],
)
def test_wrong_arguments_are_one_clear_error(given_arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        PhaseSchedule.of(arguments(**given_arguments), 10, 100, ORDER)
    with pytest.raises(ValueError, match=message):
        trainer(tiny_kmgre(), tmp_path, [ANNA], max_steps=1, **given_arguments).train()


def test_arguments_are_read_from_the_command_line(capsys):
    parser = HfArgumentParser(PhaseArguments)
    assert parser.parse_args_into_dataclasses([])[0] == PhaseArguments(3, "epoch")
    chosen = parser.parse_args_into_dataclasses(["--warmup_epochs", "0", "--alternate", "batch"])[0]
    assert chosen == PhaseArguments(0, "batch")
    with pytest.raises(SystemExit):
        parser.parse_args_into_dataclasses(["--alternate", "step"])
    assert "step" in capsys.readouterr().err


# --- learning rates ------------------------------------------------------------------------------------------------


def two_groups(rate: float, head_rate: float) -> torch.optim.Optimizer:
    """An optimiser with a group for each phase, the classifier's at another rate."""
    groups = [
        {"params": [torch.zeros(1, requires_grad=True)], "phase": phase, "lr": lr}
        for phase, lr in ((EXPECTATION, head_rate), (MAXIMIZATION, rate))
    ]
    return torch.optim.SGD(groups, lr=rate)


def rates(
    schedule: PhaseSchedule, rate: float = 1.0, head_rate: float = 0.5, optimizer: Any = None, **options: Any
) -> list[list[float]]:
    """The learning rates of both groups at each update and after the last one."""
    settings = DocRETrainingArguments("unused", use_cpu=True, learning_rate=rate, **{**QUIET, **options})
    optimizer = optimizer or two_groups(rate, head_rate)
    scheduler = schedule.learning_rates(settings, optimizer)
    found = []
    for _ in range(schedule.updates + 1):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def linear(own: int, total: int, warmup: int) -> float:
    return own / warmup if own < warmup else (total - own) / (total - warmup)


def cosine(own: int, total: int, warmup: int) -> float:
    return own / warmup if own < warmup else (1 + math.cos(math.pi * (own - warmup) / (total - warmup))) / 2


def test_learning_rates_follow_the_updates_of_their_own_part():
    for kind, factor in [
        ("linear", linear),
        ("cosine", cosine),
        ("constant_with_warmup", lambda own, _, warmup: min(1, own / warmup)),
    ]:
        for schedule in [
            PhaseSchedule(70, 20, 10, ORDER),
            PhaseSchedule(90, 0, 1, ORDER),
            PhaseSchedule(55, 5, 20, ORDER),
        ]:
            found = rates(schedule, lr_scheduler_type=kind, warmup_steps=0.06)
            own = [0, 0]
            totals = [schedule.updates_of(phase, schedule.updates) for phase in ORDER]
            warmups = [math.ceil(0.06 * total) for total in totals]
            for done, values in enumerate(found):
                expected = [factor(*each) for each in zip(own, totals, warmups, strict=True)]
                assert values == pytest.approx([0.5 * expected[0], expected[1]], abs=1e-12)
                trained = schedule.phases(done)
                own = [count + (phase in trained) for count, phase in zip(own, ORDER, strict=True)]
            highest = [max(column) for column in zip(*found, strict=True)]
            assert highest == pytest.approx([0.5, 1.0])  # each part comes to its full rate
            assert kind == "constant_with_warmup" or found[-1] == pytest.approx([0.0, 0.0], abs=1e-12)


def test_a_number_of_warm_up_updates_is_that_of_each_part():
    found = rates(PhaseSchedule(40, 0, 5, ORDER), lr_scheduler_type="linear", warmup_steps=4)
    assert [values[0] for values in found[:5]] == pytest.approx([0, 0.125, 0.25, 0.375, 0.5])
    assert [values[1] for values in found[5:10]] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_constant_rates_stay():
    assert rates(PhaseSchedule(12, 4, 2, ORDER), lr_scheduler_type="constant", warmup_steps=0) == [[0.5, 1.0]] * 13


def test_the_least_rate_of_a_schedule_is_a_rate_not_a_share():
    """Each part has the rates that a run of its own updates alone would have."""
    for kind, options in [
        ("cosine_with_min_lr", {"min_lr": 2e-4}),
        ("cosine_warmup_with_min_lr", {"min_lr": 2e-4}),
        ("polynomial", {"lr_end": 2e-4, "power": 1.0}),
    ]:
        settings = {"lr_scheduler_type": kind, "warmup_steps": 3, "lr_scheduler_kwargs": options}
        schedule, own = PhaseSchedule(40, 10, 5, ORDER), [0, 0]
        alone = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-3)
        scheduler = get_scheduler(
            kind, alone, 3, schedule.updates_of(EXPECTATION, 40), scheduler_specific_kwargs=options
        )
        expected = []
        for _ in range(26):
            expected.append(alone.param_groups[0]["lr"])
            alone.step()
            scheduler.step()
        for done, values in enumerate(rates(schedule, rate=1e-3, head_rate=1e-3, **settings)):
            assert values == pytest.approx([expected[count] for count in own], rel=1e-6)
            own = [count + (phase in schedule.phases(done)) for count, phase in zip(own, ORDER, strict=True)]
        assert expected[25] == pytest.approx(2e-4, rel=0.05) and expected[3] == pytest.approx(1e-3, rel=0.05)


def test_a_second_schedule_of_an_optimizer_begins_at_its_first_rates():
    """As in a second training, when the rates have fallen."""
    options = {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 2e-4}, "warmup_steps": 2}
    optimizer, schedule = two_groups(1e-3, 5e-4), PhaseSchedule(20, 4, 4, ORDER)
    first, second = (rates(schedule, 1e-3, optimizer=optimizer, **options) for _ in range(2))
    assert first == second and first[-1] == pytest.approx([2e-4, 2e-4])


@pytest.mark.parametrize("kind", ["reduce_lr_on_plateau", "greedy"])
def test_a_schedule_that_follows_something_else_is_refused(kind, tmp_path):
    running = trainer(tiny_kmgre(), tmp_path, [ANNA], eval_strategy="epoch", max_steps=1, lr_scheduler_type=kind)
    with pytest.raises(ValueError, match=f"lr_scheduler_type is '{kind}', which cannot follow the updates of a part"):
        running.train()


def test_a_part_that_is_never_trained_needs_no_rate():
    found = rates(PhaseSchedule(3, 0, 5, ORDER), lr_scheduler_type="linear", warmup_steps=0.06)
    assert [values[0] for values in found] == pytest.approx([0, 0.5, 0.25, 0])


# --- in the trainer ------------------------------------------------------------------------------------------------


class Seen(TrainerCallback):
    """What each update trained, its learning rates, and the number of E-step updates before it."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, ...]] = []
        self.rates: list[dict[str, float]] = []
        self.counts: list[int] = []

    def on_pre_optimizer_step(self, args, state, control, model=None, optimizer=None, **kwargs):
        self.phases.append(model.phases)
        self.counts.append(getattr(model.config, "expectation_updates", 0))
        self.rates.append({group["phase"]: group["lr"] for group in optimizer.param_groups})


@pytest.mark.parametrize("alternate", ["epoch", "batch"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_run_keeps_to_its_schedule(alternate, accumulation, tmp_path):
    documents = [replace(document, id=str(number)) for number, document in enumerate([ANNA, OTTO, ANNA, OTTO, ANNA])]
    seen, model = Seen(), tiny_kmgre(expectation_updates=99)  # of an earlier training
    options = {"num_train_epochs": 4, "gradient_accumulation_steps": accumulation, "warmup_steps": 0.06}
    running = trainer(model, tmp_path, documents, callbacks=[seen], warmup_epochs=1, alternate=alternate, **options)
    running.train()
    wanted = simulated(1, alternate, 5, accumulation, 4)
    assert [set(phases) for phases in seen.phases] == wanted
    assert seen.counts == [wanted[:done].count({EXPECTATION}) for done in range(len(wanted))]
    assert model.config.expectation_updates == wanted.count({EXPECTATION})
    for phase in ORDER:
        total = sum(phase in update for update in wanted)
        warmup, own = math.ceil(0.06 * total), 0
        for update, found in zip(wanted, seen.rates, strict=True):
            assert found[phase] == pytest.approx(5e-5 * linear(own, total, warmup), abs=1e-12)
            own += phase in update


@pytest.mark.parametrize("model", [tiny_atlop(), tiny_kmgre(key_classifier=False)], ids=["atlop", "kmgre"])
def test_a_model_of_one_part_has_no_phases(model, tmp_path):
    seen = Seen()
    running = trainer(model, tmp_path, [ANNA, OTTO], callbacks=[seen], num_train_epochs=3, warmup_steps=0)
    running.train()
    assert not any(isinstance(callback, PhaseCallback) for callback in running.callback_handler.callbacks)
    assert len(set(seen.phases)) == 1 and len(seen.phases[0]) == 1
    found = [next(iter(rate.values())) for rate in seen.rates]
    assert found == pytest.approx([5e-5 * linear(done, 6, 0) for done in range(6)])


def test_a_second_training_starts_over(tmp_path: Path):
    """With its own schedule, and one callback that follows it."""
    seen = Seen()
    options = {"num_train_epochs": 3, "warmup_epochs": 1, "lr_scheduler_type": "constant", "warmup_steps": 0}
    running = trainer(tiny_kmgre(), tmp_path, [ANNA, OTTO], callbacks=[seen], **options)
    running.train()
    first = running.model.config.expectation_updates
    running.args.num_train_epochs = 4
    running.train()
    callbacks = [item for item in running.callback_handler.callbacks if isinstance(item, PhaseCallback)]
    assert len(callbacks) == 1 and callbacks[0].schedule.updates == 8
    turns = [ORDER, (EXPECTATION,), (MAXIMIZATION,), (EXPECTATION,)]
    assert seen.phases == [phases for turn in (turns[:3], turns) for phases in turn for _ in range(2)]
    assert (first, running.model.config.expectation_updates) == (2, 4)
