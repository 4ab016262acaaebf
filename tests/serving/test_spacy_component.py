"""The spaCy component `docre`: known without an import, spans of spaCy's own tokens, saved with its weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from hub_processes import REPOSITORY, environment
from pipelines import build, close, decisive_atlop, decisive_jerex
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from tiny import TINY

import docre_spacy  # noqa: F401 (as spaCy does by the entry point of the installed package)

TEXT = "Anna Berg was born in Berlin.\n\nShe works at the Institute (U.S. Office). Tom met Anna."
PATTERNS = [
    {"label": "PERSON", "pattern": "Anna"},
    {"label": "GPE", "pattern": "Berlin"},
    {"label": "PERSON", "pattern": "Tom"},
    {"label": "DATE", "pattern": "the Institute"},
]
TYPES = {"PERSON": "PER", "GPE": "LOC", "DATE": None}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of a model that finds entities and of three that can be given them."""
    folder = tmp_path_factory.mktemp("models")
    names = [["precise", 0.999]]
    made = {
        "jerex": decisive_jerex(relation_threshold=0.0, named_thresholds=names),
        "atlop": decisive_atlop(relation_threshold=0.0),
    }
    made |= {name: TINY[name](relation_threshold=0.0) for name in ("kmgre", "joint")}
    for name, model in made.items():
        build(model).save_pretrained(folder / name)
    return {name: str(folder / name) for name in made}


def language(*before: str, **config: Any) -> Language:
    """A blank English pipeline with the component; `before` are components ahead of it."""
    nlp = spacy.blank("en")
    for name in before:
        component = nlp.add_pipe(name)
        if name == "entity_ruler":
            component.add_patterns(PATTERNS)
    nlp.add_pipe("docre", config=config)
    return nlp


def check_spans(doc: Doc) -> None:
    """Spans, entities and relations say what the graph says."""
    graph = doc._.docre_graph
    mentions = [(mention, entity, n) for n, entity in enumerate(graph["entities"]) for mention in entity["mentions"]]
    assert len(doc.spans["docre"]) == len(mentions)
    for span, (mention, entity, number) in zip(doc.spans["docre"], mentions, strict=True):
        assert span.text == mention["name"] == doc.text[mention["char_start"] : mention["char_end"]]
        assert (span.label_, span.id_) == (entity["type"], str(number))
        words = [token.text for token in span if not token.is_space]
        assert words == graph["sentences"][mention["sentence"]][mention["start"] : mention["end"]]
    assert [entity.label for entity in doc._.docre_entities] == [entity["type"] for entity in graph["entities"]]
    for found, stated in zip(doc._.docre_relations, graph["relations"], strict=True):
        assert found.head == doc._.docre_entities[stated["head"]] and found.tail == doc._.docre_entities[stated["tail"]]
        assert (found.label, found.score) == (stated["type"], stated["score"])
        sentences = [graph["sentences"][number] for number in stated.get("evidence", ())]
        assert [[token.text for token in span if not token.is_space] for span in found.evidence] == sentences


def test_a_document_gets_spans_entities_and_relations(models: dict[str, str]) -> None:
    nlp = language(model=models["jerex"])
    doc = nlp(TEXT)
    check_spans(doc)
    assert len(doc._.docre_entities) > 1 and len(doc._.docre_relations) > 1
    assert any(relation.evidence for relation in doc._.docre_relations)
    assert len(doc._.docre_graph["sentences"]) == 3 and "\n\n" in [token.text for token in doc]
    for text in ("", " \n ", "Anna", "日本"):
        check_spans(nlp(text))
    untouched = spacy.blank("en")(TEXT)
    assert (untouched._.docre_graph, untouched._.docre_entities, untouched._.docre_relations) == (None, [], [])
    copy = next(DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab))
    assert json.dumps(copy._.docre_graph) == json.dumps(doc._.docre_graph)
    assert str(copy._.docre_relations) == str(doc._.docre_relations)


