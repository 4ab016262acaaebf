"""Documents as the graphs that exporters take."""

from __future__ import annotations

import pytest
from exported import odd_graph, texts

from modeling_docre.documents import DocumentError
from modeling_docre.exports.document_graph import graph_of, graph_of_documents, most_mentioned
from modeling_docre.graphs.elements import Evidence, Member


def test_each_entity_is_a_node_and_each_relation_an_edge():
    graph = graph_of(texts()[0])
    ada, name, london = graph.nodes
    assert [node.id for node in graph.nodes] == [f"Ada/1: ä?#{number}" for number in range(3)]
    assert ada.name == "Ada Lovelace" and ada.aliases == ("Ada Lovelace", "Ada", "She") and ada.mentions == 3
    assert ada.concept_ids == ("Q7259",) and ada.score == 0.75 and ada.members == (Member("Ada/1: ä?", 0),)
    assert name.concept_ids == () and name.score is None and london.type == "LOC"
    born, back = graph.edges
    assert (born.head, born.tail, born.type, born.label) == (ada.id, london.id, "P19", "place of birth")
    assert born.score == 0.625 and [support.score for support in born.support] == [0.5, 0.625] and born.documents == 1
    assert back.label == "Coref" and back.score is None and back.support[0].evidence == ()


def test_evidence_stands_as_in_the_text_or_in_words():
    first, second = texts()
    evidence = graph_of(first).edges[0].support[0].evidence
    assert [first.text[item.char_start : item.char_end] for item in evidence] == [item.text for item in evidence]
    assert evidence[1] == Evidence(1, "She liked it.", 54, 67, 0.25)
    assert graph_of(second).edges[0].support[0].evidence == (Evidence(2, "It lies on the Aare ."),)


def test_documents_stand_side_by_side():
    documents = texts()
    graph = graph_of_documents(documents)
    assert graph.nodes == graph_of(documents[0]).nodes + graph_of(documents[1]).nodes
    assert len(graph.edges) == 3
    with pytest.raises(DocumentError, match="document 'bern': id is 'bern'; duplicate id"):
        graph_of_documents([documents[1], documents[1]])


def test_the_most_mentioned_nodes_keep_their_edges():
    graph = odd_graph()
    kept = most_mentioned(graph, 2)
    assert [node.id for node in kept.nodes] == ["a b/1#0", "2#2"] and kept.edges == ()
    assert most_mentioned(graph, 3) == graph
