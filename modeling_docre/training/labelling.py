"""Labels by a teacher: a trained model, or the mean of several, says what holds between the entities of documents."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any, NamedTuple

import evaluate
import numpy as np
import torch
from tqdm import tqdm
from transformers import pipeline

import modeling_docre.hub.registration  # noqa: F401 (transformers shall know the systems)
from modeling_docre.annotations.growing_file import GrowingFile
from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.decoding import decode
from modeling_docre.documents import Completeness, Document, Relation, SoftRelation
from modeling_docre.hub.loading import model_named
from modeling_docre.hub.metric import metric_folder
from modeling_docre.pipeline_docre import TASK
from modeling_docre.predictor import Predictor

LEAST_SCORE = 0.05
"""Scores below are not stored; training takes them for 0."""

PRECISION = 0.8
"""The share of right relations on validation documents from the value on that makes a positive."""

GOLD_SHARE = 0.95
"""The share of gold relations of validation documents that score at least the value from which types are masked."""

DOCUMENTS_AT_ONCE = 16
"""Documents that are labelled, and lost by an interruption, together."""

_DIGITS = 4  # of a score: what is stored is what was decided on


class Thresholds(NamedTuple):
    """Scores from which a type of a pair counts as positive, and from which on it is masked, that is, no negative."""

    positive: float
    masked: float


class Judgement(NamedTuple):
    """What a teacher says of a document.

    `scores` [entities, entities, types] float64: head, tail, type; 0 for pairs that it was not asked about.
    `sentence_weights`: for entity pairs (head, tail) how its decision is spread over the document's sentences,
    [sentences] float64 that sum to 1; pairs of which nothing is known are absent.
    """

    scores: np.ndarray
    sentence_weights: dict[tuple[int, int], np.ndarray]


class Teacher:
    """One or several trained models of any systems, applied to given entities; loaded when they are first asked.

    Args:
        models: folders or Hub names; the scores, which calibration has made comparable, are averaged.
    """

    def __init__(self, models: Sequence[str]):
        self.models = list(models)

    @cached_property
    def predictors(self) -> list[Predictor]:
        """The models at work.

        Raises:
            OSError: a model cannot be loaded.
            ValueError: they differ in their relation types.
        """
        predictors = [_load(model) for model in self.models]
        types = set(predictors[0].config.relation_types)
        for name, predictor in zip(self.models, predictors, strict=True):
            if odd := sorted(types ^ set(predictor.config.relation_types)):
                raise ValueError(
                    f"{self.models[0]} and {name} differ in the relation type {odd[0]!r}; give models of the same types"
                )
            # A student needs the weight of every sentence, not only of those that readers are shown as evidence.
            predictor.model.evidence_share = 1.0
        return predictors

    @property
    def relation_types(self) -> list[str]:
        """The types of relations, in the order of the scores."""
        return self.predictors[0].config.relation_types

    @property
    def relation_labels(self) -> Mapping[str, str]:
        """The readable labels of relation types that have one."""
        return self.predictors[0].config.relation_labels

    def judge(self, documents: Sequence[Document], max_tokens: int | None = None) -> list[Judgement]:
        """What the models say of documents, in order.

        Args:
            documents: documents with their entities; of their relations nothing is read.
            max_tokens: subwords per batch, padding included; None for as many as is fastest (`Predictor.batches`).
        """
        judged = [self._judge(predictor, documents, max_tokens) for predictor in self.predictors]
        return [_mean(of_document) for of_document in zip(*judged, strict=True)]

    def _judge(self, predictor: Predictor, documents: Sequence[Document], max_tokens: int | None) -> list[Judgement]:
        features = predictor.featurizer(documents)
        found: dict[int, Judgement] = {}
        for batch in predictor.batches(features, max_tokens):
            output, spans = predictor.run([features[position] for position in batch], "entities")
            here = [documents[position] for position in batch]
            decoded = decode(output, spans, here, predictor.config, "entities", relation_threshold=LEAST_SCORE)
            tables = self._tables(output, here, predictor.config)
            for position, table, document in zip(batch, tables, decoded, strict=True):
                found[position] = Judgement(table, _sentence_weights(document))
        return [found[position] for position in range(len(documents))]

    def _tables(
        self, output: Mapping[str, Any], documents: Sequence[Document], config: DocREConfig
    ) -> Iterator[np.ndarray]:
        """The scores of each document of a batch."""
        logits = output["relation_logits"].float() / config.relation_temperature + config.relation_shift
        scores = torch.nan_to_num(torch.sigmoid(logits)).cpu().numpy()  # [pairs, types]
        columns = [config.relation_types.index(name) for name in self.relation_types]
        pairs, first = output["pairs"].cpu().numpy(), 0
        for document in documents:
            count = len(document.entities)
            rows = (pairs[:, 0] >= first) & (pairs[:, 0] < first + count)
            table = np.zeros((count, count, len(columns)), dtype=np.float32)
            heads, tails = (pairs[rows] - first).T
            table[heads, tails] = scores[rows][:, columns]
            yield table
            first += count


def _load(model: str) -> Predictor:
    with model_named(model):
        return pipeline(TASK, model=model).predictor


def _sentence_weights(document: Document) -> dict[tuple[int, int], np.ndarray]:
    """The mean over the predicted relations of each pair; evidence scores need not sum to 1."""
    found: dict[tuple[int, int], list[np.ndarray]] = {}
    for relation in document.relations:
        weights = np.zeros(len(document.sentences))
        np.add.at(weights, list(relation.evidence or ()), list(relation.evidence_scores or ()))
        if (total := weights.sum()) > 0:
            found.setdefault((relation.head, relation.tail), []).append(weights / total)
    return {pair: np.mean(weights, axis=0) for pair, weights in found.items()}


def _mean(judged: Sequence[Judgement]) -> Judgement:
    """The mean of several models; in that of sentence weights the models stand that tell them for the pair."""
    scores = np.round(np.mean([item.scores for item in judged], axis=0, dtype=np.float64), _DIGITS)
    pairs = dict.fromkeys(pair for item in judged for pair in item.sentence_weights)
    weights = {
        pair: np.mean([item.sentence_weights[pair] for item in judged if pair in item.sentence_weights], axis=0)
        for pair in pairs
    }
    return Judgement(scores, weights)


def fit_thresholds(
    judged: Sequence[Judgement], documents: Sequence[Document], relation_types: Sequence[str]
) -> Thresholds:
    """The thresholds of a teacher on documents whose relations are labelled completely.

    Args:
        judged: what the teacher says of each document.
        documents: the documents with their gold relations.
        relation_types: the teacher's.

    Raises:
        ValueError: there is no gold relation, or no score reaches `PRECISION`.
    """
    gold = [gold_table(document, relation_types) for document in documents]
    of_gold = np.sort(np.concatenate([item.scores[table] for item, table in zip(judged, gold, strict=True)] or [[]]))
    if not len(of_gold):
        raise ValueError("the validation documents state no relation that the models know; name the thresholds")
    scores = np.concatenate([item.scores.ravel() for item in judged])
    kept = scores >= LEAST_SCORE
    correct = np.concatenate([table.ravel() for table in gold])
    positive = metric().precision_threshold(scores[kept], correct[kept], PRECISION)
    if positive is None:
        raise ValueError(f"no score of the models reaches a precision of {PRECISION}; name the thresholds")
    return Thresholds(float(positive), float(of_gold[int((1 - GOLD_SHARE) * len(of_gold))]))


@cache
def metric() -> Any:
    """The metric `docre_f1`."""
    return evaluate.load(str(metric_folder()))


def gold_table(document: Document, relation_types: Sequence[str]) -> np.ndarray:
    """Gold relations [entities, entities, types] bool; types that the teacher does not know are left out."""
    index, count = {name: number for number, name in enumerate(relation_types)}, len(document.entities)
    table = np.zeros((count, count, len(index)), dtype=bool)
    for item in document.relations:
        if item.type in index:
            table[item.head, item.tail, index[item.type]] = True
    return table


def label(document: Document, judged: Judgement, teacher: Teacher, positive: float) -> Document:
    """A document with a teacher's labels beside those of people.

    Every relation of people stays; those that a model added before give way. Where the relations are not complete, each
    type that scores at least `positive` becomes a relation, too. Pairs with such a type have the teacher's sentence
    weights, and all scores from `LEAST_SCORE` on are stored.
    """
    complete = document.complete or Completeness()
    chosen = judged.scores >= positive
    weights = {pair: _as_float16(judged.sentence_weights.get(pair)) for pair in _pairs(chosen)}
    human = [replace(item, origin="human") for item in document.relations if item.origin != "model"]
    known = {(item.head, item.tail, item.type) for item in human}
    added = [
        Relation(soft.head, soft.tail, soft.type, teacher.relation_labels.get(soft.type), soft.score, origin="model")
        for soft in _soft_relations(judged.scores, chosen, teacher.relation_types)
        if not complete.relations and (soft.head, soft.tail, soft.type) not in known
    ]
    relations = (replace(item, sentence_weights=weights.get((item.head, item.tail))) for item in human + added)
    soft = _soft_relations(judged.scores, judged.scores >= LEAST_SCORE, teacher.relation_types)
    return replace(document, relations=tuple(relations), soft_relations=tuple(soft))


def _pairs(chosen: np.ndarray) -> list[tuple[int, int]]:
    return [(head, tail) for head, tail in np.argwhere(chosen.any(axis=2)).tolist()]


def _soft_relations(scores: np.ndarray, chosen: np.ndarray, relation_types: Sequence[str]) -> Iterator[SoftRelation]:
    for head, tail, kind in np.argwhere(chosen).tolist():
        yield SoftRelation(head, tail, relation_types[kind], float(scores[head, tail, kind]))


def _as_float16(weights: np.ndarray | None) -> tuple[float, ...] | None:
    """The values in the precision of float16, as the shortest decimal numbers that give them back."""
    return None if weights is None else tuple(float(str(value)) for value in weights.astype(np.float16))


def label_corpus(
    teacher: Teacher, documents: Sequence[Document], file: GrowingFile, finished: Collection[str], positive: float
) -> None:
    """Label documents into a file, with a progress bar.

    Args:
        teacher: whose labels they get.
        documents: all documents of the file.
        file: where they go, after `begin`.
        finished: the ids of those that are there already.
        positive: least score of a relation.
    """
    rest = [document for document in documents if document.id not in finished]
    if rest:
        _ = teacher.predictors  # load them, or fail, before the bar appears
    with tqdm(total=len(documents), initial=len(documents) - len(rest), unit="document", desc="labelling") as bar:
        for start in range(0, len(rest), DOCUMENTS_AT_ONCE):
            here = rest[start : start + DOCUMENTS_AT_ONCE]
            judged = zip(here, teacher.judge(here), strict=True)
            file.append([label(document, said, teacher, positive).to_dict() for document, said in judged])
            bar.update(len(here))
    file.finish()
