"""Reads CoNLL04's first publication: a row of nine columns per word or entity, and a row of three per relation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from modeling_docre.documents import DocumentError

OUTSIDE = "relation rows of an element that is not an entity (dropped)"

_ESCAPES = {"COMMA": ",", "-LRB-": "(", "-RRB-": ")"}
_NO_ENTITY = "O"


@dataclass(slots=True)
class _Sentence:
    """A sentence while its rows are read; `entities` has type, start and end by element number."""

    id: str
    tokens: list[str] = field(default_factory=list)
    entities: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    relations: list[tuple[int, int, str]] = field(default_factory=list)
    last: int = -1


def read_columns(
    lines: Iterable[str], name: str, counts: Counter[str], wanted: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the sentences of a file as records in SpERT's form.

    An element is a word, or an entity with its words joined by `/`; `COMMA`, `-LRB-` and `-RRB-` stand for punctuation.
    Its row has nine columns: the sentence's number, the entity type (`O` for none), the element's number, an unused
    column, parts of speech, words, and three unused columns. After the elements come the relations with three columns:
    the element numbers of head and tail, and the type. A sentence begins where the sentence's number changes or the
    element's number does not rise; empty lines are ignored.

    Args:
        lines: the lines of the file.
        name: name of the file, for messages.
        counts: `OUTSIDE` is increased for each relation that is left out.
        wanted: numbers of the sentences to read; all by default.

    Raises:
        DocumentError: a line has a wrong form.
    """
    for sentence in _sentences(lines, name):
        if wanted is None or sentence.id in wanted:
            yield _record(sentence, counts)


def _sentences(lines: Iterable[str], name: str) -> Iterator[_Sentence]:
    sentence: _Sentence | None = None
    for number, line in enumerate(lines, 1):
        columns, where = line.split(), f"line {number} of {name}"
        if len(columns) == 9:
            element = _number(columns[0], where, columns[2])
            if sentence is None or columns[0] != sentence.id or element <= sentence.last:
                if sentence is not None:
                    yield sentence
                sentence = _Sentence(columns[0])
            _add_element(sentence, element, columns[1], columns[5])
        elif len(columns) == 3 and sentence is not None:
            head, tail = (_number(sentence.id, where, column) for column in columns[:2])
            sentence.relations.append((head, tail, columns[2]))
        elif columns:
            fix = "give the nine columns of an element, or the three of a relation after the elements of its sentence"
            raise DocumentError(where if sentence is None else sentence.id, where, line, fix)
    if sentence is not None:
        yield sentence


def _number(sentence: str, where: str, column: str) -> int:
    if not column.isdecimal():
        raise DocumentError(sentence, where, column, "give the number of the element, from 0")
    return int(column)


def _add_element(sentence: _Sentence, number: int, kind: str, text: str) -> None:
    # A slash of the text itself separates words, too; no word of the corpus has one.
    words = [_ESCAPES.get(word, word) for word in text.split("/") if word] or [text]
    start = len(sentence.tokens)
    sentence.tokens += words
    sentence.last = number
    if kind != _NO_ENTITY:
        sentence.entities[number] = (kind, start, start + len(words))


def _record(sentence: _Sentence, counts: Counter[str]) -> dict[str, Any]:
    positions = {number: position for position, number in enumerate(sentence.entities)}
    kept = [relation for relation in sentence.relations if {relation[0], relation[1]} <= positions.keys()]
    counts[OUTSIDE] += len(sentence.relations) - len(kept)
    return {
        "orig_id": sentence.id,
        "tokens": sentence.tokens,
        "entities": [{"type": kind, "start": start, "end": end} for kind, start, end in sentence.entities.values()],
        "relations": [{"head": positions[head], "tail": positions[tail], "type": kind} for head, tail, kind in kept],
    }
