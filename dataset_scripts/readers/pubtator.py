"""Reads abstracts with concept annotations from PubTator files, and makes documents whose entities are concepts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dataset_scripts.building.reading_counts import REPEATED_IDS
from modeling_docre.annotations.records import unique_id
from modeling_docre.documents import Document, DocumentError
from modeling_docre.given_entities import place_entities
from modeling_docre.text import document_from_text

UNGROUNDED = "annotation rows without a concept id (in no entity)"
COMPOSITE = "annotation rows of several concepts (a mention of each)"
CORRECTED = "annotation rows whose concept id was corrected"
OTHER_TYPES = "annotation rows of entity types left out (in no entity)"

_NO_CONCEPT = frozenset({"", "-", "-1"})
_TEXT_LINE = re.compile(r"([^\t|]+)\|([ta])\|(.*)", re.DOTALL)
_MESH_ID = re.compile(r"[CD]\d{6,}")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A mention of a PubTator file; `start` and `end` are half-open character offsets in `Abstract.text`.

    `concept` is the row's id unchanged: one concept, several concepts, or a sign for none.
    """

    start: int
    end: int
    text: str
    type: str
    concept: str


@dataclass(slots=True)
class Abstract:
    """A block of a PubTator file: title, abstract, annotations, and relations as (type, first id, second id)."""

    id: str
    title: str
    abstract: str | None = None
    annotations: list[Annotation] = field(default_factory=list)
    relations: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Title and abstract with one separator between them, as the annotations' offsets assume."""
        return f"{self.title}\n{self.abstract}" if self.abstract else self.title


def read_pubtator(lines: Iterable[str], name: str) -> Iterator[Abstract]:
    r"""The blocks of a PubTator file.

    A block is `id|t|title`, optionally `id|a|abstract`, one row `id, start, end, text, type, concept` per mention
    (further columns are ignored) and one row `id, type, concept, concept` per relation. Tabs separate the columns, and
    empty lines may separate the blocks.

    Args:
        lines: the lines with their ends, `\n` or `\r\n`.
        name: name of the file, for messages.

    Raises:
        DocumentError: a line has a wrong form, is in another document's block, or is cut off at the end of the file.
    """
    block: Abstract | None = None
    for number, line in enumerate(lines, 1):
        where = f"line {number} of {name}"
        if not line.endswith("\n"):
            fix = "the file ends inside a line and may be cut; fetch it again, or end its last line with a line break"
            raise DocumentError(block.id if block else where, where, line, fix)
        line = line[:-1].removesuffix("\r")
        title = _TEXT_LINE.fullmatch(line)
        if title is not None and title[2] == "t":
            if block is not None:
                yield block
            block = Abstract(title[1], title[3])
        elif line:
            _add_line(block, line, where)
    if block is not None:
        yield block


