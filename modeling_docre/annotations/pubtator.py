"""Reads PubTator files: titles and abstracts with marked concepts and relations between concepts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from modeling_docre.documents import Document, DocumentError

from .clusters import cut_sections
from .markup import Link, MarkedText, Span, content_of, decoded

NO_CONCEPT = frozenset({"", "-", "-1"})
"""Signs for "no concept" in the column of concept ids."""

UNMENTIONED = "relations of concepts without a mention (left out)"
SEVERAL = "mentions of several concepts (a mention of each)"

_CONCEPT_ID = re.compile(r"[A-Za-z]*:?[A-Za-z]{0,5}\d{2,}")
_TEXT_LINE = re.compile(r"([^\t|]+)\|([ta])\|(.*)", re.DOTALL)


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


def read_abstracts(path: Path, name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The abstracts of a file with their mentions, concept ids and relations.

    Args:
        path: the file, plain or gzip.
        name: not used; documents have the ids of the file.
        counts: what is changed or left out is added here.

    Raises:
        DocumentError: see `read_pubtator`; also where a mention's text differs from that at its offsets.
    """
    lines = (f"{line}\n" for line in decoded(content_of(path), path.name, "text").removesuffix("\n").split("\n"))
    for abstract in read_pubtator(lines, path.name):
        start = len(abstract.title) + 1
        sections = [(0, len(abstract.title)), (start, max(start, len(abstract.text)))]
        marked = MarkedText(abstract.id, abstract.text, sections=sections[: 1 + bool(abstract.abstract)])
        for number, row in enumerate(abstract.annotations):
            where = f"annotations[{number}]"
            check_offsets(abstract, row, where)
            add_mention(marked, Span(number, row.start, row.end, row.type, where=where), row.concept, counts)
        for number, (kind, head, tail) in enumerate(abstract.relations):
            link_concepts(marked, kind, head, tail, f"relations[{number}]", counts)
        yield marked


def add_mention(marked: MarkedText, span: Span, concept: str, counts: Counter[str]) -> None:
    """Add a mention of one concept, of several (a span of each), or of none.

    Several ids are separated by `|`, `;` or `,`. Other ids have these characters, too (those of mutations), so the
    parts of a list must look like ids.
    """
    parts = re.split("[|;,]", concept)
    ids = parts if len(parts) > 1 and all(map(_CONCEPT_ID.fullmatch, parts)) else [concept]
    counts[SEVERAL] += len(ids) > 1
    for number, one in enumerate(dict.fromkeys(ids)):
        concepts = () if one in NO_CONCEPT else (one,)
        marked.spans.append(replace(span, key=(span.key, number) if number else span.key, concepts=concepts))


def link_concepts(marked: MarkedText, kind: str, head: str, tail: str, where: str, counts: Counter[str]) -> None:
    """Add a relation between two concepts; a list of concepts stands for each of them."""
    first_of = {concept: span.key for span in reversed(marked.spans) for concept in span.concepts}
    ends = [[end] if end in first_of else re.split("[|;,]", end) for end in (head, tail)]
    for one, other in product(*ends):
        if one in first_of and other in first_of:
            marked.links.append(Link(first_of[one], first_of[other], kind, where))
        else:
            counts[UNMENTIONED] += 1


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


def check_offsets(abstract: Abstract, row: Annotation, where: str) -> None:
    """Refuse a mention whose text differs from the document's, except for the separator of title and abstract.

    Raises:
        DocumentError: the message has both texts.
    """
    actual = abstract.text[row.start : row.end]
    if row.start >= row.end or actual.replace("\n", " ") != row.text.replace("\n", " "):
        fix = (
            f"the document has {actual!r} there, but the row says {row.text!r}; correct the half-open character "
            "offsets, counted over the title, one separator and the abstract"
        )
        raise DocumentError(abstract.id, f"{where} (start, end)", (row.start, row.end), fix)


def words_of(abstract: Abstract) -> Document:
    """The words of title and abstract, split separately so that the title is a sentence of its own."""
    start, end = len(abstract.title), len(abstract.text)
    sections = [(0, start), (start + 1, end)] if abstract.abstract else [(0, start)]
    return cut_sections(abstract.text, abstract.id, sections)
