"""MUC, B-cubed and CEAF-e: a published example, the definitions restated, overlapping clusters."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.docre_f1.coreference_scores import coreference_counts


def flat_coreference(predicted: list[set], gold: list[set]) -> dict[str, tuple[float, float, float]]:
    counts = coreference_counts([frozenset(c) for c in predicted], [frozenset(c) for c in gold])
    return {name: (item.precision, item.recall, item.f1) for name, item in counts.items()}


def test_coreference_published_example():
    # Pradhan et al. 2014, "Scoring coreference partitions of predicted mentions", figure 1 and section 4.
    found = flat_coreference([set("ab"), set("cd"), set("fghi")], [set("abc"), set("defg")])
    assert found["muc"] == pytest.approx((0.4, 0.4, 0.4))
    assert found["b3"] == pytest.approx((0.5, 35 / 84, 2 * 0.5 * (35 / 84) / (0.5 + 35 / 84)))
    assert found["ceafe"] == pytest.approx((1.3 / 3, 0.65, 0.52))


def partitions(labels: list[int | None]) -> list[set[int]]:
    groups: dict[int, set[int]] = {}
    for item, label in enumerate(labels):
        if label is not None:
            groups.setdefault(label, set()).add(item)
    return list(groups.values())


clusterings = st.lists(st.none() | st.integers(0, 3), min_size=7, max_size=7).map(partitions)


def literal_recalls(gold: list[set[int]], predicted: list[set[int]]) -> dict[str, float]:
    """Recall by the definitions, for clusters that share no mention; precision is the same with sides swapped."""
    home = {item: number for number, cluster in enumerate(predicted) for item in cluster}
    parts = [len({home.get(item, f"alone {item}") for item in cluster}) for cluster in gold]
    links = sum(len(cluster) - 1 for cluster in gold)
    shares = [
        len(cluster & (predicted[home[item]] if item in home else set())) / len(cluster)
        for cluster in gold
        for item in cluster
    ]
    padded = predicted + [set()] * len(gold)
    best = max(
        sum(2 * len(one & two) / (len(one) + len(two)) for one, two in zip(gold, order, strict=True))
        for order in itertools.permutations(padded, len(gold))
    )
    return {
        "muc": sum(len(cluster) - count for cluster, count in zip(gold, parts, strict=True)) / links if links else 0,
        "b3": sum(shares) / len(shares) if shares else 0,
        "ceafe": best / len(gold) if gold else 0,
    }


@settings(max_examples=150, deadline=None)
@given(predicted=clusterings, gold=clusterings)
def test_coreference_equals_the_definitions(predicted: list[set[int]], gold: list[set[int]]):
    found = flat_coreference(predicted, gold)
    recalls, precisions = literal_recalls(gold, predicted), literal_recalls(predicted, gold)
    for name, (precision, recall, _) in found.items():
        assert recall == pytest.approx(recalls[name]), name
        assert precision == pytest.approx(precisions[name]), name


overlapping = st.lists(st.frozensets(st.integers(0, 6), min_size=1), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(predicted=overlapping, gold=overlapping)
def test_coreference_of_overlapping_clusters_stays_in_bounds(predicted: list[frozenset], gold: list[frozenset]):
    for counts in coreference_counts(predicted, gold).values():
        assert 0 <= counts.precision <= 1 + 1e-12
        assert 0 <= counts.recall <= 1 + 1e-12
    same = coreference_counts(gold, gold)
    assert same["b3"].f1 == pytest.approx(1)
    assert same["ceafe"].f1 == pytest.approx(1)
    assert same["muc"].f1 == (1 if any(len(cluster) > 1 for cluster in gold) else 0)
