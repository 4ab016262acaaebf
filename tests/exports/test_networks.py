"""Networks and GraphML, read back by NetworkX."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import networkx as nx
from exported import element, odd_graph

from modeling_docre.exports.graph import PlainGraph
from modeling_docre.exports.networks import to_graphml, to_networkx
from modeling_docre.graphs.elements import Edge, Node

GRAPH = odd_graph()
LISTS = ("aliases", "concept_ids", "members", "support")


def elements(network: nx.MultiDiGraph) -> PlainGraph:
    """The graph of a network."""
    nodes = [element(Node, {"id": node} | values) for node, values in network.nodes(data=True)]
    edges = [element(Edge, {"head": head, "tail": tail} | values) for head, tail, values in network.edges(data=True)]
    return PlainGraph(tuple(nodes), tuple(edges))


def test_a_network_holds_the_graph():
    network = to_networkx(GRAPH)
    assert elements(network) == GRAPH
    assert network["a b/1#0"]["2#1"]["P19"]["documents"] == 2
    assert len(to_networkx(PlainGraph())) == 0


def test_graphml_is_read_back():
    read = nx.read_graphml(io.BytesIO(to_graphml(GRAPH).encode()), force_multigraph=True)
    assert len({key for *_, key in read.edges(keys=True)}) == len(GRAPH.edges)  # Gephi drops edges with equal ids
    for _, values in [*read.nodes(data=True), *((edge, values) for *edge, values in read.edges(data=True))]:
        values.update({key: json.loads(values[key]) for key in LISTS if key in values})
        values.pop("id", None)
    assert elements(read) == GRAPH
    assert len(nx.read_graphml(io.BytesIO(to_graphml(PlainGraph()).encode()))) == 0


def test_what_xml_cannot_hold_is_replaced():
    node = replace(GRAPH.nodes[1], id="\x00", name="a\x1bb\x0c\r\n\t")
    read = nx.read_graphml(io.BytesIO(to_graphml(PlainGraph((node,))).encode()))
    assert read.nodes["\ufffd"]["name"] == "a\ufffdb\ufffd\ufffd\n\t"
