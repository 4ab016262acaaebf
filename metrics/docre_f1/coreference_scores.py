"""Coreference scores over clusters of mention spans: MUC, B-cubed and CEAF-e.

Sources: Vilain et al. 1995 (MUC), Bagga and Baldwin 1998 (B-cubed), Luo 2005 (CEAF with the entity similarity phi 4).
Each function returns counts of one document; numerators and denominators are summed over documents before dividing.
The originals assume that a mention lies in one cluster. If it lies in several, each membership counts. For disjoint
clusters every formula is the original, and a prediction equal to the gold always scores 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable

from .counts import Counts

Cluster = frozenset[Hashable]


def coreference_counts(predicted: Collection[Cluster], gold: Collection[Cluster]) -> dict[str, Counts]:
    """Counts of all three scores for one document; repeated clusters count once.

    Args:
        predicted: clusters of the prediction, each a set of mention spans.
        gold: clusters of the reference.
    """
    predicted, gold = set(predicted), set(gold)
    return {
        "muc": muc_counts(predicted, gold),
        "b3": b_cubed_counts(predicted, gold),
        "ceafe": ceaf_e_counts(predicted, gold),
    }


def muc_counts(predicted: Collection[Cluster], gold: Collection[Cluster]) -> Counts:
    """MUC: links needed to build a cluster, less the links that are missing on the other side.

    Clusters of one mention need no link; without larger clusters the score is 0.
    """
    predicted_hits, predicted_links = _matched_links(predicted, gold)
    gold_hits, gold_links = _matched_links(gold, predicted)
    return Counts(predicted_hits, predicted_links, gold_hits, gold_links)


def b_cubed_counts(predicted: Collection[Cluster], gold: Collection[Cluster]) -> Counts:
    """B-cubed: for each mention, the share of its cluster that is also in its cluster on the other side."""
    predicted_hits, predicted_mentions = _matched_mentions(predicted, gold)
    gold_hits, gold_mentions = _matched_mentions(gold, predicted)
    return Counts(predicted_hits, predicted_mentions, gold_hits, gold_mentions)


def ceaf_e_counts(predicted: Collection[Cluster], gold: Collection[Cluster]) -> Counts:
    """CEAF-e: similarity 2|K∩R| / (|K|+|R|) under the best one-to-one alignment of clusters."""
    similarity = _best_alignment(list(predicted), list(gold)) if predicted and gold else 0.0
    return Counts(similarity, len(predicted), similarity, len(gold))


def _clusters_by_mention(clusters: Collection[Cluster]) -> dict[Hashable, list[Cluster]]:
    by_mention: dict[Hashable, list[Cluster]] = defaultdict(list)
    for cluster in clusters:
        for mention in cluster:
            by_mention[mention].append(cluster)
    return by_mention


def _matched_links(clusters: Collection[Cluster], others: Collection[Cluster]) -> tuple[int, int]:
    others_of = _clusters_by_mention(others)
    matched = sum(len(cluster) - _part_count(cluster, others_of) for cluster in clusters)
    return matched, sum(len(cluster) - 1 for cluster in clusters)


def _part_count(cluster: Cluster, others_of: dict[Hashable, list[Cluster]]) -> int:
    """Number of parts into which the other side's clusters divide a cluster."""
    left, parts = set(cluster), 0
    while left:
        parts += 1
        queue = [left.pop()]
        while queue:
            for other in others_of.get(queue.pop(), ()):
                joined = left & other
                left -= joined
                queue.extend(joined)
    return parts


def _matched_mentions(clusters: Collection[Cluster], others: Collection[Cluster]) -> tuple[float, int]:
    others_of = _clusters_by_mention(others)
    matched = 0.0
    for cluster in clusters:
        shared = sum(max((len(cluster & other) for other in others_of.get(item, ())), default=0) for item in cluster)
        matched += shared / len(cluster)
    return matched, sum(map(len, clusters))


def _best_alignment(predicted: list[Cluster], gold: list[Cluster]) -> float:
    # Imported here because SciPy takes longer to load than most evaluations take to run.
    from scipy.optimize import linear_sum_assignment

    similarity = [[2 * len(row & column) / (len(row) + len(column)) for column in gold] for row in predicted]
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return float(sum(similarity[row][column] for row, column in zip(rows, columns, strict=True)))
