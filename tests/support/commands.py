"""Runs commands of `docre` in this process, as a shell would, and looks at how they end."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from modeling_docre.commands.app import main


class Ended(NamedTuple):
    """What a command left: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def docre(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ended:
    """Run a command."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return Ended(left.value.code or 0, *capsys.readouterr())


def works(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that has to succeed and return what it prints."""
    ended = docre(capsys, *arguments)
    assert ended.code == 0, ended.err
    return ended.out


def fails(capsys: pytest.CaptureFixture[str], message: str, *arguments: object, code: int = 1) -> None:
    """Run a command that has to fail with one line that holds the message."""
    ended = docre(capsys, *arguments)
    assert ended.code == code and ended.err.startswith("docre: ") and ended.err.count("\n") == 1, ended
    assert message in ended.err
