"""What is asked about a document, and the one way to draw."""

from __future__ import annotations

from collections import Counter

import numpy as np
from samples import ANNA, build, featurize
from tiny import tiny_jerex, tiny_tokenizer

from modeling_docre import Document
from modeling_docre.features import Featurizer
from modeling_docre.model_inputs import Example, candidate_example, given_example
from modeling_docre.training.arguments import SamplingArguments
from modeling_docre.training.sampling import draw


def test_a_draw_is_uniform_without_replacement_and_takes_all_there_is():
    generator = np.random.default_rng(0)
    assert sorted(draw(generator, 3, 10).tolist()) == [0, 1, 2]
    assert draw(generator, 0, 5).tolist() == draw(generator, 5, 0).tolist() == []
    counts = Counter(item for _ in range(2000) for item in draw(generator, 5, 2).tolist())
    assert sorted(counts) == list(range(5)) and all(700 < count < 900 for count in counts.values())
    drawn = [draw(np.random.default_rng(1), 100, 5).tolist() for _ in range(2)]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 5


def test_numbers_of_negatives_are_those_of_jerex():
    arguments = SamplingArguments()
    assert (arguments.negatives_mention, arguments.negatives_coreference, arguments.negatives_relation) == (200,) * 3
    assert arguments.negatives_inside_ratio == 0.5 and not arguments.exclude_reverse_symmetric_negatives


def test_mentions_given_alone_are_taken_once_each_in_the_order_of_candidates():
    """A choice beside the release of JEREX, which keeps the order of the file and what it names twice."""
    config = tiny_jerex(task="coreference").config
    spans = [(0, 3, 4), (0, 0, 2), (0, 3, 4), (0, 0, 1)]
    for order in (spans, spans[::-1]):
        featurizer = Featurizer(tiny_tokenizer(), config)
        [features] = featurizer([build("x", ["a b c d"], [("PER", order)])])
        example = given_example(features, config, featurizer, "mentions")
        assert example.word_ranges.tolist() == [[0, 1], [3, 4], [0, 2]]
        assert list(example.span_texts) == ["a", "d", "a b"] and example.span_labels.tolist() == [1, 1, 1]


def test_a_span_without_letters_is_no_candidate():
    config = tiny_jerex(max_span_size=2).config
    featurizer = Featurizer(tiny_tokenizer(), config)
    features = featurizer([Document("x", ((" ", "a", "\u3000", "\n"), ("", " ")))])[0]
    example = candidate_example(features, config, featurizer)
    assert example.word_ranges.tolist() == [[1, 2], [0, 2], [1, 3]] and example.sentences.tolist() == [0, 0, 0]
    assert list(example.span_texts) == ["a"] * 3


def test_what_is_not_asked_is_absent():
    [features] = featurize([ANNA], tiny_jerex().config)
    example = Example(features, np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64))
    asked = ("span_texts", "span_labels", "members", "sizes", "entity_types", "relations")
    assert all(getattr(example, name) is None for name in asked)
