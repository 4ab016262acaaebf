"""The graph of a corpus by Ray is that of one process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from samples import ANNA, OTTO

from modeling_docre import Document
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.graphs.graph_files import is_graph, read_elements
from modeling_docre.scale import graph_extraction
from modeling_docre.scale.corpus_extraction import extracted_corpus, row_features
from modeling_docre.scale.graph_extraction import _finish, extract_graph
from modeling_docre.scale.session import ray_session


def write(folder: Path, documents: list[Document]) -> Path:
    """Results of two blocks, one of them with a document that failed."""
    (folder / "documents").mkdir(parents=True)
    rows: list[dict[str, Any]] = [document.to_dict() for document in documents] + [{"id": "bad", "error": "no text"}]
    for number in (0, 1):
        table = pa.Table.from_pylist(rows[number::2], schema=row_features().arrow_schema)
        pq.write_table(table, folder / "documents" / f"{number}.parquet")
    return folder


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def rows(folder: Path, order: list[str]) -> list[dict[str, Any]]:
    table = pads.dataset(folder).to_table()
    return sorted(table.to_pylist(), key=lambda row: [row[name] for name in order])


def test_wrong_options_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="merge is 'all'"):
        extract_graph(tmp_path, merge="all")  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match="has no documents; name a folder that extract-corpus has written"):
            extract_graph(tmp_path)
        assert extracted_corpus(tmp_path) == (tmp_path, 0, 0, None)
        (tmp_path / "documents").mkdir(exist_ok=True)  # as a run leaves it that ends before its first block


def test_a_graph_replaces_another_when_it_is_complete(tmp_path: Path) -> None:
    draft, folder = tmp_path / "graph.partial", tmp_path / "graph"
    for name in ("nodes", "support", "edges"):
        (folder / name).mkdir(parents=True)
        (folder / name / "former.parquet").touch()
    _finish(draft, folder)
    assert is_graph(folder) and read_elements(folder) == ((), ()) and not draft.exists()


@pytest.mark.slow
def test_the_graph_by_ray_is_that_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [replace(item, id=f"{item.id} {n}") for n in range(3) for item in (ANNA, OTTO)]
    known = replace(OTTO.entities[0], id="Q1")
    documents.append(replace(OTTO, id="with an id", entities=(known, *OTTO.entities[1:])))
    folder = write(tmp_path / "results", documents)
    monkeypatch.setattr(graph_extraction, "DOCUMENTS_PER_BUCKET", 2)
    with ray_session(None, 2, 200 * 2**20):
        found = extract_graph(folder)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(graph_extraction, "_write_edges", interrupt)
            extract_graph(folder)
        assert extract_graph(write(tmp_path / "empty", [Document("none", (("Hello",),))]))[1:] == (0, 0)
    graph = CorpusGraph.of(reversed(documents))
    assert (found.nodes, found.edges) == (len(graph.nodes), len(graph.edges)) and found.edges
    assert len(graph.nodes) < sum(len(document.entities) for document in documents), "some are merged"

    graph.save(tmp_path / "saved")
    for name, order in (("nodes", ["id"]), ("edges", ["head", "tail", "type"])):
        assert rows(found.folder / name, order) == rows(tmp_path / "saved" / f"{name}.parquet", order), name
    order = ["document_id", "head_entity", "tail_entity", "type"]
    assert rows(found.folder / "support", order) == rows(tmp_path / "saved" / "support.parquet", order)
