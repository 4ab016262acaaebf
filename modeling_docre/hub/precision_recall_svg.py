"""Draws the precision and recall of a model's relations by threshold as an SVG picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

SIZE = 360.0
LEFT, TOP, BOTTOM = 52.0, 14.0, 44.0
LABELLED = 0.1  # distance of the thresholds that are written at the curve

_COLOUR = "#1f5fa8"


def draw_curve(curve: Sequence[tuple[float, float, float]]) -> str:
    """Precision over recall, from threshold to threshold, some of which are written at their places.

    Args:
        curve: rows of threshold, precision and recall, ascending by threshold. Rows without any recall are left out:
            they have no precision.

    Returns:
        An `<svg>` element.
    """
    width, height = LEFT + SIZE + 20, TOP + SIZE + BOTTOM
    points = [(threshold, _place(precision, recall)) for threshold, precision, recall in curve if recall > 0]
    line = " ".join(f"{x:.1f},{y:.1f}" for _, (x, y) in points)
    parts = [*_axes(), f'<polyline points="{line}" fill="none" stroke="{_COLOUR}" stroke-width="2"/>']
    for (before, _), (threshold, (x, y)) in pairwise([(0.0, (0.0, 0.0)), *points]):
        if int(threshold / LABELLED + 1e-9) > int(before / LABELLED + 1e-9):
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_COLOUR}"/>')
            parts.append(f'<text x="{x + 6:.1f}" y="{y - 6:.1f}" font-size="11">{threshold:.1f}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="precision over recall" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" font-family="sans-serif" '
        f'fill="#222"><rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _place(precision: float, recall: float) -> tuple[float, float]:
    return LEFT + SIZE * recall, TOP + SIZE * (1 - precision)


def _axes() -> list[str]:
    """Lines and numbers at each fifth, and what the axes are."""
    parts = []
    for step in range(6):
        share = step / 5
        x, y = _place(share, share)
        parts.append(f'<path d="M{LEFT},{y:.1f} h{SIZE} M{x:.1f},{TOP} v{SIZE}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" font-size="11" text-anchor="end">{share:g}</text>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + SIZE + 16}" font-size="11" text-anchor="middle">{share:g}</text>')
    middle = TOP + SIZE / 2
    parts.append(
        f'<text x="{LEFT + SIZE / 2}" y="{TOP + SIZE + 36}" font-size="13" text-anchor="middle">recall</text>'
        f'<text x="14" y="{middle}" font-size="13" text-anchor="middle" transform="rotate(-90 14 {middle})">precision'
        "</text>"
    )
    return parts
