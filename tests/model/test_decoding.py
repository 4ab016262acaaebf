"""From scores to documents: hand-made outputs with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import build
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config

from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.configuration_docre import RelationCut
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.decoding import decode, keep_relations
from modeling_docre.documents import Candidate, Document, Entity, Mention, MentionPair, Relation

CONFIG = JerexConfig(
    encoder_config=tiny_encoder_config(),
    window_overlap=16,
    entity_types=ENTITY_TYPES,
    relation_types=RELATION_TYPES,
    relation_labels={"works": "works in"},
    relation_threshold=0.5,
)
FIRST = build("first", ["a b", "c d e"])
SECOND = build("second", ["f g h"])
# Spans 0 to 3 belong to the first document, 4 and 5 to the second.
SPANS = {
    "word_range": torch.tensor([[0, 1], [1, 2], [2, 4], [4, 5], [0, 2], [2, 3]]),
    "sentence": torch.tensor([0, 0, 1, 1, 0, 0]),
    "document": torch.tensor([0, 0, 0, 0, 1, 1]),
}


def logit(probability: float) -> float:
    return float(torch.logit(torch.tensor(probability, dtype=torch.float64)))


def output(**changes) -> dict:
    """Entities {0, 3} and {2} of the first document, {4} and {5} of the second; two relations each way."""
    relation_scores = [[0.9, 0.1, 0.6], [0.2, 0.49, 0.1], [0.3, 0.7, 0.2], [0.1, 0.1, 0.1]]
    values = {
        "mention_logits": torch.tensor([logit(p) for p in (0.9, 0.1, 0.95, 0.86, 0.99, 0.9)]),
        "entity_members": torch.tensor([0, 3, 2, 4, 5]),
        "entity_sizes": torch.tensor([2, 1, 1, 1]),
        "entity_documents": torch.tensor([0, 0, 1, 1]),
        "entity_type_logits": torch.tensor([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0], [1.0, 0, 0]]),
        "entity_types": torch.tensor([0, 1, 2, 0]),
        "pairs": torch.tensor([[0, 1], [1, 0], [2, 3], [3, 2]]),
        "relation_logits": torch.tensor([[logit(p) for p in row] for row in relation_scores]),
        "mention_pair_owner": torch.tensor([0, 0, 1, 1, 2, 3]),
        "mention_pair_head": torch.tensor([0, 1, 0, 0, 0, 0]),
        "mention_pair_tail": torch.tensor([0, 0, 0, 1, 0, 0]),
        "mention_pair_weight": torch.tensor([0.25, 0.75, 0.5, 0.5, 1.0, 1.0]),
        "loss": None,
        "losses": None,
    }
    return {**values, **changes}


def test_entities_with_types_scores_and_offsets_in_their_sentences():
    first, second = decode(output(), SPANS, [FIRST, SECOND], CONFIG)
    one, two = first.entities
    assert (one.type, two.type) == ("PER", "LOC")
    assert [(m.sentence, m.start, m.end) for m in one.mentions] == [(0, 0, 1), (1, 2, 3)]
    assert [(m.sentence, m.start, m.end) for m in two.mentions] == [(1, 0, 2)]
    assert [m.score for m in one.mentions] == pytest.approx([0.9, 0.86])
    sure = torch.tensor([2.0, 0, 0]).softmax(0)[0].item()
    assert one.score == pytest.approx(sure)
    linked = output() | {"entity_linkage_scores": torch.tensor([0.9, 1.0, 1.0, 1.0])}
    again = decode(linked, SPANS, [FIRST, SECOND], CONFIG)[0].entities
    assert again[0].score == pytest.approx(0.9 * sure) and again[1].score == two.score
    scaled = JerexConfig(**{**CONFIG.to_dict(), "entity_temperature": 2.0, "entity_shift": -0.5})
    rescored = decode(linked, SPANS, [FIRST, SECOND], scaled)[0].entities
    odds = again[0].score / (1 - again[0].score)
    assert rescored[0].score == pytest.approx(1 / (1 + math.exp(0.5) / odds**0.5))
    assert [(entity.type, entity.mentions[0].start) for entity in second.entities] == [("ORG", 0), ("PER", 2)]
    assert (first.id, second.id) == ("first", "second")


def test_relations_by_falling_score_with_local_entities_and_labels():
    first, second = decode(output(), SPANS, [FIRST, SECOND], CONFIG)
    assert [(r.head, r.tail, r.type, r.label) for r in first.relations] == [
        (0, 1, "born", None),
        (0, 1, "seat", None),
    ]
    assert [r.score for r in first.relations] == pytest.approx([0.9, 0.6])
    assert [(r.head, r.tail, r.type, r.label) for r in second.relations] == [(0, 1, "works", "works in")]


def test_the_threshold_is_the_configurations_unless_given():
    (first, second) = decode(output(), SPANS, [FIRST, SECOND], CONFIG, relation_threshold=0.65)
    assert [len(document.relations) for document in (first, second)] == [1, 1]
    (first, second) = decode(output(), SPANS, [FIRST, SECOND], CONFIG, relation_threshold=0.0)
    assert [len(document.relations) for document in (first, second)] == [6, 6]
    (first, second) = decode(output(), SPANS, [FIRST, SECOND], CONFIG, relation_threshold=1.0)
    assert not first.relations and not second.relations
    strict = JerexConfig(**{**CONFIG.to_dict(), "relation_threshold": 0.8})
    assert [len(d.relations) for d in decode(output(), SPANS, [FIRST, SECOND], strict)] == [1, 0]


def test_a_score_equal_to_the_threshold_is_kept():
    logits = torch.zeros(4, 3)
    first, _ = decode(output(relation_logits=logits), SPANS, [FIRST, SECOND], CONFIG)
    assert len(first.relations) == 6


def test_evidence_is_what_the_mention_pairs_that_carried_a_relation_say():
    first, second = decode(output(), SPANS, [FIRST, SECOND], CONFIG)
    relation = first.relations[0]
    assert relation.mention_pairs == (MentionPair(1, 0, 0.75), MentionPair(0, 0, 0.25))
    # Mention pair (1, 0) lies in sentence 1, (0, 0) in sentences 0 and 1.
    assert relation.evidence == (0, 1)
    assert relation.evidence_scores == pytest.approx((0.25, 1.0))
    assert second.relations[0].evidence == (0,)


def test_mention_pairs_that_carried_nothing_are_no_evidence():
    share = torch.tensor([0.0, 1.0, 0.5, 0.5, 1.0, 1.0])
    first, _ = decode(output(mention_pair_weight=share), SPANS, [FIRST, SECOND], CONFIG)
    assert first.relations[0].mention_pairs == (MentionPair(1, 0, 1.0),)
    assert first.relations[0].evidence == (1,)


def test_without_mention_pairs_there_is_no_evidence():
    made = {name: value for name, value in output().items() if not name.startswith("mention_pair")}
    first, _ = decode(made, SPANS, [FIRST, SECOND], CONFIG)
    assert first.relations[0].evidence is None and first.relations[0].mention_pairs is None


def test_given_entities_stay_as_they_are():
    entities = (
        Entity("PER", (Mention(0, 0, 1, name="A"), Mention(1, 2, 3)), id="Q1"),
        Entity("LOC", (Mention(1, 0, 2),)),
    )
    document = Document("first", FIRST.sentences, entities, (Relation(1, 0, "seat"),))
    second = Document("second", SECOND.sentences, tuple(Entity("PER", (Mention(0, n, n + 1),)) for n in (0, 2)))
    decoded, _ = decode(output(), SPANS, [document, second], CONFIG, given="entities")
    assert decoded.entities is entities
    assert [(r.head, r.tail, r.type) for r in decoded.relations] == [(0, 1, "born"), (0, 1, "seat")]


def test_given_clusters_keep_all_but_their_types():
    entities = (
        Entity("ORG", (Mention(0, 0, 1, name="A"), Mention(1, 2, 3)), id="Q1"),
        Entity("ORG", (Mention(1, 0, 2),)),
    )
    document = Document("first", FIRST.sentences, entities)
    second = Document("second", SECOND.sentences, tuple(Entity("PER", (Mention(0, n, n + 1),)) for n in (0, 2)))
    decoded, _ = decode(output(), SPANS, [document, second], CONFIG, given="clusters")
    assert [(e.type, e.mentions, e.id) for e in decoded.entities] == [
        ("PER", entities[0].mentions, "Q1"),
        ("LOC", entities[1].mentions, None),
    ]
    assert decoded.entities[0].score == pytest.approx(0.787, abs=1e-3)


def test_mentions_alone_are_entities_of_their_own_without_a_type():
    made = {"mention_logits": output()["mention_logits"], "mentions": torch.tensor([0, 2, 5])}
    first, second = decode(made, SPANS, [FIRST, SECOND], CONFIG)
    assert [(e.type, len(e.mentions), e.mentions[0].sentence) for e in first.entities] == [("", 1, 0), ("", 1, 1)]
    assert [e.mentions[0].start for e in second.entities] == [2]
    assert first.entities[0].mentions[0].score == pytest.approx(0.9)


def test_clusters_alone_have_no_type_and_no_relation():
    names = ("mention_logits", "entity_members", "entity_sizes", "entity_documents")
    first, _ = decode({name: output()[name] for name in names}, SPANS, [FIRST, SECOND], CONFIG)
    assert [(entity.type, entity.score, len(entity.mentions)) for entity in first.entities] == [
        ("", None, 2),
        ("", None, 1),
    ]
    assert first.relations == ()


def test_documents_without_entities_stand_between_others():
    empty = Document("empty", ())
    spans = {**SPANS, "document": torch.tensor([0, 0, 0, 0, 2, 2])}
    made = output(entity_documents=torch.tensor([0, 0, 2, 2]))
    first, middle, last, after = decode(made, spans, [FIRST, empty, SECOND, empty], CONFIG)
    assert [len(d.entities) for d in (first, middle, last, after)] == [2, 0, 2, 0]
    assert [len(d.relations) for d in (first, middle, last, after)] == [2, 0, 1, 0]


def test_nothing_found_at_all():
    none = torch.zeros(0, dtype=torch.int64)
    made = output(
        entity_members=none,
        entity_sizes=none,
        entity_documents=none,
        entity_type_logits=torch.zeros(0, 3),
        entity_types=none,
        pairs=none.view(0, 2),
        relation_logits=torch.zeros(0, 3),
        mention_pair_owner=none,
        mention_pair_head=none,
        mention_pair_tail=none,
        mention_pair_weight=torch.zeros(0),
    )
    for document in decode(made, SPANS, [FIRST, SECOND], CONFIG):
        assert document.entities == document.relations == ()


def test_mentions_carry_characters_where_the_text_is_known():
    text = "a b. c d e"
    offsets = (((0, 1), (2, 3)), ((5, 6), (7, 8), (9, 10)))
    document = Document("first", FIRST.sentences, text=text, token_offsets=offsets)
    decoded, _ = decode(output(), SPANS, [document, SECOND], CONFIG)
    assert [decoded.mention_text(m) for e in decoded.entities for m in e.mentions] == ["a", "e", "c d"]
    assert decoded.entities[1].mentions[0].char_start == 5


def test_words_without_a_character_have_no_offsets():
    document = Document(
        "first", (("", "b"), ("c", "d", "e")), text="bcde", token_offsets=(((0, 0), (0, 1)), ((1, 2), (2, 3), (3, 4)))
    )
    decoded, _ = decode(output(), SPANS, [document, SECOND], CONFIG)
    blank, other = decoded.entities[0].mentions
    assert blank.char_start is None and blank.char_end is None
    assert (other.char_start, other.char_end) == (3, 4)


def test_the_question_is_not_part_of_the_answer():
    entities = (Entity("PER", (Mention(0, 0, 1), Mention(1, 2, 3))), Entity("LOC", (Mention(1, 0, 2),)))
    document = Document("first", FIRST.sentences, entities, candidates=(Candidate(0, 1),))
    decoded, _ = decode(output(), SPANS, [document, SECOND], CONFIG)
    assert decoded.candidates is None


def test_half_precision_scores_are_decoded_in_full_precision():
    made = {
        name: value.bfloat16() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for name, value in output().items()
    }
    first, _ = decode(made, SPANS, [FIRST, SECOND], CONFIG)
    assert [r.score for r in first.relations] == pytest.approx([0.9, 0.6], abs=0.01)


def test_the_output_is_left_as_it_was():
    made = {"mention_logits": output()["mention_logits"], "mentions": torch.tensor([0, 2, 5])}
    decode(made, SPANS, [FIRST, SECOND], CONFIG)
    assert set(made) == {"mention_logits", "mentions"}


def test_decoded_documents_survive_their_dict_form():
    for document in decode(output(), SPANS, [FIRST, SECOND], CONFIG):
        assert Document.from_dict(document.to_dict()) == document


# --- the decision on relation logits ------------------------------------------------------------------------------


def adaptive(top_k: int = 0, threshold: float = 0.5) -> RelationCut:
    return AtlopConfig(top_k=top_k, relation_threshold=threshold).traits.relation_cut


def kept(margins: list[float], cut: RelationCut) -> set[int]:
    """Class indices that hold for one pair, counted from 1 because 0 is the threshold class."""
    return {number + 1 for number in np.flatnonzero(keep_relations(np.array([margins], dtype=np.float32), cut)[0])}


@pytest.mark.parametrize(
    ("logits", "top_k", "wanted"),
    [
        ([0, 1, -1, 2], 0, {1, 3}),
        ([0, 1, -1, 2], 1, {3}),
        ([0, 1, -1, 2], 2, {1, 3}),
        ([3, 1, 1, 1], 0, set()),
        ([0, 2, 2, 1], 1, {1, 2}),  # as good as the best one
        ([0, 3, 2, 2], 2, {1, 2, 3}),
        ([0, 3, 2, 1], 3, {1, 2, 3}),
        ([1, 1, 1, 1], 2, set()),  # as good as the threshold class
        ([0, 3, 2, 1], 4, {1, 2, 3}),  # as many as there are classes
        ([0, 3, 2, 1], 99, {1, 2, 3}),
    ],
)
def test_an_adaptive_threshold_and_the_best_classes(logits: list[float], top_k: int, wanted: set[int]):
    """ATLOP section 4, with the limit and the ties of its release; the threshold class comes first."""
    assert kept([value - logits[0] for value in logits[1:]], adaptive(top_k)) == wanted


def test_a_lower_threshold_keeps_no_more_than_the_best_classes():
    for top_k, wanted in ((0, {1, 2, 3}), (1, {3}), (2, {2, 3}), (3, {1, 2, 3}), (4, {1, 2, 3})):
        assert kept([-1.0, -0.5, -0.2], adaptive(top_k, threshold=0.1)) == wanted


def kept_by_release(logits: np.ndarray, top_k: int) -> np.ndarray:
    """Which of [pairs, 1 + types] hold: the decision of ATLOP's release, class by class."""
    found = logits > logits[:, :1]
    for row, values in enumerate(logits if top_k > 0 else ()):
        limit = sorted(values.tolist(), reverse=True)[min(top_k, len(values)) - 1]
        found[row] &= values >= limit
    return found[:, 1:]


