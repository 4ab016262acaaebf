"""Scoring on the candidate pairs that a corpus lists, as CDR, GDA and ChemDisGene do.

Source: the evaluation of Christopoulou et al. 2019 (edge-oriented graphs), whose CDR and GDA files ATLOP uses.
"""

from __future__ import annotations

from collections.abc import Iterable

from .scored_document import ScoredCandidate, ScoredRelation


class CandidatePairs:
    """The candidates of one reference: which relations are scored on them, in which direction, and how far apart.

    A pair that is a candidate in one order has no direction: relations of either order belong to that candidate. A
    pair that is a candidate in both orders keeps its direction. Other pairs are scored without direction: their gold
    relations count as missed unless predicted, and predictions on them are wrong unless gold.

    Args:
        candidates: the candidates of a reference; an empty list means that no pair is asked about. If a pair is
            repeated in the same order, its first candidate counts.
    """

    def __init__(self, candidates: Iterable[ScoredCandidate]):
        self._by_pair: dict[tuple[int, int], ScoredCandidate] = {}
        for candidate in candidates:
            self._by_pair.setdefault((candidate.head, candidate.tail), candidate)

    def find(self, head: int, tail: int) -> ScoredCandidate | None:
        """The candidate of a pair of entities: in its own order, else in the other."""
        return self._by_pair.get((head, tail)) or self._by_pair.get((tail, head))

    def is_directed(self, relation: ScoredRelation) -> bool:
        """Whether the pair of a relation is a candidate in both orders."""
        return {(relation.head, relation.tail), (relation.tail, relation.head)} <= self._by_pair.keys()

    def cross(self, relation: ScoredRelation) -> bool | None:
        """Whether the corpus marks the pair of a relation as having no common sentence; None without such a mark."""
        candidate = self.find(relation.head, relation.tail)
        return None if candidate is None else candidate.cross

    def scored_relations(self, relations: Iterable[ScoredRelation]) -> list[ScoredRelation]:
        """The relations of scored pairs, each in the order of its candidate.

        If the pair is no candidate, the entity with the lower number becomes the head. Two relations are then equal if
        they have the same head, tail and type.
        """
        scored = []
        for relation in relations:
            candidate = self.find(relation.head, relation.tail)
            if candidate is None:
                head, tail = sorted((relation.head, relation.tail))
                scored.append(relation._replace(head=head, tail=tail))
            elif candidate.scored:
                scored.append(relation._replace(head=candidate.head, tail=candidate.tail))
        return scored
