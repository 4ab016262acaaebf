"""The picture of precision and recall: where the curve goes, and which thresholds are written."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from modeling_docre.hub.precision_recall_svg import LEFT, SIZE, TOP, draw_curve

SVG = "{http://www.w3.org/2000/svg}"


def test_the_curve_is_at_its_places():
    rows = [(0.05, 0.25, 1.0), (0.1, 0.5, 0.8), (0.15, 0.5, 0.6), (0.32, 0.75, 0.2), (0.9, 0.0, 0.0)]
    root = ElementTree.fromstring(draw_curve(rows))
    points = [tuple(map(float, point.split(","))) for point in root.find(f"{SVG}polyline").get("points").split()]
    shares = [((x - LEFT) / SIZE, 1 - (y - TOP) / SIZE) for x, y in points]
    for (recall, precision), row in zip(shares, rows[:-1], strict=True):
        assert (precision, recall) == pytest.approx(row[1:], abs=0.001)
    marks = [(float(mark.get("cx")), float(mark.get("cy"))) for mark in root.iter(f"{SVG}circle")]
    assert marks == [points[1], points[3]], "the first threshold of each tenth"
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[-2:] == ["0.1", "0.3"] and {"precision", "recall"} <= set(texts)


def test_no_relation_at_all_is_an_empty_picture():
    root = ElementTree.fromstring(draw_curve([(0.5, 0.0, 0.0)]))
    assert root.find(f"{SVG}polyline").get("points") == "" and not list(root.iter(f"{SVG}circle"))
