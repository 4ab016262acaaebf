"""Relation counts of one document: over all relations, by type, by subset of pairs, for evidence and training facts.

Sources: official DocRED evaluation (F1, Ign F1, evidence F1), the Re-DocRED evaluation script (distance and frequency
subsets), KMGRE section 4 (subsets by number of mentions).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from .candidate_pairs import CandidatePairs
from .counts import Counts
from .document_reader import read_document
from .scored_document import ScoredDocument, ScoredEntity, ScoredRelation

Fact = tuple[str, str, str]  # head name, tail name, relation type
Triple = tuple[Hashable, Hashable, str]  # head key, tail key, relation type; if symmetric: set of both keys, None, type
Item = tuple[Any, ...]  # its last part is a type

FREQUENT_TYPES = frozenset({"P17", "P131", "P27", "P150", "P175", "P577", "P463", "P527", "P495", "P361"})
"""The ten relation types that the Re-DocRED evaluation script calls frequent; all others are the long tail."""

DISTANCE_SUBSETS = ("intra", "inter")
FURTHER_SUBSETS = ("inter_long", "frequent", "long_tail", "m1", "m2", "single")
LONG_DISTANCE = 5


class Side(NamedTuple):
    """The relations of a prediction or of a reference, keyed so that the two sides can be compared.

    `key` maps an entity's position to its identifier. `entities` is None if they should come from a reference that does
    not exist. Relations of a type in `symmetric` have no direction. With `candidates`, the relations are already
    restricted to them.
    """

    relations: Sequence[ScoredRelation]
    key: Callable[[int], Hashable]
    entities: Sequence[ScoredEntity] | None
    symmetric: frozenset[str]
    candidates: CandidatePairs | None = None

    @classmethod
    def joint(cls, document: ScoredDocument, typed: bool, symmetric: frozenset[str]) -> Side:
        """A side whose entities are identified by their spans and, if `typed`, by their type."""
        keys = [(entity.spans, entity.type) if typed else entity.spans for entity in document.entities]
        return cls(document.relations, keys.__getitem__, document.entities, symmetric)

    @classmethod
    def given(cls, document: ScoredDocument, reference: ScoredDocument | None, symmetric: frozenset[str]) -> Side:
        """A side whose entities are identified by their position among those of the reference."""
        if reference is None:
            return cls(document.relations, int, None, symmetric)
        if reference.candidates is None:
            return cls(document.relations, int, reference.entities, symmetric)
        pairs = CandidatePairs(reference.candidates)
        return cls(pairs.scored_relations(document.relations), int, reference.entities, symmetric, pairs)

    def triple(self, relation: ScoredRelation) -> Triple:
        """The tuple that equal relations share; for a symmetric type it does not depend on which entity is the head."""
        head, tail = self.key(relation.head), self.key(relation.tail)
        if relation.type in self.symmetric:
            return frozenset((head, tail)), None, relation.type
        return head, tail, relation.type

    def is_directed(self, relation: ScoredRelation) -> bool:
        """Whether the order of head and tail counts: not for a symmetric type, nor for a candidate in one order."""
        one_order = self.candidates is not None and not self.candidates.is_directed(relation)
        return relation.type not in self.symmetric and not one_order

    def triples(self) -> dict[Triple, ScoredRelation]:
        """The first occurrence of each distinct relation, in the order given."""
        distinct: dict[Triple, ScoredRelation] = {}
        for relation in self.relations:
            distinct.setdefault(self.triple(relation), relation)
        return distinct


class Judged(NamedTuple):
    """A distinct predicted relation or entity; `score` is None if it or a repetition of it has none."""

    score: float | None
    correct: bool
    type: str


class RelationCounts(NamedTuple):
    """Counts of all relations and of each subset by name, and of each relation type."""

    tasks: dict[str, Counts]
    types: dict[str, Counts]


def read_train_facts(sources: Iterable[Any]) -> frozenset[Fact]:
    """The facts of a training split: every head name with every tail name of each of its relations.

    Args:
        sources: training documents in any form that the metric accepts, facts as (head name, tail name, relation
            type), or a mixture. A mention's name is its `name`, else its words joined by one space.

    Raises:
        ValueError: an item is neither a document nor a triple of strings.
    """
    if isinstance(sources, frozenset) and all(map(_is_fact, sources)):
        return sources
    facts: set[Fact] = set()
    for source in sources:
        if _is_fact(source):
            facts.add(tuple(source))
        elif isinstance(source, Sequence) and not isinstance(source, str | ScoredDocument):
            raise ValueError(f"train fact {source!r} is not (head name, tail name, relation type); give three strings")
        else:
            document = read_document(source, predicted=False)
            facts.update(fact for relation in document.relations for fact in _stated_facts(relation, document.entities))
    return frozenset(facts)


def _is_fact(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and all(isinstance(item, str) for item in value)


def _stated_facts(relation: ScoredRelation, entities: Sequence[ScoredEntity], directed: bool = True) -> Iterator[Fact]:
    """Every head name with every tail name of a relation, in both orders if it has no direction."""
    head, tail = entities[relation.head].names, entities[relation.tail].names
    yield from product(head, tail, (relation.type,))
    if not directed:
        yield from product(tail, head, (relation.type,))


def count_relations(
    predicted: Side, gold: Side | None, facts: frozenset[Fact] | None, frequent_types: frozenset[str]
) -> RelationCounts:
    """Count the relations of one document.

    Args:
        predicted: the prediction.
        gold: the reference; without one, all predicted relations are wrong and in no subset.
        facts: facts of the training split; a correct relation that is one of them counts in `Counts.in_train`.
        frequent_types: relation types of the subset `frequent`.
    """
    predicted_triples = predicted.triples()
    gold_triples = {} if gold is None else gold.triples()
    stated = _stated_before(predicted_triples, gold, facts)
    counts = RelationCounts({"relation": Counts()}, {})
    for triple, relation in predicted_triples.items():
        hit = triple in gold_triples
        for group in _groups(counts, relation, predicted if gold else None, frequent_types):
            group.predicted += 1
            group.predicted_hits += hit
            group.in_train += triple in stated
    for triple, relation in gold_triples.items():
        hit = triple in predicted_triples
        for group in _groups(counts, relation, gold, frequent_types):
            group.gold += 1
            group.gold_hits += hit
    return counts


def judge(items: Iterable[tuple[Item, float | None]], gold: Collection[Item]) -> list[Judged]:
    """The distinct predicted items, in the order given.

    A repeated item gets its highest score, which is the highest threshold at which it is still predicted.

    Args:
        items: tuples that end in a type, each with its score.
        gold: the tuples that are right.
    """
    scores: dict[Item, list[float | None]] = {}
    for item, score in items:
        scores.setdefault(item, []).append(score)
    return [Judged(_highest(values), item in gold, item[-1]) for item, values in scores.items()]


def _highest(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return max(known) if len(known) == len(scores) else None


def _groups(
    counts: RelationCounts, relation: ScoredRelation, side: Side | None, frequent_types: frozenset[str]
) -> list[Counts]:
    """The counts to which a relation is added."""
    names: list[str] = []
    if side is not None and side.entities is not None:
        cross = None if side.candidates is None else side.candidates.cross(relation)
        names = subsets_of(relation, side.entities, frequent_types, cross)
    groups = [counts.tasks.setdefault(name, Counts()) for name in ("relation", *names)]
    return [*groups, counts.types.setdefault(relation.type, Counts())]


def subsets_of(
    relation: ScoredRelation,
    entities: Sequence[ScoredEntity],
    frequent_types: frozenset[str],
    cross: bool | None = None,
) -> list[str]:
    """Names of the subsets that a relation belongs to.

    The distance of a pair is the smallest number of sentences between a mention of the head and one of the tail:
    `intra` is 0, `inter` more, `inter_long` more than 5. In `m1` the head or the tail has several distinct mention
    spans, in `m2` both have, in `single` neither has.

    Args:
        relation: the relation, with its head and tail as positions among `entities`.
        entities: entities of its document.
        frequent_types: relation types of the subset `frequent`.
        cross: whether the corpus counts the pair as `inter`; None means that the distance decides.
    """
    head, tail = entities[relation.head], entities[relation.tail]
    distance = min(abs(first[0] - second[0]) for first in head.spans for second in tail.spans)
    several = (len(head.spans) > 1) + (len(tail.spans) > 1)
    inter = distance > 0 if cross is None else cross
    names = ["frequent" if relation.type in frequent_types else "long_tail", "inter" if inter else "intra"]
    names += ["inter_long"] * (inter and distance > LONG_DISTANCE)
    return names + [["single"], ["m1"], ["m1", "m2"]][several]


def _stated_before(triples: Mapping[Triple, Any], gold: Side | None, facts: frozenset[Fact] | None) -> set[Triple]:
    """The correct triples that are training facts under some name of their gold head and gold tail."""
    if not facts or gold is None or gold.entities is None:
        return set()
    stated = set()
    for relation in gold.relations:
        triple = gold.triple(relation)
        named = _stated_facts(relation, gold.entities, gold.is_directed(relation))
        if triple in triples and not facts.isdisjoint(named):
            stated.add(triple)
    return stated


def count_evidence(predicted: Side, gold: Side) -> Counts:
    """Count evidence sentences of one document.

    All predicted evidence counts, but only that of a correct relation can be correct. A repeated prediction counts by
    its first occurrence. A repeated gold relation has the evidence of its last occurrence, while the number of gold
    sentences is summed over all of them (official DocRED evaluation).
    """
    gold_evidence = {gold.triple(relation): set(relation.evidence) for relation in gold.relations}
    counts = Counts(gold=sum(len(relation.evidence) for relation in gold.relations))
    for triple, relation in predicted.triples().items():
        evidence = set(relation.evidence)
        hits = len(evidence & gold_evidence.get(triple, set()))
        counts.add(Counts(hits, len(evidence), hits, 0))
    return counts
