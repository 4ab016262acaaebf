"""Writes files atomically: after a failure the former file is still there, never a part of the new one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError

# On a full disk torch's writer only says "unexpected pos" and leaves a partial file.
_TORCH_WRITER = ("PytorchStreamWriter", "inline_container")
_NEARLY_NOTHING = 2**20


def write_whole(file: str | Path, content: str | bytes) -> None:
    """Write a file completely or not at all, replacing a former file or link; missing folders are made.

    Args:
        file: the file.
        content: bytes, or text that is written in UTF-8.

    Raises:
        OSError: the file cannot be written; the error names it, and the former file is untouched.
    """
    target = Path(file)
    with full_disk_named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".writing-") as folder:
            draft = Path(folder) / target.name
            draft.write_bytes(content.encode() if isinstance(content, str) else content)
            os.replace(draft, target)


@contextmanager
def replacing_files(target: Path, stale: Sequence[str], last: str) -> Iterator[Path]:
    """Yield an empty folder to write into; if the block succeeds, its files move into the target folder.

    Args:
        target: the target folder; made if it does not exist.
        stale: patterns of files in the target folder that are removed before the new ones move in.
        last: name of the file that moves last, because the others are useless without it.

    Raises:
        OSError: a file cannot be written; the target folder is untouched.
    """
    with full_disk_named(target):
        target.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target, prefix=".writing-") as name:
            draft = Path(name)
            yield draft
            for old in [file for pattern in stale for file in target.glob(pattern)]:
                old.unlink()
            files = [file for file in draft.rglob("*") if file.is_file()]
            for file in sorted(files, key=lambda file: file.name == last):
                destination = target / file.relative_to(draft)
                destination.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, destination)


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Turn any library's error about a full disk into one `OSError` that names the path.

    Args:
        path: the file or folder that is written.

    Raises:
        OSError: the disk is full; other errors of the block are raised unchanged.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _means_full_disk(error, path) or getattr(error, "filename", None) == str(path):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _means_full_disk(error: Exception, path: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    text = str(error)
    if os.strerror(errno.ENOSPC) in text:
        return True
    if not any(name in text for name in _TORCH_WRITER):
        return False
    folder = path if path.is_dir() else path.parent
    return shutil.disk_usage(folder).free < _NEARLY_NOTHING
