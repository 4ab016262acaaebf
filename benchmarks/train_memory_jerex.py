"""Train memory-enhanced JEREX, its similarity classifiers without memory, and JEREX, and print the table of all runs.

    python benchmarks/train_memory_jerex.py --data_dir DIR [--only NAME ...]

`DIR/re_docred` holds `train.json` and `validation.json` in DocRED's JSON, `DIR/cdr` the PubTator files of CDR. All runs
of a corpus have the same encoder, learning rate, batches and number of epochs. The result row of each run is appended
to `benchmarks/results/train_memory_jerex.jsonl` when it ends, and finished runs are not repeated. An interrupted run
resumes from its last checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training_runs import Run, Series, parts

# In float32, so that every processor trains alike.
COMMON = "--use_cpu true"
SYSTEMS = {"jerex": "--system jerex", "similarity": "--memory_read false", "memory": ""}
# On CDR the model without reading is the one whose warm-up does not end. It keeps its checkpoints: up to half of the
# updates, where reading begins, the run with memory is the same, and goes on from there.
WARM_UP = "--memory_warmup_ratio 1.0 --save_total_limit 6"
HALF = "checkpoint-1500"
HEADS = {"mrc": "multi_instance", "grc": "global"}


def _run(corpus: str, head: str, system: str, seed: int) -> Run:
    shares = corpus == "cdr"
    chosen = WARM_UP if shares and system == "similarity" else SYSTEMS[system]
    options = f"{COMMON} --relation_head {HEADS[head]} {chosen} --seed {seed}"
    begins_with = f"cdr-{head}-similarity-seed{seed}/{HALF}" if shares and system == "memory" else None
    return Run(f"memory_jerex_{corpus}_minilm", " ".join(options.split()), corpus, begins_with)


def _runs() -> dict[str, Run]:
    """One seed for each system, head and corpus; three for the multi-instance classifier on CDR."""
    runs = {}
    for corpus, head in (("cdr", "mrc"), ("cdr", "grc"), ("re_docred", "mrc"), ("re_docred", "grc")):
        for seed in (1, 2, 3) if (corpus, head) == ("cdr", "mrc") else (1,):
            for system in SYSTEMS:
                runs[f"{corpus}-{head}-{system}-seed{seed}"] = _run(corpus, head, system, seed)
    return runs


LEVELS = {level: parts(level) for level in ("mention", "cluster", "entity", "relation")}
SERIES = Series(
    "train_memory_jerex",
    _runs(),
    (*(score for scores in LEVELS.values() for score in scores), "relation_untyped_f1", "intra_f1", "inter_f1"),
    LEVELS,
    # The best epoch may come before the end of the warm-up, and its model then does not read.
    settings=("memory_reading",),
)

if __name__ == "__main__":
    SERIES.main(__doc__ or "")
