"""Figures of entity pairs and mention pairs: by hand, and those of Re-DocRED's dev split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import build
from strategies import documents

from dataset_scripts.building.statistics import corpus_statistics, statistics_table
from modeling_docre import Document, read_docred

NAMES = [
    "related entity pairs",
    "related entity pairs of several relation types",
    "entity pairs",
    "entity pairs with several mentions of head or tail",
    "entity pairs with several mentions of head and tail",
    "mention pairs",
]


def test_pairs(subtests: pytest.Subtests) -> None:
    cases = [
        ([], [], [0, 0, 0, 0, 0, 0]),
        ([3], [], [0, 0, 0, 0, 0, 0]),
        ([1, 1], [(0, 1, "a"), (0, 1, "a")], [1, 0, 2, 0, 0, 2]),
        ([2, 1], [(0, 1, "a"), (1, 0, "a")], [2, 0, 2, 2, 0, 4]),
        ([2, 3], [(0, 1, "a"), (0, 1, "b"), (0, 1, "c")], [1, 1, 2, 2, 2, 12]),
        ([2, 1, 4, 1], [(0, 1, "a"), (0, 1, "b"), (2, 3, "a"), (3, 2, "b")], [3, 1, 12, 10, 2, 42]),
    ]
    for mentions, relations, expected in cases:
        with subtests.test(mentions=mentions):
            spans = [[(0, word, word + 1) for word in range(number)] for number in mentions]
            document = build("d", ["a b c d"], [("PER", own) for own in spans], relations)
            figures = corpus_statistics([document])
            assert [figures[name] for name in NAMES] == expected


def _counted(document: Document) -> list[int]:
    """The figures by going over all pairs."""
    types = {pair: set() for pair in permutations(range(len(document.entities)), 2)}
    for relation in document.relations:
        types[relation.head, relation.tail].add(relation.type)
    sizes = [len(entity.mentions) for entity in document.entities]
    several = [(sizes[head] > 1) + (sizes[tail] > 1) for head, tail in types]
    return [
        sum(len(own) > 0 for own in types.values()),
        sum(len(own) > 1 for own in types.values()),
        len(types),
        sum(number > 0 for number in several),
        several.count(2),
        sum(sizes[head] * sizes[tail] for head, tail in types),
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(documents(), max_size=4))
def test_pairs_of_random_documents(found: list[Document]) -> None:
    figures = corpus_statistics(found)
    expected = [sum(numbers) for numbers in zip([0] * len(NAMES), *map(_counted, found), strict=True)]
    assert [figures[name] for name in NAMES] == expected


def test_documents_with_one_entity_show_no_pairs_in_the_table() -> None:
    table = statistics_table({"train": corpus_statistics([build("d", ["a"], [("PER", [(0, 0, 1)])])])})
    assert "pairs" not in table and "| entities | 1 |" in table


def test_re_docred(shared_data: Callable[[str], Path]) -> None:
    """KMGRE's subsets M1 and M2, and the pairs of several relation types, of Re-DocRED's 500 dev documents."""
    total: Counter[str] = Counter()
    for split in ("train", "validation"):
        total.update(corpus_statistics(read_docred(shared_data(f"re_docred/{split}.json"))[0]))
    assert [total[name] for name in NAMES[:5]] == [13362, 3651, 193232, 66122, 7130]
