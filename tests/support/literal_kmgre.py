"""KMGRE's equations document by document and mention pair by mention pair, with whole attention matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from literal_atlop import literal_threshold_loss
from literal_encoding import eager_twin, encode_literally
from samples import ANNA, OTTO, THREE_WINDOWS, TWO_WINDOWS, featurize
from tiny import tiny_kmgre
from torch import Tensor

from modeling_docre.documents import Document
from modeling_docre.features import mention_table

DOCUMENTS = [ANNA, TWO_WINDOWS, OTTO, THREE_WINDOWS]
# A cap of .5 that drops about half of the mention pairs; without an update of the E-step all are kept.
SOME_KEYS = {"expectation_updates": 100, "tau_base": 0.5}


def exact_kmgre(**options: Any) -> Any:
    """A tiny model in float64: attention far from uniform, two different encoders, scores that are spread out."""
    model, generator = tiny_kmgre(**options).double(), torch.Generator().manual_seed(0)
    for name, value in model.named_parameters():
        if value.dim() == 2 and "embedding" not in name:
            value.data *= 4 if ".encoder." in name else 12
        if name.startswith("key_classifier.encoder.") or name.endswith("classifier.bias"):
            value.data += 0.02 * torch.randn(value.shape, generator=generator).double()
        if name == "key_classifier.classifier.weight":
            value.data *= 4
    return model


class LiteralMention(NamedTuple):
    """A mention: its vector [hidden], its attention [heads, subwords], its document's hidden states."""

    vector: Tensor
    attention: Tensor
    hidden: Tensor


class LiteralNetwork:
    """One of both networks; `encoder`, `weight` and `bias` are copies that take the gradients of the formula."""

    def __init__(self, network: Any, encoder: Any = None):
        self.encoder = eager_twin(network.encoder.model) if encoder is None else encoder
        self.weight, self.bias = (value.detach().clone().requires_grad_() for value in network.classifier.parameters())

    def entities(self, documents: Sequence[Document], config: Any) -> list[list[LiteralMention]]:
        """The mentions of each entity, entities counted over all documents."""
        found = []
        for features in featurize(documents, config):
            ids = torch.from_numpy(features.input_ids)
            hidden, attention = encode_literally(self.encoder, ids, config.encoder_positions)
            ranges = iter(features.subword_ranges(mention_table(features.document)[0]).tolist())
            for entity in features.document.entities:
                own = [next(ranges) for _ in entity.mentions]
                found.append([LiteralMention(hidden[a:b].mean(0), attention[:, a:b].mean(1), hidden) for a, b in own])
        return found

    def logits(self, head: LiteralMention, tail: LiteralMention, head_norm: str) -> Tensor:
        """Equations 4 to 6, and 7 and 8: logits [outputs] of a mention pair."""
        inputs = torch.cat([head.vector, tail.vector, literal_context(head, tail, head_norm)])
        return self.weight @ inputs + self.bias


def literal_context(head: LiteralMention, tail: LiteralMention, head_norm: str) -> Tensor:
    """The context [hidden] of a mention pair (equation 4), head by head."""
    products = [a * b for a, b in zip(head.attention, tail.attention, strict=True)]  # [subwords] each
    if head_norm == "sum_then_norm":
        mean = sum(products) / len(products)
        weights = mean / (mean.sum() + 1e-5)
    else:
        weights = sum(product / (product.sum() + 1e-5) for product in products)
        if head_norm == "norm_then_mean":
            weights = weights / len(products)
    return weights @ head.hidden


def literal_keys(probabilities: Sequence[float], xi: float, tau: float) -> list[bool]:
    """Equations 12 to 14 for the mention pairs of an entity pair; where none is key, the most probable ones are."""
    lowest, highest = min(probabilities), max(probabilities)
    threshold = min(sum(probabilities) / len(probabilities) + xi * (highest - lowest), tau)
    keys = [value >= threshold for value in probabilities]
    return keys if any(keys) else [value == highest for value in probabilities]


def literal_assignment(scores: Sequence[Sequence[float]], gold: Sequence[float]) -> list[list[bool]]:
    """Equation 9 for the mention pairs of an entity pair: which gold types [types] each one is assigned."""
    means = [sum(column) / len(column) for column in zip(*scores, strict=True)]
    return [
        [bool(wanted) and score >= mean - 1e-6 for score, mean, wanted in zip(row, means, gold, strict=True)]
        for row in scores
    ]


