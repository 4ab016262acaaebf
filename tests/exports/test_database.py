"""The graph database, asked in Cypher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ladybug
import pytest
from exported import ODD_NAME, odd_graph

from modeling_docre.exports.database import save_database
from modeling_docre.exports.graph import PlainGraph
from modeling_docre.exports.tables import to_tables

GRAPH = odd_graph()


def ask(file: Path, query: str) -> list[list]:
    with ladybug.Database(file, read_only=True) as database, ladybug.Connection(database) as connection:
        return list(connection.execute(query))


def test_the_database_holds_the_graph(tmp_path):
    file = tmp_path / "graph.db"
    save_database(GRAPH, file)
    tables = to_tables(GRAPH)
    columns = "n.id, n.name, n.type, n.aliases, n.concept_ids, n.documents, n.mentions, n.score"
    assert sorted(ask(file, f"MATCH (n:Entity) RETURN {columns}")) == sorted(list(row[:-1]) for row in tables.nodes)
    seen = "r.type, r.label, r.score, r.documents, r.first_seen, r.last_seen"
    edges = ask(file, f"MATCH (a:Entity)-[r:Relation]->(b:Entity) RETURN r.id, a.id, b.id, {seen} ORDER BY r.id")
    assert edges == [list(row) for row in tables.edges]
    members = ask(file, "MATCH (d:Document)-[m:Mentions]->(n:Entity) RETURN d.id, m.entity, n.id")
    assert sorted(members) == sorted([m.document_id, m.entity, node.id] for node in GRAPH.nodes for m in node.members)
    stated = "s.id, s.edge, d.id, s.head, s.tail, s.score, s.date"
    support = ask(file, f"MATCH (d:Document)-[:States]->(s:Support) RETURN {stated} ORDER BY s.id")
    assert support == [list(row) for row in tables.support]
    quoted = "e.sentence, e.text, e.char_start, e.char_end, e.score"
    evidence = ask(file, f"MATCH (s:Support)-[:Quotes]->(e:Evidence) RETURN s.id, {quoted} ORDER BY e.id")
    assert evidence == [list(row) for row in tables.evidence]


def test_a_path_through_the_graph_is_found(tmp_path):
    save_database(GRAPH, tmp_path / "graph.db")
    query = "MATCH (a:Entity {name: 'London'})-[:Relation*1..2]->(b:Entity) RETURN DISTINCT b.name ORDER BY b.name"
    assert ask(tmp_path / "graph.db", query) == [[ODD_NAME], ["London"]]


def test_an_empty_graph_is_a_database(tmp_path):
    save_database(PlainGraph(), tmp_path / "graph.db")
    assert ask(tmp_path / "graph.db", "MATCH (n) RETURN count(n)") == [[0]]


def test_what_fails_leaves_nothing_behind(tmp_path):
    twice = PlainGraph((GRAPH.nodes[0], replace(GRAPH.nodes[1], id=GRAPH.nodes[0].id)))
    with pytest.raises(RuntimeError, match=r"a b/1#0"):
        save_database(twice, tmp_path / "graph.db")
    assert not list(tmp_path.iterdir())
    (tmp_path / "graph.db").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match=r"graph\.db exists"):
        save_database(GRAPH, tmp_path / "graph.db")
    assert (tmp_path / "graph.db").read_text(encoding="utf-8") == "mine"
