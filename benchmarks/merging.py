"""Measures how well entities of different documents are merged, and what a graph of many documents costs.

    python benchmarks/merging.py [--data_dir FOLDER] [--growth 1000 10000 100000 [--by_ray]] [--show 20] [--paragraphs]

CDR and ChemDisGene know the concept of each entity. The ids are hidden from the rule; afterwards two entities of
different documents belong together if type and id are equal. Pairs within one document do not count. B³ is the mean,
over all entities, of the share of its node (precision) and of its concept (recall) that is of the same concept.

`--growth` builds graphs of copies of these documents. Concepts of at least five documents keep their names in each
copy, the names of all others get a word of the copy: a larger corpus has more of both, known names and new ones. Each
entity has a relation to the next one of its document. `--by_ray` writes the copies as results and lets Ray merge them.

`--show` prints so many nodes of the Re-DocRED documents, drawn at random from those of several documents, to be read;
with `--paragraphs`, it prints those of the bundled model's graphs of the twenty paragraphs of `paragraphs.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset_scripts.building.sources import source_lines
from dataset_scripts.readers.abstracts import AbstractReader
from modeling_docre.annotations.docred import read_docred
from modeling_docre.annotations.pubtator import read_pubtator
from modeling_docre.documents import Document, Entity, Relation
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.graphs.similarity import Merge

CDR_TYPES = ["Chemical", "Disease"]
CHEMDISGENE_TYPES = [*CDR_TYPES, "CellLine", "DNAMutation", "Gene", "ProteinMutation", "SNP", "Species"]
CORPORA = {
    "CDR train": ("cdr/CDR_TrainingSet.PubTator.txt", CDR_TYPES, {"Chemical": "|", "Disease": "|"}),
    "CDR dev": ("cdr/CDR_DevelopmentSet.PubTator.txt", CDR_TYPES, {"Chemical": "|", "Disease": "|"}),
    "ChemDisGene dev": ("chemdisgene/dev_abstracts.txt.gz", CHEMDISGENE_TYPES, {"Gene": ";"}),
}
MODES: tuple[Merge, ...] = ("off", "exact", "similar")
KNOWN = 5  # documents from which on a concept keeps its names in every copy
RAY_MEMORY = 500 * 2**20
"""Bytes that Ray's processes share for blocks of rows."""

Place = tuple[str, int]
Groups = Mapping[Place, tuple[Any, ...]]
"""The group of each entity; the first item is its type."""


def read_corpus(name: str, folder: Path) -> list[Document]:
    """The documents of a corpus, with concept ids."""
    file, types, composite = CORPORA[name]
    reader = AbstractReader(types, composite)
    return [reader.read(abstract) for abstract in read_pubtator(source_lines(str(folder / file)), file)]


def concepts_of(documents: Sequence[Document]) -> Groups:
    """Type and id of each entity."""
    return {(d.id, number): (e.type, e.id) for d in documents for number, e in enumerate(d.entities)}


def without_ids(document: Document) -> Document:
    """The document without concept ids."""
    return replace(document, entities=tuple(replace(entity, id=None) for entity in document.entities))


def nodes_of(graph: CorpusGraph) -> Groups:
    """The node of each entity."""
    return {
        (member.document_id, member.entity): (node.type, node.id) for node in graph.nodes for member in node.members
    }


def by_most_frequent_name(documents: Sequence[Document]) -> Groups:
    """Entities of one type are one if they have the same most frequent name, whatever its case."""
    found = {}
    for document in documents:
        for number, entity in enumerate(document.entities):
            counts = Counter(document.mention_text(mention).casefold() for mention in entity.mentions)
            found[document.id, number] = (entity.type, min(counts, key=lambda name: (-counts[name], name)))
    return found


def by_any_name(documents: Sequence[Document]) -> Groups:
    """Entities of one type are one if they share a name, whatever its case, and so on along chains."""
    root: dict[Any, Any] = {}

    def find(item: Any) -> Any:
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


