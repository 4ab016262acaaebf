"""Mention pairs of a decoded relation: shares by type, probabilities, and their way through the format."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import build
from tiny import RELATION_TYPES, tiny_encoder_config

from modeling_docre.configuration_kmgre import KmgreConfig
from modeling_docre.configuration_spert import SpertConfig
from modeling_docre.decoding import decode
from modeling_docre.documents import Document, DocumentError, Entity, Mention, MentionPair, Relation

CONFIG = KmgreConfig(encoder_config=tiny_encoder_config(), relation_types=RELATION_TYPES)
DOCUMENT = build(
    "one",
    ["a b", "c d e", "f"],
    [("PER", [(0, 0, 1), (1, 2, 3)]), ("LOC", [(1, 0, 2), (2, 0, 1)]), ("ORG", [(0, 1, 2)])],
)
SPANS = {
    "word_range": torch.tensor([[0, 1], [4, 5], [2, 4], [5, 6], [1, 2]]),
    "sentence": torch.tensor([0, 1, 1, 2, 0]),
    "document": torch.zeros(5, dtype=torch.int64),
}
# Entity pair 0 is (2, 0), pair 1 (0, 1) with four mention pairs.
SHARES = [[0.5, 0.1, 0.0], [0.5, 0.9, 1.0], [0.2, 0.0, 0.0], [0.3, 1.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 1.0]]
LOGITS = [[-1.0, 0.5, 3.0], [1.0, -0.5, 2.0], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9], [-2.0, -3.0, -4.0]]
KEY_LOGITS = [0.0, 2.0, -1.0, 1.0, 4.0, -40.0]


def output(**changes: Any) -> dict[str, Any]:
    values = {
        "entity_members": torch.arange(5),
        "entity_sizes": torch.tensor([2, 2, 1]),
        "entity_documents": torch.tensor([0, 0, 0]),
        "pairs": torch.tensor([[2, 0], [0, 1]]),
        "relation_logits": torch.tensor([[-1.0, 2.0, -1.0], [3.0, -1.0, 1.0]]),
        "mention_pair_owner": torch.tensor([0, 0, 1, 1, 1, 1]),
        "mention_pair_head": torch.tensor([0, 0, 0, 0, 1, 1]),
        "mention_pair_tail": torch.tensor([0, 1, 0, 1, 0, 1]),
        "mention_pair_weight": torch.tensor(SHARES),
        "mention_pair_logits": torch.tensor(LOGITS),
        "mention_pair_key_logits": torch.tensor(KEY_LOGITS),
    }
    return {name: value for name, value in (values | changes).items() if value is not None}


def relations(**changes: Any) -> dict[tuple[int, int, str], Relation]:
    [decoded] = decode(output(**changes), SPANS, [DOCUMENT], CONFIG, "entities")
    return {(relation.head, relation.tail, relation.type): relation for relation in decoded.relations}


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_a_relation_has_the_shares_of_its_own_type_the_largest_first():
    found = relations()
    assert found.keys() == {(0, 1, "born"), (2, 0, "works"), (0, 1, "seat")}
    places = {
        fact: [(p.head_mention, p.tail_mention) for p in relation.mention_pairs] for fact, relation in found.items()
    }
    assert places == {
        (0, 1, "born"): [(1, 1), (0, 1), (0, 0)],
        (2, 0, "works"): [(0, 1), (0, 0)],
        (0, 1, "seat"): [(1, 1)],
    }
    shares = {fact: [pair.score for pair in relation.mention_pairs] for fact, relation in found.items()}
    assert shares[0, 1, "born"] == pytest.approx([0.5, 0.3, 0.2])
    assert shares[2, 0, "works"] == pytest.approx([0.9, 0.1])
    assert shares[0, 1, "seat"] == [1.0]


def test_a_relation_that_is_turned_round_turns_its_mention_pairs():
    config = SpertConfig(
        encoder_config=tiny_encoder_config(),
        relation_types=RELATION_TYPES,
        symmetric_relations=["works"],
        window_overlap=8,
    )
    [decoded] = decode(output(), SPANS, [DOCUMENT], config, "entities")
    [relation] = [item for item in decoded.relations if item.type == "works"]
    assert (relation.head, relation.tail) == (0, 2), "the head comes first"
    assert [(p.head_mention, p.tail_mention) for p in relation.mention_pairs] == [(1, 0), (0, 0)]


def test_each_mention_pair_has_its_probability_of_being_key_and_of_the_type():
    found = relations()
    rows = {(0, 1, "born"): (0, [5, 3, 2]), (2, 0, "works"): (1, [1, 0]), (0, 1, "seat"): (2, [5])}
    for fact, (kind, numbers) in rows.items():
        pairs = found[fact].mention_pairs
        assert [pair.key_score for pair in pairs] == pytest.approx([sigmoid(KEY_LOGITS[n]) for n in numbers])
        assert [pair.relation_score for pair in pairs] == pytest.approx([sigmoid(LOGITS[n][kind]) for n in numbers])
        assert all(pair.head_offsets is None and pair.tail_offsets is None for pair in pairs)


def test_sentences_hold_the_shares_of_their_mention_pairs():
    found = relations()
    # (1, 1) lies in sentences 1 and 2, (0, 1) in 0 and 2, (0, 0) in 0 and 1.
    assert found[0, 1, "born"].evidence == (0, 1, 2)
    assert found[0, 1, "born"].evidence_scores == pytest.approx((0.5, 0.7, 0.8))
    assert found[2, 0, "works"].evidence == (0, 1)
    assert found[2, 0, "works"].evidence_scores == pytest.approx((1.0, 0.9))
    assert (found[0, 1, "seat"].evidence, found[0, 1, "seat"].evidence_scores) == ((1, 2), (1.0, 1.0))


def test_a_model_that_tells_less_gives_less():
    without_key = relations(mention_pair_key_logits=None)
    with_key = relations()
    for fact, relation in without_key.items():
        assert all(pair.key_score is None and pair.relation_score is not None for pair in relation.mention_pairs)
        assert [pair.score for pair in relation.mention_pairs] == [pair.score for pair in with_key[fact].mention_pairs]
    bare = relations(mention_pair_key_logits=None, mention_pair_logits=None)
    for relation in bare.values():
        assert all(pair.key_score is None and pair.relation_score is None for pair in relation.mention_pairs)


def test_one_share_of_a_mention_pair_is_that_of_all_types():
    found = relations(mention_pair_weight=torch.tensor([0.25, 0.75, 0.5, 0.0, 0.2, 0.3]))
    assert [pair.score for pair in found[2, 0, "works"].mention_pairs] == [0.75, 0.25]
    for kind in ("born", "seat"):
        assert [pair.score for pair in found[0, 1, kind].mention_pairs] == pytest.approx([0.5, 0.3, 0.2])
        scores = [pair.relation_score for pair in found[0, 1, kind].mention_pairs]
        column = RELATION_TYPES.index(kind)
        assert scores == pytest.approx([sigmoid(LOGITS[n][column]) for n in (2, 5, 4)])


def test_half_precision_scores_are_decoded_in_full_precision():
    halves = {name: value.bfloat16() for name, value in output().items() if value.is_floating_point()}
    found, exact = relations(**halves), relations()
    for fact, relation in exact.items():
        for half, full in zip(found[fact].mention_pairs, relation.mention_pairs, strict=True):
            assert half.key_score == pytest.approx(full.key_score, abs=0.01)
            assert half.relation_score == pytest.approx(full.relation_score, abs=0.01)


# --- the format ----------------------------------------------------------------------------------------------------

SCORES = st.none() | st.floats(0, 1)
OFFSETS = st.none() | st.tuples(st.integers(0, 5), st.integers(6, 9))


@given(st.lists(st.builds(MentionPair, st.integers(0, 1), st.just(0), SCORES, SCORES, SCORES, OFFSETS, OFFSETS)))
@settings(max_examples=60, deadline=None)
def test_mention_pairs_survive_the_dict_form_and_json(pairs: list[MentionPair]):
    relation = Relation(0, 2, "born", mention_pairs=tuple(pairs))
    document = Document("one", DOCUMENT.sentences, DOCUMENT.entities, (relation,), text="any text of it")
    plain = document.to_dict()
    assert Document.from_dict(json.loads(json.dumps(plain))) == document
    for pair, found in zip(pairs, plain["relations"][0].get("mention_pairs", []), strict=True):
        given_fields = {name for name in MentionPair.__slots__ if getattr(pair, name) is not None}
        assert found.keys() == given_fields


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("key_score", "high", ("key_score is 'high'", "give a number")),
        ("relation_score", [0.5], ("relation_score is [0.5]", "give a number")),
        ("head_offsets", [1], ("head_offsets is [1]", "give a list of 2")),
        ("head_offsets", [0, 1], ("head_offsets (start, end) is (0, 1)", "0 <= start < end <= length of")),
        ("tail_offsets", 3, ("tail_offsets is 3", "give a list")),
        ("tail_offsets", [0, 1.5], ("tail_offsets[1] is 1.5", "give a whole number")),
        ("head_mention", 1, ("head_mention is 1", "entity 2 has mentions 0 to 0")),
        ("offsets", [0, 1], ("offsets is [0, 1]", "drop this key", "head_offsets")),
    ],
)
def test_wrong_mention_pairs_are_one_clear_error(field: str, value: Any, words: tuple[str, ...]):
    plain = Document("one", DOCUMENT.sentences, DOCUMENT.entities).to_dict()
    pair = {"head_mention": 0, "tail_mention": 0, field: value}
    plain["relations"] = [{"head": 2, "tail": 0, "type": "born", "mention_pairs": [pair]}]
    with pytest.raises(DocumentError) as caught:
        Document.from_dict(plain)
    for word in ("'one'", "relations[0].mention_pairs", *words):
        assert word in str(caught.value)


def test_decoded_mention_pairs_survive_the_dict_form():
    entities = tuple(
        Entity(entity.type, tuple(Mention(*_place(m)) for m in entity.mentions)) for entity in DOCUMENT.entities
    )
    [decoded] = decode(output(), SPANS, [Document("one", DOCUMENT.sentences, entities)], CONFIG, "entities")
    assert Document.from_dict(json.loads(json.dumps(decoded.to_dict()))) == decoded


def _place(mention: Mention) -> tuple[int, int, int]:
    return mention.sentence, mention.start, mention.end
