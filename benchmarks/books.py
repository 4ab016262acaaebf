"""Measures how a book is read in one call: its scores beside those of its parts, and how time and memory grow.

    python benchmarks/books.py quality [MODEL] [--words 10000] [--section-words 300 500 1000]
    python benchmarks/books.py growth [MODEL] [--words 1000 2000 4000 20000] [--given 100000] [--whole 4000]
    python benchmarks/books.py pairs [MODEL] [--words 4000]
    python benchmarks/books.py distances

The book is annotated documents of `--data` end to end; by default these are Re-DocRED's validation documents where the
development data has them. MODEL is the folder or Hub name of a model that finds entities, by default the bundled one.

`quality` reads the documents one by one, and as one text for each length of sections. What is found in the book is cut
back to the sentences of each document: an entity to its mentions there, a relation to those of its evidence, without
evidence to its entities. Then the strict scores are those of the documents.

`growth` takes the CPU seconds of the process, with one thread, and its peak memory above the model, for books of each
length; with `--given`, for one in which 50 entities are given. Up to `--whole` words they are read as a whole, too.

`pairs` counts the pairs that are scored of a text as a whole and in sections: of given entities by ATLOP with the
encoder of MODEL and random heads, of those that MODEL finds with and without its signatures.

`distances` counts the pairs of gold entities, and the relations, whose nearest mentions are so many sentences apart.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise, permutations, takewhile
from pathlib import Path
from typing import Any

import torch
from transformers import pipeline

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.lost_points import LEVELS
from benchmarks.measure import PeakMemory
from benchmarks.workload import concatenate, default_data, label_lists, read_documents
from metrics.docre_f1.scores import compute_scores
from modeling_docre import AtlopModel, Document, Mention, Relation
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.hub.resources import default_model
from modeling_docre.pipeline_docre import SECTION_WORDS, TASK

GIVEN_ENTITIES = 50


def join(documents: Sequence[Document]) -> Document:
    """The words of documents as one text, sentence by sentence, with an empty line between two documents."""
    parts, offsets, length = [], [], 0
    for document in documents:
        for number, sentence in enumerate(document.sentences):
            ends = [*accumulate((len(word) + 1 for word in sentence), initial=length)]
            offsets.append(tuple((start, end - 1) for start, end in pairwise(ends)))
            gap = "\n\n" if number == len(document.sentences) - 1 else ""
            parts.append("".join(f"{word} " for word in sentence) + gap)
            length += len(parts[-1])
    sentences = tuple(sentence for document in documents for sentence in document.sentences)
    return Document("book", sentences, text="".join(parts), token_offsets=tuple(offsets))


def cut_back(book: Document, documents: Sequence[Document]) -> list[Document]:
    """What was found in the documents' sentences of a book, as the result of each document."""
    starts = accumulate((len(document.sentences) for document in documents), initial=0)
    ranges = [range(*borders) for borders in pairwise(starts)]
    return [_part(book, document, sentences) for document, sentences in zip(documents, ranges, strict=True)]


def _part(book: Document, document: Document, sentences: range) -> Document:
    own = [[mention for mention in entity.mentions if mention.sentence in sentences] for entity in book.entities]
    numbers = {old: new for new, old in enumerate(number for number, mentions in enumerate(own) if mentions)}
    entities = [
        replace(
            book.entities[number],
            mentions=tuple(Mention(item.sentence - sentences.start, item.start, item.end) for item in own[number]),
        )
        for number in numbers
    ]
    relations = [
        Relation(numbers[item.head], numbers[item.tail], item.type, score=item.score)
        for item in book.relations
        if item.head in numbers and item.tail in numbers
        if not item.evidence or any(sentence in sentences for sentence in item.evidence)
    ]
    return Document(document.id, document.sentences, tuple(entities), tuple(relations))


def quality(model: str, documents: Sequence[Document], words: int, section_words: Sequence[int]) -> None:
    """Print strict scores: the documents one by one, and as a book for each length of sections."""
    ends = accumulate(document.sentence_starts[-1] for document in documents)
    chosen = documents[: sum(1 for _ in takewhile(lambda end: end <= words, ends))]
    extract = pipeline(TASK, model=model)
    print(f"{len(chosen)} documents of {sum(document.sentence_starts[-1] for document in chosen):,} words\n")
    print(f"| read | {' | '.join(level.replace('_', ' ') for level in LEVELS)} | CPU s |")
    print(f"| --- |{' ---: |' * (len(LEVELS) + 1)}")
    bare = [replace(document, entities=(), relations=()) for document in chosen]

    def one_by_one() -> list[Document]:
        return [Document.from_dict(graph) for graph in extract(bare, entities=False, section_words=None)]

    def as_book(size: int) -> list[Document]:
        return cut_back(Document.from_dict(extract(join(chosen), entities=False, section_words=size)), chosen)

    runs: dict[str, Callable[[], list[Document]]] = {"one by one": one_by_one}
    runs |= {f"sections of {size}": partial(as_book, size) for size in section_words}
    for name, run in runs.items():
        started = time.process_time()
        predictions = run()
        seconds = time.process_time() - started
        scores = compute_scores(predictions, chosen, symmetric_relations=extract.model.config.symmetric_relations)
        print(f"| {name} |", " | ".join(f"{100 * scores[level]:.1f}" for level in LEVELS), f"| {seconds:.1f} |")


