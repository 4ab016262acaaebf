"""Formats a speed measurement as a Markdown report."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.contenders import Setup, reference_of

LOADS = ("words", "spans", "mentions", "entities", "entity_pairs", "mention_pairs", "relations")


def machine(setup: Setup) -> dict[str, Any]:
    """The machine and versions of a measurement; `load_average` (one minute) shows whether the machine was idle."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": setup.threads,
        "device": torch.cuda.get_device_name(setup.device) if setup.device.startswith("cuda") else "cpu",
        "dtype": setup.dtype,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def markdown(report: dict[str, Any]) -> str:
    """The whole report of `speed.measure_all`."""
    corpus = [row for row in report["measurements"] if row["workload"] == "corpus"]
    growth = [row for row in report["measurements"] if row["workload"] != "corpus"]
    data, settings = report["data"], report["settings"]
    blocks = [
        "## Speed and memory beside the encoder alone",
        f"`{report['command']}`",
        ", ".join(f"{name} {value}" for name, value in report["machine"].items()),
        f"Documents: {data['file']}; inference on {data['inference_documents']}, training steps on the first "
        f"{data['training_documents']}; repetitions: {settings['repetitions']}; up to {settings['max_tokens']} "
        "subwords per inference batch. Tokenisation is not timed; it takes "
        f"{1000 * data['tokenise_seconds']:.1f} ms per document.",
        _comparison(corpus),
        "### Mean load per document",
        _loads([row for row in report["loads"] if row["workload"] == "corpus"]),
        "Pairs of mentions are those of different entities; only the multi-instance classifier lists them. ATLOP finds "
        "relations between the given entities.",
    ]
    if growth:
        long_loads = [row for row in report["loads"] if row["workload"] != "corpus"]
        blocks += ["### Growth with the length of a document", _growth(growth), _loads(long_loads)]
    for encoder in dict.fromkeys(row["encoder"] for row in report["stages"]):
        blocks.append(f"### Milliseconds per document and share of each stage, {encoder}")
        rows = [row for row in report["stages"] if row["encoder"] == encoder]
        kinds = dict.fromkeys(tuple(row["seconds"]) for row in rows)
        blocks += [_stages([row for row in rows if tuple(row["seconds"]) == kind]) for kind in kinds]
    return "\n\n".join(blocks) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _comparison(rows: Sequence[dict[str, Any]]) -> str:
    head = ["encoder", "task", "contender", "documents/s", "sentences/s"]
    head += ["time, ratio to encoder", "peak above model, MiB", "ratio"]
    speeds = ("documents_per_second", "sentences_per_second")
    return table(
        head,
        (
            [row["encoder"], row["task"], row["contender"], *(f"{row[name]:.2f}" for name in speeds), *_costs(row)]
            for row in rows
        ),
    )


def _growth(rows: Sequence[dict[str, Any]]) -> str:
    head = ["encoder", "words", "subwords", "task", "contender", "s/document"]
    head += ["time, ratio to encoder", "peak above model, MiB", "ratio"]
    return table(
        head,
        (
            [
                row["encoder"],
                f"{row['words']:.0f}",
                f"{row['subwords']:.0f}",
                row["task"],
                row["contender"],
                f"{row['seconds'] / row['documents']:.3f}",
                *_costs(row),
            ]
            for row in rows
        ),
    )


def _costs(row: dict[str, Any]) -> list[str]:
    """Cells of the time ratio with its range over the repetitions, the peak and the peak's ratio."""
    if row["contender"] == reference_of(row["contender"]):
        return ["1", _number(row["peak_mib"], 0), "1"]
    low, high = row["time_ratio_range"]
    ratio = f"{row['time_ratio']:.2f} ({low:.2f} to {high:.2f})"
    return [ratio, _number(row["peak_mib"], 0), _number(row["memory_ratio"], 2)]


def _number(value: float | None, digits: int) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"


def _loads(rows: Sequence[dict[str, Any]]) -> str:
    head = ["documents", "found by", *(name.replace("_", " ") for name in LOADS)]
    cells = ((row["workload"], row["source"], *(f"{row[name]:.1f}" for name in LOADS)) for row in rows)
    return table(head, dict.fromkeys(cells))  # gold is the same for all encoders


def _stages(rows: Sequence[dict[str, Any]]) -> str:
    """Stages down, one column per contender and task."""
    head = ["stage", *(f"{row['contender']}, {row['task']}" for row in rows)]
    lines = [[stage, *(_share(row, stage) for row in rows)] for stage in rows[0]["seconds"]]
    lines.append(["all", *(f"{1000 * sum(row['seconds'].values()) / row['documents']:.1f}" for row in rows)])
    return table(head, lines)


def _share(row: dict[str, Any], stage: str) -> str:
    seconds, total = row["seconds"][stage], sum(row["seconds"].values())
    return f"{1000 * seconds / row['documents']:.1f} ({100 * seconds / total:.1f} %)"
