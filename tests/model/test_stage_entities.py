"""Mention and coreference scores against the formulas, and clustering against a plain complete linkage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import modeling_docre.stage_entities as coreference
from modeling_docre.candidates import Entities, Spans
from modeling_docre.stage_entities import (
    CoreferenceScorer,
    MentionClassifier,
    cluster_mentions,
    complete_linkage,
    coreference_pairs,
    in_text_order,
    linkage_scores,
    select_mentions,
    symmetric_scores,
)

NONE = torch.zeros(0, dtype=torch.int64)


def literal_linkage(scores: np.ndarray, count: int, threshold: float) -> list[set[int]]:
    """Merge the two clusters whose worst pair is best, while that distance is strictly below 1 - threshold."""
    distance = np.zeros((count, count))
    distance[np.triu_indices(count, 1)] = 1.0 - scores.astype(np.float64)
    distance += distance.T
    clusters = [{number} for number in range(count)]
    while len(clusters) > 1:
        options = [
            (max(distance[i, j] for i in clusters[a] for j in clusters[b]), a, b)
            for a in range(len(clusters))
            for b in range(a + 1, len(clusters))
        ]
        best, a, b = min(options)
        if best >= 1.0 - threshold:
            break
        clusters[a] |= clusters.pop(b)
    return clusters


def clusters_of(scores, threshold=0.85) -> list[list[int]]:
    count = round((1 + (1 + 8 * len(scores)) ** 0.5) / 2)
    labels = complete_linkage(np.array(scores, dtype=np.float32), count, threshold)
    return [np.flatnonzero(labels == number).tolist() for number in range(labels.max() + 1)]


def test_three_mentions_by_complete_linkage():
    # Scores of the pairs 01, 02, 12.
    assert clusters_of([0.9, 0.5, 0.9]) in ([[0, 1], [2]], [[0], [1, 2]])
    assert clusters_of([0.95, 0.5, 0.9]) == [[0, 1], [2]]
    assert clusters_of([0.9, 0.5, 0.95]) == [[0], [1, 2]]
    assert clusters_of([0.9, 0.9, 0.9]) == [[0, 1, 2]]
    assert clusters_of([0.1, 0.1, 0.1]) == [[0], [1], [2]]
    assert clusters_of([0.84, 0.9, 0.84]) == [[0, 2], [1]]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_mentions_need_no_scores(count):
    assert complete_linkage(np.zeros(0), count, 0.85).tolist() == [0] * count


def test_distances_at_the_limit_do_not_merge():
    assert complete_linkage(np.array([0.5]), 2, 0.5).tolist() == [0, 1]
    assert complete_linkage(np.array([np.nextafter(0.5, 1)]), 2, 0.5).tolist() == [0, 0]
    assert complete_linkage(np.array([1.0]), 2, 1.0).tolist() == [0, 1]
    assert complete_linkage(np.array([0.0]), 2, 0.0).tolist() == [0, 1]
    assert complete_linkage(np.array([1e-9]), 2, 0.0).tolist() == [0, 0]


@given(st.integers(2, 8), st.integers(0, 2**32), st.sampled_from([0.3, 0.5, 0.85]))
@settings(max_examples=100, deadline=None)
def test_clusters_equal_a_plain_complete_linkage(count, seed, threshold):
    scores = np.random.default_rng(seed).random(count * (count - 1) // 2)  # no ties
    labels = complete_linkage(scores, count, threshold)
    found = [set(np.flatnonzero(labels == number).tolist()) for number in range(labels.max() + 1)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, literal_linkage(scores, count, threshold)))
    assert [min(cluster) for cluster in found] == sorted(min(cluster) for cluster in found)


def random_scorer(dropout: float = 0.1) -> CoreferenceScorer:
    return CoreferenceScorer(6, 3, distance_rows=4, dropout=dropout).double().eval()


def literal_scores(scorer, vectors, pairs, distances) -> torch.Tensor:
    hidden, output = scorer.classifier.hidden, scorer.classifier.output
    rows = []
    for (i, j), distance in zip(pairs.tolist(), distances.tolist(), strict=True):
        edit = scorer.distance_embedding.weight[min(distance, 3)]
        first = (hidden.weight @ torch.cat([vectors[i], vectors[j], edit]) + hidden.bias).clamp(min=0)
        rows.append(output.weight @ first + output.bias)
    return torch.cat(rows)


@pytest.mark.parametrize("chunk", [1, 2, 5, 65_536])
def test_logits_and_gradients_equal_the_formula_in_chunks_of_any_size(chunk, monkeypatch):
    monkeypatch.setattr(coreference, "PAIR_CHUNK", chunk)
    scorer = random_scorer()
    vectors = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    pairs = coreference_pairs(torch.tensor([0, 0, 0, 1]), both_orders=True)
    distances = torch.tensor([0, 1, 3, 4, 9, 2])
    weight = torch.randn(6, dtype=torch.float64)
    gradients = []
    for score in (scorer, lambda *inputs: literal_scores(scorer, *inputs)):
        scorer.zero_grad()
        vectors.grad = None
        logits = score(vectors, pairs, distances)
        (logits * weight).sum().backward()
        gradients.append([logits.detach(), vectors.grad, *[p.grad.clone() for p in scorer.parameters()]])
    for ours, expected in zip(*gradients, strict=True):
        assert torch.allclose(ours, expected, atol=1e-12)


def test_the_order_of_a_pair_matters_to_the_scorer():
    # Twenty pairs, since the ReLU may leave nothing of a single one.
    scorer, vectors = random_scorer(), torch.randn(40, 6, dtype=torch.float64)
    pairs = torch.arange(40).view(20, 2)
    one, other = (scorer(vectors, order, torch.ones(20, dtype=torch.int64)) for order in (pairs, pairs.flip(1)))
    assert not torch.allclose(one, other)


def test_no_pairs_have_no_logits():
    assert random_scorer()(torch.randn(3, 6).double(), NONE.view(0, 2), NONE).shape == (0,)


def test_scores_of_both_orders_become_one():
    scores = torch.tensor([0.9, 0.2, 0.7, 0.1, 0.4, 0.8])
    assert torch.equal(symmetric_scores(scores[:3], "upper"), scores[:3])
    assert torch.allclose(symmetric_scores(scores, "mean"), torch.tensor([0.5, 0.3, 0.75]))
    # The larger distance is the lower score.
    assert torch.equal(symmetric_scores(scores, "max_distance"), torch.tensor([0.1, 0.2, 0.7]))
    for mode in ("mean", "max_distance", "upper"):
        assert symmetric_scores(scores[:0], mode).shape == (0,)


def entities_of(found) -> list[tuple[int, list[int]]]:
    parts = found.members.split(found.sizes.tolist())
    return [(document, part.tolist()) for document, part in zip(found.document.tolist(), parts, strict=True)]


def test_mentions_of_each_document_are_clustered_apart():
    mentions, documents = torch.tensor([3, 5, 9, 10, 20, 21]), torch.tensor([0, 0, 2, 2, 2, 3])
    scores = torch.tensor([0.9, 0.1, 0.95, 0.2])  # pair 3-5; pairs 9-10, 9-20, 10-20
    assert entities_of(cluster_mentions(mentions, documents, scores, 0.85)) == [
        (0, [3, 5]),
        (2, [9, 20]),
        (2, [10]),
        (3, [21]),
    ]


def test_no_mentions_have_no_entities():
    found = cluster_mentions(NONE, NONE, torch.zeros(0), 0.85)
    assert found.members.tolist() == found.sizes.tolist() == found.document.tolist() == []
    assert {values.dtype for values in found} == {torch.int64}


@given(st.lists(st.integers(0, 5), max_size=4), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_mention_is_in_exactly_one_entity_of_its_document(counts, seed):
    documents = torch.tensor([d for d, count in enumerate(counts) for _ in range(count)], dtype=torch.int64)
    mentions = torch.arange(len(documents)) * 2 + 1
    pairs = coreference_pairs(documents)
    scores = torch.from_numpy(np.random.default_rng(seed).random(len(pairs)))
    found = cluster_mentions(mentions, documents, scores, 0.5)
    assert sorted(found.members.tolist()) == mentions.tolist()
    by_mention = dict(zip(mentions.tolist(), documents.tolist(), strict=True))
    score = {tuple(mentions[pair].tolist()): value for pair, value in zip(pairs, scores.tolist(), strict=True)}
    for document, members in entities_of(found):
        assert {by_mention[member] for member in members} == {document}
        assert members == sorted(members)
        assert all(score[i, j] > 0.5 for i in members for j in members if i < j)


@given(st.lists(st.integers(0, 6), max_size=4), st.integers(0, 10**6), st.floats(0.05, 0.95))
@settings(max_examples=80, deadline=None)
def test_linkage_is_the_lowest_score_of_two_mentions_of_a_cluster(sizes, seed, threshold):
    generator = torch.Generator().manual_seed(seed)
    documents = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes, dtype=torch.int64))
    mentions = torch.randperm(100, generator=generator)[: len(documents)].sort().values
    pairs = coreference_pairs(documents)
    scores = torch.rand(len(pairs), generator=generator)
    entities = cluster_mentions(mentions, documents, scores, threshold)
    found = linkage_scores(mentions, entities, pairs, scores)
    by_pair = {tuple(mentions[pair].tolist()): score for pair, score in zip(pairs, scores.tolist(), strict=True)}
    for members, score in zip(entities.members.split(entities.sizes.tolist()), found.tolist(), strict=True):
        inside = [by_pair[a, b] for a in members.tolist() for b in members.tolist() if a < b]
        assert score == min(inside, default=1.0) and (not inside or score > threshold)


# --- mentions -------------------------------------------------------------------------------------------------------


def test_logits_are_a_network_on_vector_and_size():
    classifier = MentionClassifier(6, 3, size_rows=5, dropout=0.1).double().eval()
    vectors, sizes = torch.randn(4, 6, dtype=torch.float64), torch.tensor([1, 4, 5, 40])
    hidden, output = classifier.classifier.hidden, classifier.classifier.output
    for row in range(4):
        size = classifier.size_embedding.weight[min(int(sizes[row]), 4)]
        first = (hidden.weight @ torch.cat([vectors[row], size]) + hidden.bias).clamp(min=0)
        expected = output.weight @ first + output.bias
        assert classifier(vectors, sizes)[row].item() == pytest.approx(expected.item(), abs=1e-12)


def test_no_spans_have_no_logits():
    classifier = MentionClassifier(6, 3, 5, 0.1)
    assert classifier(torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64)).shape == (0,)


def test_a_score_equal_to_the_threshold_is_kept():
    logits = torch.tensor([0.0, -1e-3, 5.0, -5.0])
    assert select_mentions(logits, 0.5).tolist() == [0, 2]
    assert select_mentions(logits, 0.0).tolist() == [0, 1, 2, 3]
    assert select_mentions(logits[:0], 0.5).tolist() == []


def test_half_precision_logits_are_compared_in_full_precision():
    # In half precision the sigmoid of both would round to the same number.
    logits = torch.tensor([1.7344, 1.7354], dtype=torch.float16)
    scores = torch.sigmoid(logits.float())
    threshold = float(scores.mean())
    assert select_mentions(logits, threshold).tolist() == [1]


def test_entities_and_their_mentions_stand_as_the_text_names_them() -> None:
    ranges = [(7, 8), (0, 1), (4, 5), (2, 4), (0, 2), (1, 3), (0, 3)]
    place = torch.tensor(ranges)
    spans = Spans(place, place, torch.zeros(7, dtype=torch.int64), torch.tensor([0, 0, 0, 0, 0, 1, 1]))
    entities = Entities(
        torch.tensor([0, 2, 1, 3, 4, 5, 6]), torch.tensor([2, 2, 1, 1, 1]), torch.tensor([0, 0, 0, 1, 1])
    )
    ordered = in_text_order(entities, spans)
    named = [[ranges[m] for m in part] for part in ordered.members.split(ordered.sizes.tolist())]
    assert named == [[(0, 1), (2, 4)], [(0, 2)], [(4, 5), (7, 8)], [(0, 3)], [(1, 3)]]
    assert ordered.document.tolist() == [0, 0, 0, 1, 1]
    nothing = torch.zeros(0, dtype=torch.int64)
    assert all(len(values) == 0 for values in in_text_order(Entities(nothing, nothing, nothing), spans))
