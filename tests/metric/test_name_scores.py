"""Relations by the names of their entities: hand-computed values, words of the reference, and many entities."""

from __future__ import annotations

import time

import pytest
from scored_documents import document, entity, mention, relation

from metrics.docre_f1.scores import compute_scores

WORDS = [["Ada", "Lovelace", "was", "born", "in", "London", "."], ["lovelace", "knew", "Babbage", "and", "Mary", "."]]
ADA = entity("PER", mention(0, 2), mention(0, 1, sentence=1))  # Ada Lovelace, lovelace
LONDON = entity("LOC", mention(5))
BABBAGE = entity("PER", mention(2, sentence=1))
MARY = entity("PER", mention(4, sentence=1))
GOLD = document([ADA, LONDON, BABBAGE, MARY], [relation(0, 1, "born"), relation(0, 2, "knew")], sentences=WORDS)


def by_name(entities: list[dict], relations: list[dict], gold: dict = GOLD, **options) -> tuple[float, float, float]:
    scores = compute_scores([document(entities, relations, sentences=WORDS)], [gold], **options)
    return tuple(scores[f"name_relation_{part}"] for part in ("precision", "recall", "f1"))


def test_one_shared_name_is_enough():
    whole = entity("ORG", mention(0, 2))  # of the wrong type, and without its second mention
    first, second = entity("PER", mention(0, 2)), entity("PER", mention(0, 1, sentence=1))  # one person in two parts
    for entities, relations, expected in (
        (GOLD["entities"], GOLD["relations"], (1, 1, 1)),
        ([whole, LONDON], [relation(0, 1, "born")], (1, 1 / 2, 2 / 3)),
        ([whole, LONDON], [relation(1, 0, "born"), relation(0, 1, "knew")], (0, 0, 0)),
        # Both parts are right about one gold triple; with the third, which is wrong, two of three are.
        ([first, second, LONDON], [relation(0, 2, "born"), relation(1, 2, "born")], (1, 1 / 2, 2 / 3)),
        ([first, LONDON, BABBAGE], [relation(0, 1, "born"), relation(1, 2, "knew")], (1 / 2, 1 / 2, 1 / 2)),
        # Babbage and Mary are taken for one: the triple matches what is said of Babbage.
        ([ADA, entity("PER", *BABBAGE["mentions"], *MARY["mentions"])], [relation(0, 1, "knew")], (1, 1 / 2, 2 / 3)),
        ([], [], (0, 0, 0)),
    ):
        assert by_name(entities, relations) == pytest.approx(expected), relations


def test_one_prediction_may_find_two_gold_relations():
    gold = GOLD | {"relations": [relation(0, 2, "knew"), relation(0, 3, "knew")]}
    joined = entity("PER", *BABBAGE["mentions"], *MARY["mentions"])
    assert by_name([ADA, joined], [relation(0, 1, "knew")], gold) == (1, 1, 1)


def test_equal_triples_count_once():
    twice = [ADA, LONDON, entity("LOC", mention(5), mention(5))]
    assert by_name(twice, [relation(0, 1, "born"), relation(0, 2, "born"), relation(1, 0, "born")]) == (0.5, 0.5, 0.5)


def test_a_symmetric_relation_is_found_from_either_end():
    relations = [relation(2, 0, "knew"), relation(0, 2, "knew")]
    assert by_name(GOLD["entities"], relations) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    assert by_name(GOLD["entities"], relations, symmetric_relations=["knew"]) == pytest.approx((1, 1 / 2, 2 / 3))


def test_names_are_the_files_strings_else_words_those_of_the_reference_if_need_be():
    bare = {
        "id": "d",
        "entities": [entity("PER", mention(0, 1, sentence=1)), LONDON],
        "relations": GOLD["relations"][:1],
    }
    assert compute_scores([bare], [GOLD])["name_relation_precision"] == 1
    named = {**bare, "entities": [entity("PER", mention(2, name="ADA\nLOVELACE")), LONDON]}
    assert compute_scores([named], [GOLD])["name_relation_precision"] == 1
    other = {**bare, "entities": [entity("PER", mention(0, 2, name="Babbage")), LONDON]}
    assert compute_scores([other], [GOLD])["name_relation_precision"] == 0
    with pytest.warns(UserWarning, match="no reference"):
        assert compute_scores([{**bare, "id": "other"}], [GOLD])["name_relation_f1"] == 0


def test_given_entities_have_no_scores_by_name_and_counts_pool():
    assert "name_relation_f1" not in compute_scores([GOLD], [GOLD], entities_given=True)
    counts = compute_scores([GOLD], [GOLD], per_document=True)["per_document"]["d"]["name_relation"]
    assert (counts["predicted_hits"], counts["predicted"], counts["gold_hits"], counts["gold"]) == (2, 2, 2, 2)


def test_many_entities_take_no_time():
    """40 entities of three names each, every ordered pair related: the work stays in the number of relations."""
    words = [[f"word{number}" for number in range(120)]]
    entities = [entity("T", *(mention(3 * number + part) for part in range(3))) for number in range(40)]
    relations = [relation(head, tail) for head in range(40) for tail in range(40) if head != tail]
    full = document(entities, relations, sentences=words)
    started = time.process_time()
    assert compute_scores([full], [full])["name_relation_f1"] == 1
    assert time.process_time() - started < 2
