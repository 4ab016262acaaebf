"""The figures of a corpus that papers report in their data sections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from modeling_docre.annotations.report import ReadReport, tally
from modeling_docre.documents import Document, as_documents


def corpus_statistics(documents: Iterable[Document | Mapping[str, Any]]) -> dict[str, int]:
    """Sizes and oddities of a corpus by name, in the order of the table.

    Relations count once per (head, tail, type) of a document. Their distance is the smallest difference of sentence
    numbers between a head and a tail mention (Re-DocRED's evaluation script); 0 is within a sentence. Entities share a
    span if a mention of each covers the same words, as when one of CDR's mentions has several concept ids. Entity pairs
    are ordered; mention pairs are counted over all of them, repeated mentions included (KMGRE section 4.1).
    """
    sizes: Counter[str] = Counter()
    oddities: Counter[str] = Counter()
    types: dict[str, Counter[str]] = {}
    relation_types: set[str] = set()
    for item in documents:
        [document] = as_documents([item])
        tally(document, oddities)
        _add_sizes(document, sizes)
        _add_pairs(document, sizes)
        _add_candidates(document, sizes)
        _add_shared_spans(document, sizes)
        for entity in document.entities:
            types.setdefault(entity.type, Counter()).update(entities=1, mentions=len(entity.mentions))
        relation_types.update(relation.type for relation in document.relations)
    sizes["entity types"], sizes["relation types"] = len(types), len(relation_types)
    unusual = {text: number for text, number in ReadReport.of_counts(oddities).rows() if text not in _SIZES}
    by_type = {
        f"{what} of type {name}": types[name][what] for what in ("entities", "mentions") for name in sorted(types)
    }
    return {name: sizes[name] for name in _SIZES} | by_type | unusual


def sentence_distance(document: Document, head: int, tail: int) -> int:
    """The smallest difference of sentence numbers between a mention of entity `head` and one of entity `tail`."""
    first, second = ({m.sentence for m in document.entities[number].mentions} for number in (head, tail))
    return min(abs(a - b) for a in first for b in second)


def statistics_table(statistics: Mapping[str, Mapping[str, int]]) -> str:
    """A Markdown table with a column per split and a row per figure, without figures that are 0 in every split."""
    splits = list(statistics.values())
    names = dict.fromkeys(name for figures in splits for name in figures)
    occurring = [name for name in names if any(figures.get(name) for figures in splits)]
    rows = [["", *statistics], ["---", *("---:" for _ in statistics)]]
    rows += [[name, *(f"{figures.get(name, 0):,}" for figures in splits)] for name in occurring]
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
    "related entity pairs of several relation types",
    "entity pairs",
    "entity pairs with several mentions of head or tail",
    "entity pairs with several mentions of head and tail",
    "mention pairs",
    "relations within a sentence",
    "relations across sentences",
    "candidate pairs",
    "candidate pairs related",
    "candidate pairs left out of scoring",
    "candidate pairs across sentences",
    "entities that share a span with another",
    "entities with the same spans as another",
    "relations of an entity that shares a span",
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
            "relations within a sentence": within,
            "relations across sentences": len(facts) - within,
        }
    )
    sizes["words of the longest document"] = longest


def _add_pairs(document: Document, sizes: Counter[str]) -> None:
    types = Counter((head, tail) for head, tail, _ in {(r.head, r.tail, r.type) for r in document.relations})
    mentions = [len(entity.mentions) for entity in document.entities]
    several = sum(number > 1 for number in mentions)
    pairs, single_pairs, several_pairs = (n * (n - 1) for n in (len(mentions), len(mentions) - several, several))
    sizes.update(
        {
            "related entity pairs": len(types),
            "related entity pairs of several relation types": sum(number > 1 for number in types.values()),
            "entity pairs": pairs,
            "entity pairs with several mentions of head or tail": pairs - single_pairs,
            "entity pairs with several mentions of head and tail": several_pairs,
            "mention pairs": sum(mentions) ** 2 - sum(number**2 for number in mentions),
        }
    )


def _add_candidates(document: Document, sizes: Counter[str]) -> None:
    candidates = document.candidates or ()
    related = {(relation.head, relation.tail) for relation in document.relations}
    sizes.update(
        {
            "candidate pairs": len(candidates),
            "candidate pairs related": sum((c.head, c.tail) in related for c in candidates),
            "candidate pairs left out of scoring": sum(not c.scored for c in candidates),
            "candidate pairs across sentences": sum(c.cross is True for c in candidates),
        }
    )


def _add_shared_spans(document: Document, sizes: Counter[str]) -> None:
    spans = [frozenset(map(document.span, entity.mentions)) for entity in document.entities]
    owners = Counter(span for own in spans for span in own)
    times = Counter(spans)
    sharing = {number for number, own in enumerate(spans) if any(owners[span] > 1 for span in own)}
    facts = {(relation.head, relation.tail, relation.type) for relation in document.relations}
    sizes.update(
        {
            "entities that share a span with another": len(sharing),
            "entities with the same spans as another": sum(times[own] > 1 for own in spans),
            "relations of an entity that shares a span": sum(h in sharing or t in sharing for h, t, _ in facts),
        }
    )
