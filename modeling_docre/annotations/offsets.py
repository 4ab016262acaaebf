"""Checks marked ranges against the text, and counts UTF-16 units in characters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from modeling_docre.documents import DocumentError

from .markup import MarkedText, Span

UNITS = ("characters", "utf-16")
"""What offsets may count."""


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
        fix = f"give a range of {unit} between characters of the text, 0 <= start < end <= {length}"
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
    if quote is None or start < 0 or end < 0:
        return "; correct the offsets"
    for fix, encoded in (
        ("the offsets fit if they count UTF-16 units: convert with --offsets utf-16", "utf-16-le"),
        ("the offsets fit if they count characters: convert with --offsets characters", "utf-32-le"),
        ("the offsets fit if they count bytes; export them in characters", "utf-8"),
    ):
        width = {"utf-8": 1, "utf-16-le": 2, "utf-32-le": 4}[encoded]
        piece = text.encode(encoded)[start * width : end * width].decode(encoded, errors="ignore")
        if same_text(piece, quote):
            return f"; {fix}"
    for lines, fix in ((text.replace("\r\n", "\n"), "one character"), (_windows(text), "two characters")):
        if same_text(lines[start:end], quote):
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
