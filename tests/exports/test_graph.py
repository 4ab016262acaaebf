"""The graphs that exporters take."""

from __future__ import annotations

import sys

import pytest
from exported import odd_graph, texts

from modeling_docre.documents import DocumentError
from modeling_docre.exports.database import save_database
from modeling_docre.exports.graph import graph_of, most_mentioned
from modeling_docre.exports.rdf import to_rdf
from modeling_docre.exports.tables import to_pandas
from modeling_docre.graphs.elements import Member


def test_documents_stand_side_by_side():
    documents = texts()
    graph = graph_of(*documents)
    members = [(Member(document.id, number),) for document in documents for number in range(len(document.entities))]
    assert [node.members for node in graph.nodes] == members
    assert len(graph.edges) == 3
    for document in documents:
        alone = graph_of(document)
        assert set(alone.nodes) < set(graph.nodes) and set(alone.edges) < set(graph.edges)
    with pytest.raises(DocumentError, match="document 'bern': id is 'bern'"):
        graph_of(documents[1], documents[1])


def test_the_most_mentioned_nodes_keep_their_edges():
    graph = odd_graph()
    kept = most_mentioned(graph, 2)
    assert [node.id for node in kept.nodes] == ["a b/1#0", "2#2"] and kept.edges == ()
    assert most_mentioned(graph, 3) == graph


def test_a_library_that_is_not_installed_is_named(monkeypatch, tmp_path):
    writers = {"rdflib": to_rdf, "pandas": to_pandas, "ladybug": lambda graph: save_database(graph, tmp_path / "a.db")}
    for library, write in writers.items():
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ImportError, match=rf"needs {library}; install it by pip install 'modeling-docre\[graph\]'"):
            write(odd_graph())
