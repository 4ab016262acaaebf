"""A model at work on many documents: batches by subwords, and a document that fails does so alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from transformers import AutoModel, pipeline

import modeling_docre.hub.registration  # noqa: F401 (registers the systems)
from modeling_docre.annotations.sources import Source
from modeling_docre.hub.loading import model_named
from modeling_docre.pipeline_docre import TASK, length_of
from modeling_docre.segments import token_batches

MAX_TOKENS = 2048
"""Subwords per batch, padding included."""


class Extraction(NamedTuple):
    """What became of an input: its graph, or why there is none.

    Args:
        id: that of the input; None where it has none.
        graph: as the pipeline gives it.
        error: why the document failed.
    """

    id: str | None
    graph: dict[str, Any] | None
    error: Exception | None = None


class Extractor:
    """Extracts the graphs of documents, in batches of documents of similar length.

    Args:
        model: folder or Hub name of a trained model.
        max_tokens: subwords per batch, padding included; a longer document forms a batch of its own.
        device: of the model, as for `pipeline`; by default an accelerator, if there is one.
        dtype: of the model, such as `bfloat16`; by default float32.
        backend: of the encoder, `onnx` or `onnx-int8`, which run on the processor; by default torch.
        **options: `threshold` and `relations`, as for a call of the pipeline.

    Raises:
        OSError: the model cannot be loaded.
        ImportError: the backend needs the extra `onnx`.
        ValueError: an option has no such value.
    """

    def __init__(
        self,
        model: str,
        max_tokens: int = MAX_TOKENS,
        device: str | None = None,
        dtype: str | None = None,
        backend: str | None = None,
        **options: Any,
    ):
        if backend and backend != "torch":
            device = device or "cpu"
        chosen = {"backend": backend} if backend else {}
        with model_named(model):
            # A pipeline that loads the model answers errors by trying float32, and then with two tracebacks.
            loaded = AutoModel.from_pretrained(model, dtype=dtype or "auto", **chosen)
            self.pipeline: Any = pipeline(TASK, model=loaded, tokenizer=model, device=device)
        self.model, self.max_tokens = model, max_tokens
        _, self._deciding, self._choosing = self.pipeline._sanitize_parameters(**options)

    def __call__(self, sources: Sequence[Source]) -> list[Extraction]:
        """What became of each input, in order.

        Raises:
            torch.AcceleratorError: the device is broken, so that no further document could succeed.
        """
        results, prepared = {}, {}
        for position, source in enumerate(sources):
            try:
                prepared[position] = self._prepare(source)
            except Exception as error:
                results[position] = Extraction(source.id, None, error)
        for batch in self._batches(prepared):
            predicted = self._predict([prepared[position] for position in batch])
            for position, result in zip(batch, predicted, strict=True):
                results[position] = self._finish(sources[position], result)
        return [results[position] for position in range(len(sources))]

    def _prepare(self, source: Source) -> dict[str, Any]:
        if source.error is not None:
            raise source.error
        content = source.content
        if isinstance(content, str) and source.id is not None:
            content = {"id": source.id, "text": content}
        return self.pipeline.preprocess(content, entities=source.entities)

    def _batches(self, prepared: dict[int, dict[str, Any]]) -> list[list[int]]:
        """Positions of inputs about which the same is known, neighbours in length together."""

        def given(position: int) -> str:
            return prepared[position]["given"] or ""

        batches = []
        for _, group in groupby(sorted(prepared, key=given), key=given):
            positions = list(group)
            lengths = [length_of(prepared[position]) for position in positions]
            batches += [[positions[item] for item in batch] for batch in token_batches(lengths, self.max_tokens)]
        return batches

    def _predict(self, inputs: list[dict[str, Any]]) -> list[Any]:
        """A predicted document, or the error, for each input; after an error of a batch each is tried alone."""
        try:
            return self.pipeline.forward(inputs, **self._deciding)
        except torch.AcceleratorError:
            raise
        except Exception as error:
            return [error] if len(inputs) == 1 else [self._predict([item])[0] for item in inputs]

    def _finish(self, source: Source, result: Any) -> Extraction:
        if isinstance(result, Exception):
            return Extraction(source.id, None, result)
        return Extraction(source.id, self.pipeline.postprocess(result, **self._choosing))
