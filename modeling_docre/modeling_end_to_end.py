"""What the models share that find entities in raw text: stages (a) to (c) of JEREX, on what is given or found."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .candidates import Entities, Spans, Text
from .layers import binary_loss, class_loss
from .modeling_docre import DocREOutput, DocREPreTrainedModel, entity_fields
from .stage_entities import resolve_mentions, select_mentions


class Encoding(NamedTuple):
    """A text as the stages see it.

    `hidden` [subwords, hidden] is what stage (d) reads, `vectors` [spans, hidden] are the spans' vectors by stage.
    `attention` is what `AttendedEncoder` gives, None for a model that reads none.
    """

    text: Text
    hidden: Tensor
    vectors: dict[str, Tensor]
    attention: Any = None


class Resolved(NamedTuple):
    """What stages (a) to (c) leave to stage (d).

    `entities` with their pooled `vectors` [entities, hidden] and `types` [entities] int64, which are None where neither
    is given nor found.
    """

    entities: Entities
    vectors: Tensor | None
    types: Tensor | None


class EndToEndModel(DocREPreTrainedModel):
    """Base class of models that find mentions, entities and their types; each says in `relate` how it relates them.

    In training each stage sees the gold result of the stage before; otherwise it sees its own decisions. What a caller
    gives (`entities`, `entity_types`, spans that are all mentions) is not decided again. The module of a stage that a
    model does not have is None.
    """

    mention_classifier: Any
    coreference_scorer: Any
    entity_dropout: Any
    entity_classifier: Any

    def forward(
        self,
        input_ids: Tensor,
        document_lengths: Tensor,
        spans: dict[str, Tensor],
        special_lengths: Tensor | None = None,
        subword_sentences: Tensor | None = None,
        span_texts: Sequence[str] | None = None,
        span_labels: Tensor | None = None,
        coreference: dict[str, Tensor] | None = None,
        entities: dict[str, Tensor] | None = None,
        entity_types: Tensor | None = None,
        relations: dict[str, Tensor] | None = None,
        allowed_types: Tensor | None = None,
    ) -> DocREOutput:
        """Run the stages on what is given and on their own decisions for the rest; all lists are flat over the batch.

        Args:
            input_ids, document_lengths, special_lengths, subword_sentences: the fields of `Text`.
            spans: the fields of `Spans`; candidates, sampled spans or given mentions.
            span_texts: one string per span, compared by coreference when it has to list the mention pairs itself.
            span_labels: [spans] 1 for mentions; absent, the model decides.
            coreference: `pairs` [pairs, 2] span indices, `distances` [pairs], `labels` [pairs]: training samples.
            entities: the fields of `Entities`; absent, the model decides.
            entity_types: [entities] int64; absent, the model decides.
            relations: `pairs` [pairs, 2] entity indices to score and, in training, `labels` [pairs, types] with what
                else the collator knows of them; absent, all ordered pairs are scored.
            allowed_types: [entity types, entity types, relation types] bool, which relation types may hold between
                which types of head and tail; None for all. In a model with `typed_pairs` the logits of others are
                minus infinity, and the pairs that it lists itself are those of types that allow any.

        Returns:
            Logits and decisions of the stages, with what carried the relations, and the losses of those with labels.
        """
        text = Text(input_ids, document_lengths, Spans(**spans), special_lengths, subword_sentences)
        known = torch.ones_like(text.spans.document) if entities is not None and span_labels is None else span_labels
        encoding = self.encode(text, known)
        vectors = encoding.vectors
        result: dict[str, Any] = {}
        losses: dict[str, Tensor] = {}

        if self.mention_classifier is not None:  # (a) mention localization
            result["mention_logits"] = self.mention_classifier(vectors["mention"], text.spans.sizes)
            if span_labels is not None:
                losses["mention"] = binary_loss(result["mention_logits"], span_labels)

        if self.coreference_scorer is not None and coreference is not None:  # (b) coreference, sampled pairs
            logits = self.coreference_scorer(vectors["coreference"], coreference["pairs"], coreference["distances"])
            result["coreference_logits"] = logits
            losses["coreference"] = binary_loss(logits, coreference["labels"])
        if entities is not None:
            clusters = Entities(**entities)
        else:  # (b) coreference, all pairs of the mentions found
            result["mentions"] = self._find_mentions(result.get("mention_logits"), span_labels)
            if self.coreference_scorer is None:
                return DocREOutput(**self.weigh(losses), **result)
            scorer, of_spans = self.coreference_scorer, vectors["coreference"]
            texts = [] if span_texts is None else span_texts
            resolved, clusters = resolve_mentions(scorer, of_spans, text.spans, texts, result["mentions"], self.config)
            result |= resolved
        result |= entity_fields(clusters)

        entity_vectors = None
        if self.entity_classifier is not None:  # (c) entity classification
            entity_vectors = self.entity_dropout(clusters.pool(vectors["entity"]))  # [entities, hidden]
            result["entity_type_logits"] = self.entity_classifier(entity_vectors)
            if entity_types is not None:
                losses["entity"] = class_loss(result["entity_type_logits"], entity_types)
            else:
                entity_types = result["entity_type_logits"].argmax(1)

        if "relation" in self.config.traits.stages:  # (d) relation classification
            found = Resolved(clusters, entity_vectors, entity_types)
            related, relation_losses = self.relate(encoding, found, relations, allowed_types)
            result |= related
            losses |= relation_losses
        return DocREOutput(**self.weigh(losses), entity_types=entity_types, **result)

    def _find_mentions(self, logits: Tensor | None, labels: Tensor | None) -> Tensor:
        """Span indices of the given mentions, else of those that reach the threshold."""
        if labels is not None:
            return labels.nonzero().squeeze(1)
        if logits is None:
            raise ValueError(f'a model with task="{self.config.task}" finds no mentions; give it entities or mentions')
        return select_mentions(logits, self.config.mention_threshold)

    @abstractmethod
    def encode(self, text: Text, mentions: Tensor | None) -> Encoding:
        """Hidden states and span vectors.

        Which spans are `mentions` [spans], where that is known, is for models whose vectors depend on it.
        """

    @abstractmethod
    def relate(
        self, encoding: Encoding, found: Resolved, relations: dict[str, Tensor] | None, allowed_types: Tensor | None
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Fields of the output for the relations, and with labels their losses."""
