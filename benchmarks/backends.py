"""Compares the number formats and runtimes in which a model's encoder can run, in turns on the same documents.

    python benchmarks/backends.py [CHECKPOINT] --data FILE [--documents N] [--threads N] [--backends NAME ...]

CHECKPOINT is the folder of a model of any system, by default the bundled model. Each document is read alone by each
backend, the order of the backends rotates, and the first document is read once before the timing starts. Times go
from tokenised documents to predicted documents, so they hold what is not the encoder as well. `docre export` runs in a
copy of the folder.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from transformers import pipeline

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_scripts.building.loading import CorpusArguments, load_corpus
from metrics.docre_f1.scores import compute_scores
from modeling_docre import Document
from modeling_docre.hub.onnx_export import export_encoders
from modeling_docre.hub.resources import default_model
from modeling_docre.pipeline_docre import TASK
from modeling_docre.predictor import Predictor

BACKENDS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"dtype": torch.bfloat16},
    "onnx": {"backend": "onnx"},
    "onnx-int8": {"backend": "onnx-int8"},
}
"""What a pipeline's `model_kwargs` are for each backend; the first is what the others are compared with."""


class Result(NamedTuple):
    """What a backend predicts of each document, and the seconds it takes for all, of the processor and by the clock."""

    documents: list[Document]
    cpu: float
    wall: float


def run_in_turns(predictors: Mapping[str, Predictor], documents: Sequence[Document]) -> dict[str, Result]:
    """Predict each document by each of the backends.

    Args:
        predictors: the model by the name of its backend.
        documents: what is read, one by one.
    """
    names = list(predictors)
    results = {name: Result([], 0.0, 0.0) for name in names}
    prepared = next(iter(predictors.values())).featurizer(documents)
    for predictor in predictors.values():
        predictor.predict_batch(prepared[:1])
    for number, features in enumerate(prepared):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            cpu, wall = time.process_time(), time.perf_counter()
            predicted = predictors[name].predict_batch([features])
            known = results[name]
            cpu, wall = known.cpu + time.process_time() - cpu, known.wall + time.perf_counter() - wall
            results[name] = Result(known.documents + predicted, cpu, wall)
    return results


def table(results: Mapping[str, Result], references: Sequence[Document], sizes: Mapping[str, int], given: bool) -> str:
    """Markdown rows: strict relation F1 in percent, documents per second, both relative to the first row, and sizes.

    Args:
        results: by the name of the backend.
        references: the annotated documents.
        sizes: bytes of the file that the encoder is read from, by backend.
        given: whether entities are given.
    """
    lines = [
        "| backend | relation F1 | change | documents / CPU second | relative | documents / second | relative | MB |",
        f"| --- |{' ---: |' * 7}",
    ]
    first: Any = None
    for name, result in results.items():
        f1 = 100 * compute_scores(result.documents, references, entities_given=given)["relation_f1"]
        first = first or (f1, result)
        cpu, wall = len(references) / result.cpu, len(references) / result.wall
        relative = first[1].cpu / result.cpu, first[1].wall / result.wall
        times = f"{cpu:.1f} | {relative[0]:.2f} | {wall:.1f} | {relative[1]:.2f}"
        lines.append(f"| {name} | {f1:.2f} | {f1 - first[0]:+.2f} | {times} | {sizes[name] / 1e6:.0f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of a model on the documents of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default=default_model(), help="folder of a saved model")
    parser.add_argument("--data", required=True, help="annotated documents, in DocRED's JSON or the package's own")
    parser.add_argument("--documents", type=int, help="use only the first documents of the file")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and of ONNX Runtime")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    options = parser.parse_args(arguments)
    if options.checkpoint is None:
        parser.error("this checkout has no bundled model; name one")
    torch.set_num_threads(options.threads)
    documents = load_corpus(CorpusArguments(test_file=options.data)).splits["test"][: options.documents]
    with TemporaryDirectory() as folder:
        copied = Path(shutil.copytree(options.checkpoint, Path(folder) / "model"))
        predictors, sizes = {}, {}
        for name in options.backends:
            files = list(copied.glob("*.safetensors"))
            if name.startswith("onnx"):
                files = export_encoders(copied, int8=name == "onnx-int8")
            sizes[name] = sum(file.stat().st_size for file in files)
            pipe = pipeline(TASK, model=str(copied), device="cpu", model_kwargs=dict(BACKENDS[name]))
            predictors[name] = pipe.predictor
        results = run_in_turns(predictors, documents)
    given = next(iter(predictors.values())).config.traits.entities_given
    print(f"{len(documents)} documents, {options.threads} thread{'s' * (options.threads > 1)}\n")
    print(table(results, documents, sizes, given))


if __name__ == "__main__":
    main()
