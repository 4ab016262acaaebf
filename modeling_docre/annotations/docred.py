"""Reads and writes DocRED's JSON: the one place that knows its keys.

DocRED, Re-DocRED, Revisit-DocRED and the release of JEREX share this form. A document is an object with `title`,
`sents` (words per sentence), `vertexSet` (the mentions of each entity: `name`, `pos`, `sent_id`, `type`) and `labels`
(rows of `h`, `t`, `r`, `evidence`). Two keys are ours, and are written where a document has them: `complete` of the
document and `origin` of a label row. A file without them claims that people labelled everything.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from modeling_docre.document_parsing import parse, to_plain
from modeling_docre.documents import (
    Completeness,
    Document,
    DocumentError,
    Entity,
    Mention,
    Relation,
    as_documents,
    numbers_of,
)

from .labels import NO_RELATION, check_label
from .markup import typed
from .records import iter_records, unique_id
from .report import ReadReport, tally

_DOCUMENT_KEYS = frozenset({"title", "sents", "vertexSet", "labels", "complete"})
_MENTION_KEYS = frozenset({"name", "pos", "sent_id", "type"})
_LABEL_KEYS = frozenset({"h", "t", "r", "evidence", "origin"})


class DocredReader:
    """Turns DocRED records into documents one by one, and counts what is unusual about them.

    Args:
        relation_labels: readable name of each relation type, put into the relations' `label`.
        drop_self_relations: leave out (and count) label rows from an entity to itself instead of raising.
    """

    def __init__(self, relation_labels: Mapping[str, str] | None = None, *, drop_self_relations: bool = False):
        self.relation_labels = dict(relation_labels or {})
        self.drop_self_relations = drop_self_relations
        self._ids: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._ignored: Counter[str] = Counter()

    @property
    def report(self) -> ReadReport:
        """The counts over all documents read so far."""
        return ReadReport.of_counts(self._counts, self._ignored)

    def read(self, record: Mapping[str, Any]) -> Document:
        """The document of one record.

        An entity has the type of its first mention, as in JEREX's release; another mention keeps its own type only
        where it differs. A mention keeps its `name` only where it differs from its words. Mentions, entities and label
        rows keep the order of the file. A repeated title gets " #2" appended.

        Raises:
            DocumentError: a key is missing, or a value has the wrong type or is out of range; the message uses the
                file's own key names.
        """
        if not isinstance(record, Mapping):
            raise DocumentError(self._ordinal, "record", record, "give an object with title, sents and vertexSet")
        title = record.get("title")
        if not isinstance(title, str) or not title:
            raise DocumentError(self._ordinal, "title", title, "give a non-empty string")
        sentences = _read_sentences(title, record.get("sents"))
        clusters = typed(title, "vertexSet", record.get("vertexSet"), list, "a list with one list of mentions each")
        self._ignore("", record, _DOCUMENT_KEYS)
        entities = tuple(self._entity(title, number, item, sentences) for number, item in enumerate(clusters))
        relations = self._relations(title, record.get("labels"), len(entities), len(sentences))
        complete = _read_complete(title, record.get("complete"))
        document = Document(self._unique(title), sentences, entities, relations, complete=complete)
        tally(document, self._counts)
        return document

    @property
    def _ordinal(self) -> str:
        return f"number {self._counts['documents'] + 1} of the file"

    def _ignore(self, place: str, record: Mapping[str, Any], known: frozenset[str]) -> None:
        self._ignored.update(f"{place}{key}" for key in record if key not in known)

    def _unique(self, title: str) -> str:
        name = unique_id(title, self._ids)
        self._counts["duplicate_titles"] += name != title
        return name

    def _entity(self, title: str, number: int, cluster: Any, sentences: tuple[tuple[str, ...], ...]) -> Entity:
        where = f"vertexSet[{number}]"
        if not typed(title, where, cluster, list, "a list of mentions"):
            raise DocumentError(title, where, cluster, "give each entity at least one mention or drop it")
        for position, item in enumerate(cluster):
            _check_mention(title, f"{where}[{position}]", item, sentences)
            self._ignore("vertexSet[][].", item, _MENTION_KEYS)
        entity_type = check_label(title, f"{where}[0].type", cluster[0]["type"])
        return Entity(entity_type, tuple(_to_mention(item, entity_type, sentences) for item in cluster))

    def _relations(self, title: str, labels: Any, entities: int, sentences: int) -> tuple[Relation, ...]:
        if labels is None:
            self._counts["documents_without_labels"] += 1
            return ()
        rows = typed(title, "labels", labels, list, "a list of rows with h, t and r")
        self._counts["documents_with_empty_labels"] += not rows
        relations = (self._relation(title, f"labels[{n}]", row, entities, sentences) for n, row in enumerate(rows))
        return tuple(relation for relation in relations if relation is not None)

    def _relation(self, title: str, where: str, row: Any, entities: int, sentences: int) -> Relation | None:
        row = typed(title, where, row, dict, "an object with h, t and r")
        self._ignore("labels[].", row, _LABEL_KEYS)
        relation_type = typed(title, f"{where}.r", row.get("r"), str, "the relation type as a string")
        head, tail = (_index(title, f"{where}.{key}", row.get(key), entities, "entities") for key in ("h", "t"))
        if relation_type in NO_RELATION:
            self._counts["na_rows"] += 1
            return None
        check_label(title, f"{where}.r", relation_type)
        if head == tail:
            if not self.drop_self_relations:
                fix = "head and tail must be two different entities; drop the row, or read with drop_self_relations"
                raise DocumentError(title, f"{where} (h, t)", (head, tail), fix)
            self._counts["self_relations"] += 1
            return None
        evidence = _read_evidence(title, f"{where}.evidence", row.get("evidence"), sentences)
        label, origin = self.relation_labels.get(relation_type), row.get("origin")
        if origin not in (None, "human", "model"):
            raise DocumentError(title, f"{where}.origin", origin, 'give "human" or "model", or leave it out')
        return Relation(head, tail, relation_type, label=label, evidence=evidence, origin=origin)


def read_docred(
    source: str | PathLike[str] | BinaryIO | Iterable[Mapping[str, Any]],
    relation_labels: Mapping[str, str] | None = None,
    *,
    drop_self_relations: bool = False,
) -> tuple[list[Document], ReadReport]:
    """Read a corpus in DocRED's JSON.

    Args:
        source: a file with a JSON array or with one record per line (its content decides, plain or gzip), an open
            binary file, or the records themselves.
        relation_labels: readable name of each relation type, put into the relations' `label`.
        drop_self_relations: leave out (and count) label rows from an entity to itself instead of raising.

    Returns:
        The documents in the order of the file, and the report on what is unusual about them.

    Raises:
        DocumentError: see `DocredReader.read`; also for text that is not JSON.
    """
    reader = DocredReader(relation_labels, drop_self_relations=drop_self_relations)
    documents = [reader.read(record) for record in iter_records(source)]
    return documents, reader.report


def write_docred(documents: Iterable[Document | Mapping[str, Any]], path: str | PathLike[str]) -> None:
    """Write documents as DocRED's JSON: an array (`.json`) or one record per line (`.jsonl`); `.gz` compresses it.

    The file holds words, mentions with names and types, relations with evidence and origin, and what is complete. It
    cannot hold scores, character offsets, concept ids, readable labels, mention pairs, candidates, or a teacher's
    scores and sentence weights.

    Raises:
        DocumentError: two documents have the same id, or a relation has a type that means "no relation".
        ValueError: the path has none of these endings.
    """
    name = Path(path).name.removesuffix(".gz")
    if not name.endswith((".json", ".jsonl")):
        raise ValueError(f"cannot tell the format of {str(path)!r}; end it in .json, .jsonl, .json.gz or .jsonl.gz")
    items = as_documents(documents)
    for title, times in Counter(document.id for document in items).items():
        if times > 1:
            raise DocumentError(title, "id", title, f"{times} documents have this id; give each its own")
    records = [json.dumps(to_docred_record(document)) for document in items]
    text = "".join(f"{record}\n" for record in records) if name.endswith(".jsonl") else f"[{', '.join(records)}]\n"
    # A fixed time stamp makes equal documents give equal files.
    content = gzip.compress(text.encode(), mtime=0) if str(path).endswith(".gz") else text.encode()
    Path(path).write_bytes(content)


def to_docred_record(document: Document) -> dict[str, Any]:
    """One document as a record with `title`, `sents`, `vertexSet` and `labels`; see `write_docred`."""
    record = {
        "title": document.id,
        "sents": [list(sentence) for sentence in document.sentences],
        "vertexSet": [_cluster_record(document, entity) for entity in document.entities],
        "labels": [_label_record(document, number) for number in range(len(document.relations))],
    }
    return record if document.complete is None else record | {"complete": to_plain(document.complete)}


def to_result_records(documents: Iterable[Document | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Predicted relations between given entities as the rows of CodaLab's `result.json` (official DocRED evaluation).

    Args:
        documents: predictions whose entities are those of the file, in its order.

    Returns:
        Rows of `title`, `h_idx`, `t_idx`, `r` and `evidence` (empty where a relation has none).

    Raises:
        DocumentError: a relation has a type that means "no relation".
    """
    return [
        {
            "title": document.id,
            "h_idx": relation.head,
            "t_idx": relation.tail,
            "r": _written_type(document, number),
            "evidence": list(relation.evidence or ()),
        }
        for document in as_documents(documents)
        for number, relation in enumerate(document.relations)
    ]


