"""Stage (c) of JEREX: vectors and types of entities."""

from __future__ import annotations

from torch import Tensor

from .candidates import Entities
from .heads import TwoLayer
from .ragged import segment_max


def pool_entities(span_vectors: Tensor, entities: Entities) -> Tensor:
    """Entity vectors [entities, hidden]: elementwise maximum over the mentions' vectors [spans, hidden]."""
    return segment_max(span_vectors[entities.members], entities.owners, len(entities.sizes))


class EntityClassifier(TwoLayer):
    """Types entities from their pooled vectors (JEREX section 3.3); there is no class for "none".

    Args:
        hidden_size: width of an entity vector.
        types: number of entity types.
        dropout: dropout in the classifier.
    """

    def __init__(self, hidden_size: int, types: int, dropout: float):
        super().__init__([hidden_size], hidden_size, types, dropout)
