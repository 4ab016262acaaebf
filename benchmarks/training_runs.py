"""Training runs that are kept: one line per run, resumable, each result row written when the run ends."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

_TRAIN_PEAK, _PREDICT_PEAK = "train_peak_memory_mib", "predict_peak_memory_mib"
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Run:
    """One training run: a recipe with options.

    Args:
        recipe: name of a file in `recipes/` without its ending.
        options: further options of `train.py`, as on its command line.
        corpus: folder of the corpus inside the data directory.
        begins_with: RUN/checkpoint-N of another run whose first N updates are the same, to the last digit; where that
            checkpoint is there, this run goes on from it.
    """

    recipe: str
    options: str
    corpus: str
    begins_with: str | None = None


@dataclass(frozen=True)
class Series:
    """Runs whose rows stand in one table.

    Args:
        name: name of the result file and of the output folder.
        runs: the runs by name.
        scores: the scores that a row keeps.
        columns: heads of the table's score columns with the scores in each, in percent.
        settings: what a row keeps of the configuration of the resulting model.
    """

    name: str
    runs: dict[str, Run]
    scores: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    settings: tuple[str, ...] = ()

    @property
    def results(self) -> Path:
        """The file of result rows, one JSON object per line."""
        return HERE / "results" / f"{self.name}.jsonl"

    def finished(self) -> dict[str, dict[str, Any]]:
        """The result rows kept so far, by run, in the order of the runs."""
        lines = self.results.read_text(encoding="utf-8").splitlines() if self.results.exists() else []
        order = list(self.runs)
        rows = sorted(map(json.loads, lines), key=lambda row: order.index(row["run"]))
        return {row["run"]: row for row in rows}

    def train(self, name: str, data_dir: Path, outputs: Path) -> dict[str, Any]:
        """Train one run in a process of its own and read its result row."""
        run, folder = self.runs[name], outputs / name
        resume = []
        if any(folder.glob("checkpoint-*")):
            resume = ["--resume_from_checkpoint", "last"]
        elif run.begins_with and (shared := outputs / run.begins_with / "trainer_state.json").exists():
            resume = ["--resume_from_checkpoint", str(shared.parent)]
        recipe = HERE.parent / "recipes" / f"{run.recipe}.yaml"
        options = [*run.options.split(), "--data_dir", str(data_dir / run.corpus), "--output_dir", str(folder), *resume]
        started = time.time()
        _run([sys.executable, str(HERE.parent / "train.py"), str(recipe), *options])
        scores = json.loads((folder / "validation" / "scores.json").read_text(encoding="utf-8"))
        trained = json.loads((folder / "train_results.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return {
            "run": name,
            "recipe": run.recipe,
            "options": run.options,
            "resumed": bool(resume),
            **{key: scores[key] for key in (*self.scores, "thresholds")},
            # Absent in a system without it.
            **{key: config.get(key) for key in self.settings},
            "wall_seconds": time.time() - started,
            "train_seconds": trained["train_runtime"],
            "predicted_documents_per_second": scores["predict_samples_per_second"],
            "peak_memory_mib": max(
                (facts[name] for facts, name in ((trained, _TRAIN_PEAK), (scores, _PREDICT_PEAK)) if name in facts),
                default=None,
            ),
        }

    def table(self) -> str:
        """The rows as a Markdown table: scores in percent, minutes, documents per second, peak memory."""
        head = ["run", *self.columns, *self.settings, "wall, min", "predicted doc/s", "peak memory, MiB"]
        lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
        for name, row in self.finished().items():
            cells = [_percent([row[key] for key in keys]) for keys in self.columns.values()]
            cells += [json.dumps(row[key]) for key in self.settings]
            # Of a run that went on after an interruption the time is that of its last part.
            cells += [f"{'> ' * row['resumed']}{row['wall_seconds'] / 60:.1f}"]
            cells += [f"{row['predicted_documents_per_second']:.1f}"]
            peak = row["peak_memory_mib"]
            cells += ["not measured" if peak is None else f"{peak:.0f}"]
            lines.append(f"| {' | '.join([name, *cells])} |")
        return "\n".join(lines)

    def spread(self) -> str:
        """Mean ± sample standard deviation of the runs that differ in nothing but the seed, in percent; else empty."""
        seeds: dict[str, list[dict[str, Any]]] = {}
        for name, row in self.finished().items():
            seeds.setdefault(re.sub(r"-seed\d+$", "", name), []).append(row)
        head = ["run", "seeds", *self.columns]
        lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
        for name, rows in seeds.items():
            if len(rows) > 1:
                values = [[100 * row[keys[0]] for row in rows] for keys in self.columns.values()]
                cells = [f"{mean(column):.1f} ± {stdev(column):.1f}" for column in values]
                lines.append(f"| {' | '.join([name, str(len(rows)), *cells])} |")
        return "\n".join(lines) if len(lines) > 2 else ""

    def main(self, description: str, arguments: Sequence[str] | None = None) -> None:
        """Do the runs that have no row yet, then print the table, and what the seeds of a run have in common."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--data_dir", type=Path, required=True)
        parser.add_argument("--only", nargs="*", choices=self.runs, default=list(self.runs))
        parser.add_argument("--outputs", type=Path, default=Path("outputs") / self.name)
        options = parser.parse_args(arguments)
        for name in options.only:
            if name not in self.finished():
                row = self.train(name, options.data_dir, options.outputs)
                self.results.parent.mkdir(parents=True, exist_ok=True)
                with self.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        print(self.table())
        if spread := self.spread():
            print(f"\n{spread}")


def _run(command: list[str]) -> None:
    """Run a command.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run(command, check=True)


def _percent(values: Sequence[float]) -> str:
    """The first value, and the others behind it in brackets."""
    first, *others = (f"{100 * value:.1f}" for value in values)
    return f"{first} ({' / '.join(others)})" if others else first


def parts(level: str) -> tuple[str, str, str]:
    """F1, precision and recall of a level."""
    return f"{level}_f1", f"{level}_precision", f"{level}_recall"
