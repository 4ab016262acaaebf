"""Cross-validation: which folds there are, that each is trained once, and what is reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modeling_docre.training import cross_validation, run


def test_folds_are_those_of_the_corpus():
    assert cross_validation.folds_of("ade") == [f"fold_{number}" for number in range(10)]
    with pytest.raises(ValueError, match="--corpus conll04 has no folds; corpora with folds: ade"):
        cross_validation.folds_of("conll04")
    with pytest.raises(ValueError, match="--folds needs a --corpus; corpora with folds: ade"):
        cross_validation.folds_of(None)


def test_mean_and_sample_standard_deviation():
    names = [f"{level}_{part}" for level in cross_validation.LEVELS for part in cross_validation.PARTS]
    summary = cross_validation.summarise({"a": dict.fromkeys(names, 0.5), "b": dict.fromkeys(names, 0.7)})
    assert summary["macro_relation_f1"]["mean"] == pytest.approx(0.6)
    assert summary["macro_relation_f1"]["standard_deviation"] == pytest.approx(0.02**0.5)
    assert "60.00 ± 14.14" in cross_validation.table(summary)
    assert cross_validation.summarise({"a": dict.fromkeys(names, 0.5)})["entity_f1"]["standard_deviation"] == 0.0


def test_each_fold_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    names = [f"{level}_{part}" for level in cross_validation.LEVELS for part in cross_validation.PARTS]
    commands: list[list[str]] = []

    def finish(command: list[str], check: bool) -> None:
        commands.append(command)
        folder = Path(command[command.index("--output_dir", command.index("--corpus_config")) + 1]) / "test"
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps(dict.fromkeys(names, len(commands) / 10)))

    monkeypatch.setattr(cross_validation.subprocess, "run", finish)
    arguments = ["spert_ade", "--folds", "--data_dir", "x", "--output_dir", str(tmp_path)]
    run.main(arguments)
    assert [command[command.index("--corpus_config") + 1] for command in commands] == cross_validation.folds_of("ade")
    assert all(command[3:9] == arguments for command in commands)
    assert not any(run.parse_arguments(command[3:])[1].folds for command in commands)
    assert json.loads((tmp_path / "folds.json").read_text())["summary"]["relation_f1"]["mean"] == pytest.approx(0.55)
    assert "10 folds, mean ± standard deviation" in caplog.text
    run.main(arguments)
    assert len(commands) == 10, "what is finished is not done again"
    with pytest.raises(ValueError, match=r"fold_0 holds a fold made with .*another --output_dir"):
        run.main([*arguments, "--no_overlap", "true"])


def test_a_fold_without_test_scores_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cross_validation.subprocess, "run", lambda command, check: None)
    with pytest.raises(FileNotFoundError, match="--test_split"):
        cross_validation.run_fold("fold_0", [], tmp_path)
