"""Training in turns: what is frozen stays as it is bit by bit, and interruptions, checkpoints and phases agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from samples import ANNA, ODD_DOCUMENTS, OTTO
from tiny import tiny_kmgre
from training import Killed, Killer, ScriptedTrainer, trainer
from transformers import TrainerCallback

from modeling_docre import KmgreModel
from modeling_docre.modeling_kmgre import EXPECTATION, MAXIMIZATION
from modeling_docre.training.trainer import DocRETrainer

FIVE = [
    replace(document, id=f"{document.id} {number}") for number, document in enumerate((ANNA, OTTO, ANNA, OTTO, ANNA))
]
BOTH = (EXPECTATION, MAXIMIZATION)
SIDES = {EXPECTATION: "key_classifier", MAXIMIZATION: "relation_extractor"}
# Nothing about the frozen side is still by accident: weights decay, there is momentum, and its rate is not 0.
MOVING = {"weight_decay": 0.1, "learning_rate": 1e-3, "lr_scheduler_type": "constant", "warmup_steps": 0}
# Soon the cap of the threshold leaves only the more probable mention pairs.
SOME_KEYS = {"tau_max": 1.0, "tau_base": 0.5}


class Journal(TrainerCallback):
    """Weights and the optimiser's state before the first and after each update, and what had a gradient."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, ...]] = []
        self.graded: list[set[str]] = []
        self.states: list[dict[str, list[torch.Tensor]]] = []

    def _write(self, model: Any, optimizer: Any) -> None:
        moments = optimizer.state
        self.states.append(
            {
                name: [value.detach().clone(), *[item.clone() for _, item in sorted(moments.get(value, {}).items())]]
                for name, value in model.named_parameters()
            }
        )

    def on_train_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
        self._write(model, optimizer)

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.phases.append(model.phases)
        self.graded.append({name for name, value in model.named_parameters() if value.grad is not None})

    def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
        self._write(model, optimizer)


def changed(before: dict[str, list[torch.Tensor]], after: dict[str, list[torch.Tensor]]) -> set[str]:
    """Parameters whose weights or whose optimiser state differ in a single bit."""
    return {
        name
        for name, values in after.items()
        if len(values) != len(before[name])
        or not all(torch.equal(a, b) for a, b in zip(values, before[name], strict=True))
    }


def turns(alternate: str, per_epoch: int) -> list[tuple[str, ...]]:
    """One epoch of warm-up and three epochs of turns."""
    if alternate == "epoch":
        return [BOTH] * per_epoch + [(BOTH[epoch % 2],) for epoch in range(3) for _ in range(per_epoch)]
    return [BOTH] * per_epoch + [(BOTH[update % 2],) for update in range(3 * per_epoch)]


VARIANTS = [{"fusion": "label_assignment"}, {"shared_encoder": True}]
RUNS = [({}, alternate, accumulation) for alternate in ("epoch", "batch") for accumulation in (1, 2)]
RUNS += [(options, *run) for options in VARIANTS for run in (("epoch", 2), ("batch", 1))]


