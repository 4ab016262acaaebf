"""SpERT: span-based joint entity and relation extraction in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging

from .candidates import Entities, MentionPairs, Spans, entity_pairs, mention_pairs
from .configuration_spert import SpertConfig
from .encoder import DocumentEncoder
from .layers import ClampedEmbedding, ConcatLinear, binary_loss, class_loss, logits_linear
from .modeling_docre import DocREOutput, DocREPreTrainedModel, entity_fields
from .segments import (
    chunk_bounds,
    in_chunks,
    positions_in_segments,
    range_max,
    range_mean,
    rows_in_ranges,
    segment_starts,
    segment_sum,
    unique_rows,
)

logger = logging.get_logger(__name__)

# Spans and pairs of spans classified at once: bounds the memory of long texts, and where any two spans may be related.
SPAN_CHUNK = PAIR_CHUNK = 65_536


class Sentences(NamedTuple):
    """What the classifiers see of a batch beside spans.

    `hidden` [subwords, hidden]; `starts` [sentences, hidden] the start tokens' vectors; `whole` [sentences, hidden]
    what all pairs of a sentence have as context, None where each has what lies between.
    """

    hidden: Tensor
    starts: Tensor
    whole: Tensor | None


class DropoutLinear(ConcatLinear):
    """`ConcatLinear` with dropout on the concatenated input.

    In training each row drops elements of its own, so its parts are laid out; at inference parts are shared.

    Args:
        part_sizes: widths of the parts.
        out_features: width of the result.
        dropout: dropout probability.
    """

    project = staticmethod(logits_linear)

    def __init__(self, part_sizes: Sequence[int], out_features: int, dropout: float):
        super().__init__(part_sizes, out_features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, *parts: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        """Apply dropout and the layer; arguments and result as for `ConcatLinear.forward`."""
        if not self.training or self.dropout.p == 0:
            return super().forward(*parts)
        rows = [part[0].index_select(0, part[1]) if isinstance(part, tuple) else part for part in parts]
        return self.project(self.dropout(torch.cat(rows, dim=1)), self.weight, self.bias)


class SpertModel(DocREPreTrainedModel):
    """Typed spans of a sentence and typed relations between them (Eberts and Ulges, ECAI 2020).

    Each span of a sentence is classified as an entity type or as none from its subwords, its size and the start token
    (section 3.1); those with a type are the entities (section 3.2), and each ordered pair of them is related from
    both spans and what lies between (section 3.3). Spans may overlap. Each mention is an entity of its own.

    Deviations from the paper's release, all of them options or exact rewrites:

    - Spans and contexts are computed by range maxima and shared projections, equal to the dense formulation.
    - A document is read sentence by sentence in one pass; negatives are counted per sentence.
    - Sentences beyond the encoder's positions are read in windows (`long_input`); the release fails on them.
    - Sizes beyond the table share its last row; the release fails on them.
    - A pair has one relation sample with all its types, and the reverse of a symmetric relation may be a negative. The
      paper's sampler made one sample per type and never drew the reverse; no pair of the corpora has several types, so
      only the negatives differ (`exclude_reverse_symmetric_negatives`).
    - The full context leaves out the start and end tokens (`context="full"`).
    - Without the span filter (`relation_negatives="weak"`) a span may stand in a relation and be no entity by the span
      classifier. It then has the empty type, as in the release, so that its relation counts where entity types are not
      compared and is wrong where they are. Spans without type and relation are not part of the result.
    - Of more than `max_related_entities` entities of a sentence the best-scoring ones are related; the release relates
      all, which after few updates takes minutes for a sentence.
    - Between given entities with several mentions a type holds if it holds between two mentions of one sentence.
    """

    title = "SpERT"
    citation = """
