"""What classifiers are made of and trained with: layers over a concatenation, tables, and the losses.

A loss is a scalar, the mean over real samples; without samples it is zero, with a gradient of zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from .segments import at_least_float32


def logits_linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`nn.functional.linear` in at least float32: half precision would round logits so that many are equal."""
    bias = None if bias is None else at_least_float32(bias)
    return at_least_float32(nn.functional.linear(at_least_float32(values), at_least_float32(weight), bias))


class LogitsLinear(nn.Linear):
    """`nn.Linear` whose outputs are logits."""

    def forward(self, values: Tensor) -> Tensor:
        """Logits [..., out_features], at least float32, of values [..., in_features]."""
        return logits_linear(values, self.weight, self.bias)


class ConcatLinear(nn.Linear):
    """`nn.Linear` over a concatenation of parts of `part_sizes`, with its parameters, without the concatenation.

    It is the sum of one projection per part. Parts that many rows share (the vector of a mention that stands in forty
    pairs) are projected once and added by index.
    """

    project = staticmethod(nn.functional.linear)

    def __init__(self, part_sizes: Sequence[int], out_features: int):
        super().__init__(sum(part_sizes), out_features)
        self.part_sizes = tuple(part_sizes)

    def tables(self, *parts: Tensor) -> list[Tensor]:
        """The projection [entries, out_features] of each part [entries, size], of the first one with the bias."""
        weights, bias = self.weight.split(self.part_sizes, dim=1), self.bias
        rest = (self.project(part, weight) for part, weight in zip(parts[1:], weights[1:], strict=True))
        return [self.project(parts[0], weights[0], bias), *rest]

    def forward(self, *parts: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Outputs [rows, out_features]; a part is rows [rows, size], or a table [entries, size] and an index [rows]."""
        result, bias = None, self.bias  # the first product carries the bias
        pieces = zip(parts, self.weight.split(self.part_sizes, dim=1), strict=True)
        for part, weight in sorted(pieces, key=lambda piece: isinstance(piece[0], Tensor)):  # tables first
            if result is not None and isinstance(part, Tensor):
                result.addmm_(part.to(result.dtype), weight.T.to(result.dtype))
                continue
            table, index = (part, None) if isinstance(part, Tensor) else part
            rows = self.project(table, weight, bias)
            rows = rows if index is None else rows.index_select(0, index)
            result, bias = rows if result is None else result.add_(rows), None
        return result


def gather_sum(*terms: tuple[Tensor, Tensor | None]) -> Tensor:
    """The sum [rows, width] of tables [entries, width], each by its index [rows], or row by row where that is None.

    The first table is overwritten if it has no index.
    """
    gathered = (table if index is None else table.index_select(0, index) for table, index in terms)
    result = next(gathered)
    for rows in gathered:
        result.add_(rows)
    return result


class TwoLayer(nn.Module):
    """Linear, ReLU, dropout, linear, on a concatenation of parts (the papers' two-layer feed-forward network)."""

    def __init__(self, part_sizes: Sequence[int], hidden_size: int, out_features: int, dropout: float):
        super().__init__()
        self.hidden = ConcatLinear(part_sizes, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.output = LogitsLinear(hidden_size, out_features)

    def forward(self, *parts: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Outputs [rows, out_features] for parts as in `ConcatLinear.forward`."""
        return self.output(self.dropout(self.hidden(*parts).relu_()))


class ClampedEmbedding(nn.Embedding):
    """An embedding table for sizes and distances; values beyond the last row share it."""

    def part(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Table and row numbers of values [n] int64 from 0 on, as a part for `ConcatLinear`."""
        return self.weight, values.clamp(max=self.num_embeddings - 1)


def binary_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of independent decisions: summed over the types of a sample, mean over the samples.

    JEREX's release sums the relation loss over the types, where the paper only speaks of an average over samples. Both
    logits and labels (0 or 1) are [samples] or [samples, types], float.
    """
    total = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")
    return total / max(len(labels), 1)


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of exclusive classes, mean over the samples; logits [samples, classes], labels [samples] int64."""
    return nn.functional.cross_entropy(logits.float(), labels, reduction="sum") / max(len(labels), 1)


def adaptive_threshold_loss(
    logits: Tensor, labels: Tensor, masked: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """Adaptive-threshold loss: gold types rank above the threshold class, all others below it (ATLOP section 4).

    Per pair, `-sum over gold types r of log softmax(r)` among the gold types and the threshold class, plus
    `-log softmax(threshold)` among the other types and the threshold class; mean over the pairs.

    Args:
        logits: [pairs, 1 + types], float, the threshold class first.
        labels: [pairs, types], 0 or 1.
        masked: [pairs, types], bool, types that may or may not hold and enter neither term.
        weights: [pairs], float, weight of the second term: how far types without a label count as false.
    """
    logits, gold = logits.float(), labels.bool()
    threshold, types = logits[:, :1], logits[:, 1:]
    above = torch.cat([threshold, types.masked_fill(~gold, -torch.inf)], dim=1).logsumexp(1)  # [pairs]
    not_false = gold if masked is None else gold | masked
    below = torch.cat([threshold, types.masked_fill(not_false, -torch.inf)], dim=1).logsumexp(1)  # [pairs]
    first = gold.sum(1) * above - types.masked_fill(~gold, 0.0).sum(1)
    second = below - threshold.squeeze(1)
    if weights is not None:
        second = second * weights
    return (first + second).sum() / max(len(logits), 1)


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
