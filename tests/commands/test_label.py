"""`docre label` and `docre report`: options, thresholds from validation documents, and runs that go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from commands import docre, fails, works
from pipelines import decisive_atlop
from samples import ANNA, LONG, OTTO, TWO_WINDOWS
from tiny import tiny_tokenizer

from modeling_docre import Document, Predictor, write_docred
from modeling_docre.annotations.document_file import read_documents


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, documents without relations, and validation documents on which they are never wrong."""
    folder = tmp_path_factory.mktemp("labels")
    models = [decisive_atlop(), decisive_atlop(seed=3)]
    for number, model in enumerate(models):
        model.save_pretrained(folder / f"model{number}")
        tiny_tokenizer().save_pretrained(folder / f"model{number}")
    lines = [json.dumps(replace(document, relations=()).to_dict()) for document in (ANNA, OTTO, TWO_WINDOWS)]
    (folder / "bare.jsonl").write_text("\n".join(lines), encoding="utf-8")
    gold = Predictor(models[0], tiny_tokenizer()).predict([LONG, ANNA], relation_threshold=0.7)
    write_docred(gold, folder / "validation.json")
    return folder


def labelled(path: Path) -> list[Document]:
    return read_documents(path)


def test_a_file_is_labelled_by_several_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models, out = [folder / "model0", folder / "model1"], folder / "a.jsonl"
    arguments = ["label", folder / "bare.jsonl", "--incomplete", "--models", *models, "--out", out]
    printed = works(capsys, *arguments, "--validation", folder / "validation.json")
    settings = json.loads((folder / "a.jsonl.settings.json").read_text(encoding="utf-8"))
    assert settings["models"] == [str(model) for model in models] and len(set(settings["weights"])) == 2
    assert f"positive from {settings['positive']}, masked from {settings['masked']}" in printed
    assert 0 < settings["masked"] <= 1 and 0 < settings["positive"] <= 1
    documents = labelled(out)
    assert [document.id for document in documents] == ["anna", "otto", "two windows"]
    relations = [relation for document in documents for relation in document.relations]
    assert relations and all(item.origin == "model" and item.sentence_weights for item in relations)
    assert all((item.score or 0) >= settings["positive"] for item in relations)
    assert "labelled by a model (origin model)" in printed
    before = out.stat().st_mtime_ns
    assert works(capsys, *arguments, "--validation", folder / "validation.json") == printed
    assert out.stat().st_mtime_ns == before, "nothing was done again"
    fails(capsys, "begun with positive", *arguments, "--positive", 0.99, "--validation", folder / "validation.json")


def test_complete_documents_keep_their_relations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "b.jsonl.gz"
    works(capsys, "label", folder / "validation.json", "--models", folder / "model0", "--positive", 0.5, "--out", out)
    for document in labelled(out):
        assert {item.origin for item in document.relations} <= {"human"} and document.soft_relations
    printed = works(capsys, "report", out)
    assert "relations labelled by people (origin human)" in printed and "origin model" not in printed


def test_a_corpus_is_labelled_by_its_name(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    write_docred([ANNA, OTTO], tmp_path / "entities_only.json.gz")
    arguments = ["--data-dir", tmp_path, "--config", "entities_only", "--positive", 0.5, "--models", folder / "model0"]
    works(capsys, "label", "docred_more", *arguments, "--out", tmp_path / "c.jsonl")
    for document, source in zip(labelled(tmp_path / "c.jsonl"), (ANNA, OTTO), strict=True):
        human = [(r.head, r.tail, r.type) for r in document.relations if r.origin == "human"]
        assert human == [(r.head, r.tail, r.type) for r in source.relations]
        assert document.complete is not None and not document.complete.relations


def test_what_cannot_be_labelled_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(
        message: str, *options: object, code: int = 1, out: str = "d.jsonl", corpus: str = "bare.jsonl"
    ) -> None:
        models = ["--models", folder / "model0", "--out", folder / out]
        fails(capsys, message, "label", folder / corpus, *models, *options, code=code)

    refused("give it by --positive", code=2)
    refused("--positive is 2.0; give a number from 0 to 1", "--positive", 2, code=2)
    refused("end its name in .jsonl or .jsonl.gz", "--positive", 0.5, out="d.json")
    refused(
        "absent.jsonl is neither a file nor a corpus of the package; give", "--positive", 0.5, corpus="absent.jsonl"
    )
    refused("--data-dir and --config need a corpus", "--positive", 0.5, "--config", "x", code=2)
    refused("none does not exist", "--models", folder / "none", "--positive", 0.5)
    assert docre(capsys, "report", folder).code == 0  # what runs keep beside their files is no document
    fails(capsys, f"{folder}/absent does not exist; name a file or a folder", "report", folder / "absent")
