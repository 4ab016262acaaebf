"""Measures how well key mention pairs agree with evidence sentences, and how many mention pairs are key.

    python benchmarks/key_mention_pairs.py --data FILE CHECKPOINT [CHECKPOINT ...]

Each CHECKPOINT is the folder of a trained KMGRE. FILE holds documents with evidence sentences in DocRED's JSON or, as
`.jsonl`, Document dicts. Only gold relations with evidence and more than one mention pair count. A mention pair is
*in evidence* if both its mentions are in evidence sentences of the relation. The rows are

- **all**: every mention pair, the base rate;
- **labelled**: those that the extractor's probabilities label key for the relation (the pseudo labels of the E-step);
- **selected**: those that the key instance classifier selects at inference.

*Precision* is the share of the chosen mention pairs that are in evidence, *recall* the share of those in evidence that
are chosen, both over all mention pairs together. *AUC* is the mean over the relations of the probability that a mention
pair in evidence scores higher than one that is not (ties count half). For the pseudo labels the score is the
extractor's probability of the relation, otherwise the probability of being key.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from transformers import AutoTokenizer

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workload import read_documents
from modeling_docre import Document, KmgreModel, Predictor
from modeling_docre.candidates import Entities, Spans, Text, mention_pairs
from modeling_docre.stage_key_pairs import assign_labels, select_key_pairs


@dataclass(frozen=True)
class Choice:
    """The mention pairs of a gold relation, each list [mention pairs].

    Args:
        in_evidence: whether both mentions are in evidence sentences.
        labelled: whether its pseudo label for the relation is key.
        selected: whether the key instance classifier selects it.
        relation_scores: the extractor's probability of the relation.
        key_scores: the probability of being key.
    """

    in_evidence: np.ndarray
    labelled: np.ndarray
    selected: np.ndarray
    relation_scores: np.ndarray
    key_scores: np.ndarray


def choices(model: Any, predictor: Predictor, document: Document) -> Iterator[Choice]:
    """Yield the mention pairs of each gold relation with evidence and more than one mention pair."""
    relations = [relation for relation in document.relations if relation.evidence]
    if not relations:
        return
    pairs = torch.tensor([(relation.head, relation.tail) for relation in relations])
    types = [model.config.relation_types.index(relation.type) for relation in relations]
    batch = predictor.collator([predictor.example(predictor.featurizer([document])[0])])
    spans = Spans(**batch["spans"])
    text = Text(batch["input_ids"], batch["document_lengths"], spans, batch.get("special_lengths"))
    listed = mention_pairs(Entities(**batch["entities"]), pairs)
    with torch.inference_mode():
        reading = model.relation_extractor.read(text)
        logits = model.relation_extractor(reading, text, listed)[:, 1:]  # [mention pairs, types]
        classifier = model.key_classifier
        key_reading = classifier.read(text) if classifier.encoder is not None else reading
        key_logits = classifier(key_reading, text, listed).squeeze(1)  # [mention pairs]
        selected = select_key_pairs(key_logits, listed.owner, len(pairs), model.config.xi, model.config.tau)
        scores, keys = logits.sigmoid(), key_logits.sigmoid()
        labels = torch.nn.functional.one_hot(torch.tensor(types), scores.shape[1])
        labelled = assign_labels(logits, labels, listed.owner).any(1)
    for number, relation in enumerate(relations):
        mine = (listed.owner == number).nonzero().squeeze(1)
        if len(mine) > 1:
            sentences = spans.sentence[torch.stack([listed.head[mine], listed.tail[mine]])]  # [2, mention pairs]
            inside = torch.isin(sentences, torch.tensor(relation.evidence)).all(0)
            values = (inside, labelled[mine], selected[mine], scores[mine, types[number]], keys[mine])
            yield Choice(*(value.numpy() for value in values))


def agreement(chosen: Sequence[np.ndarray], in_evidence: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """The share of the mention pairs that is chosen, and its precision and recall by evidence."""
    flat, gold = np.concatenate(chosen), np.concatenate(in_evidence)
    both = (flat & gold).sum()
    return flat.mean(), both / max(flat.sum(), 1), both / max(gold.sum(), 1)


def mean_auc(scores: Sequence[np.ndarray], in_evidence: Sequence[np.ndarray]) -> float:
    """The mean area under the ROC curve over the relations with mention pairs both inside and outside evidence."""
    areas = []
    for values, gold in zip(scores, in_evidence, strict=True):
        inside, outside = int(gold.sum()), int((~gold).sum())
        if inside and outside:
            areas.append((rankdata(values)[gold].sum() - inside * (inside + 1) / 2) / (inside * outside))
    return float(np.mean(areas)) if areas else float("nan")


def table(relations: Sequence[Choice]) -> Iterator[list[str]]:
    """The rows: choice, share of the mention pairs, precision, recall, AUC, in percent."""
    gold = [item.in_evidence for item in relations]
    rows: list[tuple[str, list[np.ndarray], list[np.ndarray] | None]] = [
        ("all", [np.ones_like(item) for item in gold], None),
        ("labelled", [item.labelled for item in relations], [item.relation_scores for item in relations]),
        ("selected", [item.selected for item in relations], [item.key_scores for item in relations]),
    ]
    for name, chosen, scores in rows:
        area = [] if scores is None else [f"{100 * mean_auc(scores, gold):.1f}"]
        yield [name, *(f"{100 * value:.1f}" for value in agreement(chosen, gold)), *(area or [""])]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table with the rows of each checkpoint.

    Raises:
        ValueError: a checkpoint has no key instance classifier, or no relation of the data can be counted.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args(arguments)
    documents = read_documents(options.data)
    print("| checkpoint | mention pairs | share | precision | recall | AUC |\n| --- | --- | --- | --- | --- | --- |")
    for folder in options.checkpoints:
        model: Any = KmgreModel.from_pretrained(folder)
        if model.key_classifier is None:
            raise ValueError(f"{folder} was trained without a key instance classifier; there is nothing to examine")
        predictor = Predictor(model, AutoTokenizer.from_pretrained(folder))
        relations = [item for document in documents for item in choices(model, predictor, document)]
        if not relations:
            raise ValueError(f"{options.data} has no relation with evidence and more than one mention pair")
        print(f"| {Path(folder).name}, {len(relations)} relations |  |  |  |  |  |")
        for row in table(relations):
            print(f"|  | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
