"""Mentions that share words: which of them stay, and that entities and relations follow."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pipelines import ENTITIES, TEXTS, build, decisive_atlop
from tiny import TINY

from modeling_docre.decoding import without_overlaps
from modeling_docre.documents import Document, Entity, Mention, MentionPair, Relation

WORDS = ("The", "New", "York", "Times", "building", ".")


def document(*entities: Entity, relations: tuple[Relation, ...] = ()) -> Document:
    return Document("a", (WORDS, WORDS), entities, relations)


def named(found: Document) -> list[list[str]]:
    return [[found.mention_words(mention) for mention in entity.mentions] for entity in found.entities]


def test_of_nested_mentions_the_better_or_the_longer_one_stays() -> None:
    nested = document(
        Entity("LOC", (Mention(0, 1, 3, score=0.9),)),
        Entity("ORG", (Mention(0, 0, 4, score=0.8),)),
        Entity("LOC", (Mention(1, 1, 3, score=0.1),)),  # the same words of another sentence
    )
    assert named(without_overlaps(nested, "flat")) == [["New York"], ["New York"]]
    assert named(without_overlaps(nested, "longest")) == [["The New York Times"], ["New York"]]


def test_of_crossing_mentions_one_that_goes_frees_what_it_crossed() -> None:
    crossing = document(
        Entity("A", (Mention(0, 0, 2, score=0.7),)),
        Entity("B", (Mention(0, 1, 4, score=0.8),)),
        Entity("C", (Mention(0, 3, 5, score=0.9),)),
    )
    assert named(without_overlaps(crossing, "flat")) == [["The New"], ["Times building"]]
    assert named(without_overlaps(crossing, "longest")) == [["New York Times"]]


def test_where_mentions_have_no_score_that_of_their_entity_counts_and_ties_go_to_the_first() -> None:
    scored = document(
        Entity("A", (Mention(0, 0, 2),), score=0.4),
        Entity("B", (Mention(0, 1, 3),), score=0.6),
        Entity("C", (Mention(1, 0, 2),)),
    )
    assert named(without_overlaps(scored, "flat")) == [["New York"], ["The New"]]
    assert named(without_overlaps(scored, "longest")) == [["New York"], ["The New"]]
    tied = document(
        Entity("A", (Mention(0, 1, 3),)),
        Entity("B", (Mention(0, 0, 2),)),
        Entity("C", (Mention(0, 2, 4),)),
    )
    for rule in ("flat", "longest"):
        assert named(without_overlaps(tied, rule)) == [["The New"], ["York Times"]]


def test_entities_without_mentions_go_and_relations_and_mention_pairs_follow() -> None:
    pairs = (MentionPair(0, 0, 0.6), MentionPair(1, 0, 0.3), MentionPair(2, 0, 0.1))
    found = document(
        Entity("LOC", (Mention(0, 1, 3, score=0.5),)),
        Entity("ORG", (Mention(0, 0, 4, score=0.9), Mention(1, 0, 3, score=0.2), Mention(1, 3, 5, score=0.8))),
        Entity("MISC", (Mention(1, 2, 3, score=0.7),)),
        relations=(
            Relation(0, 1, "in", score=0.9),
            Relation(1, 2, "owns", score=0.8, evidence=(0, 1), mention_pairs=pairs),
            Relation(2, 1, "of", score=0.7),
        ),
    )
    left = without_overlaps(found, "flat")
    assert named(left) == [["The New York Times", "Times building"], ["York"]]
    assert left.relations == (
        Relation(
            0, 1, "owns", score=0.8, evidence=(0, 1), mention_pairs=(MentionPair(0, 0, 0.6), MentionPair(1, 0, 0.1))
        ),
        Relation(1, 0, "of", score=0.7),
    )
    assert without_overlaps(left, "flat") == left and without_overlaps(document(), "longest") == document()


def everything(system: str) -> Any:
    """A model to which each span of one or two words is a mention, and all relations hold."""
    model = TINY[system](relation_threshold=0.0, max_span_size=2)
    if system == "spert":
        with torch.no_grad():
            model.span_classifier.bias[0] -= 100
    else:
        model.config.mention_threshold = 0.0
    return model


def facts(result: dict[str, Any]) -> dict[tuple[Any, ...], float]:
    """The score of each relation by its type and the characters of the first mentions of its ends."""
    first = [min((m["char_start"], m["char_end"]) for m in entity["mentions"]) for entity in result["entities"]]
    return {(first[r["head"]], first[r["tail"]], r["type"]): r["score"] for r in result["relations"]}


@pytest.mark.parametrize("system", ["jerex", "memory_jerex", "spert", "joint"])
def test_each_system_that_finds_mentions_can_do_without_overlaps(system: str) -> None:
    model = everything(system)
    if system != "spert":
        model.config.coreference_threshold = 1.0  # each mention is an entity
    extract = build(model)
    everywhere = extract(TEXTS[1])
    assert extract(TEXTS[1], mentions="all") == everywhere
    for rule in ("flat", "longest"):
        found = extract(TEXTS[1], mentions=rule)
        mentions = [mention for entity in found["entities"] for mention in entity["mentions"]]
        places = [(m["sentence"], word) for m in mentions for word in range(m["start"], m["end"])]
        assert len(set(places)) == len(places) and 1 < len(found["entities"]) < len(everywhere["entities"])
        assert Document.from_dict(found).to_dict() == found and found["relations"]
        kept = {(m["char_start"], m["char_end"]) for m in mentions}
        wanted = {fact: score for fact, score in facts(everywhere).items() if {fact[0], fact[1]} <= kept}
        assert facts(found) == wanted
    assert extract(TEXTS[1]) == everywhere  # nothing of a call stays
    assert build(model, mentions="flat")([TEXTS[1]]) == [extract(TEXTS[1], mentions="flat")]


def test_given_mentions_stay_and_wrong_rules_are_refused() -> None:
    nested = [*ENTITIES, {"type": "PER", "mentions": [{"char_start": 0, "char_end": 4}]}]
    extract = build(everything("jerex"))
    assert len(extract(TEXTS[0], entities=nested, mentions="flat")["entities"]) == 4
    with pytest.raises(ValueError, match="mentions is 'best'; give one of 'all', 'flat', 'longest'"):
        extract(TEXTS[0], mentions="best")
    with pytest.raises(ValueError, match=r"mentions is 'flat'; give one of 'all'$"):
        build(decisive_atlop())(TEXTS[0], entities=nested, mentions="flat")
