"""Inputs of a command: which files a name stands for, and what is read from them."""

from __future__ import annotations

import json

import pytest

from modeling_docre.commands.sources import Source, files_of, read_sources
from modeling_docre.documents import DocumentError


def test_files_folders_patterns_and_standard_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt", "in/c.jsonl", "in/notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert files_of(["b.txt", "*.txt", "-"]) == ["b.txt", "a.txt", "b.txt", "-"]
    assert files_of(["."]) == ["a.txt", "b.txt", "in/c.jsonl"]
    assert files_of(["**/*.md"]) == ["in/notes.md"]
    (tmp_path / "[1].txt").write_text("x", encoding="utf-8")
    assert files_of(["[1].txt"]) == ["[1].txt"], "a file is no pattern"
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("z.txt", "z.txt does not exist"),
        ("*.z", "matches no file"),
        ("empty", "empty holds no .txt"),
    ):
        with pytest.raises(FileNotFoundError, match=message.replace("*", r"\*")):
            files_of([name])


def test_a_text_file_is_one_text_and_records_are_texts_or_documents(tmp_path):
    text, records = tmp_path / "a.txt", tmp_path / "b.jsonl"
    text.write_text('{"text": "x"}', encoding="utf-8")
    assert list(read_sources(str(text))) == [Source('{"text": "x"}', str(text))]
    document = {"id": "d", "sentences": [["x"]]}
    entities = [{"type": "PER", "mentions": [{"char_start": 0, "char_end": 1}]}]
    rows = [{"text": "x"}, {"id": "t", "text": "y", "entities": entities}, document]
    records.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert list(read_sources(str(records))) == [
        Source("x", f"{records}:1"),
        Source("y", "t", entities),
        Source(document, "d"),
    ]


def test_a_table_is_refused():
    with pytest.raises(ValueError, match=r"people\.csv is a table; write each text as a line"):
        list(read_sources("people.csv"))


def test_a_record_of_another_form_is_named(tmp_path):
    file = tmp_path / "b.jsonl"
    for row, message in (
        ({"title": "x"}, "title is 'x'; give \"text\""),
        ({"id": "7", "text": 3}, "document '7': text is 3; give a string"),
        ({"id": 7, "text": "x"}, "id is 7; give a string"),
        ({}, "b.jsonl:1': text is None"),
    ):
        file.write_text(json.dumps(row), encoding="utf-8")
        with pytest.raises(DocumentError) as caught:
            list(read_sources(str(file)))
        assert message in str(caught.value)
