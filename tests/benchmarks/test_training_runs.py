"""The series of training runs: commands that train.py understands, rows that are kept, runs that go on."""

from __future__ import annotations

import json
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import training_runs
from benchmarks.training_runs import Run, Series, parts

REPOSITORY = Path(__file__).resolve().parents[2]
SERIES = {
    path.stem: import_module(f"benchmarks.{path.stem}").SERIES
    for path in sorted((REPOSITORY / "benchmarks").glob("train_*.py"))
}
each_series = pytest.mark.parametrize("series", SERIES.values(), ids=SERIES)


@each_series
def test_each_run_is_a_command_of_its_own(series: Series) -> None:
    assert series.name in SERIES and series.runs
    for name, run in series.runs.items():
        recipe = REPOSITORY / "recipes" / f"{run.recipe}.yaml"
        flags = ["--data_dir", "data", "--output_dir", "outputs", *run.options.split()]
        _, data, training, _ = run.parse_arguments([str(recipe), *flags])
        assert training.output_dir == "outputs" and data.data_dir == "data", name
    assert len({(run.recipe, run.options) for run in series.runs.values()}) == len(series.runs)


@each_series
def test_each_kept_row_is_of_a_run_as_it_is_now(series: Series) -> None:
    rows = series.finished()
    for name, row in rows.items():
        run = series.runs[name]
        assert (row.get("recipe", run.recipe), row["options"]) == (run.recipe, run.options), name
        assert {*series.scores, *series.settings} <= row.keys()
    assert len(series.table().splitlines()) == 2 + len(rows)


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Series:
    monkeypatch.setattr(training_runs, "HERE", tmp_path / "benchmarks")
    runs = {"first": Run("jerex", "--seed 1", "corpus"), "second": Run("jerex", "--seed 2", "corpus")}
    return Series("train_it", runs, parts("relation"), {"relation": parts("relation")}, ("reading", "other"))


def test_rows_are_kept_and_runs_go_on(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = []

    def run(command: list[str]) -> None:
        commands.append(command)
        folder = Path(command[command.index("--output_dir") + 1])
        (folder / "validation").mkdir(parents=True, exist_ok=True)
        scores = {"relation_f1": 0.25, "relation_precision": 0.5, "relation_recall": 1 / 6, "thresholds": {}}
        told = {"predict_samples_per_second": 2.0, "predict_peak_memory_mib": 1234}
        (folder / "validation" / "scores.json").write_text(json.dumps({**scores, **told}))
        told = {"train_runtime": 30.0, "train_peak_memory_mib": 1000}
        (folder / "train_results.json").write_text(json.dumps(told))
        (folder / "config.json").write_text(json.dumps({"reading": True}))

    monkeypatch.setattr(training_runs, "_run", run)
    (tmp_path / "outputs" / "second" / "checkpoint-7").mkdir(parents=True)
    arguments = ["--data_dir", str(tmp_path / "data"), "--outputs", str(tmp_path / "outputs")]
    series.main("", [*arguments, "--only", "first"])
    series.main("", arguments)
    assert len(commands) == 2, "a finished run is not repeated"
    assert [command[command.index("--data_dir") + 1] for command in commands] == [str(tmp_path / "data" / "corpus")] * 2
    assert "--resume_from_checkpoint" not in commands[0] and commands[1][-2:] == ["--resume_from_checkpoint", "last"]
    assert [(row["run"], row["resumed"]) for row in series.finished().values()] == [("first", False), ("second", True)]
    table = capsys.readouterr().out.splitlines()
    assert table[-1].startswith("| second | 25.0 (50.0 / 16.7) | true | null | > 0.0 | 2.0 | ") and table[-1].endswith(
        " 1234 |"
    )
    series.results.write_text("\n".join(reversed(series.results.read_text().splitlines())))
    assert list(series.finished()) == ["first", "second"], "the order of the runs, whichever ended first"


def test_a_run_goes_on_from_another_one_that_begins_alike(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series.runs["second"] = Run("jerex", "--seed 2", "corpus", "first/checkpoint-7")
    commands: list[list[str]] = []

    class Stopped(Exception):
        pass

    def run(command: list[str]) -> None:
        commands.append(command)
        raise Stopped

    monkeypatch.setattr(training_runs, "_run", run)
    outputs = tmp_path / "outputs"
    shared, own = outputs / "first" / "checkpoint-7", outputs / "second" / "checkpoint-9"
    flag = "--resume_from_checkpoint"
    for made, resumed in ((None, []), (shared, [flag, str(shared)]), (own, [flag, "last"])):
        if made:
            made.mkdir(parents=True)
            (made / "trainer_state.json").touch()
        with pytest.raises(Stopped):
            series.train("second", tmp_path, outputs)
        assert commands[-1][commands[-1].index("--output_dir") + 2 :] == resumed


def test_shared_beginnings_are_those_of_runs_of_the_series() -> None:
    """On CDR 1,500 of 3,000 updates, before the first one that reads; nothing else differs but what is kept."""
    runs = SERIES["train_memory_jerex"].runs
    begun = {name: run.begins_with for name, run in runs.items() if run.begins_with}
    assert list(begun) == [name for name in runs if name.startswith("cdr-") and "-memory-" in name]
    for name, beginning in begun.items():
        other, checkpoint = beginning.split("/")
        first, second = (
            run.parse_arguments([str(REPOSITORY / "recipes" / f"{run.recipe}.yaml"), *run.options.split()])
            for run in (runs[other], runs[name])
        )
        assert checkpoint == "checkpoint-1500" and second[2].memory_warmup_ratio == 0.5
        assert (first[0], first[1], first[3]) == (second[0], second[1], second[3])
        settings = second[2].to_dict()
        apart = {key for key, value in first[2].to_dict().items() if value != settings[key]}
        assert apart == {"memory_warmup_ratio", "save_total_limit"}


def test_seeds_have_a_mean_and_a_deviation(series: Series) -> None:
    series.results.parent.mkdir(parents=True)
    scores = {"first-seed1": 0.25, "first-seed2": 0.27, "other-seed1": 0.5, "first-seed13": 0.29}
    rows = [{"run": name, "relation_f1": value} for name, value in scores.items()]
    series.runs.update({name: Run("jerex", f"--seed {name}", "corpus") for name in scores})
    series.results.write_text("\n".join(map(json.dumps, rows)))
    assert series.spread().splitlines()[2:] == ["| first | 3 | 27.0 ± 2.0 |"]
    series.results.write_text(json.dumps(rows[0]))
    assert not series.spread()


def test_a_run_that_fails_leaves_no_row(series: Series, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):  # there is no such recipe
        series.main("", ["--data_dir", str(tmp_path), "--outputs", str(tmp_path / "outputs")])
    assert not series.results.exists()