@given(
    st.lists(st.lists(st.integers(-3, 3), min_size=5, max_size=5), min_size=1, max_size=6).map(np.float32),
    st.integers(0, 7),
)
@settings(max_examples=300, deadline=None)
def test_the_decision_is_that_of_the_release(logits: np.ndarray, top_k: int):
    found = keep_relations(logits[:, 1:] - logits[:, :1], adaptive(top_k))
    assert (found == kept_by_release(logits, top_k)).all()


def test_margins_too_small_for_a_score_decide_all_the_same():
    assert torch.sigmoid(torch.tensor(1e-9)).item() == 0.5
    assert kept([1e-9, 0.0, -1e-9, 1e-38], adaptive()) == {1, 4}
    # Scores of 1 alike, whose logits differ.
    assert torch.sigmoid(torch.tensor([90.0, 95.0])).tolist() == [1.0, 1.0]
    assert kept([90, 100, 95, 100], adaptive(1)) == {2, 4}
    assert kept([90, 100, 95, 100], adaptive(3)) == {2, 3, 4}
    assert kept([90, -200], adaptive(threshold=1.0)) == set()
    assert kept([90, -200], adaptive(threshold=0.0)) == {1, 2}


@pytest.mark.parametrize("top_k", [0, 1, 2, 5])
def test_logits_that_are_no_numbers_keep_nothing(top_k: int):
    nan, inf = math.nan, math.inf
    assert kept([nan, nan, nan], adaptive(top_k)) == set()
    assert kept([nan, -1, 2], adaptive(top_k)) == {3}
    assert kept([nan, inf, -inf], adaptive(top_k)) == {2}
    assert kept([inf, inf, 1], adaptive(top_k)) == ({1, 2} if top_k in (1, 2) else {1, 2, 3})
    assert kept([-inf, -inf, -inf], adaptive(top_k)) == set()
    assert kept([nan, 1, -1], JerexConfig(relation_threshold=0.5).traits.relation_cut) == {2}
    assert keep_relations(np.zeros((0, 3), dtype=np.float32), adaptive(top_k)).shape == (0, 3)


