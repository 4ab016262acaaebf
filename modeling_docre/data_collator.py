"""The one collator: examples of several documents become the flat tensors that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .sampling import Example


class DocRECollator:
    """Lays examples end to end and shifts their indices from document to batch.

    The result holds `input_ids` [subwords], `document_lengths` [documents] and the group `spans` (see `Spans`), and,
    where the examples have them, `span_labels` [spans], `span_texts`, and the groups `coreference` (`pairs`,
    `distances`, `labels`), `entities` (see `Entities`), `entity_types` [entities] and `relations` (`pairs`,
    `labels`). All examples of a batch must ask for the same.
    """

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Collate examples into a batch of tensors (int64, labels of independent decisions float32)."""
        features = [example.features for example in examples]
        lengths = [len(item.input_ids) for item in features]
        span_counts = [len(example.word_ranges) for example in examples]
        span_offsets = _offsets(span_counts)
        first = examples[0]
        batch: dict[str, Any] = {
            "input_ids": _concat([item.input_ids for item in features]),
            "document_lengths": torch.tensor(lengths),
            "spans": {
                "subword_range": _concat(
                    [
                        example.features.subword_ranges(example.word_ranges) + offset
                        for example, offset in zip(examples, _offsets(lengths), strict=True)
                    ]
                ),
                "word_range": _concat([example.word_ranges for example in examples]),
                "sentence": _concat([example.sentences for example in examples]),
                "document": torch.arange(len(examples)).repeat_interleave(torch.tensor(span_counts)),
            },
        }
        if first.span_texts is not None:
            batch["span_texts"] = [text for example in examples for text in example.span_texts]
        if first.span_labels is not None:
            batch["span_labels"] = _concat([example.span_labels for example in examples])
        if first.coreference is not None:
            batch["coreference"] = {
                "pairs": _concat([e.coreference[0] + offset for e, offset in zip(examples, span_offsets, strict=True)]),
                "distances": _concat([example.coreference[1] for example in examples]),
                "labels": _concat([example.coreference[2] for example in examples]),
            }
        if first.members is not None:
            entity_counts = [len(example.sizes) for example in examples]
            batch["entities"] = {
                "members": _concat([e.members + offset for e, offset in zip(examples, span_offsets, strict=True)]),
                "sizes": _concat([example.sizes for example in examples]),
                "document": torch.arange(len(examples)).repeat_interleave(torch.tensor(entity_counts)),
            }
        if first.entity_types is not None:
            batch["entity_types"] = _concat([example.entity_types for example in examples])
        if first.relations is not None:
            entity_offsets = _offsets([len(example.sizes) for example in examples])
            batch["relations"] = {
                "pairs": _concat([e.relations[0] + offset for e, offset in zip(examples, entity_offsets, strict=True)]),
                "labels": _concat([example.relations[1] for example in examples]),
            }
        return batch


def _offsets(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts[:-1]).tolist()] if counts else []


def _concat(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(arrays))
