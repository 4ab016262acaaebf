"""What the settings can reach, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from samples import ANNA, ODD_DOCUMENTS, build

from modeling_docre import read_docred
from modeling_docre.reach import Reach, measure_reach

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
DUPLICATE = build("a duplicate", ["a b"], [("PER", [(0, 0, 1), (0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "born")])


def test_a_long_mention_takes_its_entity_and_its_relations_along() -> None:
    assert measure_reach([LONG], 4) == Reach(4, 3, 3, 2, 4, 2)
    assert measure_reach([LONG], 5) == Reach(4, 4, 3, 3, 4, 4)
    assert measure_reach([LONG], 1) == Reach(4, 2, 3, 1, 4, 0)


def test_a_shared_span_is_one_mention_and_no_cluster_can_have_it_twice() -> None:
    # Spans: a, c and b; a and c stand in two entities each, so only the entity of b can come out whole.
    assert measure_reach([SHARED], 10) == Reach(3, 3, 4, 1, 2, 0)


def test_a_repeated_mention_counts_once() -> None:
    assert measure_reach([DUPLICATE], 10) == Reach(2, 2, 2, 2, 1, 1)


def test_documents_add_up_and_nothing_is_fine() -> None:
    assert measure_reach([LONG, SHARED, DUPLICATE], 4) == Reach(9, 8, 9, 5, 7, 3)
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
    assert reach.relations == sum(len(document.relations) for document in documents)
    assert (reach.entities, reach.reachable_entities) == (9684, 9670)
    assert (reach.relations, reach.reachable_relations) == (17284, 17232)
