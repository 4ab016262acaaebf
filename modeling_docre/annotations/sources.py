"""Reads what is to be extracted from: texts and documents in files, folders, patterns and standard input."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modeling_docre.document_parsing import check_encoding
from modeling_docre.documents import DocumentError

from .growing_file import SETTINGS, UNFINISHED
from .records import records_and_errors

TEXT, RECORDS = ".txt", (".jsonl", ".ndjson", ".json", ".jsonl.gz", ".json.gz")
TABLES = (".csv", ".tsv", ".xlsx", ".parquet")
IN_FOLDERS = (TEXT, ".jsonl", ".jsonl.gz")
"""Endings of the files that are read from a folder."""


_KNOWN = (TEXT, *RECORDS, *TABLES, ".gz", ".pdf", ".html", ".md")


def looks_like_a_file(text: str) -> bool:
    """Whether a text is more likely the name of a file: it has no blank and the ending of one."""
    return not re.search(r"\s", text) and text.lower().endswith(_KNOWN)


class Source(NamedTuple):
    """One input of the pipeline.

    Args:
        content: a text, or a document in its dict form.
        id: its name, if it has one.
        entities: the known entities of a text.
        error: why the input cannot be read; its content is None then.
    """

    content: Any
    id: str | None = None
    entities: Any = None
    error: Exception | None = None


def files_of(names: Iterable[str], endings: tuple[str, ...] = IN_FOLDERS) -> list[str]:
    """Expand names into files, in order: a folder into its texts and records, a pattern into its matches.

    Hidden files of a folder are not read.

    Args:
        names: files, folders, patterns, or - for standard input.
        endings: of the files that are read from a folder.

    Raises:
        FileNotFoundError: a name gives no file.
    """
    return [file for name in names for file in _files_of(name, endings)]


def _files_of(name: str, endings: tuple[str, ...]) -> list[str]:
    if name == "-" or (os.path.exists(name) and not os.path.isdir(name)):
        return [name]
    if os.path.isdir(name):
        files = [str(path) for path in _below(name) if path.name.lower().endswith(endings)]
        problem = f"holds no {' or '.join(endings)}"
    else:
        files = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
        problem = "matches no file" if glob.has_magic(name) else "does not exist"
    if not files:
        raise FileNotFoundError(f"{name} {problem}")
    return files


def _below(folder: str) -> list[Path]:
    """The files below a folder in order, without hidden ones."""
    return [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and not path.name.startswith(".")]


def left_out(folder: str, endings: tuple[str, ...] = IN_FOLDERS) -> Counter[str]:
    """How many files of a folder are not read, by ending; without hidden ones and those that a run keeps for itself."""
    others = (path for path in _below(folder) if not path.name.lower().endswith((*endings, UNFINISHED, SETTINGS)))
    return Counter(path.suffix or path.name for path in others)


def is_one_text(file: str) -> bool:
    """Whether a file is one text rather than a file of records."""
    return not file.lower().endswith(RECORDS)


def read_sources(file: str, name: str | None = None) -> Iterator[Source]:
    """Yield the inputs in a file: one text, or one record at a time.

    A record is a document in its dict form or a text, `{"text": str}` with optional "id" and "entities". What cannot be
    read is an input with an `error`. The lines after a broken line are read; what follows a broken record of an array
    is not.

    Args:
        file: the file; - for standard input.
        name: what ids call it, by default as it is named here.
    """
    name = (name or file).encode(errors="backslashreplace").decode()  # of a file whose name is not in UTF-8
    if file.lower().endswith(TABLES):
        fix = 'write each text as a line {"id": ..., "text": ...} of a .jsonl file; extract-corpus reads .parquet'
        yield Source(None, name, error=ValueError(f"{file} is a table; {fix}"))
    elif is_one_text(file):
        yield _text(file, None if file == "-" else name)
    else:
        yield from _records(file, name)


def _text(file: str, name: str | None) -> Source:
    try:
        text = read_text(file)
    except (OSError, ValueError) as error:
        return Source(None, name, error=error)
    if form := _form(text):
        problem = f"{_shown(file)} is {form}, and would be read as one text: {text.lstrip()[:40]!r}"
        return Source(None, name, error=ValueError(f"{problem}; {_REMEDIES[form]}"))
    return Source(text, name)


_REMEDIES = {
    "JSON": "save records as a .jsonl file and name it by --file",
    "HTML or XML": "extract its text first",
}
_JSON = re.compile(r'\s*\[?\s*\{\s*("[^"]*("\s*:|$)|\}\s*\]?\s*$)')
_MARKUP = re.compile(r"\s*<(\?xml|!doctype|html|head|body|main|article|section|div|p|span|table|ul|ol)\b", re.I)


def _form(text: str) -> str | None:
    """What a text is that is none, by its beginning; it may be broken further on."""
    if _JSON.match(text):
        return "JSON"
    return "HTML or XML" if _MARKUP.match(text) else None


def _records(file: str, name: str) -> Iterator[Source]:
    number = 0
    try:
        for number, record in enumerate(records_and_errors(file, name), 1):
            where = f"{name}:{number}"
            yield Source(None, where, error=record) if isinstance(record, DocumentError) else source_of(record, where)
    except OSError as error:
        yield Source(None, f"{name}:{number + 1}", error=error)


def source_of(record: Mapping[str, Any], name: str) -> Source:
    """A record as an input.

    Args:
        record: a document in its dict form, or a text.
        name: its id if it has none.
    """
    place = name
    if record.get("id") is not None:
        name = record["id"]
    try:
        _check_string(place, "id", name)
        if not name:
            raise DocumentError(place, "id", name, "give a non-empty string, or none to name it by its place")
        check_encoding(place, "id", name)
    except DocumentError as error:
        return Source(None, place, error=error)
    try:
        return Source({**record, "id": name}, name) if "sentences" in record else _text_record(record, name)
    except DocumentError as error:
        return Source(None, name, error=error)


def _text_record(record: Mapping[str, Any], name: str) -> Source:
    if unknown := [key for key in record if key not in ("id", "text", "entities")]:
        fix = 'give "text", and "id" and "entities" if known; or a document with "sentences"'
        raise DocumentError(name, unknown[0], record[unknown[0]], fix)
    _check_string(name, "text", record.get("text"))
    return Source(record["text"], name, record.get("entities"))


def _check_string(name: Any, key: str, value: Any) -> None:
    if not isinstance(value, str):
        raise DocumentError(name, key, value, "give a string")


_BINARY = {
    b"%PDF-": "a PDF; extract its text first",
    b"PK\x03\x04": "a ZIP archive, as .docx and .odt files are; extract its text first",
    b"\xd0\xcf\x11\xe0": "an old Office document; extract its text first",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
}
"""What a file is that begins with these bytes, and what to do with it."""


def read_text(file: str | Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark; "-" is standard input.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is of another form, or not in UTF-8.
    """
    content = sys.stdin.buffer.read() if str(file) == "-" else Path(file).read_bytes()
    for beginning, form in _BINARY.items():
        if content.startswith(beginning):
            raise ValueError(f"{_shown(file)} is {form}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{_shown(file)} is not in UTF-8 ({error}); save it in that encoding") from error


def _shown(file: str | Path) -> str:
    return "standard input" if str(file) == "-" else str(file)
