"""Shows a graph of entities and relations as plain text: two aligned tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size

from modeling_docre.documents import Document

from .names import mention_texts
from .printable import printable, shorten

MOST_SENTENCES = 10


def format_graph(document: Document | Mapping[str, Any], width: int = 32) -> str:
    """Entities and relations as two tables, or a sentence if there are none.

    Entities and sentences are numbered as in the document. An entity is named by its first mention and its number,
    since two entities may share a name. Of many sentences the first ten are shown. U+FFFD replaces control characters,
    so that escape sequences have no effect on a terminal.

    Args:
        document: a document or its dict form, such as a result of the pipeline.
        width: columns of a name; longer names end in "…". Mentions may take three times as many.

    Returns:
        Lines without trailing blanks, joined by line breaks.

    Raises:
        ValueError: `width` is less than 2.
        KeyError: the dict is not a document.
    """
    if width < 2:
        raise ValueError(f"width is {width}; give at least 2 columns")
    graph = document.to_dict() if isinstance(document, Document) else document
    if not graph.get("entities"):
        return "The document has no entities."
    texts = [mention_texts(graph, entity) for entity in graph["entities"]]
    names = [f"{shorten(mentions[0], width)} ({number})" for number, mentions in enumerate(texts)]
    entities = [_entity_row(number, entity, texts[number], width) for number, entity in enumerate(graph["entities"])]
    lines = aligned(("entity", "type", "score", "mentions"), entities)
    if not graph.get("relations"):
        return "\n".join([*lines, "", "The document has no relations between its entities."])
    relations = [_relation_row(relation, names, width) for relation in graph["relations"]]
    lines += ["", *aligned(("head", "", "relation", "", "tail", "score", "sentences"), relations)]
    return "\n".join(lines)


def _entity_row(number: int, entity: Mapping[str, Any], texts: Sequence[str], width: int) -> list[str]:
    mentions = shorten(" | ".join(dict.fromkeys(texts)), 3 * width)
    return [str(number), shorten(printable(entity["type"]), width), _score(entity.get("score")), mentions]


def _relation_row(relation: Mapping[str, Any], names: Sequence[str], width: int) -> list[str]:
    label = shorten(printable(relation.get("label") or relation["type"]), width)
    evidence = [str(sentence) for sentence in relation.get("evidence") or ()]
    sentences = ", ".join([*evidence[:MOST_SENTENCES], "…"] if len(evidence) > MOST_SENTENCES else evidence)
    head, tail = names[relation["head"]], names[relation["tail"]]
    return [head, "—", label, "→", tail, _score(relation.get("score")), sentences]


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.2f}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of left-aligned columns, two blanks apart."""
    widths = [max(map(cell_len, column)) for column in zip(header, *rows, strict=True)]
    return ["  ".join(map(set_cell_size, row, widths)).rstrip() for row in (header, *rows)]
