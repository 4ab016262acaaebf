"""Draws a graph of entities and relations as an SVG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from colorsys import hls_to_rgb
from html import escape
from textwrap import wrap
from typing import Any, NamedTuple
from unicodedata import bidirectional

import networkx as nx
from rich.cells import cell_len

from .names import names
from .printable import printable, shorten

HEIGHT = 30  # of a box
CHARACTER = 7.2  # width of a character in a box; those of Chinese, Japanese and Korean take two
LABEL = (6.2, 13.0)  # width of a character and height of a line at an arrow
LONGEST = (28, 20)  # characters in a box, and in a line at an arrow
GAP = 3.0  # between the labels of an arrow
STEP = (230.0, 120.0)  # distance of neighbours
MARGIN = 24.0
WIDTH = 900.0  # components are put side by side up to this width


Area = tuple[float, float, float, float]
"""Left, top, right and bottom."""
Points = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
"""Both ends of a curve around its control point."""


class Arrow(NamedTuple):
    """A curve from head to tail with its control point, the lines of each label, and the area of the labels."""

    points: Points
    labels: Sequence[Sequence[str]]
    area: Area


class Box(NamedTuple):
    """An entity in the picture: its centre, width and text."""

    x: float
    y: float
    width: float
    text: str

    @property
    def area(self) -> Area:
        """What it covers."""
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
    areas, arrows = [box.area for box in boxes.values()], []
    bows = [bow(boxes[head], boxes[tail], (tail, head) in labels) for head, tail in labels]
    dots = [(x - 3, y - 3, x + 3, y + 3) for points in bows for x, y in curve(points)]
    for (head, tail), texts in labels.items():
        arrows.append(arrow(boxes[head], boxes[tail], texts, (tail, head) in labels, [*areas, *dots]))
        areas.append(arrows[-1].area)
    shapes = [_box(box, colour(number)) for number, box in boxes.items()]
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
        text = shorten(texts[number], LONGEST[0])
        x, y = (float(layout[number][axis]) * scale * STEP[axis] for axis in (0, 1))
        boxes[number] = Box(x, y, CHARACTER * cell_len(text) + 22, text)
    left = min(box.x - box.width / 2 for box in boxes.values())
    top = min(box.y - HEIGHT / 2 for box in boxes.values())
    return {number: box._replace(x=box.x - left, y=box.y - top) for number, box in boxes.items()}


def _box(box: Box, fill: str) -> str:
    x, y = box.x - box.width / 2, box.y - HEIGHT / 2
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{HEIGHT}" rx="8" fill="{fill}" stroke="#444"/>'
        f'<text x="{box.x:.1f}" y="{box.y + 5:.1f}" text-anchor="middle" font-size="13" fill="#111"'
        f"{_direction(box.text)}>{escape(box.text)}</text>"
    )


def _direction(text: str) -> str:
    """The attribute of a text that is read from right to left, by its first letter."""
    first = next((kind for kind in map(bidirectional, text) if kind in ("L", "R", "AL")), "L")
    return "" if first == "L" else ' direction="rtl"'


def arrow(head: Box, tail: Box, labels: Sequence[str], both_ways: bool, taken: Sequence[Area] = ()) -> Arrow:
    """A line from head to tail, bent if another one leads back, with its labels beside it.

    Args:
        head, tail: the boxes.
        labels: the labels; long ones are broken into lines.
        both_ways: whether another line leads back.
        taken: what the labels had better not cover.
    """
    points = bow(head, tail, both_ways)
    lines = [wrap(label, LONGEST[1]) or [""] for label in labels]
    height = LABEL[1] * sum(map(len, lines)) + GAP * (len(lines) - 1)
    size = LABEL[0] * max(cell_len(line) for label in lines for line in label), height
    # The labels of a bent line stand on its outer side, away from the line that leads back.
    outwards = (head.y - tail.y, tail.x - head.x) if both_ways else (0.0, 0.0)
    return Arrow(points, lines, _beside(curve(points), size, outwards, [head.area, tail.area, *taken]))


def bow(head: Box, tail: Box, both_ways: bool) -> Points:
    """Where a line leaves the head, its control point, and where it reaches the tail."""
    bend = 0.18 if both_ways else 0.0
    x = (head.x + tail.x) / 2 - bend * (tail.y - head.y)
    y = (head.y + tail.y) / 2 + bend * (tail.x - head.x)
    return head.border(x, y), (x, y), tail.border(x, y)


def curve(points: Sequence[tuple[float, float]], parts: int = 20) -> list[tuple[float, float]]:
    """Points on a quadratic curve, evenly spaced in its parameter."""
    (x1, y1), (x, y), (x2, y2) = points
    steps = [part / parts for part in range(parts + 1)]
    return [
        ((1 - t) ** 2 * x1 + 2 * t * (1 - t) * x + t**2 * x2, (1 - t) ** 2 * y1 + 2 * t * (1 - t) * y + t**2 * y2)
        for t in steps
    ]


def _beside(
    line: Sequence[tuple[float, float]],
    size: tuple[float, float],
    outwards: tuple[float, float],
    taken: Sequence[Area],
) -> Area:
    """The area for a text of that width and height: near the middle of a line, covering little of it and of others.

    Args:
        line: points on the line.
        size: width and height.
        outwards: direction in which the text stands, as seen from the middle of the line; zero for either side.
        taken: what the text had better not cover.
    """
    (width, height), beyond = size, HEIGHT / 2 + 6  # the far side of boxes on a level
    corners = [
        (left, top)
        for x, y in (line[len(line) * part // 20] for part in (10, 7, 13, 5, 15))
        for left in (x - width / 2, x + 4, x - 4 - width)
        for top in (y - 4 - height, y + 4, y - height / 2, y - beyond - height, y + beyond)
    ]
    middle_x, middle_y = line[len(line) // 2]
    areas = [
        (left, top, left + width, top + height)
        for left, top in corners
        if outwards[0] * (left + width / 2 - middle_x) + outwards[1] * (top + height / 2 - middle_y) >= 0
    ]

    def cost(area: Area) -> tuple[int, float]:
        covered = sum(area[0] < x < area[2] and area[1] < y < area[3] for x, y in line)
        return covered, sum(_overlap(area, other) for other in taken)

    return min(areas, key=cost)


def _overlap(one: Area, other: Area) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def _line(arrow: Arrow) -> str:
    (x1, y1), (x, y), (x2, y2) = arrow.points
    left, top, right, _ = arrow.area
    labels, height = "", top + 10
    for lines in arrow.labels:
        labels += _label((left + right) / 2, height, lines)
        height += LABEL[1] * len(lines) + GAP
    path = f"M{x1:.1f},{y1:.1f} Q{x:.1f},{y:.1f} {x2:.1f},{y2:.1f}"
    return f'<path d="{path}" fill="none" stroke="#777" stroke-width="1.4" marker-end="url(#tip)"/>{labels}'


def _label(x: float, y: float, lines: Sequence[str]) -> str:
    """A label whose first line stands at a height."""
    shown = escape(lines[0])
    if len(lines) > 1:
        steps = [0.0, *[LABEL[1]] * (len(lines) - 1)]
        shown = " ".join(
            f'<tspan x="{x:.1f}" dy="{step:.0f}">{escape(line)}</tspan>'
            for step, line in zip(steps, lines, strict=True)
        )
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-size="11" fill="#222" stroke="#fff" stroke-width="4" '
        f'paint-order="stroke"{_direction(lines[0])}>{shown}</text>'
    )
