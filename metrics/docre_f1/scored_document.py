"""The checked part of a document that scoring needs: entities, relations and candidate pairs.

`to_row` and `from_row` store a document in one Arrow string column.
"""

from __future__ import annotations

import json
from typing import NamedTuple

Span = tuple[int, int, int]  # sentence, start, end: half-open word offsets within the sentence


class ScoredEntity(NamedTuple):
    """A cluster as the set of its mention spans; empty if it was dropped because of a NaN or infinite score.

    `names` are the strings of its mentions, as far as they are known without the reference. `score` is None for a gold
    entity and for a predicted one without a score.
    """

    type: str
    spans: frozenset[Span]
    names: frozenset[str]
    score: float | None = None


class ScoredRelation(NamedTuple):
    """A directed relation between two entities, given by position, with its evidence sentences in the order listed.

    `score` is None for a gold relation and for a predicted one without a score.
    """

    head: int
    tail: int
    type: str
    evidence: tuple[int, ...]
    score: float | None = None


class ScoredCandidate(NamedTuple):
    """An entity pair that the corpus lists as a candidate.

    `scored` is False if the pair is left out of the scores. `cross` is True if no sentence mentions both entities, and
    None if the corpus does not say.
    """

    head: int
    tail: int
    scored: bool
    cross: bool | None


class ScoredDocument(NamedTuple):
    """A checked document; `sentences` are its words, and None if a prediction lists none.

    `candidates` is None for predictions and for references without candidates. `dropped` counts the mentions, entities
    and relations that were left out because of a NaN or infinite score.
    """

    id: str
    sentences: tuple[tuple[str, ...], ...] | None
    entities: tuple[ScoredEntity, ...]
    relations: tuple[ScoredRelation, ...]
    dropped: int
    candidates: tuple[ScoredCandidate, ...] | None = None

    @property
    def sentence_lengths(self) -> tuple[int, ...] | None:
        """The number of words of each sentence."""
        return None if self.sentences is None else tuple(map(len, self.sentences))

    def to_row(self) -> str:
        """The document as one JSON string."""
        return json.dumps(self, default=sorted)

    @classmethod
    def from_row(cls, row: str) -> ScoredDocument:
        """The document that `to_row` wrote."""
        identifier, sentences, entities, relations, dropped, candidates = json.loads(row)
        return cls(
            identifier,
            None if sentences is None else tuple(map(tuple, sentences)),
            tuple(
                ScoredEntity(kind, frozenset(map(tuple, spans)), frozenset(names), score)
                for kind, spans, names, score in entities
            ),
            tuple(
                ScoredRelation(head, tail, kind, tuple(sentences), score)
                for head, tail, kind, sentences, score in relations
            ),
            dropped,
            None if candidates is None else tuple(ScoredCandidate(*candidate) for candidate in candidates),
        )
