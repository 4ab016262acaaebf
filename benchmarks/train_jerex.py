"""Train JEREX with MiniLM on Re-DocRED documents, run by run, and print the table of all finished runs.

    python benchmarks/train_jerex.py --data_dir DIR [--only NAME ...]

`DIR/re_docred` holds `train.json` and `validation.json` in DocRED's JSON. The result row of each run is appended to
`benchmarks/results/train_jerex.jsonl` when it ends, and finished runs are not repeated. An interrupted run resumes from
its last checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training_runs import Run, Series, parts


def _run(options: str) -> Run:
    return Run("jerex_re_docred_minilm", options, "re_docred")


LEVELS = {level: parts(level) for level in ("mention", "cluster", "entity", "relation")}
SERIES = Series(
    "train_jerex",
    {
        "mrc-8-seed1": _run("--num_train_epochs 8 --seed 1"),
        "mrc-8-seed2": _run("--num_train_epochs 8 --seed 2"),
        "mrc-8-seed3": _run("--num_train_epochs 8 --seed 3"),
        "mrc-10": _run("--num_train_epochs 10 --seed 1"),
        "grc-10": _run("--num_train_epochs 10 --seed 1 --relation_head global"),
    },
    (
        *(score for scores in LEVELS.values() for score in scores),
        *("relation_untyped_f1", "intra_f1", "inter_f1", "coref_f1", "ign_f1"),
    ),
    LEVELS,
)

if __name__ == "__main__":
    SERIES.main(__doc__ or "")
