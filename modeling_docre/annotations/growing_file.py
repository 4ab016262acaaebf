"""A file of documents that grows one by one, resumes after an interruption, and appears only when it is complete."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import AcquireReturnProxy, FileLock, Timeout

from .records import iter_records

ENDINGS = (".jsonl", ".jsonl.gz")
UNFINISHED, SETTINGS = ".partial", ".settings.json"
"""What is added to a file's name for the files that a run keeps for itself."""


class GrowingFile:
    """Collects documents for a file, one per line.

    `<file>.partial` holds the finished documents until the last one is written; only then does the file appear.
    `<file>.settings.json` records how the documents are made, so that no file mixes two sets of settings.

    Args:
        path: the file, `.jsonl` or `.jsonl.gz`.

    Raises:
        ValueError: the path has another ending, or the file exists without a record of how it was made.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not self.path.name.endswith(ENDINGS):
            raise ValueError(f"{path} must hold one document per line; end its name in {' or '.join(ENDINGS)}")
        self.partial = self.path.with_name(f"{self.path.name}{UNFINISHED}")
        self.settings_path = self.path.with_name(f"{self.path.name}{SETTINGS}")
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=0)
        self.settings: dict[str, Any] | None = None
        if self.settings_path.is_file():
            self.settings = _recorded(self.settings_path, self.path)
        elif self.path.exists() or self.partial.exists():
            raise ValueError(f"{path} exists, but no {self.settings_path.name} says how it was made; name another file")

    def begin(self, settings: Mapping[str, Any]) -> set[str]:
        """Record how the documents are made, and return the ids of the finished ones.

        Until the file is finished or this process ends, no other run can begin it.

        Raises:
            ValueError: the file was begun with other settings or is damaged, or another run is writing it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        record_settings(self.settings_path, settings, self.path, [self.partial])
        acquired(self._lock, self.path)
        self.settings = dict(settings)
        if self.path.exists():
            return {record["id"] for record in iter_records(self.path)}
        return self._finished()

    def _finished(self) -> set[str]:
        """The ids in the partial file, after removing a last line that a killed process left incomplete."""
        ids: set[str] = set()
        if not self.partial.exists():
            return ids
        end = 0
        with self.partial.open("rb") as handle:
            for number, line in enumerate(handle, 1):
                if line.endswith(b"\n"):
                    ids.add(self._id_of(line, number))
                    end += len(line)
        os.truncate(self.partial, end)
        return ids

    def _id_of(self, line: bytes, number: int) -> str:
        try:
            return json.loads(line)["id"]
        except (ValueError, TypeError, KeyError) as error:
            fix = "delete the line, and its document is made again"
            raise ValueError(f"line {number} of {self.partial} holds no document; {fix}") from error

    def append(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Append documents in their dict form; when this returns, they are on the disk.

        A file that was complete becomes a partial one again.
        """
        if self.path.exists():
            self._reopen()
        lines = (json.dumps(document, ensure_ascii=False) for document in documents)
        with self.partial.open("ab") as handle:
            handle.write("".join(f"{line}\n" for line in lines).encode())
            handle.flush()
            os.fsync(handle.fileno())

    def _reopen(self) -> None:
        if self.path.suffix != ".gz":
            os.replace(self.path, self.partial)
            return
        with gzip.open(self.path) as source, self.partial.open("wb") as target:
            shutil.copyfileobj(source, target)
        self.path.unlink()

    def finish(self) -> None:
        """Move the finished documents into the file, unless it exists already, and let other runs begin it."""
        if not self.path.exists():
            self._complete()
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _complete(self) -> None:
        self.partial.touch()
        if self.path.suffix != ".gz":
            os.replace(self.partial, self.path)
            return
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            # A fixed time stamp makes equal documents give equal files.
            with (
                self.partial.open("rb") as source,
                draft.open("wb") as target,
                gzip.GzipFile("", "wb", fileobj=target, mtime=0) as compressed,
            ):
                shutil.copyfileobj(source, compressed)
            os.replace(draft, self.path)
        finally:
            draft.unlink(missing_ok=True)
        self.partial.unlink()


def acquired(lock: FileLock, result: Path) -> AcquireReturnProxy:
    """The lock of a result, taken; as a context manager it is released with the block.

    Raises:
        ValueError: another run holds it, and so is writing the result.
    """
    try:
        return lock.acquire()
    except Timeout as error:
        raise ValueError(f"another run is writing {result}; wait until it ends, or name another place") from error


def record_settings(file: Path, settings: Mapping[str, Any], result: Path, others: Sequence[Path] = ()) -> None:
    """Record how a result is made, or check that it goes on as it was begun.

    Args:
        file: holds the record.
        settings: values of JSON by name.
        result: what messages name, and say to delete with `others` and the record to begin anew.

    Raises:
        ValueError: the result was begun with other settings.
    """
    content = json.dumps(dict(settings), ensure_ascii=False, indent=1)
    if not file.is_file():
        _write_whole(file, content.encode() + b"\n")
    settings = json.loads(content)  # plain values, as in the record
    known = _recorded(file, result)
    same = {name for name in known.keys() | settings.keys() if known.get(name) == settings.get(name)}
    if "weights" in same and "model" in known:  # a hash of the model, whose name says no more
        same.add("model")
    for name in {**known, **settings}:
        if name not in same:
            began, goes_on = (f"{name} {kept[name]!r}" if name in kept else f"no {name}" for kept in (known, settings))
            names = " and ".join([", ".join(["it", *(path.name for path in others)]), file.name])
            fix = f"name another file, or delete {names}"
            raise ValueError(f"{result} was begun with {began}, and would go on with {goes_on}; {fix}")


def _recorded(file: Path, result: Path) -> dict[str, Any]:
    """How a result was begun."""
    try:
        known = json.loads(file.read_bytes())
    except ValueError:
        known = None
    if not isinstance(known, dict):
        fix = "delete both, or name another place"
        raise ValueError(f"{file} is damaged, so nothing says how {result} was begun; {fix}")
    return known


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(draft, path)
