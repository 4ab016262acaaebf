"""The command line as a whole: its help, how soon it answers, and how it hands arguments on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import fails, works

import modeling_docre
import modeling_docre.training.run

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = ("extract", "train", "evaluate", "label", "report", "push", "card", "install-metric", "recipes")


def test_help_names_the_commands_and_each_has_an_example(capsys):
    listed = works(capsys, "--help")
    assert works(capsys) == listed, "help is what docre says where it is asked nothing"
    for name in COMMANDS:
        assert re.search(rf"^  {name}  +\S.*[^.]\.$", listed, re.MULTILINE), "a sentence that fits on the line"
        if name != "train":  # which has the help of the training run
            shown = works(capsys, name, "--help")
            assert f"  docre {name} " in f"{shown} " or f"  docre {name}\n" in shown
            assert "╭" not in shown
    assert works(capsys, "--version") == f"modeling-docre {modeling_docre.__version__}\n"


def test_what_needs_no_model_loads_neither_torch_nor_transformers(tmp_path):
    script = tmp_path / "docre"
    script.write_text("from modeling_docre.__main__ import main\nmain()\n", encoding="utf-8")
    for called, said in (
        (["-m", "modeling_docre", "extract", "--help"], "Usage: docre extract"),
        ([str(script), "extract", "--help"], "Usage: docre extract"),
        ([str(script), "recipes"], "jerex_sample"),
    ):
        command = [sys.executable, "-X", "importtime", *called]
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", env={"PYTHONPATH": str(REPOSITORY)}
        )
        assert done.returncode == 0 and said in done.stdout
        assert "modeling_docre.commands.app" in done.stderr
        assert not re.search(r"\| +(torch|transformers|spacy|datasets)$", done.stderr, re.MULTILINE)


@pytest.mark.slow
def test_public_names_are_there_for_a_command_too(tmp_path):
    script = tmp_path / "docre"
    script.write_text(
        "import sys, modeling_docre\n"
        "assert 'torch' not in sys.modules and not hasattr(modeling_docre, 'nothing')\n"
        "assert all(hasattr(modeling_docre, name) for name in modeling_docre.__all__)\n"
        "from transformers import AutoConfig\n"
        "print(type(AutoConfig.for_model('docre-jerex')).__name__)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, encoding="utf-8", env={"PYTHONPATH": str(REPOSITORY)}
    )
    assert done.stdout == "JerexConfig\n", done.stderr


def test_train_hands_its_arguments_on_untouched(capsys, monkeypatch):
    given: list[list[str]] = []
    monkeypatch.setattr(modeling_docre.training.run, "main", given.append)
    for arguments in (["jerex_sample", "--max_steps", "2", "--tune=true"], ["--help"], ["--debug", "x", "--folds"], []):
        works(capsys, "train", *arguments)
        assert given.pop() == arguments


def test_errors_of_use_are_one_line(capsys):
    for arguments, message in (
        (["nonsense"], "nonsense"),
        (["extract", "--modl", "x"], "--modl"),
        (["extract", "text", "--format", "xml"], "xml"),
        (["push", "folder"], "REPOSITORY"),
        (["--nonsense"], "--nonsense"),
    ):
        fails(capsys, message, *arguments, code=2)


def test_recipes_are_listed_with_what_they_are_for(capsys):
    lines = works(capsys, "recipes").splitlines()
    assert len(lines) == len(list((REPOSITORY / "recipes").glob("*.yaml")))
    assert any(re.match(r"jerex_sample +A small joint JEREX", line) for line in lines)


@pytest.mark.parametrize("debug", [False, True])
def test_a_traceback_is_for_those_who_ask(capsys, monkeypatch, debug):
    def break_down(arguments: list[str]) -> None:
        raise RuntimeError("no memory\nleft \x1b[31m")

    monkeypatch.setattr(modeling_docre.training.run, "main", break_down)
    if debug:
        with pytest.raises(RuntimeError, match="no memory"):
            works(capsys, "--debug", "train")
    else:
        fails(capsys, "docre: RuntimeError: no memory left \ufffd[31m (docre --debug COMMAND shows where)", "train")
