"""Train JEREX with MiniLM on Re-DocRED documents, run by run, and print the table of all finished runs.

    python benchmarks/train_jerex.py --data_dir DIR [--only NAME ...]

`DIR` holds `train.json` and `validation.json` in DocRED's JSON. Each run is one line of `RUNS`; its result row is
appended to `benchmarks/results/train_jerex.jsonl` when it ends, and finished runs are not repeated. An interrupted run
resumes from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "train_jerex.jsonl"
RECIPE = HERE.parent / "recipes" / "jerex_re_docred_minilm.yaml"

RUNS = {
    "mrc-8-seed1": ["--num_train_epochs", "8", "--seed", "1"],
    "mrc-8-seed2": ["--num_train_epochs", "8", "--seed", "2"],
    "mrc-8-seed3": ["--num_train_epochs", "8", "--seed", "3"],
    "mrc-10": ["--num_train_epochs", "10", "--seed", "1"],
    "grc-10": ["--num_train_epochs", "10", "--seed", "1", "--relation_head", "global"],
}
LEVELS = ("mention", "cluster", "entity", "relation")


def finished() -> dict[str, dict]:
    """The result rows kept so far, by run."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {row["run"]: row for row in map(json.loads, lines)}


def train(name: str, data_dir: str, outputs: Path) -> dict:
    """Train one run in a process of its own and read its result row."""
    folder = outputs / name
    resume = ["--resume_from_checkpoint", "last"] if any(folder.glob("checkpoint-*")) else []
    options = [*RUNS[name], "--data_dir", data_dir, "--output_dir", str(folder), *resume]
    started = time.time()
    subprocess.run([sys.executable, str(HERE.parent / "train.py"), str(RECIPE), *options], check=True)
    scores = json.loads((folder / "validation" / "scores.json").read_text())
    trained = json.loads((folder / "train_results.json").read_text())
    return {
        "run": name,
        "options": " ".join(RUNS[name]),
        "resumed": bool(resume),
        **{f"{level}_{part}": scores[f"{level}_{part}"] for level in LEVELS for part in ("precision", "recall", "f1")},
        **{key: scores[key] for key in ("relation_untyped_f1", "intra_f1", "inter_f1", "coref_f1", "ign_f1")},
        "wall_seconds": time.time() - started,
        "train_seconds": trained["train_runtime"],
        "predicted_documents_per_second": scores["predict_samples_per_second"],
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def table(rows: dict[str, dict]) -> str:
    """The rows as a Markdown table: F1 (P / R) in percent, minutes, documents per second, peak memory."""
    head = ["run", *LEVELS, "wall, min", "predicted doc/s", "peak memory, MiB"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, row in rows.items():
        parts = [[100 * row[f"{level}_{part}"] for part in ("f1", "precision", "recall")] for level in LEVELS]
        cells = [f"{f1:.1f} ({precision:.1f} / {recall:.1f})" for f1, precision, recall in parts]
        cells += [f"{row['wall_seconds'] / 60:.1f}", f"{row['predicted_documents_per_second']:.1f}"]
        lines.append(f"| {' | '.join([name, *cells, format(row['peak_memory_mib'], '.0f')])} |")
    return "\n".join(lines)


def main() -> None:
    """Do the runs that have no row yet, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--only", nargs="*", choices=RUNS, default=list(RUNS))
    parser.add_argument("--outputs", type=Path, default=Path("outputs") / "train_jerex")
    arguments = parser.parse_args()
    for name in arguments.only:
        if name not in finished():
            row = train(name, arguments.data_dir, arguments.outputs)
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print(table(finished()))


if __name__ == "__main__":
    main()
