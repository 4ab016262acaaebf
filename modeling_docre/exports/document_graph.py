"""The graph that exporters take: nodes and edges, of one document or of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from modeling_docre.documents import Document, DocumentError, Entity, Relation
from modeling_docre.graphs.elements import Edge, Evidence, Member, Node, Support


class Graph(Protocol):
    """Anything with nodes and edges, such as a `CorpusGraph`; an edge's head and tail are ids of its nodes."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Things that documents mention."""

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Relations between them."""


@dataclass(frozen=True)
class DocumentGraph:
    """Nodes and edges of documents side by side: one node per entity, nothing is merged."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


def graph_of(document: Document) -> DocumentGraph:
    """One node per entity, named `document_id#entity`, and one edge per relation.

    Relations that state the same type of the same entities become one edge that each of them supports.
    """
    return graph_of_documents([document])


def graph_of_documents(documents: Iterable[Document]) -> DocumentGraph:
    """The graphs of several documents side by side.

    Raises:
        DocumentError: two documents have the same id.
    """
    nodes: list[Node] = []
    edges: list[Edge] = []
    ids: set[str] = set()
    for document in documents:
        if document.id in ids:
            raise DocumentError(document.id, "id", document.id, "duplicate id; give each document its own")
        ids.add(document.id)
        nodes += [_node(document, number) for number in range(len(document.entities))]
        edges += _edges(document)
    return DocumentGraph(tuple(nodes), tuple(edges))


def node_id(member: Member) -> str:
    """Name of an entity among those of all documents."""
    return f"{member.document_id}#{member.entity}"


def names_of(document: Document, entity: Entity) -> tuple[str, ...]:
    """The texts of an entity's mentions without duplicates: the most frequent first, of equals the longest."""
    counts = Counter(" ".join(document.mention_text(mention).split()) for mention in entity.mentions)
    return tuple(sorted(counts, key=lambda name: (-counts[name], -len(name), name)))


def _node(document: Document, number: int) -> Node:
    entity, member = document.entities[number], Member(document.id, number)
    names = names_of(document, entity)
    return Node(
        id=node_id(member),
        name=names[0],
        type=entity.type,
        aliases=names,
        concept_ids=(entity.id,) if entity.id else (),
        documents=1,
        mentions=len(entity.mentions),
        score=entity.score,
        members=(member,),
    )


def _edges(document: Document) -> Iterator[Edge]:
    stated: dict[tuple[int, int, str], list[Relation]] = {}
    for relation in document.relations:
        stated.setdefault((relation.head, relation.tail, relation.type), []).append(relation)
    for (head, tail, kind), relations in stated.items():
        yield Edge(
            head=node_id(Member(document.id, head)),
            tail=node_id(Member(document.id, tail)),
            type=kind,
            label=next((relation.label for relation in relations if relation.label), kind),
            score=max((relation.score for relation in relations if relation.score is not None), default=None),
            documents=1,
            first_seen=None,
            last_seen=None,
            support=tuple(_support(document, relation) for relation in relations),
        )


def _support(document: Document, relation: Relation) -> Support:
    scored = zip_longest(relation.evidence or (), relation.evidence_scores or ())
    evidence = tuple(_evidence(document, sentence, score) for sentence, score in scored)
    return Support(document.id, relation.head, relation.tail, relation.score, evidence)


def _evidence(document: Document, sentence: int, score: float | None) -> Evidence:
    words = document.sentences[sentence]
    if document.text is None or document.token_offsets is None or not words:
        return Evidence(sentence, " ".join(words), score=score)
    start, end = document.token_offsets[sentence][0][0], document.token_offsets[sentence][-1][1]
    return Evidence(sentence, document.text[start:end], start, end, score)


def most_mentioned(graph: Graph, count: int) -> DocumentGraph:
    """The nodes that most documents mention, of equals those with the most mentions, and the edges between them.

    Args:
        graph: nodes and edges, whose order is kept.
        count: nodes to keep.
    """
    ranked = sorted(graph.nodes, key=lambda node: (-node.documents, -node.mentions))
    kept = {node.id for node in ranked[:count]}
    edges = tuple(edge for edge in graph.edges if {edge.head, edge.tail} <= kept)
    return DocumentGraph(tuple(node for node in graph.nodes if node.id in kept), edges)
