"""What training knows of the pairs of a document beside their labels, and batches that hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from modeling_docre.data_collator import DocRECollator, concat, offsets, shifted
from modeling_docre.model_inputs import Example

from .relation_samples import EvidenceLabels, IncompleteLabels


class EntityList(NamedTuple):
    """Entities by the positions of their mentions in the list of spans: `members` [mentions], `sizes`, `types`."""

    members: np.ndarray
    sizes: np.ndarray
    types: np.ndarray


@dataclass(frozen=True)
class TrainingExample(Example):
    """A document and what is learned from it.

    `coreference` = (pairs [pairs, 2] of spans, edit distances [pairs], labels [pairs]). `incomplete` and `evidence` say
    more of the entity pairs; `related_entities` are what these are made of where that is not the document's entities.
    """

    coreference: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    incomplete: IncompleteLabels | None = None
    evidence: EvidenceLabels | None = None
    related_entities: EntityList | None = None


class TrainingCollator(DocRECollator):
    """Adds the group `coreference` (`pairs`, `distances`, `labels`), and to `relations` what is known of the pairs.

    Where labels are incomplete, these are `masked`, `complete`, `soft` and `taught` (see `IncompleteLabels`); for
    evidence `evidence_pairs`, `evidence_sentences` and `evidence_shares`; for pairs of other entities than those of
    the group `entities` their `members`, `sizes`, `document` and `types`.
    """

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Collate examples into a batch of tensors, as `DocRECollator` does."""
        batch = super().__call__(examples)
        known = [example for example in examples if isinstance(example, TrainingExample)]
        if "relations" in batch and known:
            batch["relations"] |= self._of_pairs(known)
        samples = [example.coreference for example in known if example.coreference]
        if samples:
            pairs, distances, labels = zip(*samples, strict=True)
            starts = offsets(len(example.word_ranges) for example in known)
            batch["coreference"] = {"pairs": shifted(pairs, starts)}
            batch["coreference"] |= {"distances": concat(distances), "labels": concat(labels)}
        return batch

    def _of_pairs(self, examples: Sequence[TrainingExample]) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {}
        pairs = [example.relations[0] for example in examples if example.relations]
        incomplete = [example.incomplete for example in examples if example.incomplete]
        if incomplete:
            found |= zip(IncompleteLabels._fields, map(concat, zip(*incomplete, strict=True)), strict=True)
        evidence = [example.evidence for example in examples if example.evidence]
        if evidence:
            rows, sentences, shares = zip(*evidence, strict=True)
            found["evidence_pairs"] = shifted(rows, offsets(map(len, pairs)))
            found |= {"evidence_sentences": concat(sentences), "evidence_shares": concat(shares)}
        related = [example.related_entities for example in examples if example.related_entities]
        if related:
            members, sizes, types = zip(*related, strict=True)
            counts = torch.tensor([len(listed) for listed in sizes])
            found |= {"pairs": shifted(pairs, offsets(map(len, sizes))), "sizes": concat(sizes), "types": concat(types)}
            found["members"] = shifted(members, offsets(len(example.word_ranges) for example in examples))
            found["document"] = torch.arange(len(examples)).repeat_interleave(counts)
        return found
