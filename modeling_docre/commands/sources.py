"""Reads a command's inputs: texts and documents from files, folders, patterns and standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modeling_docre.annotations.records import iter_records
from modeling_docre.documents import DocumentError

from .files import read_text

TEXT, RECORDS = ".txt", (".jsonl", ".json", ".jsonl.gz", ".json.gz")
TABLES = (".csv", ".tsv", ".xlsx")
IN_FOLDERS = (TEXT, ".jsonl", ".jsonl.gz")
"""Endings of the files that are read from a folder."""


class Source(NamedTuple):
    """One input of the pipeline.

    Args:
        content: a text, or a document in its dict form.
        id: its name, if it has one.
        entities: the known entities of a text.
    """

    content: Any
    id: str | None = None
    entities: Any = None


def files_of(names: Iterable[str]) -> list[str]:
    """Expand names into files, in order: a folder into all texts and records below it, a pattern into its matches.

    Raises:
        FileNotFoundError: a name gives no file.
    """
    return [file for name in names for file in _files_of(name)]


def _files_of(name: str) -> list[str]:
    if name == "-" or (os.path.exists(name) and not os.path.isdir(name)):
        return [name]
    if os.path.isdir(name):
        below = (str(path) for path in sorted(Path(name).rglob("*")) if path.is_file())
        files, problem = [file for file in below if file.endswith(IN_FOLDERS)], f"holds no {' or '.join(IN_FOLDERS)}"
    else:
        files = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
        problem = "matches no file" if glob.has_magic(name) else "does not exist"
    if not files:
        raise FileNotFoundError(f"{name} {problem}")
    return files


def is_one_text(file: str) -> bool:
    """Whether a file is one text rather than a file of records."""
    return not file.endswith(RECORDS)


def read_sources(file: str) -> Iterator[Source]:
    """Yield the inputs in a file: one text, or one record at a time.

    A record is a document in its dict form or a text, `{"text": str}` with optional "id" and "entities".

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is a table, or not in UTF-8.
        DocumentError: a record is neither a document nor a text.
    """
    if file.endswith(TABLES):
        raise ValueError(f'{file} is a table; write each text as a line {{"id": ..., "text": ...}} of a .jsonl file')
    if is_one_text(file):
        yield Source(read_text(file), None if file == "-" else file)
        return
    for number, record in enumerate(iter_records(file)):
        name = record.get("id", f"{file}:{number + 1}")
        yield Source(record, name) if "sentences" in record else _text_record(record, name)


def _text_record(record: Mapping[str, Any], name: Any) -> Source:
    if unknown := [key for key in record if key not in ("id", "text", "entities")]:
        fix = 'give "text", and "id" and "entities" if known; or a document with "sentences"'
        raise DocumentError(name, unknown[0], record[unknown[0]], fix)
    for key, value in (("id", name), ("text", record.get("text"))):
        if not isinstance(value, str):
            raise DocumentError(name, key, value, "give a string")
    return Source(record["text"], name, record.get("entities"))
