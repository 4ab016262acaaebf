"""Train KMGRE, its ablations and ATLOP with MiniLM on Re-DocRED documents, and print the table of all finished runs.

    python benchmarks/train_kmgre.py --data_dir DIR [--only NAME ...]

`DIR/re_docred` holds `train.json` and `validation.json` in DocRED's JSON. Each run trains its relation extractor for
six epochs; KMGRE's first one is the warm-up, and five epochs of its key instance classifier lie between the others. The
result row of each run is appended to `benchmarks/results/train_kmgre.jsonl` when it ends, and finished runs are not
repeated. An interrupted run resumes from its last checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training_runs import Run, Series, parts

# bfloat16 halves the time of a step on processors that multiply in it.
COMMON = "--use_cpu true --bf16 true --seed"


def _kmgre(seed: int, options: str = "") -> Run:
    return Run("kmgre_re_docred_minilm", f"{COMMON} {seed} {options}".strip(), "re_docred")


def _atlop(seed: int) -> Run:
    return Run("atlop_re_docred_minilm", f"--num_train_epochs 6 {COMMON} {seed}", "re_docred")


LEVELS = {
    "F1": parts("relation"),
    "Ign F1": ("ign_f1",),
    "M1": ("m1_f1",),
    "M2": ("m2_f1",),
    "single": ("single_f1",),
}
SERIES = Series(
    "train_kmgre",
    {
        "kmgre-seed1": _kmgre(1),
        "kmgre-seed2": _kmgre(2),
        "kmgre-seed3": _kmgre(3),
        "no-key-classifier": _kmgre(1, "--key_classifier false --num_train_epochs 6"),
        "no-fusion": _kmgre(1, "--fusion label_assignment"),
        "shared-encoder": _kmgre(1, "--shared_encoder true"),
        "atlop-seed1": _atlop(1),
        "atlop-seed2": _atlop(2),
        "atlop-seed3": _atlop(3),
    },
    (
        *(score for scores in LEVELS.values() for score in scores),
        *("ign_precision", "intra_f1", "inter_f1", "m1_support", "m2_support", "single_support"),
    ),
    LEVELS,
)

if __name__ == "__main__":
    SERIES.main(__doc__ or "")
