"""Says what a teacher's labels add to those of people, by relation type, and shows added ones to be read.

    python benchmarks/label_report.py LABELLED.jsonl.gz [--positive T] [--read N]

LABELLED holds documents as `docre label` writes them. Each row of the table is a relation type, the most often added
first:

- **human**: relations labelled by people;
- **found**: the share of these that the teacher scores at least T, by default the score of the weakest added relation;
- **added**: relations that the teacher added, and how many that makes per document, with people's and without.

With `--read`, N added relations follow that are spread evenly over the file, each with the sentence that weighs most.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeling_docre.annotations.records import iter_records
from modeling_docre.documents import Document, Relation

MOST_TYPES = 20


def weakest_added(documents: Sequence[Document]) -> float:
    """The score of the weakest relation that the teacher added; infinite without one."""
    added = (item for document in documents for item in document.relations if item.origin == "model")
    return min((item.score for item in added if item.score is not None), default=float("inf"))


def table(documents: Sequence[Document], positive: float) -> Iterator[str]:
    """Markdown rows: all types together, and each of those that are added most."""
    human, found, added = Counter[str](), Counter[str](), Counter[str]()
    labels: dict[str, str] = {}
    for document in documents:
        sure = {(item.head, item.tail, item.type) for item in document.soft_relations or () if item.score >= positive}
        for item in document.relations:
            labels.setdefault(item.type, item.label or item.type)
            if item.origin == "model":
                added[item.type] += 1
            else:
                human[item.type] += 1
                found[item.type] += (item.head, item.tail, item.type) in sure
    yield "| relation | human | found | added | human per document | with added ones |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    kinds = sorted(human | added, key=lambda kind: (-added[kind], -human[kind], kind))
    rows = [("all", human.total(), found.total(), added.total())]
    rows += [(labels[kind], human[kind], found[kind], added[kind]) for kind in kinds[:MOST_TYPES]]
    for name, people, seen, new in rows:
        share = f"{100 * seen / people:.0f} %" if people else ""
        before, after = people / len(documents), (people + new) / len(documents)
        yield f"| {name} | {people} | {share} | {new} | {before:.2f} | {after:.2f} |"


def examples(documents: Sequence[Document], count: int) -> Iterator[str]:
    """Added relations, spread evenly over the documents."""
    added = [(document, item) for document in documents for item in document.relations if item.origin == "model"]
    for number in range(min(count, len(added))):
        document, item = added[number * len(added) // min(count, len(added))]
        head, tail = _name(document, item.head), _name(document, item.tail)
        yield f"{document.id}: {head} | {item.label} | {tail} ({item.score})"
        yield f"    {_sentence(document, item)}"


def _name(document: Document, entity: int) -> str:
    return max((document.mention_words(mention) for mention in document.entities[entity].mentions), key=len)


def _sentence(document: Document, item: Relation) -> str:
    if not (weights := item.sentence_weights):
        return "(no sentence weighs anything)"
    heaviest = weights.index(max(weights))
    return " ".join(document.sentences[heaviest])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table and the examples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=Path)
    parser.add_argument("--positive", type=float)
    parser.add_argument("--read", type=int, default=0)
    options = parser.parse_args(arguments)
    documents = [Document.from_dict(record) for record in iter_records(options.labelled)]
    positive = weakest_added(documents) if options.positive is None else options.positive
    print(f"{len(documents)} documents, positive from {positive}\n")
    print("\n".join(table(documents, positive)))
    if options.read:
        print()
        print("\n".join(examples(documents, options.read)))


if __name__ == "__main__":
    main()
