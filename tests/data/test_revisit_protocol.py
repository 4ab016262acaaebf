"""Another corpus to test on: train and select on one, test on the other, without documents that are in both."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from samples import ANNA, OTTO
from tiny import tiny_encoder, tiny_tokenizer

from dataset_scripts.building.docred_labels import ENTITY_TYPES, RELATION_LABELS, RELATION_TYPES
from dataset_scripts.building.loading import Corpus, CorpusArguments, load_corpus
from modeling_docre import Document, write_docred
from modeling_docre.training.run import main

PROTOCOL = {"corpus": "docred", "corpus_config": "annotated", "train_split": "train_annotated"}


def _documents(*names: str, more: bool = False) -> list[Document]:
    """Documents of these titles; with `more`, relations that the others lack, as after relabelling."""
    types = {"born": "P19", "works": "P937", "seat": "P159"}
    found = []
    for number, name in enumerate(names):
        document = (ANNA, OTTO)[number % 2]
        relations = [replace(relation, type=types[relation.type]) for relation in document.relations]
        relations += [replace(relations[0], type="P551")] if more else []
        found.append(replace(document, id=name, relations=tuple(relations)))
    return found


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """DocRED with 4 training and 5 dev documents, two of which Revisit-DocRED has, too; and one of the training's."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for name in ("docred", "revisit"):
        (tmp_path / name).mkdir()
    write_docred(_documents("a", "b", "c", "d"), tmp_path / "docred/train_annotated.json")
    write_docred(_documents("e", "f", "g", "h", "i"), tmp_path / "docred/dev.json")
    write_docred(_documents("f", "d", "h", more=True), tmp_path / "revisit/valid_scratch.json")
    write_docred(_documents("f", "d", "h"), tmp_path / "revisit/valid_revise.json")
    return {"data_dir": str(tmp_path / "docred"), "test_data_dir": str(tmp_path / "revisit")}


def _ids(corpus: Corpus) -> dict[str, list[str]]:
    return {name: [document.id for document in split] for name, split in corpus.splits.items()}


def test_documents_of_both_are_test_documents_only(folders: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="dataset_scripts.building.loading")
    corpus = load_corpus(CorpusArguments(**PROTOCOL, **folders, test_corpus="revisit_docred"))
    assert _ids(corpus) == {"train": ["a", "b", "c"], "validation": ["e", "g", "i"], "test": ["f", "d", "h"]}
    assert all("P551" in {r.type for r in document.relations} for document in corpus.splits["test"])
    assert corpus.labels == {
        "entity_types": ENTITY_TYPES,
        "relation_types": RELATION_TYPES,
        "relation_labels": RELATION_LABELS,
        "symmetric_relations": [],
    }
    messages = [entry.getMessage() for entry in caplog.records if entry.name == "dataset_scripts.building.loading"]
    assert messages == [
        "1 of 4 documents of docred are test documents of revisit_docred and are left out of train",
        "2 of 5 documents of docred are test documents of revisit_docred and are left out of validation",
    ]


def test_without_a_test_corpus_nothing_is_left_out(folders: dict[str, str]) -> None:
    corpus = load_corpus(CorpusArguments(**PROTOCOL, data_dir=folders["data_dir"]))
    assert _ids(corpus) == {"train": ["a", "b", "c", "d"], "validation": ["e", "f", "g", "h", "i"]}


def test_config_and_split_of_the_test_corpus(folders: dict[str, str]) -> None:
    revised = load_corpus(
        CorpusArguments(**PROTOCOL, **folders, test_corpus="revisit_docred", test_corpus_config="revised")
    )
    assert not any(r.type == "P551" for document in revised.splits["test"] for r in document.relations)
    # The first corpus has no split of that name and is not asked for it.
    named = load_corpus(CorpusArguments(**PROTOCOL, **folders, test_corpus="revisit_docred", test_split="test"))
    assert _ids(named)["test"] == ["f", "d", "h"]
    other = {"test_corpus": "docred", "test_corpus_config": "annotated", "test_split": "validation"}
    corpus = load_corpus(
        CorpusArguments(**PROTOCOL, data_dir=folders["data_dir"], test_data_dir=folders["data_dir"], **other)
    )
    assert _ids(corpus)["test"] == ["e", "f", "g", "h", "i"] and _ids(corpus)["validation"] == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"test_corpus": "revisited"}, "there is no corpus 'revisited'; --test_corpus takes one of .*revisit_docred"),
        ({"corpus": None, "test_corpus": "sample"}, "--test_corpus is the test data of a --corpus; .* --test_file"),
        ({"test_data_dir": "x"}, "--test_corpus_config and --test_data_dir need a --test_corpus"),
        ({"test_corpus_config": "x"}, "--test_corpus_config and --test_data_dir need a --test_corpus"),
    ],
)
def test_what_does_not_fit_is_named(options: dict[str, Any], found: str, folders: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=found):
        load_corpus(CorpusArguments(**{**PROTOCOL, "data_dir": folders["data_dir"], **options}))


def test_a_test_corpus_with_other_labels_is_refused(folders: dict[str, str]) -> None:
    arguments = CorpusArguments(corpus="sample", test_corpus="revisit_docred", test_data_dir=folders["test_data_dir"])
    with pytest.raises(ValueError, match="--test_corpus revisit_docred has 'NUM' among its entity_types, but --corpus"):
        load_corpus(arguments)


def test_a_missing_split_of_the_test_corpus_is_named(folders: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="dev"):
        load_corpus(CorpusArguments(**PROTOCOL, **folders, test_corpus="revisit_docred", test_split="dev"))


def test_a_run_by_recipe(folders: dict[str, str], tmp_path: Path) -> None:
    encoder, output, recipe = tmp_path / "encoder", tmp_path / "output", tmp_path / "recipe.yaml"
    tiny_encoder().save_pretrained(encoder)
    tiny_tokenizer().save_pretrained(encoder)
    lines = {"system": "atlop", **PROTOCOL, "test_corpus": "revisit_docred", "encoder": str(encoder)}
    recipe.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    places = [text for name, folder in folders.items() for text in (f"--{name}", folder)]
    flags = "--pair_size 24 --bilinear_groups 3 --window_overlap 16 --use_cpu --disable_tqdm true --num_train_epochs 1"
    batches = ["--per_device_train_batch_size", "1", "--output_dir", str(output)]
    main([str(recipe), *places, *flags.split(), *batches])
    for split, names in {"validation": ["e", "g", "i"], "test": ["f", "d", "h"]}.items():
        predictions = json.loads((output / split / "predictions.json").read_text())
        assert [document["id"] for document in predictions] == names
        assert json.loads((output / split / "scores.json").read_text())["documents"] == 3
    assert "ign_f1" in json.loads((output / "test/scores.json").read_text())


def test_the_real_documents(
    shared_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folders = {
        "data_dir": str(shared_data("re_docred/train.json").parent),
        "test_data_dir": str(shared_data("revisit_docred/valid_scratch.json").parent),
    }
    corpus = load_corpus(CorpusArguments(corpus="re_docred", test_corpus="revisit_docred", **folders))
    assert {name: len(split) for name, split in corpus.splits.items()} == {"train": 360, "validation": 89, "test": 51}
    held_out = {document.id for document in corpus.splits["test"]}
    assert not held_out & {document.id for name in ("train", "validation") for document in corpus.splits[name]}
