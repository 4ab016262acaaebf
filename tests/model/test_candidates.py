"""The lists of spans, pairs and contexts against nested loops."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_docre.candidates import (
    Entities,
    Spans,
    entity_pairs,
    mention_pairs,
    span_candidates,
)
from modeling_docre.stage_entities import coreference_pairs, edit_distances
from modeling_docre.stage_relations import contexts, intra_sentence_or_closest

SETTINGS = settings(max_examples=60, deadline=None)


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int64)


def spans_of(word_ranges: list[tuple[int, int]], sentences: list[int] | None = None) -> Spans:
    """Spans of one document with one subword per word."""
    ranges = tensor(word_ranges).view(-1, 2)
    return Spans(ranges, ranges, tensor(sentences or [0] * len(ranges)), torch.zeros(len(ranges), dtype=torch.int64))


def levenshtein(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


@given(st.lists(st.integers(0, 14), max_size=5), st.integers(1, 12))
@SETTINGS
def test_spans_stand_in_order_of_sentence_then_size_then_start(lengths, longest):
    starts = [sum(lengths[:n]) for n in range(len(lengths) + 1)]
    expected = [
        (starts[sentence] + first, starts[sentence] + first + size, sentence)
        for sentence, length in enumerate(lengths)
        for size in range(1, longest + 1)
        for first in range(length - size + 1)
    ]
    ranges, sentences = span_candidates(starts, longest)
    assert [(*span, n) for span, n in zip(ranges.tolist(), sentences.tolist(), strict=True)] == expected
    assert ranges.shape == (len(expected), 2)


@given(st.lists(st.integers(0, 4), max_size=4))
@SETTINGS
def test_coreference_pairs_are_the_upper_triangle_of_each_document(counts):
    documents = tensor([document for document, count in enumerate(counts) for _ in range(count)])
    mentions = range(len(documents))
    expected = [[i, j] for i in mentions for j in mentions if i < j and documents[i] == documents[j]]
    assert coreference_pairs(documents).tolist() == expected
    both = coreference_pairs(documents, both_orders=True)
    assert both.tolist() == expected + [[j, i] for i, j in expected]
    assert both.shape[1] == 2


@given(st.lists(st.integers(0, 4), max_size=4))
@SETTINGS
def test_entity_pairs_are_all_ordered_pairs_row_major(counts):
    documents = tensor([document for document, count in enumerate(counts) for _ in range(count)])
    entities = range(len(documents))
    expected = [[i, j] for i in entities for j in entities if i != j and documents[i] == documents[j]]
    pairs = entity_pairs(documents)
    assert pairs.tolist() == expected and pairs.shape[1] == 2


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.data())
@SETTINGS
def test_mention_pairs_are_all_combinations_of_both_entities(sizes, data):
    entities = Entities(torch.randperm(sum(sizes)), tensor(sizes), torch.zeros(len(sizes), dtype=torch.int64))
    number = st.integers(0, len(sizes) - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), max_size=6))
    members = [part.tolist() for part in entities.members.split(sizes)]
    expected = [
        (owner, members[head][i], members[tail][j], i, j)
        for owner, (head, tail) in enumerate(pairs)
        for i in range(sizes[head])
        for j in range(sizes[tail])
    ]
    found = mention_pairs(entities, tensor(pairs).view(-1, 2))
    assert list(zip(*(values.tolist() for values in found), strict=True)) == expected


def test_owners_of_members():
    entities = Entities(tensor([4, 2, 0, 1]), tensor([2, 1, 1]), tensor([0, 0, 1]))
    assert entities.owners.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("first", "second", "between", "distance"),
    [
        ((2, 4), (7, 9), (4, 7), 4),
        ((2, 4), (4, 6), None, 1),
        ((2, 8), (4, 6), None, 0),
        ((2, 5), (4, 7), None, 0),
        ((2, 4), (2, 6), None, 0),
        ((2, 4), (2, 4), None, 0),
        ((2, 4), (5, 6), (4, 5), 2),
    ],
)
def test_the_context_lies_between_the_mentions_in_both_directions(first, second, between, distance):
    spans = spans_of([first, second])
    found = contexts(spans, tensor([0, 1]), tensor([1, 0]))
    assert found.word_distance.tolist() == [distance, distance]
    for start, end in found.subword_range.tolist():
        assert (start, end) == between if between else end <= start


word_ranges = st.tuples(st.integers(0, 20), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(st.tuples(word_ranges, st.integers(0, 5)), min_size=1, max_size=6))
@SETTINGS
def test_contexts_by_sets_of_positions(items):
    spans = spans_of([item[0] for item in items], [item[1] for item in items])
    numbers = range(len(items))
    head, tail = tensor([i for i in numbers for _ in numbers]), tensor([j for _ in numbers for j in numbers])
    found = contexts(spans, head, tail)
    for row, (i, j) in enumerate((i, j) for i in numbers for j in numbers):
        (a, b), (c, d) = sorted([items[i][0], items[j][0]])
        start, end = found.subword_range[row].tolist()
        assert set(range(start, end)) == set(range(b, c))
        assert found.word_distance[row] == max(0, c - (b - 1)), (a, d)
        assert found.sentence_distance[row] == abs(items[i][1] - items[j][1])


def test_context_ranges_count_subwords_and_distances_count_words():
    spans = Spans(tensor([[0, 3], [8, 9]]), tensor([[0, 1], [3, 4]]), tensor([0, 2]), tensor([0, 0]))
    found = contexts(spans, tensor([1]), tensor([0]))
    assert found.subword_range.tolist() == [[3, 8]]
    assert found.word_distance.tolist() == [3] and found.sentence_distance.tolist() == [2]


@given(st.lists(st.lists(st.tuples(word_ranges, st.integers(0, 2)), min_size=1, max_size=3), min_size=2, max_size=4))
@SETTINGS
def test_pairing_within_sentences_or_closest(groups):
    items = [item for group in groups for item in group]
    spans = spans_of([item[0] for item in items], [item[1] for item in items])
    sizes = tensor([len(group) for group in groups])
    entities = Entities(torch.arange(len(items)), sizes, torch.zeros(len(groups), dtype=torch.int64))
    pairs = entity_pairs(entities.document)
    candidates = mention_pairs(entities, pairs)
    context = contexts(spans, candidates.head, candidates.tail)
    expected = []
    for owner in range(len(pairs)):
        rows = (candidates.owner == owner).nonzero().squeeze(1).tolist()
        intra = [row for row in rows if context.sentence_distance[row] == 0]
        expected += intra or [min(rows, key=lambda row: int(context.word_distance[row]))]
    kept = intra_sentence_or_closest(candidates, context, len(pairs))
    assert kept.tolist() == expected
    taken = candidates.take(kept)
    assert (
        taken.head.tolist() == candidates.head[kept].tolist() and context.take(kept).word_distance.shape == kept.shape
    )


def test_pairing_of_nothing():
    none = tensor([])
    entities = Entities(none, none, none)
    candidates = mention_pairs(entities, tensor([]).view(0, 2))
    context = contexts(spans_of([]), candidates.head, candidates.tail)
    assert intra_sentence_or_closest(candidates, context, 0).tolist() == []


@given(st.lists(st.text("abAß 日", max_size=6), max_size=7), st.data())
@SETTINGS
def test_edit_distances_count_characters(texts, data):
    documents = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(texts), max_size=len(texts))))
    pairs = coreference_pairs(tensor(documents), both_orders=True)
    found = edit_distances(texts, tensor(documents), pairs)
    assert found.dtype == torch.int64
    assert found.tolist() == [levenshtein(texts[i], texts[j]) for i, j in pairs.tolist()]


def test_edit_distances_are_case_sensitive_with_unit_costs():
    pairs = tensor([[0, 1], [0, 2]])
    assert edit_distances(["kitten", "sitting", "Kitten"], tensor([0, 0, 0]), pairs).tolist() == [3, 1]


def test_no_pairs_have_no_distances():
    assert edit_distances([], tensor([]), tensor([]).view(0, 2)).shape == (0,)
    assert edit_distances(["a"], tensor([0]), tensor([]).view(0, 2)).shape == (0,)
