"""The document encoder: any text encoder of transformers, for documents of any length, on flat input.

Subwords of all documents of a batch lie end to end in one list. The encoder lays them out in rows of at most the
encoder's positions, runs them and lays the hidden states back into the flat list; where windows of a long document
overlap, their hidden states are averaged. Padding exists only inside this file.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging

from .configuration_docre import DocREConfig
from .encoder_code import new_encoder
from .encoder_onnx import OnnxEncoder, next_exported
from .letter_case import add_letter_case
from .segments import segment_sum, token_batches

# Positions that are read at once where rows have different lengths: bounds the memory of long texts that are read
# sentence by sentence, and what padding costs.
READ_POSITIONS = 8192

logger = logging.get_logger(__name__)


class Encoded(NamedTuple):
    """What the encoder returns for a batch.

    `hidden` [subwords, hidden], in the order of the input. `attention`, only of an `AttendedEncoder`, gives the last
    layer's attention [queries, heads, longest document] of positions [queries] int64 in the input, at least
    float32, over their own document, zero beyond its end.
    """

    hidden: Tensor
    attention: Callable[[Tensor], Tensor] | None = None


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

    def merge(self, hidden: Tensor) -> Tensor:
        """Hidden states [windows, longest, hidden] as a list [subwords, hidden]; windows that overlap are averaged."""
        if self.full:
            return hidden.flatten(0, 1)
        if self.coverage is None:
            return hidden[self.mask]  # rows are in document order
        merged = segment_sum(hidden[self.kept], self.rows[self.kept], len(self.coverage))
        return merged / self.coverage[:, None]


def window_starts(length: int, window: int | None, overlap: int = 0) -> list[int]:
    """First positions of the fewest evenly spaced windows that cover a document of `length` subwords.

    A window has `window` positions (None for no limit), and neighbours share at least `overlap` of them.
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
    """Lay documents of `lengths` subwords out in rows of at most `window` positions, as for `window_starts`.

    Each window of a long document has the document's start and end tokens, so many as `specials` says, around its part
    of the text. For documents that two windows cover, with no overlap asked for, this is the layout of ATLOP's release.
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
    """An encoder of transformers behind a flat interface, with a copy of its configuration: models never share one."""

    def __init__(self, config: DocREConfig):
        super().__init__()
        encoder_config = copy.deepcopy(config.encoder_config)
        self.window, self.overlap = config.encoder_positions, config.window_overlap
        self.pad_token_id, self.letter_case = encoder_config.pad_token_id or 0, config.letter_case
        file = next_exported()
        self.adopt(OnnxEncoder(encoder_config, file) if file else new_encoder(encoder_config))

    def adopt(self, model: PreTrainedModel | OnnxEncoder) -> None:
        """Use `model` as the encoder, without its pooler, which no system reads."""
        if getattr(model, "pooler", None) is not None:
            model.pooler = None
        if self.letter_case and not isinstance(model, OnnxEncoder):
            add_letter_case(model)
        self.model = model

    def forward(self, input_ids: Tensor, document_lengths: Tensor, special_lengths: Tensor | None = None) -> Encoded:
        """Hidden states of the last layer.

        Args:
            input_ids: [subwords], int64, the documents of the batch end to end.
            document_lengths: [documents], int64, subwords per document, start and end tokens included.
            special_lengths: [2], int64, start and end tokens of each document; None for none.
        """
        if len(input_ids) == 0:
            return Encoded(input_ids.new_zeros(0, self.model.config.hidden_size, dtype=self.model.dtype))
        lengths = [length for length in document_lengths.tolist() if length]
        specials = (0, 0) if special_lengths is None else tuple(special_lengths.tolist())
        layout = window_layout(lengths, self.window, self.overlap, input_ids.device, specials)
        ids = input_ids[layout.rows].masked_fill(~layout.mask, self.pad_token_id)  # [windows, longest]
        return self.read(ids, layout, lengths)

    def read(self, ids: Tensor, layout: WindowLayout, lengths: Sequence[int]) -> Encoded:
        """What the encoder makes of documents of `lengths`, laid out as `ids` [windows, longest]."""
        if not layout.full and ids.numel() > READ_POSITIONS:
            return Encoded(self._read_in_groups(ids, layout))
        mask = None if layout.full else layout.mask.long()
        return Encoded(layout.merge(self.model(ids, attention_mask=mask).last_hidden_state))

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


def emulates_bfloat16() -> bool:
    """Whether this processor cannot multiply in bfloat16, so that torch emulates it slowly."""
    return not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def advise_on_precision(model: PreTrainedModel) -> None:
    """Log what bfloat16 would change on this processor, and warn where a model is in bfloat16 and that is emulated."""
    if model.device.type != "cpu" or any(isinstance(module, OnnxEncoder) for module in model.modules()):
        return
    emulated = emulates_bfloat16()
    if emulated and model.dtype == torch.bfloat16:
        logger.warning(
            "this processor emulates bfloat16, which takes several times as long as float32; leave out dtype"
        )
    elif not emulated and model.dtype == torch.float32:
        logger.info('this processor multiplies in bfloat16; with dtype="bfloat16" encoders take about half the time')
