"""A graph of entities and relations as plain text for people: two aligned tables."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from modeling_docre.documents import Document, Entity, Relation


def format_graph(document: Document | Mapping[str, Any], width: int = 32) -> str:
    """Entities and relations as two tables, or a sentence where there are none.

    Entities are numbered as in the document, and so are the sentences. An entity is called by its first mention; its
    number stands behind the name, since two entities may share one.

    Args:
        document: a document or its dict form, such as a result of the pipeline.
        width: columns of a name; longer ones end in "…". Mentions may take three times as many.

    Returns:
        Lines without trailing blanks, joined by line breaks.

    Raises:
        ValueError: `width` is less than 2.
        DocumentError: the dict is not a valid document.
    """
    if width < 2:
        raise ValueError(f"width is {width}; give at least 2 columns")
    document = document if isinstance(document, Document) else Document.from_dict(document)
    if not document.entities:
        return "The document has no entities."
    names = [
        f"{_shorten(_texts(document, entity)[0], width)} ({number})" for number, entity in enumerate(document.entities)
    ]
    entities = [_entity_row(document, number, entity, width) for number, entity in enumerate(document.entities)]
    lines = _table(("entity", "type", "score", "mentions"), entities)
    if not document.relations:
        return "\n".join([*lines, "", "The document has no relations between its entities."])
    relations = [_relation_row(relation, names, width) for relation in document.relations]
    lines += ["", *_table(("head", "", "relation", "", "tail", "score", "sentences"), relations)]
    return "\n".join(lines)


def _entity_row(document: Document, number: int, entity: Entity, width: int) -> list[str]:
    mentions = " | ".join(dict.fromkeys(_texts(document, entity)))
    return [str(number), _shorten(entity.type, width), _score(entity.score), _shorten(mentions, 3 * width)]


def _relation_row(relation: Relation, names: Sequence[str], width: int) -> list[str]:
    label = _shorten(relation.label or relation.type, width)
    sentences = ", ".join(map(str, relation.evidence or ()))
    return [names[relation.head], "—", label, "→", names[relation.tail], _score(relation.score), sentences]


def _texts(document: Document, entity: Entity) -> list[str]:
    """The mentions' texts on one line each, in order; a mention of blanks alone is shown as quotes."""
    texts = (" ".join((mention.name or document.mention_text(mention)).split()) for mention in entity.mentions)
    return [text or '""' for text in texts]


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.2f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of left-aligned columns, two blanks apart."""
    widths = [max(map(_columns, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(cell + " " * (width - _columns(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]


def _columns(text: str) -> int:
    """Columns that a terminal gives a text: East Asian wide characters take two, combining marks none."""
    return sum(_character_columns(character) for character in text)


def _character_columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shorten(text: str, width: int) -> str:
    """The text, or as much of it as leaves a column for the sign of what is missing."""
    if _columns(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += _character_columns(character)
        if used > width - 1:
            break
        kept += character
    return f"{kept.rstrip()}…"
