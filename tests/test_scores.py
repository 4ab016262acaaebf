"""The arithmetic of the metric: golden numbers, published examples, literal re-statements and properties."""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.docre_f1.coreference_scores import coreference_counts
from metrics.docre_f1.ranking_scores import theta_scores
from metrics.docre_f1.relation_counts import FREQUENT_TYPES, read_train_facts
from metrics.docre_f1.scores import compute_scores, pooled_scores

WORDS = ["Ada", "lives", "in", "London", "and", "Ada", "likes", "London"]


def mention(start: int, end: int | None = None, sentence: int = 0, **more: Any) -> dict[str, Any]:
    return {"sentence": sentence, "start": start, "end": start + 1 if end is None else end, **more}


def entity(kind: str, *mentions: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "mentions": list(mentions)}


def relation(head: int, tail: int, kind: str = "r", **more: Any) -> dict[str, Any]:
    return {"head": head, "tail": tail, "type": kind, **more}


def document(
    entities: list[dict], relations: list[dict], name: str = "d", sentences: list[list[str]] | None = None
) -> dict[str, Any]:
    return {"id": name, "sentences": sentences or [WORDS], "entities": entities, "relations": relations}


def row_of_entities(count: int) -> list[dict[str, Any]]:
    return [entity("T", mention(number)) for number in range(count)]


def given_scores(predicted: list[dict], gold: dict, **options: Any) -> dict[str, Any]:
    prediction = {"id": gold["id"], "relations": predicted}
    return compute_scores([prediction], [gold], entities_given=True, **options)


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


def test_theta_golden_numbers():
    scores, correct = [0.7, 0.9, 0.8], [True, True, False]
    tuned = theta_scores(scores, correct, gold_count=2)
    assert (tuned["theta"], tuned["rank"]) == (0.7, 3)
    assert tuned["f1"] == pytest.approx(0.8)
    assert tuned["f1"] == tuned["max_f1"]
    tested = theta_scores(scores, correct, gold_count=2, theta=0.7)
    assert tested["rank"] == 2
    assert tested["f1"] == pytest.approx(0.5)
    assert tested["max_f1"] == pytest.approx(0.8)


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


# --- relations: facts, evidence, subsets


def test_facts_join_every_head_name_with_every_tail_name():
    head = entity("PER", mention(0, name="Ada L."), mention(5))
    gold = document([head, entity("LOC", mention(2, 4))], [relation(0, 1, "lives")])
    assert read_train_facts([gold]) == {("Ada L.", "in London", "lives"), ("Ada", "in London", "lives")}
    assert read_train_facts([["a", "b", "r"]]) == {("a", "b", "r")}
    with pytest.raises(ValueError, match="three strings"):
        read_train_facts([("a", "b")])


def test_wrong_predictions_are_never_training_facts():
    gold = document(row_of_entities(4), [relation(0, 1)])
    facts = [("Ada", "lives", "r"), ("Ada", "in", "r")]
    result = given_scores([relation(0, 2)], gold, train_facts=facts)
    assert (result["ign_precision"], result["ign_f1"]) == (0, 0)
    mixed = given_scores([relation(0, 1), relation(0, 2)], gold, train_facts=facts)
    assert mixed["ign_precision"] == 0
    assert given_scores([relation(0, 1)], gold, train_facts=facts)["ign_f1"] == 0


def test_ign_epsilon_enters_the_denominator():
    gold = document(row_of_entities(4), [relation(0, 1), relation(0, 2)])
    result = given_scores([relation(0, 1), relation(0, 2)], gold, train_facts=[("Ada", "in", "r")], ign_epsilon=1e-5)
    assert result["ign_precision"] == pytest.approx(1 / (1 + 1e-5), abs=1e-12)


def test_ign_f1_in_the_joint_mode_uses_gold_names():
    gold = document(
        [entity("PER", mention(0, name="Ada L.")), entity("LOC", mention(3))], [relation(0, 1), relation(1, 0)]
    )
    predicted = document([entity("LOC", mention(3)), entity("PER", mention(0))], [relation(1, 0), relation(0, 1)])
    result = compute_scores([predicted], [gold], train_facts=[("Ada L.", "London", "r")])
    assert (result["relation_f1"], result["ign_precision"]) == (1, 1)
    per_document = compute_scores([predicted], [gold], train_facts=[("Ada L.", "London", "r")], per_document=True)
    assert per_document["per_document"]["d"]["relation"]["in_train"] == 1


