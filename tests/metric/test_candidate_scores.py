"""Scores on candidate pairs, as CDR and GDA list them: hand-computed cases, errors, every way in."""

from __future__ import annotations

import itertools
from pathlib import Path

import evaluate
import numpy as np
import pytest
from datasets import Dataset
from scored_documents import WORDS, candidate, document, entity, given_scores, mention, relation, row_of_entities

from dataset_scripts.building.row_features import document_features, document_row
from metrics.docre_f1.document_reader import read_document
from metrics.docre_f1.scored_document import ScoredDocument
from metrics.docre_f1.scores import compute_scores, pooled_scores
from modeling_docre.documents import Document

METRIC = Path(__file__).resolve().parents[2] / "metrics" / "docre_f1"
SENTENCES = [["a", "b", "c", "d"] for _ in range(10)]


def counts_of(candidates: list[dict] | None, gold: list[dict], predicted: list[dict]) -> tuple[float, float, float]:
    """Hits, predicted and gold relations of one document with four entities in one sentence."""
    reference = document(row_of_entities(4), gold) | {"candidates": candidates}
    found = given_scores(predicted, reference, per_document=True)["per_document"]["d"]["relation"]
    assert found["predicted_hits"] == found["gold_hits"]
    return found["predicted_hits"], found["predicted"], found["gold"]


# --- hand-computed

CHEMICALS_AND_DISEASES = [
    entity("Chemical", mention(0)),
    entity("Chemical", mention(1), mention(0, sentence=2)),
    entity("Disease", mention(2)),
    entity("Disease", mention(2, sentence=2)),
    entity("Disease", mention(2, sentence=1)),
]
# (1, 3) is marked contrary to its mentions, and (1, 4) is gold without being asked about.
REFERENCE = document(
    CHEMICALS_AND_DISEASES, [relation(0, 2), relation(0, 3), relation(0, 4), relation(1, 4)], sentences=SENTENCES
) | {
    "candidates": [
        candidate(0, 2, cross=False),
        candidate(0, 3),
        candidate(0, 4, scored=False, cross=True),
        candidate(1, 2, cross=False),
        candidate(1, 3, cross=True),
    ]
}
# Right and repeated in the other order, twice not scored, wrong, wrong in the other order, not asked about and wrong.
PREDICTED = [(0, 2), (2, 0), (0, 4), (4, 0), (1, 2), (3, 1), (0, 1)]


def test_hand_computed_example():
    result = given_scores([relation(*pair) for pair in PREDICTED], REFERENCE, subsets=True, per_type=True)
    expected = {
        "relation": (1 / 4, 1 / 3, 2 / 7),
        "relation_untyped": (1 / 4, 1 / 3, 2 / 7),
        "intra": (1 / 3, 1, 1 / 2),
        "inter": (0, 0, 0),
        "m1": (0, 0, 0),
        "single": (1, 1 / 2, 2 / 3),
    }
    for name, values in expected.items():
        found = tuple(result[f"{name}_{score}"] for score in ("precision", "recall", "f1"))
        assert found == pytest.approx(values), name
    assert (result["intra_support"], result["inter_support"]) == (1, 2)
    assert (result["m1_support"], result["single_support"]) == (1, 2)
    assert result["per_type"]["relation"]["r"]["support"] == 3


def test_same_documents_without_candidates_are_scored_on_all_pairs():
    reference = {key: value for key, value in REFERENCE.items() if key != "candidates"}
    predicted = [relation(*pair) for pair in PREDICTED]
    result = given_scores(predicted, reference, per_document=True, subsets=True)
    counts = result["per_document"]["d"]["relation"]
    assert (counts["predicted_hits"], counts["predicted"], counts["gold"]) == (2, 7, 4)
    assert (result["intra_support"], result["inter_support"]) == (1, 3)
    assert given_scores(predicted, reference | {"candidates": None}, per_document=True, subsets=True) == result


