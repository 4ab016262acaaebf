"""Sources of Ray Data: each kind of input gives the same inputs as reading it here, with ids that stay the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
from datasets import Dataset
from samples import ANNA, OTTO

from dataset_scripts.building.row_features import document_features, document_row
from modeling_docre import Document
from modeling_docre.annotations.sources import Source, files_of, read_sources
from modeling_docre.scale import document_source
from modeling_docre.scale.document_source import SCHEMA, DocumentSource, source_of_row

TEXTS = [{"id": "a", "text": "Ada lives."}, {"id": None, "text": "She works."}]


def read(documents: Any) -> list[Source]:
    blocks = [block for task in DocumentSource(documents).get_read_tasks(1) for block in task()]
    assert all(block.schema == SCHEMA for block in blocks)
    return [source_of_row(row) for block in blocks for row in block.to_pylist()]


def test_files_are_read_as_docre_extract_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Ada lives.", encoding="utf-8")
    rows = [{"text": "x"}, {"id": "7", "text": 3}, ANNA.to_dict()]
    (tmp_path / "in" / "b.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    expected = [source for file in files_of(["in"]) for source in read_sources(file)]
    found = read("in")
    assert [str(source.error) for source in found] == [str(source.error) for source in expected]
    assert [source._replace(error=None) for source in found] == [source._replace(error=None) for source in expected]
    assert found[0].id == "in/a.txt" and Document.from_dict(found[3].content) == ANNA
    with pytest.raises(FileNotFoundError, match=r"no\.txt does not exist"):
        DocumentSource(["in", "no.txt"])
    with pytest.raises(ValueError, match="cannot read standard input; save it in a file"):
        DocumentSource(["in", "-"])


def test_tables_and_datasets_of_texts_and_of_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_source, "ROWS_AT_ONCE", 2)
    texts = Dataset.from_list([{**row, "label": 1} for row in [*TEXTS, *TEXTS[1:]]])
    rows = [document_row(document) for document in (ANNA, OTTO)]
    documents = Dataset.from_list(rows, features=document_features())
    texts.to_parquet(tmp_path / "texts.parquet")
    documents.to_parquet(tmp_path / "documents.parquet")
    named = {
        "row": texts,
        "shard 0": texts.to_iterable_dataset(),
        str(tmp_path / "texts.parquet"): tmp_path / "texts.parquet",
    }
    for name, source in named.items():
        found = read(source)
        assert found == [
            Source("Ada lives.", "a"),
            Source("She works.", f"{name}:2"),
            Source("She works.", f"{name}:3"),
        ]
    for source in (documents, documents.to_iterable_dataset(), [str(tmp_path / "documents.parquet")]):
        assert [Document.from_dict(item.content) for item in read(source)] == [ANNA, OTTO]
    (tmp_path / "broken.parquet").write_text("x", encoding="utf-8")
    (broken,) = read(tmp_path / "broken.parquet")
    assert broken.id == str(tmp_path / "broken.parquet") and broken.error is not None
    for wrong in (texts.remove_columns("text"), texts.to_iterable_dataset().remove_columns("text")):
        with pytest.raises(ValueError, match=r"^the dataset has no column text or sentences; .* it has id, label"):
            DocumentSource(wrong)
    texts.remove_columns("text").to_parquet(tmp_path / "wrong.parquet")
    (wrong_table,) = [source for source in read(tmp_path) if source.id == str(tmp_path / "wrong.parquet")]
    assert "it has id, label" in str(wrong_table.error)


def test_tables_with_numbers_for_ids_are_refused_at_once(tmp_path: Path) -> None:
    numbered = Dataset.from_list([{**row, "id": number} for number, row in enumerate(TEXTS)])
    numbered.to_parquet(tmp_path / "numbered.parquet")
    for source in (numbered, numbered.to_iterable_dataset(), tmp_path / "numbered.parquet"):
        with pytest.raises(ValueError, match="has a column id of type int64; make it one of strings"):
            DocumentSource(source)


def test_many_files_share_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_source, "MOST_TASKS", 3)
    for number in range(7):
        (tmp_path / f"{number}.txt").write_text(str(number), encoding="utf-8")
    assert len(DocumentSource(tmp_path).get_read_tasks(1)) == 3
    assert [source.content for source in read(tmp_path)] == list("0123456")
