"""Documents from DWIE's articles: concepts as entities with one type each, mentions in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dataset_scripts.building.concept_pairs import UNMENTIONED
from modeling_docre.documents import Document, Entity, Relation
from modeling_docre.text import document_from_text, place_entities

from .dwie_annotations import REPEATED_ROWS, SELF_ROWS, Article, kept_relations

TYPE_TAG = "type::"
UNTYPED = "untyped"

UNMENTIONED_DOCUMENTS = "documents without a mention (dropped)"
UNMENTIONED_CONCEPTS = "concepts without a mention (dropped)"
UNRELATED = "documents without relations (kept)"
WITHOUT_TYPE_TAG = f"entities without a tag `{TYPE_TAG}...` (type {UNTYPED})"
OTHER_TYPE_TAGS = f"entities with other tags `{TYPE_TAG}...` than type_priority names (type {UNTYPED})"
CHANGES = (UNMENTIONED_DOCUMENTS, UNMENTIONED_CONCEPTS, UNMENTIONED, SELF_ROWS, REPEATED_ROWS, OTHER_TYPE_TAGS)
"""What makes documents differ from the files, among the things that are counted."""

_SIZES = ("documents", "concepts", "mentions", "relation rows")


class ArticleReader:
    """Turns articles into documents, and counts what the documents do not show.

    Words and sentences are spaCy's; no mention is moved: words are cut at its borders and sentences merged under it.

    Args:
        type_priority: names of `type::` tags; the first one that a concept has is its entity's type.
        labels: readable name of each relation type.
    """

    def __init__(self, type_priority: Sequence[str], labels: Mapping[str, str]):
        self.type_priority, self.labels = type_priority, labels
        self.counts: Counter[str] = Counter(dict.fromkeys((*_SIZES, *CHANGES, WITHOUT_TYPE_TAG, UNRELATED), 0))

    def read(self, article: Article) -> Document | None:
        """The document of an article, or None where the article has no mention."""
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
        placed = _plain_names(place_entities(document_from_text(article.text, article.id), list(entities.values())))
        found = (Relation(position[h], position[t], name, self.labels.get(name)) for h, name, t in relations)
        return replace(placed, relations=tuple(found))

    def _entities(self, article: Article) -> dict[int, dict[str, Any]]:
        """The dict form of each mentioned concept's entity, in the order of the first mentions."""
        entities: dict[int, dict[str, Any]] = {}
        for mention in sorted(article.mentions, key=lambda mention: (mention.start, mention.end)):
            if mention.concept not in entities:
                kind = self._type(article.concepts[mention.concept])
                entities[mention.concept] = {"type": kind, "id": str(mention.concept), "mentions": []}
            place = {"char_start": mention.start, "char_end": mention.end}
            entities[mention.concept]["mentions"].append(place | {"name": article.text[mention.start : mention.end]})
        return entities

    def _type(self, tags: Iterable[str]) -> str:
        names = {tag.removeprefix(TYPE_TAG) for tag in tags if tag.startswith(TYPE_TAG)}
        found = next((name for name in self.type_priority if name in names), None)
        if found is None:
            self.counts[OTHER_TYPE_TAGS if names else WITHOUT_TYPE_TAG] += 1
        return found or UNTYPED


def _plain_names(document: Document) -> Document:
    """The document with the names of mentions only where they differ from the words."""

    def plain(entity: Entity) -> Entity:
        names = (None if m.name == document.mention_words(m) else m.name for m in entity.mentions)
        return replace(
            entity, mentions=tuple(replace(m, name=name) for m, name in zip(entity.mentions, names, strict=True))
        )

    return replace(document, entities=tuple(map(plain, document.entities)))
