"""Reads doccano's JSONL of sequence labelling, with or without relations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from modeling_docre.documents import DocumentError

from .markup import Link, MarkedText, Span, key_of, range_of, rows_of, text_of

COMMENTS = "comments of annotators (left out)"


def read_example(record: Mapping[str, Any], name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The text of an example with its entities and relations, or with its labels alone.

    Args:
        record: `text` with `entities` and `relations`, or with `label` (older: `labels`), rows of start, end and type.
        name: the document's id.
        counts: what is left out is added here.

    Raises:
        DocumentError: a key is missing or has a wrong type.
    """
    marked = MarkedText(name, text_of(name, record, "text"))
    counts[COMMENTS] += len(record.get("Comments") or ())
    for number, row in enumerate(rows_of(name, record, "entities", Mapping, "an object with start_offset")):
        where = f"entities[{number}]"
        start, end = range_of(name, where, row, "start_offset", "end_offset")
        marked.spans.append(
            Span(key_of(name, where, row, "id"), start, end, text_of(name, row, "label", f"{where}."), where=where)
        )
    for number, row in enumerate(rows_of(name, record, "relations", Mapping, "an object with from_id and to_id")):
        where = f"relations[{number}]"
        head, tail = (key_of(name, where, row, key) for key in ("from_id", "to_id"))
        marked.links.append(Link(head, tail, text_of(name, row, "type", f"{where}."), where))
    for key in ("label", "labels"):
        for number, row in enumerate(
            rows_of(name, record, key, list, "a list [start, end, type] (sequence labelling)")
        ):
            marked.spans.append(_labelled(name, row, f"{key}[{number}]"))
    yield marked


def _labelled(name: str, row: list[Any], where: str) -> Span:
    if len(row) != 3 or not isinstance(row[2], str) or any(type(value) is not int for value in row[:2]):
        raise DocumentError(name, where, row, "give [start, end, type]")
    return Span(where, row[0], row[1], row[2], where=where)
