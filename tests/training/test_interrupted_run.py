"""Runs that are killed and go on, and runs of several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from samples import build
from training import BRIEF, FIVE, write_jsonl
from transformers.trainer_callback import TrainerState

from modeling_docre.training import run

REPOSITORY = Path(__file__).resolve().parents[2]


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_last_checkpoint_is_the_newest_complete_one(tmp_path: Path) -> None:
    assert run.last_checkpoint(str(tmp_path / "absent")) is None
    state = TrainerState()
    for step in (5, 40, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
        state.save_to_json(str(tmp_path / f"checkpoint-{step}" / "trainer_state.json"))
    assert run.last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-100")
    (tmp_path / "checkpoint-100" / "trainer_state.json").write_text('{"epoch": 1.0, "glob')
    assert run.last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-40")
    (tmp_path / "checkpoint-40" / "trainer_state.json").unlink()
    assert run.last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-5")


KILLED = """
import os, sys
from transformers import TrainerCallback
from modeling_docre.training import run

class Kill(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 7:
            os._exit(9)

build = run.build_trainer
def with_kill(*arguments):
    trainer = build(*arguments)
    trainer.add_callback(Kill())
    return trainer

run.build_trainer = with_kill
run.main(sys.argv[1:])
"""


def _environment(**variables: str) -> dict[str, str]:
    places = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
    return {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1", **variables}


def _start(*command: str, **variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *command],
        env=_environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _finishes(process: subprocess.Popen[bytes], status: int = 0) -> None:
    _, errors = process.communicate()
    assert process.returncode == status, errors.decode("utf-8", "replace")


@pytest.mark.slow
def test_a_killed_run_resumes_to_what_an_unbroken_one_of_another_locale_gives(tmp_path: Path, encoder: str) -> None:
    polish = build("Łódź", ["anna was born in Łódź ."], [("PER", [(0, 0, 1)]), ("LOC", [(0, 4, 5)])], [(0, 1, "born")])
    file = write_jsonl(tmp_path / "a.jsonl", [*FIVE[:4], polish])
    flags = [*BRIEF, "--train_file", file, "--validation_file", file, "--encoder", encoder, "--task", "relation"]
    flags += ["--num_train_epochs", "3", "--save_strategy", "steps", "--eval_strategy", "steps", "--save_steps", "4"]
    flags += ["--eval_steps", "4", "--dataloader_num_workers", "2"]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    resumed = [*flags, "--resume_from_checkpoint", "last", "--output_dir", str(parts)]
    unbroken = _start("-m", "modeling_docre.training.run", *flags, "--output_dir", str(whole), **ascii_alone)
    _finishes(_start("-c", KILLED, *resumed), status=9)  # nothing to resume from yet
    _finishes(unbroken)
    assert "Łódź" in (whole / "validation" / "predictions.json").read_text(encoding="utf-8")
    assert [path.name for path in parts.glob("checkpoint-*")] == ["checkpoint-4"]
    (parts / "checkpoint-6").mkdir()  # as if killed while saving
    run.main(resumed)
    wanted, found = load_file(whole / "model.safetensors"), load_file(parts / "model.safetensors")
    assert [name for name in wanted if not torch.equal(wanted[name], found[name])] == []
    assert _results(whole) == _results(parts)


def _results(output: Path) -> tuple[Any, Any]:
    scores = _read(output / "validation" / "scores.json")
    own = ("predict_", "command")  # of a run, not of its result
    scores = {name: value for name, value in scores.items() if not name.startswith(own)}
    return scores, _read(output / "validation" / "predictions.json")


@pytest.mark.slow
def test_two_processes_train_and_evaluate_like_one(tmp_path: Path, encoder: str, files: list[str]) -> None:
    """Five training and three validation documents: neither can be dealt out evenly."""
    thresholds = ["--mention_threshold", "0.3", "--coreference_threshold", "0.4", "--relation_threshold", "0.3"]
    epochs = ["--encoder", encoder, "--num_train_epochs", "1", "--logging_steps", "1"]
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", str(REPOSITORY / "train.py")]
    common = [*BRIEF, *files, "--output_dir"]
    _finishes(_start(*launcher, *common, str(tmp_path / "two"), *epochs, *thresholds))
    log = _read(tmp_path / "two" / "checkpoint-2" / "trainer_state.json")
    assert log["global_step"] == 2
    losses = [entry for entry in log["log_history"] if "loss" in entry]
    assert len(losses) == 2
    for entry in losses:
        weighted = (
            entry["loss_mention"] + entry["loss_coreference"] + 0.25 * entry["loss_entity"] + entry["loss_relation"]
        )
        assert entry["loss"] == pytest.approx(weighted, rel=1e-4)
    run.main([*common, str(tmp_path / "one"), "--no_do_train", "--init_from", str(tmp_path / "two")])
    one, two = _results(tmp_path / "one"), _results(tmp_path / "two")
    assert len(two[1]) == 3 and any(document["entities"] for document in two[1])
    assert one == two
