"""Runs a command and ends its process: with an exit code, and with one line about an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.exceptions import Exit, TyperException

from modeling_docre.graphs.printable import printable

SUCCESS, FAILURE, USAGE = 0, 1, 2
INTERRUPTED, CLOSED_PIPE = 130, 141  # as shells report SIGINT and SIGPIPE

# Errors whose message is enough; of others the class and the way to a traceback are shown, too.
_SELF_EXPLAINING = (OSError, ValueError, ImportError)

Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|NAME",
        help="Least score of a relation, from 0 to 1, instead of the model's own, or one of the model's names: "
        "precise, balanced, everything.",
    ),
]
"""The option of a least score or its name."""


class Dtypes(StrEnum):
    """What a model computes in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Backends(StrEnum):
    """What an encoder runs in."""

    TORCH = "torch"
    ONNX = "onnx"
    ONNX_INT8 = "onnx-int8"


Dtype = Annotated[
    Dtypes | None,
    typer.Option(help="What the model computes in, by default float32; bfloat16 where the processor or GPU has it."),
]
"""The option of a data type."""

Backend = Annotated[
    Backends | None,
    typer.Option(help="What the encoder runs in, by default torch; the others need an encoder from docre export."),
]
"""The option of a backend."""


class UsageError(TyperException):
    """A command was called wrongly."""

    exit_code = USAGE


def check_probability(option: str, value: float | None) -> None:
    """Check that an option is from 0 to 1, or absent.

    Raises:
        UsageError: the option is outside.
    """
    if value is not None and not 0 <= value <= 1:
        raise UsageError(f"{option} is {value}; give a number from 0 to 1")


def run(command: Any, arguments: Sequence[str]) -> int:
    """Run a command and return the exit code of the process.

    Args:
        command: the command line from `typer.main.get_command`, with the option `debug`.
        arguments: the words after the program's name.

    Raises:
        Exception: the command's error, with `--debug` only.
        SystemExit: the command ends the process itself after its own message.
    """
    debug = False
    for stream in (sys.stdout, sys.stderr):
        _use_utf8(stream)
    try:
        with command.make_context("docre", list(arguments)) as context:
            debug = context.params["debug"]
            command.invoke(context)
        sys.stdout.flush()
        return SUCCESS
    except Exit as ending:
        return ending.exit_code
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Otherwise Python fails again at exit, when it flushes the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except TyperException as error:
        complain(f"{error.format_message().rstrip('.')}{_help_hint(error)}")
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        complain(describe(error))
        return FAILURE


def describe(error: Exception) -> str:
    """An error in one line."""
    if type(error).__name__.startswith("StrictDataclass") and isinstance(error.__cause__, ValueError):
        return str(error.__cause__)  # the check of an option, without the name of the function that checks
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, _SELF_EXPLAINING) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (docre --debug COMMAND shows where)"


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Hide the progress bars of transformers, which would flash up at every load and save."""
    from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    enabled = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            enable_progress_bar()


def complain(message: str) -> None:
    """Say in one line on standard error what is wrong."""
    print(f"docre: {printable(message)}", file=sys.stderr)


def _help_hint(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"; see {context.command_path} --help" if context else ""


def _use_utf8(stream: Any) -> None:
    """Write UTF-8 to files and pipes; a terminal keeps its encoding and shows other characters as escapes."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(**({"errors": "backslashreplace"} if stream.isatty() else {"encoding": "utf-8"}))


def threshold_of(threshold: str | None) -> float | str | None:
    """A threshold as a number; a name stays, for the model to look up."""
    try:
        value = float(threshold or "")
    except ValueError:
        return threshold
    check_probability("--threshold", value)
    return value
