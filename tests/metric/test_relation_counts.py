"""Relation counts: training facts, evidence, subsets, and the official DocRED evaluation restated."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from scored_documents import WORDS, document, entity, fractions, given_scores, mention, relation, row_of_entities

from metrics.docre_f1.relation_counts import FREQUENT_TYPES, read_train_facts
from metrics.docre_f1.scores import compute_scores


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


def test_long_distance_is_more_than_five_sentences():
    for distance, long in ((0, 0), (5, 0), (6, 1)):
        far = entity("T", mention(0, sentence=1 + distance), mention(0, sentence=9))
        gold = document([entity("T", mention(1, sentence=1)), far], [relation(1, 0)], sentences=[WORDS] * 10)
        result = given_scores([], gold, subsets=True)
        assert (result["inter_support"], result["inter_long_support"]) == (int(distance > 0), long)


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
    facts = read_train_facts(train)
    expected = official_scores(predicted, gold, set(facts))
    assert 0.3 < expected["ign_f1"] < expected["relation_f1"] < 0.9
    for options in ({"entities_given": True}, {}):
        found = compute_scores(predicted, gold, train_facts=facts, **options)
        assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-12)
        assert (found["missing_documents"], found["unknown_documents"]) == (10, 1)


def test_real_gold_documents_score_one(shared_data: Any):
    gold = read_docred(shared_data("re_docred/validation.json"))
    result = compute_scores(gold, gold, train_facts=[], subsets=True)
    scores = fractions(result)
    assert len(scores) > 50
    assert list(scores.values()) == pytest.approx([1.0] * len(scores))
    assert result["intra_support"] + result["inter_support"] == sum(len(item["relations"]) for item in gold)
