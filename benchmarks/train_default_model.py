"""Train the candidates for the default model, one factor changed at a time, and print the table of all finished runs.

    python benchmarks/train_default_model.py --data_dir DIR [--only NAME ...]

`DIR/re_docred` holds `train.json` and `validation.json` in DocRED's JSON. The first 50 validation documents choose the
best epoch, the thresholds and, between the runs, the model; the table's scores are theirs. What the other 50 say of a
run is kept in its folder (`test/scores.json`) and is looked at for the chosen one only. The result row of each run is
appended to `benchmarks/results/train_default_model.jsonl` when it ends, and finished runs are not repeated. An
interrupted run resumes from its last checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training_runs import Run, Series, parts

# bfloat16 halves the time of a step on processors that multiply in it.
COMMON = "--validation_split validation[:50] --test_split validation[50:] --tune true --use_cpu true --bf16 true"
RATES = "--learning_rate 1e-4 --head_learning_rate 4e-4"
ALL_NEGATIVES = "--negatives_relation -1"


def _run(options: str = "", system: str = "jerex", epochs: int = 10, seed: int = 1) -> Run:
    given = f"{COMMON} --num_train_epochs {epochs} --seed {seed} {options}".strip()
    return Run(f"{system}_re_docred_minilm", given, "re_docred")


def _long(options: str = "", epochs: int = 60, seed: int = 1) -> Run:
    """Up to so many epochs with what was best of each factor; ten without a better one end it."""
    return _run(f"{RATES} {ALL_NEGATIVES} --early_stopping_patience 10 {options}".strip(), epochs=epochs, seed=seed)


LEVELS = {level: parts(level) for level in ("mention", "cluster", "entity", "relation")}
SERIES = Series(
    "train_default_model",
    {
        # The other short runs differ from this one in what their name says.
        "mrc": _run(),
        "grc": _run("--relation_head global"),
        "mrc-memory": _run(system="memory_jerex"),
        "grc-memory": _run("--relation_head global", system="memory_jerex"),
        "rates-1e-4-4e-4": _run(RATES),
        "rates-4e-4-4e-4": _run("--learning_rate 4e-4"),
        "all-negatives": _run(ALL_NEGATIVES),
        "mrc-60": _long(),
        "grc-60": _long("--relation_head global"),
        # Stopped early, those end while the learning rate is high; here it falls twice as fast.
        **{f"mrc-30-seed{seed}": _long(epochs=30, seed=seed) for seed in (1, 2)},
        **{f"mrc-60-seed{seed}": _long(seed=seed) for seed in (2, 3)},
    },
    (*(score for scores in LEVELS.values() for score in scores), "relation_untyped_f1"),
    LEVELS,
    # The best epoch may come before the end of the warm-up, and its model then does not read.
    settings=("memory_reading",),
)

if __name__ == "__main__":
    SERIES.main(__doc__ or "")
