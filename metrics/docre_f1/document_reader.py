"""Reads documents from the Document dict form: checks them and drops the fields that no score needs.

All input of the metric passes through `read_document`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np

from .scored_document import ScoredCandidate, ScoredDocument, ScoredEntity, ScoredRelation, Span


def reject(document_id: Any, field: str, value: Any, fix: str) -> NoReturn:
    """Raise this metric's error, which names the document, the field, the value and the fix."""
    shown = repr(value)
    shown = shown if len(shown) <= 120 else f"{shown[:117]}..."
    raise ValueError(f"document {document_id!r}: {field} is {shown}; {fix}")


def read_document(value: Any, predicted: bool) -> ScoredDocument:
    """Check a document and keep what scoring needs.

    Args:
        value: a Document dict, its JSON text, or an object with `to_dict()`. Unknown keys are ignored; optional keys
            may be absent or None. A prediction may leave out `sentences`, and also `entities` if the reference's are
            given.
        predicted: whether this is a prediction. A predicted mention, entity or relation whose score is NaN or infinite
            is left out, and so are the relations of such an entity. Only references have candidates.

    Raises:
        ValueError: the content breaks the format; the message names the document, the field, the value and the fix.
    """
    if isinstance(value, ScoredDocument):
        return value
    data = _as_mapping(value)
    identifier = data.get("id")
    if not isinstance(identifier, str) or not identifier:
        reject(identifier, "id", identifier, "give a non-empty string")
    reader = _Reader(identifier, predicted)
    sentences = reader.sentences(data.get("sentences"))
    entities = tuple(
        reader.entity(item, f"entities[{number}]", sentences)
        for number, item in enumerate(reader.items(data.get("entities"), "entities"))
    )
    relations = [
        reader.relation(item, f"relations[{number}]", entities, sentences)
        for number, item in enumerate(reader.items(data.get("relations"), "relations"))
    ]
    words = None if sentences is None else tuple(map(tuple, sentences))
    kept = tuple(relation for relation in relations if relation is not None)
    candidates = None if predicted else reader.candidates(data.get("candidates"), len(entities))
    return ScoredDocument(identifier, words, entities, kept, reader.dropped, candidates)


def _as_mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            reject(None, "document", value, f"give a Document dict or its JSON text ({error})")
    elif hasattr(value, "to_dict"):
        value = value.to_dict()
    if not isinstance(value, Mapping):
        reject(None, "document", value, "give a Document dict, its JSON text or an object with to_dict()")
    return value


