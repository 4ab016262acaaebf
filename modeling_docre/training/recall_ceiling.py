"""What the settings can reach: the most gold mentions, entities and relations that a model could find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import coo_array

from modeling_docre.documents import Document


@dataclass(frozen=True)
class Reach:
    """Distinct gold items, as the strict scores count them, and the most of them that a model could find.

    A mention can be found if it has at most `max_span_size` words, an entity if all its mentions can. Of entities that
    share a span only one can be found, since a span enters one cluster. Nothing is lost between entities with the same
    spans and type, which the scores count as one. A relation can be found if both its entities can be found together.
    """

    mentions: int
    reachable_mentions: int
    entities: int
    reachable_entities: int
    relations: int
    reachable_relations: int

    def __str__(self) -> str:
        lines = []
        for name in ("mentions", "entities", "relations"):
            total, found = getattr(self, name), getattr(self, f"reachable_{name}")
            lines.append(f"{name}: {found} of {total} can be reached ({found / max(total, 1):.2%})")
        return "\n".join(lines)


def measure_reach(documents: Iterable[Document], max_span_size: int) -> Reach:
    """Count the most that a joint model with these candidate spans could find.

    Entities and relations are maximised separately: the best choice among entities that share spans may differ.

    Args:
        documents: gold documents.
        max_span_size: longest candidate span in words.
    """
    counts: Counter[str] = Counter()
    for document in documents:
        counts.update(_count(document, max_span_size))
    return Reach(**{name: counts[name] for name in Reach.__dataclass_fields__})


def _count(document: Document, max_span_size: int) -> dict[str, int]:
    """The fields of `Reach` for one document."""
    keys = [(entity.type, frozenset(map(document.span, entity.mentions))) for entity in document.entities]
    relations = {(keys[relation.head], keys[relation.tail], relation.type) for relation in document.relations}
    spans = {span for _, entity in keys for span in entity}
    short = {span for span in spans if span[1] - span[0] <= max_span_size}
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys)) if key[1] <= short}
    holders: dict[tuple[int, int], list[int]] = {}
    for (_, entity), number in numbers.items():
        for span in entity:
            holders.setdefault(span, []).append(number)
    rivals = [entities for entities in holders.values() if len(entities) > 1]
    pairs = [
        (numbers[head], numbers[tail])
        for head, tail, _ in relations
        if head in numbers and tail in numbers and head != tail
    ]
    return {
        "mentions": len(spans),
        "reachable_mentions": len(short),
        "entities": len(set(keys)),
        "reachable_entities": _most([(number,) for number in numbers.values()], rivals),
        "relations": len(relations),
        "reachable_relations": _most(pairs, rivals),
    }


def _most(items: Sequence[Collection[int]], rivals: Sequence[Collection[int]]) -> int:
    """The most items that can be chosen together.

    Args:
        items: the entities that each item consists of.
        rivals: groups of entities of which only one can be chosen.
    """
    contested = {entity for group in rivals for entity in group}
    disputed = [item for item in items if not contested.isdisjoint(item)]
    if not disputed:
        return len(items)
    # Columns: whether an entity is chosen, then an item. Rows: one entity of each group; an item needs its entities.
    column = {entity: number for number, entity in enumerate(sorted(contested.union(*disputed)))}
    needs = [(number, entity) for number, item in enumerate(disputed) for entity in item]
    cells = [(row, column[entity], 1) for row, group in enumerate(rivals) for entity in group]
    for row, (number, entity) in enumerate(needs, len(rivals)):
        cells += [(row, len(column) + number, 1), (row, column[entity], -1)]
    rows, columns, values = zip(*cells, strict=True)
    size = len(column) + len(disputed)
    matrix = coo_array((values, (rows, columns)), shape=(len(rivals) + len(needs), size))
    upper = np.repeat([1, 0], [len(rivals), len(needs)])
    gain = np.repeat([0, -1], [len(column), len(disputed)])
    best = milp(gain, integrality=np.ones(size), bounds=(0, 1), constraints=LinearConstraint(matrix.tocsc(), ub=upper))
    return len(items) - len(disputed) + round(-best.fun)
