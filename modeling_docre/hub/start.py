"""New models around pre-trained text encoders: what `from_encoder` of a model does."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel

from modeling_docre.encoder import DocumentEncoder
from modeling_docre.modeling_docre import DocREPreTrainedModel


def start_model(
    model_class: type[DocREPreTrainedModel],
    encoder: str | PreTrainedModel,
    trust_remote_code: bool | None,
    config: Mapping[str, Any],
) -> DocREPreTrainedModel:
    """A model with a pre-trained encoder and freshly initialised heads; see `DocREPreTrainedModel.from_encoder`."""
    if isinstance(encoder, str):
        encoder = AutoModel.from_pretrained(encoder, dtype=torch.float32, trust_remote_code=trust_remote_code)
    else:
        encoder = copy.deepcopy(encoder).float()
        encoder.config.dtype = torch.float32
    options = model_class.config_class(encoder_config=copy.deepcopy(encoder.config), **config)
    if options.long_input == "extend" and options.encoder_positions is not None:
        unusable = options.encoder_config.max_position_embeddings - options.encoder_positions
        extend_positions(encoder, options.extended_positions + unusable, options.extra_position_std)
        options.encoder_config = copy.deepcopy(encoder.config)
    model = model_class(options)
    for module in model.modules():
        if isinstance(module, DocumentEncoder):
            module.adopt(copy.deepcopy(encoder))
    return model.float().eval()  # whatever torch's default is


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
