"""Counts the arithmetic of the systems and of their bare encoder, and prints the floor that follows.

    python benchmarks/floor.py [--encoders minilm] [--systems NAME ...] [--documents 10] [--repetitions 3]

At equal FLOP rate a system reaches at most the share `encoder FLOPs / all FLOPs` of the speed of its bare encoder. That
share is its floor. The count is exact and the same on every machine: torch counts the multiply-adds of matrix products
and of attention (two FLOPs each; element-wise work counts nothing). Beside it stand the bytes that the operators read
and write, and the share that was measured, in seconds of the processor with one thread, system and bare encoder in
turns on every document. Documents and load are those of `speed.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import (
    flop_registry,
    register_flop_formula,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.contenders import ENCODERS, ENTRIES, USUAL, Contender, Setup, SystemContender
from benchmarks.load import match_gold_load, remembered_hidden_states
from benchmarks.measure import TASKS, interleaved_seconds, typical_seconds
from benchmarks.report import table
from benchmarks.stage_clock import stage_seconds
from benchmarks.workload import default_data, label_lists, read_documents
from modeling_docre import Document


# Fused attention on the CPU, which torch's own formulas leave out.
@register_flop_formula(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu)
def _cpu_attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


@register_flop_formula(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward)
def _cpu_attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


# A product that is added to what is there, for which torch has a formula only where the result is new.
register_flop_formula(torch.ops.aten.addmm_, get_raw=True)(flop_registry[torch.ops.aten.addmm])


class Counter(TorchDispatchMode):
    """Counts what runs inside the block: `flops`, by torch's formulas, and `bytes` that operators take and give.

    Views move nothing and count nothing. (`FlopCounterMode` follows modules too, which models in inference mode do not
    bear.)
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def read(self) -> np.ndarray:
        """FLOPs and bytes so far, [2] float64."""
        return np.array([self.flops, self.bytes], dtype=np.float64)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, or what it is composed of, and count it."""
        kwargs, formula = kwargs or {}, flop_registry.get(func._overloadpacket)
        if formula is None:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if formula is not None:
            self.flops += formula(*args, **kwargs, out_val=result)
        if not func.is_view:
            leaves = tree_leaves((args, kwargs, result))
            self.bytes += sum(item.nbytes for item in leaves if isinstance(item, torch.Tensor))
        return result


def count(contender: Contender, task: str, batches: Sequence[Any]) -> np.ndarray:
    """FLOPs and bytes of a contender over tokenised batches, [2] float64."""
    with Counter() as counter:
        for batch in batches:
            getattr(contender, TASKS[task])(batch)
    return counter.read()


def stage_counts(contender: SystemContender, task: str, batches: Sequence[Any]) -> dict[str, np.ndarray]:
    """FLOPs and bytes of each stage of a system over tokenised batches, [2] float64 each."""
    with Counter() as counter:
        counts = stage_seconds(contender, task, batches, counter.read)
    return {stage: np.zeros(2) + value for stage, value in counts.items()}  # where nothing ran it is 0


def compare(setup: Setup, documents: Sequence[Document], task: str, repetitions: int) -> dict[str, Any]:
    """FLOPs and bytes per document of a setup's one system and of its bare encoder; floor, measured share, stages."""
    bare, system = (setup.build(name) for name in setup.contenders)
    assert isinstance(system, SystemContender)
    batches = [[document] for document in documents]
    prepared = system.prepare(batches)
    with remembered_hidden_states(system):
        match_gold_load(system, prepared)
    counts = [count(contender, task, contender.prepare(batches)) / len(batches) for contender in (bare, system)]
    share = None
    if repetitions:
        seconds = interleaved_seconds([bare, system], task, batches, repetitions, time.process_time)
        share = typical_seconds(seconds[bare.name]) / typical_seconds(seconds[system.name])
    stages = {name: value / len(batches) for name, value in stage_counts(system, task, prepared).items()}
    row = {"encoder": setup.encoder, "task": task, "system": system.name, "counts": counts, "stages": stages}
    return row | {"floor": counts[0][0] / counts[1][0], "share": share}


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The floors, and the stages that cost most beside the encoder."""
    head = ["encoder", "task", "system", "GFLOP: bare encoder", "system", "MB: bare encoder", "system"]
    head += ["floor", "measured", "of the floor", "stages beside the encoder, GFLOP and MB"]
    cells = []
    for row in rows:
        measured = ["", ""] if row["share"] is None else [f"{row['share']:.2f}", f"{row['share'] / row['floor']:.2f}"]
        gigas, megas = zip(
            *((f"{flops / 1e9:.2f}", f"{moved / 1e6:.0f}") for flops, moved in row["counts"]), strict=True
        )
        beside = {name: value for name, value in row["stages"].items() if name != "encoder"}
        ranked = sorted(beside, key=lambda name: -float(np.sum(beside[name])))[:4]
        stages = "; ".join(f"{name} {beside[name][0] / 1e9:.2f}, {beside[name][1] / 1e6:.0f}" for name in ranked)
        labels = [row["encoder"], row["task"], row["system"]]
        cells.append([*labels, *gigas, *megas, f"{row['floor']:.2f}", *measured, stages])
    return table(head, cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Count, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="DocRED JSON, or .jsonl of Document dicts")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=["minilm"])
    parser.add_argument("--systems", nargs="+", choices=ENTRIES, default=list(USUAL))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--documents", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=3, help="of the measurement; 0 counts only")
    options = parser.parse_args(arguments)
    documents = read_documents(options.data or default_data())
    torch.set_num_threads(1)
    rows = []
    for encoder in options.encoders:
        for system in options.systems:
            setup = Setup(encoder, labels=label_lists(documents), systems=(system,))
            for task in options.tasks:
                rows.append(compare(setup, documents[: options.documents], task, options.repetitions))
                print(markdown(rows[-1:]), file=sys.stderr, flush=True)
    print(markdown(rows))


if __name__ == "__main__":
    main()
