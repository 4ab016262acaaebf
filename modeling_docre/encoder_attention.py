"""Attention that chosen positions pay in an encoder's last layer, without the attention matrices of whole sequences.

Fused attention hands no weights back, and asking for them keeps a `[layers, heads, length, length]` stack. Here every
layer runs fused attention; the last one's query and key are noted, and only the rows that are asked for are multiplied
and soft-maxed. Encoders that take no attention function of ours run unfused, with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import AttentionInterface

from .encoder import DocumentEncoder, Encoded, WindowLayout
from .encoder_onnx import OnnxEncoder
from .segments import at_least_float32, positions_in_segments, segment_starts, segment_sum

NOTING_SDPA = "sdpa_noting_query_and_key"

RowsOf = Callable[[Tensor, Tensor], Tensor]


def _sdpa_noting_query_and_key(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    attention_sink: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Fused attention; leaves what it works on in `attention_sink`, where the last layer's stays."""
    if attention_sink is not None:
        scaling, causal = options.get("scaling"), options.get("is_causal")
        attention_sink |= {"query": query, "key": key, "mask": attention_mask, "dropout": options.get("dropout", 0.0)}
        attention_sink["scaling"] = query.shape[-1] ** -0.5 if scaling is None else scaling
        # Without a mask, fused attention looks back only where the layer says so.
        attention_sink["causal"] = getattr(module, "is_causal", True) if causal is None else causal
    return sdpa_attention_forward(module, query, key, value, attention_mask, **options)


AttentionInterface.register(NOTING_SDPA, _sdpa_noting_query_and_key)
AttentionMaskInterface.register(NOTING_SDPA, sdpa_mask)


def prepare_attention_rows(encoder: PreTrainedModel | OnnxEncoder) -> None:
    """Make an encoder able to give attention rows: its fused attention (SDPA) notes query and key, or gives way.

    Raises:
        ValueError: the encoder was asked for an attention implementation that has no rows to give.
    """
    chosen = encoder.config._attn_implementation
    if chosen == "sdpa":
        encoder.set_attn_implementation(NOTING_SDPA if encoder._supports_attention_backend else "eager")
    elif chosen not in ("eager", NOTING_SDPA):
        raise ValueError(f'attn_implementation is "{chosen}", which gives no attention rows; use "sdpa" or "eager"')


class AttendedEncoder(DocumentEncoder):
    """A document encoder that also gives attention; arguments as for `DocumentEncoder`."""

    def adopt(self, model: PreTrainedModel | OnnxEncoder) -> None:
        """Use `model` as the encoder, made able to give attention rows."""
        super().adopt(model)
        prepare_attention_rows(model)

    def forward(self, input_ids: Tensor, document_lengths: Tensor, special_lengths: Tensor | None = None) -> Encoded:
        """Hidden states of the last layer, and its attention; arguments as for `DocumentEncoder.forward`."""
        encoded = super().forward(input_ids, document_lengths, special_lengths)
        if encoded.attention is not None:
            return encoded
        nothing = encoded.hidden.new_zeros(0, self.model.config.num_attention_heads, 0)
        return encoded._replace(attention=lambda queries: nothing)

    def read(self, ids: Tensor, layout: WindowLayout, lengths: Sequence[int]) -> Encoded:
        """What the encoder makes of documents of `lengths`, laid out as `ids` [windows, longest]."""
        hidden, rows_of = run_keeping_attention(self.model, ids, None if layout.full else layout.mask.long())
        return Encoded(layout.merge(hidden), partial(_attention_rows, rows_of, layout, lengths))


def run_keeping_attention(
    encoder: PreTrainedModel | OnnxEncoder, ids: Tensor, mask: Tensor | None
) -> tuple[Tensor, RowsOf]:
    """Hidden states [windows, length, hidden], and what gives rows of the last layer's attention after the pass.

    It takes `windows`, ascending, and `positions`, [rows] int64 both, and gives [rows, heads, length] of at least
    float32. A row sums to 1 but for the dropout of the encoder's attention in training.

    Args:
        encoder: an encoder after `prepare_attention_rows`.
        ids: [windows, length] int64.
        mask: [windows, length], non-zero on real subwords, or None where all are.

    Raises:
        ValueError: the encoder's attention is no matrix over the input, or its gradient would be lost.
    """
    if encoder.config._attn_implementation != NOTING_SDPA:
        output = encoder(ids, attention_mask=mask, output_attentions=True)
        weights = output.attentions[-1] if output.attentions else None
        if weights is None or weights.dim() != 4 or weights.shape[2:] != (ids.shape[1], ids.shape[1]):
            fix = "use another encoder, or a model without localized context (`localized_context=False`)"
            raise ValueError(f"{type(encoder).__name__} gives no attention over the whole input; {fix}")
        return output.last_hidden_state, lambda windows, positions: at_least_float32(weights[windows, :, positions])
    noted: dict[str, Any] = {}
    hidden = encoder(ids, attention_mask=mask, attention_sink=noted).last_hidden_state
    lost = hidden.requires_grad and not noted["query"].requires_grad
    if lost and any(getattr(module, "gradient_checkpointing", False) for module in encoder.modules()):
        raise ValueError("reentrant gradient checkpointing loses the attention's gradient; set `use_reentrant=False`")
    return hidden, partial(_rows, noted)


