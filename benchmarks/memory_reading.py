"""Shows what the slots of a memory read: the subwords of a document that get their weight.

    python benchmarks/memory_reading.py --checkpoint DIR --data FILE [--documents 3] [--top 5]

DIR holds a trained memory-enhanced JEREX that reads at the token level, FILE documents in DocRED's JSON or, as
`.jsonl`, Document dicts. Each slot spreads a weight of 1 over the subwords of a document. The table of a document has
the slots of its gold relation types and of the entity types. It shows the words with the most weight, and the number of
subwords over which the weight is spread (the exponential of its entropy: all subwords if the weights are equal).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workload import read_documents
from modeling_docre import Document, MemoryJerexModel, Predictor
from modeling_docre.features import Features


def token_weights(predictor: Predictor, features: Features) -> dict[str, Tensor]:
    """The weight [subwords, slots] that each slot gives to each subword of a document, by memory.

    Raises:
        ValueError: the model does not read memories at the token level.
    """
    model: Any = predictor.model
    reader = dict(model.readers.items()).get("tokens")
    if reader is None:
        raise ValueError("this model reads no memory at the token level; give one trained with tokens in read_levels")
    if not model.config.memory_reading:
        raise ValueError(
            "this model does not read its memories yet (memory_reading is false): its best epoch came before the end "
            "of the warm-up; train longer, or with a smaller memory_warmup_ratio"
        )
    by_memory: dict[str, Tensor] = {}

    def keep(module: Any, arguments: tuple[Any, ...], result: Any) -> None:
        rows, documents, count, memories = arguments
        for (name, query), memory in zip(module.queries.items(), memories, strict=True):
            by_memory[name] = module.slot_weights(rows, documents, count, query, memory)

    hook = reader.register_forward_hook(keep)
    try:
        predictor.run([features])
    finally:
        hook.remove()
    return by_memory


def word_weights(features: Features, weights: Tensor) -> np.ndarray:
    """The weight of each word, [words, slots]: the sum over its subwords."""
    sums = np.concatenate([np.zeros((1, weights.shape[1])), weights.double().cpu().numpy().cumsum(0)])
    return sums[features.word_ranges[:, 1]] - sums[features.word_ranges[:, 0]]


def rows(predictor: Predictor, document: Document, top: int) -> Iterator[list[str]]:
    """The table's rows: memory, slot, spread over, and the words with the most weight."""
    features = predictor.featurizer([document])[0]
    words = [word for sentence in document.sentences for word in sentence]
    config: Any = predictor.config
    types = {"entity": config.entity_types, "relation": config.relation_types}
    stated = {relation.type for relation in document.relations}
    for memory, weights in token_weights(predictor, features).items():
        spread = torch.exp(torch.special.entr(weights.double()).sum(0)).tolist()  # [slots]
        by_word = word_weights(features, weights)
        for slot, name in enumerate(types[memory]):
            if memory == "entity" or name in stated:
                best = by_word[:, slot].argsort()[::-1][:top]
                top_words = ", ".join(f"{words[index]} {by_word[index, slot]:.3f}" for index in best)
                label = config.relation_labels.get(name, name) if memory == "relation" else name
                yield [memory, label, f"{spread[slot]:.0f}", top_words]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=3)
    parser.add_argument("--top", type=int, default=5)
    options = parser.parse_args(arguments)
    model = MemoryJerexModel.from_pretrained(options.checkpoint)
    predictor = Predictor(model, AutoTokenizer.from_pretrained(options.checkpoint))
    for document in read_documents(options.data)[: options.documents]:
        subwords = len(predictor.featurizer([document])[0].input_ids)
        print(f"**{document.id}**, {subwords} subwords\n")
        print("| memory | slot | spread over | most weight |\n| --- | --- | --- | --- |")
        for row in rows(predictor, document, options.top):
            print(f"| {' | '.join(row)} |")
        print()


if __name__ == "__main__":
    main()