def pairs(groups: Groups) -> int:
    """Pairs of entities of one group and of different documents."""
    whole, same_document = Counter(groups.values()), Counter((group, place[0]) for place, group in groups.items())
    return sum(n * (n - 1) // 2 for n in whole.values()) - sum(n * (n - 1) // 2 for n in same_document.values())


def scores(groups: Groups, concepts: Groups) -> tuple[float, float, float, float]:
    """Precision and recall of pairs, then of B³."""
    both = {place: (group, concepts[place]) for place, group in groups.items()}
    right, merged, wanted = pairs(both), pairs(groups), pairs(concepts)
    in_group, in_concept, in_both = Counter(groups.values()), Counter(concepts.values()), Counter(both.values())
    precision = sum(n * n / in_group[group] for (group, _), n in in_both.items()) / len(both)
    recall = sum(n * n / in_concept[concept] for (_, concept), n in in_both.items()) / len(both)
    return right / merged if merged else 1.0, right / wanted if wanted else 1.0, precision, recall


def quality_rows(name: str, documents: Sequence[Document]) -> Iterator[str]:
    """A row for each way to merge a corpus; of the default mode also one per frequent entity type."""
    concepts, hidden = concepts_of(documents), [without_ids(document) for document in documents]
    ways: dict[str, Groups] = {
        "same most frequent name": by_most_frequent_name(hidden),
        "any shared name": by_any_name(hidden),
    }
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
            chain = tuple(Relation(head, head + 1, "next") for head in range(len(document.entities) - 1))
            copy = replace(document, id=f"{document.id}-{number}", entities=tuple(renamed), relations=chain)
            yield without_ids(copy)


def _renamed(document: Document, entity: Entity, word: str) -> Entity:
    mentions = (replace(mention, name=f"{document.mention_text(mention)} {word}") for mention in entity.mentions)
    return replace(entity, mentions=tuple(mentions))


def growth_row(folder: Path, size: int) -> str:
    """Processor time and memory of a graph of so many documents; to be called in a process of its own."""
    documents = [item for name in CORPORA for item in read_corpus(name, folder)]
    stream, more = islice(copies(documents), size), without_ids(replace(documents[0], id="one more"))
    graph, seconds, before = CorpusGraph(), 0.0, getrusage(RUSAGE_SELF).ru_maxrss
    while portion := list(islice(stream, 1000)):
        start = time.process_time()
        graph.add(portion)
        seconds += time.process_time() - start
    start = time.process_time()
    nodes, edges = len(graph.nodes), len(graph.edges)
    seconds += time.process_time() - start
    memory = (getrusage(RUSAGE_SELF).ru_maxrss - before) / 2**10
    added = _seconds_to(partial(graph.add, [more]), graph)
    removed = _seconds_to(partial(graph.remove, more.id), graph)
    cells = (
        f"{size:,}",
        f"{nodes:,}",
        f"{edges:,}",
        f"{seconds:.1f}",
        f"{added:.2f}",
        f"{removed:.2f}",
        f"{memory:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def ray_row(folder: Path, size: int) -> str:
    """Seconds of the clock and memory of the same graph by Ray, from results in files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from benchmarks.scale import Memory, watched
    from modeling_docre.scale.corpus_extraction import DOCUMENTS, row_features
    from modeling_docre.scale.graph_extraction import extract_graph

    with tempfile.TemporaryDirectory() as name:
        results, schema, memory = Path(name), row_features().arrow_schema, list[Memory]()
        (results / DOCUMENTS).mkdir()
        stream = islice(copies([item for name in CORPORA for item in read_corpus(name, folder)]), size)
        for number in count():
            if not (portion := [{**document.to_dict(), "error": None} for document in islice(stream, 1000)]):
                break
            pq.write_table(pa.Table.from_pylist(portion, schema=schema), results / DOCUMENTS / f"{number}.parquet")
        start = time.perf_counter()
        with watched(memory, begun=True):
            graph = extract_graph(results, memory=RAY_MEMORY)
        seconds = time.perf_counter() - start
    cells = f"{size:,}", f"{graph.nodes:,}", f"{graph.edges:,}", f"{seconds:.0f}", f"{memory[0].most / 2**20:,.0f}"
    return f"| {' | '.join(cells)} |"


def _seconds_to(change: Callable[[], None], graph: CorpusGraph) -> float:
    start = time.process_time()
    change()
    assert graph.nodes and graph.edges
    return time.process_time() - start


def re_docred(folder: Path) -> list[Document]:
    """The 500 documents of the two parts that are here."""
    files = (folder / "re_docred" / f"{part}.json" for part in ("train", "validation"))
    return [document for file in files for document in read_docred(file)[0]]


def paragraph_graphs() -> list[Document]:
    """What the bundled model makes of the twenty paragraphs."""
    from transformers import pipeline

    from benchmarks.paragraphs import TASK, default_model, read_paragraphs

    paragraphs = read_paragraphs()
    results = pipeline(TASK, model=default_model())([paragraph.text for paragraph in paragraphs])
    graphs = (result | {"id": item.id} for result, item in zip(results, paragraphs, strict=True))
    return [Document.from_dict(graph) for graph in graphs]


def summary(documents: Sequence[Document], most: int, seed: int = 0) -> str:
    """The size of the documents' graph, and some of its nodes of several documents."""
    graph = CorpusGraph.of(documents)
    merged = [node for node in graph.nodes if node.documents > 1]
    entities, relations = (sum(len(getattr(d, field)) for d in documents) for field in ("entities", "relations"))
    lines = [
        f"{len(documents)} documents, {entities} entities, {relations} relations: {len(graph.nodes)} nodes, "
        f"{len(graph.edges)} edges; {len(merged)} nodes are of several documents, "
        f"{sum(edge.documents > 1 for edge in graph.edges)} edges are stated by several."
    ]
    for node in sorted(random.Random(seed).sample(merged, min(most, len(merged))), key=lambda node: node.name):
        places = ", ".join(f"{member.document_id}#{member.entity}" for member in node.members[:4])
        lines.append(f"- {node.name} ({node.type}, {node.documents}): {' | '.join(node.aliases[:8])} [{places}]")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what is asked for; without options, how well entities are merged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.environ.get("DOCRE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data_dir", type=Path, default=Path(root), help="folder with cdr, chemdisgene and re_docred")
    parser.add_argument("--growth", type=int, nargs="+", default=[], help="numbers of documents to build graphs of")
    parser.add_argument("--by_ray", action="store_true", help="let Ray build these graphs, from results in files")
    parser.add_argument("--show", type=int, help="number of merged nodes to print")
    parser.add_argument("--paragraphs", action="store_true", help="show nodes of the twenty paragraphs")
    options = parser.parse_args(arguments)
    if options.show is not None:
        print(summary(paragraph_graphs() if options.paragraphs else re_docred(options.data_dir), options.show))
    elif options.growth:
        columns = ["documents", "nodes", "edges", "seconds"]
        columns += (
            ["largest process, MiB"] if options.by_ray else ["one more, seconds", "one less, seconds", "memory, MiB"]
        )
        print(f"| {' | '.join(columns)} |\n|{' ---: |' * len(columns)}")
        for size in options.growth:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                done = process.submit(ray_row if options.by_ray else growth_row, options.data_dir, size)
                print(done.result(), flush=True)
    else:
        print("| corpus | entities are one if | precision | recall | B³ precision | B³ recall |")
        print("| --- | --- | ---: | ---: | ---: | ---: |")
        for name in CORPORA:
            for row in quality_rows(name, read_corpus(name, options.data_dir)):
                print(row, flush=True)


if __name__ == "__main__":
    main()