class _Reader:
    """Reads the parts of one document and counts the items dropped because of their score."""

    def __init__(self, document_id: str, predicted: bool):
        self.document_id = document_id
        self.predicted = predicted
        self.dropped = 0

    def reject(self, field: str, value: Any, fix: str) -> NoReturn:
        reject(self.document_id, field, value, fix)

    def items(self, value: Any, field: str) -> list[Any]:
        if value is None:
            return []
        if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
            self.reject(field, value, "give a list")
        return list(value)

    def record(self, value: Any, field: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self.reject(field, value, "give a dict")
        return value

    def integer(self, record: Mapping[str, Any], key: str, field: str) -> int:
        return self.whole_number(record.get(key), f"{field}.{key}")

    def whole_number(self, value: Any, field: str) -> int:
        if not isinstance(value, Integral) or isinstance(value, bool):
            self.reject(field, value, "give a whole number")
        return int(value)

    def text(self, record: Mapping[str, Any], key: str, field: str) -> str:
        value = record.get(key)
        if not isinstance(value, str):
            self.reject(f"{field}.{key}", value, "give a string")
        return value

    def flag(self, record: Mapping[str, Any], key: str, field: str) -> bool | None:
        value = record.get(key)
        if value is not None and not isinstance(value, bool | np.bool_):
            self.reject(f"{field}.{key}", value, "give true or false")
        return None if value is None else bool(value)

    def score(self, record: Mapping[str, Any], field: str) -> float | None:
        """The score of a predicted item; None without one, and for a reference."""
        score = record.get("score")
        if score is None or not self.predicted:
            return None
        if not isinstance(score, Real):
            self.reject(f"{field}.score", score, "give a number")
        return float(score)

    def is_predicted(self, record: Mapping[str, Any], field: str) -> bool:
        """Whether the item counts as predicted by its score."""
        return _counts_as_predicted(self.score(record, field))

    def sentences(self, value: Any) -> list[list[str]] | None:
        if value is None and self.predicted:
            return None
        if value is None:
            self.reject("sentences", value, "give the words of the reference, sentence by sentence")
        sentences = [self.items(words, f"sentences[{n}]") for n, words in enumerate(self.items(value, "sentences"))]
        for number, words in enumerate(sentences):
            for word in words:
                if not isinstance(word, str):
                    self.reject(f"sentences[{number}]", word, "give words as strings")
        return sentences

    def entity(self, value: Any, field: str, sentences: list[list[str]] | None) -> ScoredEntity:
        record = self.record(value, field)
        kind = self.text(record, "type", field)
        mentions = self.items(record.get("mentions"), f"{field}.mentions")
        if not mentions:
            self.reject(f"{field}.mentions", mentions, "give each entity at least one mention or drop it")
        read = [self.mention(item, f"{field}.mentions[{n}]", sentences) for n, item in enumerate(mentions)]
        kept = [mention for mention in read if mention is not None]
        score = self.score(record, field)
        if not kept or not _counts_as_predicted(score):
            self.dropped += bool(kept)
            return ScoredEntity(kind, frozenset(), frozenset())
        names = frozenset(name for _, name in kept if name is not None)
        return ScoredEntity(kind, frozenset(span for span, _ in kept), names, score)

    def mention(self, value: Any, field: str, sentences: list[list[str]] | None) -> tuple[Span, str | None] | None:
        record = self.record(value, field)
        sentence, start, end = (self.integer(record, key, field) for key in ("sentence", "start", "end"))
        if sentence < 0 or not 0 <= start < end:
            self.reject(
                f"{field} (sentence, start, end)", (sentence, start, end), "give sentence >= 0, 0 <= start < end"
            )
        if sentences is not None:
            check_span(self.document_id, field, (sentence, start, end), [len(words) for words in sentences])
        if not self.is_predicted(record, field):
            self.dropped += 1
            return None
        name = record.get("name")
        if name is not None and not isinstance(name, str):
            self.reject(f"{field}.name", name, "give a string")
        if name is None and sentences is not None:
            name = " ".join(sentences[sentence][start:end]).strip()
        return (sentence, start, end), name

    def relation(
        self, value: Any, field: str, entities: tuple[ScoredEntity, ...], sentences: list[list[str]] | None
    ) -> ScoredRelation | None:
        record = self.record(value, field)
        listed = self.items(record.get("evidence"), f"{field}.evidence")
        evidence = tuple(self.whole_number(sentence, f"{field}.evidence") for sentence in listed)
        head, tail = self.pair(record, field)
        score = self.score(record, field)
        relation = ScoredRelation(head, tail, self.text(record, "type", field), evidence, score)
        if entities or not self.predicted:
            check_pair(self.document_id, field, relation, len(entities))
        elif min(head, tail) < 0:
            self.reject(f"{field} (head, tail)", (head, tail), "entities are numbered from 0")
        if sentences is not None:
            check_evidence(self.document_id, field, relation, len(sentences))
        if not _counts_as_predicted(score) or (entities and not (entities[head].spans and entities[tail].spans)):
            self.dropped += 1
            return None
        return relation

    def candidates(self, value: Any, entity_count: int) -> tuple[ScoredCandidate, ...] | None:
        if value is None:
            return None
        numbered = enumerate(self.items(value, "candidates"))
        return tuple(self.candidate(item, f"candidates[{number}]", entity_count) for number, item in numbered)

    def candidate(self, value: Any, field: str, entity_count: int) -> ScoredCandidate:
        record = self.record(value, field)
        head, tail = self.pair(record, field)
        scored, cross = self.flag(record, "scored", field), self.flag(record, "cross", field)
        candidate = ScoredCandidate(head, tail, scored is not False, cross)
        check_pair(self.document_id, field, candidate, entity_count)
        return candidate

    def pair(self, record: Mapping[str, Any], field: str) -> tuple[int, int]:
        head, tail = self.integer(record, "head", field), self.integer(record, "tail", field)
        if head == tail:
            self.reject(f"{field} (head, tail)", (head, tail), "head and tail must be two different entities")
        return head, tail


def _counts_as_predicted(score: float | None) -> bool:
    """Whether an item with this score counts as predicted: NaN and infinite scores do not."""
    return score is None or math.isfinite(score)


def check_span(document_id: str, field: str, span: Span, sentence_lengths: list[int] | tuple[int, ...]) -> None:
    """Raise unless the span lies inside its sentence."""
    sentence, start, end = span
    if sentence >= len(sentence_lengths):
        reject(document_id, f"{field}.sentence", sentence, f"the document has {len(sentence_lengths)} sentences")
    if end > sentence_lengths[sentence]:
        length = sentence_lengths[sentence]
        reject(document_id, f"{field} (start, end)", (start, end), f"sentence {sentence} has {length} words")


def check_pair(document_id: str, field: str, pair: ScoredRelation | ScoredCandidate, entity_count: int) -> None:
    """Raise unless head and tail are positions among the entities."""
    for key, index in (("head", pair.head), ("tail", pair.tail)):
        if not 0 <= index < entity_count:
            reject(document_id, f"{field}.{key}", index, f"the document has {entity_count} entities, numbered from 0")


def check_evidence(document_id: str, field: str, relation: ScoredRelation, sentence_count: int) -> None:
    """Raise unless each evidence sentence is a sentence of the document."""
    for sentence in relation.evidence:
        if not 0 <= sentence < sentence_count:
            reject(document_id, f"{field}.evidence", sentence, f"the document has {sentence_count} sentences")
