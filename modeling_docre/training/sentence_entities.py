"""Documents as sentence-level systems see them: each mention is an entity, and relations hold inside sentences."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import product

from modeling_docre.documents import Document, Entity, Relation


def split_entities(document: Document, symmetric: Collection[str] = ()) -> Document:
    """The document with an entity for each distinct mention and type, and relations between those of one sentence.

    A relation between entities holds between all their mentions that share a sentence; what has no such mentions is out
    of reach of a sentence-level system. In a corpus of sentences nothing changes but the order of symmetric relations:
    their head is the mention that begins first in the text; of two that begin with the same word either is the head.

    Args:
        document: the document.
        symmetric: relation types that hold in both directions.
    """
    places: dict[tuple[int, int, str], int] = {}
    entities: list[Entity] = []
    members: list[list[int]] = []
    for entity in document.entities:
        members.append([])
        for mention in entity.mentions:
            place = (*document.span(mention), entity.type)
            if place not in places:
                places[place] = len(entities)
                entities.append(Entity(entity.type, (mention,), id=entity.id, score=entity.score))
            members[-1].append(places[place])
    relations: dict[tuple[int, int, str], Relation] = {}
    for relation in document.relations:
        for head, tail in product(members[relation.head], members[relation.tail]):
            if head == tail or entities[head].mentions[0].sentence != entities[tail].mentions[0].sentence:
                continue
            if relation.type in symmetric and _start(document, entities[tail]) < _start(document, entities[head]):
                head, tail = tail, head
            relations.setdefault(
                (head, tail, relation.type), replace(relation, head=head, tail=tail, mention_pairs=None)
            )
    return replace(
        document,
        entities=tuple(entities),
        relations=tuple(relations.values()),
        candidates=None,
        soft_relations=None,
    )


def crossing_relations(document: Document) -> int:
    """How many relations no sentence holds both ends of."""
    sentences = [{mention.sentence for mention in entity.mentions} for entity in document.entities]
    return sum(not sentences[relation.head] & sentences[relation.tail] for relation in document.relations)


def _start(document: Document, entity: Entity) -> int:
    return document.span(entity.mentions[0])[0]
