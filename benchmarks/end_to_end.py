"""Measures where the time of the pipeline goes, text in and dict out, and the share of it that the encoder takes.

    python benchmarks/end_to_end.py [--model DIR] [--texts 100] [--clock cpu --threads 1]

The texts are the words of documents joined by spaces. The pipeline reads them with its default arguments, and a clock
charges all time to one step at a time, so the encoder's share is the pipeline's speed beside the bare encoder that
reads the same subwords in the same run. Each step's time is its median over the repetitions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from transformers import pipeline

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import table
from benchmarks.stage_clock import REST, StageClock
from benchmarks.workload import default_data, read_documents
from modeling_docre import Document, pipeline_docre, predictor
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.features import Featurizer
from modeling_docre.hub.resources import default_model

ENCODER = "encoder"


def text_of(document: Document) -> str:
    """The document's words joined by spaces."""
    return " ".join(word for sentence in document.sentences for word in sentence)


def _places(extract: Any) -> list[tuple[Any, str, str]]:
    """The functions of the pipeline's steps: owner, name, step."""
    encoders = (module for module in extract.model.modules() if isinstance(module, DocumentEncoder))
    return [
        (pipeline_docre, "document_from_text", "words and sentences"),
        (Featurizer, "__call__", "subwords"),
        (Featurizer, "warn_of_script", "subwords"),
        (extract.predictor, "example", "candidates and collation"),
        (extract.predictor, "collator", "candidates and collation"),
        *((encoder, "forward", ENCODER) for encoder in encoders),
        (extract.model, "forward", "stages beside the encoder"),
        (predictor, "decode", "decoding"),
        (extract, "postprocess", "dict"),
    ]


@contextmanager
def watched(extract: Any, clock: StageClock) -> Iterator[None]:
    """Put the clock on the steps of a pipeline for the duration of the block."""
    with ExitStack() as stack:
        for owner, name, step in _places(extract):
            stack.enter_context(patch.object(owner, name, clock.timed(getattr(owner, name), step)))
        yield


def step_seconds(
    extract: Any, texts: Sequence[str], repetitions: int, read: Any = time.perf_counter
) -> dict[str, float]:
    """Seconds of each step for all texts, after one untimed text."""
    steps = [*dict.fromkeys(step for _, _, step in _places(extract)), REST]
    runs = []
    extract(texts[0])
    for _ in range(repetitions):
        clock = StageClock(extract.model.device, read)
        with watched(extract, clock):
            extract(list(texts))
            clock.switch(REST)
        runs.append([clock.seconds.get(step, 0.0) for step in steps])
    return dict(zip(steps, np.median(runs, axis=0).tolist(), strict=True))


def markdown(seconds: dict[str, float], texts: int) -> str:
    """A table of the steps, and a line with the encoder's share."""
    total = sum(seconds.values())
    rows = [(step, f"{1000 * value / texts:.2f}", f"{100 * value / total:.1f} %") for step, value in seconds.items()]
    rows.append(("all", f"{1000 * total / texts:.2f}", "100 %"))
    share = f"Beside the bare encoder on the same subwords: {seconds[ENCODER] / total:.2f} of its speed."
    return f"{table(['step', 'ms per text', 'share'], rows)}\n\n{share}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=default_model(), help="folder of a trained model; the bundled one if absent")
    parser.add_argument("--data", type=Path, help="DocRED JSON, or .jsonl of Document dicts")
    parser.add_argument("--texts", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: of the process, on a busy machine"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    texts = [text_of(document) for document in read_documents(options.data or default_data())[: options.texts]]
    extract = pipeline("doc-relation-extraction", model=options.model)
    read = time.process_time if options.clock == "cpu" else time.perf_counter
    print(markdown(step_seconds(extract, texts, options.repetitions, read), len(texts)))


if __name__ == "__main__":
    main()
