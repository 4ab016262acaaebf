"""What a corpus graph keeps of a document: the names of its entities, its relations, and what states them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date as calendar_date
from functools import cache, partial

from modeling_docre.documents import Document, DocumentError, Relation
from modeling_docre.merging import LocalEntity, local_entities

from .elements import Evidence, Support


@dataclass(frozen=True, slots=True)
class Statement:
    """A relation of a document: its type, the type's readable name if known, and the support that it gives."""

    type: str
    label: str | None
    support: Support


@dataclass(frozen=True, slots=True)
class Record:
    """A document without its text: entities in its order, statements sorted by head, tail and type."""

    document_id: str
    date: str | None
    entities: tuple[LocalEntity, ...]
    statements: tuple[Statement, ...]


def record_of(document: Document, date: str | None = None) -> Record:
    """What is kept of a document.

    Args:
        document: the document.
        date: its ISO date, `YYYY-MM-DD`.

    Raises:
        DocumentError: the date is not such a date.
    """
    if date is not None:
        _check_date(document.id, date)
    evidence_of = cache(partial(_evidence, document))  # many relations share a sentence
    statements = (_statement(document, relation, date, evidence_of) for relation in document.relations)
    return Record(document.id, date, tuple(local_entities(document)), tuple(sorted(statements, key=statement_order)))


def _check_date(document_id: str, date: str) -> None:
    try:
        if calendar_date.fromisoformat(date).isoformat() == date:
            return
    except (TypeError, ValueError):
        pass
    raise DocumentError(document_id, "date", date, "give an ISO date as a string, such as '2026-07-01'")


def _statement(
    document: Document, relation: Relation, date: str | None, evidence_of: Callable[[int, float | None], Evidence]
) -> Statement:
    scores = dict(zip(relation.evidence or (), relation.evidence_scores or (), strict=False))
    sentences = sorted(set(relation.evidence or ()) or _mentioning(document, relation))
    evidence = tuple(evidence_of(sentence, scores.get(sentence)) for sentence in sentences)
    support = Support(document.id, relation.head, relation.tail, relation.score, evidence, date)
    return Statement(relation.type, relation.label, support)


def _mentioning(document: Document, relation: Relation) -> set[int]:
    """The sentences that mention head and tail, else the first that mentions each."""
    head, tail = (
        {mention.sentence for mention in document.entities[entity].mentions}
        for entity in (relation.head, relation.tail)
    )
    return head & tail or {min(head), min(tail)}


def _evidence(document: Document, sentence: int, score: float | None) -> Evidence:
    words = document.sentences[sentence]
    if document.text is None or document.token_offsets is None or not words:
        return Evidence(sentence, " ".join(words), score=score)
    offsets = document.token_offsets[sentence]
    start, end = offsets[0][0], offsets[-1][1]
    return Evidence(sentence, document.text[start:end], start, end, score)


def statement_order(statement: Statement) -> tuple[int, int, str, str, float, str]:
    """What the statements of a document are sorted by."""
    support = statement.support
    score = -1.0 if support.score is None else support.score
    return support.head, support.tail, statement.type, statement.label or "", -score, repr(support.evidence)
