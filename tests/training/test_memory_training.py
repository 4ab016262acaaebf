"""Training with memories: when reading begins, what checkpoints remember, interruptions, and the optimizer."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from samples import ANNA, OTTO
from tiny import tiny_jerex, tiny_memory_jerex
from torch import Tensor
from training import Killed, Killer, ScriptedTrainer, trainer
from transformers import TrainerCallback

from modeling_docre import MemoryJerexModel
from modeling_docre.training.optimizer import UncorrectedAdamW
from modeling_docre.training.phases import MemoryCallback
from modeling_docre.training.trainer import DocRETrainer

FIVE = [
    replace(document, id=f"{document.id} {number}") for number, document in enumerate((ANNA, OTTO, ANNA, OTTO, ANNA))
]


class Watch:
    """Whether each forward pass of a model was one of training, and at how many levels it read."""

    def __init__(self, model: MemoryJerexModel):
        self.passes: list[list[Any]] = []
        model.register_forward_pre_hook(lambda module, given: self.passes.append([module.training, 0]))
        for reader in model.readers.values():
            reader.register_forward_hook(self._count)

    def _count(self, *given: Any) -> None:
        self.passes[-1][1] += 1

    def of(self, training: bool) -> list[int]:
        return [levels for mode, levels in self.passes if mode == training]


# --- when reading begins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "options", "without", "passes"),
    [
        (0.4, {"num_train_epochs": 2}, 4, 10),
        (0.5, {"num_train_epochs": 3}, 7, 15),  # floor(7.5)
        (0.39, {"num_train_epochs": 2}, 3, 10),
        (0.0, {"num_train_epochs": 1}, 0, 5),
        (0.19, {"num_train_epochs": 1}, 0, 5),
        (1.0, {"num_train_epochs": 2}, 10, 10),
        (0.4, {"max_steps": 7, "num_train_epochs": 20}, 2, 7),  # the updates that there are, not the epochs asked for
        # Three updates an epoch, the last one of a single document.
        (0.5, {"num_train_epochs": 2, "gradient_accumulation_steps": 2}, 5, 10),
        (0.4, {"num_train_epochs": 4, "gradient_accumulation_steps": 2}, 7, 20),
        (0.5, {"num_train_epochs": 3, "gradient_accumulation_steps": 5}, 5, 15),
        (0.4, {"num_train_epochs": 5, "per_device_train_batch_size": 2}, 4, 10),
    ],
    ids=str,
)
def test_reading_begins_after_its_share_of_the_updates(ratio, options, without, passes, tmp_path):
    model = tiny_memory_jerex()
    watch = Watch(model)
    trainer(model, tmp_path, FIVE, memory_warmup_ratio=ratio, **options).train()
    assert watch.of(training=True) == [0] * without + [2] * (passes - without)
    assert model.config.memory_reading is (without < passes)


def test_readers_stay_as_they_are_until_they_read(tmp_path):
    """They neither move nor decay, and the optimizer has no state for them; memories are written from the start."""
    model, history = tiny_memory_jerex(), []

    class Journal(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
            values = {name: value.detach().clone() for name, value in model.named_parameters()}
            history.append((values, {name for name, value in model.named_parameters() if optimizer.state.get(value)}))

    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    fast = {"learning_rate": 1e-2, "weight_decay": 0.5, "lr_scheduler_type": "constant", "warmup_steps": 0}
    trainer(model, tmp_path, FIVE, callbacks=[Journal()], num_train_epochs=2, memory_warmup_ratio=0.4, **fast).train()
    readers = {name for name in before if name.startswith("readers.")}
    memories = {name for name in before if "memory" in name}
    assert (len(readers), len(memories), len(history)) == (4, 2, 10)
    for number, (values, known) in enumerate(history):
        still = {name for name, value in values.items() if torch.equal(value, before[name])}
        assert still == (readers if number < 4 else set())
        assert known == before.keys() - still
        before = values if number < 4 else before


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan"), 40])
def test_a_share_is_a_number_from_0_to_1(ratio, tmp_path):
    with pytest.raises(ValueError, match=f"memory_warmup_ratio is {ratio}; give a number from 0 to 1"):
        trainer(tiny_memory_jerex(), tmp_path, FIVE, memory_warmup_ratio=ratio)


def test_other_systems_have_nothing_to_begin(tmp_path):
    running = trainer(tiny_jerex(), tmp_path, FIVE, max_steps=1)
    assert not [item for item in running.callback_handler.callbacks if isinstance(item, MemoryCallback)]
    running.train()
    assert not hasattr(running.model.config, "memory_reading")


# --- evaluation and checkpoints -----------------------------------------------------------------------------------

EVERY_UPDATE = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}


def test_evaluation_and_checkpoints_read_where_the_update_before_them_did(tmp_path):
    model = tiny_memory_jerex()
    watch = Watch(model)
    options = {"max_steps": 5, "memory_warmup_ratio": 0.6, "save_total_limit": None, **EVERY_UPDATE}
    trainer(model, tmp_path, FIVE[:1], **options).train()
    assert watch.of(training=True) == watch.of(training=False) == [0, 0, 0, 2, 2]
    assert [training for training, _ in watch.passes] == [True, False] * 5
    for step, reading in enumerate((False, False, False, True, True), start=1):
        folder = tmp_path / f"checkpoint-{step}"
        assert json.loads((folder / "config.json").read_text())["memory_reading"] is reading
        loaded = MemoryJerexModel.from_pretrained(folder)
        assert loaded.config.memory_reading is reading
        alone = Watch(loaded)
        trainer(loaded, tmp_path / "again", FIVE[:1]).evaluate()
        assert alone.of(training=False) == [2 * reading]


def test_an_evaluation_before_the_first_update_does_not_read(tmp_path):
    model = tiny_memory_jerex()
    watch = Watch(model)
    options = {"max_steps": 2, "memory_warmup_ratio": 0.5, "eval_strategy": "epoch", "eval_on_start": True}
    trainer(model, tmp_path, FIVE[:1], **options).train()
    assert watch.passes[:2] == [[False, 0], [True, 0]]


@pytest.mark.parametrize(("best", "reading"), [(2, False), (3, False), (4, True), (5, True)])
def test_the_best_checkpoint_brings_its_own_reading_back(best, reading, tmp_path, caplog):
    ScriptedTrainer.script = iter([0.9 if step == best else 0.1 for step in range(1, 6)])
    options = {"max_steps": 5, "memory_warmup_ratio": 0.6, "learning_rate": 1e-3, "load_best_model_at_end": True}
    running = trainer(tiny_memory_jerex(), tmp_path, FIVE[:1], ScriptedTrainer, **options, **EVERY_UPDATE)
    running.train()
    folder = tmp_path / f"checkpoint-{best}"
    assert running.state.best_model_checkpoint == str(folder) and running.state.global_step == 5
    assert running.model.config.memory_reading is reading
    assert ("its best evaluation came in the first 0.6 of the updates" in caplog.text) is not reading
    kept, loaded = load_file(folder / "model.safetensors"), running.model.state_dict()
    assert kept.keys() == loaded.keys() and all(torch.equal(kept[name], loaded[name]) for name in kept)
    watch = Watch(running.model)
    running.predict_documents([ANNA])
    assert watch.of(training=False) == [2 * reading]
    running.save_model(str(tmp_path / "best"))
    assert MemoryJerexModel.from_pretrained(tmp_path / "best").config.memory_reading is reading


def test_a_model_that_was_trained_without_reading_goes_on_with_it(tmp_path, caplog):
    """As after one epoch on distant supervision, which never reads."""
    running = trainer(tiny_memory_jerex(), tmp_path, FIVE, num_train_epochs=1, memory_warmup_ratio=1.0)
    running.train()
    assert "does not read" not in caplog.text, "as was asked for"
    running.save_model(str(tmp_path / "first"))
    model = MemoryJerexModel.from_pretrained(tmp_path / "first")
    assert not model.config.memory_reading
    watch = Watch(model)
    trainer(model, tmp_path, FIVE, num_train_epochs=2, memory_warmup_ratio=0.3).train()
    assert watch.of(training=True) == [0] * 3 + [2] * 7 and model.config.memory_reading


# --- interruptions ------------------------------------------------------------------------------------------------


def _run(folder: Path, *callbacks: TrainerCallback, **options: Any) -> DocRETrainer:
    """Nine updates, three an epoch, of two micro-batches each but for the last one; the fifth is the first to read."""
    steps = {"num_train_epochs": 3, "gradient_accumulation_steps": 2, "memory_warmup_ratio": 0.5}
    settings = {**steps, "adam_bias_correction": False, "learning_rate": 1e-3, **options}
    return trainer(tiny_memory_jerex(), folder, FIVE, callbacks=callbacks, **settings)


def _whole_state(running: DocRETrainer) -> dict[str, Any]:
    """Weights, the optimizer's state and the schedule after training, and whether the model reads."""
    found: dict[str, Any] = dict(running.model.state_dict())
    for name, value in running.model.named_parameters():
        found |= {f"{key} of {name}": item for key, item in running.optimizer.state[value].items()}
    found["rates"] = torch.tensor(running.lr_scheduler.get_last_lr())
    found["updates"] = torch.tensor([running.state.global_step, running.lr_scheduler.last_epoch])
    found["reading"] = torch.tensor(running.model.config.memory_reading)
    return found


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path):
    """Interrupted before reading begins, with the last update that does not read, and later."""
    unbroken = _run(tmp_path / "unbroken")
    unbroken.train()
    wanted = _whole_state(unbroken)
    assert unbroken.state.global_step == 9 and wanted["reading"]
    for last, passes in ((2, [0, 0, 0] + [2] * 8), (4, [2] * 8), (6, [2] * 5)):
        folder = tmp_path / str(last)
        with pytest.raises(Killed):
            _run(folder, Killer(last + 1), save_strategy="steps", save_steps=last).train()
        torch.manual_seed(999)
        resumed = _run(folder)
        watch = Watch(resumed.model)
        resumed.train(str(folder / f"checkpoint-{last}"))
        assert watch.of(training=True) == passes
        found = _whole_state(resumed)
        assert found.keys() == wanted.keys()
        assert [name for name, value in wanted.items() if not torch.equal(value, found[name])] == [], last


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_a_finished_run_that_is_resumed_stays_what_it_was(ratio, tmp_path):
    """There is no update left that could say whether it reads."""
    options = {"memory_warmup_ratio": ratio, "save_strategy": "steps", "save_steps": 9}
    finished = _run(tmp_path, **options)
    finished.train()
    resumed = _run(tmp_path, **options)
    resumed.train(str(tmp_path / "checkpoint-9"))
    assert resumed.state.global_step == 9
    assert resumed.model.config.memory_reading is finished.model.config.memory_reading is (ratio < 1)