@inproceedings{eberts-ulges-2020-span,
  title = {Span-based Joint Entity and Relation Extraction with Transformer Pre-training},
  author = {Eberts, Markus and Ulges, Adrian},
  booktitle = {Proceedings of the 24th European Conference on Artificial Intelligence},
  year = {2020}
}"""
    config_class = SpertConfig
    training_defaults: ClassVar[dict[str, Any]] = {
        "negatives_mention": 100,
        "negatives_relation": 100,
        "per_device_train_batch_size": 2,
        "adam_bias_correction": False,
        # The last epoch's model is the result; a best epoch is chosen on request.
        "load_best_model_at_end": False,
    }

    def __init__(self, config: SpertConfig):
        super().__init__(config)
        self.require_labels("entity_types", "relation_types")
        width, meta = config.encoder_config.hidden_size, config.meta_size
        self.encoder = self.new_encoder()
        self.size_embedding = ClampedEmbedding(config.size_rows, meta)
        self.span_classifier = DropoutLinear([width, width, meta], 1 + len(config.entity_types), config.dropout)
        self.relation_classifier = DropoutLinear(
            [width, width, width, meta, meta], len(config.relation_types), config.dropout
        )
        self.post_init()

    @classmethod
    def from_encoder(
        cls, encoder: str | PreTrainedModel, trust_remote_code: bool | None = None, **config: Any
    ) -> DocREPreTrainedModel:
        """A model with a pre-trained encoder, or as much of it as `pretraining` keeps; see the base class."""
        model = super().from_encoder(encoder, trust_remote_code, **config)
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
        sentences = self._read(input_ids, document_lengths, special_lengths)
        ends = document_lengths.cumsum(0)
        sentence = torch.searchsorted(ends, listed.subword_range[:, 0].contiguous(), right=True)  # [spans]
        result: dict[str, Any] = {}
        losses: dict[str, Tensor] = {}

        if entities is None or span_labels is not None:  # (a) span classification
            logits = self._classify_spans(sentences, listed, sentence)
            # A span is a mention if it has any type.
            result |= {"span_logits": logits, "mention_logits": logits[:, 1:].logsumexp(1) - logits[:, 0]}
            if span_labels is not None:
                losses["span"] = class_loss(result["span_logits"], span_labels)

        if entities is not None:
            clusters = Entities(**entities)
        else:  # (b) span filtering
            clusters, types = self._filter(result["span_logits"], listed)
            result |= types
        result |= entity_fields(clusters)

        # (c) relation classification
        if relations is None:
            # Entities of one mention each meet in their sentence only; others may have mentions in several.
            pairs = self._pairs(result, sentence) if entities is None else entity_pairs(clusters.document)
            relations = {"pairs": pairs}
        result |= self._relate(sentences, listed, sentence, clusters, relations["pairs"])
        if "labels" in relations:
            types_of_a_pair = len(self.config.relation_types)
            losses["relation"] = binary_loss(result["relation_logits"], relations["labels"]) / types_of_a_pair
        if losses:
            result |= {"losses": losses, "loss": sum(losses.values())}
        return DocREOutput(**result)

    def _read(self, input_ids: Tensor, lengths: Tensor, special_lengths: Tensor | None) -> Sentences:
        """The encoder's vectors of sentences of `lengths` [sentences] subwords each."""
        hidden = self.encoder(input_ids, lengths, special_lengths).hidden  # [subwords, hidden]
        begin = segment_starts(lengths)  # [sentences]
        first = hidden.new_zeros(len(lengths), hidden.shape[1])
        if len(hidden):  # a tokenizer without start and end tokens leaves an empty sentence without a subword
            first = hidden.index_select(0, begin.clamp(max=len(hidden) - 1))
        if self.config.context == "localized":
            return Sentences(hidden, first, None)
        if self.config.context == "cls":
            return Sentences(hidden, first, first)
        before, after = (0, 0) if special_lengths is None else special_lengths.tolist()
        inner = torch.stack([begin + before, begin + lengths - after], dim=1)
        return Sentences(hidden, first, self._pool_max(hidden, inner))

    def _pool_max(self, hidden: Tensor, ranges: Tensor) -> Tensor:
        """Elementwise maximum over each subword range [ranges, 2], zeros for an empty one; [ranges, hidden]."""
        vectors = range_max(hidden, ranges)
        return vectors.clamp(min=0) if self.config.pool_mask == "zero" else vectors

    def _pool_spans(self, hidden: Tensor, ranges: Tensor) -> Tensor:
        """Span vectors [spans, hidden] of subword ranges [spans, 2]."""
        if self.config.span_pooling == "max":
            return self._pool_max(hidden, ranges)
        if self.config.span_pooling == "mean":
            return range_mean(hidden, ranges)
        owner, rows = rows_in_ranges(ranges)
        return segment_sum(hidden.index_select(0, rows), owner, len(ranges))

    def _classify_spans(self, sentences: Sentences, spans: Spans, sentence: Tensor) -> Tensor:
        """Logits [spans, 1 + entity types], none first, of spans and the sentence [spans] of each."""
        sizes = spans.sizes

        def classify(rows: slice) -> Tensor:
            vectors = self._pool_spans(sentences.hidden, spans.subword_range[rows])  # [rows, hidden]
            start = sentences.starts, sentence[rows]
            return self.span_classifier(start, vectors, self.size_embedding.part(sizes[rows]))

        return in_chunks(classify, len(sizes), SPAN_CHUNK)

    def _filter(self, logits: Tensor, spans: Spans) -> tuple[Entities, dict[str, Tensor]]:
        """The spans that may be related, an entity each, and their types with the logits of these, none last."""
        kept = spans.in_text_order(logits.argmax(1).nonzero().squeeze(1))
        if self.config.relation_negatives == "weak":
            kept = torch.arange(len(logits), device=logits.device)
        types = logits[kept].argmax(1) - 1  # -1 for none
        entities = Entities(kept, torch.ones_like(kept), spans.document[kept])
        return entities, {"entity_types": types, "entity_type_logits": logits[kept].roll(-1, dims=1)}

    def _pairs(self, result: dict[str, Tensor], sentence: Tensor) -> Tensor:
        """The pairs [pairs, 2] of the entities found that are related, those of a sentence with one mention each."""
        members, limit = result["entity_members"], self.config.max_related_entities
        owner = sentence[members]
        chosen = best_in_segments(result["mention_logits"][members], owner, limit)
        if self.config.relation_negatives == "weak" or len(chosen) == len(owner):
            return entity_pairs(owner)
        logger.warning_once(
            f"of more than {limit} entities in a sentence the {limit} best-scoring are related (max_related_entities)"
        )
        return chosen[entity_pairs(owner[chosen])]

    def _relate(
        self, sentences: Sentences, spans: Spans, sentence: Tensor, entities: Entities, pairs: Tensor
    ) -> dict[str, Tensor]:
        """Logits of entity pairs, the highest over their mention pairs in one sentence, and these mention pairs.

        A pair without such mentions has minus infinity.
        """
        mentions, sentence = spans.take(entities.members), sentence[entities.members]
        entities = entities._replace(members=torch.arange(len(sentence), device=sentence.device))
        vectors = self._pool_spans(sentences.hidden, mentions.subword_range)  # [mentions, hidden]
        sizes = mentions.sizes
        head, tail = pairs.unbind(1)
        runs = list(chunk_bounds(entities.sizes[head] * entities.sizes[tail], PAIR_CHUNK))
        chunks = []
        for first, stop in runs or [(0, 0)]:  # without pairs the parameters still get a gradient, of zero
            listed = mention_pairs(entities, pairs[first:stop])
            listed = listed.take((sentence[listed.head] == sentence[listed.tail]).nonzero().squeeze(1))
            logits = self.relation_classifier(
                self._contexts(sentences, mentions, sentence, listed.head, listed.tail),
                (vectors, listed.head),
                (vectors, listed.tail),
                self.size_embedding.part(sizes[listed.head]),
                self.size_embedding.part(sizes[listed.tail]),
            )  # [mention pairs, relation types]
            chunks.append((listed._replace(owner=listed.owner + first), logits))
        kept, scored = zip(*chunks, strict=True)
        listed, logits = MentionPairs(*map(torch.cat, zip(*kept, strict=True))), torch.cat(scored)
        none = logits.new_full((len(pairs), logits.shape[1]), float("-inf"))
        highest = none.scatter_reduce(0, listed.owner[:, None].expand_as(logits), logits, "amax")
        won = (logits == highest[listed.owner]).to(logits.dtype)
        return {
            "pairs": pairs,
            "relation_logits": highest,  # [pairs, relation types]
            "mention_pair_owner": listed.owner,
            "mention_pair_head": listed.head_mention,
            "mention_pair_tail": listed.tail_mention,
            "mention_pair_weight": won / segment_sum(won, listed.owner, len(pairs))[listed.owner],
            "mention_pair_logits": logits,
        }

    def _contexts(
        self, sentences: Sentences, mentions: Spans, sentence: Tensor, head: Tensor, tail: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Context vectors, and the position [pairs] among them of that of each pair of mentions."""
        if sentences.whole is not None:
            return sentences.whole, sentence[head]
        # Both directions share their context, and pairs of neighbours the empty one.
        ranges, index = unique_rows(mentions.between(head, tail))
        return self._pool_max(sentences.hidden, ranges), index


def _forget(encoder: DocumentEncoder, pretraining: str) -> None:
    """Put random weights in place of what the encoder has learned, as far as it shall not keep it (Table 2)."""
    if pretraining == "full":
        return
    fresh = AutoModel.from_config(encoder.model.config)
    if pretraining == "layers_random":
        fresh.embeddings.load_state_dict(encoder.model.embeddings.state_dict())
    encoder.adopt(fresh)


def best_in_segments(scores: Tensor, owners: Tensor, limit: int) -> Tensor:
    """Positions, ascending, of the `limit` highest scores [rows] of each owner; of equal ones the first.

    Args:
        scores: [rows].
        owners: [rows] int64, ascending.
        limit: most rows of an owner.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    order = order[torch.argsort(owners[order], stable=True)]
    _, rank = positions_in_segments(torch.bincount(owners))
    return order[rank < limit].sort().values
