"""GDA: genes associated with diseases in 30,192 PubMed abstracts.

The files must have these forms; an error names the first line that has another:

- `abstracts.txt`: an id, a title and an abstract on a line each, with empty lines between documents.
- `anns.txt`: rows `id, start, end, text, type, concept`, separated by tabs. Offsets count over title, one separator and
  abstract. A line with only an id opens a document whose rows may lack the id. `;` or `|` separates concepts of a row.
- `labels.csv`: rows `id, concept, concept, label` after an optional header; label 1 is associated, 0 is not.
- `train_gda_docs`: one id per line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Literal

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.concept_pairs import UNMENTIONED, Fact, add_pairs
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source, source_lines, source_name
from dataset_scripts.readers.abstracts import AbstractReader
from modeling_docre.annotations.pubtator import Abstract, Annotation
from modeling_docre.annotations.report import REPEATED_IDS, count_table
from modeling_docre.documents import Document, DocumentError

_PAIR = ("Gene", "Disease")
_ASSOCIATED = "rows of associated pairs"
_ABSENT = "rows of documents without an abstract (dropped)"


def _source(folder: str, file: str) -> Source:
    url = "https://bitbucket.org/alexwuhkucs/gda-extraction/get/fd4a7409365e.zip"
    return Source(url, (f"{folder}/{file}",), archive="fd4a7409365e.zip")


def _parts(split: str, folder: str) -> dict[str, Source]:
    return {f"{split}/{file}": _source(folder, file) for file in ("abstracts.txt", "anns.txt", "labels.csv")}


_IDS = Source(
    "https://raw.githubusercontent.com/fenchri/edge-oriented-graph/HEAD/data_processing/train_gda_docs",
    ("train_gda_docs", "train_gda_docs.txt"),
)
_FILES = (
    _parts("train", "training_data")
    | {"train/ids": _IDS}
    | _parts("validation", "training_data")
    | {"validation/ids": _IDS}
    | _parts("test", "testing_data")
)


@dataclass
class GdaConfig(datasets.BuilderConfig):
    """Config of GDA; `head` says which concept of a pair is the head: the one mentioned first, or the gene."""

    head: Literal["first_in_text", "gene"] = field(
        default="first_in_text", metadata={"help": "which concept of a pair is the head"}
    )


class Gda(DocumentBuilder):
    """GDA (Wu et al., RECOMB 2019): genes, diseases, and which gene is associated with which disease.

    Entities are concepts, `candidates` all pairs of a gene and a disease of an abstract. `train_gda_docs`, from the
    edge-oriented graph's release, lists the training abstracts of the split `train`; the others are `validation`. In
    config `default` the head of a pair is the concept that the text mentions first, as in the data of ATLOP's release;
    in `gene` it is the gene.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = GdaConfig
    BUILDER_CONFIGS: ClassVar = [
        GdaConfig("default", VERSION, description="head is the concept mentioned first"),
        GdaConfig("gene", VERSION, description="head is the gene", head="gene"),
    ]
    DEFAULT_CONFIG_NAME = "default"

    NAME = "gda"
    SOURCES: ClassVar = {"default": _FILES, "gene": _FILES}
    RELATION_LABELS: ClassVar = {"GDA": "gene is associated with disease"}
    ENTITY_TYPES: ClassVar = ["Gene", "Disease"]
    RELATION_TYPES: ClassVar = ["GDA"]
    LICENSE = "unknown"
    HOMEPAGE = "https://bitbucket.org/alexwuhkucs/gda-extraction"
    CITATION = (
        "Wu, Luo, Leung, Ting, Lam: RENET: A Deep Learning Approach for Extracting Gene-Disease Associations from "
        "Literature. RECOMB 2019."
    )

    def read_split(self, paths: Iterable[str], split: str) -> Iterator[Document]:
        """The documents of `abstracts.txt`, `anns.txt`, `labels.csv` and, for train and validation, the list of ids.

        The training files also hold the validation documents; the list names those for training.

        Raises:
            DocumentError: a row has a wrong form, or a mention's text differs from that at its offsets.
            ValueError: no associated pair is mentioned, so the files write concept ids differently.
        """
        abstracts, annotations, labels, *id_lists = paths
        train = {line.strip() for line in source_lines(id_lists[0])} if id_lists else frozenset[str]()
        reader = AbstractReader(self.ENTITY_TYPES, dict.fromkeys(_PAIR, ";|"))
        pairs = read_labels(source_lines(labels), source_name(labels))
        rows = read_annotations(source_lines(annotations), source_name(annotations))
        relation_labels, first = self.relation_labels(), self.config.head == "first_in_text"
        seen: set[str] = set()
        for abstract in read_abstracts(source_lines(abstracts), source_name(abstracts)):
            seen.add(abstract.id)
            if id_lists and (abstract.id in train) != (split == "train"):
                continue
            abstract.annotations.extend(rows.get(abstract.id, []))
            facts = [Fact("GDA", _PAIR, pair) for pair in pairs.get(abstract.id, [])]
            reader.counts[_ASSOCIATED] += len(facts)
            yield add_pairs(reader.read(abstract), facts, [_PAIR], relation_labels, reader.counts, first)
        if 0 < reader.counts[_ASSOCIATED] == reader.counts[UNMENTIONED]:
            raise ValueError(
                f"{labels}: none of its pairs is mentioned in {annotations}; write concept ids the same way in both"
            )
        reader.counts[_ABSENT] = sum(len(rows[name]) for name in rows.keys() - seen)
        reader.counts[_ABSENT] += sum(len(pairs[name]) for name in pairs.keys() - seen)
        changed = any(reader.counts[name] for name in (UNMENTIONED, REPEATED_IDS, _ABSENT))
        self.log_report(paths, count_table(reader.counts), changed)


