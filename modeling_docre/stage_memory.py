"""Memories of classes: written by a classifier that compares with them, read by the stages before it.

A memory has one slot per class. Nothing but the gradient writes it (Kosciukiewicz et al., sections 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .segments import at_least_float32, segment_softmax


class Memory(nn.Embedding):
    """The slots of the classes of one classifier.

    Args:
        classes: number of slots.
        slot_size: width of a slot.
    """

    def __init__(self, classes: int, slot_size: int):
        super().__init__(classes, slot_size)


def similarities(vectors: Tensor, slots: Tensor, cosine: bool) -> Tensor:
    """Products, or cosines, [rows, slots] of vectors [rows, width] with slots [slots, width]."""
    if cosine:
        vectors, slots = (nn.functional.normalize(at_least_float32(values)) for values in (vectors, slots))
    return vectors @ slots.T


class SimilarityClassifier(nn.Module):
    """Scores vectors by their similarity with the slots of its memory (equation 5).

    Args:
        size: width of the vectors.
        classes: number of classes.
        slot_size: width of a slot.
        cosine_scale: None for the bilinear similarity; else the scale of the cosine.
    """

    def __init__(self, size: int, classes: int, slot_size: int, cosine_scale: float | None = None):
        super().__init__()
        self.cosine_scale = cosine_scale
        self.memory = Memory(classes, slot_size)
        self.write = nn.Linear(size, slot_size, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Logits [rows, classes] of vectors [rows, size]."""
        scale = self.cosine_scale
        logits = similarities(self.write(vectors), self.memory.weight, cosine=scale is not None)
        return logits if scale is None else scale * logits


class MemoryReader(nn.Module):
    """Extends representations by what they mean to the slots of memories (equations 1 and 2).

    Each slot spreads a weight of 1 over the representations of a document. A representation's own share, summed over
    the slots of a memory, multiplies it, and the mean of it and its multiples is the result: its direction stays.

    Args:
        size: width of the representations.
        slot_sizes: width of the slots of each memory.
        read_grad: whether gradients reach the memories.
        names: names of the memories; their numbers if absent.
        cosine: whether representations and slots are compared by their cosine instead of a bilinear form.
    """

    def __init__(
        self,
        size: int,
        slot_sizes: Sequence[int],
        read_grad: bool,
        names: Sequence[str] | None = None,
        cosine: bool = False,
    ):
        super().__init__()
        self.read_grad = read_grad
        self.cosine = cosine
        names = names or [str(number) for number in range(len(slot_sizes))]
        queries = (nn.Linear(slot_size, size, bias=False) for slot_size in slot_sizes)
        # By name, so that a checkpoint of which one memory is no longer read keeps the other's query.
        self.queries = nn.ModuleDict(zip(names, queries, strict=True))

    def forward(self, rows: Tensor, documents: Tensor, count: int, memories: Sequence[Memory]) -> Tensor:
        """Extended representations [rows, size].

        Args:
            rows: [rows, size], the representations of all documents.
            documents: [rows] int64, the document of each; softmax runs inside a document, so a batch changes nothing.
            count: number of documents.
            memories: as many as there are slot sizes.
        """
        scale = sum(self.weights(rows, documents, count, memories))
        return rows * ((1.0 + scale) / (1 + len(self.queries)))[:, None].to(rows.dtype)

    def weights(self, rows: Tensor, documents: Tensor, count: int, memories: Sequence[Memory]) -> list[Tensor]:
        """The weight [rows] of each representation, by memory; they sum to the number of slots in each document."""
        return [
            self.slot_weights(rows, documents, count, query, memory).sum(1)
            for query, memory in zip(self.queries.values(), memories, strict=True)
        ]

    def slot_weights(self, rows: Tensor, documents: Tensor, count: int, query: nn.Module, memory: Memory) -> Tensor:
        """The weight [rows, slots] that each slot of a memory gives to each representation of a document."""
        slots = memory.weight if self.read_grad else memory.weight.detach()
        return segment_softmax(at_least_float32(similarities(rows, query(slots), self.cosine)), documents, count)
