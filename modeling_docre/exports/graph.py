"""The graph that exporters take: anything with nodes and edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from modeling_docre.documents import Document
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.graphs.elements import Edge, Member, Node


class Graph(Protocol):
    """Nodes and edges, such as a `CorpusGraph` has; an edge's head and tail are ids of nodes."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Things that documents mention."""

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Relations between them."""


@dataclass(frozen=True)
class PlainGraph:
    """Nodes and edges, nothing else."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


def graph_of(*documents: Document) -> CorpusGraph:
    """One node per entity of each document, and one edge per relation; nothing is merged.

    Raises:
        DocumentError: two documents have the same id.
    """
    return CorpusGraph.of(documents, merge="off")


def most_mentioned(graph: Graph, count: int) -> PlainGraph:
    """The nodes that most documents mention, of equals those with the most mentions, and the edges between them.

    Args:
        graph: nodes and edges, whose order is kept.
        count: nodes to keep.
    """
    ranked = sorted(graph.nodes, key=lambda node: (-node.documents, -node.mentions))
    kept = {node.id for node in ranked[:count]}
    edges = tuple(edge for edge in graph.edges if {edge.head, edge.tail} <= kept)
    return PlainGraph(tuple(node for node in graph.nodes if node.id in kept), edges)


def name_of(member: Member) -> str:
    """An entity of a document in one text, `document_id#entity`."""
    return f"{member.document_id}#{member.entity}"
