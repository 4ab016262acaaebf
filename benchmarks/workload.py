"""What the contenders work on: real documents, longer ones made of them, and a load like that of the gold annotation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modeling_docre import Document, Predictor, read_docred
from modeling_docre.candidates import span_candidates
from modeling_docre.coreference import complete_linkage, symmetric_scores
from modeling_docre.features import Features
from modeling_docre.inference import token_batches
from modeling_docre.record_files import iter_records

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "dataset_scripts" / "sample_data" / "train.jsonl"

Batches = list[list[Features]]


@dataclass(frozen=True)
class Workload:
    """Documents in the batches of each task: `inference` several documents a batch, `training` one."""

    name: str
    inference: Batches
    training: Batches

    @property
    def documents(self) -> list[Document]:
        """The documents of the inference batches."""
        return [features.document for batch in self.inference for features in batch]


def default_data() -> Path:
    """Re-DocRED's validation file where the development data has it, else the sample corpus of the repository."""
    root = Path(os.environ.get("DOCRE_DATA", REPOSITORY.parent / "shared" / "data"))
    file = root / "re_docred" / "validation.json"
    return file if file.exists() else SAMPLE


def read_documents(file: Path) -> list[Document]:
    """Documents of a file in DocRED's JSON, or of a `.jsonl` file of Document dicts.

    Raises:
        ValueError: the file holds no words to measure.
    """
    if file.suffix == ".jsonl":
        documents = [Document.from_dict(record) for record in iter_records(file)]
    else:
        documents, _ = read_docred(file)
    if not any(document.sentence_starts[-1] for document in documents):
        raise ValueError(f"{file} holds no document with words; name another file with --data")
    return documents


def label_lists(documents: Sequence[Document]) -> dict[str, list[str]]:
    """The entity and relation types that documents use, each sorted."""
    return {
        "entity_types": sorted({entity.type for document in documents for entity in document.entities}),
        "relation_types": sorted({relation.type for document in documents for relation in document.relations}),
    }


def corpus_workload(features: Sequence[Features], training_documents: int, max_tokens: int) -> Workload:
    """Documents as they come: inference batches by subwords, training on the first ones, one a step (JEREX section 4)."""
    batches = token_batches([len(item.input_ids) for item in features], max_tokens)
    inference = [[features[index] for index in batch] for batch in batches]
    return Workload("corpus", inference, [[item] for item in features[:training_documents]])


def concatenate(documents: Sequence[Document], words: int) -> Document:
    """A document of at most `words` words out of real ones laid end to end, with their entities and relations.

    It ends with the last sentence that still fits (the first sentence always does). Documents repeat where the corpus is
    shorter. No entity spans two of the documents, so mentions and entities grow with the length, and pairs with its
    square.
    """
    sentences: list[tuple[str, ...]] = []
    entities, relations = [], []
    for document in cycle(documents):
        if sum(map(len, sentences)) > words:
            break
        first_sentence, first_entity = len(sentences), len(entities)
        sentences += document.sentences
        for entity in document.entities:
            mentions = (
                replace(mention, sentence=mention.sentence + first_sentence, char_start=None, char_end=None)
                for mention in entity.mentions
            )
            entities.append(replace(entity, mentions=tuple(mentions)))
        for relation in document.relations:
            head, tail = relation.head + first_entity, relation.tail + first_entity
            bare = replace(relation, evidence=None, evidence_scores=None, mention_pairs=None)
            relations.append(replace(bare, head=head, tail=tail))
    whole = Document(f"{words} words", tuple(sentences), tuple(entities), tuple(relations))
    return _first_words(whole, words)


def _first_words(document: Document, words: int) -> Document:
    """The leading sentences with at most `words` words, and what lies wholly inside them."""
    ends = document.sentence_starts[1:]
    count = max(1, sum(end <= words for end in ends))
    kept = [tuple(m for m in entity.mentions if m.sentence < count) for entity in document.entities]
    index = {old: new for new, old in enumerate(number for number, mentions in enumerate(kept) if mentions)}
    return replace(
        document,
        sentences=document.sentences[:count],
        entities=tuple(replace(document.entities[number], mentions=kept[number]) for number in index),
        relations=tuple(
            replace(relation, head=index[relation.head], tail=index[relation.tail])
            for relation in document.relations
            if relation.head in index and relation.tail in index
        ),
    )