def test_evidence_counts_of_repeated_relations():
    sentences = [WORDS] * 4
    gold = document(
        row_of_entities(3),
        [relation(0, 1, evidence=[0]), relation(0, 1, evidence=[1, 2]), relation(1, 2, evidence=[3])],
        sentences=sentences,
    )
    predicted = [relation(0, 1, evidence=[1, 1, 0]), relation(0, 1, evidence=[2]), relation(2, 1, evidence=[3, 2])]
    result = given_scores(predicted, gold)
    assert result["evidence_precision"] == pytest.approx(1 / 4)
    assert result["evidence_recall"] == pytest.approx(1 / 4)


def test_evidence_scores_need_gold_evidence():
    gold = document(row_of_entities(3), [relation(0, 1)])
    assert "evidence_f1" not in given_scores([relation(0, 1, evidence=[0])], gold)


def test_subsets_of_pairs():
    sentences = [["w"] * 4 for _ in range(8)]
    entities = [
        entity("T", mention(0), mention(0, sentence=7)),
        entity("T", mention(1)),
        entity("T", mention(2, sentence=1), mention(2, sentence=2)),
        entity("T", mention(3, sentence=7), mention(3, sentence=7)),
    ]
    gold = document(
        entities,
        [relation(0, 1, "P17"), relation(0, 2), relation(1, 3), relation(2, 1), relation(3, 0)],
        sentences=sentences,
    )
    result = given_scores([relation(0, 1, "P17"), relation(1, 3)], gold, subsets=True, train_facts=[])
    support = {name: result[f"{name}_support"] for name in ("intra", "inter", "inter_long", "frequent", "long_tail")}
    assert support == {"intra": 2, "inter": 3, "inter_long": 1, "frequent": 1, "long_tail": 4}
    assert {name: result[f"{name}_support"] for name in ("m1", "m2", "single")} == {"m1": 4, "m2": 1, "single": 1}
    assert (result["inter_long_f1"], result["frequent_f1"], result["m2_f1"]) == (1, 1, 0)
    assert result["intra_recall"] == pytest.approx(1 / 2)
    assert result["m1_ign_f1"] == result["m1_f1"] == pytest.approx(2 * 1 * 0.25 / 1.25)
    assert "P17" in FREQUENT_TYPES
    other = given_scores([], gold, subsets=True, frequent_types=["r"])
    assert other["frequent_support"] == 4


@pytest.mark.parametrize(("distance", "long"), [(0, 0), (5, 0), (6, 1)])
def test_long_distance_is_more_than_five_sentences(distance: int, long: int):
    far = entity("T", mention(0, sentence=1 + distance), mention(0, sentence=9))
    gold = document([entity("T", mention(1, sentence=1)), far], [relation(1, 0)], sentences=[WORDS] * 10)
    result = given_scores([], gold, subsets=True)
    assert (result["inter_support"], result["inter_long_support"]) == (int(distance > 0), long)


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


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_mean_not_predicted(score: float):
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


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_broken_documents_are_named(change: dict[str, Any], message: str):
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
    with pytest.raises(ValueError, match=r"'d': .* twice among the predictions"):
        compute_scores([VALID, VALID], [VALID])
    with pytest.raises(ValueError, match=r"'d': .* twice among the references"):
        compute_scores([VALID], [VALID, VALID])
    with pytest.raises(ValueError, match="references are empty"):
        compute_scores([VALID], [])


# --- coreference


def flat_coreference(predicted: list[set], gold: list[set]) -> dict[str, tuple[float, float, float]]:
    counts = coreference_counts([frozenset(c) for c in predicted], [frozenset(c) for c in gold])
    return {name: (item.precision, item.recall, item.f1) for name, item in counts.items()}


def test_coreference_published_example():
    # Pradhan et al. 2014, "Scoring coreference partitions of predicted mentions", figure 1 and section 4.
    found = flat_coreference([set("ab"), set("cd"), set("fghi")], [set("abc"), set("defg")])
    assert found["muc"] == pytest.approx((0.4, 0.4, 0.4))
    assert found["b3"] == pytest.approx((0.5, 35 / 84, 2 * 0.5 * (35 / 84) / (0.5 + 35 / 84)))
    assert found["ceafe"] == pytest.approx((1.3 / 3, 0.65, 0.52))


def partitions(labels: list[int | None]) -> list[set[int]]:
    groups: dict[int, set[int]] = {}
    for item, label in enumerate(labels):
        if label is not None:
            groups.setdefault(label, set()).add(item)
    return list(groups.values())


clusterings = st.lists(st.none() | st.integers(0, 3), min_size=7, max_size=7).map(partitions)


