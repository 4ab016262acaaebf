"""The files of a corpus: found in a local folder, or downloaded and checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from datasets import DownloadManager, StreamingDownloadManager
from datasets.utils.file_utils import xopen

from modeling_docre.annotations.records import iter_records

LABEL_FILES = ("rel_info.json", "types.json")

_INSIDE = "zip://"
"""Prefix of the path of a file inside an archive, `zip://NAME::ARCHIVE`, where NAME may omit leading folders."""


@dataclass(frozen=True)
class Source:
    """One file of a corpus.

    Args:
        url: the download's address; a path for bundled files.
        names: possible names in a local folder, the official one first, each plain or with `.gz`.
        sha256: checksum of the downloaded file, as 64 hexadecimal digits; None means no check.
        archive: name of the zip file at `url`, if the file lies inside one under its official name.
    """

    url: str
    names: tuple[str, ...]
    sha256: str | None = None
    archive: str | None = None

    def find(self, folder: Path) -> Path | None:
        """The file in `folder`, else the archive that holds it, else None."""
        return find_file(folder, self.names) or (find_file(folder, (self.archive,)) if self.archive else None)

    def inside(self, path: str) -> str:
        """The path for `source_lines` and `source_records`: that of the file, or of the file inside an archive."""
        return path if self.archive is None else f"{_INSIDE}{self.names[0]}::{path}"


def find_file(folder: Path, names: Iterable[str]) -> Path | None:
    """The first file in `folder` with one of these names, plain or with `.gz`, or None."""
    candidates = (folder / f"{name}{ending}" for name in names for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def find_json_folder(folder: Path, name: str) -> Path | None:
    """Find the folder or zip file of a corpus that has one JSON file per document, or None.

    Args:
        folder: searched for the subfolders `name` and `data/name`, then for `name.zip`, then for JSON files. It may be
            a zip file itself.
        name: name of the folder in which the corpus is published.
    """
    archives = [path for path in (folder, folder / f"{name}.zip") if path.suffix == ".zip" and path.is_file()]
    folders = [path for path in (folder / name, folder / "data" / name) if json_paths(path)]
    return next(iter([*folders, *archives]), folder if json_paths(folder) else None)


def json_paths(folder: Path) -> list[Path]:
    """The JSON files of a folder, sorted by name, except hidden files and those with relation labels."""
    return sorted(path for path in folder.glob("*.json") if _is_document(path.name))


def json_files(source: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each JSON file in a folder or zip file from `find_json_folder`.

    In a zip file, these are the files in a folder `name` at any depth, or all files if there is no such folder.

    Raises:
        ValueError: the zip file is broken.
    """
    if source.is_dir():
        yield from ((path.name, path.read_bytes()) for path in json_paths(source))
        return
    try:
        with zipfile.ZipFile(source) as archive:
            documents = {member: PurePosixPath(member) for member in archive.namelist() if member.endswith(".json")}
            documents = {member: path for member, path in documents.items() if _is_document(path.name)}
            inside = [member for member, path in documents.items() if name in path.parent.parts]
            for member in inside or documents:
                yield documents[member].name, archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{source} cannot be read to its end ({error}); make or fetch the zip file again") from error


def _is_document(name: str) -> bool:
    return not name.startswith(".") and name not in LABEL_FILES


def local_files(sources: Mapping[str, Source], folder: str, corpus: str) -> dict[str, str]:
    """The path of each split in `folder`; splits without a file are left out.

    Raises:
        FileNotFoundError: the folder has none of the splits.
    """
    paths = {}
    for split, source in sources.items():
        if (path := source.find(Path(folder))) is not None:
            paths[split] = source.inside(str(path)) if path.name == source.archive else str(path)
    if not paths:
        expected = (name for source in sources.values() for name in (*source.names, source.archive) if name)
        names = ", ".join(dict.fromkeys(expected))
        raise FileNotFoundError(f"{corpus}: no file in data_dir {folder!r}; looked for {names} (plain or .gz)")
    return paths


def download(
    sources: Mapping[str, Source], manager: DownloadManager | StreamingDownloadManager, corpus: str
) -> dict[str, str]:
    """Download the file of each split and return its path; with streaming, its URL.

    Checksums are compared after a download; streams are not checked.

    Raises:
        ConnectionError: a file cannot be fetched.
        ValueError: a file has another checksum than its source states.
    """
    paths = {}
    for split, source in sources.items():
        try:
            path = str(manager.download(source.url))
        except OSError as error:
            names = " or ".join(filter(None, (*source.names, source.archive)))
            raise ConnectionError(
                f"{corpus}: cannot download split {split!r} from {source.url} ({error}); "
                f"fetch the file by hand, name it {names} and give its folder as data_dir"
            ) from error
        if source.sha256 is not None and not isinstance(manager, StreamingDownloadManager):
            _check_sum(source, path, corpus)
        paths[split] = source.inside(path)
    return paths


