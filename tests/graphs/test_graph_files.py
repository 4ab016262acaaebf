"""Corpus graphs on disk: written wholly or not at all, and the same after loading."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from named_documents import named_document

from modeling_docre import CorpusGraph
from modeling_docre.graphs import graph_files


def small_graph(**options) -> CorpusGraph:
    graph = CorpusGraph(**options)
    graph.add(
        [named_document("a", "PER: Ada Byron", "LOC=Q84: London", relations=[(0, 1, "P19")], text=True)], "2024-05-01"
    )
    graph.add([named_document("b"), named_document("c", "PER: Ada Byron", "LOC: Rome", relations=[(0, 1, "P20")])])
    return graph


def test_a_loaded_graph_is_the_same_and_goes_on(tmp_path: Path) -> None:
    graph = small_graph(merge="similar", threshold=0.9)
    graph.save(tmp_path / "new" / "graph")
    loaded = CorpusGraph.load(tmp_path / "new" / "graph")
    assert (loaded.merge, loaded.threshold) == ("similar", 0.9)
    more = named_document("d", "LOC: London", "PER: Ada Byronn")
    for _ in range(2):
        assert loaded.nodes == graph.nodes and loaded.edges == graph.edges
        assert loaded.document_ids == graph.document_ids
        if "d" not in graph.document_ids:
            loaded.add([more])
            graph.add([more])
    loaded.save(tmp_path / "new" / "graph")
    assert CorpusGraph.load(tmp_path / "new" / "graph").nodes == graph.nodes
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["graph"], "drafts are gone"
    CorpusGraph().save(tmp_path / "empty")
    assert CorpusGraph.load(tmp_path / "empty").nodes == ()


def test_other_programs_read_the_files(tmp_path: Path) -> None:
    graph = small_graph()
    graph.save(tmp_path)
    rows = {name: pq.read_table(tmp_path / f"{name}.parquet").to_pylist() for name in graph_files.SCHEMAS}
    assert [row["id"] for row in rows["nodes"]] == [node.id for node in graph.nodes]
    assert rows["nodes"][0]["members"] == [{"document_id": "a", "entity": 0}, {"document_id": "c", "entity": 0}]
    assert [(row["head"], row["tail"], row["type"]) for row in rows["edges"]] == [
        (edge.head, edge.tail, edge.type) for edge in graph.edges
    ]
    sentence = {"sentence": 0, "text": "so Ada Byron .", "char_start": 0, "char_end": 14, "score": None}
    assert rows["support"][0]["evidence"] == [sentence] and rows["support"][0]["date"] == "2024-05-01"
    assert {(row["head"], row["tail"]) for row in rows["support"]} == {(edge.head, edge.tail) for edge in graph.edges}
    options = pq.read_schema(tmp_path / "nodes.parquet").metadata[b"docre_corpus_graph"]
    assert json.loads(options) == {"merge": "exact", "threshold": 0.95}


def test_a_failed_writing_leaves_the_former_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, folder = small_graph(), tmp_path / "graph"
    graph.save(folder)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    graph.remove("a")
    rows = graph_files._support_rows

    def fail(*arguments):
        yield from rows(*arguments)
        raise OSError("disk full")

    monkeypatch.setattr(graph_files, "_support_rows", fail)
    with pytest.raises(OSError, match="disk full"):
        graph.save(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["graph"]


def test_what_is_no_graph_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"documents\.parquet"):
        CorpusGraph.load(tmp_path)
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(FileExistsError, match="holds something else than a graph"):
        small_graph().save(tmp_path)
    small_graph().save(tmp_path / "graph")
    (tmp_path / "graph" / "documents.parquet").replace(tmp_path / "graph" / "support.parquet")
    small_graph().save(tmp_path / "other")
    (tmp_path / "other" / "documents.parquet").replace(tmp_path / "graph" / "documents.parquet")
    with pytest.raises(ValueError, match=r"support\.parquet has other columns"):
        CorpusGraph.load(tmp_path / "graph")


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    small_graph().save(tmp_path)
    (tmp_path / "support.parquet").write_bytes((tmp_path / "support.parquet").read_bytes()[:200])
    for read in (CorpusGraph.load, graph_files.read_elements):
        with pytest.raises(ValueError, match=r"support\.parquet is damaged"):
            read(tmp_path)
    (tmp_path / "support.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="has nodes but no support"):
        graph_files.read_elements(tmp_path)
