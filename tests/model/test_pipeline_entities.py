"""The pipeline where entities are given: from a call, from a document, and to models that find relations alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipelines import (
    ENTITIES,
    PAIRS,
    TEXTS,
    build,
    close,
    decisive_atlop,
    decisive_jerex,
    run_without_package,
    spans,
)
from tiny import RELATION_TYPES

from modeling_docre import (
    DocRelationExtractionPipeline,
    Document,
    DocumentError,
    Predictor,
    Relation,
    given_entities,
)
from modeling_docre.documents import SoftRelation
from modeling_docre.given_entities import place_entities
from modeling_docre.text import document_from_text

TOM = [{"type": "PER", "mentions": [{"char_start": 0, "char_end": 3}]}]
TOM_AND_ANNA = [*TOM, {"type": "PER", "mentions": [{"char_start": 8, "char_end": 12}]}]


@pytest.fixture(scope="module")
def extract() -> DocRelationExtractionPipeline:
    """A model that finds entities and relations itself."""
    return build(decisive_jerex())


@pytest.fixture(scope="module")
def relate() -> DocRelationExtractionPipeline:
    """A model that finds relations between given entities."""
    return build(decisive_jerex(task="relation", relation_threshold=0.0))


@pytest.fixture(scope="module")
def atlop() -> DocRelationExtractionPipeline:
    """A model that finds relations between given entities, with the sentences that carry them."""
    return build(decisive_atlop(relation_labels={"born": "place of birth"}))


def scores(result: dict[str, Any]) -> dict[tuple[int, int, str], float]:
    return {(item["head"], item["tail"], item["type"]): item["score"] for item in result["relations"]}


def test_own_entities_of_a_document(extract: DocRelationExtractionPipeline) -> None:
    document = extract(TEXTS[0], entities=ENTITIES)
    del document["relations"]
    assert spans(extract(document)) != spans(document)
    assert extract(document, entities=False) == extract(document)
    kept = extract(document, entities=True, threshold=0)
    assert kept["entities"] == document["entities"] and len(kept["relations"]) == PAIRS * len(RELATION_TYPES)
    with pytest.raises(DocumentError, match=r"entities is True; .*to relate: pass entities="):
        extract(TEXTS[0], entities=True)


def test_given_entities(extract: DocRelationExtractionPipeline, relate: DocRelationExtractionPipeline) -> None:
    for pipe in (extract, relate):
        result = pipe(TEXTS[0], entities=ENTITIES, threshold=0)
        assert spans(result) == [["Anna Berg", "She"], ["Berlin"], ["Institute"]]
        assert [entity["type"] for entity in result["entities"]] == ["PER", "LOC", "ORG"]
        assert len(result["relations"]) == PAIRS * len(RELATION_TYPES)
        assert close(pipe(TEXTS[0], entities=result["entities"], threshold=0), result)
        assert close(pipe(Document.from_dict(result), entities=True, threshold=0), result)
    assert pipe(TEXTS[0], entities=[])["entities"] == []


def test_given_entities_of_several_texts(extract: DocRelationExtractionPipeline) -> None:
    tom = [{"type": "PER", "mentions": [{"char_start": 0, "char_end": 3}]}]
    results = extract([TEXTS[1], TEXTS[0], TEXTS[0], TEXTS[1]], entities=[tom, None, ENTITIES, tom], batch_size=4)
    assert [spans(result) for result in (results[0], results[3])] == [[["Tom"]]] * 2
    assert close(results[1], {**extract(TEXTS[0]), "id": "text-1"})
    assert close(results[2], {**extract(TEXTS[0], entities=ENTITIES), "id": "text-2"})
    streamed = extract((text for text in TEXTS[:2]), entities=([], tom))
    assert [spans(result) for result in streamed] == [[], [["Tom"]]]
    with pytest.raises(ValueError, match="entities has no list for input text-1; give one list of entities for each"):
        extract([TEXTS[1], TEXTS[1]], entities=[tom])
    with pytest.raises(ValueError, match="entities has more lists than inputs, 2; give one list of entities for each"):
        extract([TEXTS[1], TEXTS[1]], entities=[tom, tom, tom])
    with pytest.raises(
        ValueError, match=r"entities has \{'type': 'PER', .* for input text-0; give one list of entities"
    ):
        extract([TEXTS[0]], entities=tom)
    with pytest.raises(ValueError, match="give a list of entities for each"):
        extract([TEXTS[0]], entities=tom[0])


def test_cut_words_and_merged_sentences(relate: DocRelationExtractionPipeline) -> None:
    entities = [
        {"type": "PER", "mentions": [{"char_start": 1, "char_end": 7}]},
        {"type": "LOC", "mentions": [{"char_start": 24, "char_end": 33}]},
    ]
    result = relate(TEXTS[0], entities=entities)
    assert spans(result) == [["nna Be"], ["rlin. She"]]
    assert len(result["sentences"]) == 1 and result["sentences"][0][:4] == ["A", "nna", "Be", "rg"]


def test_models_that_need_entities(relate: DocRelationExtractionPipeline) -> None:
    document = document_from_text(TEXTS[0], "mine")
    for text in (TEXTS[0], [["Anna", "works"]]):
        with pytest.raises(DocumentError, match="give the entities to relate: pass entities="):
            relate(text)
    assert relate(document)["entities"] == []
    result = relate(TEXTS[0], entities=ENTITIES)
    assert close(relate(result), result)
    with pytest.raises(DocumentError, match=r"entities\[0\].type is 'CITY'"):
        relate(TEXTS[0], entities=[{**ENTITIES[1], "type": "CITY"}])


# --- ATLOP --------------------------------------------------------------------------------------------------------


def test_atlop_relates_the_entities_of_a_text(atlop: DocRelationExtractionPipeline) -> None:
    result = atlop(TEXTS[0], entities=ENTITIES)
    assert json.loads(json.dumps(result)) == result and Document.from_dict(result).to_dict() == result
    assert spans(result) == [["Anna Berg", "She"], ["Berlin"], ["Institute"]]
    assert [entity["type"] for entity in result["entities"]] == ["PER", "LOC", "ORG"]
    for entity in result["entities"]:
        for mention in entity["mentions"]:
            assert mention["name"] == TEXTS[0][mention["char_start"] : mention["char_end"]]
    assert 0 < len(result["relations"]) < PAIRS * len(RELATION_TYPES)
    falling = [relation["score"] for relation in result["relations"]]
    assert falling == sorted(falling, reverse=True) and falling[-1] > 0.5
    for relation in result["relations"]:
        assert relation.get("label") == {"born": "place of birth"}.get(relation["type"])
    document = place_entities(document_from_text(TEXTS[0], "text-0"), ENTITIES)
    [expected] = Predictor(atlop.model, atlop.tokenizer).predict([document])
    assert close(result["relations"], expected.to_dict()["relations"])


def test_atlop_tells_the_sentences_that_carry_a_pair(atlop: DocRelationExtractionPipeline) -> None:
    told: dict[frozenset[int], set[Any]] = {}
    for relation in atlop(TEXTS[0], entities=ENTITIES, threshold=0)["relations"]:
        assert "mention_pairs" not in relation
        evidence, weights = relation["evidence"], relation["evidence_scores"]
        assert evidence == sorted(set(evidence)) and set(evidence) <= {0, 1}
        assert len(weights) == len(evidence) > 0
        assert all(0 < weight <= 1 for weight in weights) and sum(weights) <= 1 + 1e-6
        told.setdefault(frozenset((relation["head"], relation["tail"])), set()).add((*evidence, *weights))
    assert len(told) == PAIRS / 2
    assert all(len(values) == 1 for values in told.values())  # both orders and all types of a pair alike
    without = build(decisive_atlop(localized_context=False))(TEXTS[0], entities=ENTITIES, threshold=0)
    assert without["relations"]
    assert not {"evidence", "evidence_scores"} & {key for relation in without["relations"] for key in relation}


def test_atlop_reads_texts_words_and_documents_in_any_mixture(atlop: DocRelationExtractionPipeline) -> None:
    one, two = atlop(TEXTS[0], entities=ENTITIES), atlop({"id": "two", "text": TEXTS[1]}, entities=TOM_AND_ANNA)
    assert one["relations"] and two["relations"]
    both = [one, {**two, "id": "text-1"}]
    assert close(atlop(TEXTS[:2], entities=[ENTITIES, TOM_AND_ANNA]), both)
    assert close(list(atlop(iter(TEXTS[:2]), entities=iter([ENTITIES, TOM_AND_ANNA]), batch_size=2)), both)
    known = Document.from_dict({name: value for name, value in two.items() if name != "relations"})
    # A document brings its entities along, whatever was found in it before.
    for answer in (atlop(known), atlop(two), atlop(known, entities=True), atlop([one, two])[1]):
        assert close(answer, two)
    words = [list(sentence) for sentence in known.sentences]
    in_words = [{"type": "PER", "mentions": [{"sentence": 0, "start": n, "end": n + 1}]} for n in (0, 2)]
    from_words, from_text, from_document = atlop(
        [words, TEXTS[0], known], entities=[in_words, ENTITIES, TOM_AND_ANNA], batch_size=3
    )
    assert close(scores(from_words), scores(two)) and "text" not in from_words
    assert close(from_document, two) and close(scores(from_text), scores(one))
    assert [item["evidence"] for item in from_words["relations"]] == [item["evidence"] for item in two["relations"]]


def test_atlop_goes_on_from_what_another_model_found(extract: Any, atlop: DocRelationExtractionPipeline) -> None:
    found = extract(TEXTS[2])
    assert len(found["entities"]) > 1 and found["relations"]
    related = atlop(found)
    assert related["entities"] == found["entities"] and related["relations"]
    assert all("mention_pairs" not in relation and relation["evidence"] for relation in related["relations"])


def test_atlop_without_entities_is_one_clear_error(atlop: DocRelationExtractionPipeline) -> None:
    for missing in (TEXTS[0], [["Anna", "works"]]):
        for entities in (None, False):
            with pytest.raises(DocumentError, match=r"'text-0': entities is None; .*pass entities=.*or a Document"):
                atlop(missing, entities=entities)
    with pytest.raises(DocumentError, match="'text-1': entities is None"):
        atlop(TEXTS[:2], entities=[ENTITIES, None])
    with pytest.raises(DocumentError, match=r"entities\[0\].*at least one"):
        atlop(TEXTS[0], entities=[{"type": "PER", "mentions": []}])
    with pytest.raises(DocumentError, match=r"entities\[0\].mentions\[0\] .* is \(0, 99\).*<= 57"):
        atlop(TEXTS[0], entities=[{"type": "PER", "mentions": [{"char_start": 0, "char_end": 99}]}])
    for few in ([], TOM):
        answer = atlop(TEXTS[1], entities=few)
        assert len(answer["entities"]) == len(few) and answer["relations"] == []


def test_models_that_do_not_read_types_take_any_type_or_none(atlop: DocRelationExtractionPipeline) -> None:
    usual = scores(atlop(TEXTS[1], entities=TOM_AND_ANNA))
    for kind in ("CITY", "", None):
        answer = atlop(TEXTS[1], entities=[{**entity, "type": kind} for entity in TOM_AND_ANNA])
        assert [entity["type"] for entity in answer["entities"]] == [kind or ""] * 2 and close(scores(answer), usual)
    untyped = [{"mentions": entity["mentions"]} for entity in TOM_AND_ANNA]
    for one in (atlop(TEXTS[1], entities=untyped), atlop({"text": TEXTS[1], "entities": untyped})):
        assert close(scores(one), usual) and close(scores(atlop(one)), usual)


def test_types_by_other_names(relate: DocRelationExtractionPipeline, atlop: DocRelationExtractionPipeline) -> None:
    people = [{**entity, "type": "PERSON"} for entity in TOM_AND_ANNA]
    known = r"entities\[0\].type is 'PERSON'; the model knows the entity types PER, .*; rename it \(in a call of the "
    with pytest.raises(DocumentError, match=known):
        relate(TEXTS[1], entities=people)
    usual, names = relate(TEXTS[1], entities=TOM_AND_ANNA, threshold=0), {"PERSON": "PER", "PER": "LOC"}
    document = Document.from_dict(relate(TEXTS[1], entities=TOM_AND_ANNA))
    foreign = replace(document, entities=tuple(replace(item, type="PERSON") for item in document.entities))
    for answer in (
        relate(TEXTS[1], entities=people, entity_type_map=names, threshold=0),
        relate({"text": TEXTS[1], "entities": people}, entity_type_map=names, threshold=0),
        relate(foreign, entity_type_map=names, threshold=0),
        relate(foreign.to_dict(), entities=True, entity_type_map=names, threshold=0),
    ):
        assert [entity["type"] for entity in answer["entities"]] == ["PER", "PER"]
        assert close(scores(answer), scores(usual))
    with pytest.raises(ValueError, match="entity_type_map is 'PER'; give a dict"):
        relate(TEXTS[1], entities=people, entity_type_map="PER")


def test_entities_of_a_type_that_is_mapped_to_none_are_left_out(relate: DocRelationExtractionPipeline) -> None:
    names = {"LOC": None, "HUMAN": "PER"}
    given = [{**ENTITIES[0], "type": "HUMAN"}, *ENTITIES[1:]]
    kept, pairs = [["Anna Berg", "She"], ["Institute"]], {(0, 1), (1, 0)}
    usual = scores(relate(TEXTS[0], entities=[ENTITIES[0], ENTITIES[2]], threshold=0))
    record = {"text": TEXTS[0], "entities": given, "relations": [{"head": 2, "tail": 1, "type": "seat"}]}
    document = place_entities(document_from_text(TEXTS[0], "text-0"), given)
    document = replace(document, relations=(Relation(1, 2, "seat"),), soft_relations=(SoftRelation(0, 1, "seat", 0.5),))
    for found in (
        relate(TEXTS[0], entities=given, entity_type_map=names, threshold=0),
        relate(record, entity_type_map=names, threshold=0),
        relate(document, entity_type_map=names, threshold=0),
        relate(document.to_dict(), entity_type_map=names, threshold=0),
    ):
        assert spans(found) == kept and [entity["type"] for entity in found["entities"]] == ["PER", "ORG"]
        assert {ends[:2] for ends in scores(found)} == pairs and close(scores(found), usual)
    asked = {**record, "candidates": [{"head": 0, "tail": 1}, {"head": 2, "tail": 0}]}
    found = relate(asked, entity_type_map=names, threshold=0)
    assert spans(found) == kept and {ends[:2] for ends in scores(found)} == {(1, 0)}
    nothing = {"type": "PER", "mentions": [{"char_start": 1, "char_end": 99}]}
    with pytest.raises(DocumentError, match=r"entities\[3\]\.mentions\[0\] .* is \(1, 99\)"):  # as they are given
        relate(TEXTS[0], entities=[*ENTITIES, nothing], entity_type_map=names)
    assert relate(TEXTS[0], entities=[{**nothing, "type": "LOC"}], entity_type_map=names)["entities"] == []


def test_a_text_brings_its_entities_along(extract: DocRelationExtractionPipeline, relate: Any) -> None:
    marked, usual = {"text": TEXTS[0], "entities": ENTITIES}, extract(TEXTS[0])
    assert extract(marked) == extract(TEXTS[0], entities=ENTITIES) == extract(marked, entities=True) != usual
    assert extract([TEXTS[1], marked], batch_size=2)[1]["entities"] == extract(marked)["entities"]
    assert extract(marked, entities=False) == usual == extract({"text": TEXTS[0], "entities": None})
    assert extract({"text": TEXTS[0], "entities": []})["entities"] == []
    assert spans(extract(marked, entities=TOM)) == [["Ann"]]
    with pytest.raises(DocumentError, match="entities is None; give the entities to relate"):
        relate({"text": TEXTS[0], "entities": None})


def test_flat_lists_of_other_tools(relate: DocRelationExtractionPipeline) -> None:
    usual = relate(TEXTS[1], entities=TOM_AND_ANNA, threshold=0)
    for name in ("label", "entity_group", "entity"):
        flat = [
            {name: "PER", "start": a, "end": b, "word": "x", "score": np.float32(0.5)} for a, b in ((0, 3), (8, 12))
        ]
        answer = relate(TEXTS[1], entities=flat, threshold=0)
        assert spans(answer) == [["Tom"], ["Anna"]] and close(scores(answer), scores(usual))
        assert [entity["score"] for entity in answer["entities"]] == [0.5, 0.5] and json.dumps(answer)
    with pytest.raises(DocumentError, match=r"entities\[0\] .*aggregation_strategy"):
        relate(TEXTS[1], entities=[{"entity": "B-PER", "index": 1, "start": 0, "end": 3, "word": "Tom"}])
    with pytest.raises(DocumentError, match=r"this is 'To', the mention's name is 'Tom'"):
        relate(TEXTS[1], entities=[{"label": "PER", "start": 0, "end": 2, "text": "Tom"}])


def test_offsets_in_utf_16(relate: DocRelationExtractionPipeline, caplog: pytest.LogCaptureFixture) -> None:
    text = "🎉 Tom met 👩‍🚀 Anna there."

    def units(part: str) -> tuple[int, int]:
        start = len(text[: text.index(part)].encode("utf-16-le")) // 2
        return start, start + len(part.encode("utf-16-le")) // 2

    flat = [{"label": "PER", "start": start, "end": end} for start, end in map(units, ("Tom", "Anna"))]
    nested = [{"type": "PER", "mentions": [{"char_start": i["start"], "char_end": i["end"]}]} for i in flat]
    given_entities._WARNED.clear()
    for entities in (flat, nested):
        for answer in (
            relate(text, entities=entities, offsets="utf-16"),
            relate({"text": text, "entities": entities}, offsets="utf-16"),
        ):
            assert spans(answer) == [["Tom"], ["Anna"]] and not caplog.messages
            assert answer["entities"][0]["mentions"][0]["char_start"] == 2
    objects = list(Document.from_dict(answer).entities)  # those of a result count characters
    assert spans(relate(text, entities=objects, offsets="utf-16")) == [["Tom"], ["Anna"]]
    with pytest.raises(DocumentError, match=r"entities\[0\].mentions\[0\].char_start is 1; .*no.* border here"):
        relate(text, entities=[{"label": "PER", "start": 1, "end": 4}], offsets="utf-16")
    with pytest.raises(DocumentError, match=r"char_end is 99; the text has 28 UTF-16 units"):
        relate(text, entities=[{"label": "PER", "start": 3, "end": 99}], offsets="utf-16")
    with pytest.raises(ValueError, match='offsets is \'bytes\'; give "characters" or "utf-16"'):
        relate(text, entities=flat, offsets="bytes")
    assert not caplog.messages
    for _ in range(2):
        assert spans(relate(text, entities=flat)) == [["om "], [text[slice(*units("Anna"))]]]
    [message] = caplog.messages
    assert "'text-0'" in message and 'offsets="utf-16"' in message
    given_entities._WARNED.clear()
    relate("Tom met", entities=[{"label": "PER", "start": 0, "end": 4}])  # a blank at the end, no word is cut
    assert len(caplog.messages) == 2


def test_threshold_and_relations_of_an_atlop_call(atlop: DocRelationExtractionPipeline) -> None:
    usual = atlop(TEXTS[0], entities=ENTITIES)
    everything = scores(atlop(TEXTS[0], entities=ENTITIES, threshold=0))
    assert len(everything) == PAIRS * len(RELATION_TYPES)
    assert scores(usual) == {fact: score for fact, score in everything.items() if score > 0.5}
    limit = sorted(everything.values())[len(everything) // 2]
    some = atlop(TEXTS[0], entities=ENTITIES, threshold=limit + 1e-6)
    assert scores(some) == {fact: score for fact, score in everything.items() if score > limit + 1e-6} != {}
    assert atlop(TEXTS[0], entities=ENTITIES, threshold=1)["relations"] == []
    for names in (["seat", "born"], ["seat", "place of birth"]):
        chosen = scores(atlop(TEXTS[0], entities=ENTITIES, threshold=0, relations=names))
        assert chosen == {fact: score for fact, score in everything.items() if fact[2] != "works"}
    with pytest.raises(ValueError, match=r"has 'birthplace', .* knows born \(place of birth\), \w+, \w+$"):
        atlop(TEXTS[0], entities=ENTITIES, relations=["birthplace"])
    assert atlop(TEXTS[0], entities=ENTITIES, relations=[])["relations"] == []
    assert atlop(TEXTS[0], entities=ENTITIES) == usual  # nothing of a call stays
    best = scores(build(decisive_atlop(top_k=1))(TEXTS[0], entities=ENTITIES))
    assert best == {
        fact: score
        for fact, score in scores(usual).items()
        if score == max(everything[(*fact[:2], kind)] for kind in RELATION_TYPES)
    }
    assert len(best) < len(scores(usual))


def test_a_fitted_threshold_of_each_type_is_that_of_the_answer() -> None:
    model = decisive_atlop(loss="bce", threshold="per_class", relation_thresholds=[0.2, 1.0, 0.7])
    pipe, limits = build(model), dict(zip(RELATION_TYPES, (0.2, 1.0, 0.7), strict=True))
    everything = scores(pipe(TEXTS[0], entities=ENTITIES, threshold=0))
    wanted = {fact: score for fact, score in everything.items() if score > limits[fact[2]]}
    assert scores(pipe(TEXTS[0], entities=ENTITIES)) == wanted and {fact[2] for fact in wanted} == {"born", "seat"}


LONG_TEXT = "Anna was there. " * 400 + "Tom left."
LONG_ENTITIES = [
    {"type": "PER", "mentions": [{"char_start": 16 * n, "char_end": 16 * n + 4} for n in (0, 200)]},
    {"type": "PER", "mentions": [{"char_start": 16 * 400, "char_end": 16 * 400 + 3}]},
    {"type": "PER", "mentions": [{"char_start": 16 * 398, "char_end": 16 * 398 + 4}]},
]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_atlop_scores_texts_of_mixed_lengths_as_alone(atlop: DocRelationExtractionPipeline, batch_size: int) -> None:
    texts = [TEXTS[1], LONG_TEXT, "", TEXTS[0], TEXTS[1]]
    entities = [TOM_AND_ANNA, LONG_ENTITIES, [], ENTITIES, TOM]
    alone = [atlop(text, entities=known, threshold=0) for text, known in zip(texts, entities, strict=True)]
    together = atlop(texts, entities=entities, threshold=0, batch_size=batch_size)
    assert [result["id"] for result in together] == [f"text-{number}" for number in range(5)]
    for found, wanted in zip(together, alone, strict=True):
        assert found["entities"] == wanted["entities"] and len(found["relations"]) == len(wanted["relations"])
        assert close(scores(found), scores(wanted))


def test_atlop_reads_a_long_text_in_windows(atlop: DocRelationExtractionPipeline) -> None:
    whole = {"entities": LONG_ENTITIES, "threshold": 0, "section_words": None}
    result = atlop(LONG_TEXT, **whole)
    assert spans(result) == [["Anna", "Anna"], ["Tom"], ["Anna"]]
    assert len(result["relations"]) == PAIRS * len(RELATION_TYPES)
    assert sum(map(len, result["sentences"])) == 4 * 400 + 3
    for relation in result["relations"]:
        if 0 in (relation["head"], relation["tail"]):  # no window holds both entities, so none attends to both
            assert relation["evidence"] == relation["evidence_scores"] == []
        else:
            evidence = relation["evidence"]
            assert evidence == sorted(set(evidence)) and len(evidence) == len(relation["evidence_scores"]) > 1
            assert min(evidence) > 380 and max(evidence) == 400
    # The last word counts where its window is read.
    changed = atlop(LONG_TEXT[:-5] + "ran.", **whole)
    assert not close(scores(changed)[1, 2, "born"], scores(result)[1, 2, "born"])
    with pytest.raises(DocumentError, match="64 positions"):
        build(decisive_atlop(long_input="error"))(LONG_TEXT, entities=LONG_ENTITIES, section_words=None)


@pytest.mark.slow
def test_two_systems_in_a_fresh_process_without_the_package(tmp_path: Path) -> None:
    """Both from folders named `best`: each keeps its code and its scores."""
    pipes = {"atlop": build(decisive_atlop()), "jerex": build(decisive_jerex())}
    entities = {"atlop": ENTITIES, "jerex": None}
    expected = {}
    for name, pipe in pipes.items():
        pipe.save_pretrained(tmp_path / name / "best")
        expected[name] = pipe(TEXTS[0], entities=entities[name])
        assert expected[name]["relations"]
    assert not (tmp_path / "atlop" / "best" / "modeling_jerex.py").exists()
    found = run_without_package(tmp_path, {name: (TEXTS[0], entities[name]) for name in pipes})
    assert found["configs"] == {"atlop": ["docre-atlop", None], "jerex": ["docre-jerex", "multi_instance"]}
    assert found["loaded"] == []
    assert close(found["results"], expected) and close(found["copies"], expected)
