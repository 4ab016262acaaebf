"""Reads tables with a row per relation: text, head, tail, relation."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modeling_docre.documents import DocumentError

from .markup import Link, MarkedText, Span, content_of, decoded

ENDINGS = (".csv", ".tsv")
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
"""Endings of spreadsheets, which are not read."""

COLUMNS = frozenset({"text", "head", "tail", "relation"})
UNRELATED = "rows without a relation (their entities are kept)"
ENTITY_TYPE = "Entity"
"""The type of entities in a table without the columns `head_type` and `tail_type`."""

_DELIMITERS = ("\t", ",", ";")


def delimiter_of(line: str) -> str | None:
    """What separates the columns of a header line; None if it is not the header of such a table."""
    return next((mark for mark in _DELIMITERS if set(_names(line, mark)) >= COLUMNS), None)


def read_table(path: Path, name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The texts of a table with the entities and relations of their rows.

    The columns are `text`, `head`, `tail` and `relation`, and optionally `id`, `head_type` and `tail_type`, in any
    order. Head and tail are names: every place of a name in its text is a mention of the entity, except inside a
    longer name. Rows with the same `id` (without that column, the same text) are one document.

    Args:
        path: a CSV or TSV file with a header, in UTF-8, plain or gzip.
        name: name of documents without an id.
        counts: what is changed or left out is added here.

    Raises:
        DocumentError: a column is missing or there twice, a row lacks a value, a name does not occur in its text, or
            one id has two texts.
    """
    content = decoded(content_of(path), path.name, "text").removeprefix("\ufeff")
    mark = delimiter_of(content.partition("\n")[0])
    if mark is None:
        fix = "begin the table with the names of its columns; text, head, tail and relation are needed"
        raise DocumentError(path.name, "line 1", content.partition("\n")[0], fix)
    documents: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in _rows(content, mark, path.name):
        documents.setdefault(row.get("id") or row["text"], []).append((line, row))
    for number, rows in enumerate(documents.values(), 1):
        yield _marked(rows, rows[0][1].get("id") or f"{name} {number}", counts)


def _names(line: str, mark: str) -> list[str]:
    return [column.strip().strip('"').lower() for column in line.strip().lstrip("\ufeff").split(mark)]


def _rows(content: str, mark: str, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=mark, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader)]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise DocumentError(file, "column", repeated[0], "two columns have this name; rename or delete one")
        for values in reader:
            if not values:
                continue
            if len(values) != len(names):
                fix = (
                    f"give a value for each of the {len(names)} columns; put values with {mark!r} or quotes into quotes"
                )
                raise DocumentError(file, f"line {reader.line_num}", values, fix)
            yield reader.line_num, dict(zip(names, values, strict=True))
    except csv.Error as error:
        fix = f"write the table as CSV, with quotes doubled inside quotes ({error})"
        raise DocumentError(file, f"line {reader.line_num}", str(error), fix) from error


def _marked(rows: Sequence[tuple[int, Mapping[str, str]]], name: str, counts: Counter[str]) -> MarkedText:
    marked = MarkedText(name, rows[0][1]["text"])
    entities: dict[tuple[str, str], str] = {}
    for line, row in rows:
        if row["text"] != marked.text:
            raise DocumentError(name, f"line {line}, text", row["text"], "give one text for each id")
        head, tail = (_entity(name, row, end, line, entities) for end in ("head", "tail"))
        if row["relation"].strip():
            marked.links.append(Link(head, tail, row["relation"].strip(), f"line {line}"))
        else:
            counts[UNRELATED] += 1
    longest_first = sorted(entities, key=lambda entity: -len(entity[0]))
    taken: list[tuple[int, int]] = []
    for entity in longest_first:
        taken += _add_mentions(marked, entity, entities[entity], taken)
    return marked


def _entity(
    name: str, row: Mapping[str, str], end: str, line: int, entities: dict[tuple[str, str], str]
) -> tuple[tuple[str, str], int]:
    """The key of the first mention of an entity, which is its name and type."""
    entity = row[end].strip(), row.get(f"{end}_type", "").strip() or ENTITY_TYPE
    if not entity[0]:
        raise DocumentError(name, f"line {line}, {end}", row[end], "give the entity's name as it stands in the text")
    entities.setdefault(entity, f"line {line}, {end}")
    return entity, 0


def _add_mentions(
    marked: MarkedText, entity: tuple[str, str], where: str, taken: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Mark the places of a name as one entity; those inside a longer name only if there is no other."""
    text, words = marked.text or "", re.escape(entity[0])
    pattern = re.compile(rf"(?<!\w){words}(?!\w)") if re.search(rf"(?<!\w){words}(?!\w)", text) else re.compile(words)
    places = [found.span() for found in pattern.finditer(text)]
    own = [(a, b) for a, b in places if not any(c <= a and b <= d and (a, b) != (c, d) for c, d in taken)] or places
    if not own:
        fix = "the text does not have this name; write it as it stands there"
        raise DocumentError(marked.id, where, entity[0], fix)
    keys = [(entity, number) for number in range(len(own))]
    for key, (start, end) in zip(keys, own, strict=True):
        marked.spans.append(Span(key, start, end, entity[1], where=where))
    marked.chains.append(list(keys))
    return own
