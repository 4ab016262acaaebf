"""Measures how well entities of different documents are merged, and what a graph of many documents costs.

    python benchmarks/merging.py [--data_dir FOLDER] [--growth 1000 10000 100000] [--show 20]

CDR and ChemDisGene know the concept of each entity. The ids are hidden from the rule; afterwards two entities of
different documents belong together if type and id are equal. Pairs of one document do not count. B³ is the mean, over
all entities, of the share of right entities in their node (precision) and of their concept in their node (recall).

The growing corpora are copies of these documents. Concepts of at least five documents keep their names in each copy,
the names of all others get a word of the copy, so that a larger corpus has more of both, known names and new ones.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

# Runs from a source checkout, installed or not.
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from dataset_scripts.building.sources import source_lines
from dataset_scripts.readers.pubtator import AbstractReader, read_pubtator
from modeling_docre.annotations.docred import read_docred
from modeling_docre.documents import Document, Entity
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.graphs.elements import Node

CDR_TYPES = ["Chemical", "Disease"]
CHEMDISGENE_TYPES = [*CDR_TYPES, "CellLine", "DNAMutation", "Gene", "ProteinMutation", "SNP", "Species"]
CORPORA = {
    "CDR train": ("cdr/CDR_TrainingSet.PubTator.txt", CDR_TYPES, {"Chemical": "|", "Disease": "|"}),
    "CDR dev": ("cdr/CDR_DevelopmentSet.PubTator.txt", CDR_TYPES, {"Chemical": "|", "Disease": "|"}),
    "ChemDisGene dev": ("chemdisgene/dev_abstracts.txt.gz", CHEMDISGENE_TYPES, {"Gene": ";"}),
}
MODES = ("off", "exact", "similar")
KNOWN = 5  # documents from which on a concept keeps its names in every copy
Place = tuple[str, int]


def read_corpus(name: str, folder: Path) -> list[Document]:
    """The documents of a corpus, with concept ids."""
    file, types, composite = CORPORA[name]
    reader = AbstractReader(types, composite)
    return [reader.read(abstract) for abstract in read_pubtator(source_lines(str(folder / file)), file)]


def concepts_of(documents: Sequence[Document]) -> dict[Place, Hashable]:
    """Type and id of each entity."""
    return {(d.id, number): (e.type, e.id) for d in documents for number, e in enumerate(d.entities)}


def without_ids(document: Document) -> Document:
    """The document without concept ids."""
    return replace(document, entities=tuple(replace(entity, id=None) for entity in document.entities))


def nodes_of(graph: CorpusGraph) -> dict[Place, Hashable]:
    """The node of each entity."""
    return {(member.document_id, member.entity): node.id for node in graph.nodes for member in node.members}


def by_most_frequent_name(documents: Sequence[Document]) -> dict[Place, Hashable]:
    """Entities of one type are one if they have the same most frequent name, whatever its case."""
    found = {}
    for document in documents:
        for number, entity in enumerate(document.entities):
            counts = Counter(document.mention_text(mention).casefold() for mention in entity.mentions)
            found[document.id, number] = (entity.type, min(counts, key=lambda name: (-counts[name], name)))
    return found


def by_any_name(documents: Sequence[Document]) -> dict[Place, Hashable]:
    """Entities of one type are one if they share a name, whatever its case, and so on along chains."""
    root: dict[Hashable, Hashable] = {}

    def find(item: Hashable) -> Hashable:
        while root.setdefault(item, item) != item:
            item = root[item]
        return item

    for document in documents:
        for number, entity in enumerate(document.entities):
            for mention in entity.mentions:
                name = entity.type, document.mention_text(mention).casefold()
                root[find(name)] = find((document.id, number))
    return {
        (document.id, number): find((document.id, number))
        for document in documents
        for number in range(len(document.entities))
    }


def pairs(groups: dict[Place, Hashable]) -> int:
    """Pairs of entities of one group and of different documents."""
    whole, same_document = Counter(groups.values()), Counter((group, place[0]) for place, group in groups.items())
    return sum(n * (n - 1) // 2 for n in whole.values()) - sum(n * (n - 1) // 2 for n in same_document.values())


def scores(groups: dict[Place, Hashable], concepts: dict[Place, Hashable]) -> tuple[float, float, float, float]:
    """Precision and recall of pairs, then of B³."""
    both = {place: (group, concepts[place]) for place, group in groups.items()}
    right, merged, wanted = map(pairs, (both, groups, concepts))
    in_group, in_concept, in_both = (Counter(items.values()) for items in (groups, concepts, both))
    b3 = [sum(n * n / sizes[key[end]] for key, n in in_both.items()) / len(both) for end, sizes in enumerate((in_group, in_concept))]
    return right / merged if merged else 1.0, right / wanted if wanted else 1.0, b3[0], b3[1]


def quality_rows(name: str, documents: Sequence[Document]) -> Iterator[str]:
    """A row for each way to merge a corpus; of the default mode also one per frequent entity type."""
    concepts, hidden = concepts_of(documents), [without_ids(document) for document in documents]
    ways = {"same most frequent name": by_most_frequent_name(hidden), "any shared name": by_any_name(hidden)}
    ways |= {f'merge="{mode}"': nodes_of(CorpusGraph.of(hidden, merge=mode)) for mode in MODES}
    for way, groups in ways.items():
        yield _row(name, way, scores(groups, concepts))
    groups, types = ways['merge="exact"'], Counter(kind for kind, _ in concepts.values())
    for kind in sorted(kind for kind, n in types.items() if n >= 300):
        places = [place for place, concept in concepts.items() if concept[0] == kind]
        own = [{place: table[place] for place in places} for table in (groups, concepts)]
        yield _row(name, f'merge="exact", {kind} only', scores(*own))


def _row(name: str, way: str, values: Sequence[float]) -> str:
    return f"| {name} | {way} | {' | '.join(f'{100 * value:.1f}' for value in values)} |"


def copies(documents: Sequence[Document]) -> Iterator[Document]:
    """Documents without end: the given ones, again and again, with new names for rare concepts in each copy."""
    frequent = Counter(concept for document in documents for concept in {(e.type, e.id) for e in document.entities})
    for number in count():
        word = "".join("bdfgklmnprtvz"[number // 13**place % 13] + "aeiou"[number % 5] for place in range(3))
        for document in documents:
            renamed = (
                entity if not number or frequent[entity.type, entity.id] >= KNOWN else _renamed(document, entity, word)
                for entity in document.entities
            )
            yield without_ids(replace(document, id=f"{document.id}-{number}", entities=tuple(renamed)))


def _renamed(document: Document, entity: Entity, word: str) -> Entity:
    mentions = (replace(mention, name=f"{document.mention_text(mention)} {word}") for mention in entity.mentions)
    return replace(entity, mentions=tuple(mentions))


def measure_growth(folder: Path, size: int, mode: str) -> dict[str, float]:
    """Seconds and memory of a graph of so many documents, and seconds to add one more."""
    documents = [document for name in CORPORA for document in read_corpus(name, folder)]
    stream = islice(copies(documents), size)
    before, made, graph = getrusage(RUSAGE_SELF).ru_maxrss, 0.0, CorpusGraph(merge=mode)
    start = time.perf_counter()
    while portion := list(islice(stream, 1000)):
        made -= time.perf_counter() - start
        start = time.perf_counter()
        graph.add(portion)
        made += time.perf_counter() - start
        start = time.perf_counter()
    start = time.perf_counter()
    nodes, edges = len(graph.nodes), len(graph.edges)
    return {"add": made, "build": time.perf_counter() - start, "nodes": nodes, "edges": edges, "before": before}
