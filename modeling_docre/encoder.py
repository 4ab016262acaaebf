"""The document encoder: any text encoder of transformers, for documents of any length, on flat input.

Subwords of all documents of a batch lie end to end in one list. The encoder lays them out in rows of at most the
encoder's positions, runs them and lays the hidden states back into the flat list; where windows of a long document
overlap, their hidden states are averaged. Padding exists only inside this file.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from .configuration_docre import DocREConfig


class WindowLayout(NamedTuple):
    """Where each subword of the flat list stands in the encoder's rows.

    `rows` [windows, longest] int64 holds positions in the flat list (0 in padding), `mask` [windows, longest] is True
    on real subwords; `coverage` [subwords] counts the windows that hold each subword, or is None where each has one.
    """

    rows: Tensor
    mask: Tensor
    coverage: Tensor | None


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


def window_layout(lengths: Sequence[int], window: int | None, overlap: int, device: torch.device) -> WindowLayout:
    """Lay documents of `lengths` subwords out in rows of at most `window` positions."""
    starts, sizes, offset = [], [], 0
    for length in lengths:
        windows = window_starts(length, window, overlap)
        starts += [offset + start for start in windows]
        sizes += [min(length, window or length)] * len(windows)
        offset += length
    size = torch.tensor(sizes, device=device)
    positions = torch.arange(max(sizes, default=0), device=device)
    mask = positions < size[:, None]  # [windows, longest]
    rows = (torch.tensor(starts, device=device)[:, None] + positions).masked_fill(~mask, 0)
    coverage = None
    if len(starts) > len(lengths):
        coverage = torch.bincount(rows[mask], minlength=offset)  # [subwords]
    return WindowLayout(rows, mask, coverage)


class DocumentEncoder(nn.Module):
    """An encoder of transformers behind a flat interface.

    Args:
        config: the model's configuration; its encoder configuration is copied, so that models never share one. An
            attention implementation that was asked for stands in the copy, else the encoder chooses what it supports.
    """

    def __init__(self, config: DocREConfig):
        super().__init__()
        encoder_config = copy.deepcopy(config.encoder_config)
        self.window, self.overlap = config.encoder_positions, config.window_overlap
        self.pad_token_id = encoder_config.pad_token_id or 0
        self.adopt(AutoModel.from_config(encoder_config))

    def adopt(self, model: PreTrainedModel) -> None:
        """Use `model` as the encoder, without its pooler, which no system reads."""
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        self.model = model

    def forward(self, input_ids: Tensor, document_lengths: Tensor) -> Tensor:
        """Hidden states of the last layer.

        Args:
            input_ids: [subwords], int64, the documents of the batch end to end.
            document_lengths: [documents], int64, subwords per document.

        Returns:
            [subwords, hidden], in the order of the input.
        """
        if len(input_ids) == 0:
            return self.model.get_input_embeddings().weight.new_zeros(0, self.model.config.hidden_size)
        lengths = [length for length in document_lengths.tolist() if length]
        layout = window_layout(lengths, self.window, self.overlap, input_ids.device)
        ids = input_ids[layout.rows].masked_fill(~layout.mask, self.pad_token_id)  # [windows, longest]
        padded = layout.mask.numel() > sum(lengths) or layout.coverage is not None
        hidden = self.model(ids, attention_mask=layout.mask.long() if padded else None).last_hidden_state
        if not padded:
            return hidden.flatten(0, 1)
        if layout.coverage is None:
            return hidden[layout.mask]  # [subwords, hidden]: rows are in document order
        merged = hidden.new_zeros(len(input_ids), hidden.shape[-1])
        merged = merged.index_add(0, layout.rows[layout.mask], hidden[layout.mask])
        return merged / layout.coverage[:, None]


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