HIT_AND_MISS = [relation(0, 1), relation(2, 3)]
CASES = {
    "other order": ([candidate(0, 1)], [relation(0, 1)], [relation(1, 0)], (1, 1, 1)),
    "gold in the other order": ([candidate(0, 1)], [relation(1, 0)], [relation(0, 1)], (1, 1, 1)),
    "both in the other order": ([candidate(0, 1)], [relation(1, 0)], [relation(1, 0)], (1, 1, 1)),
    "both orders are one": ([candidate(0, 1)], HIT_AND_MISS[:1], [relation(0, 1), relation(1, 0)], (1, 1, 1)),
    "gold in both orders is one": ([candidate(0, 1)], [relation(0, 1), relation(1, 0)], [relation(0, 1)], (1, 1, 1)),
    "types stay apart": ([candidate(0, 1)], [relation(0, 1)], [relation(1, 0, "s"), relation(0, 1)], (1, 2, 1)),
    "not scored": ([candidate(0, 1, scored=False)], [relation(0, 1)], [relation(0, 1)], (0, 0, 0)),
    "not scored, other order": ([candidate(0, 1, scored=False)], [relation(1, 0)], [relation(1, 0)], (0, 0, 0)),
    "scored by default": ([{"head": 0, "tail": 1}], [relation(0, 1)], [relation(0, 1)], (1, 1, 1)),
    "scored is None": ([candidate(0, 1, scored=None)], [relation(0, 1)], [relation(0, 1)], (1, 1, 1)),
    "gold not asked about": ([candidate(0, 1)], HIT_AND_MISS, [relation(0, 1)], (1, 1, 2)),
    "predicted, not asked about": ([candidate(0, 1)], [relation(0, 1)], HIT_AND_MISS, (1, 2, 1)),
    "both, not asked about": ([candidate(0, 1)], HIT_AND_MISS, [relation(3, 2)], (1, 1, 2)),
    "no candidate": ([], HIT_AND_MISS, [relation(0, 1), relation(0, 2)], (1, 2, 2)),
    "no candidate, nothing gold": ([], [], [relation(0, 1), relation(1, 0)], (0, 1, 0)),
    "repeated candidate": ([candidate(0, 1), candidate(0, 1)], HIT_AND_MISS, HIT_AND_MISS, (2, 2, 2)),
    "listed again, not scored": ([candidate(0, 1), candidate(0, 1, False)], HIT_AND_MISS, HIT_AND_MISS, (2, 2, 2)),
    "listed again, scored": ([candidate(0, 1, False), candidate(0, 1)], HIT_AND_MISS, HIT_AND_MISS, (1, 1, 1)),
    "none": (None, HIT_AND_MISS, [relation(1, 0), relation(2, 3)], (1, 2, 2)),
}
BOTH_ORDERS = [candidate(0, 1), candidate(1, 0)]
CASES |= {
    "directed": (BOTH_ORDERS, [relation(0, 1)], [relation(1, 0)], (0, 1, 1)),
    "directed twice": (BOTH_ORDERS, [relation(0, 1), relation(1, 0)], [relation(1, 0), relation(0, 1)], (2, 2, 2)),
    "directed types": (BOTH_ORDERS, [relation(0, 1), relation(1, 0, "s")], [relation(0, 1, "s")], (0, 1, 2)),
    "one order not scored": (
        [candidate(0, 1), candidate(1, 0, scored=False)],
        [relation(0, 1), relation(1, 0)],
        [relation(1, 0), relation(0, 1, "s")],
        (0, 1, 1),
    ),
    "directed beside undirected": (
        [*BOTH_ORDERS, candidate(2, 3)],
        [relation(0, 1), relation(2, 3)],
        [relation(1, 0), relation(3, 2)],
        (1, 2, 2),
    ),
}


def test_pairs():
    for name, (candidates, gold, predicted, expected) in CASES.items():
        assert counts_of(candidates, gold, predicted) == expected, name


def test_cross_flag_decides_before_the_sentences():
    far = document(
        [entity("T", mention(0)), entity("T", mention(1, sentence=7)), entity("T", mention(2))], [], sentences=SENTENCES
    )
    for pair, cross, names in (
        ((0, 1), None, {"inter", "inter_long"}),
        ((0, 1), True, {"inter", "inter_long"}),
        ((0, 1), False, {"intra"}),
        ((0, 2), None, {"intra"}),
        ((0, 2), False, {"intra"}),
        ((0, 2), True, {"inter"}),
    ):
        for gold in (pair, pair[::-1]):
            reference = far | {"relations": [relation(*gold)], "candidates": [candidate(*pair, cross=cross)]}
            result = given_scores([relation(*pair)], reference, subsets=True)
            found = {name for name in ("intra", "inter", "inter_long") if result[f"{name}_f1"]}
            assert found == names, (pair, cross)
            assert found == {name for name in ("intra", "inter", "inter_long") if result[f"{name}_support"]}


