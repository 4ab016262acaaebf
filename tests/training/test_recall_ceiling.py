"""What the settings can reach, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANNA, ODD_DOCUMENTS, build

from metrics.docre_f1.scores import compute_scores
from modeling_docre import read_docred
from modeling_docre.training.recall_ceiling import Reach, measure_reach

LONG = build(
    "a long mention",
    ["a b c d e f"],
    [("PER", [(0, 0, 5), (0, 5, 6)]), ("LOC", [(0, 1, 2)]), ("LOC", [(0, 2, 4)])],
    [(0, 1, "born"), (1, 2, "born"), (2, 1, "works"), (2, 0, "born")],
)
SHARED = build(
    "a shared span",
    ["a b", "c"],
    [("PER", [(0, 0, 1)]), ("ORG", [(0, 0, 1), (1, 0, 1)]), ("LOC", [(0, 1, 2)]), ("LOC", [(1, 0, 1)])],
    [(0, 2, "born"), (2, 1, "works")],
)
SAME = build(
    "one concept twice",
    ["a b"],
    [("PER", [(0, 0, 1)]), ("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])],
    [(0, 2, "born"), (1, 2, "born"), (0, 1, "works")],
)
DUPLICATE = build("a duplicate", ["a b"], [("PER", [(0, 0, 1), (0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "born")])


def test_a_long_mention_takes_its_entity_and_its_relations_along() -> None:
    assert measure_reach([LONG], 4) == Reach(4, 3, 3, 2, 4, 2)
    assert measure_reach([LONG], 5) == Reach(4, 4, 3, 3, 4, 4)
    assert measure_reach([LONG], 1) == Reach(4, 2, 3, 1, 4, 0)


def test_a_shared_span_is_one_mention_and_no_cluster_can_have_it_twice() -> None:
    # Spans: a, c and b. With a and c in clusters of their own, three of four entities and one relation are right.
    assert measure_reach([SHARED], 10) == Reach(3, 3, 4, 3, 2, 1)


def test_concepts_with_the_same_spans_and_type_are_one() -> None:
    # As the scores take them: one entity of a, which is born in b once, and no relation between itself and itself.
    assert measure_reach([SAME], 10) == Reach(2, 2, 2, 2, 2, 1)
    assert compute_scores([SAME.to_dict()], [SAME.to_dict()])["entity_recall"] == 1


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_best_prediction_reaches_it(data: st.DataObject) -> None:
    """Every choice of entities without a common span is scored; the best ones have what the report promises."""
    spans = [(0, 0, 1), (0, 1, 2), (0, 2, 4), (1, 0, 1), (1, 1, 2)]
    members = st.lists(st.sampled_from(spans), min_size=1, max_size=3, unique=True)
    entities = data.draw(st.lists(st.tuples(st.sampled_from(["PER", "ORG"]), members), min_size=1, max_size=5))
    ends = st.integers(0, len(entities) - 1)
    triples = st.tuples(ends, ends, st.sampled_from(["born", "works"])).filter(lambda triple: triple[0] != triple[1])
    relations = data.draw(st.lists(triples, max_size=6, unique=True))
    gold = build("gold", ["a b c d", "e f"], entities, relations)
    reach = measure_reach([gold], 1)
    best = {"entity": 0.0, "relation": 0.0}
    keys = [(kind, frozenset(members)) for kind, members in entities]
    first = [keys.index(key) for key in keys]  # concepts with the same spans and type are one
    facts = {(first[h], first[t], kind) for h, t, kind in relations if first[h] != first[t]}
    for size in range(len(set(first)) + 1):
        for chosen in combinations(sorted(set(first)), size):
            taken = [span for number in chosen for span in entities[number][1]]
            if len(set(taken)) == len(taken) and (0, 2, 4) not in taken:
                place = {number: position for position, number in enumerate(chosen)}
                kept = [(place[h], place[t], kind) for h, t, kind in facts if h in place and t in place]
                found = build("gold", ["a b c d", "e f"], [entities[number] for number in chosen], kept)
                scores = compute_scores([found.to_dict()], [gold.to_dict()])
                best = {name: max(value, scores[f"{name}_recall"]) for name, value in best.items()}
    assert best["entity"] == pytest.approx(reach.reachable_entities / reach.entities)
    assert best["relation"] == pytest.approx(reach.reachable_relations / max(reach.relations, 1))


def test_a_repeated_mention_counts_once() -> None:
    assert measure_reach([DUPLICATE], 10) == Reach(2, 2, 2, 2, 1, 1)


def test_documents_add_up_and_nothing_is_fine() -> None:
    assert measure_reach([LONG, SHARED, DUPLICATE], 4) == Reach(9, 8, 9, 7, 7, 4)
    assert measure_reach([], 10) == Reach(0, 0, 0, 0, 0, 0)
    assert "mentions: 0 of 0" in str(measure_reach([], 10))
    assert measure_reach([ODD_DOCUMENTS[0]], 10) == Reach(0, 0, 0, 0, 0, 0)
    assert measure_reach([ANNA], 10) == Reach(6, 6, 4, 4, 4, 4)


def test_the_report_names_counts_and_shares() -> None:
    assert str(measure_reach([LONG], 4)).splitlines() == [
        "mentions: 3 of 4 can be reached (75.00%)",
        "entities: 2 of 3 can be reached (66.67%)",
        "relations: 2 of 4 can be reached (50.00%)",
    ]


def test_re_docred(shared_data: Callable[[str], Path]) -> None:
    documents = [
        document
        for name in ("train", "validation")
        for document in read_docred(shared_data(f"re_docred/{name}.json"))[0]
    ]
    reach = measure_reach(documents, 10)
    spans = [
        {document.span(mention) for entity in document.entities for mention in entity.mentions}
        for document in documents
    ]
    assert len(documents) == 500
    assert reach.mentions == sum(map(len, spans))
    assert reach.mentions - reach.reachable_mentions == sum(end - start > 10 for found in spans for start, end in found)
    assert reach.mentions - reach.reachable_mentions == 12
    # One of 9,684 entities and eight of 17,284 relations are there twice.
    assert (reach.entities, reach.reachable_entities) == (9683, 9671)
    assert (reach.relations, reach.reachable_relations) == (17276, 17242)
