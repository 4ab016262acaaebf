"""Joint's pairs written out entity by entity and pair by pair, one document at a time, in loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from literal_encoding import eager_twin, encode_literally
from samples import featurize
from torch import Tensor

from modeling_docre.documents import Document
from modeling_docre.features import entity_type_ids, mention_table

MENTION_POOLS = {"max": lambda rows: rows.amax(0), "mean": lambda rows: rows.mean(0), "first": lambda rows: rows[0]}
ENTITY_POOLS = {"logsumexp": lambda rows: rows.logsumexp(0), "max": lambda rows: rows.amax(0)}


class LiteralEntity(NamedTuple):
    """An entity: its vector with its type, what its mentions attend to [mentions, heads, subwords], and its text."""

    vector: Tensor
    attention: Tensor
    hidden: Tensor
    sentences: list[int]
    document: int


def literal_entities(model: Any, documents: Sequence[Document]) -> list[LiteralEntity]:
    """The entities of a batch of documents, in order."""
    eager, limit, config = eager_twin(model.encoder.model), model.config.encoder_positions, model.config
    entities = []
    for number, (document, features) in enumerate(zip(documents, featurize(documents, config), strict=True)):
        hidden, attention = encode_literally(eager, torch.from_numpy(features.input_ids), limit)
        ranges = iter(features.subword_ranges(mention_table(document)[0]).tolist())
        types = entity_type_ids(document, config.entity_types)
        for entity, kind in zip(document.entities, types.tolist(), strict=True):
            own = [next(ranges) for _ in entity.mentions]
            mentions = torch.stack([MENTION_POOLS[config.mention_pool](hidden[start:end]) for start, end in own])
            vector = ENTITY_POOLS[config.entity_pool](mentions)
            if config.type_embedding:
                vector = torch.cat([vector, model.type_embedding.weight[kind]])
            rows = torch.stack([attention[:, start:end].sum(1) / (end - start) for start, end in own])
            entities.append(LiteralEntity(vector, rows, hidden, features.subword_sentences.tolist(), number))
    return entities


def context_weights(head: LiteralEntity, tail: LiteralEntity) -> Tensor:
    """q of a pair: the normalised mean over the heads of the product of both attentions, [subwords]."""
    product = (head.attention.mean(0) * tail.attention.mean(0)).mean(0)
    return product / (product.sum() + 1e-5)


def sentence_weights(head: LiteralEntity, tail: LiteralEntity, count: int) -> Tensor:
    """w of a pair: what of q lies on each of the document's sentences, [sentences]."""
    weights = torch.zeros(count, dtype=head.vector.dtype)
    for sentence, weight in zip(head.sentences, context_weights(head, tail), strict=True):
        if sentence >= 0:
            weights[sentence] = weights[sentence] + weight
    return weights


def mention_pair_weights(head: LiteralEntity, tail: LiteralEntity) -> list[float]:
    """The part of each mention pair in the pair's unnormalised context, head outer; 0 where there is no context."""
    parts = [float((one * other).sum()) for one in head.attention for other in tail.attention]
    return [part / (sum(parts) or 1.0) for part in parts]


def literal_logits(model: Any, head: LiteralEntity, tail: LiteralEntity) -> Tensor:
    """Logits [1 + types] of a pair, the threshold class first."""
    inputs = [head.vector, tail.vector]
    if model.config.attended_context:
        weights = context_weights(head, tail)
        context = sum(weight * state for weight, state in zip(weights, head.hidden, strict=True))
        inputs = [torch.cat([vector, context]) for vector in inputs]
    z_head = torch.tanh(model.head_extractor.weight @ inputs[0] + model.head_extractor.bias)
    z_tail = torch.tanh(model.tail_extractor.weight @ inputs[1] + model.tail_extractor.bias)
    size = model.config.pair_width // model.config.pair_groups
    products = [torch.outer(a, b).flatten() for a, b in zip(z_head.split(size), z_tail.split(size), strict=True)]
    return model.bilinear.linear.weight @ torch.cat(products) + model.bilinear.linear.bias


def literal_incomplete_loss(logits: Tensor, positive: Tensor, masked: Tensor, weight: float) -> Tensor:
    """The loss of a pair, L1(P) + weight * log(1 + sum over N of e^m); N is what is neither positive nor masked."""
    margins = logits[1:] - logits[0]
    loss = torch.zeros((), dtype=logits.dtype)
    for r in range(len(margins)):
        if positive[r]:
            others = sum(margins[s].exp() for s in range(len(margins)) if positive[s])
            loss = loss - torch.log(margins[r].exp() / (1 + others))
    rest = sum((margins[r].exp() for r in range(len(margins)) if not positive[r] and not masked[r]), torch.zeros(()))
    return loss + weight * torch.log(1 + rest)


def literal_evidence_loss(weights: Sequence[Tensor], shares: Sequence[Sequence[float]]) -> Tensor:
    """The mean over pairs of the cross-entropy of the smoothed weights, terms without a share skipped."""
    losses = []
    for w, v in zip(weights, shares, strict=True):
        p = (w + 1e-6) / (w + 1e-6).sum()
        losses.append(-sum(v[i] * p[i].log() for i in range(len(v)) if v[i]))
    return sum(losses) / len(losses)
