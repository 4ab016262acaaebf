"""Documents as sentence-level systems see them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from samples import ANNA, ODD_DOCUMENTS, build
from strategies import documents

from modeling_docre.documents import Candidate, Completeness, Document, SoftRelation
from modeling_docre.training.sentences import crossing_relations, split_entities


def shape(document: Document) -> tuple[list[tuple[str, int, int, int]], list[tuple[int, int, str]]]:
    entities = [(e.type, m.sentence, m.start, m.end) for e in document.entities for m in e.mentions]
    return entities, [(r.head, r.tail, r.type) for r in document.relations]


def test_each_mention_is_an_entity_and_relations_hold_inside_sentences():
    assert shape(split_entities(ANNA)) == (
        [("PER", 0, 0, 2), ("PER", 1, 0, 1), ("LOC", 0, 5, 6), ("LOC", 1, 3, 4), ("LOC", 2, 0, 1), ("ORG", 2, 5, 6)],
        [(0, 2, "born"), (1, 3, "works"), (1, 3, "born"), (5, 4, "seat")],
    )


def test_nothing_is_lost_in_a_corpus_of_sentences():
    document = build(
        "one",
        ["a b c"],
        [("PER", [(0, 0, 1)]), ("LOC", [(0, 0, 3)]), ("LOC", [(0, 2, 3)])],
        [(2, 0, "born"), (1, 0, "seat")],
    )
    assert split_entities(document) == document
    assert split_entities(split_entities(ANNA)) == split_entities(ANNA)


def test_the_head_of_a_symmetric_relation_comes_first_and_stands_once():
    spans = [("PER", [(0, 2, 3)]), ("LOC", [(0, 0, 2)]), ("LOC", [(0, 0, 1)])]
    relations = [(0, 1, "works"), (1, 0, "works"), (0, 1, "born"), (1, 2, "works")]
    document = build("one", ["a b c"], spans, relations)
    assert shape(split_entities(document, ["works"]))[1] == [(1, 0, "works"), (0, 1, "born"), (1, 2, "works")]
    assert shape(split_entities(document))[1] == relations


def test_a_symmetric_relation_of_mentions_that_begin_alike_keeps_its_direction():
    """As in the release of SpERT, which compares where mentions begin."""
    spans = [("PER", [(0, 0, 2)]), ("LOC", [(0, 0, 1)])]
    for pair in ((0, 1), (1, 0)):
        document = build("nested", ["a b c"], spans, [(*pair, "works")])
        assert shape(split_entities(document, ["works"]))[1] == [(*pair, "works")]


def test_mentions_that_two_entities_share():
    twice = build("twice", ["a b"], [("PER", [(0, 0, 1), (0, 0, 1)]), ("LOC", [(0, 0, 1)]), ("PER", [(0, 0, 1)])])
    assert shape(split_entities(twice))[0] == [("PER", 0, 0, 1), ("LOC", 0, 0, 1)]


def test_candidates_go_and_all_else_stays():
    soft = (SoftRelation(3, 2, "seat", 0.5),)
    document = replace(ANNA, candidates=(Candidate(0, 1),), soft_relations=soft, complete=Completeness(relations=False))
    found = split_entities(document)
    assert found.candidates is found.soft_relations is None and found.complete == document.complete
    assert (found.id, found.sentences) == (ANNA.id, ANNA.sentences)


def test_relations_across_sentences_are_counted():
    apart = build("apart", ["a", "b"], [("PER", [(0, 0, 1)]), ("LOC", [(1, 0, 1)])], [(0, 1, "born"), (1, 0, "seat")])
    assert crossing_relations(apart) == 2 and shape(split_entities(apart))[1] == []
    assert crossing_relations(ANNA) == 0


@given(documents())
@settings(max_examples=60, deadline=None)
def test_relations_are_those_between_mentions_of_a_sentence(document: Document):
    found = split_entities(document)
    assert all(len(entity.mentions) == 1 for entity in found.entities)
    wanted = {
        (document.span(a), document.entities[r.head].type, document.span(b), document.entities[r.tail].type, r.type)
        for r in document.relations
        for a in document.entities[r.head].mentions
        for b in document.entities[r.tail].mentions
        if a.sentence == b.sentence
    }
    same = {item for item in wanted if item[:2] == item[2:4]}  # one place cannot be related to itself
    ends = [(document.span(entity.mentions[0]), entity.type) for entity in found.entities]
    assert {(*ends[r.head], *ends[r.tail], r.type) for r in found.relations} == wanted - same
    assert Document.from_dict(found.to_dict()) == found


def test_odd_documents():
    for document in ODD_DOCUMENTS:
        assert Document.from_dict(split_entities(document).to_dict()) == split_entities(document)
