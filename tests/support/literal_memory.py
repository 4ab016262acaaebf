"""Memory-enhanced JEREX by the paper's formulas: loops over slots, spans, entities and pairs of one document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from literal_jerex import LiteralJerex, pooled, spread
from tiny import tiny_memory_jerex
from torch import Tensor

from modeling_docre import Document, MemoryJerexModel

HALF = {"mention_threshold": 0.5, "coreference_threshold": 0.5, "relation_threshold": 0.5}
SWITCHES: list[dict[str, Any]] = [
    {},
    {"relation_head": "global"},
    {"read_levels": "tokens"},
    {"read_levels": "mentions"},
    {"read_levels": "none"},
    {"mention_read": "kept_only"},
    {"mention_read": "kept_only", "read_levels": "mentions", "relation_head": "global"},
    {"mention_read": "off"},
    {"entity_memory": False},
    {"relation_memory": False, "mention_read": "kept_only"},
    {"entity_memory": False, "relation_memory": False},
    {"memory_read": False},
    {"memory_reading": False},
    {"read_grad": False},
    {"read_grad": False, "mention_read": "kept_only", "relation_head": "global"},
    {"similarity": "cosine"},
    {"similarity": "cosine", "relation_head": "global", "slot_size": 20, "cosine_scale": 5},
    {"read_similarity": "cosine"},
    {"read_similarity": "cosine", "slot_size": 20, "read_grad": False, "mention_read": "kept_only"},
    {"slot_size": 20},
]


def spread_memory_jerex(std: float = 0.3, **options: Any) -> MemoryJerexModel:
    """A model whose scores spread around one half and whose slots prefer some representations to others."""
    return spread(tiny_memory_jerex(**options), std=std)


def watch(model: MemoryJerexModel) -> dict[str, list[tuple[Any, torch.Tensor]]]:
    """What each reader is given and what it makes of it, from now on."""
    seen: dict[str, list[tuple[Any, torch.Tensor]]] = {}
    for level, reader in model.readers.items():
        found = seen.setdefault(level, [])
        reader.register_forward_hook(lambda module, given, result, found=found: found.append((given, result)))
    return seen


def assert_same_output(found: Any, wanted: Any, **tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[name], value, **(tolerance or {"rtol": 0, "atol": 0}), msg=name)


def alike(a: Tensor, b: Tensor, cosine: bool) -> Tensor:
    """The product of two vectors, or the cosine of their angle."""
    product = torch.dot(a, b)
    return product / (a.square().sum().sqrt() * b.square().sum().sqrt()) if cosine else product


def literal_read(rows: Tensor, memories: Sequence[tuple[Tensor, Tensor]], cosine: bool = False) -> Tensor:
    """Equations 1 and 2 for the representations [rows, size] of one document.

    A memory is given by its slots [slots, slot size] and the matrix [size, slot size] that it is read by.
    """
    if len(rows) == 0:
        return rows
    extended = [rows]
    for slots, matrix in memories:
        weights = torch.zeros(len(rows), dtype=rows.dtype)
        for slot in slots:
            exponentials = torch.stack([alike(row, matrix @ slot, cosine) for row in rows]).exp()
            weights = weights + exponentials / exponentials.sum()
        extended.append(torch.diag(weights) @ rows)
    return sum(extended[1:], extended[0]) / len(extended)


def literal_similarity(classifier: Any, vector: Tensor, scale: float | None) -> Tensor:
    """Equation 5: logits [classes] of a vector [size]; bilinear without a scale, else a multiple of the cosine."""
    key, cosine = classifier.write.weight @ vector, scale is not None
    return (scale or 1) * torch.stack([alike(slot, key, cosine) for slot in classifier.memory.weight])


class LiteralMemory(LiteralJerex):
    """Memory-enhanced JEREX on one short document.

    Args:
        model: the model.
        document: the document.
        spans: the word ranges that it is asked about, in the order of the batch.
        mentions: positions of the spans that are known to be mentions; None where the model decides.
    """

    def __init__(
        self,
        model: Any,
        document: Document,
        spans: Sequence[tuple[int, int]],
        mentions: Sequence[int] | None = None,
    ):
        super().__init__(model, document)
        states = self.read("tokens", self.hidden["mention"])
        self.hidden = dict.fromkeys(self.hidden, states)
        ranges = self.features.subword_ranges(torch.tensor(spans).view(-1, 2).numpy()).tolist()
        unread = [pooled(states, start, end) for start, end in ranges]
        self.before = self.after = dict(zip(spans, unread, strict=True))
        where = range(len(spans))
        if self.config.mention_read == "kept_only":
            threshold = self.config.mention_threshold
            found = [n for n in where if mentions is None and self.mention_logit(spans[n]).sigmoid() >= threshold]
            where = found if mentions is None else mentions
        if self.config.mention_read != "off" and len(where):
            extended = self.read("mentions", torch.stack([unread[n] for n in where]))
            self.after = {**self.before, **{spans[n]: row for n, row in zip(where, extended, strict=True)}}
        if self.config.mention_read == "candidates":
            self.before = self.after

    def read(self, level: str, rows: Tensor) -> Tensor:
        """The representations of a level, extended by the memories as far as the configuration says so."""
        config, model = self.config, self.model
        if not (config.memory_read and config.memory_reading and level in config.read_levels.split("+")):
            return rows
        memories = []
        if config.entity_memory:
            memories.append(model.entity_classifier.memory.weight)
        if config.relation_memory:
            memories.append(model.relation_classifier.classifier.output.memory.weight)
        if not memories:
            return rows
        memories = [slots if config.read_grad else slots.detach() for slots in memories]
        matrices = model.readers[level].queries.parameters()
        return literal_read(rows, list(zip(memories, matrices, strict=True)), config.read_similarity == "cosine")

    def vector(self, span: tuple[int, int], stage: str) -> Tensor:
        return (self.before if stage == "mention" else self.after)[span]

    def type_logits(self, cluster: Sequence[tuple[int, int]]) -> Tensor:
        return self.similarity(self.model.entity_classifier, self.entity_vector(cluster, "entity"))

    def relation_logits(self, head: Any, tail: Any, head_type: int, tail_type: int) -> Tensor:
        network = self.model.relation_classifier.classifier
        vectors = [self.entity_vector(cluster, "relation") for cluster in (head, tail)]
        if self.config.relation_head == "multi_instance":
            rows = [self.mention_pair(a, b, vectors) for a in head for b in tail]
            vectors = [torch.stack(rows).amax(0)]
        slots = self.model.entity_classifier.memory.weight.detach()
        inputs = torch.cat([*vectors, slots[head_type], slots[tail_type]])
        return self.similarity(network.output, (network.hidden.weight @ inputs + network.hidden.bias).clamp(min=0))

    def similarity(self, classifier: Any, vector: Tensor) -> Tensor:
        """Logits of a vector by the similarity that the configuration asks for."""
        scale = self.config.cosine_scale if self.config.similarity == "cosine" else None
        return literal_similarity(classifier, vector, scale)

    def mention_pair(self, a: tuple[int, int], b: tuple[int, int], entities: Sequence[Tensor]) -> Tensor:
        """The vector of a mention pair of two entities."""
        classifier, subwords = self.model.relation_classifier, self.features.word_ranges
        (_, end), (start, _) = sorted([a, b])
        context = pooled(self.hidden["relation"], int(subwords[end - 1, 1]), int(subwords[start, 0]))
        words = classifier.word_distance_embedding.weight[max(0, start - (end - 1))]
        sentences = classifier.sentence_distance_embedding.weight[abs(self.sentence(a) - self.sentence(b))]
        parts = [self.vector(a, "relation"), self.vector(b, "relation"), *entities, context, words, sentences]
        return classifier.mention_pair.weight @ torch.cat(parts) + classifier.mention_pair.bias


def given_spans(made: dict[str, Any], number: int = 0) -> list[tuple[int, int]]:
    """The word ranges of a document of a batch."""
    return [tuple(span) for span in made["spans"]["word_range"][made["spans"]["document"] == number].tolist()]
