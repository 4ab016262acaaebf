"""A graph for NetworkX, and in its file format GraphML."""

from __future__ import annotations

import re

import networkx as nx

from modeling_docre.document_parsing import to_plain

from .graph import Graph
from .tables import as_json

# What XML 1.0 cannot hold; a carriage return would come back as a line feed.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")


def to_networkx(graph: Graph) -> nx.MultiDiGraph:
    """The graph with the ids of its nodes and, as keys of edges, their types.

    Nodes have the attributes of `Node`, edges those of `Edge`, except for head and tail; lists and dicts are plain.
    What is absent is no attribute. Two edges with the same head, tail and type, which no graph of this package has,
    would get different keys.
    """
    network = nx.MultiDiGraph()
    for node in graph.nodes:
        network.add_node(node.id, **_without(to_plain(node), "id"))
    for edge in graph.edges:
        network.add_edge(edge.head, edge.tail, key=edge.type, **_without(to_plain(edge), "head", "tail"))
    return network


def to_graphml(graph: Graph) -> str:
    """The network as GraphML, which Gephi, Cytoscape, yEd and igraph read, too.

    GraphML knows no lists: aliases, concept ids, members and support are JSON in a string. U+FFFD replaces control
    characters, which XML cannot hold.
    """
    network, flat = to_networkx(graph), nx.MultiDiGraph()
    for node, attributes in network.nodes(data=True):
        flat.add_node(_xml(node), **_flat(attributes))
    for number, (head, tail, attributes) in enumerate(network.edges(data=True)):
        flat.add_edge(_xml(head), _xml(tail), key=f"e{number}", **_flat(attributes))
    return "\n".join(nx.generate_graphml(flat)) + "\n"


def _without(record: dict, *keys: str) -> dict:
    return {key: value for key, value in record.items() if key not in keys}


def _flat(attributes: dict) -> dict:
    """Attributes as numbers and strings."""
    listed = {key: as_json(value) if isinstance(value, list) else value for key, value in attributes.items()}
    return {key: _xml(value) if isinstance(value, str) else value for key, value in listed.items()}


def _xml(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
