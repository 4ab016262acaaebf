"""Documents as brat standoff: a text and an annotation file per document, and a configuration for all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence, Set
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from modeling_docre.documents import Document, DocumentError, Mention, Relation

LONGEST_NAME = 200
"""Bytes of a file name without its suffix; file systems take 255."""


def to_brat(documents: Iterable[Document]) -> dict[str, str]:
    """Files of a folder that brat opens, by name.

    `NAME.txt` and `NAME.ann` per document, where NAME is the document's id with percent signs for what a file name
    cannot hold; `annotation.conf` with the types and `visual.conf` with their readable names. Relations connect the
    mention pair with the highest score, or the first mention of each entity. Mentions of one entity are equivalent by
    `Coref`. Concept ids are references, of the database `ID` where they name none. Notes hold as JSON what brat has no
    place for: scores, evidence, labels, ids as they are.

    Raises:
        DocumentError: two documents have the same id, or a mention holds no visible character.
    """
    documents, files = list(documents), {}
    types = brat_names(entity.type for document in documents for entity in document.entities)
    kinds = (relation.type for document in documents for relation in document.relations)
    relations = brat_names(kinds, reserved={"Coref", *types.values()})
    for document in documents:
        name = file_name(document.id)
        if f"{name}.txt" in files:
            raise DocumentError(document.id, "id", document.id, "duplicate id; give each document its own")
        layout = _Layout(document)
        files[f"{name}.txt"] = layout.text
        files[f"{name}.ann"] = "".join(f"{line}\n" for line in _annotations(layout, types, relations))
    return files | _configuration(documents, types, relations)


def file_name(document_id: str) -> str:
    """A document's id as the name of a file on any system; long ids end in a hash."""
    name = re.sub("^[.]", "%2E", quote(document_id, safe=" ,()+='"))
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17]}-{sha256(document_id.encode()).hexdigest()[:16]}"


def brat_names(types: Iterable[str], reserved: Set[str] = frozenset()) -> dict[str, str]:
    """Names that brat takes, of letters, digits, `-` and `_`, by type; types that would share one get numbers."""
    names: dict[str, str] = {}
    for kind in sorted(set(types)):
        base = name = re.sub("[^A-Za-z0-9_-]", "_", kind) or "_"
        number = 1
        while name in names.values() or name in reserved:
            number += 1
            name = f"{base}_{number}"
        names[kind] = name
    return names


class _Layout:
    """A document's text, and where each mention stands in it."""

    def __init__(self, document: Document):
        self.document = document
        self.text, self.offsets = _text_and_offsets(document)

    def span(self, mention: Mention, where: str) -> tuple[str, str]:
        """Offsets as brat writes them, a pair for each part between breaks and tabs, and the parts joined by blanks."""
        words = self.offsets[mention.sentence][mention.start : mention.end]
        start, end = words[0][0], words[-1][1]
        if mention.char_start is not None and mention.char_end is not None:
            start, end = mention.char_start, mention.char_end
        pieces = [match.span() for match in re.finditer(r"[^\r\n\t]*[^\s][^\r\n\t]*", self.text[start:end])]
        if not pieces:
            raise DocumentError(self.document.id, where, self.text[start:end], "brat needs a visible character")
        offsets = ";".join(f"{start + first} {start + last}" for first, last in pieces)
        return offsets, " ".join(self.text[start + first : start + last] for first, last in pieces)


def _text_and_offsets(document: Document) -> tuple[str, Sequence[Sequence[tuple[int, int]]]]:
    """The text and its words' character ranges; without a text, words joined by blanks, a line per sentence."""
    if document.text is not None and document.token_offsets is not None:
        return document.text, document.token_offsets
    offsets: list[list[tuple[int, int]]] = []
    position = 0
    for sentence in document.sentences:
        offsets.append([])
        for word in sentence:
            offsets[-1].append((position, position + len(word)))
            position += len(word) + 1
        position += not sentence
    return "".join(" ".join(sentence) + "\n" for sentence in document.sentences), offsets


def _annotations(layout: _Layout, types: dict[str, str], relations: dict[str, str]) -> Iterator[str]:
    document, firsts, notes, number = layout.document, [], [], 0
    for position, entity in enumerate(document.entities):
        firsts.append(number + 1)
        for place, mention in enumerate(entity.mentions):
            number += 1
            offsets, text = layout.span(mention, f"entities[{position}].mentions[{place}]")
            yield f"T{number}\t{types[entity.type]} {offsets}\t{text}"
        if len(entity.mentions) > 1:
            yield f"*\tCoref {' '.join(f'T{mention}' for mention in range(firsts[-1], number + 1))}"
        if entity.id and not re.search(r"\s", entity.id):
            concept = entity.id if ":" in entity.id else f"ID:{entity.id}"
            yield f"N{position + 1}\tReference T{firsts[-1]} {concept}\t{text}"
        if known := _present(id=entity.id, score=entity.score):
            notes.append((f"T{firsts[-1]}", known))
    for position, relation in enumerate(document.relations, 1):
        head, tail = _arguments(relation, firsts)
        yield f"R{position}\t{relations[relation.type]} Arg1:T{head} Arg2:T{tail}"
        if known := _present(label=relation.label, score=relation.score, evidence=relation.evidence):
            notes.append((f"R{position}", known))
    for position, (target, known) in enumerate(notes, 1):
        yield f"#{position}\tAnnotatorNotes {target}\t{json.dumps(known, ensure_ascii=False)}"


def _arguments(relation: Relation, firsts: Sequence[int]) -> tuple[int, int]:
    """Numbers of the mentions that a relation connects."""
    pairs = sorted(relation.mention_pairs or (), key=lambda pair: -(pair.score or 0))
    head, tail = (pairs[0].head_mention, pairs[0].tail_mention) if pairs else (0, 0)
    return firsts[relation.head] + head, firsts[relation.tail] + tail


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _configuration(documents: Sequence[Document], types: dict[str, str], relations: dict[str, str]) -> dict[str, str]:
    labels = {relation.type: relation.label for document in documents for relation in document.relations}
    shown = [f"{name} | {_label(kind)}" for kind, name in types.items()]
    shown += [f"{name} | {_label(labels[kind] or kind)}" for kind, name in relations.items()]
    drawn = [f"{name} Arg1:<ENTITY>, Arg2:<ENTITY>" for name in relations.values()]
    lines = ["[entities]", *types.values(), "", "[relations]"]
    lines += ["Coref Arg1:<ENTITY>, Arg2:<ENTITY>, <REL-TYPE>:symmetric-transitive", *drawn, "", "[events]", ""]
    return {
        "annotation.conf": "\n".join([*lines, "[attributes]", ""]),
        "visual.conf": "\n".join(["[labels]", *shown, "", "[drawing]", ""]),
    }


def _label(text: str) -> str:
    """A readable name on one line; brat separates its forms by bars."""
    return " ".join(text.replace("|", "/").split()) or "_"
