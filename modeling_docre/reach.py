"""What the settings can reach: the share of gold mentions, entities and relations that a model could find at best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from .documents import Document


@dataclass(frozen=True)
class Reach:
    """Gold items, and how many of them the candidates contain, over all documents.

    A mention is reachable if it has at most `max_span_size` words. An entity is reachable if all its mentions are and
    none of its spans belongs to another entity too (each span enters one cluster). A relation is reachable if both its
    entities are.
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
    """Count what a joint model with these candidates could find at best.

    Args:
        documents: gold documents.
        max_span_size: longest candidate span in words.
    """
    counts: Counter[str] = Counter()
    for document in documents:
        spans = [{document.span(mention) for mention in entity.mentions} for entity in document.entities]
        holders = Counter(span for entity in spans for span in entity)
        short = [{span for span in entity if span[1] - span[0] <= max_span_size} for entity in spans]
        reachable = [
            found == entity and all(holders[span] == 1 for span in entity)
            for entity, found in zip(spans, short, strict=True)
        ]
        counts["mentions"] += len(holders)
        counts["reachable_mentions"] += len(set().union(*short)) if short else 0
        counts["entities"] += len(spans)
        counts["reachable_entities"] += sum(reachable)
        counts["relations"] += len(document.relations)
        counts["reachable_relations"] += sum(reachable[r.head] and reachable[r.tail] for r in document.relations)
    return Reach(**{name: counts[name] for name in Reach.__dataclass_fields__})
