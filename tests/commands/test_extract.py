"""`docre extract`: texts in, tables, JSON and pictures out."""

from __future__ import annotations

import io
import json

import pytest
from commands import fails, works
from tiny import save_tiny, tiny_atlop, tiny_tokenizer

from modeling_docre import Document
from modeling_docre.graphs.picture import draw_graph
from modeling_docre.hub import resources

TEXT = "Ada lives in London. She works."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    named = [["precise", 1.0], ["everything", 0.4]]
    folder = tmp_path_factory.mktemp("model")
    return str(save_tiny(folder, mention_threshold=0.0, max_span_size=1, named_thresholds=named))


@pytest.fixture(scope="module")
def relating(tmp_path_factory):
    """A model that relates given entities."""
    folder = tmp_path_factory.mktemp("relating")
    tiny_atlop().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def texts(tmp_path):
    """A folder of a text and two records."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text(TEXT, encoding="utf-8")
    rows = [{"id": "one", "text": "Ada works."}, {"id": "two", "sentences": [["London"]]}]
    (tmp_path / "texts" / "b.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tmp_path / "texts"


def entities() -> list[dict]:
    offsets = (("PER", 0, 3), ("LOC", 13, 19))
    return [{"type": kind, "mentions": [{"char_start": start, "char_end": end}]} for kind, start, end in offsets]


def test_json_is_the_document_of_the_text(model, capsys):
    out = works(capsys, "extract", TEXT, "--model", model, "--format", "json", "--threshold", "0.4")
    document = Document.from_dict(json.loads(out))
    assert document.text == TEXT and document.relations
    assert all(relation.score >= 0.4 for relation in document.relations)
    for name, expected in (("everything", document.relations), ("precise", ())):
        out = works(capsys, "extract", TEXT, "--model", model, "--format", "json", "--threshold", name)
        assert Document.from_dict(json.loads(out)).relations == expected, name
    fails(capsys, "this model's: 'precise', 'everything'", "extract", TEXT, "--model", model, "--threshold", "balanced")
    kept = works(
        capsys, "extract", TEXT, "--model", model, "--format", "jsonl", "--relations", "born", "--relations", "seat"
    )
    types = {relation["type"] for relation in json.loads(kept)["relations"]}
    assert kept.count("\n") == 1 and types <= {"born", "seat"}


def test_the_graph_goes_to_files(model, capsys, tmp_path):
    folder = tmp_path / "new" / "graphs"
    files = ["--json", folder / "graph.json", "--picture", folder / "graph.svg"]
    table = works(capsys, "extract", TEXT, "--model", model, *files)
    assert "{" not in table and "London" in table
    graph = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
    assert Document.from_dict(graph).text == TEXT
    assert (folder / "graph.svg").read_text(encoding="utf-8") == f"{draw_graph(graph)}\n"


def test_files_folders_and_standard_input(model, capsys, monkeypatch, texts, tmp_path):
    lines = tmp_path / "graphs.jsonl"
    names = [texts / "a.txt", "--file", texts, "--json", lines]
    graphs = json.loads(works(capsys, "extract", "--model", model, "--format", "json", "--file", *names))
    assert [graph["id"] for graph in graphs] == [str(texts / "a.txt")] * 2 + ["one", "two"]
    assert list(map(json.loads, lines.read_text(encoding="utf-8").splitlines())) == graphs
    table = works(capsys, "extract", "--model", model, "--file", texts / "a.txt", texts / "b.jsonl")
    assert [line for line in table.splitlines() if line in ("one", "two")] == ["one", "two"]
    single = works(capsys, "extract", "--model", model, "--file", texts / "a.txt")
    for arguments in ([], ["-"], ["--file", "-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TEXT.encode())))
        assert works(capsys, "extract", "--model", model, *arguments) == single
    assert works(capsys, "extract", "", "--model", model) == "The document has no entities.\n", "an empty text is one"


def test_entities_come_from_a_file_or_with_the_record(relating, capsys, tmp_path):
    (tmp_path / "entities.json").write_text(json.dumps(entities()), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"text": TEXT, "entities": entities()}), encoding="utf-8")
    for source in ([TEXT, "--entities", tmp_path / "entities.json"], ["--file", tmp_path / "b.jsonl"]):
        out = works(capsys, "extract", *source, "--model", relating, "--format", "jsonl", "--threshold", "0")
        document = Document.from_dict(json.loads(out))
        assert [document.mention_text(entity.mentions[0]) for entity in document.entities] == ["Ada", "London"]
        assert document.relations and all(relation.evidence == (0,) for relation in document.relations)


def test_what_goes_wrong_is_one_line(model, relating, capsys, monkeypatch, texts, tmp_path):
    (tmp_path / "latin.txt").write_bytes("Zo\xe9".encode("latin-1"))
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    monkeypatch.setattr(resources, "default_model", lambda: None)
    absent = tmp_path / "none"
    for arguments, message in (
        (["--model", model, "--file", tmp_path / "absent.txt"], "absent.txt does not exist"),
        (["--file", tmp_path / "latin.txt"], "latin.txt is not in UTF-8"),
        (["--model", model, TEXT, "--entities", tmp_path / "bad.json"], "bad.json is not JSON"),
        (["--model", absent, TEXT], f"the model {absent} does not exist"),
        (["--model", texts, TEXT], f"{texts} holds no config.json"),
        (["--model", "no/model", TEXT], "the model no/model cannot be loaded"),
        (["--model", absent, TEXT, "--json", tmp_path], f"{tmp_path}: Is a directory"),
        (["--model", absent, TEXT, "--picture", texts / "a.txt" / "x.svg"], "x.svg: Not a directory"),
        (["--model", relating, "--file", texts / "a.txt"], f"document '{texts / 'a.txt'}': entities is None"),
    ):
        fails(capsys, message, "extract", *arguments)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for arguments, message in (
        ([TEXT], "no bundled model; name one by --model"),
        (["Ada", "lives", "in", "London."], "put it in quotes"),
        ([TEXT, "--threshold", "2"], "--threshold is 2.0; give a number from 0 to 1"),
        ([texts / "a.txt"], "a.txt is a file; read it by --file"),
        (["--file", texts, "--picture", "x.svg"], "--picture needs a single text"),
        (["--file", texts, "--entities", "x.json"], "--entities needs a single text; records have their own"),
        ([], "no text; give one"),
    ):
        fails(capsys, message, "extract", *arguments, code=2)


def test_no_document_is_built_from_a_result(model, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(Document, "from_dict", None)
    assert "London" in works(capsys, "extract", TEXT, "--model", model, "--picture", tmp_path / "graph.svg")


def test_what_is_read_is_not_written_over(texts, model, capsys):
    file = texts / "a.txt"
    for option in ("--json", "--picture"):
        fails(capsys, "is what is read", "extract", "--model", model, "--file", file, option, file, code=2)
        fails(capsys, "name of a file", "extract", "--model", model, "--file", file, option, "-", code=2)
    assert file.read_text(encoding="utf-8") == TEXT
