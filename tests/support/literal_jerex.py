"""JEREX by the paper's formulas, in loops over the spans, mentions, entities and pairs of one document."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from samples import batch, featurize
from torch import nn

from modeling_docre.candidates import span_candidates
from modeling_docre.documents import Document
from modeling_docre.modeling_jerex import JerexModel
from modeling_docre.stage_entities import complete_linkage


def spread(model: JerexModel, seed: int = 3, std: float = 0.3) -> JerexModel:
    """Move the heads away from their small initial weights, so that scores spread around one half."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "encoders" not in name:
            parameter.data += torch.randn(parameter.shape, generator=generator).to(parameter) * std
    return model.eval()


def decide_in_the_middle(model: JerexModel, document: Document) -> None:
    """Shift the scores so that half of the spans become mentions and half of their pairs coreferent."""
    for name, classifier in (
        ("mention_logits", model.mention_classifier.classifier),
        ("coreference_logits", model.coreference_scorer.classifier),
    ):
        scores = model(**batch([document], model.config, "candidates"))[name].sort().values
        middle = len(scores) // 2
        # Between two scores: one of zero would be decided by rounding.
        classifier.output.bias.data -= (scores[middle - 1] + scores[middle]) / 2


def network(layer: nn.Module, *parts: torch.Tensor) -> torch.Tensor:
    hidden = (layer.hidden.weight @ torch.cat(parts) + layer.hidden.bias).clamp(min=0)
    return layer.output.weight @ hidden + layer.output.bias


def pooled(hidden: torch.Tensor, start: int, end: int) -> torch.Tensor:
    positions = torch.arange(len(hidden))
    mask = (positions >= start) & (positions < end)
    maximum = (hidden + torch.where(mask, 0.0, -1e30)[:, None]).amax(0)
    return maximum if mask.any() else torch.zeros_like(maximum)


class LiteralJerex:
    """JEREX on one short document by loops over spans, mentions, entities and pairs."""

    def __init__(self, model: JerexModel, document):
        self.model, self.config, self.document = model, model.config, document
        (self.features,) = featurize([document], model.config)
        ids = torch.from_numpy(self.features.input_ids)[None]
        states = [encoder.model(ids).last_hidden_state[0] for encoder in model.encoders]
        states = states if len(states) > 1 else states * 4
        self.hidden = dict(zip(("mention", "coreference", "entity", "relation"), states, strict=True))
        self.words = [word for sentence in document.sentences for word in sentence]

    def vector(self, span, stage: str) -> torch.Tensor:
        return pooled(self.hidden[stage], *self.features.subword_ranges(np.array([span]))[0].tolist())

    def entity_vector(self, cluster, stage: str) -> torch.Tensor:
        return torch.stack([self.vector(span, stage) for span in cluster]).amax(0)

    def mention_logit(self, span) -> torch.Tensor:
        head = self.model.mention_classifier
        size = head.size_embedding.weight[min(span[1] - span[0], self.config.size_rows - 1)]
        return network(head.classifier, self.vector(span, "mention"), size)[0]

    def coreference_logit(self, left, right) -> torch.Tensor:
        head = self.model.coreference_scorer
        texts = [" ".join(self.words[start:end]).strip() for start, end in (left, right)]
        distance = head.distance_embedding.weight[min(levenshtein(*texts), self.config.edit_distance_rows - 1)]
        vectors = [self.vector(span, "coreference") for span in (left, right)]
        return network(head.classifier, *vectors, distance)[0]

    def type_logits(self, cluster) -> torch.Tensor:
        return network(self.model.entity_classifier, self.entity_vector(cluster, "entity"))

    def sentence(self, span) -> int:
        return next(n for n, start in enumerate(self.document.sentence_starts[1:]) if span[0] < start)

    def relation_logits(self, head, tail, head_type: int, tail_type: int) -> torch.Tensor:
        classifier = self.model.relation_classifier
        vectors = [self.entity_vector(cluster, "relation") for cluster in (head, tail)]
        types = [classifier.type_embedding.weight[kind] for kind in (head_type, tail_type)]
        if self.config.relation_head == "global":
            return network(classifier.classifier, *vectors, *types)
        rows = []
        for a in head:
            for b in tail:
                (_, end), (start, _) = sorted([a, b])
                subwords = self.features.word_ranges
                words = classifier.word_distance_embedding.weight[max(0, start - (end - 1))]
                sentences = classifier.sentence_distance_embedding.weight[abs(self.sentence(a) - self.sentence(b))]
                parts = [self.vector(a, "relation"), self.vector(b, "relation"), *vectors]
                context = pooled(self.hidden["relation"], int(subwords[end - 1, 1]), int(subwords[start, 0]))
                parts += [context, words, sentences]
                rows.append(classifier.mention_pair.weight @ torch.cat(parts) + classifier.mention_pair.bias)
        return network(classifier.classifier, torch.stack(rows).amax(0), *types)

    def extract(self):
        """Mentions, clusters, their types and the logits of all pairs, chained as at inference."""
        ranges, _ = span_candidates(self.document.sentence_starts, self.config.max_span_size)
        spans = [tuple(span) for span in ranges.tolist()]
        logits = torch.stack([self.mention_logit(span) for span in spans])
        mentions = [s for s, logit in zip(spans, logits, strict=True) if logit.sigmoid() >= 0.5]
        count = range(len(mentions))
        scores = [
            self.coreference_logit(mentions[i], mentions[j]).sigmoid().item() for i in count for j in count if i < j
        ]
        labels = complete_linkage(torch.tensor(scores, dtype=torch.float64).numpy(), len(mentions), 0.5)
        groups = [[mentions[i] for i in count if labels[i] == number] for number in range(max(labels) + 1)]
        groups = sorted(map(sorted, groups), key=lambda cluster: cluster[0][0])  # as the text names them
        kinds = [int(self.type_logits(cluster).argmax()) for cluster in groups]
        pairs = [(i, j) for i in range(len(groups)) for j in range(len(groups)) if i != j]
        scored = [self.relation_logits(groups[i], groups[j], kinds[i], kinds[j]) for i, j in pairs]
        return logits, groups, kinds, torch.stack(scored)


