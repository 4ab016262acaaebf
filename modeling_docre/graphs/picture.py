"""Draws a graph of entities and relations as an SVG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from colorsys import hls_to_rgb
from html import escape
from typing import Any, NamedTuple

import networkx as nx

from .names import names
from .printable import printable

HEIGHT = 30  # of a box
CHARACTER = 7.2  # width of a character in a box
LABEL = (6.2, 13.0)  # width of a character and height of a line at an arrow
STEP = (230.0, 120.0)  # distance of neighbours
MARGIN = 24.0
WIDTH = 900.0  # components are put side by side up to this width


class Arrow(NamedTuple):
    """A curve from head to tail with its control point, and the left, top, right and bottom of its labels."""

    points: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    labels: Sequence[str]
    area: tuple[float, float, float, float]


class Box(NamedTuple):
    """An entity in the picture: its centre, width and text."""

    x: float
    y: float
    width: float
    text: str

    @property
    def area(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        return self.x - self.width / 2, self.y - HEIGHT / 2, self.x + self.width / 2, self.y + HEIGHT / 2

    def border(self, x: float, y: float) -> tuple[float, float]:
        """Where the line from the centre to a point leaves the box."""
        dx, dy = x - self.x, y - self.y
        reach = max(abs(dx) / (self.width / 2), abs(dy) / (HEIGHT / 2), 1e-9)
        return self.x + dx / reach, self.y + dy / reach


def colour(entity: int) -> str:
    """A light colour for an entity as `#rrggbb`; consecutive numbers differ widely in hue."""
    channels = hls_to_rgb(entity * 137.508 % 360 / 360, (0.82, 0.74)[entity % 2], 0.75)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def draw_graph(graph: Mapping[str, Any]) -> str:
    """Draw a box per entity, and one arrow for all relations from a head to a tail.

    Args:
        graph: a document as the pipeline returns it.

    Returns:
        An `<svg>` element; without entities it contains a sentence that says so.
    """
    if not graph["entities"]:
        text = f'<text x="{MARGIN}" y="{2 * MARGIN}" font-size="13" fill="#111">There are no entities to draw.</text>'
        return _picture(0, 0, 280, 80, text)
    labels: dict[tuple[int, int], list[str]] = {}
    for relation in graph["relations"]:
        text = printable(relation.get("label") or relation["type"])
        labels.setdefault((relation["head"], relation["tail"]), []).append(text)
    boxes = place(list(labels), names(graph))
    arrows = [
        arrow(boxes[head], boxes[tail], texts, both_ways=(tail, head) in labels)
        for (head, tail), texts in labels.items()
    ]
    shapes = [_box(box, colour(number)) for number, box in boxes.items()]
    areas = [box.area for box in boxes.values()] + [arrow.area for arrow in arrows]
    left, top = (min(area[side] for area in areas) - MARGIN for side in (0, 1))
    right, bottom = (max(area[side] for area in areas) + MARGIN for side in (2, 3))
    return _picture(left, top, right - left, bottom - top, "".join([*map(_line, arrows), *shapes]))


def _picture(left: float, top: float, width: float, height: float, content: str) -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="graph" '
        f'viewBox="{left:.0f} {top:.0f} {width:.0f} {height:.0f}" '
        f'style="width:100%;max-width:{1.2 * width:.0f}px;background:#fff;border-radius:6px" font-family="sans-serif">'
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L10,5 L0,10 z" fill="#555"/></marker></defs>{content}</svg>'
    )


def place(pairs: Sequence[tuple[int, int]], texts: Sequence[str]) -> dict[int, Box]:
    """Place a box for each entity: connected entities near each other, components in rows, coordinates positive.

    Args:
        pairs: connected entities.
        texts: the text of each entity's box.
    """
    network = nx.Graph(pairs)
    network.add_nodes_from(range(len(texts)))
    boxes: dict[int, Box] = {}
    left, top, row = MARGIN, MARGIN, 0.0
    for component in sorted(nx.connected_components(network), key=lambda nodes: (-len(nodes), min(nodes))):
        placed = _place_component(network.subgraph(sorted(component)), texts)
        right = max(box.x + box.width / 2 for box in placed.values())
        height = max(box.y for box in placed.values()) + HEIGHT / 2
        if left > MARGIN and left + right > WIDTH:
            left, top, row = MARGIN, top + row + 40, 0.0
        boxes |= {number: box._replace(x=box.x + left, y=box.y + top) for number, box in placed.items()}
        left, row = left + right + 60, max(row, height)
    return boxes


def _place_component(nodes: nx.Graph, texts: Sequence[str]) -> dict[int, Box]:
    """Boxes whose left and upper edges begin at zero; distances in the picture follow those in the graph."""
    layout = nx.kamada_kawai_layout(nodes, pos=nx.circular_layout(nodes))
    extent = max((abs(layout[a][axis] - layout[b][axis]) for a in nodes for b in nodes for axis in (0, 1)), default=0.0)
    length = max(nx.diameter(nodes), len(nodes) ** 0.5) if len(nodes) > 1 else 0
    scale = length / extent if extent else 0.0
    boxes = {}
    for number in nodes:
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


def arrow(head: Box, tail: Box, labels: Sequence[str], both_ways: bool) -> Arrow:
    """A line from head to tail, bent if another one leads back, with its labels beside its middle."""
    bend = 0.18 if both_ways else 0.0
    x = (head.x + tail.x) / 2 - bend * (tail.y - head.y)
    y = (head.y + tail.y) / 2 + bend * (tail.x - head.x)
    points = head.border(x, y), (x, y), tail.border(x, y)
    size = LABEL[0] * max(map(len, labels)), LABEL[1] * len(labels)
    return Arrow(points, labels, _beside(curve(points), size))


def curve(points: Sequence[tuple[float, float]], parts: int = 20) -> list[tuple[float, float]]:
    """Points on a quadratic curve, evenly spaced in its parameter."""
    (x1, y1), (x, y), (x2, y2) = points
    steps = [part / parts for part in range(parts + 1)]
    return [
        ((1 - t) ** 2 * x1 + 2 * t * (1 - t) * x + t**2 * x2, (1 - t) ** 2 * y1 + 2 * t * (1 - t) * y + t**2 * y2)
        for t in steps
    ]


def _beside(line: Sequence[tuple[float, float]], size: tuple[float, float]) -> tuple[float, float, float, float]:
    """The area for a text of that width and height: near the middle of a line, covering as little of it as possible."""
    (x, y), (width, height) = line[len(line) // 2], size
    corners = [
        (left, top) for left in (x - width / 2, x + 4, x - 4 - width) for top in (y - 4 - height, y + 4, y - height / 2)
    ]
    areas = [(left, top, left + width, top + height) for left, top in corners]
    return min(areas, key=lambda area: sum(area[0] < px < area[2] and area[1] < py < area[3] for px, py in line))


def _line(arrow: Arrow) -> str:
    (x1, y1), (x, y), (x2, y2) = arrow.points
    left, top, right, _ = arrow.area
    labels = "".join(
        f'<text x="{(left + right) / 2:.1f}" y="{top + LABEL[1] * number + 10:.1f}" text-anchor="middle" '
        f'font-size="11" fill="#222" stroke="#fff" stroke-width="4" paint-order="stroke">{escape(label)}</text>'
        for number, label in enumerate(arrow.labels)
    )
    path = f"M{x1:.1f},{y1:.1f} Q{x:.1f},{y:.1f} {x2:.1f},{y2:.1f}"
    return f'<path d="{path}" fill="none" stroke="#777" stroke-width="1.4" marker-end="url(#tip)"/>{labels}'
