"""What SpERT is asked in training: all gold, and negatives of the same sentences."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from samples import ANNA, OTTO, build, featurize
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config

from modeling_docre.candidates import span_candidates
from modeling_docre.configuration_spert import SpertConfig
from modeling_docre.documents import Document, DocumentError
from modeling_docre.model_inputs import Example
from modeling_docre.training.arguments import SamplingArguments
from modeling_docre.training.sampling import training_example
from modeling_docre.training.sentences import sentence_example

SYMMETRIC = build(
    "symmetric",
    ["a b c d e"],
    [("PER", [(0, 3, 4)]), ("LOC", [(0, 0, 1)]), ("ORG", [(0, 1, 3)])],
    [(0, 1, "works"), (0, 2, "born")],
)


def config(**options: Any) -> SpertConfig:
    labels = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES}
    return SpertConfig(encoder_config=tiny_encoder_config(), window_overlap=16, **{**labels, **options})


def example(document: Document, seed: int = 0, options: dict[str, Any] | None = None, **counts: Any) -> Example:
    settings_ = config(**(options or {}))
    [features] = featurize([document], settings_)
    return sentence_example(features, settings_, SamplingArguments(**counts), np.random.default_rng(seed))


def related(found: Example) -> dict[tuple[tuple[int, int], tuple[int, int]], set[str]]:
    """Relation types by the words of head and tail."""
    pairs, labels = found.relations
    spans = [tuple(span) for span in found.word_ranges[found.members].tolist()]
    return {
        (spans[head], spans[tail]): {RELATION_TYPES[kind] for kind in np.flatnonzero(row)}
        for (head, tail), row in zip(pairs.tolist(), labels, strict=True)
    }


def test_gold_comes_first_with_its_types_and_the_rest_is_none():
    found = example(OTTO, negatives_mention=3)
    assert found.word_ranges[:4].tolist() == [[0, 2], [5, 6], [4, 5], [10, 11]]
    assert found.span_labels.tolist() == [1, 1, 2, 2] + [0] * 6
    assert Counter(found.sentences[4:].tolist()) == {0: 3, 1: 3}, "negatives are counted per sentence"
    gold, spans = found.word_ranges[:4].tolist(), found.word_ranges[4:].tolist()
    assert not [span for span in spans if span in gold] and len({tuple(span) for span in spans}) == 6


def test_all_candidates_are_drawn_where_there_are_fewer():
    found = example(ANNA, negatives_mention=10_000)
    candidates, sentences = span_candidates(ANNA.sentence_starts, 10)
    assert len(found.word_ranges) == len(candidates)
    assert {tuple(s) for s in found.word_ranges.tolist()} == {tuple(s) for s in candidates.tolist()}
    assert sorted(found.sentences.tolist()) == sentences.tolist()
    assert (example(ANNA, options={"max_span_size": 1}, negatives_mention=99).span_labels == 0).sum() == 14


def test_strong_negatives_are_pairs_of_gold_spans_of_a_sentence():
    found = related(example(ANNA, negatives_relation=-1))
    assert found == {
        ((0, 2), (5, 6)): {"born"},
        ((5, 6), (0, 2)): set(),
        ((7, 8), (10, 11)): {"works", "born"},
        ((10, 11), (7, 8)): set(),
        ((17, 18), (12, 13)): {"seat"},
        ((12, 13), (17, 18)): set(),
    }
    assert len(related(example(ANNA, negatives_relation=0))) == 3


def test_a_pair_with_several_types_is_one_sample():
    pairs, labels = example(ANNA, negatives_relation=0).relations
    assert len(pairs) == 3 and labels.sum() == 4 and labels.dtype == np.float32


def test_weak_negatives_are_pairs_of_any_sampled_spans():
    options = {"relation_negatives": "weak"}
    found = example(ANNA, options=options, negatives_mention=5, negatives_relation=-1)
    assert len(found.members) == len(found.word_ranges) == 6 + 15
    counts = np.bincount(found.sentences)
    assert len(found.relations[0]) == (counts * (counts - 1)).sum()
    heads, tails = found.sentences[found.relations[0]].T
    assert (heads == tails).all()
    assert {pair: types for pair, types in related(found).items() if types} == {
        pair: types for pair, types in related(example(ANNA, negatives_relation=-1)).items() if types
    }
    drawn = example(ANNA, options=options, negatives_mention=5, negatives_relation=7)
    assert len(drawn.relations[0]) == 3 + 3 * 7


def test_a_symmetric_relation_leads_from_the_first_span_and_its_reverse_may_be_a_negative():
    options = {"symmetric_relations": ["works"]}
    directed = {((3, 4), (0, 1)): {"works"}, ((0, 1), (3, 4)): set()}
    undirected = {((0, 1), (3, 4)): {"works"}, ((3, 4), (0, 1)): set()}
    assert directed.items() <= related(example(SYMMETRIC, negatives_relation=-1)).items()
    found = related(example(SYMMETRIC, options=options, negatives_relation=-1))
    assert undirected.items() <= found.items() and len(found) == 6
    without = related(
        example(SYMMETRIC, options=options, negatives_relation=-1, exclude_reverse_symmetric_negatives=True)
    )
    assert found.keys() - without.keys() == {((3, 4), (0, 1))}
    assert ((1, 3), (3, 4)) in without, "the reverse of a directed relation stays a negative"


def test_words_that_are_two_entities_are_no_contradiction():
    document = build(
        "twice", ["a b c"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 0, 1)]), ("ORG", [(0, 2, 3)])], [(0, 2, "works")]
    )
    pairs, labels = example(document, negatives_relation=-1).relations
    assert pairs.tolist()[0] == [0, 2] and labels[0].any()
    assert sorted(map(tuple, pairs[1:].tolist())) == [(2, 0), (2, 1)] and not labels[1:].any()


def test_a_draw_hangs_on_the_generator_alone_and_is_uniform():
    counts = {"negatives_mention": 2, "negatives_relation": 1}
    one, same, other = (example(ANNA, seed, **counts) for seed in (3, 3, 4))
    assert one.word_ranges.tolist() == same.word_ranges.tolist() != other.word_ranges.tolist()
    drawn = Counter(
        tuple(span)
        for seed in range(600)
        for span in example(OTTO, seed, negatives_mention=2).word_ranges[4:].tolist()
        if span[1] <= 5
    )
    assert len(drawn) == 13 and sum(drawn.values()) == 1200  # 15 spans of five words, 2 of them gold
    assert min(drawn.values()) > 50 and max(drawn.values()) < 140  # 92 expected


@given(documents(relation_types=RELATION_TYPES))
@settings(max_examples=40, deadline=None)
def test_any_document(document: Document):
    for negatives in ("strong", "weak"):
        found = example(document, options={"relation_negatives": negatives}, negatives_mention=4, negatives_relation=5)
        gold = int((found.span_labels > 0).sum())
        assert len(found.word_ranges) == len(found.span_labels) == len(found.sentences)
        assert len(found.members) == len(found.sizes) == (gold if negatives == "strong" else len(found.word_ranges))
        pairs, labels = found.relations
        assert len(pairs) == len(labels) and (pairs < max(len(found.members), 1)).all()
        assert (found.sentences[pairs[:, 0]] == found.sentences[pairs[:, 1]]).all()


def test_errors_name_the_entity_of_the_document():
    late = build("late", ["a b c"], [("PER", [(0, 0, 1), (0, 1, 2)]), ("FOOD", [(0, 2, 3)])])
    with pytest.raises(DocumentError, match=r"'late'.*entities\[1\]\.type.*'FOOD'"):
        example(late)
    eats = build("eats", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "born"), (0, 1, "eats")])
    with pytest.raises(DocumentError, match=r"'eats'.*relations\[1\]\.type.*'eats'"):
        example(eats)


def test_training_asks_a_sentence_level_system_so():
    settings_ = config()
    [features] = featurize([ANNA], settings_)
    [found, same] = (
        sample(features, settings_, SamplingArguments(), np.random.default_rng(0))
        for sample in (training_example, sentence_example)
    )
    assert found.word_ranges.tolist() == same.word_ranges.tolist()
    assert found.relations[0].tolist() == same.relations[0].tolist()
