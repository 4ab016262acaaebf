"""Tests of modeling_docre/training/hardware.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from modeling_docre.training import hardware as machine

MEASURED = """
import runpy, sys, types

sys.modules["torch"] = types.SimpleNamespace(cuda=types.SimpleNamespace(is_available=bool))  # takes seconds to import
peak_memory_mib = runpy.run_path(sys.argv[1])["peak_memory_mib"]
before = peak_memory_mib()
held = b"x" * (200 << 20)
after = peak_memory_mib()
del held
print(before, after, peak_memory_mib())
"""


def test_the_peak_is_in_mib_stays_and_is_that_of_the_process_alone():
    own = machine.peak_memory_mib()
    command = [sys.executable, "-c", MEASURED, str(machine.__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after, last = map(float, done.stdout.split())
    assert own is not None and before < 100 < own, "torch takes more in this process, which the other one comes from"
    assert 190 < after - before < 220
    assert abs(last - after) < 10, "but for what the system counts late"


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
