"""Vectors of entities, pooled from those of their mentions."""

from __future__ import annotations

from torch import Tensor

from .candidates import Entities
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
