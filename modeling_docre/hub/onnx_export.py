"""Writes a model's encoders for ONNX Runtime, in float32 or with 8-bit integers, into `onnx/` beside its weights."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from modeling_docre.encoder import DocumentEncoder
from modeling_docre.encoder_attention import NOTING_SDPA, AttendedEncoder, run_keeping_attention
from modeling_docre.encoder_onnx import OnnxEncoder, exported_name
from modeling_docre.letter_case import CASES, CasedEmbedding

from .loading import model_named

OPSET = 17
# The second layers of the feed-forward networks that stay in float32 with 8-bit integers (see docs/backends.md).
KEPT_IN_FLOAT = re.compile(r"/layer\.[01]/(output/dense|ffn/lin2)/MatMul$")
# Subwords of a row in the check of an exported encoder: more than the windows of local attention hold.
CHECKED_LENGTH = 160
TOLERANCE = 1e-3


def export_encoders(folder: str | Path, int8: bool = False) -> list[Path]:
    """Write the encoders of a saved model, from which `from_pretrained(folder, backend="onnx")` takes them.

    Each is compared with torch's before it is written; with `int8` that is done before the rounding.

    Args:
        folder: the folder of a saved model.
        int8: whether the layers' weights become 8-bit integers, and their inputs while the model runs (`onnx-int8`).

    Returns:
        The files, `onnx/encoder.onnx` or `onnx/encoder_int8.onnx`, with a number where a model has several encoders.

    Raises:
        FileNotFoundError: there is no such folder, or no model in it.
        ImportError: the extra `onnx` is not installed.
        ValueError: the model is none of the systems, or its encoder cannot be exported.
    """
    with _extra_onnx():
        import onnx  # noqa: F401 (torch's exporter needs it)
        import onnxruntime  # noqa: F401
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is no folder; download the model, and name its folder")
    with model_named(str(folder)):
        model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    encoders = [module for module in model.modules() if isinstance(module, DocumentEncoder)]
    if not encoders:
        raise ValueError(f"{folder} holds a {type(model).__name__}, which is none of the systems; name a trained one")
    written = []
    for number, encoder in enumerate(encoders, 1):
        file = Path(folder) / exported_name(number, int8)
        file.parent.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=file.parent, prefix=".writing-") as drafts:
            draft, rounded = Path(drafts) / "float32.onnx", Path(drafts) / "int8.onnx"
            _export(encoder, draft)
            _compare(encoder, draft)
            if int8:
                _round_weights(draft, rounded)
            os.replace(rounded if int8 else draft, file)
        written.append(file)
    return written


@contextmanager
def _extra_onnx() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        fix = "install it by pip install 'modeling-docre[onnx]'"
        raise ImportError(f"the export needs {error.name}; {fix}", name=error.name) from error


class _Traced(nn.Module):
    """An encoder whose results are tensors: hidden states and, if its attention is read, what that is computed from."""

    def __init__(self, encoder: DocumentEncoder):
        super().__init__()
        self.model: PreTrainedModel = encoder.model
        self.outputs = ["last_hidden_state"]
        if isinstance(encoder, AttendedEncoder):
            fused = self.model.config._attn_implementation == NOTING_SDPA
            self.outputs += ["query", "key"] if fused else ["attention"]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        run = partial(self.model, input_ids, attention_mask=attention_mask)
        if "query" in self.outputs:
            noted: dict[str, Tensor] = {}
            hidden = run(attention_sink=noted).last_hidden_state
            return hidden, noted["query"] * noted["scaling"], noted["key"]
        output = run(output_attentions="attention" in self.outputs)
        return (output.last_hidden_state, *(output.attentions[-1:] if "attention" in self.outputs else ()))


def _sample(encoder: DocumentEncoder, lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Random ids [windows, longest] of windows of some lengths, and their mask."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    cased = isinstance(encoder.model.get_input_embeddings(), CasedEmbedding)
    known = encoder.model.config.vocab_size * (CASES if cased else 1)
    ids = torch.randint(known, mask.shape, generator=torch.Generator().manual_seed(0))
    return ids.masked_fill(mask == 0, encoder.pad_token_id), mask


@torch.inference_mode()
def _export(encoder: DocumentEncoder, file: Path) -> None:
    traced = _Traced(encoder).eval()
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "windows", 1: "length"} for name in (*names, "last_hidden_state")}
    axes |= {"query": {0: "windows", 2: "length"}, "key": {0: "windows", 2: "length"}}
    axes |= {"attention": {0: "windows", 2: "length", 3: "length"}}
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                traced,
                _sample(encoder, [24, 17]),
                str(file),
                dynamo=False,
                opset_version=OPSET,
                input_names=names,
                output_names=traced.outputs,
                dynamic_axes={name: axes[name] for name in (*names, *traced.outputs)},
            )
        except Exception as error:  # whatever an operator, or the code of an encoder, does not allow
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"{type(encoder.model).__name__} cannot be exported to ONNX: {reason}") from error


@torch.inference_mode()
def _compare(encoder: DocumentEncoder, file: Path) -> None:
    """Refuse an export that gives something else for other windows than those it was traced with."""
    exported = OnnxEncoder(encoder.model.config, str(file)).eval()
    longest = min(encoder.window or CHECKED_LENGTH, CHECKED_LENGTH)
    ids, mask = _sample(encoder, [longest, longest // 2, 1])
    results = []
    for model in (encoder.model, exported):
        if isinstance(encoder, AttendedEncoder):
            exported.set_attn_implementation(encoder.model.config._attn_implementation)
            hidden, rows_of = run_keeping_attention(model, ids, mask)
            rows = rows_of(*mask.nonzero(as_tuple=True))
        else:
            hidden = rows = model(ids, attention_mask=mask).last_hidden_state
        results.append((hidden[mask.bool()], rows))
    for wanted, found in zip(*results, strict=True):
        if wanted.shape != found.shape or not torch.allclose(wanted, found, rtol=TOLERANCE, atol=TOLERANCE):
            name = type(encoder.model).__name__
            raise ValueError(f"{name} cannot be exported to ONNX: the export computes something else than the encoder")


def _round_weights(source: Path, target: Path) -> None:
    """Write an exported encoder with 8-bit integers: weights with a scale per channel, inputs with one per tensor.

    Embeddings and linear layers are rounded, all but two; products of attention, softmax and normalisation are not.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kept = [node.name for node in onnx.load(source).graph.node if KEPT_IN_FLOAT.search(node.name)]
    layers, integers = ["MatMul", "Gather"], QuantType.QInt8
    with _quiet():
        quantize_dynamic(source, target, layers, per_channel=True, weight_type=integers, nodes_to_exclude=kept)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice of libraries that the caller cannot follow."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
