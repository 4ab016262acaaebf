"""What the models for given entities share: their input."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from .candidates import Entities, Spans
from .modeling_docre import DocREOutput, DocREPreTrainedModel
from .stage_mention_attention import MarkedText


class GivenEntitiesModel(DocREPreTrainedModel):
    """Base class of models that relate given entities; each says in `relate` how."""

    def __init__(self, config: Any):
        super().__init__(config)
        self.require_labels("relation_types")

    def forward(
        self,
        input_ids: Tensor,
        document_lengths: Tensor,
        spans: dict[str, Tensor],
        entities: dict[str, Tensor],
        relations: dict[str, Tensor],
        special_lengths: Tensor | None = None,
        subword_sentences: Tensor | None = None,
    ) -> DocREOutput:
        """Score the entity pairs of a batch; all lists are flat over the batch.

        Args:
            input_ids: [subwords] int64, the documents end to end.
            document_lengths: [documents] int64, subwords per document.
            spans: the fields of `Spans`, the mentions; their subword ranges are the opening markers.
            entities: the fields of `Entities`.
            relations: `pairs` [pairs, 2] entity indices and, in training, `labels` [pairs, relation types]; where
                labels are incomplete, also what `threshold_losses` takes.
            special_lengths: [2] int64, start and end tokens of each document; None for a tokenizer that has neither.
            subword_sentences: [subwords] int64, the sentence of each subword, -1 outside of sentences.

        Returns:
            `relation_logits` [pairs, relation types] with what carried them; with labels the loss.
        """
        text = MarkedText(input_ids, document_lengths, special_lengths, Spans(**spans), subword_sentences)
        known, pairs = Entities(**entities), relations["pairs"]
        result = {"pairs": pairs, "entity_members": known.members, "entity_sizes": known.sizes}
        result |= {"entity_documents": known.document}
        return DocREOutput(**result, **self.relate(text, known, relations))

    @abstractmethod
    def relate(self, text: MarkedText, entities: Entities, relations: dict[str, Tensor]) -> dict[str, Any]:
        """The fields of the output for the entity pairs and, in training, labels that `relations` holds."""
