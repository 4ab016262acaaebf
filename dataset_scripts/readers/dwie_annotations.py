"""Reads DWIE's annotation files, one JSON object per news article, and checks every field."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataset_scripts.building.concept_pairs import UNMENTIONED
from modeling_docre.documents import DocumentError

SPLIT_TAGS = ("train", "test")
"""The document tags that name an article's part of the published split."""

REPEATED_ROWS = "relation rows that repeat another (dropped)"
SELF_ROWS = "relation rows from a concept to itself (dropped)"

_FETCH = "DWIE's own dwie_download.py, which writes files with `content` into data/annos_with_content"


@dataclass(frozen=True, slots=True)
class ConceptMention:
    """A mention of an article: half-open character offsets in its text, and the number of its concept."""

    start: int
    end: int
    concept: int


@dataclass(frozen=True, slots=True)
class Article:
    """A news article with its annotations.

    Args:
        id: its name, e.g. `DW_17469087`.
        split: `train` or `test`, its part of the published split.
        text: the text with the mentions; empty if the file has neither.
        mentions: in the order of the file.
        concepts: the tags of each concept, by its number; a concept may have no mention.
        relations: head concept, relation type and tail concept of each row of the file.
    """

    id: str
    split: str
    text: str
    mentions: tuple[ConceptMention, ...]
    concepts: Mapping[int, tuple[str, ...]]
    relations: tuple[tuple[int, str, int], ...]


def read_article(content: bytes, name: str) -> Article:
    """The article of an annotation file.

    Other keys (`candidates`, `link`, `iptc`, `frames` and so on) are ignored.

    Args:
        content: the file: a JSON object in UTF-8.
        name: name of the file, for messages.

    Raises:
        DocumentError: the file is not a JSON object, a key is missing or has a wrong value, the text was not fetched,
            or a mention's text differs from that at its offsets.
    """
    record = _parse(content, name)
    identifier = record.get("id")
    if type(identifier) not in (str, int) or identifier == "":
        raise DocumentError(name, "id", identifier, "give the name of the article as a string")
    fields = _Fields(str(identifier), "", record)
    concepts = _read_concepts(fields)
    rows = fields.objects("mentions")
    text = _read_text(fields, bool(rows))
    return Article(
        str(identifier),
        _read_split(fields),
        text,
        tuple(_read_mention(row, text, concepts) for row in rows),
        concepts,
        tuple(_read_relation(row, concepts) for row in fields.objects("relations")),
    )


def kept_relations(article: Article, counts: Counter[str]) -> list[tuple[int, str, int]]:
    """The distinct relation rows of an article between different concepts that both have mentions.

    Args:
        article: the article.
        counts: the dropped rows are added by their reason; a repeated row has only that reason.
    """
    mentioned = {mention.concept for mention in article.mentions}
    rows = dict.fromkeys(article.relations)
    self_rows = [row for row in rows if row[0] == row[2]]
    kept = [row for row in rows if row[0] != row[2] and {row[0], row[2]} <= mentioned]
    counts[REPEATED_ROWS] += len(article.relations) - len(rows)
    counts[SELF_ROWS] += len(self_rows)
    counts[UNMENTIONED] += len(rows) - len(self_rows) - len(kept)
    return kept


class _Fields:
    """A JSON object inside a document whose fields are checked when they are read."""

    def __init__(self, document_id: str, where: str, record: Mapping[str, Any]):
        self.document_id, self.where, self.record = document_id, where, record

    def error(self, key: str, value: Any, fix: str) -> DocumentError:
        return DocumentError(self.document_id, f"{self.where}.{key}" if self.where else key, value, fix)

    def take(self, key: str, kind: type, wanted: str) -> Any:
        value = self.record.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            problem = "" if key in self.record else "the key is missing; "
            raise self.error(key, value, f"{problem}give {wanted}")
        return value

    def strings(self, key: str, wanted: str) -> tuple[str, ...]:
        values = self.take(key, list, wanted)
        for number, value in enumerate(values):
            if not isinstance(value, str):
                raise self.error(f"{key}[{number}]", value, "give a string")
        return tuple(values)

    def objects(self, key: str) -> list[_Fields]:
        values = self.take(key, list, "a list of objects")
        for number, value in enumerate(values):
            if not isinstance(value, dict):
                raise self.error(f"{key}[{number}]", value, "give an object")
        return [_Fields(self.document_id, f"{key}[{number}]", value) for number, value in enumerate(values)]


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        record = json.loads(content.decode("utf-8-sig"))
    except ValueError as error:  # of the encoding or of the JSON
        raise DocumentError(name, "JSON text", content[:60], f"give one JSON object in UTF-8 ({error})") from error
    if not isinstance(record, dict):
        raise DocumentError(name, "JSON text", record, "give one JSON object, with id, content, mentions and the rest")
    return record


def _read_split(article: _Fields) -> str:
    tags = article.strings("tags", "the list of document tags")
    splits = [tag for tag in SPLIT_TAGS if tag in tags]
    if len(splits) != 1:
        raise article.error("tags", list(tags), "give either 'train' or 'test' among them")
    return splits[0]


def _read_text(article: _Fields, needed: bool) -> str:
    if needed and article.record.get("content") in (None, ""):
        raise article.error("content", article.record.get("content"), f"fetch the text with {_FETCH}")
    return "" if article.record.get("content") is None else article.take("content", str, "the text as a string")


def _read_concepts(article: _Fields) -> dict[int, tuple[str, ...]]:
    concepts: dict[int, tuple[str, ...]] = {}
    for row in article.objects("concepts"):
        number = row.take("concept", int, "the number of the concept")
        if number in concepts:
            raise row.error("concept", number, "another concept has this number; give each its own")
        # Tags are optional descriptions.
        tags = row.record.get("tags")
        concepts[number] = () if tags is None else row.strings("tags", "a list of tags")
    return concepts


def _read_mention(row: _Fields, text: str, concepts: Mapping[int, Any]) -> ConceptMention:
    start, end = (row.take(key, int, "a number of characters of `content`") for key in ("begin", "end"))
    expected = row.take("text", str, "the text of the mention")
    if not 0 <= start < end <= len(text):
        fix = (
            f"the mention is {expected!r}; give 0 <= begin < end <= {len(text)}, the length of `content`, which may be "
            f"cut: fetch it with {_FETCH}"
        )
        raise DocumentError(row.document_id, f"{row.where} (begin, end)", (start, end), fix)
    if (actual := text[start:end]) != expected:
        fix = (
            f"`content` has {actual!r} there, but the mention's text is {expected!r}; correct the half-open character "
            f"offsets, or fetch the text with {_FETCH}"
        )
        raise DocumentError(row.document_id, f"{row.where} (begin, end)", (start, end), fix)
    return ConceptMention(start, end, _concept(row, "concept", concepts))


def _read_relation(row: _Fields, concepts: Mapping[int, Any]) -> tuple[int, str, int]:
    name = row.take("p", str, "the relation type")
    if not name:
        raise row.error("p", name, "give the relation type")
    return _concept(row, "s", concepts), name, _concept(row, "o", concepts)


def _concept(row: _Fields, key: str, concepts: Mapping[int, Any]) -> int:
    number = row.take(key, int, "the number of a concept")
    if number not in concepts:
        raise row.error(key, number, "the article has no concept of this number; correct it, or add it to `concepts`")
    return number