# --- the optimizer ------------------------------------------------------------------------------------------------

KINDS = [{"fused": True}, {"foreach": True}, {"foreach": False}]
SETTINGS = {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6}
DECAYS = (0.1, 0.0)


def gradients_of(steps: int) -> list[list[Tensor | None]]:
    """Gradients of three parameters; the last one has none in its first two steps."""
    torch.manual_seed(1)
    shapes = [(4, 3), (5,), (2, 2)]
    found: list[list[Tensor | None]] = [[torch.randn(shape).double() for shape in shapes] for _ in range(steps)]
    found[0][2] = found[1][2] = None
    return found


def fresh_weights() -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape).double()) for shape in ((4, 3), (5,), (2, 2))]


def optimizer_of(weights: list[torch.nn.Parameter], optimizer_class: type, kind: dict[str, bool]) -> Any:
    groups = [
        {"params": [weights[0], weights[2]], "weight_decay": DECAYS[0]},
        {"params": [weights[1]], "weight_decay": DECAYS[1]},
    ]
    return optimizer_class(groups, **SETTINGS, **kind)


def steps_of(optimizer: Any, weights: list[torch.nn.Parameter], gradients: list[list[Tensor | None]]) -> None:
    for given in gradients:
        for weight, gradient in zip(weights, given, strict=True):
            weight.grad = None if gradient is None else gradient.clone()
        optimizer.step()