def levenshtein(left: str, right: str) -> int:
    if not left or not right:
        return len(left) + len(right)
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def compare_losses(
    model: JerexModel, output: Any, made: dict[str, Any], literal: list[Any], gold: list[Any], mention: Any, linked: Any
) -> None:
    """The losses of a training batch and their gradients are those of the literal logits.

    Args:
        model: the model.
        output: what it makes of the batch.
        made: the batch.
        literal: the formulas, by document.
        gold: document, spans and type of each gold entity.
        mention, linked: the literal logits of the sampled spans and mention pairs.
    """
    typed = [literal[d].type_logits(cluster) for d, cluster, _ in gold]
    related = [
        literal[gold[i][0]].relation_logits(gold[i][1], gold[j][1], gold[i][2], gold[j][2])
        for i, j in made["relations"]["pairs"].tolist()
    ]

    def bce(logits, labels):
        return nn.functional.binary_cross_entropy_with_logits(torch.stack(logits), labels.double(), reduction="none")

    losses = {
        "mention": bce(mention, made["span_labels"]).mean(),
        "coreference": bce(linked, made["coreference"]["labels"]).mean(),
        "entity": nn.functional.cross_entropy(torch.stack(typed), torch.tensor([kind for _, _, kind in gold])),
        "relation": bce(related, made["relations"]["labels"]).sum(1).mean(),
    }
    assert output.losses.keys() == losses.keys()
    for name, loss in losses.items():
        assert output.losses[name].item() == pytest.approx(loss.item(), rel=1e-5), name
    total = losses["mention"] + losses["coreference"] + 0.25 * losses["entity"] + losses["relation"]
    assert output.loss.item() == pytest.approx(total.item(), rel=1e-5)
    compare_gradients(model, output.loss, total)


def compare_gradients(model: JerexModel, *losses: torch.Tensor) -> None:
    gradients = []
    for loss in losses:
        model.zero_grad()
        loss.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        # Losses are taken in single precision.
        assert torch.allclose(gradient, gradients[1][name], atol=1e-5, rtol=1e-3), name