def _index(title: str, where: str, value: Any, length: int, what: str) -> int:
    typed(title, where, value, int, "a whole number")
    if not 0 <= value < length:
        raise DocumentError(title, where, value, numbers_of(what, length))
    return value


def _read_sentences(title: str, sentences: Any) -> tuple[tuple[str, ...], ...]:
    typed(title, "sents", sentences, list, "a list of sentences, each a list of words")
    for number, sentence in enumerate(sentences):
        for position, word in enumerate(typed(title, f"sents[{number}]", sentence, list, "a list of words")):
            typed(title, f"sents[{number}][{position}]", word, str, "a string")
    return tuple(map(tuple, sentences))


def _read_evidence(title: str, where: str, evidence: Any, sentences: int) -> tuple[int, ...] | None:
    if evidence is None:
        return None
    typed(title, where, evidence, list, "a list of sentence numbers")
    return tuple(_index(title, where, sentence, sentences, "sentences") for sentence in evidence)


def _read_complete(title: str, complete: Any) -> Completeness | None:
    return None if complete is None else parse(Completeness, complete, "complete", title)


def _check_mention(title: str, where: str, item: Any, sentences: tuple[tuple[str, ...], ...]) -> None:
    typed(title, where, item, dict, "an object with sent_id, pos and type")
    typed(title, f"{where}.type", item.get("type"), str, "the entity type as a string")
    if item.get("name") is not None:
        typed(title, f"{where}.name", item["name"], str, "a string or leave it out")
    number = _index(title, f"{where}.sent_id", item.get("sent_id"), len(sentences), "sentences")
    position, length = item.get("pos"), len(sentences[number])
    is_range = isinstance(position, list) and len(position) == 2 and all(type(value) is int for value in position)
    if not is_range or not 0 <= position[0] < position[1] <= length:
        fix = f"give [start, end] with 0 <= start < end <= {length}, the length of sentence {number}"
        raise DocumentError(title, f"{where}.pos", position, fix)


