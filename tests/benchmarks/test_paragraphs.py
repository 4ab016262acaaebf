"""The paragraphs with their facts, and how what a model finds is held against them."""

from __future__ import annotations

from collections import Counter

import pytest
from pipelines import build, decisive_jerex

from benchmarks import paragraphs
from benchmarks.paragraphs import OTHER_KINDS, Counts, Paragraph, count, read_paragraphs, stated_entities, table
from dataset_scripts.building.docred_labels import RELATION_TYPES


def graph(entities: list[list[str]], relations: list[tuple[int, str, int]]) -> dict:
    return {
        "entities": [{"mentions": [{"name": name} for name in names]} for names in entities],
        "relations": [{"head": head, "type": kind, "tail": tail} for head, kind, tail in relations],
    }


def test_the_paragraphs_are_whole():
    first, other = read_paragraphs(), read_paragraphs(OTHER_KINDS)
    assert (len(first), len(other)) == (20, 10) and len({item.id for item in first + other}) == 30
    assert sorted(len(item.text.split()) for item in first)[-2] > 150, "two of them are long"
    assert [item.id for item in first if not item.facts] == ["traps"]
    for item in first + other:
        for names in item.entities:
            for name in names:
                assert name in item.text, (item.id, name)
        for head, kind, tail in item.facts:
            assert head != tail and max(head, tail) < len(item.entities), (item.id, head, kind, tail)
            assert kind in RELATION_TYPES, (item.id, kind)
    for item in other:
        assert 60 <= len(item.text.split()) <= 120 and 5 <= len(item.facts) <= 10, item.id
        assert {end for head, _, tail in item.facts for end in (head, tail)} == set(range(len(item.entities))), item.id
    kinds = {kind for item in other for _, kind, _ in item.facts}
    assert {"P112", "P108", "P26", "P127"} <= kinds, "founders, employers, spouses, owners"
    for paragraph in other:  # what holds in both directions is stated in both
        for kind, reverse in (
            ("P26", "P26"),
            ("P3373", "P3373"),
            ("P355", "P749"),
            ("P176", "P1056"),
            ("P155", "P156"),
        ):
            directed = {(head, tail) for head, name, tail in paragraph.facts if name == kind}
            assert directed == {(tail, head) for head, name, tail in paragraph.facts if name == reverse}, paragraph.id


def test_entities_are_known_by_their_names():
    stated = [["Ada Lovelace", "Lovelace"], ["The Times"], ["Charles Babbage", "Babbage"]]
    found = graph([["ada  lovelace", "she"], ["Times"], ["Babbage", "Lovelace", "Charles Babbage"], ["London"]], [])
    assert stated_entities(found, stated) == {0: 0, 1: 1, 2: 2}


def test_relations_are_counted_once_and_of_unknown_entities_as_wrong():
    stated = Paragraph("x", "", [["Ada"], ["London"], ["1815"]], {(0, "P19", 1), (0, "P569", 2), (1, "P17", 0)})
    found = graph(
        [["Ada"], ["London"], ["Ada"], ["Paris"]],
        [(0, "P19", 1), (2, "P19", 1), (0, "P19", 3), (1, "P19", 0), (0, "P569", 1)],
    )
    counts = count([found, graph([], [])], [stated, Paragraph("y", "", [], set())])
    assert counts == Counts(
        Counter({"P19": 1, "P569": 1, "P17": 1}), Counter({"P19": 3, "P569": 1}), Counter({"P19": 1})
    )
    assert table(counts, {"P19": "place of birth"}).splitlines()[2:] == [
        "| all | 3 | 4 | 1 | 25 | 33 |",
        "| place of birth | 1 | 3 | 1 | 33 | 100 |",
        "| P569 | 1 | 1 | 0 | 0 | 0 |",
        "| P17 | 1 | 0 | 0 |  | 0 |",
    ]


def test_the_command_prints_and_writes_the_table(tmp_path, capsys, monkeypatch):
    build(decisive_jerex()).save_pretrained(tmp_path / "model")
    monkeypatch.setattr(paragraphs, "read_paragraphs", lambda file: read_paragraphs(file)[:1])
    paragraphs.main([str(tmp_path / "model"), "--threshold", "0.99", "--out", str(tmp_path / "table.md")])
    printed = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text() == printed
    heads = [line for line in printed.splitlines() if line.startswith("**")]
    assert [line.split("**")[1] for line in heads] == [f"{name}." for name in paragraphs.SETS]
    assert "facts found are right, 23 are stated; " in heads[0] and heads[0].endswith(" of 13 entities are found.")
    assert "8 are stated" in heads[1] and printed.count("| relation | stated |") == 2
    monkeypatch.setattr(paragraphs, "default_model", lambda: None)
    with pytest.raises(SystemExit):
        paragraphs.main([])
