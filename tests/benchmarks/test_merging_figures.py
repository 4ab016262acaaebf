"""How merging is measured: pairs across documents, baselines, and corpora that grow."""

from __future__ import annotations

from itertools import islice

import pytest
from named_documents import named_document

from benchmarks import merging

DOCUMENTS = [
    named_document("a", "Disease=D1: fits | seizure", "Disease=D2: pain"),
    named_document("b", "Disease=D1: fits", "Disease=D2: ache"),
    named_document("c", "Disease=D1: Seizure", "Disease=D3: pain"),
]


def test_pairs_of_different_documents_count():
    concepts = merging.concepts_of(DOCUMENTS)
    assert merging.scores(concepts, concepts) == (1, 1, 1, 1)
    alone = {place: ("Disease", *place) for place in concepts}
    assert merging.scores(alone, concepts) == (1, 0, 1, pytest.approx((3 / 3 + 2 / 2 + 1) / 6))
    one = {place: ("Disease",) for place in concepts}
    assert merging.scores(one, concepts)[:2] == (4 / 12, 1), "15 pairs, three of them within a document"


def test_baselines_and_modes():
    concepts = merging.concepts_of(DOCUMENTS)
    frequent = merging.by_most_frequent_name(DOCUMENTS)
    assert merging.scores(frequent, concepts)[:2] == (1 / 2, 1 / 4)
    assert merging.scores(merging.by_any_name(DOCUMENTS), concepts)[:2] == (3 / 4, 3 / 4)
    rows = list(merging.quality_rows("tiny", DOCUMENTS))
    assert [row.split(" | ")[1] for row in rows][2:] == [f'merge="{mode}"' for mode in merging.MODES]
    assert rows[2].split(" | ")[2:4] == ["100.0", "0.0"] and rows[3].split(" | ")[2:4] == ["75.0", "75.0"]


def test_copies_keep_the_names_of_frequent_concepts():
    documents = [named_document(f"{n}", "Disease=D1: fits", f"Disease=X{n}: pain") for n in range(merging.KNOWN)]
    found = list(islice(merging.copies(documents), 3 * len(documents)))
    names = [[document.entities[number].mentions[0].name for document in found] for number in (0, 1)]
    assert (
        set(names[0]) == {None} and len(set(names[1])) == 3 and len({document.id for document in found}) == len(found)
    )
    assert not any(entity.id for document in found for entity in document.entities)
    text = merging.summary(documents, 20)
    assert (
        text.startswith("5 documents, 10 entities, 0 relations: 6 nodes, 0 edges; 1 nodes ") and text.count("\n- ") == 1
    )
