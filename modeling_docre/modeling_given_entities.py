"""What the models for given entities share: their input, and how they read it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

from torch import Tensor

from .candidates import Entities, Spans, Text
from .encoder import DocumentEncoder
from .modeling_docre import DocREOutput, DocREPreTrainedModel, entity_fields
from .segments import range_mean
from .stage_localized_context import attend_from


class Reading(NamedTuple):
    """What an encoder makes of a text whose spans are mentions.

    `hidden` [subwords, hidden]; `mentions` [mentions, hidden]; `attention` [mentions, heads, longest document], at
    least float32, or None where the encoder gives none.
    """

    hidden: Tensor
    mentions: Tensor
    attention: Any


def read(encoder: DocumentEncoder, text: Text) -> Reading:
    """A mention's vector and attention are those of its opening marker, without markers the means over its subwords."""
    hidden, attention = encoder(text.input_ids, text.document_lengths, text.special_lengths)
    ranges = text.spans.subword_range
    return Reading(hidden, range_mean(hidden, ranges), attention and attend_from(attention, ranges))


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
            input_ids, document_lengths, special_lengths, subword_sentences: the fields of `Text`.
            spans: the fields of `Spans`, the mentions; their subword ranges are the opening markers.
            entities: the fields of `Entities`.
            relations: `pairs` [pairs, 2] entity indices and, in training, `labels` [pairs, relation types]; where
                labels are incomplete, also what `threshold_losses` takes.

        Returns:
            `relation_logits` [pairs, relation types] with what carried them; with labels the loss.
        """
        text = Text(input_ids, document_lengths, Spans(**spans), special_lengths, subword_sentences)
        known = Entities(**entities)
        return DocREOutput(pairs=relations["pairs"], **entity_fields(known), **self.relate(text, known, relations))

    @abstractmethod
    def relate(self, text: Text, entities: Entities, relations: dict[str, Tensor]) -> dict[str, Any]:
        """The fields of the output for the entity pairs and, in training, labels that `relations` holds."""
