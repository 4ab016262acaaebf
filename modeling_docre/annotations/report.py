"""The report on a corpus: its size, and the oddities in it that break naive code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import combinations
from typing import Any

from modeling_docre.documents import Document, as_documents

LONG_MENTION_WORDS = 10
"""JEREX's release considers spans of at most this many words, so it cannot find longer mentions."""

REPEATED_IDS = "documents whose id had occurred before (id made unique)"


def _count(text: str, rare: bool = False) -> Any:
    """A count with its description; a `rare` one is shown only if it is not 0."""
    return field(default=0, metadata={"text": text, "rare": rare})


@dataclass(frozen=True)
class ReadReport:
    """What a corpus contains and what is unusual about it; its `str` is a table.

    The first four fields count what is kept. `overlapping_spans` counts pairs of different spans of one sentence that
    have a word in common, nested ones included; a repeated span counts once. `shared_spans` counts spans that several
    entities share, `duplicate_mentions` the repetitions of a span within its entity, and `duplicate_rows` the
    repetitions of (head, tail, type). Only the rows of `na_rows` and `self_relations` are left out of the documents.
    Keys that DocRED does not define are ignored and counted by name.
    """

    documents: int = _count("documents")
    entities: int = _count("entities")
    mentions: int = _count("mentions")
    relations: int = _count("relations")
    documents_without_labels: int = _count("documents without the key `labels`")
    documents_with_empty_labels: int = _count("documents with empty `labels`")
    documents_without_entities: int = _count("documents without entities")
    duplicate_titles: int = _count("documents whose title had occurred before (id made unique)")
    empty_sentences: int = _count("sentences without words")
    blank_words: int = _count("words that are blank")
    mixed_type_documents: int = _count("documents with an entity of mixed mention types")
    mixed_type_entities: int = _count("entities of mixed mention types (first one taken)")
    duplicate_mentions: int = _count("mentions repeated within their entity")
    shared_spans: int = _count("spans shared by several entities")
    overlapping_spans: int = _count("pairs of different spans that overlap")
    long_mentions: int = _count(f"mentions of more than {LONG_MENTION_WORDS} words")
    longest_mention: int = _count("words of the longest mention")
    differing_names: int = _count("mentions whose name differs from their words")
    rows_without_evidence: int = _count("label rows without the key `evidence`")
    rows_with_empty_evidence: int = _count("label rows with empty `evidence`")
    duplicate_rows: int = _count("label rows that repeat another (kept)")
    na_rows: int = _count("label rows that name no relation (dropped)")
    self_relations: int = _count("label rows from an entity to itself (dropped)")
    human_relations: int = _count("relations labelled by people (origin human)", rare=True)
    model_relations: int = _count("relations labelled by a model (origin model)", rare=True)
    weighted_relations: int = _count("relations with a teacher's sentence weights", rare=True)
    soft_relations: int = _count("scores of a teacher", rare=True)
    incomplete_mentions: int = _count("documents whose mentions are labelled in part", rare=True)
    incomplete_relations: int = _count("documents whose relations are labelled in part", rare=True)
    ignored_keys: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Document | Mapping[str, Any]]) -> ReadReport:
        """The report on documents in memory; what only a file shows (dropped rows, ignored keys, `labels`) stays 0."""
        counts: Counter[str] = Counter()
        for document in documents:
            [checked] = as_documents([document])
            tally(checked, counts)
        return cls.of_counts(counts)

    @classmethod
    def of_counts(cls, counts: Mapping[str, int], ignored_keys: Mapping[str, int] | None = None) -> ReadReport:
        """The report from counts by field name, as `tally` collects them, and from the ignored keys by name."""
        return cls(**dict(counts), ignored_keys=dict(ignored_keys or {}))

    def rows(self) -> list[tuple[str, int]]:
        """Each description with its count."""
        counts = [(f.metadata, getattr(self, f.name)) for f in fields(self) if f.metadata]
        counted = [(about["text"], number) for about, number in counts if number or not about["rare"]]
        return counted + [(f"ignored key `{name}`", times) for name, times in sorted(self.ignored_keys.items())]

    def __str__(self) -> str:
        return _table(self.rows())


def tally(document: Document, counts: Counter[str]) -> None:
    """Add the counts of one document to `counts`, whose keys are the fields of `ReadReport`."""
    counts["documents"] += 1
    counts["relations"] += len(document.relations)
    counts["documents_without_entities"] += not document.entities
    counts["empty_sentences"] += sum(not sentence for sentence in document.sentences)
    counts["blank_words"] += sum(not word.strip() for sentence in document.sentences for word in sentence)
    _tally_sources(document, counts)
    _tally_entities(document, counts)
    _tally_spans(document, counts)
    evidence = [relation.evidence for relation in document.relations]
    counts["rows_without_evidence"] += evidence.count(None)
    counts["rows_with_empty_evidence"] += evidence.count(())
    rows = {(relation.head, relation.tail, relation.type) for relation in document.relations}
    counts["duplicate_rows"] += len(document.relations) - len(rows)


def _tally_sources(document: Document, counts: Counter[str]) -> None:
    origins = Counter(relation.origin for relation in document.relations)
    counts["human_relations"] += origins["human"]
    counts["model_relations"] += origins["model"]
    counts["weighted_relations"] += sum(relation.sentence_weights is not None for relation in document.relations)
    counts["soft_relations"] += len(document.soft_relations or ())
    if document.complete is not None:
        counts["incomplete_mentions"] += not document.complete.mentions
        counts["incomplete_relations"] += not document.complete.relations


def _tally_entities(document: Document, counts: Counter[str]) -> None:
    mixed = 0
    for entity in document.entities:
        mixed += any(mention.type not in (None, entity.type) for mention in entity.mentions)
        for mention in entity.mentions:
            length = mention.end - mention.start
            counts["mentions"] += 1
            counts["long_mentions"] += length > LONG_MENTION_WORDS
            counts["longest_mention"] = max(counts["longest_mention"], length)
            counts["differing_names"] += mention.name not in (None, document.mention_words(mention))
    counts["entities"] += len(document.entities)
    counts["mixed_type_entities"] += mixed
    counts["mixed_type_documents"] += mixed > 0


def _tally_spans(document: Document, counts: Counter[str]) -> None:
    owners: Counter[tuple[int, int]] = Counter()
    for entity in document.entities:
        spans = {document.span(mention) for mention in entity.mentions}
        counts["duplicate_mentions"] += len(entity.mentions) - len(spans)
        owners.update(spans)
    counts["shared_spans"] += sum(times > 1 for times in owners.values())
    counts["overlapping_spans"] += sum(b[0] < a[1] for a, b in combinations(sorted(owners), 2))


def count_table(counts: Mapping[str, int]) -> str:
    """A table with a row per count, which is keyed by its description; zeros are left out."""
    return _table([(text, number) for text, number in counts.items() if number])


def _table(rows: Sequence[tuple[str, int]]) -> str:
    width = max((len(text) for text, _ in rows), default=0)
    return "\n".join(f"{text:<{width}}  {number:>10,}" for text, number in rows)
