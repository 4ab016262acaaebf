"""Tests of modeling_docre/training/hardware.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from modeling_docre.training import hardware as machine


def test_the_peak_is_in_mib_and_stays():
    before = machine.peak_memory_mib()
    assert before is not None and before > 50, "torch alone takes more"
    held = b"x" * (1000 << 20)
    after = machine.peak_memory_mib()
    del held
    assert 1000 < after < before + 1050
    assert machine.peak_memory_mib() > after - 10, "but for what the system counts late"


def test_the_peak_is_that_of_the_process_alone():
    held = b"x" * (2000 << 20)
    command = [sys.executable, "-c", "from modeling_docre.training.hardware import *; print(peak_memory_mib())"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    del held
    assert 50 < float(done.stdout) < 2000


def test_facts_are_named_like_metrics():
    facts = machine.machine_facts("train")
    assert list(facts) == ["train_device", "train_peak_memory_mib"]
    assert isinstance(facts["train_peak_memory_mib"], int)
    assert json.loads(json.dumps(facts)) == facts
    assert f"{torch.get_num_threads()} thread" in facts["train_device"] or torch.cuda.is_available()


def test_a_gpu_is_named_and_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 3 << 20)
    assert machine.machine_facts("x") == {"x_device": "Card", "x_peak_memory_mib": 3}


def test_a_system_that_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine.sys, "platform", "win32")
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "none")
    monkeypatch.setattr(machine, "_STATUS", tmp_path / "none")
    assert list(machine.machine_facts("x")) == ["x_device"]


@pytest.mark.parametrize("library", [True, False])
def test_bfloat16_is_emulated_without_the_library_that_has_it(library: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: library)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert machine.emulates_bfloat16() is not library