def literal_adamw(weights: list[Tensor], gradients: list[list[Tensor | None]], corrected: bool) -> list[Tensor]:
    """AdamW as printed (Loshchilov and Hutter, algorithm 2), with or without the two lines of bias correction."""
    rate, (beta1, beta2), eps = SETTINGS["lr"], SETTINGS["betas"], SETTINGS["eps"]
    results = []
    for number, weight in enumerate(weights):
        decay = DECAYS[number % 2]
        first, second, step = torch.zeros_like(weight), torch.zeros_like(weight), 0
        for given in gradients:
            if (gradient := given[number]) is None:
                continue
            step += 1
            first = beta1 * first + (1 - beta1) * gradient
            second = beta2 * second + (1 - beta2) * gradient**2
            one, two = (1 - beta1**step, 1 - beta2**step) if corrected else (1, 1)
            weight = weight - rate * ((first / one) / ((second / two).sqrt() + eps) + decay * weight)
        results.append(weight)
    return results


def test_five_steps_equal_the_algorithm():
    for kind in KINDS:
        for optimizer_class in [UncorrectedAdamW, torch.optim.AdamW]:
            weights, gradients = fresh_weights(), gradients_of(5)
            plain = optimizer_class is torch.optim.AdamW
            wanted, other = (
                literal_adamw([weight.detach().clone() for weight in weights], gradients, corrected)
                for corrected in (plain, not plain)
            )
            steps_of(optimizer_of(weights, optimizer_class, kind), weights, gradients)
            for weight, expected, different in zip(weights, wanted, other, strict=True):
                torch.testing.assert_close(weight.detach(), expected, rtol=1e-6, atol=1e-9)
                assert (expected - different).abs().min() > 1e-4


