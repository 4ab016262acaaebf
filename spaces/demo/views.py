"""What the demo shows of a graph: the text with its mentions, and the relations as rows. No user interface in here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from itertools import pairwise
from typing import Any

from modeling_docre.graphs.names import names
from modeling_docre.graphs.picture import colour

COLUMNS = ("head", "relation", "tail", "score", "evidence")


def highlighted(graph: Mapping[str, Any]) -> str:
    """The text as HTML; a mention has its entity's colour and, at its end, the entity's number.

    Where mentions overlap, the shortest one gives the colour, and all their numbers are there.
    """
    mentions = [
        (mention["char_start"], mention["char_end"], number)
        for number, entity in enumerate(graph["entities"])
        for mention in entity["mentions"]
    ]
    text = graph["text"]
    cuts = sorted({0, len(text), *(end for start, stop, _ in mentions for end in (start, stop))})
    pieces = [_piece(graph, mentions, start, end) for start, end in pairwise(cuts)]
    body = "".join(pieces).replace("\n", "<br>")
    return f'<div class="highlighted" style="line-height:2.1">{body}</div>'


def _piece(graph: Mapping[str, Any], mentions: list[tuple[int, int, int]], start: int, end: int) -> str:
    """A part of the text that no mention begins or ends inside."""
    over = sorted((m for m in mentions if m[0] <= start and end <= m[1]), key=lambda m: m[1] - m[0])
    text = escape(graph["text"][start:end])
    if not over:
        return text
    title = escape(" / ".join(f"{names(graph)[m[2]]}, {graph['entities'][m[2]]['type']}" for m in over))
    ended = ",".join(str(m[2]) for m in over if m[1] == end)
    ending = f"<sup>&thinsp;{ended}</sup>" if ended else ""
    style = f"background:{colour(over[0][2])};color:#111;padding:2px 0;border-radius:3px"
    return f'<mark style="{style}" title="{title}" data-entity="{over[0][2]}">{text}{ending}</mark>'


def legend(graph: Mapping[str, Any]) -> str:
    """The entities with their types as HTML, in their colours."""
    if not graph["entities"]:
        return "<p>The model finds no entities in this text.</p>"
    style = "color:#111;padding:2px 8px;border-radius:9px;margin:2px;display:inline-block"
    return "".join(
        f'<span style="background:{colour(number)};{style}">{escape(name)} · {escape(entity["type"])}</span>'
        for number, (name, entity) in enumerate(zip(names(graph), graph["entities"], strict=True))
    )


def relation_rows(graph: Mapping[str, Any]) -> list[list[Any]]:
    """Rows of the relation table, the surest first; sentences of the evidence are numbered from 1."""
    called = names(graph)
    rows = [
        [
            called[relation["head"]],
            relation.get("label") or relation["type"],
            called[relation["tail"]],
            None if relation.get("score") is None else round(relation["score"], 3),
            "\n".join(f"{number + 1}: {_sentence(graph, number)}" for number in relation.get("evidence") or ()),
        ]
        for relation in graph["relations"]
    ]
    return sorted(rows, key=lambda row: -(row[3] or 0))


def _sentence(graph: Mapping[str, Any], number: int) -> str:
    offsets = graph["token_offsets"][number]
    return " ".join(graph["text"][offsets[0][0] : offsets[-1][1]].split())


def read_entities(lines: str, text: str) -> list[dict[str, Any]]:
    """Entities that a user gives, one a line, as `type: name; other name`; each place of a name is a mention.

    Args:
        lines: the lines; empty ones are skipped.
        text: the text that the names stand in.

    Raises:
        ValueError: a line has another form, or a name does not stand in the text.
    """
    entities = []
    for line in filter(str.strip, lines.splitlines()):
        kind, colon, listed = line.partition(":")
        called = [name.strip() for name in listed.split(";") if name.strip()]
        if not (kind.strip() and colon and called):
            raise ValueError(f"the entity line {line.strip()!r} is not of the form `type: name; other name`")
        entities.append({"type": kind.strip(), "mentions": _places(called, text)})
    return entities


def _places(called: list[str], text: str) -> list[dict[str, int]]:
    """Where the names stand as whole words, longer names first, none inside another."""
    for name in called:
        if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
            raise ValueError(f"the entity name {name!r} does not stand in the text; give it as it is written there")
    longest = sorted(map(re.escape, called), key=len, reverse=True)
    found = re.finditer(rf"(?<!\w)(?:{'|'.join(longest)})(?!\w)", text)
    return [{"char_start": match.start(), "char_end": match.end()} for match in found]
