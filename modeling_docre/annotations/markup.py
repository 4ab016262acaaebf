"""What an annotation tool says about one text: marked spans, and links between them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modeling_docre.documents import DocumentError

Words = Sequence[Sequence[tuple[int, int]]]
"""Per sentence, the half-open character range of each word."""


@dataclass(frozen=True, slots=True)
class Span:
    """A marked mention.

    Args:
        key: what links call it, unique in its text.
        start, end: half-open range in the text, in characters or UTF-16 units; in `MarkedText.sentences`, in words
            counted over all sentences.
        type: entity type; None where the tool gives none.
        quote: the marked text as the file repeats it, to check the range against.
        concepts: ids of the concept; mentions of one type with an id in common are one entity.
        where: its place in the file, for messages.
    """

    key: Hashable
    start: int
    end: int
    type: str | None
    quote: str | None = None
    concepts: tuple[str, ...] = ()
    where: str = "span"


@dataclass(frozen=True, slots=True)
class Link:
    """A typed link from one span to another, by their keys."""

    head: Hashable
    tail: Hashable
    type: str
    where: str = "relation"


@dataclass(slots=True)
class MarkedText:
    """One text with its annotations.

    Args:
        id: name of the document.
        text: the text; None where the file has words only.
        sentences: words of a file without text.
        words: the tool's own words in the text, by sentence; None where it has none.
        sections: half-open ranges of the text that are cut into sentences separately, such as a title.
        spans: the mentions.
        links: relations, and links that mean "the same entity".
        chains: keys of spans that are one entity each.
        dropped: keys of spans that were left out, so that links to them are left out too.
        offsets: "characters" or "utf-16" where the format says so; None where the user has to.
    """

    id: str
    text: str | None = None
    sentences: Sequence[Sequence[str]] | None = None
    words: Words | None = None
    sections: Sequence[tuple[int, int]] | None = None
    spans: list[Span] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    chains: list[list[Hashable]] = field(default_factory=list)
    dropped: set[Hashable] = field(default_factory=set)
    offsets: str | None = None


def typed(document_id: str, where: str, value: Any, kind: type | tuple[type, ...], wanted: str) -> Any:
    """Return a value of the given type; a bool is no whole number.

    Raises:
        DocumentError: it has another type.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DocumentError(document_id, where, value, f"give {wanted}")
    return value


def rows_of(document_id: str, record: Mapping[str, Any], key: str, kind: type, wanted: str) -> list[Any]:
    """The list under a key, empty where it is absent or None; each of its items has the given type.

    Raises:
        DocumentError: it is no list, or an item has another type.
    """
    rows = typed(document_id, key, record.get(key) or [], list, "a list")
    for number, row in enumerate(rows):
        typed(document_id, f"{key}[{number}]", row, kind, wanted)
    return rows


def text_of(document_id: str, record: Mapping[str, Any], key: str, where: str = "") -> str:
    """The string under a key.

    Raises:
        DocumentError: it is absent or no string.
    """
    return typed(document_id, f"{where}{key}", record.get(key), str, "a string")


def range_of(document_id: str, where: str, record: Mapping[str, Any], start: str, end: str) -> tuple[int, int]:
    """The two whole numbers under the keys `start` and `end`.

    Raises:
        DocumentError: one is absent or no whole number.
    """
    first, last = (
        typed(document_id, f"{where}.{key}", record.get(key), int, "a whole number from 0 on") for key in (start, end)
    )
    return first, last


def key_of(document_id: str, where: str, record: Mapping[str, Any], key: str) -> int | str:
    """The id under a key, a string or a whole number.

    Raises:
        DocumentError: it is absent or has another type.
    """
    return typed(document_id, f"{where}.{key}", record.get(key), (int, str), "an id, a string or a whole number")


def name_of(record: Mapping[str, Any], number: int, file: str) -> str:
    """The id of a record, a string or a number; else its place in its file."""
    name = record.get("id")
    return f"{file} {number}" if name is None or isinstance(name, bool) or name == "" else str(name)


def decoded(content: bytes, name: str, field: str) -> str:
    """The text of a file in UTF-8, with its line breaks as they are.

    Raises:
        DocumentError: the file has another encoding.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        excerpt = content[max(0, error.start - 20) : error.end + 20]
        raise DocumentError(name, field, excerpt, f"save the file as UTF-8 (byte {error.start} is not)") from error


def content_of(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file, unpacked where it is gzip; at most the first `most` of them.

    Raises:
        DocumentError: the compressed file is broken.
    """
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
        handle.seek(0)
        if not packed:
            return handle.read(most or -1)
        try:
            with gzip.GzipFile(fileobj=handle) as unpacked:
                return unpacked.read(most or -1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            fix = f"the compressed file is broken or ends too early ({error}); get it again"
            raise DocumentError(path.name, "gzip data", path.name, fix) from error
