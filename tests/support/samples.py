"""Small documents with known oddities, and batches made of documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tiny import tiny_tokenizer

from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.documents import Document, Entity, Mention, Relation
from modeling_docre.features import Features, Featurizer
from modeling_docre.model_inputs import candidate_example, given_example
from modeling_docre.training.arguments import SamplingArguments
from modeling_docre.training.sampling import training_example
from modeling_docre.training.training_inputs import TrainingCollator


def build(
    name: str,
    sentences: Sequence[str],
    entities: Sequence[tuple[str, Sequence[tuple[int, int, int]]]] = (),
    relations: Sequence[tuple[int, int, str]] = (),
) -> Document:
    """A document from sentences with blanks between words, (type, [(sentence, start, end)]) and (head, tail, type)."""
    return Document(
        name,
        tuple(tuple(sentence.split(" ")) if sentence else () for sentence in sentences),
        tuple(Entity(kind, tuple(Mention(*span) for span in spans)) for kind, spans in entities),
        tuple(Relation(*relation) for relation in relations),
    )


ANNA = build(
    "anna",
    ["anna b was born in berlin .", "she works in ulm .", "ulm is a seat of x9 ."],
    [
        ("PER", [(0, 0, 2), (1, 0, 1)]),
        ("LOC", [(0, 5, 6)]),
        ("LOC", [(1, 3, 4), (2, 0, 1)]),
        ("ORG", [(2, 5, 6)]),
    ],
    [(0, 1, "born"), (0, 2, "works"), (0, 2, "born"), (3, 2, "seat")],
)
OTTO = build(
    "otto",
    ["otto k is of bern", "he works and works in bern"],
    [("PER", [(0, 0, 2), (1, 0, 1)]), ("LOC", [(0, 4, 5), (1, 5, 6)])],
    [(0, 1, "works")],
)
LONG = build(
    "long",
    ["anna abcdefgh lives in berlin ."] * 9,
    [("PER", [(0, 0, 1), (8, 0, 1)]), ("LOC", [(4, 4, 5)])],
    [(0, 1, "born")],
)
# Of two and of three windows of the tiny encoder, which has 64 positions; those above have one.
TWO_WINDOWS = build(
    "two windows",
    [
        "anna b was born in berlin .",
        "she works in ulm and bern " + " ".join(["and she is of the seat"] * 4),
        "x9 y8 z7",
    ],
    [("PER", [(0, 0, 2), (1, 0, 1)]), ("LOC", [(0, 5, 6)]), ("LOC", [(1, 3, 4), (1, 5, 6)]), ("ORG", [(2, 0, 1)])],
    [(0, 1, "born"), (0, 2, "works"), (0, 2, "born"), (3, 2, "seat")],
)
THREE_WINDOWS = build(
    "three windows",
    ["anna b was born in berlin , ulm or bern or basel ."] * 6,
    [("PER", [(0, 0, 2), (2, 0, 2), (5, 0, 1)]), ("LOC", [(0, 5, 6), (1, 7, 8)]), ("LOC", [(5, 11, 12)])],
    [(0, 1, "works"), (2, 0, "seat")],
)
_ALL = [(head, tail, "born") for head in range(3) for tail in range(3) if head != tail]
ODD_DOCUMENTS = [
    build("no sentence", []),
    build("only empty sentences", ["", ""]),
    build("no entities", ["a b c", "d"]),
    build("one entity", ["a b c"], [("PER", [(0, 0, 1)])]),
    build("one entity of two mentions", ["a b c"], [("PER", [(0, 0, 1), (0, 2, 3)])]),
    build("no relations", ["a b c"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 3)])]),
    build("every pair related", ["a b c"], [("PER", [(0, n, n + 1)]) for n in range(3)], _ALL),
    build("an empty sentence", ["a b", "", "c d"], [("PER", [(0, 0, 1)]), ("LOC", [(2, 1, 2)])], [(0, 1, "born")]),
    build("unknown words only", ["日 本 語", "日 日"], [("PER", [(0, 0, 2)]), ("LOC", [(1, 1, 2)])], [(1, 0, "seat")]),
    build("one word", ["a"], [("PER", [(0, 0, 1)])]),
    build("a duplicated mention", ["a b"], [("PER", [(0, 0, 1), (0, 0, 1)]), ("LOC", [(0, 0, 1)])]),
    build("a long mention", ["a " * 14 + "b"], [("PER", [(0, 0, 13)]), ("ORG", [(0, 2, 4)])], [(0, 1, "seat")]),
    build("nested mentions", ["a b c d"], [("PER", [(0, 0, 4)]), ("ORG", [(0, 1, 2), (0, 2, 4)])], [(1, 0, "seat")]),
    Document("blank words", (("", " ", "a", "\u00a0"),), (Entity("PER", (Mention(0, 0, 2),)),)),
]


def featurize(documents: Sequence[Document], config: DocREConfig) -> list[Features]:
    """Features of documents with the tiny tokenizer."""
    return Featurizer(tiny_tokenizer(), config)(documents)


def batch(
    documents: Sequence[Document], config: DocREConfig, kind: str = "training", seed: int = 0, **negatives: Any
) -> dict[str, Any]:
    """A batch of documents: `"training"` samples, `"candidates"`, or what is given (see `given_example`)."""
    featurizer = Featurizer(tiny_tokenizer(), config)
    examples = []
    for features in featurizer(documents):
        if kind == "training":
            generator = np.random.default_rng(seed)
            examples.append(training_example(features, config, SamplingArguments(**negatives), generator))
        elif kind == "candidates":
            examples.append(candidate_example(features, config, featurizer))
        else:
            examples.append(given_example(features, config, featurizer, kind))
    return TrainingCollator()(examples)


def per_document(output, made) -> list[dict[str, torch.Tensor]]:
    """Logits document by document."""
    results = []
    for number in range(len(made["document_lengths"])):
        part = {}
        if output.mention_logits is not None:
            part["mention"] = output.mention_logits[made["spans"]["document"] == number]
        if output.entity_type_logits is not None:
            part["entity"] = output.entity_type_logits[output.entity_documents == number]
        owners = output.entity_documents[output.pairs[:, 0]]
        part["relation"] = output.relation_logits[owners == number]
        results.append(part)
    return results
