"""What a model is asked about one document, as arrays, and how much of it is sampled in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .features import Features


@dataclass
class SamplingArguments:
    """How many negatives each stage is trained on, per document (JEREX section 4) or, in SpERT, per sentence.

    Args:
        negatives_mention: spans that are no mention.
        negatives_coreference: ordered pairs of mentions of different entities.
        negatives_relation: ordered entity pairs without a relation; -1 for all.
        negatives_inside_ratio: largest share of the negative spans that lie inside a gold mention.
        exclude_reverse_symmetric_negatives: whether the reverse of a symmetric relation's pair is no negative (SpERT's
            release until April 2021).
    """

    negatives_mention: int = 200
    negatives_coreference: int = 200
    negatives_relation: int = 200
    negatives_inside_ratio: float = 0.5
    exclude_reverse_symmetric_negatives: bool = False


@dataclass(frozen=True)
class Example:
    """A document and what is asked about it, as arrays with indices local to the document.

    `word_ranges` [spans, 2] and `sentences` [spans] list the spans. The rest is absent (None) where a model has to
    find it itself: `span_labels` [spans]; `coreference` = (pairs [pairs, 2], edit distances [pairs], labels [pairs]);
    `members` [mentions], `sizes` [entities], `entity_types` [entities]; `relations` = (pairs [pairs, 2], labels
    [pairs, types]). `span_texts` are the strings that coreference compares at inference.
    """

    features: Features
    word_ranges: np.ndarray
    sentences: np.ndarray
    span_texts: list[str] | None = None
    span_labels: np.ndarray | None = None
    coreference: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    members: np.ndarray | None = None
    sizes: np.ndarray | None = None
    entity_types: np.ndarray | None = None
    relations: tuple[np.ndarray, np.ndarray | None] | None = None
    subword_sentences: np.ndarray | None = None


def draw(generator: np.random.Generator, available: int, wanted: int) -> np.ndarray:
    """Up to `wanted` of `available` positions, uniformly without replacement."""
    return generator.choice(available, size=min(available, wanted), replace=False)
