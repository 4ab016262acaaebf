"""Tests of modeling_docre/commands/extract.py."""

from __future__ import annotations

import io
import json

import pytest
from tiny import save_tiny, tiny_atlop, tiny_tokenizer

from modeling_docre import Document
from modeling_docre.commands import extract
from modeling_docre.commands.extract import main
from modeling_docre.graphs.picture import draw_graph

TEXT = "Ada lives in London. She works."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_tiny(folder, mention_threshold=0.0, max_span_size=1)
    return str(folder)


def test_json_is_the_document_of_the_text(model, capsys):
    main([TEXT, "--model", model, "--format", "json", "--threshold", "0.9"])
    document = Document.from_dict(json.loads(capsys.readouterr().out))
    assert document.text == TEXT
    assert all(relation.score >= 0.9 for relation in document.relations)


def test_the_graph_goes_to_files(model, capsys, tmp_path):
    folder = tmp_path / "new" / "graphs"
    main([TEXT, "--model", model, "--json", str(folder / "graph.json"), "--picture", str(folder / "graph.svg")])
    table = capsys.readouterr().out
    assert "{" not in table and "London" in table
    graph = json.loads((folder / "graph.json").read_text())
    assert Document.from_dict(graph).text == TEXT
    assert (folder / "graph.svg").read_text() == f"{draw_graph(graph)}\n"


def test_entities_come_from_a_file(tmp_path, capsys):
    folder, file = tmp_path / "model", tmp_path / "entities.json"
    tiny_atlop().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    mentions = [{"char_start": start, "char_end": end} for start, end in ((0, 3), (13, 19))]
    file.write_text(
        json.dumps([{"type": kind, "mentions": [m]} for kind, m in zip(("PER", "LOC"), mentions, strict=True)])
    )
    main([TEXT, "--model", str(folder), "--entities", str(file), "--format", "json", "--threshold", "0"])
    document = Document.from_dict(json.loads(capsys.readouterr().out))
    assert [document.mention_text(entity.mentions[0]) for entity in document.entities] == ["Ada", "London"]
    assert document.relations and all(relation.evidence == (0,) for relation in document.relations)


def test_text_comes_from_a_file_or_from_standard_input(model, capsys, monkeypatch, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    main(["--model", model, "--file", str(file)])
    from_file = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO(TEXT))
    main(["--model", model])
    assert capsys.readouterr().out == from_file
    assert "London" in from_file


def test_what_goes_wrong_is_one_line(model, capsys, monkeypatch, tmp_path):
    (tmp_path / "latin.txt").write_bytes("Zo\xe9".encode("latin-1"))
    (tmp_path / "bad.json").write_text("{")
    monkeypatch.setattr(extract, "default_model", lambda: None)
    for arguments, message in (
        (["--model", model, "--file", str(tmp_path / "absent.txt")], "absent.txt"),
        (["--model", model, "--file", str(tmp_path / "latin.txt")], "latin.txt is not in UTF-8"),
        (["--model", model, TEXT, "--file", "x"], "not allowed with"),
        (["--model", model, TEXT, "--entities", str(tmp_path / "bad.json")], "bad.json holds no JSON"),
        (["--model", model, TEXT, "--threshold", "2"], "threshold is 2.0; give a number from 0 to 1"),
        (["--model", str(tmp_path / "none"), TEXT], f"the model {tmp_path / 'none'} cannot be loaded"),
        (["--model", model, TEXT, "--json", str(tmp_path)], str(tmp_path)),
        ([TEXT], "no model comes along with this checkout; name one by --model"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert message in capsys.readouterr().err
    main(["", "--model", model])
    assert "no entities" in capsys.readouterr().out, "an empty text is one"
