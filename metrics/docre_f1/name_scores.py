"""Relations by the names of their entities: what a reader who looks names up would count as found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from .counts import Counts
from .scored_document import ScoredDocument, ScoredEntity

Names = frozenset[str]
NameTriple = tuple[Names, Names, str]  # names of the head, names of the tail, relation type


def count_by_names(predicted: ScoredDocument, gold: ScoredDocument | None, symmetric: frozenset[str]) -> Counts:
    """Count the relations of one document by the names of head and tail.

    A relation is a triple (set of the head's names, set of the tail's names, relation type). The names of an entity are
    the strings of its mentions, without case and blanks. Triples that are equal count once. Two triples match if their
    types are equal, their heads share a name and their tails share a name; entity types, and mentions that are missing
    or too many, do not matter. A predicted triple is right if it matches any gold triple, and a gold triple is found
    if any predicted triple matches it, so each gold triple counts once however many predictions match it.

    Args:
        predicted: the prediction. Where it lists neither words nor names, the words are those of the reference.
        gold: the reference of the same document; without one, all predicted triples are wrong.
        symmetric: relation types that hold in both directions; head and tail of their triples may be exchanged.

    Returns:
        Counts whose `predicted_hits` and `gold_hits` may differ.
    """
    found = _triples(predicted, predicted if gold is None else gold, symmetric)
    stated = set() if gold is None else _triples(gold, gold, symmetric)
    sharing = _sharing(_arguments(found), _arguments(stated))
    matches = [_matches(triple, sharing, symmetric) & stated for triple in found]
    return Counts(sum(map(bool, matches)), len(found), len(set().union(*matches)), len(stated))


def _triples(document: ScoredDocument, words: ScoredDocument, symmetric: frozenset[str]) -> set[NameTriple]:
    names = [_names(entity, words) for entity in document.entities]
    triples = set()
    for relation in document.relations:
        head, tail = names[relation.head], names[relation.tail]
        if relation.type in symmetric:
            head, tail = sorted((head, tail), key=sorted)
        triples.add((head, tail, relation.type))
    return triples


def _names(entity: ScoredEntity, document: ScoredDocument) -> Names:
    names: Collection[str] = entity.names
    if not names and document.sentences is not None:
        names = [" ".join(document.sentences[sentence][start:end]) for sentence, start, end in entity.spans]
    # A name out of a text and the words cut from it differ in blanks: "O'Brien" and "O 'Brien".
    return frozenset("".join(name.split()).casefold() for name in names)


def _arguments(triples: Collection[NameTriple]) -> set[Names]:
    return {names for head, tail, _ in triples for names in (head, tail)}


def _sharing(found: Collection[Names], stated: Collection[Names]) -> dict[Names, set[Names]]:
    """The stated sets of names that share a name with each found one."""
    owners: defaultdict[str, set[Names]] = defaultdict(set)
    for names in stated:
        for name in names:
            owners[name].add(names)
    return {names: set().union(*(owners[name] for name in names if name in owners)) for names in found}


def _matches(triple: NameTriple, sharing: dict[Names, set[Names]], symmetric: frozenset[str]) -> set[NameTriple]:
    """What would match a found triple, stated or not."""
    head, tail, kind = triple
    pairs = [(first, second) for first in sharing[head] for second in sharing[tail]]
    if kind in symmetric:
        pairs += [(second, first) for first, second in pairs]
    return {(first, second, kind) for first, second in pairs}