def literal_recalls(gold: list[set[int]], predicted: list[set[int]]) -> dict[str, float]:
    """Recall by the definitions, for clusters that share no mention; precision is the same with sides swapped."""
    home = {item: number for number, cluster in enumerate(predicted) for item in cluster}
    parts = [len({home.get(item, f"alone {item}") for item in cluster}) for cluster in gold]
    links = sum(len(cluster) - 1 for cluster in gold)
    shares = [
        len(cluster & (predicted[home[item]] if item in home else set())) / len(cluster)
        for cluster in gold
        for item in cluster
    ]
    padded = predicted + [set()] * len(gold)
    best = max(
        sum(2 * len(one & two) / (len(one) + len(two)) for one, two in zip(gold, order, strict=True))
        for order in itertools.permutations(padded, len(gold))
    )
    return {
        "muc": sum(len(cluster) - count for cluster, count in zip(gold, parts, strict=True)) / links if links else 0,
        "b3": sum(shares) / len(shares) if shares else 0,
        "ceafe": best / len(gold) if gold else 0,
    }


@settings(max_examples=150, deadline=None)
@given(predicted=clusterings, gold=clusterings)
def test_coreference_equals_the_definitions(predicted: list[set[int]], gold: list[set[int]]):
    found = flat_coreference(predicted, gold)
    recalls, precisions = literal_recalls(gold, predicted), literal_recalls(predicted, gold)
    for name, (precision, recall, _) in found.items():
        assert recall == pytest.approx(recalls[name]), name
        assert precision == pytest.approx(precisions[name]), name


overlapping = st.lists(st.frozensets(st.integers(0, 6), min_size=1), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(predicted=overlapping, gold=overlapping)
def test_coreference_of_overlapping_clusters_stays_in_bounds(predicted: list[frozenset], gold: list[frozenset]):
    for counts in coreference_counts(predicted, gold).values():
        assert 0 <= counts.precision <= 1 + 1e-12
        assert 0 <= counts.recall <= 1 + 1e-12
    same = coreference_counts(gold, gold)
    assert same["b3"].f1 == pytest.approx(1)
    assert same["ceafe"].f1 == pytest.approx(1)
    assert same["muc"].f1 == (1 if any(len(cluster) > 1 for cluster in gold) else 0)


# --- ranking


@settings(max_examples=100, deadline=None)
@given(
    items=st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.booleans()), min_size=1, max_size=12),
    missed=st.integers(0, 3),
    theta=st.none() | st.integers(-1, 10),
)
def test_theta_scores_equal_the_loop_of_the_source(items: list, missed: int, theta: int | None):
    scores, correct, in_train = zip(*items, strict=True)
    gold_count = sum(correct) + missed
    found = theta_scores(scores, correct, gold_count, in_train, theta)
    ranked = sorted(items, key=lambda item: -item[0])
    for prefix, ign in (("", False), ("ign_", True)):
        hits = known = last = 0
        curve = []
        for rank, (score, hit, train) in enumerate(ranked):
            hits += hit
            known += hit and train
            dropped = known if ign else 0
            precision = 0.0 if hits == dropped else (hits - dropped) / (rank + 1 - dropped)
            recall = hits / max(gold_count, 1)
            curve.append((precision, recall, 2 * precision * recall / (precision + recall + 1e-20)))
            if theta is not None and score > theta:
                last = rank
        if not ign and theta is None:
            cut = max(range(len(curve)), key=lambda rank: curve[rank][2])
        elif theta is not None:
            cut = last
        area = sum((b[1] - a[1]) * (a[0] + b[0]) / 2 for a, b in itertools.pairwise(curve))
        assert found[f"{prefix}f1"] == pytest.approx(curve[cut][2])
        assert found[f"{prefix}precision"] == pytest.approx(curve[cut][0])
        assert found[f"{prefix}max_f1"] == pytest.approx(max(point[2] for point in curve))
        assert found[f"{prefix}auc"] == pytest.approx(area)
    assert found["rank"] == cut + 1


def test_theta_edges():
    with pytest.warns(UserWarning, match="1 scores"):
        found = theta_scores([0.9, math.nan, 0.1], [True, True, False], 2)
    assert (found["rank"], found["precision"], found["recall"]) == (1, 1, 0.5)
    assert theta_scores([], [], 0, in_train=[])["ign_auc"] == 0
    assert theta_scores([0.5], [False], 0)["f1"] == 0
    assert theta_scores(np.array([0.2, 0.2]), np.array([True, False]), 1)["rank"] == 1
    with pytest.raises(ValueError, match="gold_count is 0, but 1"):
        theta_scores([0.5], [True], 0)
    with pytest.raises(ValueError, match=r"correct has shape \(1,\)"):
        theta_scores([0.5, 0.6], [True], 1)


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


