"""`docre graph`: builds, exports and shows the graph of results."""

from __future__ import annotations

import csv
import json

import ladybug
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import fails, works
from datasets import Features, Value
from exported import texts

from dataset_scripts.building.row_features import document_features
from modeling_docre.annotations.document_file import read_annotations
from modeling_docre.commands.graph import Format
from modeling_docre.exports import formats
from modeling_docre.exports.graph import graph_of
from modeling_docre.exports.json_lines import to_json_lines
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.graphs.graph_files import read_elements

OSLO = {"id": "oslo", "text": "Ada Lovelace saw Oslo.", "relations": [{"head": 0, "tail": 1, "type": "saw"}]}
OSLO["entities"] = [
    {"type": "PER", "mentions": [{"char_start": 0, "char_end": 12}]},
    {"type": "LOC", "mentions": [{"char_start": 17, "char_end": 21}]},
]


@pytest.fixture
def results(tmp_path):
    """A file of two results and one of a third."""
    lines = "".join(json.dumps(document.to_dict()) + "\n" for document in texts())
    (tmp_path / "some.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "one.json").write_text(json.dumps(OSLO, indent=1), encoding="utf-8")
    return [tmp_path / "some.jsonl", tmp_path / "one.json"]


def test_results_become_one_graph(results, capsys, tmp_path):
    out, database = tmp_path / "graph", tmp_path / "graph.db"
    said = works(capsys, "graph", "build", *results, "--out", out, "--db", database)
    graph = CorpusGraph.load(out)
    assert said == f"{len(graph.nodes)} entities, {len(graph.edges)} relations in {out} and {database}\n"
    ada = next(node for node in graph.nodes if node.name == "Ada Lovelace")
    assert {member.document_id for member in ada.members} == {texts()[0].id, "oslo"}
    with ladybug.Database(database, read_only=True) as opened, ladybug.Connection(opened) as connection:
        assert list(connection.execute("MATCH (n:Entity) RETURN count(n)")) == [[len(graph.nodes)]]
    works(capsys, "graph", "build", *results, "--out", tmp_path / "apart", "--merge", "off")
    assert len(CorpusGraph.load(tmp_path / "apart").nodes) == 8


def test_a_graph_is_exported_and_shown(results, capsys, tmp_path):
    folder = tmp_path / "graph"
    works(capsys, "graph", "build", *results, "--out", folder)
    works(capsys, "graph", "export", folder, "--out", tmp_path / "graph.jsonl")
    assert (tmp_path / "graph.jsonl").read_text(encoding="utf-8") == to_json_lines(CorpusGraph.load(folder))
    works(capsys, "graph", "export", folder, "--out", tmp_path / "top.jsonl", "--top", "1")
    assert json.loads((tmp_path / "top.jsonl").read_text(encoding="utf-8"))["name"] == "Ada Lovelace"
    shown = works(capsys, "graph", "show", folder, "--top", "2").split("\n")
    assert shown[0].endswith(" relations") and shown[3].split() == ["Ada", "Lovelace", "PER", "2", "4"]
    fails(capsys, "is a graph; give it alone", "graph", "show", folder, *results, code=2)
    fails(capsys, "is a graph already; give the results", "graph", "build", folder, "--out", tmp_path / "b", code=2)
    fails(capsys, "brat takes results", "graph", "export", folder, "--to", "brat", "--out", tmp_path / "b", code=2)


def test_what_ray_and_other_tools_write_is_read(results, capsys, tmp_path):
    built = works(capsys, "graph", "build", *results, "--out", tmp_path / "graph")
    documents = [document for file in results for document in read_annotations(file)[0]]
    rows = [document.to_dict() for document in documents] + [{"id": "bad", "error": "no text"}]
    (tmp_path / "ray" / "documents").mkdir(parents=True)
    columns = Features({**document_features(), "error": Value("string")}).arrow_schema
    for number in (0, 1):
        table = pa.Table.from_pylist(rows[number::2], schema=columns)
        pq.write_table(table, tmp_path / "ray" / "documents" / f"{number}.parquet")
    again = works(capsys, "graph", "build", tmp_path / "ray", "--out", tmp_path / "again")
    assert again.split(" in ")[0] == built.split(" in ")[0]
    shown = [works(capsys, "graph", "show", folder) for folder in (tmp_path / "ray", tmp_path / "ray" / "documents")]
    assert shown[0] == shown[1]

    graph = CorpusGraph.load(tmp_path / "graph")
    assert read_elements(tmp_path / "graph") == (graph.nodes, graph.edges) and graph.edges
    for part in ("nodes", "support"):  # in parts, as Ray writes them
        table = pq.read_table(tmp_path / "graph" / f"{part}.parquet")
        (tmp_path / "parts" / part).mkdir(parents=True)
        for number, start in enumerate((1, 0)):
            rest = table.slice(start, None if start else 1)
            pq.write_table(rest, tmp_path / "parts" / part / f"{number}.parquet")
    shown = [works(capsys, "graph", "show", tmp_path / name) for name in ("graph", "parts")]
    assert shown[0] == shown[1]

    (tmp_path / "brat").mkdir()
    (tmp_path / "brat" / "a.txt").write_text("Ada saw Oslo.", encoding="utf-8")
    lines = "T1\tPER 0 3\tAda\nT2\tLOC 8 12\tOslo\nR1\tsaw Arg1:T1 Arg2:T2\n"
    (tmp_path / "brat" / "a.ann").write_text(lines, encoding="utf-8")
    assert works(capsys, "graph", "show", tmp_path / "brat").startswith("2 entities, 1 relation\n")


def test_results_are_exported_in_every_format(results, capsys, tmp_path):
    assert [item.value for item in Format] == list(formats.NAMES)
    assert set(formats.SUFFIXES.values()) == set(formats.NAMES) - {*formats.FOLDERS, "displacy"}
    for suffix, name in formats.SUFFIXES.items():
        file = tmp_path / f"graph{suffix}"
        works(capsys, "graph", "export", results[0], "--out", file)
        if name not in (formats.DATABASE, "html", "docbin"):
            assert file.read_text(encoding="utf-8").rstrip() == formats.GRAPH_FORMATS[name](graph_of(*texts())).rstrip()
        assert file.stat().st_size > 100
    for name in (*formats.FOLDERS, "displacy"):
        works(capsys, "graph", "export", results[0], "--to", name, "--out", tmp_path / name)
    with open(tmp_path / "csv" / "nodes.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == 7
    assert (tmp_path / "brat" / "bern.txt").read_text(encoding="utf-8").startswith("Bern is old .\n")
    works(capsys, "graph", "export", results[0], "--to", "brat", "--out", tmp_path / "brat")
    assert not [file for file in tmp_path.rglob(".writing-*")]


def test_what_is_wrong_is_said_in_one_line(results, capsys, tmp_path):
    export = "graph", "export", results[0], "--out"
    fails(capsys, "names no format; give --to with one of jsonl, csv", *export, tmp_path / "graph.txt", code=2)
    (tmp_path / "graph.db").write_text("mine", encoding="utf-8")
    fails(capsys, "graph.db exists; give the name of a new database", *export, tmp_path / "graph.db", code=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine", encoding="utf-8")
    fails(capsys, "holds other files, such as notes", *export, tmp_path / "mine", "--to", "csv", code=2)
    fails(capsys, "whole documents, without --top", *export, tmp_path / "x.spacy", "--top", "3", code=2)
    fails(capsys, "Is a directory", *export, tmp_path, "--to", "html")
    before = results[0].read_bytes()
    fails(capsys, "some.jsonl is what is read", *export, results[0], code=2)
    fails(capsys, "is what is read", "graph", "export", tmp_path / "*.jsonl", "--out", results[0], code=2)
    assert results[0].read_bytes() == before
    fails(capsys, "nothing.jsonl does not exist", "graph", "show", tmp_path / "nothing.jsonl")
    fails(capsys, "id is 'oslo'", "graph", "show", results[1], results[1])
    fails(capsys, "is a file; name a folder", "graph", "build", results[0], "--out", results[1], code=2)