@pytest.mark.parametrize("threshold", [0.1, 0.25, 0.5, 0.75])
def test_a_score_equal_to_the_threshold_is_kept_by_jerex_and_not_by_atlop(threshold: float):
    border = torch.tensor(logit(threshold))
    loose = RelationCut(torch.sigmoid(border).item())
    assert kept([border.item(), border.item() - 1e-3], loose) == {1}
    strict = RelationCut(torch.sigmoid(border.double()).item(), strict=True)
    neighbours = [torch.nextafter(border, torch.tensor(side)).item() for side in (-9.0, 9.0)]
    assert kept(neighbours, strict) == {2}
    assert kept([0.0], adaptive()) == set() and kept([0.0], RelationCut(0.5)) == {1}


def test_logits_are_compared_exactly():
    exact = {step / 10: logit(step / 10) for step in range(1, 10)}
    above = {value: float(np.float32(border)) > border for value, border in exact.items()}
    assert any(above.values()) and not all(above.values())  # where the logit of single precision lies
    assert {value: bool(kept([border], adaptive(threshold=value))) for value, border in exact.items()} == above


def test_each_relation_type_may_have_its_own_threshold():
    options = {"loss": "bce", "relation_types": RELATION_TYPES, "top_k": 1}
    config = AtlopConfig(**options, threshold="per_class", relation_thresholds=[0.2, 0.5, 0.9])
    logits = np.float32([[logit(p) for p in row] for row in ([0.3, 0.4, 0.95], [0.1, 0.6, 0.8], [0.21, 0.51, 0.91])])
    wanted = [[True, False, True], [False, True, False], [True, True, True]]
    assert keep_relations(logits, config.traits.relation_cut).tolist() == wanted
    common = AtlopConfig(**options, threshold="global", relation_threshold=0.5)
    assert keep_relations(logits, common.traits.relation_cut).sum(1).tolist() == [1, 2, 2]
    made = without_mention_pairs(relation_logits=torch.tensor([*logits.tolist(), [9.0, 9, 9]]))
    config = AtlopConfig(**config.to_dict() | {"encoder_config": tiny_encoder_config()})
    for threshold, counts in ((None, [3, 6]), (0.85, [1, 4]), (0.0, [6, 6])):  # that of the call is for all types
        decoded = decode(made, SPANS, GIVEN, config, "entities", threshold)
        assert [len(document.relations) for document in decoded] == counts


