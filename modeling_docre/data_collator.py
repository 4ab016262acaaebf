"""The one collator: examples of several documents become the flat tensors that a model reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .model_inputs import Example


class DocRECollator:
    """Lays examples end to end and shifts their indices from document to batch.

    The result holds `input_ids` [subwords], `document_lengths` [documents, or their sentences where those are read by
    themselves] and the group `spans` (see `Spans`), and, where the examples have them, `special_lengths` [2],
    `subword_sentences` [subwords], `span_labels` [spans],
    `span_texts`, and the groups `coreference` (`pairs`, `distances`, `labels`), `entities` (see `Entities`),
    `entity_types` [entities] and `relations` (`pairs`, and in training `labels`; where labels are incomplete also
    `masked`, `complete`, `soft`, `taught`; for evidence `evidence_pairs`, `evidence_sentences`, `evidence_shares`; for
    pairs of other entities `members`, `sizes`, `document`, `types`). All examples of a batch must ask for the same.
    """

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Collate examples into a batch of tensors (int64, labels of independent decisions float32)."""

        def column(name: str) -> list[Any]:
            return [getattr(example, name) for example in examples]

        def shifted(arrays: Sequence[np.ndarray], offsets: Sequence[int]) -> torch.Tensor:
            return _concat([array + offset for array, offset in zip(arrays, offsets, strict=True)])

        first, number = examples[0], torch.arange(len(examples))
        lengths = [len(features.input_ids) for features in column("features")]
        span_counts = [len(ranges) for ranges in column("word_ranges")]
        span_offsets = _offsets(span_counts)
        subword_ranges = [example.features.subword_ranges(example.word_ranges) for example in examples]
        batch: dict[str, Any] = {
            "input_ids": _concat([features.input_ids for features in column("features")]),
            "document_lengths": _concat([features.text_lengths for features in column("features")]),
            "spans": {
                "subword_range": shifted(subword_ranges, _offsets(lengths)),
                "word_range": _concat(column("word_ranges")),
                "sentence": _concat(column("sentences")),
                "document": number.repeat_interleave(torch.tensor(span_counts)),
            },
        }
        if any(first.features.special_lengths):
            batch["special_lengths"] = torch.tensor(first.features.special_lengths)
        if first.subword_sentences is not None:
            batch["subword_sentences"] = _concat(column("subword_sentences"))
        if first.span_texts is not None:
            batch["span_texts"] = [text for texts in column("span_texts") for text in texts]
        if first.span_labels is not None:
            batch["span_labels"] = _concat(column("span_labels"))
        if first.coreference is not None:
            pairs, distances, labels = zip(*column("coreference"), strict=True)
            batch["coreference"] = {
                "pairs": shifted(pairs, span_offsets),
                "distances": _concat(distances),
                "labels": _concat(labels),
            }
        if first.members is not None:
            entity_counts = [len(sizes) for sizes in column("sizes")]
            batch["entities"] = {
                "members": shifted(column("members"), span_offsets),
                "sizes": _concat(column("sizes")),
                "document": number.repeat_interleave(torch.tensor(entity_counts)),
            }
        if first.entity_types is not None:
            batch["entity_types"] = _concat(column("entity_types"))
        if first.relations is not None:
            pairs, labels = zip(*column("relations"), strict=True)
            related = column("related_entities")
            sizes = column("sizes") if related[0] is None else [entities.sizes for entities in related]
            relations = {"pairs": shifted(pairs, _offsets([len(counts) for counts in sizes]))}
            if labels[0] is not None:
                relations["labels"] = _concat(labels)
            if first.incomplete is not None:
                columns = zip(*column("incomplete"), strict=True)
                relations |= zip(first.incomplete._fields, map(_concat, columns), strict=True)
            if first.evidence is not None:
                rows, places, shares = zip(*column("evidence"), strict=True)
                relations["evidence_pairs"] = shifted(rows, _offsets([len(listed) for listed in pairs]))
                relations |= {"evidence_sentences": _concat(places), "evidence_shares": _concat(shares)}
            if related[0] is not None:
                members, _, types = zip(*related, strict=True)
                counts = torch.tensor([len(listed) for listed in sizes])
                relations |= {"members": shifted(members, span_offsets), "sizes": _concat(sizes)}
                relations |= {"document": number.repeat_interleave(counts), "types": _concat(types)}
            batch["relations"] = relations
        return batch


def _offsets(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts[:-1]).tolist()] if counts else []


def _concat(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(arrays))
