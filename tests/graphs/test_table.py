"""The readable form of a graph: columns line up, nothing long breaks them, and an empty graph is a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from strategies import documents

from modeling_docre.documents import Document, Entity, Mention, Relation
from modeling_docre.graphs.table import format_graph

DOCUMENT = Document(
    "curie",
    (("Marie", "Curie", "lived", "in", "Paris", "."), ("She", "worked", "there", ".")),
    entities=(
        Entity("PER", (Mention(0, 0, 2), Mention(1, 0, 1)), score=0.987),
        Entity("LOC", (Mention(0, 4, 5), Mention(1, 2, 3)), score=0.9),
    ),
    relations=(
        Relation(0, 1, "P551", label="residence", score=0.914, evidence=(0, 1)),
        Relation(1, 0, "resident"),
    ),
)


def test_tables() -> None:
    expected = [
        "entity  type  score  mentions",
        "0       PER   0.99   Marie Curie | She",
        "1       LOC   0.90   Paris | there",
        "",
        "head                relation      tail             score  sentences",
        "Marie Curie (0)  —  residence  →  Paris (1)        0.91   0, 1",
        "Paris (1)        —  resident   →  Marie Curie (0)",
    ]
    assert format_graph(DOCUMENT).split("\n") == expected
    assert format_graph(DOCUMENT.to_dict()) == format_graph(DOCUMENT)


def test_empty_graphs_are_sentences() -> None:
    assert format_graph(Document("a", ())) == "The document has no entities."
    text = format_graph(replace(DOCUMENT, relations=()))
    assert text.endswith("\n\nThe document has no relations between its entities.")
    assert "Marie Curie | She" in text


def test_long_names_are_shortened() -> None:
    text = format_graph(DOCUMENT, width=8)
    assert "Marie C… (0)  —  residen…  →" in text
    assert "Marie Curie | She" in text  # 17 columns of 24
    with pytest.raises(ValueError, match="width is 1"):
        format_graph(DOCUMENT, width=1)
    often = replace(DOCUMENT, sentences=DOCUMENT.sentences * 9, relations=(Relation(0, 1, "x", evidence=range(18)),))
    assert format_graph(often).endswith("  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …")


def test_names_stand_on_one_line() -> None:
    document = Document("a", (("New", "York"),), (Entity("LOC", (Mention(0, 0, 2, name="New\n  York"),)),))
    assert "New York" in format_graph(document)
    blank = Document("a", (("\u3000",),), (Entity("LOC", (Mention(0, 0, 1),)),))
    assert '""' in format_graph(blank)


def test_wide_characters_take_two_columns() -> None:
    document = Document("a", (("日本", "Rome"),), tuple(Entity("LOC", (Mention(0, n, n + 1),)) for n in (0, 1)))
    document = replace(document, relations=(Relation(0, 1, "x"), Relation(1, 0, "x")))
    first, second = format_graph(document).split("\n")[-2:]
    assert first == "日本 (0)  —  x         →  Rome (1)"
    assert second == "Rome (1)  —  x         →  日本 (0)"
    assert "日…" in format_graph(replace(document, sentences=(("日本国", "Rome"),)), width=4)
    combined = replace(document, sentences=(("e\u0301e\u0301", "Rome"),))
    assert format_graph(combined).split("\n")[-2] == "e\u0301e\u0301 (0)    —  x         →  Rome (1)"


def test_escape_sequences_are_shown_and_not_obeyed() -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07 \x9b31m\x7f\u202eevil\u2066\r\nnext"
    entities = tuple(Entity(hostile, (Mention(0, n, n + 1),)) for n in (0, 1))
    document = Document("a", ((hostile, "Rome"),), entities, (Relation(0, 1, "x", label=hostile),))
    text = format_graph(document, width=80)
    assert "\ufffd[2J\ufffd]0;owned\ufffd \ufffd31m\ufffd\ufffdevil\ufffd next (0)" in text
    assert not set(text) & set("\x1b\x07\x9b\x7f\r\u202e\u2066"), "nothing steers a terminal"
    assert len(text.split("\n")) == 6


def test_a_dict_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, text = DOCUMENT.to_dict(), format_graph(DOCUMENT)
    monkeypatch.setattr(Document, "from_dict", None)
    assert format_graph(graph) == text


@given(documents(all_fields=True), st.integers(2, 12))
@settings(deadline=None, max_examples=40)
def test_any_document(document: Document, width: int) -> None:
    """Every entity and relation has a line, and the arrows of all relations stand in one column."""
    lines = format_graph(document, width).split("\n")
    assert all(line == line.rstrip() for line in lines)
    if not document.entities:
        return
    assert len(lines) == len(document.entities) + max(len(document.relations), 0) + 3
    arrows = set()
    for line in lines[len(document.entities) + 3 :] if document.relations else []:
        arrows.add(cell_len(line[: line.index("→")]))
    assert len(arrows) <= 1
