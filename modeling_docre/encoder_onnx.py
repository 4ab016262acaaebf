"""Encoders in ONNX Runtime, in place of torch's: what `docre export` writes beside a model's weights.

`from_pretrained(..., backend="onnx")` names the files while the model is built, so that torch's weights are never read.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import cached_file

from .encoder_code import HUB_OPTIONS, setting

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

BACKENDS = ("torch", "onnx", "onnx-int8")
EXPORTED = "onnx/encoder*.onnx"
"""What exported encoders are called beside a model's weights."""
TORCH_WEIGHTS = r"\bencoders?\.(\d+\.)?model\."
"""What the names of a torch encoder's weights have in a model of any system."""

# The files of the encoders of the model that is being built, in their order; None for encoders in torch.
_files: ContextVar[Iterator[str] | None] = ContextVar("files", default=None)


def exported_name(number: int, int8: bool) -> str:
    """The file, beside a model's weights, of its encoder of that number, from 1 on."""
    return f"onnx/encoder{'' if number == 1 else f'_{number}'}{'_int8' if int8 else ''}.onnx"


def using_backend(backend: str, place: Any, options: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Models that are built inside have their encoders from a folder or repository, unless the backend is torch.

    Raises:
        ValueError: there is no such backend.
        ImportError: ONNX Runtime is not installed.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}; give one of {', '.join(map(repr, BACKENDS))}")
    if backend == "torch":
        return setting(_files, None)
    if onnxruntime is None:
        raise ImportError(f"the backend {backend!r} needs onnxruntime; pip install 'modeling-docre[onnx]'")
    known = {key: options[key] for key in (*HUB_OPTIONS, "subfolder") if key in options}
    return setting(_files, _exported(os.fspath(place), backend == "onnx-int8", known))


def _exported(place: str, int8: bool, options: dict[str, Any]) -> Iterator[str]:
    number = 0
    while name := exported_name(number := number + 1, int8):
        if not (file := cached_file(place, name, _raise_exceptions_for_missing_entries=False, **options)):
            command = f"docre export FOLDER{' --int8' * int8}"
            raise FileNotFoundError(f"{place} holds no {name}; write it into the model's folder by `{command}`")
        yield file


def next_exported() -> str | None:
    """The file of the next encoder of the model that is being built; None for an encoder in torch."""
    files = _files.get()
    return next(files) if files else None


class OnnxEncoder(nn.Module):
    """An encoder in ONNX Runtime, called like one of transformers: on the CPU, in float32, for inference only.

    It has no parameters, and runs on as many threads as torch has when it is built.

    Args:
        config: the encoder's configuration.
        file: the exported encoder.
    """

    dtype = torch.float32

    def __init__(self, config: PreTrainedConfig, file: str):
        super().__init__()
        _check(torch.device("cpu"), torch.get_default_dtype())
        self.config = copy.deepcopy(config)
        self.config._attn_implementation = "sdpa"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
        try:
            self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its own kinds, which say nothing of the way out
            raise ValueError(f"{file} cannot be loaded; write it anew by `docre export` ({error})") from error
        # Otherwise it hands back whole attention matrices.
        self._supports_attention_backend = "query" in {output.name for output in self.session.get_outputs()}

    def set_attn_implementation(self, name: str) -> None:
        """What the attention of the last layer is taken from, as of an encoder of transformers."""
        self.config._attn_implementation = name

    def _apply(self, fn: Any, recurse: bool = True) -> OnnxEncoder:
        moved = fn(torch.zeros(0))
        _check(moved.device, moved.dtype)
        return self

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        attention_sink: dict[str, Any] | None = None,
        output_attentions: bool = False,
    ) -> BaseModelOutput:
        """Hidden states [windows, length, hidden] of ids [windows, length]; the sink gets the last query and key.

        Raises:
            ValueError: the model is being trained, or is not on the CPU.
        """
        _check(input_ids.device, self.dtype)
        if self.training:
            raise ValueError("an encoder in ONNX Runtime cannot be trained; load the model without `backend`")
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        noted = ["attention"] if output_attentions else [] if attention_sink is None else ["query", "key"]
        arrays = {"input_ids": input_ids.numpy(), "attention_mask": mask.numpy()}
        hidden, *others = map(torch.from_numpy, self.session.run(["last_hidden_state", *noted], arrays))
        if attention_sink is not None:
            attention_sink |= {**dict(zip(noted, others, strict=True)), "scaling": 1.0, "dropout": 0.0, "causal": False}
            attention_sink["mask"] = None if attention_mask is None else mask[:, None, None].bool()
        return BaseModelOutput(hidden, attentions=tuple(others) if output_attentions else None)


def _check(device: torch.device, dtype: torch.dtype) -> None:
    """Refuse what ONNX Runtime's encoders do not compute in."""
    if (device.type, dtype) != ("cpu", torch.float32):
        wanted = f"{str(dtype).removeprefix('torch.')} on {device.type}"
        fix = 'give device="cpu" and no dtype, or leave out `backend`'
        raise ValueError(f"an encoder in ONNX Runtime computes in float32 on the CPU, not in {wanted}; {fix}")
