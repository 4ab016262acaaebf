"""How the process of a command ends: with an exit code, and with one line where something went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from typer.exceptions import Exit, TyperException

from modeling_docre.graphs.printable import printable

SUCCESS, FAILURE, USAGE = 0, 1, 2
INTERRUPTED, CLOSED_PIPE = 130, 141  # as shells report SIGINT and SIGPIPE

# Errors whose message says all; others get their name and the way to see where they arose.
_SPEAKING = (OSError, ValueError, ImportError)


class UsageError(TyperException):
    """A command was called in a wrong way."""

    exit_code = USAGE


def check_probability(option: str, value: float | None) -> None:
    """See that an option that was given is from 0 to 1.

    Raises:
        UsageError: it is not.
    """
    if value is not None and not 0 <= value <= 1:
        raise UsageError(f"{option} is {value}; give a number from 0 to 1")


def run(command: Any, arguments: Sequence[str]) -> int:
    """Run a command and return the exit code of the process.

    Args:
        command: the command line as `typer.main.get_command` gives it, with the option `debug`.
        arguments: the words behind the program's name.

    Raises:
        Exception: what went wrong, with `--debug` only.
        SystemExit: the command ends the process itself, after a message of its own.
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
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # What is still in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except TyperException as error:
        _complain(f"{error.format_message().rstrip('.')}{_where_to_look(error)}")
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        _complain(describe(error))
        return FAILURE


def describe(error: Exception) -> str:
    """What went wrong, for one line."""
    if type(error).__name__.startswith("StrictDataclass") and isinstance(error.__cause__, ValueError):
        return str(error.__cause__)  # the check of an option, without the name of the function that checks
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, _SPEAKING) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (docre --debug COMMAND shows where)"


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keep the bars of transformers, which loading and saving draw even for an instant, off the screen."""
    from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    enabled = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            enable_progress_bar()


def _complain(message: str) -> None:
    print(f"docre: {printable(message)}", file=sys.stderr)


def _where_to_look(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"; see {context.command_path} --help" if context else ""


def _use_utf8(stream: Any) -> None:
    """Let files and pipes be UTF-8; a terminal keeps its encoding and shows what it lacks as escapes."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(**({"errors": "backslashreplace"} if stream.isatty() else {"encoding": "utf-8"}))
