"""The scores of the metric: golden numbers, the strict joint scores, edges, and properties on random documents."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_documents import WORDS, document, entity, fractions, given_scores, mention, relation, row_of_entities

from metrics.docre_f1.scores import compute_scores, pooled_scores

# --- golden numbers


def test_ign_f1_golden_numbers():
    gold = document(row_of_entities(8), [relation(0, tail) for tail in range(1, 7)])
    predicted = [relation(0, 1), relation(0, 2), relation(0, 3), relation(7, 0), relation(7, 1), relation(0, 1)]
    result = given_scores(predicted, gold, train_facts=[("Ada", "lives", "r")])
    assert result["relation_precision"] == pytest.approx(0.6)
    assert result["relation_recall"] == pytest.approx(0.5)
    assert result["relation_f1"] == pytest.approx(0.545455, abs=1e-6)
    assert result["ign_precision"] == pytest.approx(0.5)
    assert result["ign_f1"] == pytest.approx(0.5)


def test_strict_cluster_golden_numbers():
    whole, other = entity("PER", mention(0), mention(2), mention(5)), entity("LOC", mention(3))
    gold = document([whole, other], [relation(0, 1), relation(1, 0)])
    partial = entity("PER", mention(0), mention(2))
    counts = compute_scores([document([partial, other], [relation(0, 1), relation(1, 0)])], [gold], per_document=True)[
        "per_document"
    ]["d"]
    expected = {"mention": (3, 3, 4), "cluster": (1, 2, 2), "entity": (1, 2, 2), "relation": (0, 2, 2)}
    for task, (hits, predicted, total) in expected.items():
        found = counts[task]
        assert (found["predicted_hits"], found["gold_hits"]) == (hits, hits), task
        assert (found["predicted"], found["gold"]) == (predicted, total), task
    assert counts["relation_untyped"]["predicted_hits"] == 0


# --- strict joint scores


def test_entity_type_decides_typed_scores_only():
    gold = document([entity("PER", mention(0)), entity("LOC", mention(3))], [relation(0, 1)])
    predicted = document([entity("ORG", mention(0)), entity("LOC", mention(3))], [relation(0, 1)])
    result = compute_scores([predicted], [gold], per_type=True)
    assert (result["cluster_f1"], result["entity_f1"]) == (1.0, 0.5)
    assert (result["relation_f1"], result["relation_untyped_f1"]) == (0.0, 1.0)
    assert result["per_type"]["entity"]["ORG"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert result["per_type"]["entity"]["PER"]["support"] == 1
    assert result["macro_entity_f1"] == pytest.approx(1 / 3)


def test_a_found_span_without_a_type_is_a_mention_and_no_entity():
    gold = document([entity("PER", mention(0))], [])
    predicted = document([entity("PER", mention(0)), entity("", mention(3))], [])
    result = compute_scores([predicted], [gold])
    assert (result["mention_precision"], result["cluster_precision"]) == (0.5, 0.5)
    assert (result["entity_f1"], result["macro_entity_f1"]) == (1.0, 1.0)


def test_macro_is_the_mean_over_types_of_either_side():
    gold = document(row_of_entities(4), [relation(0, 1, "a"), relation(1, 2, "b"), relation(2, 3, "b")])
    result = given_scores([relation(0, 1, "a"), relation(1, 2, "b"), relation(0, 1, "c")], gold, per_type=True)
    assert result["per_type"]["relation"]["b"] == {
        "precision": 1,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "support": 2,
    }
    assert result["macro_relation_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert result["macro_relation_precision"] == pytest.approx(2 / 3)


def test_duplicates_count_once():
    once = document([entity("PER", mention(0)), entity("LOC", mention(3))], [relation(0, 1)])
    twin = document([*once["entities"], entity("PER", mention(0), mention(0))], [relation(0, 1), relation(2, 1)])
    result = compute_scores([twin], [once])
    assert all(result[f"{task}_f1"] == 1 for task in ("mention", "cluster", "entity", "relation", "relation_untyped"))


def test_entity_types_given_the_clusters():
    gold = document([entity("PER", mention(0)), entity("LOC", mention(3)), entity("LOC", mention(7))], [])
    predicted = copy.deepcopy(gold)
    predicted["entities"][2]["type"] = "PER"
    result = compute_scores([predicted], [gold], entities_given=True)
    assert result["entity_precision"] == result["entity_recall"] == pytest.approx(2 / 3)
    assert "mention_f1" not in result
    assert "entity_f1" not in compute_scores([{"id": "d"}], [gold], entities_given=True)


def test_groups_by_entity_count():
    words = [[str(number) for number in range(12)]]
    sizes = {"a": 5, "b": 6, "c": 10, "d": 11}
    gold = [document(row_of_entities(size), [relation(0, 1)], name, words) for name, size in sizes.items()]
    gold.append(document([], [], "e", words))
    predictions = [{"id": name, "relations": [relation(0, 1)]} for name in "ab"]
    groups = compute_scores(predictions, gold, entities_given=True, by_entity_count=True)["by_entity_count"]
    assert {name: (group["documents"], group["support"], group["recall"]) for name, group in groups.items()} == {
        "0": (1, 0, 0),
        "1-5": (1, 1, 1),
        "6-10": (2, 2, 0.5),
        "11-15": (1, 1, 0),
    }


def test_scores_of_a_group_are_pooled_over_its_documents():
    gold = [document(row_of_entities(size), [], name) for name, size in (("a", 3), ("b", 5), ("c", 6))]
    gold[0]["relations"] = [relation(0, 1), relation(1, 2)]
    gold[1]["relations"] = [relation(3, 4)]
    predictions = [
        {"id": "a", "relations": [relation(0, 1)]},
        {"id": "b", "relations": [relation(4, 3), relation(0, 1), relation(0, 2)]},
        {"id": "c", "relations": [relation(0, 5)]},
    ]
    groups = compute_scores(predictions, gold, entities_given=True, by_entity_count=True)["by_entity_count"]
    pooled = {"precision": 1 / 4, "recall": 1 / 3, "f1": pytest.approx(2 / 7), "support": 3, "documents": 2}
    assert groups == {"1-5": pooled, "6-10": {"precision": 0, "recall": 0, "f1": 0, "support": 0, "documents": 1}}


# --- edges


def test_empty_sides_give_zeros():
    gold = document([entity("PER", mention(0)), entity("LOC", mention(3))], [relation(0, 1)])
    for predictions, references in (([], []), ([], [gold]), ([document([], [])], [gold]), ([gold], [document([], [])])):
        result = compute_scores(predictions, references, train_facts=[], subsets=True)
        scores = {key: value for key, value in result.items() if not key.endswith(("support", "documents"))}
        assert len(scores) > 40
        assert set(scores.values()) == {0.0}
    assert compute_scores([], [gold])["missing_documents"] == 1


def test_unknown_documents_stay_in_the_precision():
    gold = document([entity("PER", mention(0)), entity("LOC", mention(3))], [relation(0, 1)])
    unknown = gold | {"id": "elsewhere"}
    with pytest.warns(UserWarning, match="1 predictions have no reference.*'elsewhere'"):
        result = compute_scores([gold, unknown], [gold])
    assert (result["relation_precision"], result["relation_recall"]) == (0.5, 1)
    assert (result["mention_precision"], result["coref_b3"]) == (0.5, pytest.approx(2 / 3))
    assert (result["unknown_documents"], result["documents"]) == (1, 1)
    assert result["intra_precision"] == 1
    with pytest.warns(UserWarning, match="elsewhere"):
        assert compute_scores([gold, unknown], [gold], entities_given=True)["relation_precision"] == 0.5


def test_scores_that_are_not_finite_mean_not_predicted():
    for score in (math.nan, math.inf, -math.inf):
        gold = document(
            [entity("PER", mention(0), mention(5)), entity("LOC", mention(3))], [relation(0, 1), relation(1, 0)]
        )
        predicted = copy.deepcopy(gold)
        predicted["relations"][0]["score"] = score
        with pytest.warns(UserWarning, match="1 predicted items"):
            assert compute_scores([predicted], [gold])["relation_recall"] == 0.5
        predicted = copy.deepcopy(gold)
        predicted["entities"][1]["score"] = score
        with pytest.warns(UserWarning, match="3 predicted items"):
            result = compute_scores([predicted], [gold])
        assert (result["cluster_precision"], result["cluster_recall"], result["relation_f1"]) == (1, 0.5, 0)
        predicted = copy.deepcopy(gold)
        predicted["entities"][0]["mentions"][0]["score"] = score
        with pytest.warns(UserWarning, match="1 predicted items"):
            result = compute_scores([predicted], [gold])
        assert (result["mention_recall"], result["cluster_f1"]) == (pytest.approx(2 / 3), 0.5)
        assert compute_scores([gold], [predicted])["relation_f1"] == 1


VALID = document([entity("PER", mention(0)), entity("LOC", mention(3))], [relation(0, 1, evidence=[0])])
BROKEN = [
    ({"id": ""}, "id is ''"),
    ({"relations": [relation(0, 2)]}, r"relations\[0\].tail is 2; the document has 2 entities"),
    ({"relations": [relation(-1, 1)]}, r"relations\[0\].head is -1"),
    ({"relations": [relation(1, 1)]}, "two different entities"),
    ({"relations": [relation(0, True)]}, r"relations\[0\].tail is True; give a whole number"),
    ({"relations": [relation(0, 1, None)]}, r"relations\[0\].type is None; give a string"),
    ({"relations": [relation(0, 1, evidence=[3])]}, r"relations\[0\].evidence is 3; the document has 1 sentences"),
    ({"relations": {"head": 0}}, "relations is {'head': 0}; give a list"),
    ({"entities": [entity("PER")], "relations": []}, r"entities\[0\].mentions is \[\]; give each entity at least one"),
    ({"entities": [entity("PER", mention(7, 9))], "relations": []}, r"\(7, 9\); sentence 0 has 8 words"),
    ({"entities": [entity("PER", mention(2, 2))], "relations": []}, "0 <= start < end"),
    ({"entities": [entity("PER", mention(0, sentence=1))], "relations": []}, r"sentence is 1; the document has 1"),
    ({"sentences": [["a", 1]], "entities": [], "relations": []}, r"sentences\[0\] is 1; give words"),
]


def test_broken_documents_are_named():
    for change, message in BROKEN:
        broken = VALID | {"id": "Foo"} | change
        for predictions, references in (([broken], [VALID]), ([VALID], [broken])):
            with pytest.raises(ValueError, match=message) as error:
                compute_scores(predictions, references)
            assert repr(broken["id"]) in str(error.value)


def test_predictions_must_fit_their_reference():
    longer = VALID | {"sentences": [[*WORDS, "."]]}
    with pytest.raises(ValueError, match=r"'d': sentences .* predict on the reference's words"):
        compute_scores([longer], [VALID])
    without_words = {"id": "d", "entities": [entity("PER", mention(9))]}
    with pytest.raises(ValueError, match=r"'d': predicted entities\[0\] \(start, end\) is \(9, 10\)"):
        compute_scores([without_words], [VALID])
    pointing = {"id": "d", "relations": [relation(0, 1)]}
    with pytest.raises(ValueError, match=r"'d': entities is .* entities_given=True"):
        compute_scores([pointing], [VALID])
    with pytest.raises(ValueError, match=r"'d': predicted relations\[0\].tail is 5; the document has 2 entities"):
        compute_scores([{"id": "d", "relations": [relation(0, 5)]}], [VALID], entities_given=True)
    swapped = VALID | {"entities": VALID["entities"][::-1]}
    with pytest.raises(ValueError, match="must be the reference's entity"):
        compute_scores([swapped], [VALID], entities_given=True)
    with pytest.raises(ValueError, match="number of predicted entities is 1"):
        compute_scores([VALID | {"entities": VALID["entities"][:1], "relations": []}], [VALID], entities_given=True)
    with pytest.raises(ValueError, match=r"evidence is 4; the document has 1 sentences"):
        compute_scores([{"id": "d", "relations": [relation(0, 1, evidence=[4])]}], [VALID], entities_given=True)


def test_repeated_ids_and_lost_references_raise():
    with pytest.raises(ValueError, match=r"'d': .* duplicate id among the predictions"):
        compute_scores([VALID, VALID], [VALID])
    with pytest.raises(ValueError, match=r"'d': .* duplicate id among the references"):
        compute_scores([VALID], [VALID, VALID])
    with pytest.raises(ValueError, match="references are empty"):
        compute_scores([VALID], [])


# --- properties on random documents


@st.composite
def documents(draw: st.DrawFn, name: str = "d", sentences: list[list[str]] | None = None) -> dict[str, Any]:
    if sentences is None:
        lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
        sentences = [[f"w{draw(st.integers(0, 3))}" for _ in range(length)] for length in lengths]
    spans = [
        (number, start, end)
        for number, words in enumerate(sentences)
        for start in range(len(words))
        for end in range(start + 1, len(words) + 1)
    ]
    clusters = draw(st.lists(st.lists(st.sampled_from(spans), min_size=1, max_size=3), max_size=5))
    entities = [
        entity(draw(st.sampled_from("XY")), *(mention(start, end, number) for number, start, end in cluster))
        for cluster in clusters
    ]
    pairs = [(head, tail) for head in range(len(entities)) for tail in range(len(entities)) if head != tail]
    kinds = st.sampled_from(["P17", "r", "s"])
    keys = draw(st.lists(st.tuples(st.sampled_from(pairs), kinds), max_size=6, unique=True)) if pairs else []
    evidence = st.lists(st.integers(0, len(sentences) - 1), max_size=2, unique=True)
    relations = [relation(head, tail, kind, evidence=draw(evidence)) for (head, tail), kind in keys]
    return document(entities, relations, name, sentences)


@st.composite
def corpora(draw: st.DrawFn) -> tuple[list[dict], list[dict]]:
    gold = [draw(documents(f"d{number}")) for number in range(draw(st.integers(1, 3)))]
    return [draw(documents(item["id"], item["sentences"])) for item in gold], gold


ALL_REPORTS = {"subsets": True, "per_type": True, "per_document": True, "by_entity_count": True}


@settings(max_examples=60, deadline=None)
@given(corpus=corpora())
def test_scores_are_fractions_and_f1_lies_between_precision_and_recall(corpus: tuple[list, list]):
    predicted, gold = corpus
    result = compute_scores(predicted, gold, train_facts=gold[:1], **ALL_REPORTS)
    scores = fractions(result)
    assert all(0 <= value <= 1 + 1e-12 for value in scores.values())
    for key, f1 in scores.items():
        name = key.removesuffix("_f1")
        if key.endswith("_f1") and f"{name}_recall" in scores and not name.startswith("macro"):
            bounds = scores[f"{name}_precision"], scores[f"{name}_recall"]
            assert min(bounds) - 1e-12 <= f1 <= max(bounds) + 1e-12
    assert result["ign_precision"] <= result["relation_precision"] + 1e-12
    pooled = pooled_scores(result["per_document"].values(), ign=True)
    assert pooled == {key: result[key] for key in pooled}
    assert result["intra_support"] + result["inter_support"] == sum(
        group["support"] for group in result["per_type"]["relation"].values()
    )


@settings(max_examples=60, deadline=None)
@given(corpus=corpora())
def test_gold_scores_one(corpus: tuple[list, list]):
    _, gold = corpus
    result = compute_scores(gold, gold, subsets=True)
    entities, relations = (any(item[key] for item in gold) for key in ("entities", "relations"))
    for task in ("mention", "cluster", "entity", "coref_b3", "coref_ceafe"):
        key = task if task.startswith("coref") else f"{task}_f1"
        assert result[key] == pytest.approx(float(entities)), task
    for task in ("relation", "relation_untyped", "macro_relation"):
        assert result[f"{task}_f1"] == pytest.approx(float(relations)), task
    for name in ("intra", "inter", "inter_long", "frequent", "long_tail", "m1", "m2", "single"):
        assert result[f"{name}_f1"] == float(result[f"{name}_support"] > 0), name


def shuffled(item: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The same document with entities and mentions in another order."""
    order = list(range(len(item["entities"])))
    rng.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    entities = [copy.deepcopy(item["entities"][old]) for old in order]
    for one in entities:
        rng.shuffle(one["mentions"])
    relations = [r | {"head": place[r["head"]], "tail": place[r["tail"]]} for r in item["relations"]]
    return item | {"entities": entities, "relations": relations}


@settings(max_examples=60, deadline=None)
@given(corpus=corpora(), seed=st.integers(0, 999))
def test_order_of_documents_entities_and_mentions_is_irrelevant(corpus: tuple[list, list], seed: int):
    predicted, gold = corpus
    rng = random.Random(seed)
    expected = compute_scores(predicted, gold, train_facts=gold[:1], **ALL_REPORTS)
    facts = [shuffled(item, rng) for item in gold[:1]]
    others = [[shuffled(item, rng) for item in side] for side in (predicted, gold)]
    for side in others:
        rng.shuffle(side)
    found = compute_scores(*others, train_facts=facts, **ALL_REPORTS)
    assert fractions(found) == pytest.approx(fractions(expected))
    assert found["by_entity_count"] == expected["by_entity_count"]
    assert found["per_type"] == expected["per_type"]
