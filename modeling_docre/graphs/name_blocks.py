"""Groups the names of many documents' entities: names that mean one thing, as far as the documents tell.

Documents that use two names for one entity speak for it, documents that use them for two entities against it. What is
grouped depends on the set of documents, never on their order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence, Set
from typing import Any, NamedTuple

from modeling_docre.merging import LocalEntity, Name, own_names

from .similarity import THRESHOLD, Merge, check_options, patterns, similar_words

# Fitted to the training part of CDR: benchmarks/merging.md.
APART = 0.1  # at most so many documents keep two names apart, per document that uses both for one entity
SUPPORT = 0.1  # both names are used for one entity in this share of the rarer name's documents
MAJORITY = 0.5  # the same share of the uses of an abbreviation as a second name
SECOND_HAND = 0.25  # the same share of the documents of a name that joins a cluster over another second name
SPECIFIC = 0.1  # the same share of the uses of a name that is a second name twice as often as a main one
SURE = 0.9  # a name implies a concept if this share of its entities with known ids have it

Place = tuple[str, int]
"""A document and the number of one of its entities."""


class Concept(NamedTuple):
    """A known concept of an entity type; as an `id`, the empty string stands for several."""

    type: str
    id: str


Group = Name | Concept | None


class NameBlocks:
    """The names of documents that come and go, in groups.

    Names that are linked form blocks, and a change recomputes the blocks that it touches. Within a block, the name that
    most documents have takes the names linked to it; these take names linked to them if most of the documents that have
    such a name say so. Chains are no longer than that.

    Args:
        merge, threshold: as in `CorpusGraph`.

    Raises:
        ValueError: `merge` is unknown, or `threshold` is not from 0 to 1.
    """

    def __init__(self, merge: Merge = "exact", threshold: float = THRESHOLD):
        check_options(merge, threshold)
        self.merge, self.threshold = merge, threshold
        self._places: defaultdict[Name, dict[str, int]] = defaultdict(dict)  # entities as bits
        self._mains: defaultdict[Name, set[Place]] = defaultdict(set)
        self._mains_of: defaultdict[Name, Counter[Name]] = defaultdict(Counter)
        self._aliases_of: defaultdict[Name, Counter[Name]] = defaultdict(Counter)
        self._ids: defaultdict[Name, Counter[str]] = defaultdict(Counter)
        self._words: defaultdict[Name, Counter[tuple[str, ...]]] = defaultdict(Counter)
        self._patterns: defaultdict[Any, Counter[tuple[str, Name]]] = defaultdict(Counter)
        self._links: defaultdict[Name, dict[Name, int]] = defaultdict(dict)
        self._blocks: dict[Name, set[Name]] = {}
        self._groups: dict[Name, Group] = {}
        self._touched: set[Name] = set()

    def add(self, document: str, entities: Sequence[LocalEntity]) -> dict[Place, Name | None]:
        """Add the entities of a new document; `update` has to follow before groups are read.

        Returns:
            The main name of each entity; None if it has none, or if nothing is merged.
        """
        return self._count(document, entities, 1)

    def remove(self, document: str, entities: Sequence[LocalEntity]) -> None:
        """Remove the entities of a document that was added; `update` has to follow before groups are read."""
        self._count(document, entities, -1)

    def update(self) -> set[Name]:
        """Group the touched blocks anew.

        Returns:
            The names whose group is not what it was, or that are new or gone.
        """
        touched, self._touched = self._touched, set()
        seeds = touched.union(*(self._blocks.get(name, ()) for name in touched))
        for name in touched:
            self._link(name)
        changed = set()
        while seeds:
            block = self._reach(seeds.pop())
            seeds -= block
            changed |= self._regroup(block)
        return changed

    def group(self, entity: LocalEntity) -> Group:
        """What an entity is merged into: its known concept, or a name; None if it stays alone."""
        return self.group_by(next(iter(own_names(entity)), None), entity)

    def group_by(self, main: Name | None, entity: LocalEntity) -> Group:
        """The same, if the main name of the entity is known."""
        if self.merge == "off":
            return None
        if entity.id:
            return Concept(entity.type, entity.id)
        return None if main is None else self._groups.get(main, main)

    def groups_only(self) -> NameBlocks:
        """What `group` needs, without the documents: small enough to be sent to other processes."""
        blocks = NameBlocks(self.merge, self.threshold)
        blocks._groups = self._groups
        return blocks

    def members(self, name: Name) -> Set[Place]:
        """The entities whose main name this is."""
        return self._mains.get(name, frozenset())

    def _count(self, document: str, entities: Sequence[LocalEntity], step: int) -> dict[Place, Name | None]:
        mains: dict[Place, Name | None] = {}
        for number, entity in enumerate(entities):
            place, names = (document, number), own_names(entity) if self.merge != "off" else {}
            mains[place] = next(iter(names), None)
            self._touched.update(names)
            for name, spellings in names.items():
                self._place(name, document, number, step)
                if entity.id:
                    _add(self._ids, name, entity.id, step)
                if self.merge == "similar" and not name.short:
                    self._spell(name, spellings, step)
            if names:
                self._count_main(place, *names, step=step)
        return mains

    def _place(self, name: Name, document: str, number: int, step: int) -> None:
        if step > 0:
            places = self._places[name]
            places[document] = places.get(document, 0) | 1 << number
            return
        self._places[name].pop(document, None)
        if not self._places[name]:
            del self._places[name]

    def _count_main(self, place: Place, main: Name, *aliases: Name, step: int) -> None:
        if step > 0:
            self._mains[main].add(place)
        else:
            self._mains[main].discard(place)
            if not self._mains[main]:
                del self._mains[main]
        for alias in aliases:
            _add(self._mains_of, alias, main, step)
            _add(self._aliases_of, main, alias, step)

    def _spell(self, name: Name, spellings: Iterable[tuple[str, ...]], step: int) -> None:
        for words in spellings:
            _add(self._words, name, words, step)
            for pattern, word in patterns(words):
                _add(self._patterns, (name.type, pattern), (word, name), step)

    def _link(self, name: Name) -> None:
        """Find the names that mean the same as this one, each with the number of documents that say so."""
        for other in self._links.pop(name, {}):
            del self._links[other][name]
        if name not in self._places or self._implied(name) == "":
            return
        similar = self._similar(name)
        for other in {*self._mains_of.get(name, ()), *self._aliases_of.get(name, ()), *similar}:
            both, apart = self._documents(name, other)
            rarer = min(len(self._places[name]), len(self._places[other]))
            stated = both >= SUPPORT * rarer and self._specific(name, other) and self._specific(other, name)
            if apart <= APART * both and (stated or other in similar) and self._implied(other) != "":
                self._links[name][other] = self._links[other][name] = both

    def _documents(self, one: Name, other: Name) -> tuple[int, int]:
        """In how many documents both names are names of one entity, and in how many they are of two only."""
        few, many = sorted((self._places[one], self._places[other]), key=len)
        both = [bool(entities & many[document]) for document, entities in few.items() if document in many]
        return sum(both), len(both) - sum(both)

    def _specific(self, alias: Name, main: Name) -> bool:
        """Whether a name, where it is a second name, stands for this main name often enough."""
        uses = self._mains_of.get(alias)
        if not uses or main not in uses:
            return True
        mostly_second = uses.total() > 2 * len(self.members(alias))
        share = MAJORITY if alias.short else SPECIFIC if mostly_second else 0
        return uses[main] >= share * uses.total()

    def _similar(self, name: Name) -> set[Name]:
        """Names that differ from this one in the spelling of one word."""
        return {
            other
            for words in self._words.get(name, ())
            for pattern, word in patterns(words)
            for other_word, other in self._patterns.get((name.type, pattern), ())
            if other != name and similar_words(word, other_word, self.threshold)
        }

    def _implied(self, name: Name) -> str | None:
        """The concept id that a name implies; None if none of its entities has one, "" if they are at odds."""
        ids = self._ids.get(name)
        if not ids:
            return None
        count, concept = max((count, concept) for concept, count in ids.items())
        return concept if count >= SURE * ids.total() else ""

    def _reach(self, name: Name) -> set[Name]:
        """The block of a name: all that links lead to."""
        block, new = {name}, [name]
        while new:
            linked = self._links.get(new.pop(), {}).keys() - block
            block |= linked
            new += linked
        return block

    def _regroup(self, block: set[Name]) -> set[Name]:
        """Group the names of a block; returns those whose group is not what it was."""
        before = {name: self._groups.pop(name, name) for name in block}
        alive = block & self._places.keys()
        for cluster in self._clusters(alive):
            concepts = {concept for name in cluster if (concept := self._implied(name)) is not None}
            group: Group = Concept(cluster[0].type, concepts.pop()) if concepts else cluster[0]
            for name in cluster:
                self._set(name, None if group == (name.type, "") or self._unclear(name) else group)
        for name in block:
            self._blocks.pop(name, None)
            if len(alive) > 1 and name in alive:
                self._blocks[name] = alive
        return {name for name in block if before[name] != self._groups.get(name, name)}

    def _set(self, name: Name, group: Group) -> None:
        if group != name:
            self._groups[name] = group

    def _unclear(self, name: Name) -> bool:
        """Whether an abbreviation stands for several things, none of them in most of its uses."""
        uses = self._mains_of.get(name)
        return bool(name.short and uses and max(uses.values()) < MAJORITY * uses.total())

    def _clusters(self, block: set[Name]) -> Iterator[list[Name]]:
        """Clusters around the names of most documents; abbreviations gather no full names."""
        free = set(block)
        for hub in sorted(block, key=lambda name: (name.short, -len(self._places[name]), name)):
            if hub in free:
                free.remove(hub)
                cluster = [hub]
                self._gather(cluster, hub, free)
                for name in cluster[1:]:
                    self._gather(cluster, name, free)
                yield cluster

    def _gather(self, cluster: list[Name], middle: Name, free: set[Name]) -> None:
        """Move into the cluster what is linked to one of its names and does not contradict the others."""
        hub = cluster[0]
        if middle.short and not hub.short:
            return
        for name, both in sorted(self._links.get(middle, {}).items(), key=lambda link: (-link[1], link[0])):
            near = middle == hub or both >= SECOND_HAND * len(self._places[name])
            if name in free and near and self._fits(name, cluster):
                free.remove(name)
                cluster.append(name)

    def _fits(self, name: Name, cluster: Sequence[Name]) -> bool:
        if len({self._implied(member) for member in (name, *cluster)} - {None}) > 1:
            return False
        counts = [self._documents(name, member) for member in cluster]
        return sum(apart for _, apart in counts) <= APART * sum(both for both, _ in counts)


def _add(table: defaultdict[Any, Counter[Any]], row: Hashable, key: Hashable, step: int) -> None:
    """Count one more or one less; what has come to zero is gone."""
    counts = table[row]
    counts[key] += step
    if not counts[key]:
        del counts[key]
        if not counts:
            del table[row]
