"""Reads the training files of SpERT (a sentence per record) and of DyGIE++ (a document per record)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from modeling_docre.documents import DocumentError

from .markup import Link, MarkedText, Span, range_of, rows_of, text_of, typed

EVENTS = "events (left out)"
PREDICTED = "keys with a model's predictions (left out)"


def read_spert(record: Mapping[str, Any], name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The sentence of a record with `tokens`, `entities` (half-open word ranges) and `relations` between their numbers.

    Args:
        record: the record.
        name: the document's id, if the record has no `orig_id`.
        counts: not used; SpERT's form has nothing to leave out.

    Raises:
        DocumentError: a key is missing or has a wrong type.
    """
    identifier = record.get("orig_id")
    name = str(identifier) if isinstance(identifier, int | str) and identifier != "" else name
    marked = MarkedText(name, sentences=[rows_of(name, record, "tokens", str, "a string")])
    for number, row in enumerate(rows_of(name, record, "entities", Mapping, "an object with type, start and end")):
        where = f"entities[{number}]"
        start, end = range_of(name, where, row, "start", "end")
        marked.spans.append(Span(number, start, end, text_of(name, row, "type", f"{where}."), where=where))
    for number, row in enumerate(rows_of(name, record, "relations", Mapping, "an object with type, head and tail")):
        where = f"relations[{number}]"
        head, tail = range_of(name, where, row, "head", "tail")
        marked.links.append(Link(head, tail, text_of(name, row, "type", f"{where}."), where))
    yield marked


def read_dygie(record: Mapping[str, Any], name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The document of a record with `sentences`, `ner`, `relations` and `clusters`; its word ranges include their ends.

    Args:
        record: the record.
        name: the document's id, if the record has no `doc_key`.
        counts: what is left out is added here.

    Raises:
        DocumentError: a key has a wrong type, or a row a wrong form.
    """
    name = str(record.get("doc_key") or name)
    sentences = rows_of(name, record, "sentences", list, "a list of words")
    for number, words in enumerate(sentences):
        for position, word in enumerate(words):
            typed(name, f"sentences[{number}][{position}]", word, str, "a string")
    marked = MarkedText(name, sentences=sentences)
    for where, row in _rows(name, record, "ner", 3):
        _add(marked, row[0], row[1], typed(name, f"{where}[2]", row[2], str, "the entity type"), where)
    for where, row in _rows(name, record, "relations", 5):
        head, tail = _add(marked, row[0], row[1], None, where), _add(marked, row[2], row[3], None, where)
        marked.links.append(Link(head, tail, typed(name, f"{where}[4]", row[4], str, "the relation type"), where))
    for number, cluster in enumerate(rows_of(name, record, "clusters", list, "a list of ranges [start, end]")):
        marked.chains.append([_member(marked, row, f"clusters[{number}]") for row in cluster])
    counts[EVENTS] += sum(map(len, rows_of(name, record, "events", list, "a list")))
    counts[PREDICTED] += sum(key.startswith("predicted_") for key in record)
    yield marked


def _rows(name: str, record: Mapping[str, Any], key: str, length: int) -> Iterator[tuple[str, list[Any]]]:
    """Each row of a key whose value lists rows by sentence; a score may follow in it."""
    for sentence, rows in enumerate(rows_of(name, record, key, list, "a list of rows, one for each sentence")):
        for number, row in enumerate(rows):
            where = f"{key}[{sentence}][{number}]"
            if not isinstance(row, list) or len(row) < length or any(type(value) is not int for value in row[:2]):
                raise DocumentError(name, where, row, f"give a row of {length}: word numbers, then the type")
            yield where, row


def _member(marked: MarkedText, row: Any, where: str) -> tuple[int, int]:
    if not isinstance(row, list) or len(row) != 2:
        raise DocumentError(marked.id, where, row, "give each mention as [start, end]")
    return _add(marked, row[0], row[1], None, where)


def _add(marked: MarkedText, first: Any, last: Any, kind: str | None, where: str) -> tuple[int, int]:
    """Add the mention from its first to its last word, unless it is there; its key is its range."""
    for value in (first, last):
        typed(marked.id, where, value, int, "word numbers, counted over all sentences")
    if kind is not None or all(span.key != (first, last) for span in marked.spans):
        known = any(span.key == (first, last) for span in marked.spans)
        key = (first, last, kind) if known else (first, last)
        marked.spans.append(Span(key, first, last + 1, kind, where=where))
    return first, last
