"""Documents as rows of a dataset."""

from __future__ import annotations

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import documents

from dataset_scripts.building.row_features import document_features, document_row
from modeling_docre.documents import Document, DocumentError


@settings(max_examples=20, deadline=None)
@given(st.lists(documents(all_fields=True), min_size=1, max_size=6))
def test_rows_come_back_from_arrow(found: list[Document]) -> None:
    rows = [document_row(document) for document in found]
    dataset = datasets.Dataset.from_list(rows, features=document_features())
    assert dataset.to_list() == rows
    assert [Document.from_dict(row) for row in dataset] == found


def test_a_row_has_every_key() -> None:
    row = document_row(
        {
            "id": "d",
            "sentences": [["A"]],
            "entities": [{"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 1}]}],
        }
    )
    assert set(row) == set(document_features())
    mention = {"sentence": 0, "start": 0, "end": 1, "name": None, "type": None, "score": None}
    assert row["entities"][0]["mentions"] == [mention | {"char_start": None, "char_end": None}]
    assert row["candidates"] is None and row["relations"] == []


def test_a_row_of_a_broken_document_is_refused() -> None:
    with pytest.raises(DocumentError, match="document 'd': sentences is None"):
        document_row({"id": "d"})
