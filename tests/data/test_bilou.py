"""BILOU tags: decoded, and refused where they break the scheme."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_scripts.readers.bilou import decode_bilou
from modeling_docre.documents import DocumentError


def encode(length: int, spans: list[tuple[str, int, int]]) -> list[str]:
    """The tags of spans that do not overlap."""
    tags = ["O"] * length
    for kind, start, end in spans:
        tags[start:end] = [f"I-{kind}"] * (end - start)
        tags[end - 1] = f"L-{kind}"
        tags[start] = f"{'U' if end == start + 1 else 'B'}-{kind}"
    return tags


def test_each_tag() -> None:
    tags = ["U-Loc", "O", "B-Org", "L-Org", "B-Peop-x", "I-Peop-x", "L-Peop-x", "U-Loc"]
    assert decode_bilou(tags, "d") == [("Loc", 0, 1), ("Org", 2, 4), ("Peop-x", 4, 7), ("Loc", 7, 8)]
    assert decode_bilou([], "d") == decode_bilou(["O", "O"], "d") == []


@given(st.lists(st.integers(0, 12), unique=True), st.data())
def test_tags_give_the_spans_that_they_were_made_of(borders: list[int], data: st.DataObject) -> None:
    sections = list(pairwise(sorted(borders)))
    spans = [(data.draw(st.sampled_from("XY")), *section) for section in sections if data.draw(st.booleans())]
    assert decode_bilou(encode(12, spans), "d") == spans


BROKEN = [
    (["X-Loc"], 0, "'X-Loc'; give O, or B-, I-, L- or U- and an entity type"),
    (["O", "U-"], 1, "'U-'; give O"),
    (["O", 3], 1, "3; give O"),
    (["I-Loc"], 0, "'I-Loc'; it cannot follow the beginning of the sentence"),
    (["O", "L-Loc"], 1, "'L-Loc'; it cannot follow O"),
    (["B-Loc", "O"], 1, "'O'; it cannot follow B-Loc"),
    (["B-Loc", "U-Loc"], 1, "'U-Loc'; it cannot follow B-Loc"),
    (["B-Loc", "B-Loc"], 1, "'B-Loc'; it cannot follow B-Loc"),
    (["B-Loc", "I-Org"], 1, "'I-Org'; it cannot follow B-Loc"),
    (["B-Loc", "I-Loc", "L-Org"], 2, "'L-Org'; it cannot follow I-Loc"),
    (["O", "B-Loc", "I-Loc"], 1, "'B-Loc'; this entity has no end"),
]


def test_broken_tags_are_named(subtests: pytest.Subtests) -> None:
    for tags, place, message in BROKEN:
        with subtests.test(tags=tags):
            with pytest.raises(DocumentError) as caught:
                decode_bilou(tags, "17")
            assert str(caught.value).startswith(f"document '17': tags[{place}] is {message}")