def test_a_stream_is_annotated_in_batches_as_each_document_alone(models: dict[str, str]) -> None:
    nlp = language(model=models["jerex"], batch_size=2)
    texts = [TEXT, "Tom met Anna.", "", "Berlin is the seat of the Institute.", TEXT * 2]
    calls: list[int] = []
    extract = nlp.get_pipe("docre").extract
    run = type(extract)._forward

    def counted(inputs: list[Any], **options: Any) -> Any:
        calls.append(len(inputs))
        return run(extract, inputs, **options)

    extract._forward = counted  # type: ignore[method-assign]
    docs = list(nlp.pipe(texts))
    assert calls == [2, 2, 1]
    for text, doc in zip(texts, docs, strict=True):
        check_spans(doc)
        alone = nlp(text)._.docre_graph
        assert close({**alone, "id": ""}, {**doc._.docre_graph, "id": ""})

    def read() -> Iterator[str]:
        yield from texts
        raise AssertionError("read ahead of what is asked for")

    assert [doc.text for doc, _ in zip(nlp.pipe(read(), batch_size=1), "ab", strict=False)] == texts[:2]
    for threshold, least in ((0.5, 0.5), ("precise", 0.999)):
        kept = language(model=models["jerex"], threshold=threshold)(TEXT)._.docre_graph["relations"]
        stated = nlp(TEXT)._.docre_graph["relations"]
        assert close(kept, [item for item in stated if item["score"] >= least]) and len(kept) < len(stated)


def test_sentences_are_those_of_the_document_or_of_the_model(models: dict[str, str]) -> None:
    def sentences(nlp: Language, text: str | Doc) -> list[str]:
        doc = nlp(text)
        check_spans(doc)
        return [" ".join(words) for words in doc._.docre_graph["sentences"]]

    text = "Anna works.\n\nTom met Anna"
    own = Doc(spacy.blank("en").vocab, words=["Anna", "works.", "Tom", "met", "Anna"], sent_starts=[1, 0, 0, 1, 0])
    for way, expected in (("auto", own), ("spacy", own), ("model", None)):
        nlp = language(model=models["jerex"], sentences=way)
        doc = Doc(nlp.vocab, words=[token.text for token in own], sent_starts=[token.is_sent_start for token in own])
        found = sentences(nlp, doc)
        assert found == (["Anna works. Tom", "met Anna"] if expected else ["Anna works.", "Tom met Anna"]), way
    assert sentences(language(model=models["jerex"]), text) == ["Anna works .", "Tom met Anna"]
    assert sentences(language("sentencizer", model=models["jerex"]), text) == ["Anna works .", "Tom met Anna"]


def test_the_entities_of_spacy_are_given_to_the_model(models: dict[str, str]) -> None:
    for name in ("atlop", "kmgre", "joint"):
        nlp = language("entity_ruler", model=models[name], entities="spacy", entity_type_map=TYPES)
        for doc in nlp.pipe([TEXT, "Nobody is here."]):
            check_spans(doc)
            mentions = [[span.text for span in entity.mentions] for entity in doc._.docre_entities]
            assert mentions == ([["Anna", "Anna"], ["Berlin"], ["Tom"]] if doc.text == TEXT else [])
        doc = nlp(TEXT)
        assert [entity.label for entity in doc._.docre_entities] == ["PER", "LOC", "PER"] and doc._.docre_relations
        assert [span.text for span in doc.ents] == ["Anna", "Berlin", "the Institute", "Tom", "Anna"], (
            "left as they are"
        )
    nlp = language(model=models["atlop"], entities="spacy")
    doc = nlp.make_doc("Anna B. met Anna")
    for concept, mentions in (("Q1", [2]), ("NIL", [1, 1])):  # NIL: spaCy's linker knows no id
        doc.ents = [doc.char_span(0, 7, "PER", kb_id=concept), doc.char_span(12, 16, "PER", kb_id=concept)]
        assert [len(entity.mentions) for entity in nlp(doc)._.docre_entities] == mentions, concept


