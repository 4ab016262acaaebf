"""Candidate pairs and relations between concepts: types, directions, and what no mention has."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from dataset_scripts.building.concept_pairs import UNMENTIONED, Fact, add_pairs
from dataset_scripts.building.statistics import corpus_statistics, statistics_table
from modeling_docre.documents import Candidate, Document, Entity, Mention

PAIR = ("Chemical", "Disease")
# Sentence 0 mentions D1 and C1, sentence 1 mentions C2 and once more D1, sentence 2 mentions D2.
DOCUMENT = Document(
    "7",
    (("tremor", "lithium"), ("naloxone", "tremor"), ("pain",)),
    (
        Entity("Disease", (Mention(0, 0, 1), Mention(1, 1, 2)), "D1"),
        Entity("Chemical", (Mention(0, 1, 2),), "C1"),
        Entity("Chemical", (Mention(1, 0, 1),), "C2"),
        Entity("Disease", (Mention(2, 0, 1),), "D2"),
        Entity("Species", (Mention(2, 0, 1),), "D2"),
    ),
)


def _paired(*facts: Fact, first_is_head: bool = False) -> tuple[Document, Counter[str]]:
    counts: Counter[str] = Counter()
    return add_pairs(DOCUMENT, facts, [PAIR], {"CID": "induces"}, counts, first_is_head), counts


def test_candidates_by_type() -> None:
    document, _ = _paired()
    found = [(c.head, c.tail, c.cross, c.scored) for c in document.candidates or ()]
    assert found == [(1, 0, False, True), (1, 3, True, True), (2, 0, False, True), (2, 3, True, True)]
    assert document.relations == () and document.entities == DOCUMENT.entities


def test_candidates_in_the_order_of_the_text() -> None:
    document, _ = _paired(Fact("CID", PAIR, ("C2", "D1")), Fact("CID", PAIR, ("C2", "D2")), first_is_head=True)
    found = [(c.head, c.tail, c.cross) for c in document.candidates or ()]
    assert found == [(0, 1, False), (0, 2, False), (1, 3, True), (2, 3, True)]
    assert [(r.head, r.tail, r.type, r.label) for r in document.relations] == [
        (0, 2, "CID", "induces"),
        (2, 3, "CID", "induces"),
    ]


def test_types_say_which_concept_is_the_head(subtests: pytest.Subtests) -> None:
    for concepts, first_is_head in product([("C1", "D2"), ("D2", "C1")], [False, True]):
        with subtests.test(concepts=concepts, first_is_head=first_is_head):
            document, counts = _paired(Fact("CID", PAIR, concepts), first_is_head=first_is_head)
            assert [(r.head, r.tail) for r in document.relations] == [(1, 3)] and not counts[UNMENTIONED]
            assert {(r.head, r.tail) for r in document.relations} <= {
                (c.head, c.tail) for c in document.candidates or ()
            }


def test_a_relation_of_a_concept_without_a_mention_is_counted(subtests: pytest.Subtests) -> None:
    for concepts in [("C1", "D9"), ("C9", "D1"), ("C1", "C2"), ("D1", "D2")]:
        with subtests.test(concepts=concepts):
            document, counts = _paired(Fact("CID", PAIR, concepts), Fact("CID", PAIR, ("C1", "D1")))
            assert len(document.relations) == 1 and counts == {UNMENTIONED: 1}


def test_a_relation_that_is_listed_twice_stands_twice() -> None:
    document, _ = _paired(*[Fact("CID", PAIR, ("C1", "D1"))] * 2)
    assert len(document.relations) == 2 and len(document.candidates or ()) == 4


def test_a_document_without_pairs_has_empty_candidates() -> None:
    document = add_pairs(Document("8", (("a",),)), [], [PAIR], {}, Counter())
    assert document.candidates == ()


def test_statistics_of_pairs_and_shared_spans() -> None:
    document, _ = _paired(Fact("CID", PAIR, ("C1", "D1")), Fact("CID", PAIR, ("C1", "D2")))
    left_out = replace(document, candidates=(*(document.candidates or ())[:3], Candidate(2, 3, False, True)))
    figures = corpus_statistics([left_out])
    expected = {
        "candidate pairs": 4,
        "candidate pairs related": 2,
        "candidate pairs left out of scoring": 1,
        "candidate pairs across sentences": 2,
        "entities that share a span with another": 2,
        "entities with the same spans as another": 2,
        "relations of an entity that shares a span": 1,
        "entities of type Disease": 2,
        "mentions of type Disease": 3,
        "mentions of type Species": 1,
    }
    assert {name: figures[name] for name in expected} == expected


def test_a_table_of_splits_with_different_types() -> None:
    other = Document("8", (("a",),), (Entity("Gene", (Mention(0, 0, 1),)),))
    table = statistics_table({"train": corpus_statistics([DOCUMENT]), "test": corpus_statistics([other])}).splitlines()
    assert "| entities of type Chemical | 2 | 0 |" in table and "| entities of type Gene | 0 | 1 |" in table
