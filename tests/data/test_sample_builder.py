"""The dataset script of the bundled sample."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import datasets
import pytest
from corpora import prepared_splits, streamed_splits, written_corpus

from dataset_scripts.building import sources
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source
from dataset_scripts.sample import Sample
from modeling_docre.documents import Document


def test_sample(tmp_path: Path) -> None:
    builder = Sample(str(tmp_path / "cache"))
    prepared = prepared_splits(builder)
    assert list(prepared) == ["train", "validation"] and all(prepared.values())
    assert streamed_splits(builder) == prepared
    found = [document for split in prepared.values() for document in split]
    assert {entity.type for document in found for entity in document.entities} == set(Sample.ENTITY_TYPES)
    assert {relation.type for document in found for relation in document.relations} == set(Sample.RELATION_TYPES)
    assert list(Sample.RELATION_LABELS) == Sample.RELATION_TYPES == sorted(Sample.RELATION_TYPES)
    assert sorted(Sample.ENTITY_TYPES) == builder.ENTITY_TYPES
    assert all(document.text is not None and document.token_offsets is not None for document in found)


def test_exported_sample_keeps_text_and_offsets(tmp_path: Path) -> None:
    out, cache = tmp_path / "out", str(tmp_path / "cache")
    main(Sample, ["--out", str(out), "--cache_dir", cache])
    reopened = datasets.load_dataset(str(out), cache_dir=cache)
    assert {name: list(map(Document.from_dict, split)) for name, split in reopened.items()} == prepared_splits(
        Sample(cache)
    )


def test_sample_works_from_a_copy_of_its_folder(tmp_path: Path) -> None:
    source = Path(Sample.SOURCES["default"]["train"].url)
    shutil.copy(source, tmp_path / "train.jsonl")
    prepared = prepared_splits(Sample(str(tmp_path / "cache"), data_dir=tmp_path))
    assert list(prepared) == ["train"]
    assert [document.to_dict() for document in prepared["train"]] == list(sources.source_records(str(source)))


def test_a_changed_sample_is_prepared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.jsonl"
    monkeypatch.setattr(Sample, "SOURCES", {"default": {"train": Source(str(path), ("train.jsonl",))}})
    for count in (1, 2):
        path.write_text("".join(json.dumps(document.to_dict()) + "\n" for document in written_corpus("x", count)))
        assert prepared_splits(Sample(str(tmp_path / "cache"))) == {"train": written_corpus("x", count)}