def test_a_first_step_is_about_three_times_as_long():
    for dtype in [torch.float32, torch.float64]:
        for kind in KINDS:
            weight = torch.nn.Parameter(torch.zeros(3, dtype=dtype))
            weight.grad = torch.tensor([1.0, -5.0, 0.01], dtype=dtype)
            UncorrectedAdamW([weight], lr=1.0, weight_decay=0.0, **kind).step()
            assert weight.tolist() == pytest.approx([-(10**0.5), 10**0.5, -(10**0.5)], rel=1e-4)


def test_a_saved_optimizer_goes_on_as_if_unbroken():
    """Before and after the last parameter had its first gradient."""
    for kind in KINDS:
        for broken in [1, 2, 3]:
            weights, gradients = fresh_weights(), gradients_of(6)
            unbroken = fresh_weights()
            steps_of(optimizer_of(unbroken, UncorrectedAdamW, kind), unbroken, gradients)
            first = optimizer_of(weights, UncorrectedAdamW, kind)
            steps_of(first, weights, gradients[:broken])
            file = io.BytesIO()
            torch.save(first.state_dict(), file)
            file.seek(0)
            second = optimizer_of(weights, UncorrectedAdamW, kind)
            second.load_state_dict(torch.load(file))
            steps_of(second, weights, gradients[broken:])
            assert all(torch.equal(found, wanted) for found, wanted in zip(weights, unbroken, strict=True))


def test_the_length_of_the_steps_over_a_long_run():
    """Under a gradient that never changes; there is no correction by then either, and no counter wears out."""
    for kind in KINDS:
        weight = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
        optimizer, wanted = UncorrectedAdamW([weight], lr=1e-3, weight_decay=0.0, **kind), 0.0
        for step in range(1, 301):
            weight.grad = torch.full((2,), 4.0, dtype=torch.float64)
            optimizer.step()
            wanted -= 1e-3 * (1 - 0.9**step) / (1 - 0.999**step) ** 0.5
        assert weight.tolist() == pytest.approx([wanted, wanted], rel=1e-6)


@pytest.mark.parametrize("correction", [True, False])
def test_the_training_argument_chooses_the_optimizer(correction, tmp_path):
    model = tiny_memory_jerex()
    options = {"adam_bias_correction": correction, "adam_beta1": 0.7, "adam_epsilon": 1e-7}
    optimizer = trainer(model, tmp_path, FIVE, **options).create_optimizer()
    assert type(optimizer) is (torch.optim.AdamW if correction else UncorrectedAdamW)
    names = {id(value): name for name, value in model.named_parameters()}
    for group in optimizer.param_groups:
        assert (group["betas"], group["eps"]) == ((0.7, 0.999), 1e-7)
        for value in group["params"]:
            name = names.pop(id(value))
            undecayed = name.endswith("bias") or "LayerNorm" in name
            assert group["weight_decay"] == (0.0 if undecayed else 0.01), name
    assert not names


@pytest.mark.parametrize("optim", ["sgd", "adafactor"])
def test_an_optimizer_that_cannot_leave_the_correction_out_is_refused(optim, tmp_path):
    running = trainer(tiny_memory_jerex(), tmp_path, FIVE, optim=optim, adam_bias_correction=False)
    with pytest.raises(ValueError, match=f"adam_bias_correction is False, which --optim {optim} cannot do"):
        running.create_optimizer()


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused"])
def test_training_takes_the_steps_of_the_algorithm(optim, tmp_path):
    """One update of the whole model from zero moments: the sign of the gradient times the square root of ten."""
    model = tiny_memory_jerex()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    gradients = {}

    class Journal(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
            gradients.update({name: value.grad.clone() for name, value in model.named_parameters()})

    options = {"learning_rate": 1e-3, "warmup_steps": 0, "weight_decay": 0.0, "lr_scheduler_type": "constant"}
    options |= {"optim": optim, "adam_bias_correction": False, "memory_warmup_ratio": 0.0, "max_steps": 1}
    trainer(model, tmp_path, FIVE, callbacks=[Journal()], **options).train()
    for name, value in model.named_parameters():
        strong = gradients[name].abs() > 1e-5  # of a weaker gradient epsilon takes a part away
        moved = (value.detach() - before[name])[strong]
        torch.testing.assert_close(moved, -1e-3 * 10**0.5 * gradients[name][strong].sign(), rtol=0.05, atol=1e-6)
    assert all((gradients[name].abs() > 1e-5).any() for name in gradients if "memory" in name)
