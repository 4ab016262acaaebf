"""Mentions: which spans are some (stage (a) of JEREX), and how they make the vectors of entities (all systems)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .candidates import Entities
from .layers import ClampedEmbedding, TwoLayer
from .segments import segment_logsumexp, segment_max, segment_mean

POOLS = {"max": segment_max, "mean": segment_mean, "logsumexp": segment_logsumexp}


class MentionClassifier(nn.Module):
    """Scores spans as mentions from their pooled vector and their size in words (JEREX section 3.1).

    Args:
        hidden_size: width of a span vector.
        meta_size: width of the size embedding.
        size_rows: rows of the size embedding; row 0 is unused, larger spans share the last row.
        dropout: dropout in the classifier.
    """

    def __init__(self, hidden_size: int, meta_size: int, size_rows: int, dropout: float):
        super().__init__()
        self.size_embedding = ClampedEmbedding(size_rows, meta_size)
        self.classifier = TwoLayer([hidden_size, meta_size], hidden_size, 1, dropout)

    def forward(self, span_vectors: Tensor, sizes: Tensor) -> Tensor:
        """Logits [spans] of span vectors [spans, hidden] and sizes in words [spans] int64."""
        return self.classifier(span_vectors, self.size_embedding.part(sizes)).squeeze(1)


def select_mentions(logits: Tensor, threshold: float) -> Tensor:
    """Positions of the spans whose score reaches the threshold, ascending; [mentions] int64."""
    return (torch.sigmoid(logits.float()) >= threshold).nonzero().squeeze(1)


def pool_entities(span_vectors: Tensor, entities: Entities, pool: str = "max") -> Tensor:
    """Entity vectors [entities, ...] from the mentions' vectors [spans, ...].

    Args:
        span_vectors: one vector per span.
        entities: which spans belong together.
        pool: `"max"` (JEREX), `"logsumexp"` (ATLOP equation 2) or `"mean"`, elementwise.
    """
    return POOLS[pool](span_vectors[entities.members], entities.owners, len(entities.sizes))
