"""Inputs of extraction: which files a name stands for, and what is read from them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from modeling_docre.annotations.sources import Source, files_of, read_sources


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
    text.write_text("[Ada] {sings}", encoding="utf-8")
    assert list(read_sources(str(text))) == [Source("[Ada] {sings}", str(text))]
    document = {"id": "d", "sentences": [["x"]]}
    entities = [{"type": "PER", "mentions": [{"char_start": 0, "char_end": 1}]}]
    rows = [{"text": "x"}, {"id": "t", "text": "y", "entities": entities}, document]
    records.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert list(read_sources(str(records))) == [
        Source("x", f"{records}:1"),
        Source("y", "t", entities),
        Source(document, "d"),
    ]


def test_what_is_no_text_is_refused_and_endings_may_be_in_capitals(tmp_path):
    record = '{"text": "x"}'
    for name in ("a.JSONL", "a.ndjson", "a.JSON"):
        (tmp_path / name).write_text(record, encoding="utf-8")
        assert [source.content for source in read_sources(str(tmp_path / name))] == ["x"]
    for name, content, message in (
        ("a.txt", record, "is JSON, and would be read as one text"),
        ("b.txt", "%PDF-1.7\n%%EOF", "is a PDF"),
        ("a.records", record, "is JSON, and would be read as one text"),
        ("a.pdf", "%PDF-1.7\n%%EOF", "is a PDF"),
        ("c.txt", '[{"text": "x"}, {"te', "is JSON, and"),  # cut off
        ("a.html", "\n<!DOCTYPE html><p>x</p>", "is HTML or XML, and would be read as one text"),
        ("d.txt", "<p>Ada", "is HTML or XML"),
        ("d.md", '<?xml version="1.0"?><x/>', "is HTML or XML"),
        ("A.CSV", "id,text", "is a table"),
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
        (source,) = read_sources(str(tmp_path / name))
        assert f"{tmp_path / name} {message}" in str(source.error) and source.content is None
    for text in ("# Ada", "<Ada> sings", "{Ada} sings", "[Ada]"):
        (tmp_path / "notes.md").write_text(text, encoding="utf-8")
        assert [source.content for source in read_sources(str(tmp_path / "notes.md"))] == [text]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7\n\xe2\xe3\xcf\xd3", "is a PDF; extract its text first"),
        (b"PK\x03\x04\x14\x00\xff", "is a ZIP archive, as .docx and .odt files are"),
        (gzip.compress(b"Ada", mtime=0), "is compressed by gzip; unpack it first"),
        (b"Z\xfcrich", "is not in UTF-8"),
    ],
)
def test_binary_files_are_told_from_other_encodings(tmp_path, content, message):
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    (source,) = read_sources(str(file))
    assert f"{file} {message}" in str(source.error) and source.content is None


def test_what_cannot_be_read_is_an_input_with_an_error(tmp_path):
    for name in ("people.csv", "people.parquet"):
        (table,) = read_sources(name)
        assert f"{name} is a table; write each text as a line" in str(table.error) and table.content is None
    file = tmp_path / "b.jsonl"
    good = json.dumps({"text": "x"})
    for line, message in (
        ('{"title": "x"}', "title is 'x'; give \"text\""),
        ('{"id": "7", "text": 3}', "document '7': text is 3; give a string"),
        ('{"id": 7, "text": "x"}', "id is 7; give a string"),
        ('{"id": 7, "sentences": []}', "id is 7; give a string"),
        ("{}", "b.jsonl:2': text is None"),
        ('{"id": "", "text": "x"}', "b.jsonl:2': id is ''; give a non-empty string"),
    ):
        file.write_text(f"{good}\n{line}\n{good}", encoding="utf-8")
        first, wrong, last = read_sources(str(file))
        assert (first.error, last.error, last.id) == (None, None, f"{file}:3")
        assert message in str(wrong.error) and isinstance(wrong.id, str) and wrong.id
    file.write_text(f"{good}\n[\n{good}", encoding="utf-8")
    first, broken, last = read_sources(str(file))
    assert broken.id == f"{file}:2" and f"number 2 of {file}" in str(broken.error)
    assert first.error is last.error is None and last.id == f"{file}:3"
    (tmp_path / "latin.txt").write_bytes("Zo\xe9".encode("latin-1"))
    (latin,) = read_sources(str(tmp_path / "latin.txt"))
    assert "latin.txt is not in UTF-8" in str(latin.error)


def test_a_document_without_an_id_is_named_by_its_place(tmp_path):
    file = tmp_path / "b.jsonl"
    file.write_text('{"sentences": [["x"]]}', encoding="utf-8")
    (source,) = read_sources(str(file))
    assert source.id == source.content["id"] == f"{file}:1"


def test_hidden_files_of_a_folder_are_not_read(tmp_path: Path) -> None:
    for name in ("a.txt", "._a.txt"):
        (tmp_path / name).write_text("Ada")
    assert files_of([str(tmp_path)]) == [str(tmp_path / "a.txt")]