def read_abstracts(lines: Iterable[str], name: str) -> Iterator[Abstract]:
    """The documents of `abstracts.txt`, without annotations.

    Raises:
        DocumentError: a line that should be an id is not, or the file ends inside a document.
    """
    numbered = enumerate((line.rstrip("\r\n") for line in lines), 1)
    for number, line in numbered:
        if not line:
            continue
        if not line.isdecimal():
            raise DocumentError(
                f"line {number} of {name}", "id", line, "give a PubMed id, then a title, then an abstract"
            )
        text = [following for _, following in islice(numbered, 2)]
        if len(text) < 2:
            raise DocumentError(
                line, f"lines after {number} of {name}", text, "give a title and an abstract, a line each"
            )
        yield Abstract(line, text[0], text[1])


def read_annotations(lines: Iterable[str], name: str) -> dict[str, list[Annotation]]:
    """The mentions of `anns.txt` by document.

    Raises:
        DocumentError: a row has other columns.
    """
    annotations: dict[str, list[Annotation]] = {}
    document: str | None = None
    for number, line in enumerate(lines, 1):
        columns = line.rstrip("\r\n").split("\t")
        if len(columns) == 1 and (not columns[0] or columns[0].isdecimal()):
            document = columns[0] or None
            continue
        if len(columns) == 5 and document is not None:
            columns = [document, *columns]
        if len(columns) != 6 or not all(column.isdecimal() for column in columns[:3]):
            fix = "give the columns id, start, end, text, type, concept, separated by tabs"
            raise DocumentError(document or columns[0], f"line {number} of {name}", line, fix)
        identifier, start, end, *rest = columns
        annotations.setdefault(identifier, []).append(Annotation(int(start), int(end), *rest))
    return annotations


def read_labels(lines: Iterable[str], name: str) -> dict[str, list[tuple[str, str]]]:
    """The associated pairs of concepts in `labels.csv`, by document.

    Raises:
        DocumentError: a row has other columns, or a label that is neither 0 nor 1.
    """
    pairs: dict[str, list[tuple[str, str]]] = {}
    for number, row in enumerate(csv.reader(lines), 1):
        if not row or (number == 1 and not row[0].isdecimal()):
            continue
        if len(row) != 4 or row[3] not in ("0", "1"):
            fix = "give the columns id, gene, disease, and 1 for associated or 0 for not"
            raise DocumentError(row[0], f"line {number} of {name}", row, fix)
        if row[3] == "1":
            pairs.setdefault(row[0], []).append((row[1], row[2]))
    return pairs


if __name__ == "__main__":
    main(Gda)