# --- evidence that the model tells --------------------------------------------------------------------------------

GIVEN = [
    Document("first", FIRST.sentences, (Entity("PER", (Mention(0, 0, 1),)), Entity("LOC", (Mention(1, 0, 2),)))),
    Document("second", SECOND.sentences, (Entity("ORG", (Mention(0, 0, 2),)), Entity("PER", (Mention(0, 2, 3),)))),
]


def without_mention_pairs(**changes) -> dict:
    absent = ("mention_pair", "mention_logits", "entity_type")
    made = {name: value for name, value in output().items() if not name.startswith(absent)}
    return {**made, **changes}


def test_sentences_ascend_each_with_its_weight():
    made = without_mention_pairs(
        relation_logits=torch.tensor([[2.0, 1, -1], [-1, 1, -1], [-1, 3, -1], [-1, -1, 1]]),
        evidence_pair=torch.tensor([0, 0, 1, 1, 2]),
        evidence_sentence=torch.tensor([1, 0, 1, 0, 0]),
        evidence_weight=torch.tensor([0.5, 0.25, 0.4, 0.3, 0.75]),
    )
    config = AtlopConfig(relation_types=RELATION_TYPES, encoder_config=tiny_encoder_config())
    first, second = decode(made, SPANS, GIVEN, config, "entities")
    assert [document.entities for document in (first, second)] == [document.entities for document in GIVEN]
    found = [(r.head, r.tail, r.type, r.evidence, r.evidence_scores) for r in first.relations]
    weights = (pytest.approx(0.25), pytest.approx(0.5))
    assert found == [
        (0, 1, "born", (0, 1), weights),
        (0, 1, "works", (0, 1), weights),
        (1, 0, "works", (0, 1), (pytest.approx(0.3), pytest.approx(0.4))),
    ]
    assert [(r.head, r.tail, r.type, r.evidence, r.evidence_scores) for r in second.relations] == [
        (0, 1, "works", (0,), (0.75,)),
        (1, 0, "seat", (), ()),  # a pair of which nothing is told
    ]
    assert [r.score for r in first.relations] == sorted((r.score for r in first.relations), reverse=True)
    assert first.relations[0].score == pytest.approx(1 / (1 + math.exp(-2)))
