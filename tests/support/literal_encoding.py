"""Window merge as ATLOP's release writes it down: whole attention matrices, document by document, loops."""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Window(NamedTuple):
    """Positions of the document that an encoder reads together, and slots of tokens that only complete the window."""

    positions: list[int]
    artificial: set[int]


def literal_windows(length: int, limit: int, before: int, after: int) -> list[Window]:
    """The fewest evenly spaced windows that cover a document, start and end tokens around each of them."""
    if length <= limit:
        return [Window(list(range(length)), set())]
    first, last = list(range(before)), list(range(length - after, length))
    text, size = list(range(before, length - after)), limit - before - after
    count = math.ceil(len(text) / size)
    windows = []
    for number in range(count):
        start = number * (len(text) - size) // (count - 1)
        artificial = set(range(before)) if number > 0 else set()
        if number < count - 1:
            artificial |= set(range(limit - after, limit))
        windows.append(Window(first + text[start : start + size] + last, artificial))
    return windows


def eager_twin(model: Any) -> Any:
    """A copy of an encoder that runs unfused and hands its attention back."""
    twin = copy.deepcopy(model)
    twin.set_attn_implementation("eager")
    return twin


def merge_windows(eager: Any, ids: Tensor, windows: list[Window]) -> tuple[Tensor, Tensor]:
    """Hidden states [length, hidden] averaged over windows; attention [heads, length, length], rows summing to 1."""
    length = len(ids)
    hidden = attention = None
    count = ids.new_zeros(length)
    for window in windows:
        output = eager(ids[window.positions][None], output_attentions=True)
        states, weights = output.last_hidden_state[0], output.attentions[-1][0]
        if hidden is None:
            hidden = states.new_zeros(length, states.shape[1])
            attention = weights.new_zeros(len(weights), length, length)
        slots = torch.tensor([slot for slot in range(len(window.positions)) if slot not in window.artificial])
        places = torch.tensor(window.positions)[slots]
        count[places] += 1
        hidden = hidden.index_add(0, places, states[slots])
        block = weights.new_zeros(attention.shape)
        block[:, places[:, None], places] = weights[:, slots[:, None], slots]
        attention = attention + block
    assert (count > 0).all(), "a position is in no window"
    if len(windows) > 1:
        attention = attention / (attention.sum(-1, keepdim=True) + 1e-10)
    return hidden / count[:, None], attention


def encode_literally(eager: Any, ids: Tensor, limit: int, before: int = 1, after: int = 1) -> tuple[Tensor, Tensor]:
    """Hidden states and attention of one document of any length."""
    return merge_windows(eager, ids, literal_windows(len(ids), limit, before, after))
