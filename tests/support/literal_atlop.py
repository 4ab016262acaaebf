"""ATLOP's equations document by document and pair by pair, with whole attention matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from literal_encoding import eager_twin, encode_literally
from samples import featurize
from torch import Tensor

from modeling_docre.documents import Document
from modeling_docre.features import Features, mention_table

POOLS = {
    "logsumexp": lambda rows: rows.exp().sum(0).log(),
    "mean": lambda rows: rows.sum(0) / len(rows),
    "max": lambda rows: rows.max(0).values,
}


def literal_logits(model: Any, documents: Sequence[Document], pairs: Tensor) -> tuple[Tensor, list[dict[int, float]]]:
    """Logits [pairs, 1 + types] of pairs [pairs, 2] of entities counted over all documents, threshold class first.

    The second result is the share of each pair's context by sentence, empty without localized context.
    """
    entities = [item for features in featurize(documents, model.config) for item in literal_entities(model, features)]
    logits, shares = [], []
    for head, tail in pairs.tolist():
        scores, share = literal_pair(model, entities[head], entities[tail])
        logits.append(scores)
        shares.append(share)
    return torch.stack(logits), shares


def literal_threshold_loss(logits: Tensor, gold: Tensor | Sequence[bool]) -> Tensor:
    """The adaptive-threshold loss of a pair: gold types against the threshold class, and that class against the others.

    The logits [1 + types] have the threshold class first, `gold` [types] tells the gold types.
    """
    gold = torch.as_tensor(gold, dtype=torch.bool)
    threshold, types = logits[:1], logits[1:]
    above = torch.cat([threshold, types[gold]]).exp().sum().log()
    below = torch.cat([threshold, types[~gold]]).exp().sum().log()
    return sum((above - value for value in types[gold]), torch.zeros(())) + below - threshold[0]


def literal_entities(model: Any, features: Features) -> list[tuple[Tensor, Tensor, Tensor, Features]]:
    """Vector, attention [heads, subwords], the document's hidden states and the features, of each entity."""
    eager, limit = eager_twin(model.encoder.model), model.config.encoder_positions
    hidden, attention = encode_literally(eager, torch.from_numpy(features.input_ids), limit)
    ranges = iter(features.subword_ranges(mention_table(features.document)[0]).tolist())
    entities = []
    for entity in features.document.entities:
        own = [next(ranges) for _ in entity.mentions]
        vectors = torch.stack([hidden[start:end].sum(0) / (end - start) for start, end in own])
        rows = [attention[:, start:end].sum(1) / (end - start) for start, end in own]
        pooled = POOLS[model.config.mention_pool](vectors)
        entities.append((pooled, sum(rows) / len(rows), hidden, features))
    return entities


def literal_pair(model: Any, head: tuple, tail: tuple) -> tuple[Tensor, dict[int, float]]:
    """Logits [1 + types] of a pair and its context's share by sentence."""
    inputs, share = [head[0], tail[0]], {}
    if model.config.localized_context:
        product = (head[1] * tail[1]).mean(0)
        weights = product / (product.sum() + 1e-5)
        context = sum(weight * state for weight, state in zip(weights, head[2], strict=True))
        inputs = [torch.cat([vector, context]) for vector in inputs]
        for sentence, weight in zip(head[3].subword_sentences.tolist(), weights.tolist(), strict=True):
            if sentence >= 0:
                share[sentence] = share.get(sentence, 0.0) + weight
    z_head = torch.tanh(model.head_extractor.weight @ inputs[0] + model.head_extractor.bias)
    z_tail = torch.tanh(model.tail_extractor.weight @ inputs[1] + model.tail_extractor.bias)
    size = model.config.pair_size // model.config.bilinear_groups
    products = [torch.outer(a, b).flatten() for a, b in zip(z_head.split(size), z_tail.split(size), strict=True)]
    return model.bilinear.linear.weight @ torch.cat(products) + model.bilinear.linear.bias, share
