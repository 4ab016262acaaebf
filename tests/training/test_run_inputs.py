"""Inputs that a run cannot use, or only in part: one clear message each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from samples import ANNA
from training import FIVE, write_jsonl

from modeling_docre import write_docred
from modeling_docre.training import run
from modeling_docre.training.warm_start import warn_of_unseen_types


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    write_docred(FIVE, tmp_path / "train.json")
    return ["--train_file", str(tmp_path / "train.json"), "--eval_strategy", "no", "--load_best_model_at_end", "false"]


def fails(arguments: list[str], message: str, kind: type[BaseException] = OSError) -> None:
    with pytest.raises(kind) as caught:
        run.main(arguments)
    assert message in str(caught.value)


def test_an_encoder_that_is_not_there_is_named(tmp_path: Path, files: list[str]) -> None:
    options = [*files, "--output_dir", str(tmp_path / "out"), "--encoder"]
    fails([*options, "nobody/no-such-encoder"], "the encoder nobody/no-such-encoder cannot be loaded")
    fails([*options, str(tmp_path)], f"{tmp_path} holds no config.json; name the folder of a saved")
    fails([*options, "no such encoder"], "the encoder no such encoder does not exist")


def test_a_file_is_no_output_folder(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "notes").write_text("mine", encoding="utf-8")
    for folder in (tmp_path / "notes", tmp_path / "notes" / "run"):
        message = f"--output_dir is {folder}, and {tmp_path / 'notes'} is a file; name a folder"
        fails([*files, "--output_dir", str(folder)], message, NotADirectoryError)
    assert (tmp_path / "notes").read_text(encoding="utf-8") == "mine"


def test_documents_without_relations_teach_none(tmp_path: Path) -> None:
    bare = write_jsonl(tmp_path / "bare.jsonl", [replace(document, relations=()) for document in FIVE])
    options = ["--train_file", bare, "--output_dir", str(tmp_path / "out"), "--eval_strategy", "no"]
    for system in ("jerex", "atlop"):
        with pytest.raises(
            ValueError, match=r"no document has a relation, so there is none to learn; .* --task mention"
        ):
            run.main([*options, "--load_best_model_at_end", "false", "--encoder", str(tmp_path), "--system", system])


def test_types_that_only_the_scored_documents_have_are_named(caplog: pytest.LogCaptureFixture) -> None:
    train = [replace(ANNA, relations=tuple(item for item in ANNA.relations if item.type != "born"))]
    assert len(train[0].relations) < len(ANNA.relations)
    warn_of_unseen_types(train, [ANNA])
    [message] = caplog.messages
    assert message.startswith("no training document has the relation types 'born' of the documents that the model is")
    caplog.clear()
    warn_of_unseen_types([ANNA], train)
    assert not caplog.messages, "all that is scored can be learned"
