"""The counts behind precision, recall and F1, which are summed over documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counts:
    """The number of predicted and of gold items, and how many of each match the other side.

    For sets of tuples `predicted_hits` and `gold_hits` are equal; for the coreference scores they differ. `in_train`
    counts the hits that are facts of the training split.
    """

    predicted_hits: float = 0
    predicted: float = 0
    gold_hits: float = 0
    gold: float = 0
    in_train: float = 0

    def add(self, other: Counts) -> None:
        """Add the counts of another document or group."""
        self.predicted_hits += other.predicted_hits
        self.predicted += other.predicted
        self.gold_hits += other.gold_hits
        self.gold += other.gold
        self.in_train += other.in_train

    @property
    def precision(self) -> float:
        """Share of the predictions that are correct; 0 without predictions."""
        return ratio(self.predicted_hits, self.predicted)

    @property
    def recall(self) -> float:
        """Share of the gold that was found; 0 without gold."""
        return ratio(self.gold_hits, self.gold)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 if both are 0."""
        return harmonic_mean(self.precision, self.recall)

    def smoothed(self, epsilon: float) -> tuple[float, float, float]:
        """Precision, recall and F1 with the same number added to each of the three denominators.

        Args:
            epsilon: the number; 1e-5 repeats the ATLOP script for CDR and GDA, 0 gives the plain scores.
        """
        precision = ratio(self.predicted_hits, self.predicted + epsilon)
        recall = ratio(self.gold_hits, self.gold + epsilon)
        return precision, recall, ratio(2 * precision * recall, precision + recall + epsilon)

    def ign_precision(self, epsilon: float = 0.0) -> float:
        """Precision without the correct predictions that are training facts; 0 if nothing else was predicted.

        Args:
            epsilon: added to the denominator; 1e-5 repeats the ATLOP and Re-DocRED scripts.
        """
        return ratio(self.predicted_hits - self.in_train, self.predicted - self.in_train + epsilon)

    def ign_f1(self, epsilon: float = 0.0) -> float:
        """Harmonic mean of `ign_precision` and the unchanged recall (official DocRED evaluation)."""
        return harmonic_mean(self.ign_precision(epsilon), self.recall)

    def to_dict(self) -> dict[str, float]:
        """The counts by name."""
        return asdict(self)


def ratio(numerator: float, denominator: float) -> float:
    """The quotient; 0 if the denominator is 0."""
    return numerator / denominator if denominator else 0.0


def harmonic_mean(precision: float, recall: float) -> float:
    """Harmonic mean of two fractions; 0 if both are 0."""
    return ratio(2 * precision * recall, precision + recall)


def set_counts(predicted: set, gold: set) -> Counts:
    """Counts of two sets of tuples."""
    hits = len(predicted & gold)
    return Counts(hits, len(predicted), hits, len(gold))


def add_counts(total: dict[str, Counts], counts: Mapping[str, Counts]) -> None:
    """Add counts by name to a running total."""
    for name, item in counts.items():
        total.setdefault(name, Counts()).add(item)


def pool(rows: Iterable[Mapping[str, Counts | Mapping[str, float]]]) -> dict[str, Counts]:
    """Sum the counts of several documents, by name.

    Args:
        rows: the counts of each document by name, as `Counts` or in the dict form of `Counts.to_dict`.
    """
    total: dict[str, Counts] = {}
    for row in rows:
        add_counts(total, {name: item if isinstance(item, Counts) else Counts(**item) for name, item in row.items()})
    return total
