"""The corpora that are there, and files of one's own as a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from samples import ANNA, OTTO

from dataset_scripts.building.loading import CorpusArguments, builders, load_corpus
from modeling_docre import DocumentError


def test_every_module_of_the_root_is_one_corpus() -> None:
    root = Path(__file__).resolve().parents[2] / "dataset_scripts"
    modules = sorted(path.stem for path in root.glob("*.py") if path.name != "__init__.py")
    assert [name for name, _ in builders()] == modules
    assert [builder.NAME for _, builder in builders()] == modules


def test_own_documents_are_checked_when_they_are_read(tmp_path: Path) -> None:
    """Whatever the file is called; nothing is found out only after an epoch of training."""

    def read(*documents: Any, labels: Any = None) -> dict[str, Any]:
        file = tmp_path / "documents.json"
        file.write_text("\n".join(json.dumps(document) for document in documents))
        (tmp_path / "labels.json").write_text(json.dumps(labels))
        own = str(tmp_path / "labels.json") if labels else None
        return load_corpus(CorpusArguments(train_file=str(file), relation_labels=own)).labels

    anna, otto = ANNA.to_dict(), OTTO.to_dict()
    types = {relation["type"] for document in (anna, otto) for relation in document["relations"]}
    assert read(anna, otto, labels={"works": "works for"})["relation_types"] == sorted(types)
    for documents, message in (
        ([anna, otto, anna], r"number 3 of documents\.json.*it stands twice"),
        ([anna, {"sentences": [["a"]]}], r"number 2 of documents\.json.*id is None"),
        ([{**anna, "relations": [{"head": 0, "tail": 1, "type": "NA"}]}], r"relations\[0\]\.type is 'NA'"),
        ([{**anna, "relations": [{"head": 0, "tail": 1, "type": ""}]}], r"relations\[0\]\.type is ''"),
    ):
        with pytest.raises(DocumentError, match=message):
            read(*documents)
    for labels in ([["works", "works for"]], {"works": 5}):
        with pytest.raises(ValueError, match="holds no labels"):
            read(anna, labels=labels)
