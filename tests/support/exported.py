"""A graph and documents with everything that a format may stumble over."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from modeling_docre.documents import Document
from modeling_docre.exports.graph import PlainGraph
from modeling_docre.graphs.elements import Edge, Evidence, Member, Node, Support

ODD_NAME = '</script><b>"O\'Neil"; & Sons|\u2028, d\u00e9j\u00e0 \u5927\u962a\n{}%s\\'
"""Markup, quotes, separators, line breaks, other alphabets."""


def odd_graph() -> PlainGraph:
    """Merged nodes, edges of several documents, ids and types that no IRI, XML or CSV takes as they are."""
    ids, members = ("Q1", "MESH:D1 x"), (Member("a b/1", 0), Member("2", 4))
    odd = Node("a b/1#0", ODD_NAME, "PER", (ODD_NAME, "Ada"), ids, 2, 3, 0.1, members)
    city = Node("2#1", "London", "LOC,  city", ("London",), (), 1, 1, None, (Member("2", 1),))
    twin = Node("2#2", "London", "LOC,  city", ("London", ""), (), 1, 2, 1 / 3, (Member("2", 2),))
    sentences = (Evidence(0, ODD_NAME, 3, 40, 1e-7), Evidence(3, "She was born in London ."))
    support = (
        Support("2", 4, 1, 0.25, sentences, "2024-01-31"),
        Support("2", 4, 1, None, ()),
        Support("a b/1", 0, 7, 1 / 3, (Evidence(2, "Ada; London.", 0, 12),), "2025-02-01"),
    )
    back = (Support("2", 1, 4, 0.5, sentences[1:]),)
    edges = (
        Edge("a b/1#0", "2#1", "P19", "place of birth", 1 / 3, 2, "2024-01-31", "2025-02-01", support),
        Edge("a b/1#0", "2#1", 'P1 <odd> "type"', "odd & label", None, 1, None, None, support[1:2]),
        Edge("2#1", "a b/1#0", "P19", "place of birth", 0.5, 1, None, None, back),
    )
    return PlainGraph((odd, city, twin), edges)


def element(kind: type, record: dict[str, Any]) -> Any:
    """A node or an edge from its record, in which absent values are left out."""
    values = {field.name: record.get(field.name) for field in fields(kind)}
    if kind is Node:
        members = tuple(Member(**member) for member in values["members"])
        lists = {name: tuple(values[name]) for name in ("aliases", "concept_ids")}
        return Node(**values | lists | {"members": members})
    return Edge(**values | {"support": tuple(map(_support, values["support"]))})


def _support(record: dict[str, Any]) -> Support:
    evidence = tuple(Evidence(**item) for item in record["evidence"])
    return Support(**{"score": None} | record | {"evidence": evidence})


def texts() -> list[Document]:
    """A document with a text, line breaks in a mention and an overlap; one in words, with an empty sentence."""
    return [_with_text(), _in_words()]


def _with_text() -> Document:
    text = "Ada\nLovelace; \u201cAda\u201d to <friends>, was born in London. She liked it."
    sentences = [
        ["Ada", "Lovelace", ";", "“", "Ada", "”", "to", "<friends>", ",", "was", "born", "in", "London", "."],
        ["She", "liked", "it", "."],
    ]
    offsets, position = [], 0
    for word in [word for sentence in sentences for word in sentence]:
        start = text.index(word, position)
        position = start + len(word)
        offsets.append([start, position])

    def mention(sentence: int, start: int, end: int) -> dict:
        first = 14 * sentence
        characters = {"char_start": offsets[first + start][0], "char_end": offsets[first + end - 1][1]}
        return {"sentence": sentence, "start": start, "end": end} | characters

    ada = [mention(0, 0, 2), mention(0, 4, 5), mention(1, 0, 1)]
    entities = [
        {"type": "PER", "score": 0.75, "id": "Q7259", "mentions": ada},
        {"type": "first name", "mentions": [mention(0, 0, 1)]},
        {"type": "LOC", "id": "Wikidata:Q84", "mentions": [mention(0, 12, 13), mention(1, 2, 3)]},
    ]
    pairs = [{"head_mention": n, "tail_mention": n // 2, "score": (n + 1) / 8} for n in (0, 2)]
    born = {"head": 0, "tail": 2, "type": "P19", "label": "place of birth", "score": 0.5, "mention_pairs": pairs}
    relations = [
        born | {"evidence": [0, 1], "evidence_scores": [0.75, 0.25]},
        {"head": 0, "tail": 2, "type": "P19", "score": 0.625},
        {"head": 2, "tail": 0, "type": "Coref"},
    ]
    data = {"id": "Ada/1: \u00e4?", "text": text, "sentences": sentences, "token_offsets": [offsets[:14], offsets[14:]]}
    return Document.from_dict(data | {"entities": entities, "relations": relations})


def _in_words() -> Document:
    bern = [{"sentence": 0, "start": 0, "end": 1}, {"sentence": 2, "start": 0, "end": 1}]
    river = [{"sentence": 2, "start": 3, "end": 5}]
    data = {
        "id": "bern",
        "sentences": [["Bern", "is", "old", "."], [], ["It", "lies", "on", "the", "Aare", "."]],
        "entities": [
            {"type": "LOC", "mentions": bern},
            {"type": "LOC-", "mentions": river},
            {"type": "LOC+", "mentions": river},
        ],
        "relations": [{"head": 0, "tail": 1, "type": "on", "evidence": [2]}],
    }
    return Document.from_dict(data)
