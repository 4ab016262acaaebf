"""Text files that commands write."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from modeling_docre.hub.files import write_whole

from .process import UsageError


def check_output(file: str | Path) -> None:
    """Check that a file can be written, before the work whose result it will hold; missing folders are made.

    Raises:
        OSError: it cannot; the error names the file.
    """
    target = Path(os.path.realpath(file))
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if target.exists() and not target.is_file():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(file)) from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
    if not os.access(target.parent, os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(file))


def check_not_read(option: str, file: Path, inputs: Iterable[str]) -> None:
    """Check that an output is none of the inputs.

    Raises:
        UsageError: it is one of them.
    """
    if file.exists() and any(os.path.exists(name) and file.samefile(name) for name in inputs):
        raise UsageError(f"{option} {file} is what is read; give another name")


def write_output(file: str | Path, content: str) -> None:
    """Write a command's result as a UTF-8 text file with a final line break, completely or not at all.

    Missing folders are made, and a link keeps pointing to its file. Devices and named pipes are written directly.

    Raises:
        OSError: the file cannot be written; the error names it.
    """
    target = Path(os.path.realpath(file))
    try:
        if target.exists() and not target.is_file():
            target.write_text(f"{content}\n", encoding="utf-8")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, f"{content}\n")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
