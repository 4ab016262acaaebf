"""Keeps what a teacher said of a corpus in a small file without text, and makes the labelled documents of it again.

    python benchmarks/label_scores.py pack LABELLED.jsonl.gz SCORES.npz
    python benchmarks/label_scores.py unpack SCORES.npz CORPUS --data_dir DIR [--config NAME] --out FILE.jsonl.gz

LABELLED holds documents as `docre label` writes them. SCORES holds, by document id and entity positions, the soft
relations, which of them became relations, and the sentence weights of pairs. CORPUS is a corpus of the package whose
documents have the same ids and entities. Unpacking gives the documents of LABELLED again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_scripts.building.loading import CorpusArguments, load_corpus
from modeling_docre.annotations.growing_file import GrowingFile
from modeling_docre.annotations.records import iter_records
from modeling_docre.documents import Document, Relation, SoftRelation

Packed = dict[str, np.ndarray]


def pack(documents: Sequence[Document]) -> Packed:
    """The labels of documents as arrays.

    Returns:
        `ids` [documents] str, `types` and `labels` [types] str; `soft` [soft relations, 4] uint16 with document, head,
        tail and type, and their `scores` float32; `added` [relations of the teacher] uint32, positions in `soft`;
        `pairs` [pairs with sentence weights, 3] uint16 with document, head and tail, and `weights` float16, those of
        all their sentences one after the other.
    """
    labels: dict[str, str] = {}
    soft: list[tuple[int, int, int, int]] = []
    pairs: list[tuple[int, int, int]] = []
    scores: list[float] = []
    weights: list[float] = []
    added: list[int] = []
    types = sorted({item.type for document in documents for item in document.soft_relations or ()})
    number_of = {kind: number for number, kind in enumerate(types)}
    for number, document in enumerate(documents):
        place: dict[tuple[int, int, str], int] = {}
        for item in document.soft_relations or ():
            place[item.head, item.tail, item.type] = len(soft)
            soft.append((number, item.head, item.tail, number_of[item.type]))
            scores.append(item.score)
        known: set[tuple[int, int]] = set()
        for relation in document.relations:
            if relation.origin == "model":
                labels[relation.type] = relation.label or ""
                added.append(place[relation.head, relation.tail, relation.type])
            if relation.sentence_weights is not None and (relation.head, relation.tail) not in known:
                known.add((relation.head, relation.tail))
                pairs.append((number, relation.head, relation.tail))
                weights.extend(relation.sentence_weights)
    return {
        "ids": np.array([document.id for document in documents], dtype=str),
        "types": np.array(types, dtype=str),
        "labels": np.array([labels.get(kind, "") for kind in types], dtype=str),
        "soft": np.array(soft, dtype=np.uint16).reshape(-1, 4),
        "scores": np.array(scores, dtype=np.float32),
        "added": np.array(added, dtype=np.uint32),
        "pairs": np.array(pairs, dtype=np.uint16).reshape(-1, 3),
        "weights": np.array(weights, dtype=np.float16),
    }


def unpack(packed: Packed, documents: Iterable[Document]) -> Iterator[Document]:
    """The documents with the labels.

    Raises:
        ValueError: a document of the file is not in the corpus.
    """
    by_id = {document.id: document for document in documents}
    if missing := [name for name in packed["ids"].tolist() if name not in by_id]:
        raise ValueError(f"the corpus lacks the document {missing[0]!r}; give the corpus that was labelled")
    # float32 has the four digits of a stored score, and a little noise behind them.
    scores = np.round(packed["scores"].astype(np.float64), 4).tolist()
    soft, pairs = packed["soft"].tolist(), packed["pairs"].tolist()
    types, labels = packed["types"].tolist(), packed["labels"].tolist()
    added = set(packed["added"].tolist())
    soft_starts = np.searchsorted(packed["soft"][:, 0], np.arange(len(packed["ids"]) + 1))
    pair_starts = np.searchsorted(packed["pairs"][:, 0], np.arange(len(packed["ids"]) + 1))
    first_weight = 0
    for number, name in enumerate(packed["ids"].tolist()):
        document, weights = by_id[name], {}
        for _, head, tail in pairs[pair_starts[number] : pair_starts[number + 1]]:
            values = packed["weights"][first_weight : first_weight + len(document.sentences)]
            weights[head, tail] = tuple(float(str(value)) for value in values)
            first_weight += len(document.sentences)
        here = range(soft_starts[number], soft_starts[number + 1])
        kept = [replace(item, origin="human") for item in document.relations if item.origin != "model"]
        for place in here:
            if place in added:
                _, head, tail, kind = soft[place]
                kept.append(Relation(head, tail, types[kind], labels[kind] or None, scores[place], origin="model"))
        yield replace(
            document,
            relations=tuple(replace(item, sentence_weights=weights.get((item.head, item.tail))) for item in kept),
            soft_relations=tuple(_soft_relation(soft[place], types, scores[place]) for place in here),
        )


def _soft_relation(row: Sequence[int], types: Sequence[str], score: float) -> SoftRelation:
    _, head, tail, kind = row
    return SoftRelation(head, tail, types[kind], score)


def main(arguments: Sequence[str] | None = None) -> None:
    """Pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    packing = actions.add_parser("pack")
    packing.add_argument("labelled", type=Path)
    packing.add_argument("scores", type=Path)
    unpacking = actions.add_parser("unpack")
    unpacking.add_argument("scores", type=Path)
    unpacking.add_argument("corpus")
    unpacking.add_argument("--config")
    unpacking.add_argument("--data_dir", required=True)
    unpacking.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.action == "pack":
        packed = pack([Document.from_dict(record) for record in iter_records(options.labelled)])
        np.savez_compressed(options.scores, allow_pickle=False, **packed)
        print(f"{len(packed['ids'])} documents, {len(packed['soft'])} scores, {options.scores.stat().st_size} bytes")
        return
    with np.load(options.scores, allow_pickle=False) as file:
        packed = dict(file)
    corpus = CorpusArguments(options.corpus, options.config, options.data_dir, validation_split="none")
    _write(options.out, unpack(packed, load_corpus(corpus).splits["train"]), {"scores": options.scores.name})


def _write(file: Path, documents: Iterator[Document], settings: dict[str, Any]) -> None:
    output = GrowingFile(file)
    output.begin(settings)
    output.append([document.to_dict() for document in documents])
    output.finish()
    print(json.dumps(settings | {"out": file.name}))


if __name__ == "__main__":
    main()