def mean_load(documents: Sequence[Document], max_span_size: int) -> dict[str, float]:
    """Means per document of everything that costs time: words, candidate spans, mentions, entities and pairs.

    Args:
        documents: gold or predicted documents; pairs are ordered ones, mention pairs those of two different entities.
        max_span_size: longest candidate span in words.
    """
    rows = [_load(document, max_span_size) for document in documents]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def _load(document: Document, max_span_size: int) -> dict[str, int]:
    sizes = [len(entity.mentions) for entity in document.entities]
    return {
        "words": document.sentence_starts[-1],
        "spans": len(span_candidates(document.sentence_starts, max_span_size)[0]),
        "mentions": sum(sizes),
        "entities": len(sizes),
        "entity_pairs": len(sizes) * (len(sizes) - 1),
        "mention_pairs": sum(sizes) ** 2 - sum(size**2 for size in sizes),
        "relations": len(document.relations),
    }


def match_gold_load(predictor: Predictor, batches: Batches) -> dict[str, float]:
    """Set the thresholds so that the model finds about as much as the gold annotation holds, and return them.

    Heads with random weights would find nothing or everything, and their cost would be arbitrary. Stage by stage, with the
    earlier thresholds fixed: the mention threshold is the score of the n-th best candidate span, where the batches hold n
    gold mentions together; the coreference threshold is the one whose clusters are as many as the gold entities, found
    by bisection over the stored pair scores; the relation threshold is again the n-th best score. What a document gets
    depends on its scores; only the sums over all documents agree with gold.

    Args:
        predictor: a model with all four stages; the thresholds of its configuration are changed.
        batches: batches of documents with gold entities and relations.
    """
    config = predictor.config
    documents = [item.document for batch in batches for item in batch]
    config.mention_threshold = 1.0  # the mention scores alone are wanted
    scores = torch.cat([torch.sigmoid(predictor.run(batch)[0].mention_logits.float()).cpu() for batch in batches])
    config.mention_threshold = _nth_best(
        scores, sum(len(entity.mentions) for document in documents for entity in document.entities)
    )
    pair_scores = [item for batch in batches for item in _pair_scores(predictor, batch)]
    config.coreference_threshold = _threshold_for_clusters(
        pair_scores, sum(len(document.entities) for document in documents)
    )
    scores = torch.cat(
        [torch.sigmoid(predictor.run(batch)[0].relation_logits.float()).flatten().cpu() for batch in batches]
    )
    config.relation_threshold = _nth_best(scores, sum(len(document.relations) for document in documents))
    return {name: getattr(config, name) for name in ("mention_threshold", "coreference_threshold", "relation_threshold")}


def _nth_best(scores: torch.Tensor, wanted: int) -> float:
    """The threshold that the `wanted` best scores reach, 1.0 for none of them."""
    if not wanted or not len(scores):
        return 1.0
    return float(scores.sort(descending=True).values[min(wanted, len(scores)) - 1])


def _pair_scores(predictor: Predictor, batch: list[Features]) -> list[tuple[np.ndarray, int]]:
    """Scores of the mention pairs, and the number of mentions, of each document of a batch."""
    output, spans = predictor.run(batch)
    logits = output.coreference_logits.float()
    scores: Any = symmetric_scores(torch.sigmoid(logits), predictor.config.coref_symmetrise).cpu().numpy()
    mentions = torch.bincount(spans["document"][output.mentions.cpu()], minlength=len(batch)).tolist()
    ends = np.cumsum([count * (count - 1) // 2 for count in mentions])
    return list(zip(np.split(scores, ends[:-1]), mentions, strict=True))


def _threshold_for_clusters(pair_scores: Sequence[tuple[np.ndarray, int]], wanted: int) -> float:
    """The threshold at which complete linkage leaves about `wanted` clusters over all documents together."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        found = sum(len(np.unique(complete_linkage(scores, count, middle))) for scores, count in pair_scores)
        if found == wanted:
            return middle
        low, high = (middle, high) if found < wanted else (low, middle)
    return (low + high) / 2
