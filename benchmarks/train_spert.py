"""Train SpERT with MiniLM on CoNLL04 and SciERC, and print the table of all finished runs.

    python benchmarks/train_spert.py --data_dir DIR [--only NAME ...]

`DIR/conll04` and `DIR/scierc` hold `train.json` and `dev.json`. Beside three seeds of each corpus there are the numbers
of negative samples of the paper's Figure 2 and the span pooling of its Table 3, both on CoNLL04. Scores are those of
the development sentences after the last epoch. The result row of each run is appended to
`benchmarks/results/train_spert.jsonl` when it ends, and finished runs are not repeated. An interrupted run resumes from
its last checkpoint.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.training_runs import Run, Series, parts

# The scores in between are not looked at.
COMMON = "--use_cpu true --bf16 true --eval_strategy no --seed"


def _run(corpus: str, seed: int, options: str = "") -> Run:
    return Run(f"spert_{corpus}_minilm", f"{COMMON} {seed} {options}".strip(), corpus)


def _negatives(count: int) -> Run:
    return _run("conll04", 1, f"--negatives_mention {count} --negatives_relation {count}")


LEVELS = {
    "entity F1": parts("entity"),
    "macro entity F1": parts("macro_entity"),
    "relation F1": parts("relation"),
    "macro relation F1": parts("macro_relation"),
    "relation F1 without entity types": parts("relation_untyped"),
}
SERIES = Series(
    "train_spert",
    {
        **{f"conll04-seed{seed}": _run("conll04", seed) for seed in (1, 2, 3)},
        **{f"scierc-seed{seed}": _run("scierc", seed) for seed in (1, 2, 3)},
        # 100 negatives and maximum pooling are the first run.
        "conll04-negatives1": _negatives(1),
        "conll04-negatives20": _negatives(20),
        "conll04-pooling-sum": _run("conll04", 1, "--span_pooling sum"),
        "conll04-pooling-mean": _run("conll04", 1, "--span_pooling mean"),
    },
    tuple(score for scores in LEVELS.values() for score in scores),
    LEVELS,
)

if __name__ == "__main__":
    SERIES.main(__doc__ or "")
