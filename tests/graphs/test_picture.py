"""The picture of a graph: what is in it, and that nothing covers anything else."""

from __future__ import annotations

from xml.etree import ElementTree

from graphs import graph

from modeling_docre.graphs.picture import HEIGHT, draw_graph, place


def test_the_picture_is_one_of_the_relations():
    svg = draw_graph(graph())
    root = ElementTree.fromstring(svg)
    texts = [item.text for item in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(texts) == ["Ada Lovelace [0]", "London [2]", "P1", "home", "place of birth"]
    assert len(root.findall("{http://www.w3.org/2000/svg}path")) == 2, "an arrow for each direction"
    empty = ElementTree.fromstring(draw_graph(graph(relations=[])))
    assert "no relations" in "".join(empty.itertext())


def test_names_are_shown_as_far_as_a_picture_can_hold_them():
    odd = graph()
    odd["entities"][0]["mentions"][0]["name"] = "<Ada>\x00\x1b & \uffff"
    root = ElementTree.fromstring(draw_graph(odd))
    assert "<Ada>\ufffd\ufffd & \ufffd [0]" in [item.text for item in root.iter()]


def test_boxes_keep_apart_and_inside_the_picture():
    pairs = [(0, other) for other in range(1, 9)] + [(10, 11), (12, 13), (13, 14), (14, 12), (20, 21)]
    boxes = place(pairs, [f"an entity called {number}" for number in range(22)])
    assert set(boxes) == {number for pair in pairs for number in pair}
    listed = list(boxes.values())
    assert min(box.x - box.width / 2 for box in listed) >= 0 and min(box.y for box in listed) >= HEIGHT / 2
    for number, first in enumerate(listed):
        for second in listed[number + 1 :]:
            apart = abs(first.x - second.x) >= (first.width + second.width) / 2
            assert apart or abs(first.y - second.y) >= HEIGHT, (first, second)