def growth(model: str, documents: Sequence[Document], words: Sequence[int], given: Sequence[int], whole: int) -> None:
    """Print CPU seconds and peak memory by length."""
    extract = pipeline(TASK, model=model)
    memory = PeakMemory("cpu")
    print("| words | entities | sections | CPU s | peak above the model, MiB |")
    print("| ---: | --- | --- | ---: | ---: |")
    for count, known in [*((count, False) for count in words), *((count, True) for count in given)]:
        text = concatenate(documents, count)
        chosen = text.entities[:: max(1, len(text.entities) // GIVEN_ENTITIES)][:GIVEN_ENTITIES] if known else ()
        text = replace(text, entities=chosen, relations=())
        for size in [SECTION_WORDS, None] if count <= whole else [SECTION_WORDS]:
            started = time.process_time()
            peak = memory.measure(partial(extract, text, entities=known, section_words=size))
            seconds = time.process_time() - started
            shown = f"{GIVEN_ENTITIES} given" if known else "found"
            print(f"| {count:,} | {shown} | {size or 'none'} | {seconds:.1f} | {peak or 0:,.0f} |", flush=True)


def pairs(model: str, documents: Sequence[Document], words: int) -> None:
    """Print how many pairs are scored, of given entities and of those that the model finds, and CPU seconds."""
    finder = pipeline(TASK, model=model)
    encoder = next(module.model for module in finder.model.modules() if isinstance(module, DocumentEncoder))
    labels: dict[str, Any] = label_lists(documents)
    atlop = pipeline(TASK, model=AtlopModel.from_encoder(encoder, **labels), tokenizer=finder.tokenizer)
    text = replace(concatenate(documents, words), relations=())
    bare = replace(text, entities=())
    print(f"{text.sentence_starts[-1]:,} words, {len(text.entities)} entities\n")
    print("| entities | sections | signatures | pairs scored | share no section | CPU s |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for size in (None, SECTION_WORDS):
        _count_pairs("given", atlop, text, size, entities=True)
    for size in (None, SECTION_WORDS):
        _count_pairs("found", finder, bare, size, signatures=None)
        if finder.model.config.signatures is not None:
            _count_pairs("found", finder, bare, size)


def _count_pairs(kind: str, extract: Any, text: Document, size: int | None, **options: Any) -> None:
    """Print the row of one call; `kind` says where its entities come from."""
    scored: list[int] = []
    hook = extract.model.register_forward_hook(lambda _, __, output: scored.append(len(output.pairs)))
    started = time.process_time()
    graph: Any = extract(text, section_words=size, **options)
    seconds = time.process_time() - started
    hook.remove()
    apart = graph.get("sections", {}).get("unscored_pairs", 0)
    obeyed = "none" if options.get("signatures", extract.model.config.signatures) is None else "stored"
    print(f"| {kind} | {size or 'none'} | {obeyed} | {sum(scored):,} | {apart:,} | {seconds:.1f} |")


def distances(documents: Sequence[Document]) -> None:
    """Print how many pairs of entities have mentions so many sentences apart or fewer, and how many relations."""
    pairs_at: Counter[int] = Counter()
    relations_at: Counter[int] = Counter()
    for document in documents:
        sentences = [{mention.sentence for mention in entity.mentions} for entity in document.entities]
        related = Counter((relation.head, relation.tail) for relation in document.relations)
        for head, tail in permutations(range(len(sentences)), 2):
            nearest = min(abs(a - b) for a in sentences[head] for b in sentences[tail])
            pairs_at[nearest] += 1
            relations_at[nearest] += related[head, tail]
    print("| sentences apart at most | pairs, % | relations, % |\n| ---: | ---: | ---: |")
    for most in range(max(pairs_at, default=0) + 1):
        shares = (
            100 * sum(counts[near] for near in range(most + 1)) / max(counts.total(), 1)
            for counts in (pairs_at, relations_at)
        )
        print(f"| {most} | " + " | ".join(f"{share:.1f}" for share in shares) + " |")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("quality", "growth", "pairs", "distances"))
    parser.add_argument("model", nargs="?", default=default_model())
    parser.add_argument("--data", type=Path, default=default_data(), help="documents in DocRED's JSON, or .jsonl")
    parser.add_argument("--words", type=int, nargs="+", help="words of the text or, for growth, of the texts")
    parser.add_argument("--section-words", type=int, nargs="+", default=[SECTION_WORDS])
    parser.add_argument("--given", type=int, nargs="*", default=[], help="words of texts with given entities")
    parser.add_argument("--whole", type=int, default=4000, help="most words that are also read as a whole")
    options = parser.parse_args(arguments)
    documents = read_documents(options.data)
    if options.table == "distances":
        return distances(documents)
    if options.model is None:
        parser.error("this checkout has no bundled model; name one")
    torch.set_num_threads(1)
    if options.table == "quality":
        quality(options.model, documents, (options.words or [10_000])[0], options.section_words)
    elif options.table == "growth":
        growth(options.model, documents, options.words or [1000, 2000, 4000, 20_000], options.given, options.whole)
    else:
        pairs(options.model, documents, (options.words or [4000])[0])


if __name__ == "__main__":
    main()