def fractions(result: dict[str, Any]) -> dict[str, float]:
    return {
        key: value
        for key, value in result.items()
        if isinstance(value, int | float) and not key.endswith(("support", "documents"))
    }


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=100, deadline=None)
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


# --- the official DocRED evaluation, restated on the records it reads


def official_scores(predicted: list[dict], gold: list[dict], facts: set) -> dict[str, float]:
    """F1, Ign F1 and evidence F1 by the steps of the official script, with zeros where it would divide by zero."""
    names = {
        item["id"]: [
            {
                m.get("name") or " ".join(item["sentences"][m["sentence"]][m["start"] : m["end"]]).strip()
                for m in e["mentions"]
            }
            for e in item["entities"]
        ]
        for item in gold
    }
    standard, evidence_total = {}, 0
    for item in gold:
        for label in item["relations"]:
            standard[item["id"], label["type"], label["head"], label["tail"]] = set(label["evidence"])
            evidence_total += len(label["evidence"])
    answers = sorted(
        ((item["id"], r["head"], r["tail"], r["type"], r["evidence"]) for item in predicted for r in item["relations"]),
        key=lambda answer: answer[:4],
    )
    answers = [a for n, a in enumerate(answers) if n == 0 or a[:4] != answers[n - 1][:4]]
    correct = in_train = correct_evidence = predicted_evidence = 0
    for title, head, tail, kind, evidence in answers:
        if title not in names:
            continue
        predicted_evidence += len(set(evidence))
        if (title, kind, head, tail) in standard:
            correct += 1
            correct_evidence += len(standard[title, kind, head, tail] & set(evidence))
            pairs = itertools.product(names[title][head], names[title][tail])
            in_train += any((one, two, kind) in facts for one, two in pairs)

    def f1(precision: float, recall: float) -> float:
        return 2 * precision * recall / (precision + recall) if precision + recall else 0

    recall = correct / len(standard)
    return {
        "relation_f1": f1(correct / len(answers), recall),
        "ign_f1": f1((correct - in_train) / (len(answers) - in_train), recall),
        "evidence_f1": f1(correct_evidence / predicted_evidence, correct_evidence / evidence_total),
    }


def read_docred(path: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": item["title"],
            "sentences": item["sents"],
            "entities": [
                entity(e[0]["type"], *(mention(*m["pos"], sentence=m["sent_id"], name=m["name"]) for m in e))
                for e in item["vertexSet"]
            ],
            "relations": [relation(r["h"], r["t"], r["r"], evidence=r.get("evidence", [])) for r in item["labels"]],
        }
        for item in json.loads(path.read_text())
    ]


def with_noise(item: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A prediction that misses relations, repeats some and mistakes the type or direction of others."""
    relations = []
    for one in item["relations"]:
        if rng.random() < 0.7:
            kind = one["type"] if rng.random() < 0.8 else "P17"
            evidence = [rng.randrange(len(item["sentences"])) for _ in range(rng.randrange(3))]
            relations += [one | {"type": kind, "evidence": evidence}] * rng.choice([1, 1, 2])
        if rng.random() < 0.2:
            relations.append(one | {"head": one["tail"], "tail": one["head"]})
    rng.shuffle(relations)
    return item | {"relations": relations}


@pytest.mark.filterwarnings("ignore:1 predictions have no reference")
def test_real_documents_score_as_the_official_script(shared_data: Any):
    gold = read_docred(shared_data("re_docred/validation.json"))
    rng = random.Random(3)
    predicted = [with_noise(item, rng) for item in gold[:90]]
    predicted.append(predicted[0] | {"id": "unknown title"})
    train = read_docred(shared_data("re_docred/train.json"))
    expected = official_scores(predicted, gold, set(read_train_facts(train)))
    assert 0.3 < expected["ign_f1"] < expected["relation_f1"] < 0.9
    for options in ({"entities_given": True}, {}):
        found = compute_scores(predicted, gold, train_facts=train, **options)
        assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-12)
        assert (found["missing_documents"], found["unknown_documents"]) == (10, 1)


def test_real_gold_documents_score_one(shared_data: Any):
    gold = read_docred(shared_data("re_docred/validation.json"))
    result = compute_scores(gold, gold, train_facts=[], subsets=True)
    scores = fractions(result)
    assert len(scores) > 50
    assert list(scores.values()) == pytest.approx([1.0] * len(scores))
    assert result["intra_support"] + result["inter_support"] == sum(len(item["relations"]) for item in gold)
