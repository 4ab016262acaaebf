"""Measures time and peak memory of contenders on the same batches."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contenders import Contender, Decisions, Setup
from benchmarks.workload import Workload

TASKS = {"inference": "infer", "training": "train"}
"""The contender's method for one batch of each task; the tasks are also the names of a workload's batches."""

MIB = 2**20
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def synchronize(device: torch.device | str) -> None:
    """Wait until the device has finished its work."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def interleaved_seconds(
    contenders: Sequence[Contender],
    task: str,
    batches: Sequence[Any],
    repetitions: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, np.ndarray]:
    """Time the contenders in turns on each batch, so that drift of the machine affects all equally.

    Each contender first runs the first batch untimed. The order of the turns rotates with the repetitions.

    Args:
        contenders: the contenders, on one device.
        task: `"inference"` or `"training"`.
        batches: batches of documents; each contender tokenises them before the timing starts.
        repetitions: how often every batch is run.
        clock: gives seconds; `time.process_time` counts those of the processor, on a busy machine.

    Returns:
        Seconds by contender name, [repetitions, batches] float64.
    """
    runs = {contender.name: getattr(contender, TASKS[task]) for contender in contenders}
    device, names = contenders[0].device, list(runs)
    seconds = {name: np.zeros((repetitions, len(batches))) for name in names}
    prepared = {contender.name: contender.prepare(batches) for contender in contenders}
    for name, run in runs.items():
        run(prepared[name][0])
    for repetition in range(repetitions):
        turn = repetition % len(names)
        for number in range(len(batches)):
            for name in names[turn:] + names[:turn]:
                seconds[name][repetition, number] = _seconds(runs[name], prepared[name][number], device, clock)
    return seconds


def _seconds(run: Callable[[Any], Any], batch: Any, device: torch.device, clock: Callable[[], float]) -> float:
    synchronize(device)
    started = clock()
    run(batch)
    synchronize(device)
    return clock() - started


def typical_seconds(seconds: np.ndarray) -> float:
    """Seconds for all batches: the sum of each batch's median over the repetitions."""
    return float(np.median(seconds, axis=0).sum())


def ratio_range(seconds: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Lowest and highest ratio to a reference contender in a single repetition."""
    ratios = seconds.sum(1) / reference.sum(1)
    return float(ratios.min()), float(ratios.max())


class PeakMemory:
    """Peak memory in MiB above the memory in use when this object was made.

    On CUDA it counts torch's allocated tensors, elsewhere the resident set of the process. The kernel's high-water mark
    (Linux) is reset before each measurement. `ru_maxrss` cannot be reset and would still include the copies made while
    the model was loaded.
    """

    def __init__(self, device: torch.device | str):
        self.device = torch.device(device)
        self.supported = self.device.type == "cuda" or _CLEAR.exists()
        self._reset()
        self.baseline = self._read("VmRSS") if self.supported else 0.0

    def measure(self, run: Callable[[], Any]) -> float | None:
        """Call `run` and return its peak, or None if the system cannot measure it."""
        self._reset()
        run()
        return self._read("VmHWM") - self.baseline if self.supported else None

    def _reset(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        elif self.supported:
            # Otherwise freed memory that the allocator keeps counts as in use and hides the next run's need.
            ctypes.CDLL(None).malloc_trim(0)
            _CLEAR.write_text("5", encoding="utf-8")

    def _read(self, field: str) -> float:
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / MIB
        line = next(line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) / 1024


def peak_memory(
    setup: Setup, name: str, workloads: Sequence[Workload], decisions: Mapping[str, Decisions]
) -> dict[str, dict[str, float | None]]:
    """Measure the peak memory of one contender in a process of its own.

    Args:
        setup: how the contender is built.
        name: the contender.
        workloads: the documents.
        decisions: the decisions by workload name; empty for the model's own thresholds.

    Returns:
        By workload name and task, MiB above the loaded model. A training step counts the optimiser's state.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peaks, setup, name, workloads, decisions).result()


def _peaks(
    setup: Setup, name: str, workloads: Sequence[Workload], decisions: Mapping[str, Decisions]
) -> dict[str, dict[str, float | None]]:
    torch.set_num_threads(setup.threads)
    contender = setup.build(name)
    batches = {
        (workload.name, task): contender.prepare(getattr(workload, task)) for workload in workloads for task in TASKS
    }
    smallest = min((batch for prepared in batches.values() for batch in prepared), key=_subwords)
    contender.infer(smallest[:1])  # torch and the libraries allocate on first use
    memory = PeakMemory(setup.device)
    peaks: dict[str, dict[str, float | None]] = {workload.name: {} for workload in workloads}
    for task in TASKS:
        if task == "training":
            contender.train(batches[workloads[0].name, task][0])  # the optimiser allocates its state in the first step
        for workload in workloads:
            contender.decide_by(decisions.get(workload.name, Decisions()))
            run = partial(_run, contender, task, batches[workload.name, task])
            peaks[workload.name][task] = memory.measure(run)
    return peaks


def _subwords(batch: Sequence[Any]) -> int:
    return sum(len(item.input_ids) for item in batch)


def _run(contender: Contender, task: str, batches: Sequence[Any]) -> None:
    for batch in batches:
        getattr(contender, TASKS[task])(batch)
