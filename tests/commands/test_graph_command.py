"""`docre graph`: builds, exports and shows the graph of results."""

from __future__ import annotations

import csv
import json

import ladybug
import pytest
from commands import fails, works
from exported import texts

from modeling_docre.commands.graph import Format
from modeling_docre.exports import formats
from modeling_docre.exports.graph import graph_of
from modeling_docre.exports.json_lines import to_json_lines
from modeling_docre.graphs.corpus_graph import CorpusGraph

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
    fails(capsys, "nothing.jsonl does not exist", "graph", "show", tmp_path / "nothing.jsonl")
    fails(capsys, "id is 'oslo'", "graph", "show", results[1], results[1])
    fails(capsys, "is a file; name a folder", "graph", "build", results[0], "--out", results[1], code=2)