class LiteralKmgre:
    """Both networks over some documents, and what section 3 makes of some entity pairs.

    Args:
        model: the model, in evaluation mode.
        documents: the documents.
        pairs: [pairs, 2], entities counted over all documents.
    """

    def __init__(self, model: Any, documents: Sequence[Document], pairs: Tensor):
        self.config, norm = model.config, model.config.head_norm
        self.extractor = LiteralNetwork(model.relation_extractor)
        self.classifier: LiteralNetwork | None = None
        read = self.extractor.entities(documents, self.config)
        # By entity pair, for its mention pairs, the head's mentions outer: [mention pairs, 1 + types] and [.., 1].
        self.logits = [_scored(self.extractor, read[head], read[tail], norm) for head, tail in pairs.tolist()]
        self.key_logits: list[Tensor] | None = None
        if model.key_classifier is not None:
            if model.config.shared_encoder:
                self.classifier = LiteralNetwork(model.key_classifier, self.extractor.encoder)
                judged = [[LiteralMention(*(v.detach() for v in mention)) for mention in own] for own in read]
            else:
                self.classifier = LiteralNetwork(model.key_classifier)
                judged = self.classifier.entities(documents, self.config)
            self.key_logits = [_scored(self.classifier, judged[h], judged[t], norm)[:, 0] for h, t in pairs.tolist()]

    @property
    def tau(self) -> float:
        """The cap of the threshold: the maximum, times one minus a power of the base."""
        remaining = 1.0
        for _ in range(self.config.expectation_updates):
            remaining *= self.config.tau_base
        return self.config.tau_max * (1 - remaining)

    def selected(self) -> list[list[bool]]:
        """By entity pair, which mention pairs are key."""
        if self.key_logits is None:
            return [[True] * len(logits) for logits in self.logits]
        return [literal_keys(torch.sigmoid(found).tolist(), self.config.xi, self.tau) for found in self.key_logits]

    def fused(self) -> list[Tensor]:
        """Logits [1 + types] of each entity pair, threshold class first (equation 16; without fusion equation 1)."""
        found = []
        for logits, keys in zip(self.logits, self.selected(), strict=True):
            rows = [row for row, key in zip(logits, keys, strict=True) if key]
            if self.config.fusion == "logsumexp":
                found.append(sum(row.exp() for row in rows).log())
            else:
                found.append(torch.stack([row - row[0] for row in rows]).max(0).values)
        return found

    def assigned(self, labels: Tensor) -> list[list[list[bool]]]:
        """By entity pair and mention pair, which of the gold types [pairs, types] it is assigned."""
        scores = [torch.sigmoid(logits[:, 1:]).tolist() for logits in self.logits]
        return [literal_assignment(rows, gold) for rows, gold in zip(scores, labels.tolist(), strict=True)]

    def expectation_loss(self, labels: Tensor) -> Tensor:
        """Equations 10 and 11, mean over mention pairs."""
        assert self.key_logits is not None
        config, terms = self.config, []
        for rows, logits, gold in zip(self.assigned(labels), self.key_logits, labels.tolist(), strict=True):
            if config.estep_pairs == "related" and not any(gold):
                continue
            for row, logit in zip(rows, logits, strict=True):
                chance = 1 / (1 + torch.exp(-logit if any(row) else logit))
                weight = config.alpha if any(row) or config.focal_alpha == "constant" else 1 - config.alpha
                terms.append(-weight * (1 - chance) ** config.gamma * chance.log())
        return sum(terms) / len(terms)

    def maximization_loss(self, labels: Tensor) -> Tensor:
        """Equations 17 to 19, mean over entity pairs; without fusion mean over mention pairs."""
        gold = labels.bool().tolist()
        if self.config.fusion == "logsumexp":
            losses = list(map(literal_threshold_loss, self.fused(), gold))
        else:
            whole = [[types] * len(rows) for types, rows in zip(gold, self.logits, strict=True)]
            states = whole if self.tau == 0 else self.assigned(labels)
            rows = [row for logits in self.logits for row in logits]
            losses = list(map(literal_threshold_loss, rows, [state for own in states for state in own]))
        return sum(losses) / len(losses)


def _scored(network: LiteralNetwork, heads: Sequence[LiteralMention], tails: Sequence[LiteralMention], norm: str):
    return torch.stack([network.logits(head, tail, norm) for head in heads for tail in tails])
