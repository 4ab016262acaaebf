"""Where the files of a corpus come from: a folder on this machine, or a download with its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from datasets import DownloadManager, StreamingDownloadManager
from datasets.utils.file_utils import xopen

from modeling_docre.record_files import iter_records

LABEL_FILES = ("rel_info.json", "types.json")


@dataclass(frozen=True)
class Source:
    """One file of a corpus.

    Args:
        url: where it is downloaded from; a path for files that come with this package.
        names: the names by which it is found in a local folder, the official one first; each also with `.gz` behind.
        sha256: checksum of the downloaded file, as 64 hexadecimal digits; None leaves the file unchecked.
    """

    url: str
    names: tuple[str, ...]
    sha256: str | None = None

    def find(self, folder: Path) -> Path | None:
        """The file in `folder`, or None."""
        candidates = (folder / f"{name}{ending}" for name in self.names for ending in ("", ".gz"))
        return next((path for path in candidates if path.is_file()), None)


def local_files(sources: Mapping[str, Source], folder: str, corpus: str) -> dict[str, str]:
    """The path of every split that `folder` has; a split whose file is not there is left out.

    Raises:
        FileNotFoundError: the folder has none of the splits.
    """
    found = {split: source.find(Path(folder)) for split, source in sources.items()}
    paths = {split: str(path) for split, path in found.items() if path is not None}
    if not paths:
        names = ", ".join(name for source in sources.values() for name in source.names)
        raise FileNotFoundError(f"{corpus}: no file in data_dir {folder!r}; looked for {names} (also with .gz behind)")
    return paths


def download(
    sources: Mapping[str, Source], manager: DownloadManager | StreamingDownloadManager, corpus: str
) -> dict[str, str]:
    """The path of every split's file after the download; with streaming, its URL.

    Checksums are compared after a download; a stream is read as it arrives and is not checked.

    Raises:
        ConnectionError: a file cannot be fetched.
        ValueError: a file has another checksum than its source states.
    """
    paths = {}
    for split, source in sources.items():
        try:
            paths[split] = str(manager.download(source.url))
        except OSError as error:
            names = " or ".join(source.names)
            raise ConnectionError(
                f"{corpus}: cannot download split {split!r} from {source.url} ({error}); "
                f"fetch the file by hand, name it {names} and give its folder as data_dir"
            ) from error
        if source.sha256 is not None and not isinstance(manager, StreamingDownloadManager):
            _check(source, paths[split], corpus)
    return paths


def fingerprint(sources: Mapping[str, Source], folder: str | None) -> str:
    """A hash that changes when a source or a local file changes, so that no prepared data outlives its files."""
    state: list[Any] = [[split, source.url, source.sha256] for split, source in sorted(sources.items())]
    if folder is None:
        files = [Path(source.url) for source in sources.values()]
    else:
        found = [source.find(Path(folder)) for source in sources.values()]
        files = [path for path in found if path is not None] + [Path(folder) / name for name in LABEL_FILES]
    for path in filter(Path.is_file, files):
        state.append([str(path), path.stat().st_size, path.stat().st_mtime_ns])
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def source_records(path: str) -> Iterator[Any]:
    """The JSON records of a local file or of a URL, one at a time."""
    handle: BinaryIO
    with xopen(path, "rb") as handle:
        yield from iter_records(handle)


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


def _check(source: Source, path: str, corpus: str) -> None:
    with open(path, "rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != source.sha256:
        raise ValueError(
            f"{corpus}: {source.url} has sha256 {found}, expected {source.sha256}; the download is broken or the "
            "source has changed: download again with download_mode='force_redownload', or correct the source's sha256"
        )