def _rows(sink: dict[str, Any], windows: Tensor, positions: Tensor) -> Tensor:
    """Soft-maxed rows of query times key; the rows of one window share a product."""
    query, key, mask = sink["query"], sink["key"], sink["mask"]  # [windows, heads, length, width]
    if key.shape[1] < query.shape[1]:  # several heads share a key
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    counts = torch.bincount(windows, minlength=len(query))
    _, slots = positions_in_segments(counts)
    table = positions.new_zeros(len(query), int(counts.max()) if len(windows) else 0)  # [windows, most rows]
    table[windows, slots] = positions
    chosen = query.gather(2, table[:, None, :, None].expand(-1, query.shape[1], -1, query.shape[3]))
    with torch.autocast(query.device.type, enabled=False):
        # In half precision the products would lose what the softmax then magnifies.
        products = at_least_float32(chosen) @ at_least_float32(key).transpose(2, 3)
        scores = products * sink["scaling"]  # [windows, heads, most rows, length]
    if mask is not None:
        if mask.shape[2] > 1:  # one row per query
            mask = mask.gather(2, table[:, None, :, None].expand(-1, mask.shape[1], -1, mask.shape[3]))
        scores = scores.masked_fill(~mask, float("-inf"))
    elif sink["causal"]:
        behind = torch.arange(key.shape[2], device=key.device) > table[:, :, None]  # [windows, most rows, length]
        scores = scores.masked_fill(behind[:, None], float("-inf"))
    weights = torch.nn.functional.dropout(scores.softmax(3), sink["dropout"], training=sink["dropout"] > 0)
    return weights.transpose(1, 2)[windows, slots]  # [rows, heads, length]


def _attention_rows(rows_of: RowsOf, layout: WindowLayout, lengths: Sequence[int], queries: Tensor) -> Tensor:
    """Attention [queries, heads, longest document] of positions in the flat list, over their documents.

    Rows of several windows are added and normalised to a sum of 1 (ATLOP's release).
    """
    query, windows, slots = _places(layout, queries)
    rows = rows_of(windows, slots)  # [places, heads, longest]
    if layout.coverage is None:
        return rows.new_empty(rows.shape).index_copy(0, query, rows)
    sizes = torch.tensor(lengths, device=rows.device)
    ends, longest = sizes.cumsum(0), max(lengths)
    document = torch.searchsorted(ends, queries, right=True)  # [queries]
    place, slot = layout.kept[windows].nonzero(as_tuple=True)
    inside = layout.rows[windows[place], slot] - (ends - sizes)[document[query[place]]]
    cell = query[place] * longest + inside
    merged = segment_sum(rows.transpose(1, 2)[place, slot], cell, len(queries) * longest)  # [cells, heads]
    merged = merged.view(len(queries), longest, rows.shape[1]).transpose(1, 2)  # [queries, heads, longest document]
    several = sizes[document] > layout.rows.shape[1]
    return torch.where(several[:, None, None], merged / (merged.sum(2, keepdim=True) + 1e-10), merged)


def _places(layout: WindowLayout, queries: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, windows and slots [places], int64: each query once for each window that holds it, windows ascending."""
    windows, slots = layout.kept.nonzero(as_tuple=True)
    subwords, order = layout.rows[windows, slots].sort(stable=True)
    counts = torch.ones_like(subwords) if layout.coverage is None else layout.coverage
    owner, number = positions_in_segments(counts[queries])
    place = order[segment_starts(counts)[queries[owner]] + number]
    sorting = windows[place].argsort(stable=True)
    place, owner = place[sorting], owner[sorting]
    return owner, windows[place], slots[place]
