"""Relations that are left out of files: types that mean no relation, and relations from an entity to itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import ANNA, build
from training import write_jsonl

from dataset_scripts.building.loading import CorpusArguments, load_corpus
from modeling_docre import DocumentError, write_docred

ODD = build(
    "odd",
    ["a b"],
    [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])],
    [(0, 1, "no_relation"), (1, 0, "born"), (1, 0, "N/A"), (0, 1, "nil")],
)


def load(file: str | Path, *names: str, **options: bool):
    return load_corpus(CorpusArguments(train_file=str(file), no_relation_types=list(names), **options))


def test_types_that_mean_no_relation_are_told_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    write_docred([ODD], tmp_path / "docred.json")
    for file in (write_jsonl(tmp_path / "a.jsonl", [ODD]), tmp_path / "docred.json"):
        caplog.clear()
        assert load(file).labels["relation_types"] == ["N/A", "born", "nil", "no_relation"]
        assert "'N/A', 'nil', 'no_relation'" in caplog.text
        assert "--no_relation_types N/A nil no_relation" in caplog.text
        caplog.clear()
        corpus = load(file, "no_relation", "nil", "N/A")
        assert corpus.labels["relation_types"] == ["born"]
        assert [relation.type for relation in corpus.splits["train"][0].relations] == ["born"]
        assert "1 relations are left out: N/A" in caplog.text and "--no_relation_types" not in caplog.text
    with pytest.raises(ValueError, match=r"names 'norelation', but no relation has that type; the types are N/A, born"):
        load(file, "norelation")


def test_ordinary_types_raise_no_doubt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(write_jsonl(tmp_path / "a.jsonl", [ANNA]))
    assert not caplog.text


def test_relations_of_an_entity_to_itself_are_left_out_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    record = ANNA.to_dict()
    count = len(record["relations"])
    record["relations"].append({"head": 1, "tail": 1, "type": "born"})
    own = tmp_path / "own.jsonl"
    own.write_text(json.dumps(record), encoding="utf-8")
    write_docred([ANNA], tmp_path / "docred.json")
    [docred] = json.loads((tmp_path / "docred.json").read_text(encoding="utf-8"))
    docred["labels"].append({"h": 1, "t": 1, "r": "born"})
    (tmp_path / "docred.json").write_text(json.dumps([docred]), encoding="utf-8")
    for file in (own, tmp_path / "docred.json"):
        with pytest.raises(DocumentError, match="two different entities"):
            load(file)
        caplog.clear()
        assert len(load(file, drop_self_relations=True).splits["train"][0].relations) == count
        assert "1 relations are left out: from an entity to itself" in caplog.text


def test_a_corpus_names_its_own_relations() -> None:
    for option in ({"no_relation_types": ["x"]}, {"drop_self_relations": True}):
        with pytest.raises(ValueError, match=f"--{next(iter(option))} belongs to files of your own"):
            load_corpus(CorpusArguments(corpus="sample", **option))
