"""Turns DWIE's articles into documents: concepts become entities of one type, mentions are in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dataset_scripts.building.concept_pairs import UNMENTIONED
from modeling_docre.documents import Document, Entity, Relation
from modeling_docre.given_entities import place_entities
from modeling_docre.text import document_from_text

from .dwie_annotations import REPEATED_ROWS, SELF_ROWS, Article, kept_relations

TYPE_TAG = "type::"
UNTYPED = "untyped"

UNMENTIONED_DOCUMENTS = "documents without a mention (dropped)"
UNMENTIONED_CONCEPTS = "concepts without a mention (dropped)"
UNRELATED = "documents without relations (kept)"
WITHOUT_TYPE_TAG = f"entities without a tag `{TYPE_TAG}...` (type {UNTYPED})"
OTHER_TYPE_TAGS = f"entities whose tags `{TYPE_TAG}...` are not in type_priority (type {UNTYPED})"
CHANGES = (UNMENTIONED_DOCUMENTS, UNMENTIONED_CONCEPTS, UNMENTIONED, SELF_ROWS, REPEATED_ROWS, OTHER_TYPE_TAGS)
"""The counts of changes that make documents differ from the files."""

_SIZES = ("documents", "concepts", "mentions", "relation rows")


class ArticleReader:
    """Turns articles into documents, and counts what the documents do not show.

    Words and sentences are spaCy's. Mentions keep their borders: words are split at them and sentences merged.

    Args:
        type_priority: names of `type::` tags; the first one that a concept has is its entity's type.
        labels: readable name of each relation type.
    """

    def __init__(self, type_priority: Sequence[str], labels: Mapping[str, str]):
        self.type_priority, self.labels = type_priority, labels
        self.counts: Counter[str] = Counter(dict.fromkeys((*_SIZES, *CHANGES, WITHOUT_TYPE_TAG, UNRELATED), 0))

    def read(self, article: Article) -> Document | None:
        """The document of an article, or None if the article has no mention."""
        sizes = (1, len(article.concepts), len(article.mentions), len(article.relations))
        self.counts.update(dict(zip(_SIZES, sizes, strict=True)))
        entities = self._entities(article)
        relations = kept_relations(article, self.counts)
        self.counts[UNMENTIONED_CONCEPTS] += len(article.concepts) - len(entities)
        if not entities:
            self.counts[UNMENTIONED_DOCUMENTS] += 1
            return None
        self.counts[UNRELATED] += not relations
        position = {concept: number for number, concept in enumerate(entities)}
        document = place_entities(document_from_text(article.text, article.id), list(entities.values()))
        rows = (Relation(position[h], position[t], name, self.labels.get(name)) for h, name, t in relations)
        return replace(_plain_names(document), relations=tuple(rows))

    def _entities(self, article: Article) -> dict[int, dict[str, Any]]:
        """The dict form of each mentioned concept's entity, in the order of first mentions."""
        entities: dict[int, dict[str, Any]] = {}
        for mention in sorted(article.mentions, key=lambda mention: (mention.start, mention.end)):
            if mention.concept not in entities:
                kind = self._type(article.concepts[mention.concept])
                entities[mention.concept] = {"type": kind, "id": str(mention.concept), "mentions": []}
            offsets = {"char_start": mention.start, "char_end": mention.end}
            entities[mention.concept]["mentions"].append(offsets | {"name": article.text[mention.start : mention.end]})
        return entities

    def _type(self, tags: Iterable[str]) -> str:
        names = {tag.removeprefix(TYPE_TAG) for tag in tags if tag.startswith(TYPE_TAG)}
        entity_type = next((name for name in self.type_priority if name in names), None)
        if entity_type is None:
            self.counts[OTHER_TYPE_TAGS if names else WITHOUT_TYPE_TAG] += 1
        return entity_type or UNTYPED


def _plain_names(document: Document) -> Document:
    """The document without those names of mentions that repeat their words."""
    entities: list[Entity] = []
    for entity in document.entities:
        names = (None if m.name == document.mention_words(m) else m.name for m in entity.mentions)
        mentions = tuple(replace(m, name=name) for m, name in zip(entity.mentions, names, strict=True))
        entities.append(replace(entity, mentions=mentions))
    return replace(document, entities=tuple(entities))
