"""What the demo shows of a document's graph: the text with its mentions, a table, a picture; no user interface."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from numbers import Real
from typing import Any

from modeling_docre.graphs.names import names
from modeling_docre.graphs.picture import colour, draw_graph

COLUMNS = ("head", "relation", "tail", "score", "evidence")
LEAST = 0.05  # relations that score less are not even kept for the slider


def page(graph: Mapping[str, Any]) -> str:
    """All of a graph as one piece of HTML; pointing at a relation marks its sentences and entities in the text."""
    size = f"{counted(len(graph['entities']), 'entity')}, {counted(len(graph['relations']), 'relation')}"
    parts = (
        f'<div role="status"><h2>{size}</h2></div>',
        highlighted(graph),
        legend(graph),
        relation_table(graph),
        picture(graph),
    )
    return f'<style>\n{_pointing(graph)}\n</style><div class="docre">{"".join(parts)}</div>'


def counted(count: int, word: str) -> str:
    """A number with its noun, such as "1 entity" and "2 entities"."""
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{count} {word if count == 1 else plural}"


def picture(graph: Mapping[str, Any]) -> str:
    """The graph as an SVG picture that a narrow page scrolls instead of making its letters too small to read."""
    if not graph["entities"]:
        return ""
    drawn = draw_graph(graph)
    width = re.search(r'viewBox="\S+ \S+ (\d+)', drawn)[1]
    described = f'style="--wide:{width}px" tabindex="0" role="group" aria-label="Picture of the graph"'
    return f'<div class="picture" {described}>{drawn}</div>'


def hint(message: str) -> str:
    """What is wrong with the input, in place of a graph."""
    return f'<div class="docre"><p class="hint" role="status">{escape(message)}</p></div>'


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
    """The relations as an HTML table, the surest first."""
    if not graph["relations"]:
        return "<p>No relation scores as high as asked for.</p>" if graph["entities"] else ""
    return table(COLUMNS, relation_rows(graph), "relations", pointed=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], name: str, pointed: bool = False) -> str:
    """An HTML table; a narrow page shows each row as a block, for which the roles are written out.

    Args:
        columns: their headings.
        rows: the cells; numbers are rounded to two places.
        name: what the table holds, also its class.
        pointed: whether rows can have the focus, so that what they name is marked in the text.
    """
    head = "".join(f'<th scope="col" role="columnheader">{column}</th>' for column in columns)
    body = "".join(
        f'<tr role="row"{_focus(number) if pointed else ""}>{"".join(map(_cell, columns, row))}</tr>'
        for number, row in enumerate(rows)
    )
    return (
        f'<table class="{name}" role="table" aria-label="{name}"><thead role="rowgroup"><tr role="row">{head}</tr>'
        f'</thead><tbody role="rowgroup">{body}</tbody></table>'
    )


def _focus(relation: int) -> str:
    return f' tabindex="0" data-relation="{relation}"'


def _cell(column: str, value: Any) -> str:
    shown = "" if value is None else f"{value:.2f}" if isinstance(value, float) else escape(str(value))
    return f'<td role="cell" data-column="{column}"><bdi>{shown}</bdi></td>'


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


class Thresholds:
    """The least scores of a relation that a model knows."""

    def __init__(self, config: Any):
        own = config.traits.relation_cut.threshold
        # Types with thresholds of their own have no common one.
        self.own = float(own) if isinstance(own, Real) else None
        self.named = {} if self.own is None else {str(name): float(value) for name, value in config.named_thresholds}

    @property
    def lowest(self) -> float | None:
        """What an extraction asks for, so that the slider can show more without another one."""
        return None if self.own is None else min(LEAST, self.own, *self.named.values())

    def exact(self, place: float) -> float | None:
        """The score that a place of the slider means: at the rounded place of a threshold, the threshold."""
        if self.own is None:
            return None
        return {round(value, 2): value for value in (*self.named.values(), self.own)}.get(round(place, 2), place)