class AbstractReader:
    """Turns abstracts into documents whose entities are concepts, and counts what the documents do not show.

    An entity is a pair of type and concept id with all its mentions. Entities are in the order of their first mention
    in the text (CDR's preprocessing, edge-oriented graph release). A mention of several concepts is one mention of
    each; mentions without a concept form no entity. Words and sentences are spaCy's, the title's apart from the
    abstract's. Mentions keep their borders: words are split at them and sentences merged.

    Args:
        entity_types: the types that mentions may have.
        composite: for each type whose rows may list several concepts, the characters that may separate them.
        clean_ids: correct MeSH ids with characters after their digits (`D003000f` to `D003000`).
        drop_types: leave out mentions of other types instead of refusing them.
    """

    def __init__(
        self,
        entity_types: Collection[str],
        composite: Mapping[str, str],
        clean_ids: bool = False,
        drop_types: bool = False,
    ):
        self.entity_types, self.composite = entity_types, composite
        self.clean_ids, self.drop_types = clean_ids, drop_types
        self.counts: Counter[str] = Counter(dict.fromkeys(["documents", *map(_of_type, sorted(entity_types))], 0))
        self._ids: set[str] = set()

    def read(self, abstract: Abstract) -> Document:
        """The document of an abstract: words, `text`, `token_offsets` and entities; neither relations nor candidates.

        Raises:
            DocumentError: a mention has an unknown type, or its text differs from that at its offsets.
        """
        self.counts["documents"] += 1
        entities: dict[tuple[str, str], dict[str, Any]] = {}
        rows = [(row, f"annotations[{number}]") for number, row in enumerate(abstract.annotations)]
        for row, where in sorted(rows, key=lambda item: item[0].start):
            _check_offsets(abstract, row, where)
            for concept in self._concepts(abstract, row, where):
                entity = entities.setdefault((row.type, concept), {"type": row.type, "id": concept, "mentions": []})
                entity["mentions"].append({"char_start": row.start, "char_end": row.end})
        words = replace(_words(abstract), id=unique_id(abstract.id, self._ids))
        self.counts[REPEATED_IDS] += words.id != abstract.id
        return place_entities(words, list(entities.values()))

    def clean(self, concept: str) -> str:
        """The concept id of the documents: corrected if `clean_ids`, else unchanged."""
        match = _MESH_ID.match(concept) if self.clean_ids else None
        return match[0] if match else concept

    def _concepts(self, abstract: Abstract, row: Annotation, where: str) -> list[str]:
        """The concept ids of a row, including repeated ones."""
        if row.type not in self.entity_types:
            if not self.drop_types:
                fix = f"correct it, or add it to the builder's ENTITY_TYPES; known are {', '.join(self.entity_types)}"
                raise DocumentError(abstract.id, f"{where}.type", row.type, fix)
            self.counts[OTHER_TYPES] += 1
            return []
        self.counts[_of_type(row.type)] += 1
        separators = self.composite.get(row.type)
        ids = re.split(f"[{re.escape(separators)}]", row.concept) if separators else [row.concept]
        grounded = [concept for concept in ids if concept not in _NO_CONCEPT]
        cleaned = [self.clean(concept) for concept in grounded]
        self.counts[COMPOSITE] += len(ids) > 1
        self.counts[UNGROUNDED] += not grounded
        self.counts[CORRECTED] += cleaned != grounded
        return cleaned


def _add_line(block: Abstract | None, line: str, where: str) -> None:
    """Add a line to its block."""
    if block is None:
        raise DocumentError(
            where, "line", line, "begin each document with a line `id|t|title`; the start of the file may be cut off"
        )
    text = _TEXT_LINE.fullmatch(line)
    columns = [text[1]] if text is not None else line.split("\t")
    if columns[0] != block.id:
        fix = "give each document a block of its own that begins with its line `id|t|title`"
        raise DocumentError(block.id, where, line, fix)
    if text is not None:
        if block.abstract is not None:
            raise DocumentError(block.id, where, line, "give one abstract per document")
        block.abstract = text[3]
    elif len(columns) == 4 and not columns[1].isdecimal():
        block.relations.append((columns[1], columns[2], columns[3]))
    elif len(columns) >= 6 and columns[1].isdecimal() and columns[2].isdecimal():
        block.annotations.append(Annotation(int(columns[1]), int(columns[2]), columns[3], columns[4], columns[5]))
    else:
        fix = (
            "give the columns id, start, end, text, type, concept of a mention, or id, type, concept, concept of a "
            "relation, separated by tabs; if the file was cut off, fetch it again"
        )
        raise DocumentError(block.id, where, line, fix)


def _check_offsets(abstract: Abstract, row: Annotation, where: str) -> None:
    """Refuse a mention whose text differs from the document's, except for the separator of title and abstract."""
    actual = abstract.text[row.start : row.end]
    if row.start >= row.end or actual.replace("\n", " ") != row.text.replace("\n", " "):
        fix = (
            f"the document has {actual!r} there, but the row says {row.text!r}; correct the half-open character "
            "offsets, counted over the title, one separator and the abstract"
        )
        raise DocumentError(abstract.id, f"{where} (start, end)", (row.start, row.end), fix)


def _words(abstract: Abstract) -> Document:
    """The words of title and abstract, split separately so that the title is a sentence of its own."""
    title = document_from_text(abstract.title, abstract.id)
    rest = document_from_text(abstract.abstract or "", abstract.id)
    shift = len(abstract.title) + 1
    offsets = tuple(tuple((start + shift, end + shift) for start, end in s) for s in rest.token_offsets or ())
    return Document(
        abstract.id,
        title.sentences + rest.sentences,
        text=abstract.text,
        token_offsets=(title.token_offsets or ()) + offsets,
    )


def _of_type(name: str) -> str:
    return f"annotation rows of type {name}"
