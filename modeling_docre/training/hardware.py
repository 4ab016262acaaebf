"""Device and peak memory of a run: facts for the model card."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import Any

import torch

_CPUINFO = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")
_MIB = 1 << 20


def machine_facts(prefix: str) -> dict[str, Any]:
    """Device and peak memory of this process so far, named like the Trainer's metrics.

    Args:
        prefix: what the process did, e.g. `train`.

    Returns:
        `<prefix>_device`, the name of the GPU or of the processor with the number of threads in use, and, where the
        system knows it, `<prefix>_peak_memory_mib`: the most that torch has allocated on the GPU, or without a GPU the
        largest resident size of the process.
    """
    peak = peak_memory_mib()
    return {f"{prefix}_device": device_name()} | ({} if peak is None else {f"{prefix}_peak_memory_mib": round(peak)})


def device_name() -> str:
    """The name of the GPU in use, or of the processor with the number of threads that torch uses."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{_processor_name()}, {threads} {'thread' if threads == 1 else 'threads'}"


def peak_memory_mib() -> float | None:
    """Peak memory in MiB since the process began; None where the system does not know it."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / _MIB
    if _STATUS.exists():
        # The figure of getrusage starts at the size of the process that this one was forked from.
        line = next(line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    if sys.platform == "win32":
        return None
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / _MIB if sys.platform == "darwin" else size / 1024  # bytes there, KiB elsewhere


def _processor_name() -> str:
    lines = _CPUINFO.read_text(encoding="utf-8").splitlines() if _CPUINFO.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
