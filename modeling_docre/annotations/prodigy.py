"""Reads Prodigy's JSONL: a text with tokens, spans and relations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from modeling_docre.documents import DocumentError
from modeling_docre.text import document_from_text

from .markup import Link, MarkedText, Span, Words, range_of, rows_of, text_of, typed

REFUSED = "examples that were rejected or ignored (left out)"
UNLABELLED = "relations without a label (left out)"


def read_task(record: Mapping[str, Any], name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The text of an accepted example with its spans and relations; Prodigy's tokens stay, spaCy's rules cut sentences.

    Args:
        record: `text`, and `tokens`, `spans`, `relations` and `answer` where it has them.
        name: the document's id.
        counts: what is left out is added here.

    Raises:
        DocumentError: a key is missing or has a wrong type, or a relation's end is no token.
    """
    if record.get("answer", "accept") != "accept":
        counts[REFUSED] += 1
        return
    text = text_of(name, record, "text")
    tokens = _ranges(name, text, rows_of(name, record, "tokens", Mapping, "an object with start and end"))
    marked = MarkedText(name, text, words=words_by_sentence(text, name, tokens) if tokens else None)
    for number, row in enumerate(rows_of(name, record, "spans", Mapping, "an object with start and end")):
        _add_span(marked, row, f"spans[{number}]")
    for number, row in enumerate(rows_of(name, record, "relations", Mapping, "an object with head and child")):
        where = f"relations[{number}]"
        head, tail = (_end(marked, row, end, tokens, where) for end in ("head", "child"))
        if row.get("label") is None:
            counts[UNLABELLED] += 1
        else:
            marked.links.append(Link(head, tail, text_of(name, row, "label", f"{where}."), where))
    yield marked


def words_by_sentence(text: str, name: str, words: list[tuple[int, int]]) -> Words:
    """A tool's words by the sentences into which spaCy's rules cut the text.

    Args:
        text: the text.
        name: the document's id, for messages.
        words: half-open character range of each word, in text order.
    """
    starts = {sentence[0][0] for sentence in document_from_text(text, name).token_offsets or ()}
    sentences: list[list[tuple[int, int]]] = []
    previous = -1
    for start, end in words:
        if not text[start:end].strip():
            continue
        if not sentences or any(place in starts for place in range(previous + 1, start + 1)):
            sentences.append([])
        sentences[-1].append((start, end))
        previous = start
    return sentences


def _ranges(name: str, text: str, tokens: list[Mapping[str, Any]]) -> list[tuple[int, int]]:
    ranges, last = [], 0
    for number, token in enumerate(tokens):
        start, end = range_of(name, f"tokens[{number}]", token, "start", "end")
        if not last <= start < end <= len(text) or token.get("text", text[start:end]) != text[start:end]:
            fix = "tokens must follow each other in the text, and their text must stand at their offsets"
            raise DocumentError(name, f"tokens[{number}]", dict(token), fix)
        ranges.append((start, end))
        last = end
    return ranges


def _add_span(marked: MarkedText, row: Mapping[str, Any], where: str) -> Hashable:
    """Add a span unless one of its label is there; one without a label joins those of its range."""
    start, end = range_of(marked.id, where, row, "start", "end")
    label = row.get("label")
    kind = None if label is None else typed(marked.id, f"{where}.label", label, str, "a string")
    quote = row.get("text") if isinstance(row.get("text"), str) else None
    for span in marked.spans:
        if (span.start, span.end) == (start, end) and kind in (None, span.type):
            return span.key
    marked.spans.append(Span((start, end, kind), start, end, kind, quote, where=where))
    return start, end, kind


def _end(marked: MarkedText, row: Mapping[str, Any], end: str, tokens: list[tuple[int, int]], where: str) -> Hashable:
    """The span at an end of a relation: its `head_span` or `child_span`, or the one around its token."""
    if isinstance(row.get(f"{end}_span"), Mapping):
        return _add_span(marked, row[f"{end}_span"], f"{where}.{end}_span")
    number = typed(marked.id, f"{where}.{end}", row.get(end), int, "the number of a token")
    if not 0 <= number < len(tokens):
        fix = f"the example has {len(tokens)} tokens, numbered from 0"
        raise DocumentError(marked.id, f"{where}.{end}", number, fix)
    start, stop = tokens[number]
    around = next((span.key for span in marked.spans if span.start <= start and stop <= span.end), None)
    return around or _add_span(marked, {"start": start, "end": stop}, f"{where}.{end}")
