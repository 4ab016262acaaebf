"""Removes overlapping entities, for comparison with systems that cannot predict them.

Source: ADE "without overlap" (SpERT section 4). As in SpERT's release, a relation is removed if its two arguments
overlap, and stays if an argument overlaps a third entity.
"""

from __future__ import annotations

from .scored_document import ScoredDocument, ScoredEntity


def overlap(first: ScoredEntity, second: ScoredEntity) -> bool:
    """Whether two entities that differ in spans or type have a word in common."""
    if (first.spans, first.type) == (second.spans, second.type):
        return False
    return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a in first.spans for b in second.spans)


def without_overlapping_entities(document: ScoredDocument) -> ScoredDocument:
    """The document with only its non-overlapping entities, and without relations, whose positions would be wrong."""
    kept = (entity for entity in document.entities if not any(overlap(entity, other) for other in document.entities))
    return document._replace(entities=tuple(kept), relations=())


def without_overlapping_arguments(document: ScoredDocument) -> ScoredDocument:
    """The document without the relations whose head and tail overlap."""
    entities = document.entities
    kept = (item for item in document.relations if not overlap(entities[item.head], entities[item.tail]))
    return document._replace(relations=tuple(kept))
