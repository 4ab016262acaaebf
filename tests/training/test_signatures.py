"""Signatures: counted on training documents, kept in the configuration, obeyed by decoding, pipeline and card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from pipelines import build, decisive_atlop
from samples import ANNA, OTTO
from tiny import RELATION_TYPES, tiny_atlop, tiny_joint, tiny_tokenizer
from training import BRIEF, trainer, write_jsonl

from modeling_docre import JointConfig, Predictor
from modeling_docre.decoding import Signatures
from modeling_docre.documents import Document, Relation
from modeling_docre.hub.cards import render_card
from modeling_docre.training import run
from modeling_docre.training.relation_samples import count_signatures, learn_signatures

BORN = ["born", "PER", "LOC"]


def test_what_documents_state_often_enough_is_counted_once_a_document() -> None:
    twice = replace(ANNA, relations=(*ANNA.relations, ANNA.relations[0]))
    assert count_signatures([twice, OTTO], 1) == [BORN, ["seat", "ORG", "LOC"], ["works", "PER", "LOC"]]
    assert count_signatures([twice, OTTO], 2) == [BORN, ["works", "PER", "LOC"]]  # the repeated row is no third one
    assert count_signatures([twice, OTTO], 3) == [] == count_signatures([], 1)
    untyped = replace(OTTO, entities=tuple(replace(entity, type="") for entity in OTTO.entities))
    assert count_signatures([untyped], 1) == []


def test_unknown_and_missing_types_allow_everything() -> None:
    known = Signatures([BORN], ["PER", "LOC"], ["born", "works"])
    assert known.kinds(["LOC", "PER", "GPE", ""]).tolist() == [1, 0, 2, 2] and known.kinds([]).shape == (0,)
    stated = known.allowed[:2, :2]
    assert stated.sum() == 1 and stated[0, 1, 0]
    assert known.allowed[2].all() and known.allowed[:, 2].all()
    assert Signatures([], [], ["born"]).allowed.tolist() == [[[True]]]


def everything(**options: Any) -> Any:
    """A model that returns every type of every pair."""
    return tiny_joint(relation_threshold=0.0, **options)


def types(document: Document) -> set[tuple[str, str, str]]:
    ends = [entity.type for entity in document.entities]
    return {(item.type, ends[item.head], ends[item.tail]) for item in document.relations}


def test_decoding_obeys_the_stored_ones_others_or_none() -> None:
    predictor = Predictor(everything(), tiny_tokenizer())
    free = predictor.predict([ANNA, OTTO], given="entities")
    assert {kind for document in free for kind, *_ in types(document)} == set(RELATION_TYPES)
    predictor.config.signatures = [BORN, ["seat", "ORG", "LOC"]]
    obeying = predictor.predict([ANNA, OTTO], given="entities")
    assert types(obeying[0]) == {tuple(BORN), ("seat", "ORG", "LOC")} and types(obeying[1]) == {tuple(BORN)}
    for document, whole in zip(obeying, free, strict=True):  # nothing else changes
        ends = [entity.type for entity in document.entities]
        kept = [r for r in whole.relations if [r.type, ends[r.head], ends[r.tail]] in predictor.config.signatures]
        assert list(document.relations) == kept
    assert predictor.predict([ANNA, OTTO], given="entities", signatures=None) == free
    assert types(predictor.predict([OTTO], given="entities", signatures=[["works", "LOC", "PER"]])[0]) == {
        ("works", "LOC", "PER")
    }
    assert not predictor.predict([ANNA], given="entities", signatures=[])[0].relations


def test_joint_does_not_score_pairs_that_may_not_be_related_and_finds_the_same() -> None:
    model = everything(seed=3, coreference_threshold=0.5)
    predictor = Predictor(model, tiny_tokenizer())
    scores = torch.sigmoid(predictor.run(predictor.featurizer([ANNA]))[0].mention_logits)
    model.config.mention_threshold = scores.sort(descending=True).values[11:13].mean().item()
    model.config.coreference_threshold = 0.6
    # The types of an untrained model are all the same; here each entity's is what it scores above the mean.
    model.entity_classifier.output.bias.data -= predictor.run(predictor.featurizer([ANNA]))[0].entity_type_logits.mean(
        0
    )
    [free] = predictor.predict([ANNA])
    pair = sorted(types(free))[0][1:]
    some = sorted(item for item in types(free) if item[1:] == pair)
    assert 0 < len(some) < len(types(free))
    features, signatures = predictor.featurizer([ANNA]), predictor.signatures([list(triple) for triple in some])
    assert len(predictor.run(features, None, signatures)[0].pairs) < len(predictor.run(features)[0].pairs)
    [found] = predictor.predict([ANNA], signatures=[list(triple) for triple in some])
    assert types(found) == set(some)

    def key(relation: Relation) -> tuple[int, int, str]:
        return relation.head, relation.tail, relation.type

    ends = [entity.type for entity in free.entities]
    kept = {key(r): r.score for r in free.relations if (r.type, ends[r.head], ends[r.tail]) in some}
    assert {key(r): r.score for r in found.relations} == pytest.approx(kept, abs=1e-5)


def test_gold_relations_that_are_excluded_count_as_missed(tmp_path: Path) -> None:
    model = everything()
    running = trainer(model, tmp_path, [ANNA, OTTO])
    model.config.signatures = [BORN]
    [found] = Predictor(model, tiny_tokenizer()).predict([OTTO], given="entities")
    assert types(found) == {tuple(BORN)}
    scores = running.score([found], [OTTO])
    assert scores["relation_recall"] == 0.0 and scores["relation_f1"] == 0.0
    [found] = Predictor(model, tiny_tokenizer()).predict([ANNA], given="entities")
    mixed = running.score([found], [ANNA])
    assert mixed["relation_recall"] == 2 / 4


def test_atlop_obeys_signatures_of_the_types_that_are_given() -> None:
    model = tiny_atlop(threshold="global", loss="bce", relation_threshold=0.0, signatures=[BORN])
    [found] = Predictor(model, tiny_tokenizer()).predict([ANNA])
    assert types(found) == {tuple(BORN)}


def test_signatures_take_readable_labels_of_relation_types() -> None:
    predictor = Predictor(everything(relation_labels={"works": "at work", "seat": "at work"}), tiny_tokenizer())
    named = predictor.predict([ANNA, OTTO], given="entities", signatures=[["at work", "PER", "LOC"], BORN])
    typed = [["works", "PER", "LOC"], ["seat", "PER", "LOC"], BORN]
    assert named == predictor.predict([ANNA, OTTO], given="entities", signatures=typed)
    assert {relation.type for document in named for relation in document.relations} == {"born", "works", "seat"}


def test_wrong_signatures_are_refused_everywhere_alike() -> None:
    pipe = build(decisive_atlop())
    given = [{"type": "PER", "mentions": [{"char_start": 0, "char_end": 4}]}]
    for wrong, message in (
        ("born", r"signatures is 'born'; give a list of \[relation type"),
        (3, "signatures is 3"),
        (["born"], r"signatures has 'born'; give lists \[relation type"),
        ([["born", "PER"]], r"signatures has \['born', 'PER'\]"),
        (
            [["flies", "PER", "LOC"]],
            "signatures names 'flies', .* the model knows seat, works, born",
        ),
        ([["wroks", "PER", "LOC"]], "signatures names 'wroks', .*; the model knows works, "),
        ([["born", "PER", "GPE"]], "signatures names 'GPE', which is not among entity_types; the model knows .*PER"),
        ([["born", "PER", 1]], "signatures names 1, which is not among entity_types"),
    ):
        with pytest.raises(ValueError, match=message):
            pipe("Anna was born.", entities=given, signatures=wrong)
    with pytest.raises(StrictDataclassClassValidationError, match="signatures names 'flies'"):
        tiny_joint(signatures=[["flies", "PER", "LOC"]])


def test_the_pipeline_takes_them_per_call_and_at_construction() -> None:
    model = everything(signatures=[BORN])
    model.config.coreference_threshold = 1.0
    text = {"id": "a", **ANNA.to_dict()}
    free = build(model, signatures=None)
    stored = build(model)

    def kinds(result: dict[str, Any]) -> set[str]:
        return {relation["type"] for relation in result["relations"]}

    assert kinds(stored(text, entities=True)) == {"born"}
    assert (
        kinds(stored(text, entities=True, signatures=None)) == set(RELATION_TYPES) == kinds(free(text, entities=True))
    )
    assert kinds(free(text, entities=True, signatures="stored")) == {"born"}
    assert kinds(stored(text, entities=True, signatures=[["seat", "ORG", "LOC"]])) == {"seat"}


def test_training_counts_and_stores_them(tmp_path: Path) -> None:
    files = [
        "--train_file",
        write_jsonl(tmp_path / "train.jsonl", [ANNA, OTTO, replace(OTTO, id="again")]),
        "--eval_strategy",
        "no",
    ]
    files += ["--load_best_model_at_end", "false", "--encoder", "offline", *BRIEF, "--max_steps", "1"]
    files += ["--save_strategy", "no"]
    run.main(["--system", "joint", *files, "--output_dir", str(tmp_path / "joint")])
    saved = json.loads((tmp_path / "joint" / "config.json").read_text(encoding="utf-8"))
    assert saved["signatures"] == [BORN, ["works", "PER", "LOC"]]
    assert "| born | PER → LOC |" in (tmp_path / "joint" / "README.md").read_text(encoding="utf-8")


def test_systems_that_read_no_types_learn_none() -> None:
    with pytest.raises(ValueError, match="signature_min counts types of entities, which AtlopModel does not read"):
        learn_signatures(tiny_atlop(), [ANNA], 2)
    model = tiny_joint()
    learn_signatures(model, [ANNA], 2)
    assert model.config.signatures == [BORN]
    assert JointConfig(**model.config.to_dict()).signatures == [BORN]


def test_the_card_shows_them_as_a_table_and_escapes_them() -> None:
    assert "may hold" not in render_card(tiny_joint()) and "signatures" not in render_card(tiny_joint())
    names = {"relation_types": ["born|in", "works"], "entity_types": ["PER*", "LOC"]}
    triples = [["born|in", "PER*", "LOC"], ["born|in", "LOC", "LOC"], ["works", "PER*", "PER*"]]
    text = render_card(tiny_joint(**names, signatures=triples))
    assert "`signatures=None`" in text
    rows = [line for line in text.splitlines() if "→" in line]
    assert rows == [
        "| relation type | head → tail |",
        "| born\\|in | PER\\* → LOC, LOC → LOC |",
        "| works | PER\\* → PER\\* |",
    ]
    assert "\n\n\n" not in text
