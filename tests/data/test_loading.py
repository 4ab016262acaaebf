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
        ([anna, otto, anna], r"number 3 of documents\.json.*duplicate id"),
        ([anna, {"sentences": [["a"]]}], r"number 2 of documents\.json.*id is None"),
        ([{**anna, "relations": [{"head": 0, "tail": 1, "type": "NA"}]}], r"relations\[0\]\.type is 'NA'"),
        ([{**anna, "relations": [{"head": 0, "tail": 1, "type": ""}]}], r"relations\[0\]\.type is ''"),
    ):
        with pytest.raises(DocumentError, match=message):
            read(*documents)
    for labels in ([["works", "works for"]], {"works": 5}):
        with pytest.raises(ValueError, match="has no labels"):
            read(anna, labels=labels)


def test_texts_are_cut_by_the_rules_of_their_language(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text(json.dumps({"id": "a", "text": "Don't."}), encoding="utf-8")
    words = [
        load_corpus(CorpusArguments(train_file=str(file)), language).splits["train"][0].sentences
        for language in ("en", "xx")
    ]
    assert words == [(("Do", "n't", "."),), (("Don't", "."),)]


def test_a_folder_needs_annotations(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the folder .* holds no annotations in a known format; known are"):
        load_corpus(CorpusArguments(train_file=str(tmp_path)))
    with pytest.raises(FileNotFoundError, match=r"--train_file names .* no such file or folder"):
        load_corpus(CorpusArguments(train_file=str(tmp_path / "absent")))


def test_what_annotation_tools_write_is_read(tmp_path: Path) -> None:
    """With the filters of one's own files, and a folder like a file."""
    (tmp_path / "a.txt").write_text("Anna was born in Ulm.", encoding="utf-8")
    lines = ("T1\tPER 0 4\tAnna", "T2\tLOC 17 20\tUlm", "R1\tborn Arg1:T1 Arg2:T2", "R2\tNA Arg1:T2 Arg2:T1")
    (tmp_path / "a.ann").write_text("\n".join(lines), encoding="utf-8")
    for source in (tmp_path, tmp_path / "a.ann", tmp_path / "a.txt"):
        corpus = load_corpus(CorpusArguments(train_file=str(source), no_relation_types=["NA"]))
        assert [document.id for document in corpus.splits["train"]] == ["a"]
        assert corpus.labels["entity_types"] == ["LOC", "PER"] and corpus.labels["relation_types"] == ["born"]
    with pytest.raises(DocumentError, match=r"relations\[1\]\.type is 'NA'"):
        load_corpus(CorpusArguments(train_file=str(tmp_path)))


def test_documents_of_files_join_the_training_documents_of_a_corpus(tmp_path: Path) -> None:
    alone = load_corpus(CorpusArguments(corpus="sample"))
    first = alone.splits["train"][0].to_dict()
    file = tmp_path / "more.jsonl"

    def read(**changes: Any) -> Any:
        file.write_text(json.dumps({**first, "id": "one more", **changes}), encoding="utf-8")
        return load_corpus(CorpusArguments(corpus="sample", train_file=str(file)))

    joined = read()
    assert joined.labels == alone.labels and joined.splits["validation"] == alone.splits["validation"]
    assert [document.id for document in joined.splits["train"][-2:]] == [alone.splits["train"][-1].id, "one more"]
    entities = [{**first["entities"][0], "type": "PLANET"}, *first["entities"][1:]]
    for changes, message in (
        ({"id": alone.splits["validation"][0].id}, "--corpus has a document with this id"),
        ({"entities": entities}, "entity_types is 'PLANET'; --corpus has no such type"),
        ({"relations": [{"head": 0, "tail": 1, "type": "orbits"}]}, "relation_types is 'orbits'; --corpus has no such"),
    ):
        with pytest.raises(DocumentError, match=message):
            read(**changes)
    file.write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match=r"--train_file .*more.jsonl holds no document; name another one"):
        load_corpus(CorpusArguments(corpus="sample", train_file=str(file)))
    with pytest.raises(FileNotFoundError, match="--train_file names ''"):
        load_corpus(CorpusArguments(corpus="sample", train_file=""))
    for option in ("validation_file", "test_file"):
        with pytest.raises(ValueError, match=f"--{option} does not go with a --corpus"):
            load_corpus(CorpusArguments(corpus="sample", **{option: str(file)}))
    with pytest.raises(ValueError, match="--relation_labels belongs to files of your own"):
        load_corpus(CorpusArguments(corpus="sample", relation_labels=str(file)))
