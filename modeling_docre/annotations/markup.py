"""What an annotation tool says about one text: marked spans, links between them, and whether the spans fit the text."""

from __future__ import annotations

import gzip
import zlib
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from modeling_docre.documents import DocumentError

Words = Sequence[Sequence[tuple[int, int]]]
"""Per sentence, the half-open character range of each word."""

UNITS = ("characters", "utf-16")
"""What offsets may count."""


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


def check_ranges(marked: MarkedText, offsets: str = "characters") -> list[Span]:
    """The spans of a text with their ranges in characters.

    Args:
        marked: the text with its spans.
        offsets: what the ranges count, unless the format itself says so: `"characters"` or `"utf-16"`.

    Raises:
        DocumentError: a range lies outside the text, holds no word, differs from what the file quotes for it, or
            divides a character; the message says in which unit it would fit.
    """
    text = marked.text or ""
    borders = _borders(text) if (marked.offsets or offsets) == "utf-16" else None
    return [_checked(marked.id, text, span, borders) for span in marked.spans]


def same_text(one: str, other: str) -> bool:
    r"""Whether two strings are equal except for the kind and number of blanks, and for line breaks written as `\n`."""
    return one.split() == other.split() or one.replace("\\n", "\n").split() == other.split()


def _borders(text: str) -> list[int]:
    """UTF-16 units before each character, and as last item their number [characters + 1]."""
    return list(accumulate((1 + (character > "\uffff") for character in text), initial=0))


def _checked(document_id: str, text: str, span: Span, borders: Sequence[int] | None) -> Span:
    field, given = f"{span.where} (start, end)", (span.start, span.end)
    if borders is not None:
        span = replace(span, start=_character(borders, span.start), end=_character(borders, span.end))
    if not 0 <= span.start < span.end <= len(text):
        unit, length = ("UTF-16 units", borders[-1]) if borders else ("characters", len(text))
        fix = f"give a range in the text, in {unit} 0 <= start < end <= {length}"
        raise DocumentError(document_id, field, given, f"{fix}{_hint(text, span.quote, given)}")
    actual = text[span.start : span.end]
    if not actual.strip():
        raise DocumentError(document_id, field, given, f"{actual!r} holds no word; mark one, or delete the mark")
    if span.quote is not None and not same_text(actual, span.quote):
        fix = f"the text has {actual!r} there, but the file says {span.quote!r}"
        raise DocumentError(document_id, field, given, f"{fix}{_hint(text, span.quote, given)}")
    return span


def _character(borders: Sequence[int], unit: int) -> int:
    """The character that begins at a UTF-16 unit; -1 where none does."""
    place = bisect_left(borders, unit)
    return place if place < len(borders) and borders[place] == unit else -1


def _hint(text: str, quote: str | None, given: tuple[int, int]) -> str:
    """What offsets would have to count to give the quoted text."""
    start, end = given
    if not quote or not 0 <= start < end:
        return "; correct the offsets"
    for fix, encoded in (
        ("the offsets fit if they count UTF-16 units: convert with --offsets utf-16", "utf-16-le"),
        ("the offsets fit if they count characters: convert with --offsets characters", "utf-32-le"),
        ("the offsets fit if they count bytes; export them in characters", "utf-8"),
    ):
        width = {"utf-8": 1, "utf-16-le": 2, "utf-32-le": 4}[encoded]
        whole = text.encode(encoded)
        piece = whole[start * width : end * width].decode(encoded, errors="ignore")
        if end * width <= len(whole) and same_text(piece, quote):
            return f"; {fix}"
    if text.startswith("\ufeff") and end < len(text) and same_text(text[start + 1 : end + 1], quote):
        return "; the offsets fit without the byte order mark at the start of the text: save the text without it"
    for lines, fix in ((text.replace("\r\n", "\n"), "one character"), (_windows(text), "two characters")):
        if end <= len(lines) and same_text(lines[start:end], quote):
            return (
                f"; the offsets fit if a line break is {fix}: give the text with the line breaks it was annotated with"
            )
    return f"; correct the offsets{_nearest(text, quote, start)}"


def _windows(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _nearest(text: str, quote: str, start: int) -> str:
    """Where the quoted text stands, if it stands anywhere."""
    places = [place for place in range(len(text)) if quote and text.startswith(quote, place)]
    if not places:
        return ", or give the text that was annotated"
    return f"; {quote!r} stands at {min(places, key=lambda place: abs(place - start))}"
