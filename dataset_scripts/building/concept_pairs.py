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

    The ids may stand in either order; the entity types say which one is the head.
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
    """Give a document its candidate pairs and its relations.

    Candidates are all pairs of concepts whose entity types are among `pair_types`; `cross` is True where no sentence
    has mentions of both. All are scored.

    Args:
        document: entities with concept ids, in the order of their first mentions.
        facts: its relations; one of a concept that no mention has is left out and counted in `counts`.
        pair_types: entity types of head and tail; without repetitions.
        labels: readable name of each relation type.
        counts: `UNMENTIONED` is increased.
        first_is_head: let the concept that the text mentions first be the head, in candidates and relations alike,
            instead of the one whose type `pair_types` names first.
    """
    found = {(entity.type, entity.id): number for number, entity in enumerate(document.entities)}
    relations = []
    for fact in facts:
        pair = _positions(found, fact)
        counts[UNMENTIONED] += pair is None
        if pair is not None:
            relations.append(Relation(*_oriented(pair, first_is_head), fact.type, labels.get(fact.type)))
    pairs = sorted(_oriented(pair, first_is_head) for pair in _pairs(document, pair_types))
    sentences = [{mention.sentence for mention in entity.mentions} for entity in document.entities]
    candidates = tuple(Candidate(h, t, cross=sentences[h].isdisjoint(sentences[t])) for h, t in pairs)
    return replace(document, relations=tuple(relations), candidates=candidates)


def _positions(found: Mapping[tuple[str, str | None], int], fact: Fact) -> tuple[int, int] | None:
    """The positions of the fact's head and tail among the entities, or None where one is not mentioned."""
    for ids in (fact.concepts, fact.concepts[::-1]):
        head, tail = (found.get(concept) for concept in zip(fact.entity_types, ids, strict=True))
        if head is not None and tail is not None:
            return head, tail
    return None


def _pairs(document: Document, pair_types: Sequence[tuple[str, str]]) -> Iterable[tuple[int, int]]:
    for head_type, tail_type in pair_types:
        heads, tails = (
            [number for number, entity in enumerate(document.entities) if entity.type == wanted]
            for wanted in (head_type, tail_type)
        )
        yield from product(heads, tails)


def _oriented(pair: tuple[int, int], first_is_head: bool) -> tuple[int, int]:
    head, tail = pair
    return (min(pair), max(pair)) if first_is_head else (head, tail)
