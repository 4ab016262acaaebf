"""The document encoder: any text encoder of transformers, for documents of any length, on flat input.

Subwords of all documents of a batch lie end to end in one list. The encoder lays them out in rows of at most the
encoder's positions, runs them and lays the hidden states back into the flat list; where windows of a long document
overlap, their hidden states are averaged. Padding exists only inside this file.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .configuration_docre import DocREConfig
from .encoder_attention import LastLayer, prepare_attention_rows, run_keeping_attention
from .encoder_code import new_encoder
from .segments import positions_in_segments, segment_starts, segment_sum, token_batches

# Positions that are read at once where rows have different lengths: bounds the memory of long texts that are read
# sentence by sentence, and what padding costs.
READ_POSITIONS = 8192


class Encoded(NamedTuple):
    """What the encoder returns for a batch.

    `hidden` [subwords, hidden], in the order of the input. `attention` gives the last layer's attention at positions
    that are named after the encoder ran: of [queries] int64 positions in the input, [queries, heads, longest document],
    at least float32, over the positions of their own document, zero beyond its end. It is None where the encoder was
    not asked to keep its attention.
    """

    hidden: Tensor
    attention: Callable[[Tensor], Tensor] | None


class WindowLayout(NamedTuple):
    """Where each subword of the flat list stands in the encoder's rows.

    `rows` [windows, longest] int64 holds positions in the flat list (0 in padding), `mask` [windows, longest] is True
    on real subwords. `kept` is the same without the start and end tokens that only complete a window in the middle of a
    document. `coverage` [subwords] counts the windows that hold each subword, or is None where each has one. `full`
    tells that there is neither padding nor overlap: the rows are the flat list.
    """

    rows: Tensor
    mask: Tensor
    kept: Tensor
    coverage: Tensor | None
    full: bool


def window_starts(length: int, window: int | None, overlap: int = 0) -> list[int]:
    """First positions of the fewest evenly spaced windows that cover a document.

    The first window begins at the start, the last one ends at the end, and neighbours share at least `overlap`
    positions. Two windows suffice for up to `2 * window - overlap` positions.

    Args:
        length: subwords of the document.
        window: positions of the encoder, None for no limit.
        overlap: least number of positions that neighbours share, less than `window`.
    """
    if window is None or length <= window:
        return [0]
    if not 0 <= overlap < window:
        raise ValueError(f"window_overlap is {overlap}; give a number from 0 to {window - 1}, below the window's size")
    count = -((overlap - length) // (window - overlap))
    return [number * (length - window) // (count - 1) for number in range(count)]


def window_layout(
    lengths: Sequence[int],
    window: int | None,
    overlap: int,
    device: torch.device,
    specials: tuple[int, int] = (0, 0),
) -> WindowLayout:
    """Lay documents out in rows of at most `window` positions.

    Each window of a long document has the document's start and end tokens around its part of the text. For documents
    that two windows cover, with no overlap asked for, this is the layout of ATLOP's release for BERT.

    Args:
        lengths: subwords of each document, start and end tokens included.
        window: positions of the encoder, None for no limit.
        overlap: least number of positions that neighbouring windows share.
        device: where the tensors are made.
        specials: start and end tokens of each document.
    """
    before, after = specials
    around = before + after
    plan, offset = [], 0
    for length in lengths:
        inner = length - around
        size = inner if window is None else min(inner, window - around)
        starts = window_starts(inner, None if window is None else window - around, overlap)
        # Where a window's document, its part of the text and the text's end lie, and the size of the part.
        plan += [(offset, start, inner, size) for start in starts]
        offset += length
    document, start, inner, size = torch.tensor(plan, device=device).view(-1, 4, 1).unbind(1)  # [windows, 1] each
    slot = torch.arange(max((part[3] for part in plan), default=0) + around, device=device)
    mask = slot < size + around  # [windows, longest]
    ending = slot >= before + size
    inside = torch.where(ending, slot + inner - size, torch.where(slot < before, slot, slot + start))
    rows = (document + inside).masked_fill(~mask, 0)
    artificial = ((slot < before) & (start > 0)) | (ending & (start + size < inner))
    kept = mask & ~artificial
    coverage = torch.bincount(rows[kept], minlength=offset) if len(plan) > len(lengths) else None  # [subwords]
    return WindowLayout(rows, mask, kept, coverage, full=mask.numel() == offset)


class DocumentEncoder(nn.Module):
    """An encoder of transformers behind a flat interface.

    Args:
        config: the model's configuration; its encoder configuration is copied, so that models never share one. An
            attention implementation that was asked for stands in the copy, else the encoder chooses what it supports.
        gives_attention: whether attention rows will be asked for.
    """

    def __init__(self, config: DocREConfig, gives_attention: bool = False):
        super().__init__()
        encoder_config = copy.deepcopy(config.encoder_config)
        self.window, self.overlap = config.encoder_positions, config.window_overlap
        self.pad_token_id = encoder_config.pad_token_id or 0
        self.gives_attention = gives_attention
        self.adopt(new_encoder(encoder_config))

    def adopt(self, model: PreTrainedModel) -> None:
        """Use `model` as the encoder, without its pooler, which no system reads."""
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        if self.gives_attention:
            prepare_attention_rows(model)
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        document_lengths: Tensor,
        special_lengths: Tensor | None = None,
        keep_attention: bool = False,
    ) -> Encoded:
        """Hidden states of the last layer, and its attention.

        Args:
            input_ids: [subwords], int64, the documents of the batch end to end.
            document_lengths: [documents], int64, subwords per document, start and end tokens included.
            special_lengths: [2], int64, start and end tokens of each document; None for none.
            keep_attention: whether attention rows will be asked for; only for an encoder that `gives_attention`.
        """
        if len(input_ids) == 0:
            weight, config = self.model.get_input_embeddings().weight, self.model.config
            nothing = weight.new_zeros(0, config.num_attention_heads, 0)
            return Encoded(
                weight.new_zeros(0, config.hidden_size), (lambda queries: nothing) if keep_attention else None
            )
        lengths = [length for length in document_lengths.tolist() if length]
        specials = (0, 0) if special_lengths is None else tuple(special_lengths.tolist())
        layout = window_layout(lengths, self.window, self.overlap, input_ids.device, specials)
        ids = input_ids[layout.rows].masked_fill(~layout.mask, self.pad_token_id)  # [windows, longest]
        mask = None if layout.full else layout.mask.long()
        if keep_attention:
            hidden, last_layer = run_keeping_attention(self.model, ids, mask)
            return Encoded(_merge(hidden, layout), partial(_attention_rows, last_layer, layout, lengths))
        if mask is not None and mask.numel() > READ_POSITIONS:
            return Encoded(self._read_in_groups(ids, layout), None)
        return Encoded(_merge(self.model(ids, attention_mask=mask).last_hidden_state, layout), None)

    def _read_in_groups(self, ids: Tensor, layout: WindowLayout) -> Tensor:
        """Hidden states [subwords, hidden] of rows [windows, longest], neighbours in length read together."""
        states, places = [], []
        lengths = layout.mask.sum(1).tolist()
        for rows in token_batches(lengths, READ_POSITIONS):
            part = rows, slice(lengths[rows[0]])
            mask, kept = layout.mask[part], layout.kept[part]
            states.append(self.model(ids[part], attention_mask=mask.long()).last_hidden_state[kept])
            places.append(layout.rows[part][kept])
        place = torch.cat(places)
        if layout.coverage is None:
            return torch.cat(states)[place.argsort()]
        return segment_sum(torch.cat(states), place, len(layout.coverage)) / layout.coverage[:, None]


def _merge(hidden: Tensor, layout: WindowLayout) -> Tensor:
    """Hidden states [windows, longest, hidden] as a flat list [subwords, hidden], averaged where windows overlap."""
    if layout.full:
        return hidden.flatten(0, 1)
    if layout.coverage is None:
        return hidden[layout.mask]  # rows are in document order
    merged = segment_sum(hidden[layout.kept], layout.rows[layout.kept], len(layout.coverage))
    return merged / layout.coverage[:, None]


class _Places(NamedTuple):
    """Where the queries stand, once for each window that holds them: `query`, `windows`, `slots` [places] int64.

    The places are in the order of their windows.
    """

    query: Tensor
    windows: Tensor
    slots: Tensor


def _attention_rows(last_layer: LastLayer, layout: WindowLayout, lengths: Sequence[int], queries: Tensor) -> Tensor:
    """Attention [queries, heads, longest document] of positions in the flat list."""
    places = _places(layout, queries)
    rows = last_layer.rows(places.windows, places.slots)
    return _merge_attention(rows, places, layout, lengths, queries)


def _places(layout: WindowLayout, queries: Tensor) -> _Places:
    windows, slots = layout.kept.nonzero(as_tuple=True)
    subwords, order = layout.rows[windows, slots].sort(stable=True)
    counts = torch.ones_like(subwords) if layout.coverage is None else layout.coverage
    owner, number = positions_in_segments(counts[queries])
    place = order[segment_starts(counts)[queries[owner]] + number]
    sorting = windows[place].argsort(stable=True)
    place, owner = place[sorting], owner[sorting]
    return _Places(owner, windows[place], slots[place])


def _merge_attention(
    rows: Tensor, places: _Places, layout: WindowLayout, lengths: Sequence[int], queries: Tensor
) -> Tensor:
    """Attention [places, heads, longest] over windows as [queries, heads, longest document] over documents.

    Rows of several windows are added and normalised to a sum of 1 (ATLOP's release).
    """
    if layout.coverage is None:
        return rows.new_empty(rows.shape).index_copy(0, places.query, rows)
    sizes = torch.tensor(lengths, device=rows.device)
    ends, longest = sizes.cumsum(0), max(lengths)
    document = torch.searchsorted(ends, queries, right=True)  # [queries]
    place, slot = layout.kept[places.windows].nonzero(as_tuple=True)
    query = places.query[place]
    inside = layout.rows[places.windows[place], slot] - (ends - sizes)[document[query]]
    cell = query * longest + inside
    merged = segment_sum(rows.transpose(1, 2)[place, slot], cell, len(queries) * longest)  # [cells, heads]
    merged = merged.view(len(queries), longest, rows.shape[1]).transpose(1, 2)  # [queries, heads, longest document]
    several = sizes[document] > layout.rows.shape[1]
    return torch.where(several[:, None, None], merged / (merged.sum(2, keepdim=True) + 1e-10), merged)


def extend_positions(model: PreTrainedModel, rows: int, std: float) -> None:
    """Enlarge the learned position table of an encoder in place; the new rows are drawn from N(0, std).

    The cached position and token-type buffers grow with it, and `max_position_embeddings` says the new size (JEREX
    section 4, documents beyond 512 subwords).

    Args:
        model: an encoder with an embedding table named `position_embeddings`.
        rows: rows of the enlarged table.
        std: standard deviation of the new rows.

    Raises:
        ValueError: the encoder has no such table alone (its positions are relative or rotary).
    """
    owners = [
        module for module in model.modules() if isinstance(getattr(module, "position_embeddings", None), nn.Embedding)
    ]
    # DeBERTa's relative tables depend on `max_position_embeddings` too.
    if not owners or getattr(model.config, "relative_attention", False):
        raise ValueError(
            f"{type(model).__name__} has relative positions, no learned position table alone that could be enlarged; "
            'use `long_input="windows"` instead'
        )
    for owner in owners:
        old = owner.position_embeddings
        if old.num_embeddings >= rows:
            continue
        new = nn.Embedding(rows, old.embedding_dim, padding_idx=old.padding_idx).to(old.weight)
        nn.init.normal_(new.weight, std=std)
        new.weight.data[: old.num_embeddings] = old.weight.data
        owner.position_embeddings = new
        for name in ("position_ids", "token_type_ids"):
            if (buffer := getattr(owner, name, None)) is not None:
                values = torch.arange(rows) if name == "position_ids" else torch.zeros(rows, dtype=buffer.dtype)
                owner.register_buffer(name, values.to(buffer)[None], persistent=False)
        model.config.max_position_embeddings = rows
