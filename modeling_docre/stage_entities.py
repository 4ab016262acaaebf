"""Vectors and types of entities: the pooling of all systems, and stage (c) of JEREX."""

from __future__ import annotations

from torch import Tensor

from .candidates import Entities
from .layers import TwoLayer
from .segments import segment_logsumexp, segment_max, segment_mean

POOLS = {"max": segment_max, "mean": segment_mean, "logsumexp": segment_logsumexp}


def pool_entities(span_vectors: Tensor, entities: Entities, pool: str = "max") -> Tensor:
    """Entity vectors [entities, ...] from the mentions' vectors [spans, ...].

    Args:
        span_vectors: one vector per span.
        entities: which spans belong together.
        pool: `"max"` (JEREX), `"logsumexp"` (ATLOP equation 2) or `"mean"`, elementwise.
    """
    return POOLS[pool](span_vectors[entities.members], entities.owners, len(entities.sizes))


class EntityClassifier(TwoLayer):
    """Types entities from their pooled vectors (JEREX section 3.3); there is no class for "none".

    Args:
        hidden_size: width of an entity vector.
        types: number of entity types.
        dropout: dropout in the classifier.
    """

    def __init__(self, hidden_size: int, types: int, dropout: float):
        super().__init__([hidden_size], hidden_size, types, dropout)
