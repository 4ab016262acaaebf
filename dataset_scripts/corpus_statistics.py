"""The figures of a corpus that papers print in their data sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from modeling_docre.documents import Document, as_documents
from modeling_docre.read_report import ReadReport, tally


def corpus_statistics(documents: Iterable[Document | Mapping[str, Any]]) -> dict[str, int]:
    """Sizes of a corpus and what is unusual in it, by name, in the order in which a table shows them.

    Relations count once per (head, tail, type) of a document; the distance of a relation is the smallest difference of
    sentence numbers between a head and a tail mention (Re-DocRED's evaluation script): 0 is within a sentence.
    """
    sizes: Counter[str] = Counter()
    oddities: Counter[str] = Counter()
    entity_types: set[str] = set()
    relation_types: set[str] = set()
    for item in documents:
        [document] = as_documents([item])
        tally(document, oddities)
        _add_sizes(document, sizes)
        entity_types.update(entity.type for entity in document.entities)
        relation_types.update(relation.type for relation in document.relations)
    sizes["entity types"], sizes["relation types"] = len(entity_types), len(relation_types)
    unusual = {text: number for text, number in ReadReport.of_counts(oddities).rows() if text not in _SIZES}
    return {name: sizes[name] for name in _SIZES} | unusual


def sentence_distance(document: Document, head: int, tail: int) -> int:
    """The smallest difference of sentence numbers between a mention of entity `head` and one of entity `tail`."""
    first, second = ({m.sentence for m in document.entities[number].mentions} for number in (head, tail))
    return min(abs(a - b) for a in first for b in second)


def statistics_table(statistics: Mapping[str, Mapping[str, int]]) -> str:
    """A Markdown table: one column per split, one row per figure; figures that are 0 in every split are left out."""
    names = [name for name in next(iter(statistics.values())) if any(s[name] for s in statistics.values())]
    rows = [["", *statistics], ["---", *("---:" for _ in statistics)]]
    rows += [[name, *(f"{figures[name]:,}" for figures in statistics.values())] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_SIZES = (
    "documents",
    "sentences",
    "words",
    "words of the longest document",
    "entities",
    "entity types",
    "mentions",
    "relations",
    "relation types",
    "related entity pairs",
    "relations within a sentence",
    "relations across sentences",
)


def _add_sizes(document: Document, sizes: Counter[str]) -> None:
    words = document.sentence_starts[-1]
    facts = {(relation.head, relation.tail, relation.type) for relation in document.relations}
    within = sum(sentence_distance(document, head, tail) == 0 for head, tail, _ in facts)
    longest = max(sizes["words of the longest document"], words)
    sizes.update(
        {
            "documents": 1,
            "sentences": len(document.sentences),
            "words": words,
            "entities": len(document.entities),
            "mentions": sum(len(entity.mentions) for entity in document.entities),
            "relations": len(facts),
            "related entity pairs": len({(head, tail) for head, tail, _ in facts}),
            "relations within a sentence": within,
            "relations across sentences": len(facts) - within,
        }
    )
    sizes["words of the longest document"] = longest
