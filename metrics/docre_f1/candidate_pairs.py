"""Scoring on the entity pairs that a corpus asks about, as CDR, GDA and ChemDisGene list them.

Source: the evaluation of Christopoulou et al. 2019 (edge-oriented graphs), whose CDR and GDA files ATLOP uses.
"""

from __future__ import annotations

from collections.abc import Iterable

from .scored_document import ScoredCandidate, ScoredRelation


class CandidatePairs:
    """The candidates of one reference: which relations are scored on them, in which direction, and how far apart.

    A pair that is a candidate in one order has no direction: relations of either order belong to that candidate. A
    pair that is a candidate in both orders keeps its direction. A pair that is no candidate is scored all the same and
    has no direction: its gold relations are there to be missed, predictions on it are wrong unless they are gold.

    Args:
        candidates: the candidates of a reference; an empty list is a document that asks about no pair. Of a pair that
            is listed again in the same order the first one counts.
    """

    def __init__(self, candidates: Iterable[ScoredCandidate]):
        self._by_pair: dict[tuple[int, int], ScoredCandidate] = {}
        for candidate in candidates:
            self._by_pair.setdefault((candidate.head, candidate.tail), candidate)

    def find(self, head: int, tail: int) -> ScoredCandidate | None:
        """The candidate that a pair of entities belongs to: the one of its own order, else that of the other."""
        return self._by_pair.get((head, tail)) or self._by_pair.get((tail, head))

    def is_directed(self, relation: ScoredRelation) -> bool:
        """Whether the pair of a relation is a candidate in both orders."""
        return {(relation.head, relation.tail), (relation.tail, relation.head)} <= self._by_pair.keys()

    def cross(self, relation: ScoredRelation) -> bool | None:
        """Whether the corpus marks the pair of a relation as one without a common sentence; None where it does not."""
        candidate = self.find(relation.head, relation.tail)
        return None if candidate is None else candidate.cross

    def scored_relations(self, relations: Iterable[ScoredRelation]) -> list[ScoredRelation]:
        """The relations without those of pairs that are not scored, each in the order of its candidate.

        Of a pair that is no candidate the entity with the lower number becomes the head, so that two relations are the
        same if they have the same head, tail and type.
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
