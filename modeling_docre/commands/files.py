"""Text files that commands read and write; "-" is standard input."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from modeling_docre.hub.files import write_whole


def read_text(file: str | Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; "-" is standard input.

    Raises:
        OSError: it cannot be read.
        ValueError: it is in another encoding.
    """
    content = sys.stdin.buffer.read() if str(file) == "-" else Path(file).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        name = "standard input" if str(file) == "-" else file
        raise ValueError(f"{name} is not in UTF-8 ({error}); save it in that encoding") from error


def check_output(file: str | Path) -> None:
    """See that a file can be written before work is done whose result it shall hold; folders on the way are made.

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
    """Write what a command gives: a text file in UTF-8 that ends with a line break, whole or not at all.

    Folders on the way are made, and a link keeps pointing to its file. What is neither a file nor absent (a device, a
    named pipe) is written to directly.

    Raises:
        OSError: it cannot be written; the error names the file.
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
