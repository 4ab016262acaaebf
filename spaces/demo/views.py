"""What the demo shows of a graph: the text with its mentions, its relations, and files of both; no user interface."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from html import escape
from itertools import pairwise
from typing import Any

from modeling_docre.graphs.names import names
from modeling_docre.graphs.picture import colour, draw_graph

COLUMNS = ("head", "relation", "tail", "score", "evidence")
STYLE = """
.docre { color: var(--body-text-color, #111); }
.docre .highlighted { line-height: 2.1; overflow-wrap: break-word; }
.docre mark { color: #111; padding: 2px 0; border-radius: 3px; }
.docre .entity { color: #111; padding: 2px 8px; border-radius: 9px; margin: 2px; display: inline-block; }
.docre .hint { padding: 1em; border-inline-start: 4px solid #d9a400; background: #d9a40022; }
.docre table { border-collapse: collapse; width: 100%; margin: 1em 0; }
.docre th, .docre td { text-align: start; vertical-align: top; padding: .4em .6em; border-bottom: 1px solid #8886; }
.docre td { overflow-wrap: break-word; }
.docre tbody tr:is(:hover, :focus) { background: #8883; }
@media (max-width: 600px) {
  .docre thead { position: absolute; clip-path: inset(50%); }
  .docre tbody tr { display: block; padding: .5em 0; border-bottom: 1px solid #8886; }
  .docre tbody td { display: grid; grid-template-columns: 6em 1fr; padding: .1em .4em; border: 0; }
  .docre tbody td::before { content: attr(data-column); opacity: .75; }
}
"""


def page(graph: Mapping[str, Any]) -> str:
    """All of a graph as one piece of HTML; pointing at a relation marks its sentences and entities in the text."""
    parts = (highlighted(graph), legend(graph), relation_table(graph), draw_graph(graph))
    return f'<style>{STYLE}{_pointing(graph)}</style><div class="docre">{"".join(parts)}</div>'


def hint(message: str) -> str:
    """What is wrong with the input, in place of a graph."""
    return f'<style>{STYLE}</style><div class="docre"><p class="hint" role="status">{escape(message)}</p></div>'


def _pointing(graph: Mapping[str, Any]) -> str:
    """Rules that mark a relation's evidence and entities while its row is pointed at or has the focus."""
    rules = []
    for number, relation in enumerate(_by_score(graph)):
        row = f'.docre:has([data-relation="{number}"]:is(:hover, :focus))'
        sentences = ", ".join(f'[data-sentence="{sentence}"]' for sentence in relation.get("evidence") or ())
        ends = ", ".join(f'mark[data-entity="{relation[end]}"]' for end in ("head", "tail"))
        rules.append(f"{row} :is({ends}) {{ outline: 2px solid #c60; }}")
        if sentences:
            rules.append(f"{row} :is({sentences}) {{ background: #ffd54f66; }}")
    return "\n".join(rules)


def _by_score(graph: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(graph["relations"], key=lambda relation: -(relation.get("score") or 0))


def highlighted(graph: Mapping[str, Any]) -> str:
    """The text as HTML; a mention has its entity's colour and, at its end, the entity's number.

    Where mentions overlap, the shortest one gives the colour, and all their numbers are there.
    """
    body = "".join(_sentences(graph)).replace("\n", "<br>")
    return f'<div class="highlighted" dir="auto">{body}</div>'


def _sentences(graph: Mapping[str, Any]) -> Iterator[str]:
    """The text's sentences and what lies between them."""
    mentions = [
        (mention["char_start"], mention["char_end"], number)
        for number, entity in enumerate(graph["entities"])
        for mention in entity["mentions"]
    ]
    end = 0
    for number, words in enumerate(graph["token_offsets"]):
        if words:
            yield escape(graph["text"][end : words[0][0]])
            start, end = words[0][0], words[-1][1]
            yield f'<span data-sentence="{number}">{_marked(graph, mentions, start, end)}</span>'
    yield escape(graph["text"][end:])


def _marked(graph: Mapping[str, Any], mentions: list[tuple[int, int, int]], start: int, end: int) -> str:
    """A sentence with its mentions."""
    borders = {border for first, last, _ in mentions for border in (first, last) if start < border < end}
    return "".join(_piece(graph, mentions, *span) for span in pairwise(sorted({start, end, *borders})))


def _piece(graph: Mapping[str, Any], mentions: list[tuple[int, int, int]], start: int, end: int) -> str:
    """A part of the text that no mention begins or ends inside."""
    over = sorted((m for m in mentions if m[0] <= start and end <= m[1]), key=lambda m: m[1] - m[0])
    text = escape(graph["text"][start:end])
    if not over:
        return text
    title = escape(" / ".join(f"{names(graph)[m[2]]}, {graph['entities'][m[2]]['type']}" for m in over))
    ended = ",".join(str(m[2]) for m in over if m[1] == end)
    ending = f"<sup>&thinsp;{ended}</sup>" if ended else ""
    shown = f'style="background:{colour(over[0][2])}" title="{title}" data-entity="{over[0][2]}"'
    return f"<mark {shown}>{text}{ending}</mark>"


def legend(graph: Mapping[str, Any]) -> str:
    """The entities with their types as HTML, in their colours."""
    if not graph["entities"]:
        return "<p>The model finds no entities in this text.</p>"
    spans = (
        f'<span class="entity" dir="auto" style="background:{colour(number)}">{escape(name)} · {escape(entity["type"])}'
        "</span>"
        for number, (name, entity) in enumerate(zip(names(graph), graph["entities"], strict=True))
    )
    return f"<p>{''.join(spans)}</p>"


def relation_table(graph: Mapping[str, Any]) -> str:
    """The relations as an HTML table, the surest first; a narrow page shows each row as a block."""
    if not graph["relations"]:
        return "<p>No relation scores as high as asked for.</p>" if graph["entities"] else ""
    head = "".join(f'<th scope="col">{column}</th>' for column in COLUMNS)
    rows = "".join(
        f'<tr tabindex="0" data-relation="{number}">{"".join(map(_cell, COLUMNS, row))}</tr>'
        for number, row in enumerate(relation_rows(graph))
    )
    return f'<table class="relations"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cell(column: str, value: Any) -> str:
    shown = "" if value is None else f"{value:.2f}" if isinstance(value, float) else escape(str(value))
    return f'<td data-column="{column}"><bdi>{shown}</bdi></td>'


def relation_rows(graph: Mapping[str, Any]) -> list[list[Any]]:
    """Rows of the relation table, the surest first; sentences of the evidence are numbered from 1."""
    called = names(graph)
    return [
        [
            called[relation["head"]],
            relation.get("label") or relation["type"],
            called[relation["tail"]],
            relation.get("score"),
            ", ".join(str(number + 1) for number in relation.get("evidence") or ()),
        ]
        for relation in _by_score(graph)
    ]


def as_csv(graph: Mapping[str, Any]) -> str:
    """The rows of the relation table as a CSV file."""
    file = io.StringIO()
    csv.writer(file).writerows([COLUMNS, *relation_rows(graph)])
    return file.getvalue()


def at_least(graph: Mapping[str, Any], score: float) -> dict[str, Any]:
    """The graph with the relations that score at least so much."""
    kept = [relation for relation in graph["relations"] if relation.get("score") is None or relation["score"] >= score]
    return {**graph, "relations": kept}


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
