"""Measures which batches are fastest on a device: documents one by one, or several up to a number of subwords.

    python benchmarks/batches.py [--model DIR] [--device cuda] [--sentences] [--clock cpu --threads 1]

A batch is padded to its longest document. Sorted batches hold neighbours in length, as the library makes them; the
others take documents as they come. `--sentences` measures each sentence as a document of its own. All budgets take
turns; a budget's time is the median over the repetitions, from tokenised to predicted documents.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import synchronize
from benchmarks.report import table
from benchmarks.workload import default_data, read_documents
from modeling_docre import Document, Predictor
from modeling_docre.hub.resources import default_model
from modeling_docre.segments import token_batches

BUDGETS = (512, 1024, 2048, 4096, 8192)
ONE = "one document"


def batches_in_order(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Lists of positions of texts as they come, each of at most `max_tokens` subwords, padding included."""
    batch: list[int] = []
    for position in range(len(lengths)):
        longest = max((lengths[n] for n in [*batch, position]), default=0)
        if batch and longest * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def plans(lengths: Sequence[int], budgets: Sequence[int]) -> dict[str, list[list[int]]]:
    """The batches of each way to make them, by its name in the table."""
    made = {ONE: [[position] for position in range(len(lengths))]}
    for budget in budgets:
        made[f"{budget}, sorted"] = list(token_batches(lengths, budget))
        made[f"{budget}, as they come"] = list(batches_in_order(lengths, budget))
    return made


def measure(
    predictor: Predictor, documents: Sequence[Document], budgets: Sequence[int], repetitions: int, clock: str
) -> str:
    """A Markdown table: batches, documents per second, and the ratio to one document at a time."""
    features, device = predictor.featurizer(documents), predictor.model.device
    read = time.process_time if clock == "cpu" else time.perf_counter
    made = plans([len(item.input_ids) for item in features], budgets)
    seconds: dict[str, list[float]] = {name: [] for name in made}
    predictor.predict_batch(features[:1])
    for _ in range(repetitions):
        for name, batches in made.items():
            synchronize(device)
            started = read()
            for batch in batches:
                predictor.predict_batch([features[position] for position in batch])
            synchronize(device)
            seconds[name].append(read() - started)
    rates = {name: len(features) / float(np.median(values)) for name, values in seconds.items()}
    head = ["subwords per batch", "batches", f"documents per {clock} second", "ratio to one document"]
    rows = ([name, str(len(made[name])), f"{rate:.2f}", f"{rate / rates[ONE]:.2f}"] for name, rate in rates.items())
    return table(head, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=default_model(), help="folder of a trained model; the bundled one if absent")
    parser.add_argument("--data", type=Path, help="DocRED JSON, or .jsonl of Document dicts")
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--sentences", action="store_true", help="measure each sentence as a document")
    parser.add_argument("--budgets", type=int, nargs="+", default=list(BUDGETS), help="subwords per batch")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: of the process, on a busy machine"
    )
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    documents = read_documents(options.data or default_data())[: options.documents]
    if options.sentences:
        documents = [Document(f"{item.id} {n}", (line,)) for item in documents for n, line in enumerate(item.sentences)]
    model = AutoModel.from_pretrained(options.model).to(options.device)
    predictor = Predictor(model, AutoTokenizer.from_pretrained(options.model))
    print(measure(predictor, documents, options.budgets, options.repetitions, options.clock))


if __name__ == "__main__":
    main()
