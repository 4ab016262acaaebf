"""The one collator: examples of several documents become the flat tensors that a model reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from .features import SpanTexts
from .model_inputs import Example


class DocRECollator:
    """Lays examples end to end and shifts their indices from document to batch.

    The result holds `input_ids` [subwords], `document_lengths` [documents, or their sentences where those are read by
    themselves] and the group `spans` (see `Spans`), and, where the examples have them, `special_lengths` [2],
    `subword_sentences` [subwords], `span_labels` [spans], `span_texts`, `entity_types` [entities], and the groups
    `entities` (see `Entities`) and `relations` (`pairs`, and in training `labels`). All examples must ask for the same.
    """

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Collate examples into a batch of tensors (int64, labels of independent decisions float32)."""

        def column(name: str) -> list[Any]:
            return [getattr(example, name) for example in examples]

        first, number = examples[0], torch.arange(len(examples))
        lengths = [len(features.input_ids) for features in column("features")]
        span_counts = [len(ranges) for ranges in column("word_ranges")]
        span_offsets = offsets(span_counts)
        subword_ranges = [example.features.subword_ranges(example.word_ranges) for example in examples]
        batch: dict[str, Any] = {
            "input_ids": concat([features.input_ids for features in column("features")]),
            "document_lengths": concat([features.text_lengths for features in column("features")]),
            "spans": {
                "subword_range": shifted(subword_ranges, offsets(lengths)),
                "word_range": concat(column("word_ranges")),
                "sentence": concat(column("sentences")),
                "document": number.repeat_interleave(torch.tensor(span_counts)),
            },
        }
        if any(first.features.special_lengths):
            batch["special_lengths"] = torch.tensor(first.features.special_lengths)
        for name in ("subword_sentences", "span_labels", "entity_types"):
            if getattr(first, name) is not None:
                batch[name] = concat(column(name))
        if first.span_texts is not None:
            batch["span_texts"] = SpanTexts.joined(column("span_texts"))
        if first.members is not None:
            entity_counts = [len(sizes) for sizes in column("sizes")]
            batch["entities"] = {
                "members": shifted(column("members"), span_offsets),
                "sizes": concat(column("sizes")),
                "document": number.repeat_interleave(torch.tensor(entity_counts)),
            }
        if first.relations is not None:
            pairs, labels = zip(*column("relations"), strict=True)
            batch["relations"] = {"pairs": shifted(pairs, offsets(map(len, column("sizes"))))}
            if labels[0] is not None:
                batch["relations"]["labels"] = concat(labels)
        return batch


def offsets(counts: Iterable[int]) -> list[int]:
    """Where each of several lists begins when they lie end to end."""
    return [0, *np.cumsum(list(counts))[:-1].tolist()]


def shifted(arrays: Sequence[np.ndarray], by: Sequence[int]) -> torch.Tensor:
    """The arrays end to end, each plus its number."""
    return concat([array + offset for array, offset in zip(arrays, by, strict=True)])


def concat(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    """The arrays end to end."""
    return torch.from_numpy(np.concatenate(arrays))
