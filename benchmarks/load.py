"""Counts what a model finds in documents, and makes a model with random heads find as much as there is gold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.contenders import Decisions, FindingContender, JerexContender, SystemContender
from modeling_docre import Document
from modeling_docre.candidates import span_candidates
from modeling_docre.features import Features
from modeling_docre.stage_entities import complete_linkage, symmetric_scores


def mean_load(documents: Sequence[Document], max_span_size: int) -> dict[str, float]:
    """Mean numbers per document of what costs time: words, candidate spans, mentions, entities, pairs and relations.

    Args:
        documents: gold or predicted documents; pairs are ordered ones, mention pairs those of two different entities.
        max_span_size: longest candidate span in words.
    """
    rows = [_load(document, max_span_size) for document in documents]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _load(document: Document, max_span_size: int) -> dict[str, int]:
    sizes = [len(entity.mentions) for entity in document.entities]
    return {
        "words": document.sentence_starts[-1],
        "spans": len(span_candidates(document.sentence_starts, max_span_size)[0]),
        "mentions": sum(sizes),
        "entities": len(sizes),
        "entity_pairs": len(sizes) * (len(sizes) - 1),
        "mention_pairs": sum(sizes) ** 2 - sum(size**2 for size in sizes),
        "relations": len(document.relations),
    }


@contextmanager
def remembered_hidden_states(contender: SystemContender) -> Iterator[None]:
    """Cache the encoder's output for each batch, for repeated passes over the same documents at inference."""
    with ExitStack() as stack:
        for encoder in contender.encoders:
            stack.enter_context(patch.object(encoder, "forward", _cached(encoder.forward)))
        yield


def _cached(encode: Callable[..., Any]) -> Callable[..., Any]:
    outputs: dict[bytes, Any] = {}

    def forward(*inputs: Any, **options: Any) -> Any:
        tensors = [value for value in inputs if isinstance(value, torch.Tensor)]
        key = b"".join(value.cpu().numpy().tobytes() for value in tensors)
        if key not in outputs:
            outputs[key] = encode(*inputs, **options)
        return outputs[key]

    return forward


def match_gold_load(contender: SystemContender, batches: Sequence[list[Features]]) -> Decisions:
    """Find and set decisions by which a model finds about as much as there is gold annotation.

    Heads with random weights would find nothing or everything, and their cost would be arbitrary. The stages are
    matched in order, each with the earlier ones fixed:

    1. Each document keeps as many of its best-scored spans as it has gold mentions. One threshold for all would give
       some documents hundreds of mentions and others none, and the number of pairs grows with the square.
    2. The coreference threshold gives as many clusters as there are gold entities in all documents. It is found by
       bisection over the stored pair scores.
    3. The relation threshold is the score of the n-th best entity pair and type, for n gold relations in all documents.

    With given entities only the last step is needed.

    Args:
        contender: a system.
        batches: batches of documents with gold entities and relations.
    """
    documents = [item.document for batch in batches for item in batch]
    matched = _match_entities(contender, batches, documents) if isinstance(contender, FindingContender) else Decisions()
    logits = torch.cat([contender.run(batch)[0].relation_logits.float().flatten().cpu() for batch in batches])
    relations = sum(len(document.relations) for document in documents)
    threshold = nth_best(torch.sigmoid(logits), relations, otherwise=1.0)
    decisions = Decisions({**matched.thresholds, "relation_threshold": threshold}, matched.mention_shifts)
    contender.decide_by(decisions)
    return decisions


def _match_entities(
    contender: FindingContender, batches: Sequence[list[Features]], documents: Sequence[Document]
) -> Decisions:
    """Find and set decisions by which a model finds about as many mentions and entities as there are in gold."""
    if not isinstance(contender, JerexContender):  # each mention is an entity
        contender.decide_by(Decisions())
        decisions = Decisions({}, {k: v for batch in batches for k, v in _mention_shifts(contender, batch).items()})
        contender.decide_by(decisions)
        return decisions
    contender.decide_by(Decisions({"mention_threshold": 1.0}))  # the mention scores alone are wanted
    shifts = {name: value for batch in batches for name, value in _mention_shifts(contender, batch).items()}
    thresholds = {"mention_threshold": 0.5}
    contender.decide_by(Decisions(thresholds, shifts))
    pair_scores = [scores for batch in batches for scores in _pair_scores(contender, batch)]
    entities = sum(len(document.entities) for document in documents)
    thresholds["coreference_threshold"] = threshold_for_clusters(pair_scores, entities)
    decisions = Decisions(thresholds, shifts)
    contender.decide_by(decisions)
    return decisions


def nth_best(scores: torch.Tensor, count: int, otherwise: float) -> float:
    """The threshold that the `count` best scores reach; `otherwise` if `count` is 0 or there are no scores."""
    if not count or not len(scores):
        return otherwise
    return float(scores.sort(descending=True).values[min(count, len(scores)) - 1])


def _mention_shifts(contender: FindingContender, batch: list[Features]) -> dict[str, float]:
    """For each document, the shift of its mention logits that makes as many positive as it has gold mentions."""
    output, spans = contender.run(batch)
    logits, owners = contender.mention_logits(output).float().cpu(), spans["document"]
    shifts = {}
    for number, features in enumerate(batch):
        mentions = sum(len(entity.mentions) for entity in features.document.entities)
        shifts[features.document.id] = -_below_best(logits[owners == number], mentions)
    return shifts


def _below_best(scores: torch.Tensor, count: int) -> float:
    """A value that `count` scores exceed, midway between scores, so that no decision depends on rounding."""
    if count == 0 or not len(scores):
        return float("inf")
    best = scores.sort(descending=True).values[: count + 1]
    return float(best[-2:].mean()) if len(best) > count else float(best[-1]) - 1.0


def _pair_scores(contender: JerexContender, batch: list[Features]) -> list[tuple[np.ndarray, int]]:
    """The mention pair scores and the number of mentions of each document of a batch."""
    output, spans = contender.run(batch)
    logits = output.coreference_logits.float()
    scores = symmetric_scores(torch.sigmoid(logits), contender.config.coref_symmetrise).cpu().numpy()
    mentions = torch.bincount(spans["document"][output.mentions.cpu()], minlength=len(batch)).tolist()
    ends = np.cumsum([count * (count - 1) // 2 for count in mentions])
    return list(zip(np.split(scores, ends[:-1]), mentions, strict=True))


def threshold_for_clusters(pair_scores: Sequence[tuple[np.ndarray, int]], target: int) -> float:
    """The threshold at which complete linkage gives about `target` clusters in all documents together.

    Args:
        pair_scores: the mention pair scores and the number of mentions of each document.
        target: number of clusters.
    """
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        clusters = sum(len(np.unique(complete_linkage(scores, count, middle))) for scores, count in pair_scores)
        if clusters == target:
            return middle
        low, high = (middle, high) if clusters < target else (low, middle)
    return (low + high) / 2
