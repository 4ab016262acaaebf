"""Entity pairs scored by both entities and the context that both attend to (ATLOP sections 3.2 and 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .grouped_bilinear import GroupedBilinear
from .layers import ConcatLinear, adaptive_threshold_loss, binary_loss
from .segments import in_chunks, positions_in_segments, segment_starts
from .stage_localized_context import (
    AttendedText,
    Block,
    Evidence,
    blocks,
    find_evidence,
    pool_block,
    runs,
    unordered_pairs,
    weigh_sentences,
)

# Pairs classified at once; with more, a training step recomputes each run of them in its backward pass.
PAIR_CHUNK = 16_384

LABEL_FIELDS = frozenset(["labels", "masked", "complete", "soft", "taught"])
"""What training knows of each entity pair (see `threshold_losses`)."""


class PairScores(NamedTuple):
    """What is said of entity pairs.

    `logits` [pairs, 1 + types], the threshold class first. `sentence_weights` [unordered pairs, sentences] is the
    weight of each pair's context on each sentence, zero beyond a document's last one; `unordered` [pairs] int64 is the
    unordered pair of each pair. Both are None where the sentences are not known, or nobody attends to anything.
    """

    logits: Tensor
    sentence_weights: Tensor | None = None
    unordered: Tensor | None = None

    def evidence(self, least_share: float) -> Evidence | None:
        """The fewest sentences that hold more than a share of each pair's context; both orders of a pair share them."""
        if self.sentence_weights is None or self.unordered is None:
            return None
        pair, sentence, weight = find_evidence(self.sentence_weights, least_share)
        counts = torch.bincount(pair, minlength=len(self.sentence_weights))
        owner, number = positions_in_segments(counts[self.unordered])
        item = segment_starts(counts)[self.unordered[owner]] + number
        return Evidence(owner, sentence[item], weight[item])


class PairClassifier(NamedTuple):
    """The layers that score entity pairs: two extractors and a grouped bilinear layer.

    `head_extractor` and `tail_extractor` take an entity's vector and, where there is one, the pair's context.
    """

    head_extractor: ConcatLinear
    tail_extractor: ConcatLinear
    bilinear: GroupedBilinear

    def score(self, entity_vectors: Tensor, pairs: Tensor) -> PairScores:
        """Score pairs [pairs, 2] of entities by their vectors [entities, width] alone."""
        logits = in_chunks(lambda rows: self._logits(entity_vectors, pairs[rows]), len(pairs), PAIR_CHUNK)
        return PairScores(logits)

    def score_in_context(self, entity_vectors: Tensor, pairs: Tensor, text: AttendedText) -> PairScores:
        """Score pairs [pairs, 2] of entities by their vectors [entities, width] and the text that both attend to."""
        unordered, index = unordered_pairs(pairs, len(entity_vectors))
        sorted_index, order = index.sort(stable=True)  # both orders of a pair together
        parts = list(runs(blocks(text, unordered), PAIR_CHUNK // 2))
        if not parts:
            return PairScores(self._logits(entity_vectors, pairs, text.hidden[:0], index))
        recompute = torch.is_grad_enabled() and len(parts) > 1
        logits: list[Tensor] = []
        weights: list[Tensor] = []
        for run in parts:
            first, stop = run[0].rows.start, run[-1].rows.stop
            rows = slice(*torch.searchsorted(sorted_index, torch.tensor([first, stop], device=index.device)).tolist())
            arguments = (entity_vectors, pairs[order[rows]], sorted_index[rows] - first, text, unordered, run)
            scored = (
                checkpoint(self._score_run, *arguments, use_reentrant=False)
                if recompute
                else self._score_run(*arguments)
            )
            logits.append(scored[0])
            weights += scored[1]
        return PairScores(torch.cat(logits)[order.argsort()], torch.cat(weights) if weights else None, index)

    def _score_run(
        self,
        entity_vectors: Tensor,
        pairs: Tensor,
        index: Tensor,
        text: AttendedText,
        unordered: Tensor,
        run: Sequence[Block],
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits of the pairs of some blocks, and the sentence weights of their unordered pairs."""
        contexts, sentence_weights = [], []
        for block in run:
            context, weights = pool_block(text, unordered, block)
            contexts.append(context.to(entity_vectors.dtype))
            if text.sentences is not None:
                sentence_weights.append(weigh_sentences(text, block, weights))
        return self._logits(entity_vectors, pairs, torch.cat(contexts), index), sentence_weights

    def _logits(
        self, entity_vectors: Tensor, pairs: Tensor, contexts: Tensor | None = None, index: Tensor | None = None
    ) -> Tensor:
        """Logits [pairs, 1 + types], the threshold class first; contexts [contexts, hidden] by index [pairs]."""
        head, tail = pairs.unbind(1)
        context = [] if contexts is None or index is None else [(contexts, index)]
        head_vectors = torch.tanh(self.head_extractor((entity_vectors, head), *context))  # [pairs, pair size]
        tail_vectors = torch.tanh(self.tail_extractor((entity_vectors, tail), *context))
        return self.bilinear(head_vectors, tail_vectors)


def threshold_losses(logits: Tensor, relations: Mapping[str, Tensor], unlabelled_weight: float) -> dict[str, Tensor]:
    """What pairs learn against a threshold class: their labels, and a teacher's scores where there are any.

    Args:
        logits: [pairs, 1 + types], float, the threshold class first.
        relations: `labels` [pairs, types] and, where labels are incomplete, `masked` [pairs, types] bool, types that
            may or may not hold; `complete` [pairs] bool, whether a type without a label does not hold; `soft` [pairs,
            types], a teacher's scores where the pair was `taught` [pairs] bool.
        unlabelled_weight: how far a type without a label counts as false where labels are incomplete.

    Returns:
        The adaptive-threshold loss as `relation`, and as `distillation` the binary cross-entropy between the scores of
        student and teacher, summed over the types, mean over the pairs that a teacher labelled.
    """
    labels = relations["labels"]
    if "complete" not in relations:
        return {"relation": adaptive_threshold_loss(logits, labels)}
    weights = torch.where(relations["complete"], 1.0, unlabelled_weight)
    taught = relations["taught"].nonzero().squeeze(1)
    margins = logits[taught, 1:] - logits[taught, :1]
    return {
        "relation": adaptive_threshold_loss(logits, labels, relations["masked"], weights),
        "distillation": binary_loss(margins, relations["soft"][taught]),
    }
