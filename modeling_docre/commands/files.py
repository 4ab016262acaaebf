"""Reads text files and writes them whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


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


def write_whole(file: str | Path, content: str) -> None:
    """Write a text file in UTF-8 and end it with a line break; after an error the former file is untouched.

    Folders on the way are made. What is neither a file nor absent (a device, a named pipe) is written to directly.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    target = Path(os.path.realpath(file))  # a link keeps pointing to its file
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        if target.exists() and not target.is_file():
            target.write_text(f"{content}\n", encoding="utf-8")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_through(draft, f"{content}\n")
        if target.exists():
            shutil.copymode(target, draft)
        os.replace(draft, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
    finally:
        draft.unlink(missing_ok=True)


def _write_through(file: Path, content: str) -> None:
    """Write a file and see that the disk has it, since a full one may only say so then."""
    with file.open("w", encoding="utf-8") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
