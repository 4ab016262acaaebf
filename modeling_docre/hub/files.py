"""Writes files whole or not at all: whatever happens, what stands there is the former file or the new one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError

# The writer of torch says "unexpected pos" and no more when a disk is full, and leaves what it could write.
_TORCH_WRITER = ("PytorchStreamWriter", "inline_container")
_NEARLY_NOTHING = 2**20


def write_whole(file: str | Path, content: str | bytes) -> None:
    """Write a file in place of a former one or a link, and the folders on the way.

    Args:
        file: the file.
        content: bytes, or text that is written in UTF-8.

    Raises:
        OSError: it cannot be written; the error names the file, and the former one is untouched.
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
    """An empty folder to write into; when the block ends without an error, its files move into the target folder.

    Args:
        target: the folder, made if it is not there.
        stale: patterns of files there that do not belong to the new ones; they are removed before these move.
        last: name of the file without which the others mean nothing; it moves last.

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
                place = target / file.relative_to(draft)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)


@contextmanager
def full_disk_named(place: Path) -> Iterator[None]:
    """Errors of the block that mean a full disk say so, and where, whichever library could not write.

    Args:
        place: the file or folder that is written.

    Raises:
        OSError: the disk is full; any other error of the block stays as it is.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _means_full_disk(error, place) or getattr(error, "filename", None) == str(place):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place)) from error


def _means_full_disk(error: Exception, place: Path) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    text = str(error)
    if os.strerror(errno.ENOSPC) in text:
        return True
    if not any(name in text for name in _TORCH_WRITER):
        return False
    folder = place if place.is_dir() else place.parent
    return shutil.disk_usage(folder).free < _NEARLY_NOTHING
