"""Compares teachers, and the means of several, on documents whose relations are labelled completely.

    python benchmarks/teachers.py MODEL [MODEL ...] --validation FILE

Each MODEL is the folder of a trained model; every subset of them is a candidate. The models relate the documents' own
entities. Half of the documents fit each model's scaling and a subset's threshold, the other half are scored, and the
other way round; both halves together give a row:

- **F1 (precision / recall)** with the threshold that has the best F1 on the other half;
- **error**: the expected calibration error of the scores from 0.05 on;
- **at precision 0.8**: the share of the gold relations found from the threshold on that reaches this precision on the
  other half, and the precision that it really has.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workload import read_documents
from modeling_docre.decoding import Scaling
from modeling_docre.documents import Document
from modeling_docre.training.calibration import fit_scaling, logits_of, scores_of
from modeling_docre.training.labelling import LEAST_SCORE, PRECISION, Teacher, gold_table, metric

HEADER = (
    "| teacher | F1 (precision / recall) | error | found at precision 0.8 (precision) |\n| --- | --- | ---: | --- |"
)


class Row(NamedTuple):
    """The scores of a candidate, all from 0 to 1; see the module for their meaning."""

    precision: float
    recall: float
    error: float
    found: float
    found_precision: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)


class Half(NamedTuple):
    """Scores of each model [models, items] float64, and whether an item is right [items] bool."""

    scores: np.ndarray
    correct: np.ndarray


def halves(names: Sequence[str], documents: Sequence[Document]) -> tuple[Half, Half]:
    """What models say of the documents with even and with odd numbers."""
    teachers = [Teacher([name]) for name in names]
    types = teachers[0].relation_types
    tables = []
    for teacher in teachers:
        order = [teacher.relation_types.index(kind) for kind in types]
        tables.append([said.scores[:, :, order].ravel() for said in teacher.judge(documents)])
    gold = [gold_table(document, types).ravel() for document in documents]

    def half(first: int) -> Half:
        scores = np.stack([np.concatenate(table[first::2]) for table in tables])
        return Half(scores, np.concatenate(gold[first::2]))

    return half(0), half(1)


def calibrated(fitted: Half, scored: Half) -> np.ndarray:
    """The scores of each model on one half, scaled as the other one has it, [models, items]."""
    return np.stack([_scaled(*rows, fitted.correct) for rows in zip(fitted.scores, scored.scores, strict=True)])


def _scaled(fitted: np.ndarray, scores: np.ndarray, correct: np.ndarray) -> np.ndarray:
    kept = fitted >= LEAST_SCORE
    scaling = fit_scaling(logits_of(fitted[kept], Scaling()), correct[kept])
    return np.where(scores > 0, scores_of(logits_of(scores, Scaling()), scaling), 0.0)


def best_threshold(scores: np.ndarray, correct: np.ndarray) -> float:
    """The score from which on F1 is best."""
    order = np.argsort(-scores, kind="stable")[: 5 * int(correct.sum())]
    hits = np.cumsum(correct[order])
    return float(scores[order[np.argmax(2 * hits / (np.arange(1, len(hits) + 1) + correct.sum()))]])


def rows(names: Sequence[str], documents: Sequence[Document]) -> Iterator[tuple[str, Row]]:
    """The name and the scores of each subset of the models, single ones first."""
    parts = halves(names, documents)
    # One half's own scaling serves to fit its thresholds.
    both = [(parts[0], parts[1]), (parts[1], parts[0])]
    own = [calibrated(fitted, fitted) for fitted, _ in both]
    other = [calibrated(fitted, scored) for fitted, scored in both]
    correct = np.concatenate([scored.correct for _, scored in both])
    subsets = chain.from_iterable(combinations(range(len(names)), size) for size in range(1, len(names) + 1))
    for subset in map(list, subsets):
        means = [scores[subset].mean(axis=0) for scores in other]
        chosen, sure = [], []
        for mine, mean, (fitted, _) in zip(own, means, both, strict=True):
            fit = mine[subset].mean(axis=0)
            reached = metric().precision_threshold(fit, fitted.correct, PRECISION)
            chosen.append(mean >= best_threshold(fit, fitted.correct))
            sure.append(mean >= (np.inf if reached is None else reached))
        scores = np.concatenate(means)
        shown = scores >= LEAST_SCORE
        error = metric().calibration_error(scores[shown], correct[shown])
        yield (
            " + ".join(names[number] for number in subset),
            Row(*_shares(np.concatenate(chosen), correct), error, *_shares(np.concatenate(sure), correct)[::-1]),
        )


def _shares(chosen: np.ndarray, correct: np.ndarray) -> tuple[float, float]:
    """Precision and recall."""
    hits = int((chosen & correct).sum())
    return hits / max(int(chosen.sum()), 1), hits / max(int(correct.sum()), 1)


def table(named: Iterator[tuple[str, Row]]) -> Iterator[str]:
    """Markdown lines, percentages but for the error."""
    yield HEADER
    for name, row in named:
        yield (
            f"| {name} | {100 * row.f1:.1f} ({100 * row.precision:.1f} / {100 * row.recall:.1f}) | {row.error:.3f} | "
            f"{100 * row.found:.1f} ({100 * row.found_precision:.1f}) |"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument(
        "--validation", type=Path, required=True, help="documents in DocRED's JSON or, as .jsonl, Document dicts"
    )
    options = parser.parse_args(arguments)
    for line in table(rows(options.models, read_documents(options.validation))):
        print(line, flush=True)


if __name__ == "__main__":
    main()
