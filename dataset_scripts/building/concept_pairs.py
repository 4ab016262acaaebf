"""Relations and candidate pairs between the concepts of a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from modeling_docre.documents import Candidate, Document, Relation

UNMENTIONED = "relation rows of a concept without a mention (dropped)"


@dataclass(frozen=True, slots=True)
class Fact:
    """A relation of a corpus file: its type, the entity types of head and tail, and their two concept ids.

    The ids may be in either order; the entity types say which one is the head.
    """

    type: str
    entity_types: tuple[str, str]
    concepts: tuple[str, str]


def add_pairs(
    document: Document,
    facts: Iterable[Fact],
    pair_types: Sequence[tuple[str, str]],
    labels: Mapping[str, str],
    counts: Counter[str],
    first_is_head: bool = False,
) -> Document:
    """Add candidate pairs and relations to a document.

    Candidates are all pairs of concepts whose entity types are in `pair_types`; `cross` is True if no sentence mentions
    both. All are scored.

    Args:
        document: entities with concept ids, in the order of their first mentions.
        facts: its relations; those of unmentioned concepts are left out and counted in `counts`.
        pair_types: distinct pairs of entity types, head and tail.
        labels: readable name of each relation type.
        counts: `UNMENTIONED` is increased.
        first_is_head: whether the head of candidates and relations is the concept that the text mentions first, instead
            of the one whose type comes first in `pair_types`.
    """
    positions = {(entity.type, entity.id): number for number, entity in enumerate(document.entities)}
    relations = []
    for fact in facts:
        pair = _find_pair(positions, fact)
        counts[UNMENTIONED] += pair is None
        if pair is not None:
            relations.append(Relation(*_oriented(pair, first_is_head), fact.type, labels.get(fact.type)))
    pairs = sorted(_oriented(pair, first_is_head) for pair in _pairs(document, pair_types))
    sentences = [{mention.sentence for mention in entity.mentions} for entity in document.entities]
    candidates = tuple(Candidate(h, t, cross=sentences[h].isdisjoint(sentences[t])) for h, t in pairs)
    return replace(document, relations=tuple(relations), candidates=candidates)


def _find_pair(positions: Mapping[tuple[str, str | None], int], fact: Fact) -> tuple[int, int] | None:
    """The positions of the fact's head and tail among the entities, or None if one is not mentioned."""
    for ids in (fact.concepts, fact.concepts[::-1]):
        head, tail = (positions.get(concept) for concept in zip(fact.entity_types, ids, strict=True))
        if head is not None and tail is not None:
            return head, tail
    return None


def _pairs(document: Document, pair_types: Sequence[tuple[str, str]]) -> Iterable[tuple[int, int]]:
    for head_type, tail_type in pair_types:
        heads, tails = (
            [number for number, entity in enumerate(document.entities) if entity.type == entity_type]
            for entity_type in (head_type, tail_type)
        )
        yield from product(heads, tails)


def _oriented(pair: tuple[int, int], first_is_head: bool) -> tuple[int, int]:
    head, tail = pair
    return (min(pair), max(pair)) if first_is_head else (head, tail)