def test_a_document_may_have_a_name(models: dict[str, str]) -> None:
    nlp = language(model=models["jerex"])
    docs = [nlp.make_doc("Tom met Anna.") for _ in range(5)]
    docs[1]._.docre_id = docs[2].user_data["id"] = "letter 7"
    docs[3].user_data["id"] = 3
    docs[4].user_data["id"] = "doc-0"
    names = ["doc-0", "letter 7", "letter 7", "3", "doc-0"]
    assert [doc._.docre_graph["id"] for doc in nlp.pipe(docs)] == names
    assert nlp(docs[1])._.docre_graph["id"] == "letter 7" and nlp("Tom.")._.docre_graph["id"] == "doc-0"


def test_the_pipeline_is_saved_with_its_model_and_known_without_an_import(
    models: dict[str, str], tmp_path: Path
) -> None:
    """A fresh process imports spaCy alone; the entry point is that of pyproject.toml."""
    original = tmp_path / "original"
    Path(models["jerex"]).rename(original)
    nlp = language(model=str(original), batch_size=3)
    expected = nlp(TEXT)._.docre_graph
    nlp.to_disk(tmp_path / "saved")
    nlp.to_disk(tmp_path / "named", exclude=["docre"])
    assert (tmp_path / "saved/docre/model.safetensors").is_file() and not (tmp_path / "named/docre").exists()
    assert close(spacy.load(tmp_path / "named")(TEXT)._.docre_graph, expected)
    original.rename(models["jerex"])
    with pytest.raises(OSError, match="original"):
        spacy.load(tmp_path / "named")(TEXT)
    points = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    (tmp_path / "site/docre_test-1.dist-info").mkdir(parents=True)
    lines = [f"{name} = {value}" for name, value in points["spacy_factories"].items()]
    entry = "\n".join(["[spacy_factories]", *lines, ""])
    (tmp_path / "site/docre_test-1.dist-info/entry_points.txt").write_text(entry, encoding="utf-8")
    (tmp_path / "site/docre_test-1.dist-info/METADATA").write_text("Name: docre-test\nVersion: 1\n", encoding="utf-8")
    assert close(in_a_fresh_process(tmp_path), expected)


SCRIPT = """
import json, sys, spacy
spacy.blank("en").add_pipe("sentencizer")
assert not {"transformers", "modeling_docre"} & set(sys.modules), "spaCy alone stays as fast as it was"
nlp = spacy.load("saved")
assert nlp.get_pipe("docre").batch_size == 3
print(json.dumps(nlp(sys.argv[1])._.docre_graph))
"""


def in_a_fresh_process(folder: Path) -> Any:
    variables = environment(None, folder / "home")
    variables["PYTHONPATH"] = os.pathsep.join([str(folder / "site"), str(REPOSITORY)])
    command = [sys.executable, "-c", SCRIPT, TEXT]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_what_is_wrong_is_said(models: dict[str, str]) -> None:
    for config, message in (
        ({"model": "no/such/model"}, "the model no/such/model does not exist"),
        ({"model": models["atlop"]}, 'finds relations between entities that are given; set entities="spacy"'),
        ({"model": models["atlop"], "entities": "spacy"}, '\'Tom.\'; put "ner" or an "entity_ruler" before it'),
        ({"model": models["jerex"], "sentences": "spacy"}, "'Tom.' has none; put a parser, \"senter\""),
    ):
        nlp = language(**config)
        with pytest.raises((OSError, ValueError)) as raised:
            nlp("Tom.")
        assert message in str(raised.value)
    with pytest.raises(ValueError, match="entity_type_map"):
        language("entity_ruler", model=models["joint"], entities="spacy")("Tom met Anna.")
    for config, message in (
        ({"threshold": 2.0}, "threshold of the component 'docre' is 2.0; give a number from 0 to 1"),
        ({"batch_size": 0}, "batch_size of the component 'docre' is 0"),
        ({"sentences": "mine"}, "sentences"),
        ({"entities": "mine"}, "entities"),
    ):
        with pytest.raises(ValueError) as raised:
            language(**config)
        assert message in str(raised.value)
