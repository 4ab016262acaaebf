"""The picture of a graph: what is in it, that nothing covers anything else, and that any viewer can show it."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from graphs import graph

from modeling_docre.graphs.picture import HEIGHT, Box, arrow, colour, curve, draw_graph, place

SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_is_one_of_the_entities_and_relations():
    root = ElementTree.fromstring(draw_graph(graph()))
    texts = [item.text for item in root.iter(f"{SVG}text")]
    assert sorted(texts) == ["Ada Lovelace [0]", "Ada [1]", "London [2]", "P1", "home", "place of birth"]
    assert len(root.findall(f"{SVG}path")) == 2, "an arrow for each direction"
    alone = ElementTree.fromstring(draw_graph(graph(relations=[])))
    assert len(alone.findall(f"{SVG}rect")) == 3 and not alone.findall(f"{SVG}path")
    empty = ElementTree.fromstring(draw_graph(graph(entities=[], relations=[])))
    assert "no entities" in "".join(empty.itertext())


def test_texts_are_shown_as_far_as_a_picture_can_hold_them():
    odd = graph()
    odd["entities"][0]["mentions"][0]["name"] = "<Ada>\x00\x1b & \uffff"
    odd["relations"][0]["label"] = "</text><script>\n\x1b[31m\u202e\ud800"
    svg = draw_graph(odd)
    texts = [item.text for item in ElementTree.fromstring(svg).iter()]
    assert (
        "<Ada>\ufffd\ufffd & \ufffd [0]" in texts and "</text><script>" in texts and "\ufffd[31m\ufffd\ufffd" in texts
    )
    assert "<script" not in svg and svg.encode()


def test_every_colour_is_a_hex_value():
    """Other forms are black outside browsers."""
    root = ElementTree.fromstring(draw_graph(graph()))
    values = {item.get(name) for item in root.iter() for name in ("fill", "stroke") if item.get(name)} - {"none"}
    values |= set(re.findall(r"background:([^;]+)", root.get("style")))
    assert len(values) > 5 and all(re.fullmatch(r"#[0-9a-f]{3}([0-9a-f]{3})?", value) for value in values), values
    colours = [colour(number) for number in range(40)]
    assert len(set(colours)) == 40
    assert all(sum(int(value[place : place + 2], 16) for place in (1, 3, 5)) > 400 for value in colours), "dark text"
    assert all(first[1:3] != second[1:3] or first[5:] != second[5:] for first, second in pairwise(colours))


def test_labels_stand_beside_their_arrow_and_inside_the_picture():
    labels = ["place of birth", "a rather long label of a relation"]
    for x, y in ((300, 0), (-300, 0), (0, 240), (0, -240), (230, 120), (-230, 120), (230, -120), (400, 40), (120, 300)):
        for both_ways in (False, True):
            drawn = arrow(Box(0, 0, 80, "head"), Box(x, y, 80, "tail"), labels, both_ways)
            left, top, right, bottom = drawn.area
            assert not [p for p in curve(drawn.points, 50) if left < p[0] < right and top < p[1] < bottom], (x, y)
    many = graph(relations=[{"head": 0, "tail": 2, "type": f"a label of a relation {n}"} for n in range(12)])
    root = ElementTree.fromstring(draw_graph(many))
    left, top, width, height = map(float, root.get("viewBox").split())
    for text in root.iter(f"{SVG}text"):
        assert left < float(text.get("x")) < left + width and top < float(text.get("y")) - 10
        assert float(text.get("y")) < top + height


def test_boxes_keep_apart_and_inside_the_picture():
    pairs = [(0, other) for other in range(1, 9)] + [(10, 11), (12, 13), (13, 14), (14, 12), (20, 21)]
    boxes = place(pairs, [f"an entity called {number}" for number in range(22)])
    assert set(boxes) == set(range(22))
    listed = list(boxes.values())
    assert min(box.x - box.width / 2 for box in listed) >= 0 and min(box.y for box in listed) >= HEIGHT / 2
    for number, first in enumerate(listed):
        for second in listed[number + 1 :]:
            apart = abs(first.x - second.x) >= (first.width + second.width) / 2
            assert apart or abs(first.y - second.y) >= HEIGHT, (first, second)


def test_long_labels_are_broken_and_cover_neither_edges_nor_boxes():
    label = "located in the administrative territorial entity of the country"
    drawn = draw_graph(graph(relations=[{"head": 0, "tail": 2, "type": "P131", "label": label}]))
    root = ElementTree.fromstring(drawn)
    lines = [item.text for item in root.iter(f"{SVG}tspan")]
    ends = [
        tuple(map(float, point.split(","))) for point in root.find(f"{SVG}path").get("d")[1:].replace("Q", "").split()
    ]
    (x1, y1), (x, y), (x2, y2) = ends
    assert abs((x - x1) * (y2 - y1) - (y - y1) * (x2 - x1)) < 0.02 * ((x2 - x1) ** 2 + (y2 - y1) ** 2), (
        "a straight line"
    )
    assert " ".join(lines) == label and len(lines) > 2 and max(map(len, lines)) <= 20
    boxes = [Box(0, 0, 120, "head"), Box(230, 0, 120, "tail"), Box(115, -40, 150, "above")]
    for labels in ([label], ["home", "birth"]):
        left, top, right, bottom = arrow(*boxes[:2], labels, False, [boxes[2].area]).area
        assert not [p for p in curve([(60, 0), (115, 0), (170, 0)]) if left < p[0] < right and top < p[1] < bottom]
        for other in (box.area for box in boxes):
            assert not (left < other[2] and other[0] < right and top < other[3] and other[1] < bottom), (labels, other)


def test_names_of_other_scripts_have_their_direction_and_width():
    names = {"أحمد منصور": "rtl", "יעל": "rtl", "1. يناير": "rtl", "北京大学": None, "Köln": None, "2011": None}
    entities = [{"type": "X", "mentions": [{"name": name}]} for name in names]
    relations = [{"head": 0, "tail": 3, "type": "P1", "label": "وُلد في"}]
    root = ElementTree.fromstring(draw_graph({"entities": entities, "relations": relations}))
    shown = {item.text.split(" [")[0]: item.get("direction") for item in root.iter(f"{SVG}text")}
    assert shown == names | {"وُلد في": "rtl"}
    widths = [float(item.get("width")) for item in root.iter(f"{SVG}rect")]
    assert abs(widths[3] - widths[5] - 4 * 7.2) < 0.1, "four wide characters take eight columns"