def _to_mention(item: Mapping[str, Any], entity_type: str, sentences: tuple[tuple[str, ...], ...]) -> Mention:
    number, (start, end), name = item["sent_id"], item["pos"], item.get("name")
    return Mention(
        number,
        start,
        end,
        name=None if name == " ".join(sentences[number][start:end]).strip() else name,
        type=None if item["type"] == entity_type else item["type"],
    )


def _cluster_record(document: Document, entity: Entity) -> list[dict[str, Any]]:
    # The reader takes the entity's type from the first mention.
    types = [entity.type, *(mention.type or entity.type for mention in entity.mentions[1:])]
    return [
        {
            "name": document.mention_words(mention) if mention.name is None else mention.name,
            "pos": [mention.start, mention.end],
            "sent_id": mention.sentence,
            "type": mention_type,
        }
        for mention, mention_type in zip(entity.mentions, types, strict=True)
    ]


def _label_record(document: Document, number: int) -> dict[str, Any]:
    relation = document.relations[number]
    record: dict[str, Any] = {"h": relation.head, "t": relation.tail, "r": _written_type(document, number)}
    record |= {} if relation.evidence is None else {"evidence": list(relation.evidence)}
    return record if relation.origin is None else record | {"origin": relation.origin}


def _written_type(document: Document, number: int) -> str:
    relation_type = document.relations[number].type
    if relation_type in NO_RELATION:
        raise DocumentError(
            document.id, f"relations[{number}].type", relation_type, "leave out pairs that are not related"
        )
    return relation_type
