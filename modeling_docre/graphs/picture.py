"""Draws a graph of entities and relations as an SVG picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape as escape_markup
from typing import Any, NamedTuple

import networkx as nx

# What XML 1.0 admits nowhere, not even escaped.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

HEIGHT = 30  # of a box
CHARACTER = 7.2  # width of a character
STEP = (230.0, 120.0)  # distance of neighbours
MARGIN = 24.0
WIDTH = 900.0  # components are put side by side up to this width


def escape(text: str) -> str:
    """A text as it can stand in the picture."""
    return escape_markup(_NO_XML.sub("\ufffd", text))


class Box(NamedTuple):
    """An entity in the picture: its centre, its width, and what stands in it."""

    x: float
    y: float
    width: float
    text: str

    def border(self, x: float, y: float) -> tuple[float, float]:
        """Where the line from the centre to a point leaves the box."""
        dx, dy = x - self.x, y - self.y
        reach = max(abs(dx) / (self.width / 2), abs(dy) / (HEIGHT / 2), 1e-9)
        return self.x + dx / reach, self.y + dy / reach


def colour(entity: int) -> str:
    """A light colour for an entity; neighbours in number are far apart in hue."""
    return f"hsl({entity * 137.508 % 360:.0f} 75% {(82, 74)[entity % 2]}%)"


def names(graph: Mapping[str, Any]) -> list[str]:
    """Each entity by the text of its first mention, with its number, since two may share a text."""
    return [
        f"{' '.join((entity['mentions'][0].get('name') or '').split())} [{number}]"
        for number, entity in enumerate(graph["entities"])
    ]


def draw_graph(graph: Mapping[str, Any]) -> str:
    """The entities that have relations, and one arrow for all relations from a head to a tail.

    Args:
        graph: a document as the pipeline returns it.

    Returns:
        An `<svg>` element; where there is nothing to draw, with a sentence that says so.
    """
    if not graph["relations"]:
        text = f'<text x="{MARGIN}" y="{2 * MARGIN}" font-size="13" fill="#111">There are no relations to draw.</text>'
        return _picture(280, 80, text)
    arrows: dict[tuple[int, int], list[str]] = {}
    for relation in graph["relations"]:
        arrows.setdefault((relation["head"], relation["tail"]), []).append(relation.get("label") or relation["type"])
    boxes = place(list(arrows), names(graph))
    lines = [
        _arrow(boxes[head], boxes[tail], labels, both_ways=(tail, head) in arrows)
        for (head, tail), labels in arrows.items()
    ]
    shapes = [_box(box, colour(number)) for number, box in boxes.items()]
    width = max(box.x + box.width / 2 for box in boxes.values()) + MARGIN
    height = max(box.y for box in boxes.values()) + HEIGHT / 2 + MARGIN
    return _picture(width, height, "".join([*lines, *shapes]))


def _picture(width: float, height: float, content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="graph" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="width:100%;max-width:{1.2 * width:.0f}px;background:#fff;border-radius:6px" font-family="sans-serif">'
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L10,5 L0,10 z" fill="#555"/></marker></defs>{content}</svg>'
    )


def place(pairs: Sequence[tuple[int, int]], texts: Sequence[str]) -> dict[int, Box]:
    """A box for each entity of the pairs: connected entities near each other, components in rows, no negative place."""
    whole = nx.Graph(pairs)
    boxes: dict[int, Box] = {}
    left, top, row = MARGIN, MARGIN, 0.0
    for part in sorted(nx.connected_components(whole), key=lambda part: (-len(part), min(part))):
        placed = _place_component(whole.subgraph(sorted(part)), texts)
        right = max(box.x + box.width / 2 for box in placed.values())
        height = max(box.y for box in placed.values()) + HEIGHT / 2
        if left > MARGIN and left + right > WIDTH:
            left, top, row = MARGIN, top + row + 40, 0.0
        boxes |= {number: box._replace(x=box.x + left, y=box.y + top) for number, box in placed.items()}
        left, row = left + right + 60, max(row, height)
    return boxes


def _place_component(part: nx.Graph, texts: Sequence[str]) -> dict[int, Box]:
    """Boxes whose left and upper ends touch zero; distances in the picture follow those in the graph."""
    layout = nx.kamada_kawai_layout(part, pos=nx.circular_layout(part))
    far = max((abs(layout[a][axis] - layout[b][axis]) for a in part for b in part for axis in (0, 1)), default=0.0)
    length = max(nx.diameter(part), len(part) ** 0.5) if len(part) > 1 else 0
    scale = length / far if far else 0.0
    boxes = {}
    for number in part:
        text = texts[number] if len(texts[number]) <= 28 else f"{texts[number][:27]}…"
        x, y = (float(layout[number][axis]) * scale * STEP[axis] for axis in (0, 1))
        boxes[number] = Box(x, y, CHARACTER * len(text) + 22, text)
    left = min(box.x - box.width / 2 for box in boxes.values())
    top = min(box.y - HEIGHT / 2 for box in boxes.values())
    return {number: box._replace(x=box.x - left, y=box.y - top) for number, box in boxes.items()}


def _box(box: Box, fill: str) -> str:
    x, y = box.x - box.width / 2, box.y - HEIGHT / 2
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{HEIGHT}" rx="8" fill="{fill}" stroke="#444"/>'
        f'<text x="{box.x:.1f}" y="{box.y + 5:.1f}" text-anchor="middle" font-size="13" fill="#111">'
        f"{escape(box.text)}</text>"
    )


def _arrow(head: Box, tail: Box, labels: Sequence[str], both_ways: bool) -> str:
    """A line from head to tail, bent where another one comes back, and the labels at its middle."""
    bend = 0.18 if both_ways else 0.0
    x = (head.x + tail.x) / 2 - bend * (tail.y - head.y)
    y = (head.y + tail.y) / 2 + bend * (tail.x - head.x)
    (x1, y1), (x2, y2) = head.border(x, y), tail.border(x, y)
    path = f"M{x1:.1f},{y1:.1f} Q{x:.1f},{y:.1f} {x2:.1f},{y2:.1f}"
    middle = (x1 + 2 * x + x2) / 4, (y1 + 2 * y + y2) / 4
    first = middle[1] - 6 * (len(labels) - 1) + 3
    written = "".join(
        f'<text x="{middle[0]:.1f}" y="{first + 13 * number:.1f}" text-anchor="middle" font-size="11" fill="#222" '
        f'stroke="#fff" stroke-width="4" paint-order="stroke">{escape(label)}</text>'
        for number, label in enumerate(labels)
    )
    return f'<path d="{path}" fill="none" stroke="#777" stroke-width="1.4" marker-end="url(#tip)"/>{written}'
