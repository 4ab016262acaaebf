"""SpERT: span-based joint entity and relation extraction in sentences."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoModel, PreTrainedModel

from .candidates import Entities, Spans, contexts, entity_pairs, mention_pairs
from .configuration_spert import SpertConfig
from .encoder import DocumentEncoder
from .heads import ClampedEmbedding, DropoutLinear
from .losses import binary_loss, class_loss
from .modeling_docre import DocREOutput, DocREPreTrainedModel
from .ragged import chunk_bounds, positions_in_segments, range_max, segment_mean, segment_starts, segment_sum

# Span pairs classified at once: bounds the memory where any two spans may be related.
PAIR_CHUNK = 65_536


class SpertModel(DocREPreTrainedModel):
    """Typed spans of a sentence and typed relations between them (Eberts and Ulges, ECAI 2020).

    Each span of a sentence is classified as an entity type or as none from its subwords, its size and the start token
    (section 3.1); those that are not none are the entities (section 3.2), and each ordered pair of them is related from
    both spans and what lies between (section 3.3). Spans may overlap. Each mention is an entity of its own.

    Deviations from the paper's release, all of them options or exact rewrites:

    - Spans and contexts are computed by range maxima and shared projections, equal to the dense formulation.
    - A document is read sentence by sentence in one pass; negatives are counted per sentence.
    - Sentences beyond the encoder's positions are read in windows (`long_input`); the release fails on them.
    - Sizes beyond the table share its last row; the release fails on them.
    - A pair has one relation sample with all its types. The paper's sampler made one sample per type; the corpora have
      no pair with several types, so only the negatives differed (`exclude_reverse_symmetric_negatives`).
    - The full context leaves out the start and end tokens (`context="full"`).
    - Of given entities with several mentions a type holds if it holds between two mentions of one sentence.
    """

    config_class = SpertConfig
    training_defaults: ClassVar[dict[str, Any]] = {
        "negatives_mention": 100,
        "negatives_relation": 100,
        "per_device_train_batch_size": 2,
        "adam_bias_correction": False,
    }

    def __init__(self, config: SpertConfig):
        super().__init__(config)
        for name in ("entity_types", "relation_types"):
            if not getattr(config, name):
                raise ValueError(f"the configuration's {name} is empty; give the list of labels to predict")
        width, meta = config.encoder_config.hidden_size, config.meta_size
        self.encoder = self.new_encoder()
        self.size_embedding = ClampedEmbedding(config.size_rows, meta)
        self.span_classifier = DropoutLinear([width, width, meta], 1 + len(config.entity_types), config.dropout)
        self.relation_classifier = DropoutLinear(
            [width, width, width, meta, meta], len(config.relation_types), config.dropout
        )
        self.post_init()

    @classmethod
    def from_encoder(cls, encoder: str | PreTrainedModel, **config: Any) -> DocREPreTrainedModel:
        """A model with a pre-trained encoder, or as much of it as `pretraining` keeps; see the base class."""
        model = super().from_encoder(encoder, **config)
        _forget(model.encoder, model.config.pretraining)
        return model

    def forward(
        self,
        input_ids: Tensor,
        document_lengths: Tensor,
        spans: dict[str, Tensor],
        special_lengths: Tensor | None = None,
        span_labels: Tensor | None = None,
        entities: dict[str, Tensor] | None = None,
        relations: dict[str, Tensor] | None = None,
    ) -> DocREOutput:
        """Type spans and relate entities; all lists are flat over the batch.

        Args:
            input_ids: [subwords] int64, the sentences end to end, each between start and end tokens.
            document_lengths: [sentences] int64, subwords per sentence.
            spans: the fields of `Spans`; candidates, sampled spans or given mentions.
            special_lengths: [2] int64, start and end tokens of each sentence.
            span_labels: [spans] int64, 0 for no entity, else 1 + the entity type; absent, the model decides.
            entities: the fields of `Entities`; absent, each span with a type is one.
            relations: `pairs` [pairs, 2] entity indices and, in training, `labels` [pairs, relation types]; absent, all
                ordered pairs of a sentence are classified.

        Returns:
            Logits and decisions of the stages, and the losses of those with labels.
        """
        listed = Spans(**spans)
        hidden = self.encoder(input_ids, document_lengths, special_lengths).hidden  # [subwords, hidden]
        sentences = torch.searchsorted(document_lengths.cumsum(0), listed.subword_range[:, 0], right=True)  # [spans]
        vectors = self._pool_spans(hidden, listed)  # [spans, hidden]
        sizes = self.size_embedding.part(listed.sizes)
        first = hidden.index_select(0, segment_starts(document_lengths).clamp(max=max(len(hidden) - 1, 0)))

        result: dict[str, Any] = {}
        losses: dict[str, Tensor] = {}
        if entities is None or span_labels is not None:  # span classification and filtering
            logits = self.span_classifier((first, sentences), vectors, sizes)  # [spans, 1 + types]
            if span_labels is not None:
                losses["span"] = class_loss(logits, span_labels)
            else:
                kept = logits.argmax(1).nonzero().squeeze(1)  # [entities]
                result |= {"mentions": kept, "entity_types": logits[kept, 1:].argmax(1)}
                result["entity_type_logits"] = torch.cat([logits[kept, 1:], logits[kept, :1]], dim=1)
        found = self._entities(entities, result.get("mentions"), listed)
        pairs = relations["pairs"] if relations is not None else entity_pairs(sentences[found.members])
        context = self._sentence_contexts(hidden, document_lengths, special_lengths)
        result["relation_logits"] = self._relate(hidden, vectors, listed, sentences, found, pairs, context)
        if relations is not None and "labels" in relations:
            losses["relation"] = binary_loss(result["relation_logits"], relations["labels"]) / len(
                self.config.relation_types
            )
        if losses:
            result |= {"losses": losses, "loss": sum(losses.values())}
        result |= {"entity_members": found.members, "entity_sizes": found.sizes, "entity_documents": found.document}
        return DocREOutput(pairs=pairs, **result)

    def _pool_spans(self, hidden: Tensor, spans: Spans) -> Tensor:
        """Span vectors [spans, hidden] of the subwords' hidden states [subwords, hidden]."""
        if self.config.span_pooling == "max":
            vectors = range_max(hidden, spans.subword_range)
            return vectors.clamp(min=0) if self.config.pool_mask == "zero" else vectors
        start, end = spans.subword_range.unbind(1)
        owner, offset = positions_in_segments(end - start)
        pool = segment_sum if self.config.span_pooling == "sum" else segment_mean
        return pool(hidden.index_select(0, start[owner] + offset), owner, len(start))

    def _entities(self, given: dict[str, Tensor] | None, kept: Tensor | None, spans: Spans) -> Entities:
        """The given entities, else one for each span that was kept."""
        if given is not None:
            return Entities(**given)
        assert kept is not None
        return Entities(kept, torch.ones_like(kept), spans.document[kept])

    def _relate(
        self,
        hidden: Tensor,
        vectors: Tensor,
        spans: Spans,
        sentences: Tensor,
        entities: Entities,
        pairs: Tensor,
        around: Tensor | None,
    ) -> Tensor:
        """Logits [pairs, relation types] of entity pairs, the highest over their mention pairs in one sentence.

        A pair without such mentions has minus infinity.
        """
        head, tail = pairs.unbind(1)
        counts = entities.sizes[head] * entities.sizes[tail]
        found = []
        for first, stop in chunk_bounds(counts, PAIR_CHUNK):
            listed = mention_pairs(entities, pairs[first:stop])
            listed = listed.take((sentences[listed.head] == sentences[listed.tail]).nonzero().squeeze(1))
            between = contexts(spans, listed.head, listed.tail).subword_range
            context = (range_max(hidden, between), None) if around is None else (around, sentences[listed.head])
            logits = self._classify_pairs(vectors, spans, listed.head, listed.tail, context)
            none = logits.new_full((stop - first, logits.shape[1]), float("-inf"))
            found.append(none.scatter_reduce(0, listed.owner[:, None].expand_as(logits), logits, "amax"))
        return torch.cat(found) if found else hidden.new_zeros(0, len(self.config.relation_types))

    def _classify_pairs(
        self, vectors: Tensor, spans: Spans, head: Tensor, tail: Tensor, context: tuple[Tensor, Tensor | None]
    ) -> Tensor:
        """Logits [pairs, relation types] of pairs of spans [pairs] each."""
        sizes = spans.sizes
        states, index = context
        return self.relation_classifier(
            states if index is None else (states, index),
            (vectors, head),
            (vectors, tail),
            self.size_embedding.part(sizes[head]),
            self.size_embedding.part(sizes[tail]),
        )

    def _sentence_contexts(self, hidden: Tensor, text_lengths: Tensor, special_lengths: Tensor | None) -> Tensor | None:
        """What all pairs of a sentence see of it, [sentences, hidden]; None where each sees what lies between."""
        starts = segment_starts(text_lengths)
        if self.config.context == "cls":
            return hidden.index_select(0, starts.clamp(max=max(len(hidden) - 1, 0)))
        if self.config.context == "localized":
            return None
        before, after = (0, 0) if special_lengths is None else special_lengths.tolist()
        return range_max(hidden, torch.stack([starts + before, starts + text_lengths - after], dim=1))


def _forget(encoder: DocumentEncoder, pretraining: str) -> None:
    """Put random weights in place of what the encoder has learned, as far as it shall not keep it (Table 2)."""
    if pretraining == "full":
        return
    fresh = AutoModel.from_config(encoder.model.config)
    if pretraining == "layers_random":
        fresh.embeddings.load_state_dict(encoder.model.embeddings.state_dict())
    encoder.adopt(fresh)
