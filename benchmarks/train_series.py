"""Trains the runs of a series one by one and prints the table of all finished ones.

    python benchmarks/train_series.py SERIES --data_dir DIR [--only NAME ...]

`benchmarks/series/SERIES.yaml` lists the runs; its first lines say which files DIR must have. The result row of each
run is appended to `benchmarks/results/train_SERIES.jsonl` when it ends; finished runs are not repeated. An interrupted
run resumes from its last checkpoint. `--only` without a name trains nothing and prints the table.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

_TRAIN_PEAK, _PREDICT_PEAK = "train_peak_memory_mib", "predict_peak_memory_mib"
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Run:
    """One training run: a recipe with options.

    Args:
        recipe: name of a file in `recipes/` without its ending.
        corpus: folder of the corpus inside the data directory.
        options: further options of `train.py`, as on its command line.
        begins_with: RUN/checkpoint-N of another run with exactly the same first N updates; if that checkpoint exists,
            this run resumes from it.
    """

    recipe: str
    corpus: str
    options: str
    begins_with: str | None = None


@dataclass(frozen=True)
class Series:
    """Runs whose rows form one table.

    Args:
        name: name of the result file and of the output folder.
        runs: the runs by name.
        columns: the scores of each score column, by its head.
        scores: further scores that a row keeps; `single_stages.SCORE` is one of a stage on the gold result of the stage
            before, in runs with `single_stages`.
        settings: keys of the resulting model's configuration that a row keeps.
    """

    name: str
    runs: dict[str, Run]
    columns: Mapping[str, Sequence[str]]
    scores: Sequence[str] = ()
    settings: Sequence[str] = ()

    @property
    def kept_scores(self) -> list[str]:
        """The scores that a row keeps: those of the columns, and the others."""
        return [score for scores in (*self.columns.values(), self.scores) for score in scores]

    @property
    def results(self) -> Path:
        """The file of result rows, one JSON object per line."""
        return HERE / "results" / f"{self.name}.jsonl"

    def finished(self) -> dict[str, dict[str, Any]]:
        """The result rows so far, by run, in the order of the runs."""
        lines = self.results.read_text(encoding="utf-8").splitlines() if self.results.exists() else []
        order = list(self.runs)
        rows = sorted(map(json.loads, lines), key=lambda row: order.index(row["run"]))
        return {row["run"]: row for row in rows}

    def train_missing(self, names: Iterable[str], data_dir: Path, outputs: Path) -> None:
        """Train the named runs that have no row yet, and store the row of each when it ends."""
        for name in names:
            if name not in self.finished():
                row = self.train(name, data_dir, outputs)
                self.results.parent.mkdir(parents=True, exist_ok=True)
                with self.results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")

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
        scores = _read_json(folder / "validation" / "scores.json")
        scores |= {f"single_stages.{name}": value for name, value in scores.get("single_stages", {}).items()}
        trained, config = _read_json(folder / "train_results.json"), _read_json(folder / "config.json")
        peaks = [facts[key] for facts, key in ((trained, _TRAIN_PEAK), (scores, _PREDICT_PEAK)) if key in facts]
        return {
            "run": name,
            "recipe": run.recipe,
            "options": run.options,
            "resumed": bool(resume),
            **{key: scores[key] for key in (*self.kept_scores, "thresholds")},
            # Absent in a system without it.
            **{key: config.get(key) for key in self.settings},
            "wall_seconds": time.time() - started,
            "train_seconds": trained["train_runtime"],
            "predicted_documents_per_second": scores["predict_samples_per_second"],
            "peak_memory_mib": max(peaks, default=None),
        }

    def table(self) -> str:
        """The rows as a Markdown table: scores in percent, minutes, documents per second, peak memory."""
        head = ["run", *self.columns, *self.settings, "wall, min", "predicted doc/s", "peak memory, MiB"]
        rows = []
        for name, row in self.finished().items():
            cells = [_percent([row[key] for key in keys]) for keys in self.columns.values()]
            cells += [json.dumps(row[key]) for key in self.settings]
            # The time of a resumed run is only that of its last part, hence ">".
            cells += [f"{'> ' * row['resumed']}{row['wall_seconds'] / 60:.1f}"]
            cells += [f"{row['predicted_documents_per_second']:.1f}"]
            peak = row["peak_memory_mib"]
            cells += ["not measured" if peak is None else f"{peak:.0f}"]
            rows.append([name, *cells])
        return _markdown(head, rows)

    def spread(self) -> str:
        """Mean ± sample standard deviation, in percent, of runs that differ only in the seed; else empty."""
        seeds: dict[str, list[dict[str, Any]]] = {}
        for name, row in self.finished().items():
            seeds.setdefault(re.sub(r"-seed\d+$", "", name), []).append(row)
        table = []
        for name, rows in seeds.items():
            if len(rows) > 1:
                values = [[100 * row[keys[0]] for row in rows] for keys in self.columns.values()]
                cells = [f"{mean(column):.1f} ± {stdev(column):.1f}" for column in values]
                table.append([name, str(len(rows)), *cells])
        return _markdown(["run", "seeds", *self.columns], table) if table else ""


@dataclass(frozen=True)
class _Group:
    """Runs of a file that share recipe, corpus and options; an option of a run wins over that of its group."""

    recipe: str
    corpus: str
    runs: Mapping[str, Mapping[str, str]]
    options: Mapping[str, str] = field(default_factory=dict)
    begins_with: Mapping[str, str] = field(default_factory=dict)


def series_names() -> list[str]:
    """The names of all series."""
    return sorted(path.stem for path in (HERE / "series").glob("*.yaml"))


def read_series(name: str) -> Series:
    """A series from its file.

    Raises:
        ValueError: the file has an unknown key, lacks one, or has two runs of the same name.
    """
    file = HERE / "series" / f"{name}.yaml"
    # The base loader keeps every value as a string, so that train.py parses it as on its command line.
    content = yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader)
    try:
        groups = [_Group(**group) for group in content.pop("groups")]
        runs = [item for group in groups for item in _runs(group)]
        series = Series(f"train_{name}", dict(runs), **content)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{file} is not a series ({error}); copy the form of another file in its folder") from error
    if len(series.runs) < len(runs):
        raise ValueError(f"{file} has two runs of the same name; give each its own")
    return series


def _runs(group: _Group) -> Iterable[tuple[str, Run]]:
    for name, own in group.runs.items():
        options = " ".join(f"--{option} {value}" for option, value in {**group.options, **own}.items())
        yield name, Run(group.recipe, group.corpus, options, group.begins_with.get(name))


def _run(command: list[str]) -> None:
    """Run a command.

    Raises:
        CalledProcessError: it failed.
    """
    subprocess.run(command, check=True)


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def _percent(values: Sequence[float]) -> str:
    """The first value, followed by the others in brackets."""
    first, *others = (f"{100 * value:.1f}" for value in values)
    return f"{first} ({' / '.join(others)})" if others else first


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the runs that have no row yet, then print the table and the spread over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", choices=series_names(), help="a file in benchmarks/series without its ending")
    parser.add_argument("--data_dir", type=Path, help="folder of the corpora's folders")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="the runs to train (default: all of the series)")
    parser.add_argument("--outputs", type=Path, help="folder for the models (default: outputs/train_SERIES)")
    options = parser.parse_args(arguments)
    series = read_series(options.series)
    names = list(series.runs) if options.only is None else options.only
    if unknown := [name for name in names if name not in series.runs]:
        parser.error(f"{options.series} has no run {unknown[0]!r}; --only takes any of {', '.join(series.runs)}")
    if names and options.data_dir is None:
        parser.error("--data_dir is missing; give the folder of the corpora's folders, or --only without a name")
    series.train_missing(names, options.data_dir, options.outputs or Path("outputs") / series.name)
    print("\n\n".join(filter(None, (series.table(), series.spread()))))


if __name__ == "__main__":
    main()