def split_files(
    sources: Mapping[str, Source], files: Mapping[str, str], corpus: str, folder: str | None
) -> dict[str, tuple[str, ...]]:
    """The files of each available split, in the order of `sources`.

    Args:
        sources: by split, or by split and part (`train/abstracts`) if a split has several files.
        files: the available paths by the same keys.
        corpus, folder: name of the corpus and its folder, for messages.

    Raises:
        FileNotFoundError: a split has some of its files and lacks others.
    """
    parts: dict[str, list[str]] = {}
    for key in sources:
        parts.setdefault(key.partition("/")[0], []).append(key)
    paths = {}
    for split, keys in parts.items():
        absent = [key for key in keys if key not in files]
        if absent and len(absent) < len(keys):
            names = ", ".join(sources[key].names[0] for key in absent)
            raise FileNotFoundError(f"{corpus}: split {split!r} also needs {names}, which data_dir {folder!r} lacks")
        if not absent:
            paths[split] = tuple(files[key] for key in keys)
    return paths


def fingerprint(sources: Mapping[str, Source], folder: str | None, more: Iterable[Path] = ()) -> str:
    """A hash that changes with every source and local file, so that outdated prepared data is not reused.

    Args:
        sources: the files of the corpus.
        folder: folder with the files; None if they are downloaded.
        more: further files that the rows depend on; missing ones are ignored.
    """
    state: list[Any] = [[split, source.url, source.sha256] for split, source in sorted(sources.items())]
    if folder is None:
        files = [Path(source.url) for source in sources.values()]
    else:
        paths = [source.find(Path(folder)) for source in sources.values()]
        files = [path for path in paths if path is not None] + [Path(folder) / name for name in LABEL_FILES]
    for path in filter(Path.is_file, [*files, *more]):
        state.append([str(path), path.stat().st_size, path.stat().st_mtime_ns])
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def source_records(path: str) -> Iterator[Any]:
    """The JSON records of a local file or of a URL, one at a time."""
    with _open(path) as handle:
        yield from iter_records(handle)


def source_name(path: str) -> str:
    """The name of a file for messages; for a file in an archive, its name there."""
    return path.removeprefix(_INSIDE).partition("::")[0] if path.startswith(_INSIDE) else Path(path).name


def source_lines(path: str) -> Iterator[str]:
    """The lines of a UTF-8 text with their original line ends: a local file or a URL, plain or gzip.

    Raises:
        ValueError: the file is cut off, broken or not UTF-8.
    """
    with _open(path) as handle:
        buffered = handle if hasattr(handle, "peek") else io.BufferedReader(cast(Any, handle))
        compressed = cast(io.BufferedReader, buffered).peek(2)[:2] == b"\x1f\x8b"
        plain = gzip.GzipFile(fileobj=buffered) if compressed else buffered
        try:
            yield from io.TextIOWrapper(cast(BinaryIO, plain), encoding="utf-8-sig", newline="\n")
        except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise ValueError(f"{path} cannot be read to its end ({error}); fetch it again") from error


def read_relation_labels(folder: str) -> dict[str, str] | None:
    """Readable names of relation types from a folder's `rel_info.json` (DocRED) or `types.json` (JEREX's release).

    Returns:
        Relation type to label, or None where the folder has neither file.

    Raises:
        ValueError: the file has another form.
    """
    path = next((path for name in LABEL_FILES if (path := Path(folder) / name).is_file()), None)
    if path is None:
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if path.name == "types.json":
        content = {name: entry["verbose"] for name, entry in content["relations"].items()}
    if not isinstance(content, dict) or not all(isinstance(label, str) for label in content.values()):
        raise ValueError(f"{path}: give an object that maps each relation type to its label")
    return content


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """Open a local file, a URL, or a file in any folder of a zip file at either."""
    name, _, archive = path.removeprefix(_INSIDE).partition("::")
    if not path.startswith(_INSIDE):
        with xopen(path, "rb") as handle:
            yield handle
        return
    with xopen(archive, "rb") as handle:
        # Read completely, because the table of a zip file is at its end and a stream cannot seek.
        content = io.BytesIO(handle.read())
    if not zipfile.is_zipfile(content):
        raise ValueError(f"{archive} is not a complete zip file; fetch it again")
    with zipfile.ZipFile(content) as opened, opened.open(_member(opened.namelist(), name, archive)) as member:
        yield cast(BinaryIO, member)


def _member(members: list[str], name: str, archive: str) -> str:
    """The one member of an archive with this name, plain or with `.gz`, in any folder."""
    endings = [[*Path(name).parts[:-1], Path(name).name + ending] for ending in ("", ".gz")]
    matches = [member for member in members if any(list(Path(member).parts[-len(end) :]) == end for end in endings)]
    if len(matches) != 1:
        shown = ", ".join(matches or members[:10]) or "nothing"
        raise FileNotFoundError(f"{archive} has {len(matches)} files called {name}, not one; it holds {shown}")
    return matches[0]


def _check_sum(source: Source, path: str, corpus: str) -> None:
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    if digest != source.sha256:
        raise ValueError(
            f"{corpus}: {source.url} has sha256 {digest}, expected {source.sha256}; the download is broken or the "
            "source has changed: download again with download_mode='force_redownload', or correct the source's sha256"
        )
