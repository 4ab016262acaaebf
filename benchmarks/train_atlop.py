"""Train ATLOP with MiniLM on Re-DocRED documents and on CDR, run by run, and print the table of all finished runs.

    python benchmarks/train_atlop.py --data_dir DIR [--only NAME ...]

`DIR/re_docred` holds `train.json` and `validation.json` in DocRED's JSON, `DIR/cdr` the PubTator files of CDR with the
MeSH tree. The result row of each run is appended to `benchmarks/results/train_atlop.jsonl` when it ends, and finished
runs are not repeated. An interrupted run resumes from its last checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training_runs import Run, Series, parts

# bfloat16 halves the time of a step on processors that multiply in it.
COMMON = "--use_cpu true --bf16 true --seed"


def _run(options: str) -> Run:
    return Run("atlop_re_docred_minilm", options, "re_docred")


LEVELS = {"F1": parts("relation"), "Ign F1": ("ign_f1",), "intra": ("intra_f1",), "inter": ("inter_f1",)}
SERIES = Series(
    "train_atlop",
    {
        "6-seed1": _run(f"--num_train_epochs 6 {COMMON} 1"),
        "6-seed2": _run(f"--num_train_epochs 6 {COMMON} 2"),
        "6-seed3": _run(f"--num_train_epochs 6 {COMMON} 3"),
        "10": _run(f"--num_train_epochs 10 {COMMON} 1"),
        "6-no-localized-context": _run(f"--num_train_epochs 6 {COMMON} 1 --localized_context false"),
        "6-no-adaptive-threshold": _run(f"--num_train_epochs 6 {COMMON} 1 --loss bce --threshold global"),
        "cdr-6": Run("atlop_cdr_minilm", f"--num_train_epochs 6 {COMMON} 1", "cdr"),
    },
    (*(score for scores in LEVELS.values() for score in scores), "ign_precision", "intra_support", "inter_support"),
    LEVELS,
)

if __name__ == "__main__":
    SERIES.main(__doc__ or "")
