"""Text files that commands read and write; "-" is standard input."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from modeling_docre.hub.files import write_whole


def read_text(file: str | Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark; "-" is standard input.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not in UTF-8.
    """
    content = sys.stdin.buffer.read() if str(file) == "-" else Path(file).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        name = "standard input" if str(file) == "-" else file
        raise ValueError(f"{name} is not in UTF-8 ({error}); save it in that encoding") from error


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
