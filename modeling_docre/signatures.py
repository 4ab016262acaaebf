"""Which types of head and tail a relation type may have: counted on training documents, obeyed when decoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from .documents import Document


class Signatures:
    """The triples (relation type, type of the head, type of the tail) that may hold.

    A type of entity that no one listed, or that is missing, allows every relation.

    Args:
        triples: what may hold.
        entity_types: the types of entities that are known.
    """

    def __init__(self, triples: Iterable[Sequence[str]], entity_types: Iterable[str]):
        self.triples = frozenset((relation, head, tail) for relation, head, tail in triples)
        self.pairs = frozenset((head, tail) for _, head, tail in self.triples)
        self.known = frozenset(entity_types)

    def allow(self, relation: str, head: str, tail: str) -> bool:
        """Whether a relation of this type may hold between entities of these types."""
        return not {head, tail} <= self.known or (relation, head, tail) in self.triples

    def related_types(self, entity_types: Sequence[str]) -> np.ndarray:
        """Which types of head and tail allow any relation, [entity types, entity types] bool."""
        return np.array(
            [
                [not {head, tail} <= self.known or (head, tail) in self.pairs for tail in entity_types]
                for head in entity_types
            ],
            dtype=bool,
        ).reshape(len(entity_types), len(entity_types))


def count_signatures(documents: Iterable[Document], least: int) -> list[list[str]]:
    """The triples [relation type, type of the head, type of the tail] that documents state at least so many times."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for document in documents:
        types = [entity.type for entity in document.entities]
        counts.update((item.type, types[item.head], types[item.tail]) for item in document.relations)
    return [list(triple) for triple in sorted(counts) if counts[triple] >= least]
