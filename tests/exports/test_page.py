"""The page of a graph: its data, its places, and in a browser that nothing in a text becomes code."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from chromium import chromium
from exported import odd_graph, texts
from hatchling.builders.wheel import WheelBuilder

from modeling_docre.exports.graph import PlainGraph, graph_of
from modeling_docre.exports.layout import LEAST, place_nodes
from modeling_docre.exports.page import MOST_NODES, page_data, to_page
from modeling_docre.graphs.elements import Edge, Evidence, Member, Node, Support
from modeling_docre.graphs.printable import printable

GRAPH = odd_graph()


class Parts(HTMLParser):
    """The contents of a page's elements by tag, and all attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.contents: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.contents.setdefault(tag, []).append("")
        self.attributes += attrs

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open:
            self.contents[self.open[-1]][-1] += data


def random_graph(nodes: int, edges: int) -> PlainGraph:
    random = np.random.default_rng(0)
    kinds = [f"T{number % 11}" for number in range(nodes)]
    made = [
        Node(f"d#{n}", f"Node {n}", kinds[n], (f"Node {n}",), (), 1, 1, None, (Member("d", n),)) for n in range(nodes)
    ]
    pairs = random.integers(0, nodes, (edges, 2)).tolist()
    support = (Support("d", 0, 1, None, (Evidence(0, "Node 1 met Node 2 ."),)),)
    linked = [Edge(f"d#{head}", f"d#{tail}", "met", "met", None, 1, None, None, support) for head, tail in pairs]
    return PlainGraph(tuple(made), tuple(linked))


def test_the_page_holds_the_graph_and_needs_nothing_else():
    page = Parts(to_page(GRAPH, "A <title> & more"))
    data, script = page.contents["script"]
    assert json.loads(data) == page_data(GRAPH)
    assert page.contents["title"] == page.contents["h1"] == ["A <title> & more"]
    assert len(page.contents["script"]) == 2 and "b" not in page.contents
    assert not {"src", "href", "style", "onclick", "onload"} & {name for name, _ in page.attributes}
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-\S+'; script-src 'sha256-\S+'", policy)
    assert "innerHTML" not in script and "http" not in script


def test_a_page_inside_another_one_has_its_colours():
    for scheme, query in (("light dark", "(prefers-color-scheme: dark)"), ("light", "not all"), ("dark", "all")):
        page = Parts(to_page(GRAPH, scheme=scheme))
        assert f"@media {query} {{" in page.contents["style"][0] and ("content", scheme) in page.attributes
    with pytest.raises(ValueError, match="scheme is 'blue'; give one of 'light dark', 'light', 'dark'"):
        to_page(GRAPH, scheme="blue")


def test_the_wheel_holds_the_parts_of_the_page():
    builder = WheelBuilder(str(Path(__file__).resolve().parents[2]))
    paths = {Path(item.distribution_path).as_posix() for item in builder.recurse_included_files()}
    assert {f"modeling_docre/exports/page.{kind}" for kind in ("html", "css", "js")} <= paths


def test_the_data_show_each_relation_with_its_sentences():
    data = page_data(GRAPH)
    assert data["types"] == ["LOC, city", "PER"]
    for node, shown in zip(GRAPH.nodes, data["nodes"], strict=True):
        assert shown["name"] == printable(node.name) and data["types"][shown["type"]] == printable(node.type)
    for edge, shown in zip(GRAPH.edges, data["edges"], strict=True):
        assert (GRAPH.nodes[shown["head"]].id, GRAPH.nodes[shown["tail"]].id) == (edge.head, edge.tail)
        sentences = [[[item.sentence, printable(item.text)] for item in support.evidence] for support in edge.support]
        assert [support["sentences"] for support in shown["support"]] == sentences


def test_places_are_apart_and_the_same_each_time():
    for graph in (random_graph(120, 100), random_graph(700, 900), graph_of(*texts())):
        places = place_nodes(graph)
        assert places.shape == (len(graph.nodes), 2) and places.min() >= 0
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(len(places)) * LEAST
        assert np.quantile(distances.min(axis=0), 0.05) > 0.5 * LEAST
        assert np.array_equal(places, place_nodes(graph))
    assert place_nodes(PlainGraph()).shape == (0, 2)


def test_a_graph_that_no_page_can_show_is_refused():
    node = GRAPH.nodes[1]
    many = tuple(replace(node, id=str(number)) for number in range(MOST_NODES + 1))
    with pytest.raises(ValueError, match=r"the graph has 3001 nodes and a page shows 3000 at most; .* --top"):
        to_page(PlainGraph(many))


@pytest.mark.browser
def test_the_page_in_a_browser(tmp_path):
    from playwright.sync_api import sync_playwright

    (tmp_path / "odd.html").write_text(to_page(GRAPH), encoding="utf-8")
    (tmp_path / "many.html").write_text(to_page(random_graph(500, 900)), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        complaints = []
        tab = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: complaints.append(request.url) if "file:" not in request.url else None)
        tab.goto((tmp_path / "odd.html").as_uri())
        assert tab.locator("#size").inner_text() == "3 entities, 3 relations"
        tab.locator("#search").fill("o'neil deja")
        tab.keyboard.press("Enter")
        assert tab.locator("#details h2").inner_text() == printable(GRAPH.nodes[0].name)
        tab.locator("#details li button").first.press("Enter")
        assert tab.locator("#details blockquote").count() == 3
        assert (
            tab.locator("mark.tail").first.inner_text() == "London" and "Ada" in tab.locator("mark").all_inner_texts()
        )
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.set_viewport_size({"width": 1280, "height": 800})
        tab.goto((tmp_path / "many.html").as_uri())
        tab.locator("#search").fill("node 499")
        assert tab.locator("#results li").count() == 1 and "1 hit" in tab.locator("#count").inner_text()
        tab.locator("#results button").first.click()
        box = tab.locator("#canvas").bounding_box()
        before = tab.locator("#canvas").screenshot()
        tab.locator("#canvas").focus()
        tab.keyboard.press("0")
        tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tab.mouse.wheel(0, -300)
        tab.wait_for_timeout(100)
        assert tab.locator("#canvas").screenshot() != before
        tab.keyboard.press("Escape")
        assert "Choose an entity" in tab.locator("#details").inner_text()
        browser.close()
    assert not complaints