def test_each_order_of_a_directed_pair_has_its_own_cross_flag():
    reference = document(row_of_entities(2), [relation(0, 1), relation(1, 0)])
    reference |= {"candidates": [candidate(0, 1, cross=True), candidate(1, 0, cross=False)]}
    result = given_scores([relation(1, 0)], reference)
    assert (result["intra_f1"], result["inter_f1"], result["inter_support"]) == (1, 0, 1)


def test_evidence_of_both_orders_belongs_to_one_pair():
    gold = [relation(1, 0, evidence=[0, 3]), relation(0, 2, evidence=[4])]
    reference = document(row_of_entities(3), gold, sentences=[WORDS] * 6)
    reference |= {"candidates": [candidate(0, 1), candidate(0, 2, scored=False)]}
    predicted = [relation(0, 1, evidence=[3, 5]), relation(1, 0, evidence=[0]), relation(2, 0, evidence=[4])]
    result = given_scores(predicted, reference)
    assert (result["evidence_precision"], result["evidence_recall"]) == (1 / 2, 1 / 2)


def test_training_facts_count_in_either_order_where_the_pair_has_no_direction():
    reference = document(row_of_entities(3), [relation(0, 1), relation(0, 2)])
    facts = [("lives", "Ada", "r")]  # the names of entities 1 and 0
    predicted = [relation(0, 1), relation(0, 2)]
    for candidates, in_train in ((None, 0), ([], 1), ([candidate(0, 1)], 1), (BOTH_ORDERS, 0)):
        result = given_scores(predicted, reference | {"candidates": candidates}, train_facts=facts, per_document=True)
        assert result["per_document"]["d"]["relation"]["in_train"] == in_train, candidates
        assert result["relation_f1"] == result["ign_precision"] == 1
    not_scored = reference | {"candidates": [candidate(0, 1, scored=False)]}
    result = given_scores(predicted, not_scored, train_facts=facts, per_document=True)
    assert result["per_document"]["d"]["relation"] == {
        "predicted_hits": 1,
        "predicted": 1,
        "gold_hits": 1,
        "gold": 1,
        "in_train": 0,
    }


def test_joint_scores_ignore_candidates():
    plain = {key: value for key, value in REFERENCE.items() if key != "candidates"}
    predicted = plain | {"relations": [relation(*pair) for pair in PREDICTED]}
    options = {"train_facts": [plain], "subsets": True, "per_type": True, "per_document": True}
    expected = compute_scores([predicted], [plain], **options)
    assert expected["relation_precision"] == pytest.approx(2 / 7)
    assert compute_scores([predicted], [REFERENCE], **options) == expected


