"""The further documents of DocRED: by a small file each, and the figures of the real ones where they are there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from samples import ANNA, OTTO

from dataset_scripts.building.loading import CorpusArguments, load_corpus
from dataset_scripts.docred_more import DocredMore
from modeling_docre import Document, write_docred
from modeling_docre.annotations.report import ReadReport

FILES = {"gold": "train_gold", "entities_only": "entities_only", "silver": "train_silver"}


def load(folder: Path, config: str) -> list[Document]:
    arguments = CorpusArguments("docred_more", config, data_dir=str(folder), validation_split="none")
    return load_corpus(arguments).splits["train"]


def test_each_config_states_what_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for config, file in FILES.items():
        write_docred([ANNA, OTTO], tmp_path / f"{file}.json.gz")
        documents = load(tmp_path, config)
        assert [document.id for document in documents] == ["anna", "otto"]
        stated = {(item.complete.mentions, item.complete.relations) for item in documents if item.complete}
        assert stated == {(config != "silver", False)}
        assert json.loads(json.dumps(documents[0].to_dict()))["complete"]["relations"] is False


def test_it_is_not_downloaded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"give the folder of entities_only\.json\.gz as data_dir"):
        DocredMore(str(tmp_path), config_name="entities_only").download_and_prepare()


def test_the_real_files(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    figures = {}
    for config, file in FILES.items():
        path = shared_data(f"docred_more/{file}.json.gz")
        builder = DocredMore(str(tmp_path), config_name=config, data_dir=path.parent)
        report = ReadReport.of(builder.read([str(path)]))
        assert report.incomplete_relations == report.documents
        figures[config] = (report.documents, report.incomplete_mentions, report.relations)
    assert figures["gold"][:2] == (813, 0) and figures["entities_only"] == (997, 0, 0)
    assert figures["silver"][:2] == (2235, 2235)
    assert 9_900 < figures["gold"][2] < 9_960
