"""The series of training runs: commands that train.py understands, rows that are kept, runs that go on."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import train_series
from benchmarks.train_series import Run, Series, read_series, series_names
from modeling_docre.training.run import parse_arguments

REPOSITORY = Path(__file__).resolve().parents[2]
SERIES = {name: read_series(name) for name in series_names()}
LEVEL = {"relation": ("relation_f1", "relation_precision", "relation_recall")}


def as_pairs(options: str) -> dict[str, str]:
    """Flags and their values, whose order does not matter."""
    words = options.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def test_each_run_is_a_command_of_its_own() -> None:
    for series in SERIES.values():
        for name, run in series.runs.items():
            recipe = REPOSITORY / "recipes" / f"{run.recipe}.yaml"
            flags = ["--data_dir", "data", "--output_dir", "outputs", *run.options.split()]
            _, data, training, _ = parse_arguments([str(recipe), *flags])
            assert training.output_dir == "outputs" and data.data_dir == "data", name
        commands = {(run.recipe, frozenset(as_pairs(run.options).items())) for run in series.runs.values()}
        assert len(commands) == len(series.runs) > 0, series.name


def test_each_kept_row_is_of_a_run_as_it_is_now() -> None:
    assert sorted(path.stem for path in (REPOSITORY / "benchmarks" / "results").glob("train_*.jsonl")) == sorted(
        series.name for series in SERIES.values()
    )
    for series in SERIES.values():
        rows = series.finished()
        for name, row in rows.items():
            run = series.runs[name]
            assert (row.get("recipe", run.recipe), as_pairs(row["options"])) == (run.recipe, as_pairs(run.options)), (
                name
            )
            assert {*series.kept_scores, *series.settings} <= row.keys(), name
        assert len(series.table().splitlines()) == 2 + len(rows)


def test_each_table_stands_on_a_page() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "benchmarks").rglob("*.md")]
    for series in SERIES.values():
        for line in series.table().splitlines()[2:]:
            assert any(f"{line}\n" in page for page in pages), line


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Series:
    monkeypatch.setattr(train_series, "HERE", tmp_path / "benchmarks")
    runs = {"first": Run("jerex", "corpus", "--seed 1"), "second": Run("jerex", "corpus", "--seed 2")}
    return Series("train_it", runs, LEVEL, settings=("reading", "other"))


def test_rows_are_kept_and_runs_go_on(
    series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = []

    def run(command: list[str]) -> None:
        commands.append(command)
        folder = Path(command[command.index("--output_dir") + 1])
        (folder / "validation").mkdir(parents=True, exist_ok=True)
        scores = {"relation_f1": 0.25, "relation_precision": 0.5, "relation_recall": 1 / 6, "thresholds": {}}
        speed = {"predict_samples_per_second": 2.0, "predict_peak_memory_mib": 1234}
        (folder / "validation" / "scores.json").write_text(json.dumps({**scores, **speed}))
        trained = {"train_runtime": 30.0, "train_peak_memory_mib": 1000}
        (folder / "train_results.json").write_text(json.dumps(trained))
        (folder / "config.json").write_text(json.dumps({"reading": True}))

    monkeypatch.setattr(train_series, "_run", run)
    (tmp_path / "outputs" / "second" / "checkpoint-7").mkdir(parents=True)
    monkeypatch.setattr(train_series, "series_names", lambda: ["it"])
    monkeypatch.setattr(train_series, "read_series", lambda _: series)
    arguments = ["it", "--data_dir", str(tmp_path / "data"), "--outputs", str(tmp_path / "outputs")]
    train_series.main([*arguments, "--only", "first"])
    train_series.main(arguments)
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
    series.runs["second"] = Run("jerex", "corpus", "--seed 2", "first/checkpoint-7")
    commands: list[list[str]] = []

    class Stopped(Exception):
        pass

    def run(command: list[str]) -> None:
        commands.append(command)
        raise Stopped

    monkeypatch.setattr(train_series, "_run", run)
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
    runs = SERIES["memory_jerex"].runs
    begun = {name: run.begins_with for name, run in runs.items() if run.begins_with}
    assert list(begun) == [name for name in runs if name.startswith("cdr-") and "-memory-" in name]
    for name, beginning in begun.items():
        other, checkpoint = beginning.split("/")
        first, second = (
            parse_arguments([str(REPOSITORY / "recipes" / f"{run.recipe}.yaml"), *run.options.split()])
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
    series.runs.update({name: Run("jerex", "corpus", f"--seed {name}") for name in scores})
    series.results.write_text("\n".join(map(json.dumps, rows)))
    assert series.spread().splitlines()[2:] == ["| first | 3 | 27.0 ± 2.0 |"]
    series.results.write_text(json.dumps(rows[0]))
    assert not series.spread()


def test_a_run_that_fails_leaves_no_row(series: Series, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):  # there is no such recipe
        series.train_missing(["first"], tmp_path, tmp_path / "outputs")
    assert not series.results.exists()


FILE = """
columns: {F1: [relation_f1]}
groups:
  - recipe: jerex
    corpus: documents
    options: {bf16: true, num_train_epochs: 6}
    runs: {first: {seed: 1}, 10: {seed: 1, num_train_epochs: 10}}
    begins_with: {10: first/checkpoint-3}
"""


def write_series(folder: Path, text: str) -> None:
    (folder / "series").mkdir(exist_ok=True)
    (folder / "series" / "own.yaml").write_text(text, encoding="utf-8")


def test_a_file_is_read_with_its_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_series, "HERE", tmp_path)
    write_series(tmp_path, FILE)
    assert series_names() == ["own"]
    first = Run("jerex", "documents", "--bf16 true --num_train_epochs 6 --seed 1")
    second = Run("jerex", "documents", "--bf16 true --num_train_epochs 10 --seed 1", "first/checkpoint-3")
    assert read_series("own") == Series("train_own", {"first": first, "10": second}, {"F1": ["relation_f1"]})


def test_a_file_in_another_form_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_series, "HERE", tmp_path)
    twice = FILE + FILE.partition("groups:\n")[2]
    broken = {"'titles'": FILE + "titles: []", "'folder'": FILE.replace("corpus:", "folder:"), "two runs": twice}
    for message, text in {**broken, "'groups'": "columns: {}"}.items():
        write_series(tmp_path, text)
        with pytest.raises(ValueError, match=message) as caught:
            read_series("own")
        assert "own.yaml" in str(caught.value)


def test_wrong_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {"no run '7'": ["--only", "7"], "--data_dir is missing": [], "invalid choice: 'bert'": None}
    for message, flags in wrong.items():
        with pytest.raises(SystemExit):
            train_series.main(["bert"] if flags is None else ["atlop", *flags])
        assert message in capsys.readouterr().err
    train_series.main(["atlop", "--only"])
    assert capsys.readouterr().out.startswith(SERIES["atlop"].table())