def test_a_corpus_may_mix_documents_with_and_without_candidates():
    references = [
        document(row_of_entities(3), [relation(0, 1)], "asked") | {"candidates": [candidate(0, 1)]},
        document(row_of_entities(3), [relation(0, 1)], "free"),
        document(row_of_entities(3), [relation(0, 1)], "missing") | {"candidates": [candidate(0, 1)]},
        document(row_of_entities(3), [], "empty") | {"candidates": []},
    ]
    predictions = [{"id": name, "relations": [relation(1, 0)]} for name in ("asked", "free", "elsewhere")]
    with pytest.warns(UserWarning, match="elsewhere"):
        result = compute_scores(predictions, references, entities_given=True, by_entity_count=True)
    assert (result["relation_precision"], result["relation_recall"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert (result["missing_documents"], result["unknown_documents"]) == (2, 1)
    group = result["by_entity_count"]["1-5"]
    assert (group["precision"], group["support"], group["documents"]) == (1 / 2, 3, 4)


# --- epsilon of the release


def test_denominator_epsilon_repeats_the_release():
    predicted = [relation(*pair) for pair in PREDICTED]
    options = {"train_facts": [], "subsets": True, "per_document": True}
    epsilon = 1e-5
    result = given_scores(predicted, REFERENCE, denominator_epsilon=epsilon, **options)
    precision, recall = 1 / (4 + epsilon), 1 / (3 + epsilon)
    expected = (precision, recall, 2 * precision * recall / (precision + recall + epsilon))
    for task in ("relation", "relation_untyped"):
        assert tuple(result[f"{task}_{name}"] for name in ("precision", "recall", "f1")) == expected
    assert result["intra_recall"] == 1 / (1 + epsilon)
    exact = given_scores(predicted, REFERENCE, **options)
    assert 0 < exact["relation_f1"] - result["relation_f1"] < 1e-5
    assert (result["ign_f1"], result["macro_relation_f1"]) == (exact["ign_f1"], exact["macro_relation_f1"])
    pooled = pooled_scores(result["per_document"].values(), denominator_epsilon=epsilon)
    assert pooled == {key: result[key] for key in pooled}
    assert given_scores([], REFERENCE, denominator_epsilon=epsilon)["relation_f1"] == 0


# --- what is refused

BROKEN = [
    (candidate(0, 5), r"candidates\[1\].tail is 5; the document has 5 entities, numbered from 0"),
    (candidate(-1, 2), r"candidates\[1\].head is -1; the document has 5 entities"),
    (candidate(2, 2), r"candidates\[1\] \(head, tail\) is \(2, 2\); head and tail must be two different entities"),
    (candidate(0, True), r"candidates\[1\].tail is True; give a whole number"),
    ({"head": 0}, r"candidates\[1\].tail is None; give a whole number"),
    (candidate(0, 3, scored=1), r"candidates\[1\].scored is 1; give true or false"),
    (candidate(0, 3, cross="CROSS"), r"candidates\[1\].cross is 'CROSS'; give true or false"),
    ((0, 3), r"candidates\[1\] is \(0, 3\); give a dict"),
]


def test_broken_candidates_of_a_reference_are_named():
    for (second, message), entities_given in itertools.product(BROKEN, (True, False)):
        broken = REFERENCE | {"id": "Foo", "candidates": [candidate(0, 2), second]}
        with pytest.raises(ValueError, match=f"document 'Foo': .*{message}"):
            compute_scores([], [broken], entities_given=entities_given)


def test_candidates_that_are_no_list_are_named():
    with pytest.raises(ValueError, match=r"document 'd': candidates is {'head': 0}; give a list"):
        compute_scores([], [REFERENCE | {"candidates": {"head": 0}}])


def test_candidates_of_a_prediction_are_ignored():
    predicted = {"id": "d", "relations": [relation(0, 2)], "candidates": [candidate(7, 7, scored=False)]}
    result = compute_scores([predicted], [REFERENCE], entities_given=True)
    assert (result["relation_precision"], result["relation_recall"]) == (1, pytest.approx(1 / 3))


# --- through the metric


def test_candidates_survive_the_row():
    for candidates in (None, [], REFERENCE["candidates"], [candidate(1, 0, None, None)]):
        read = read_document(REFERENCE | {"candidates": candidates}, predicted=False)
        assert ScoredDocument.from_row(read.to_row()) == read
        expected = (
            None
            if candidates is None
            else tuple((c["head"], c["tail"], c["scored"] in (None, True), c["cross"]) for c in candidates)
        )
        assert read.candidates == expected


def test_references_in_every_form_score_the_same(tmp_path: Path):
    metric = evaluate.load(str(METRIC), cache_dir=str(tmp_path))
    empty = document(CHEMICALS_AND_DISEASES, [relation(0, 2)], "empty", SENTENCES) | {"candidates": []}
    free = document(CHEMICALS_AND_DISEASES, [relation(0, 2)], "free", SENTENCES)
    references = [REFERENCE, empty, free]
    predicted = [{"id": name, "relations": [relation(*pair) for pair in PREDICTED]} for name in ("d", "empty", "free")]
    options = {"entities_given": True, "subsets": True, "per_document": True, "denominator_epsilon": 1e-5}
    expected = compute_scores(predicted, references, **options)
    rows = expected["per_document"]
    assert [rows[name]["relation"]["predicted"] for name in ("d", "empty", "free")] == [4, 5, 7]
    arrow = Dataset.from_list([document_row(item) for item in references], features=document_features())
    numpy_flags = [item | {"scored": np.bool_(item["scored"])} for item in REFERENCE["candidates"]]
    numpy = [REFERENCE | {"candidates": np.array(numpy_flags, dtype=object)}, empty, free]
    for form in (references, [Document.from_dict(item) for item in references], arrow, numpy):
        assert metric.compute(predictions=predicted, references=form, **options) == expected
    metric.add_batch(predictions=predicted[:1], references=references[1:])
    metric.add(prediction=predicted[1], reference=references[0])
    assert metric.compute(predictions=predicted[2:], references=[], **options) == expected