@pytest.mark.parametrize(("options", "alternate", "accumulation"), RUNS, ids=str)
def test_each_update_trains_its_part_and_leaves_the_other_as_it_is(options, alternate, accumulation, tmp_path):
    model, journal = tiny_kmgre(**SOME_KEYS, **options), Journal()
    running = trainer(
        model,
        tmp_path,
        FIVE[:4],
        callbacks=[journal],
        num_train_epochs=4,
        warmup_epochs=1,
        alternate=alternate,
        gradient_accumulation_steps=accumulation,
        **MOVING,
    )
    running.train()
    names = {name for name, _ in model.named_parameters()}
    of_side = {phase: {name for name in names if name.startswith(f"{side}.")} for phase, side in SIDES.items()}
    assert of_side[EXPECTATION] | of_side[MAXIMIZATION] == names
    if model.config.shared_encoder:
        assert of_side[EXPECTATION] == {"key_classifier.classifier.weight", "key_classifier.classifier.bias"}
    assert journal.phases == turns(alternate, 4 // accumulation)
    for number, phases in enumerate(journal.phases):
        trained = set().union(*(of_side[phase] for phase in phases))
        assert journal.graded[number] == trained
        before, after = journal.states[number : number + 2]
        assert changed(before, after) == trained
        if len(phases) == 1:  # the others have a history that could have moved them
            assert all(len(before[name]) > 1 and before[name][0].numel() for name in names - trained)
            assert any(values.any() for name in names - trained for values in before[name][1:])


@pytest.mark.parametrize("options", [{}, *VARIANTS], ids=str)
def test_in_mixed_precision_each_update_has_the_gradients_of_its_part(options, tmp_path):
    """The frozen network runs first, or between, in the same precision."""
    model, journal = tiny_kmgre(**SOME_KEYS, **options), Journal()
    running = trainer(
        model, tmp_path, FIVE[:2], callbacks=[journal], num_train_epochs=3, warmup_epochs=1, bf16=True, **MOVING
    )
    running.train()
    for phases, graded in zip(journal.phases, journal.graded, strict=True):
        sides = tuple(SIDES[phase] for phase in phases)
        assert graded == {name for name, _ in model.named_parameters() if name.startswith(sides)}


def test_the_frozen_network_runs_without_dropout_and_without_a_gradient(tmp_path):
    model, seen = tiny_kmgre(**SOME_KEYS), []
    for phase, side in SIDES.items():
        network = getattr(model, side)

        def note(module: Any, *_: Any, phase: str = phase) -> None:
            seen.append((model.phases, model.phase, phase, module.training, torch.is_grad_enabled()))

        for module in network.modules():
            if isinstance(module, torch.nn.Dropout) or module is network.encoder.model or module is network:
                module.register_forward_pre_hook(note)
    running = trainer(model, tmp_path, FIVE[:2], num_train_epochs=3, warmup_epochs=1, **MOVING)
    running.train()
    kinds = set(seen)
    assert all(training == gradient == (owner == phase) for _, phase, owner, training, gradient in kinds)
    # In the warm-up nobody asks the classifier which mention pairs are key; later each one asks the other.
    warm_up = {(BOTH, EXPECTATION, owner, owner == EXPECTATION, owner == EXPECTATION) for owner in BOTH}
    warm_up |= {(BOTH, MAXIMIZATION, MAXIMIZATION, True, True)}
    later = {((phase,), phase, owner, owner == phase, owner == phase) for phase in BOTH for owner in BOTH}
    assert kinds == warm_up | later
    assert all(module.training for module in model.modules())


def test_without_fusion_the_extractor_is_asked_before_it_learns(tmp_path):
    """From the first round on, its pseudo labels come from a pass without dropout."""
    model, seen = tiny_kmgre(fusion="label_assignment", **SOME_KEYS), []
    encoder = model.relation_extractor.encoder.model
    encoder.register_forward_pre_hook(lambda module, *_: seen.append((model.phases, module.training)))
    running = trainer(model, tmp_path, FIVE[:1], num_train_epochs=3, warmup_epochs=1, **MOVING)
    running.train()
    assert [training for phases, training in seen if phases == BOTH] == [False, True]
    assert [training for phases, training in seen if phases == (EXPECTATION,)] == [False]
    assert sorted(training for phases, training in seen if phases == (MAXIMIZATION,)) == [False, True]


def test_both_losses_of_the_warm_up_are_logged_and_added(tmp_path):
    options = {"num_train_epochs": 3, "warmup_epochs": 1, "logging_steps": 4}
    running = trainer(tiny_kmgre(**SOME_KEYS), tmp_path, FIVE[:4], **options)
    running.train()
    warm_up, expectation, maximization = [entry for entry in running.state.log_history if "loss" in entry]
    assert warm_up["loss"] == pytest.approx(warm_up["loss_key"] + warm_up["loss_relation"], rel=1e-3)
    assert expectation["loss"] == pytest.approx(expectation["loss_key"], rel=1e-3)
    assert maximization["loss"] == pytest.approx(maximization["loss_relation"], rel=1e-3)
    assert "loss_relation" not in expectation and "loss_key" not in maximization
    assert warm_up["kept_key"] == 1 and 0 < expectation["labelled_key"] < 1 and 0 < maximization["kept_key"] < 1
    assert "kept_key" not in expectation and "labelled_key" not in maximization


def test_updates_without_entity_pairs_break_nothing(tmp_path):
    """In each phase; some documents have no entity at all."""
    empty = [document for document in ODD_DOCUMENTS if len(document.entities) < 2][::3]
    for options in ({}, {"fusion": "label_assignment"}, {"shared_encoder": True, "estep_pairs": "related"}):
        model, journal = tiny_kmgre(**options), Journal()
        options = {"num_train_epochs": 3, "warmup_epochs": 1, "logging_steps": 1, "weight_decay": 0.0}
        running = trainer(model, tmp_path, empty, callbacks=[journal], **options)
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        assert running.train().training_loss == 0
        assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
        assert set(journal.phases) == {BOTH, BOTH[:1], BOTH[1:]}


# --- interruptions -------------------------------------------------------------------------------------------------


def _run(folder: Path, alternate: str, *callbacks: TrainerCallback, **options: Any) -> DocRETrainer:
    steps = {"num_train_epochs": 4, "warmup_epochs": 1, "alternate": alternate, "gradient_accumulation_steps": 2}
    model = tiny_kmgre(**SOME_KEYS)
    return trainer(model, folder, FIVE, callbacks=callbacks, learning_rate=1e-3, **steps, **options)


def _whole_state(running: DocRETrainer) -> dict[str, Any]:
    """Weights, the optimiser's state, the schedule and the count of the E-step, after training."""
    found: dict[str, Any] = dict(running.model.state_dict())
    for name, value in running.model.named_parameters():
        found |= {f"{key} of {name}": item for key, item in running.optimizer.state[value].items()}
    found["rates"] = torch.tensor(running.lr_scheduler.get_last_lr())
    found["updates"] = torch.tensor([running.model.config.expectation_updates, running.lr_scheduler.last_epoch])
    return found


# An epoch has three updates: those of the warm-up, then of the E-step, of the M-step, and of the E-step again.
@pytest.mark.slow
@pytest.mark.parametrize("alternate", ["epoch", "batch"])
def test_a_resumed_run_ends_where_an_unbroken_one_does(alternate, tmp_path):
    unbroken = _run(tmp_path / "unbroken", alternate)
    unbroken.train()
    wanted = _whole_state(unbroken)
    assert unbroken.state.global_step == 12
    for last in (1, 4, 7):
        folder = tmp_path / str(last)
        with pytest.raises(Killed):
            _run(folder, alternate, Killer(last + 1), save_strategy="steps", save_steps=last).train()
        torch.manual_seed(999)
        resumed = _run(folder, alternate)
        resumed.train(str(folder / f"checkpoint-{last}"))
        found = _whole_state(resumed)
        assert found.keys() == wanted.keys()
        assert [name for name, value in wanted.items() if not torch.equal(value, found[name])] == [], last


# --- checkpoints ---------------------------------------------------------------------------------------------------


EVERY_EPOCH = {"eval_strategy": "epoch", "save_strategy": "epoch", "num_train_epochs": 5, "warmup_epochs": 1}


def test_each_checkpoint_holds_its_count_and_gives_its_threshold(tmp_path):
    every = {**EVERY_EPOCH, "save_total_limit": None}
    trainer(tiny_kmgre(tau_max=0.8, tau_base=0.9), tmp_path, FIVE[:3], **every).train()
    for epoch, updates in enumerate((0, 3, 3, 6, 6), start=1):
        folder = tmp_path / f"checkpoint-{3 * epoch}"
        assert json.loads((folder / "config.json").read_text())["expectation_updates"] == updates
        assert KmgreModel.from_pretrained(folder).config.tau == pytest.approx(0.8 * (1 - 0.9**updates))


def test_the_best_checkpoint_comes_back_with_its_count(tmp_path):
    ScriptedTrainer.script = iter([0.1, 0.5, 0.4, 0.3, 0.2])
    running = trainer(
        tiny_kmgre(),
        tmp_path,
        FIVE[:3],
        ScriptedTrainer,
        learning_rate=1e-3,
        load_best_model_at_end=True,
        **EVERY_EPOCH,
    )
    running.train()
    best = tmp_path / "checkpoint-6"
    assert running.state.best_model_checkpoint == str(best) and running.state.global_step == 15
    assert running.model.config.expectation_updates == 3
    kept, loaded = load_file(best / "model.safetensors"), running.model.state_dict()
    assert kept.keys() == loaded.keys() and all(torch.equal(kept[name], loaded[name]) for name in kept)
