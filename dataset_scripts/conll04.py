"""CoNLL04: people, places and organizations in sentences of news, and five relations between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source, find_file, source_lines, source_name, source_records
from dataset_scripts.readers.conll04_columns import read_columns
from dataset_scripts.readers.sentences import SentenceReader
from modeling_docre.documents import Document

COLUMNS = "conll04.corp"
"""The file of the first publication, with the sentences of all splits."""
ID_LISTS = {
    "train": ("train_ids.txt",),
    "validation": ("dev_ids.txt", "validation_ids.txt"),
    "test": ("test_ids.txt",),
}
"""For each split, the possible names of the file that lists its sentences in `COLUMNS`, one number per line."""


def _source(name: str, *more_names: str) -> Source:
    url = f"http://lavis.cs.hs-rm.de/storage/spert/public/datasets/conll04/conll04_{name}.json"
    names = [f"{stem}.{ending}" for ending in ("json", "corp") for stem in (f"conll04_{name}", name, *more_names)]
    return Source(url, tuple(names))


class Conll04(DocumentBuilder):
    """CoNLL04 (Roth and Yih, 2004): sentences of news with four entity types and five relations.

    A document is a sentence, an entity has one mention. The content of a file shows its form: the JSON of SpERT's
    release, the same with BILOU tags instead of entities, or the columns of the first publication. The split is that of
    Gupta et al. (2016) with SpERT's validation part.

    `data_dir` may instead have the first publication as one file `conll04.corp`. Then `train_ids.txt`, `dev_ids.txt`
    and `test_ids.txt` list the sentences of each split, one number of the file's first column per line. A split without
    its list is left out.
    """

    NAME = "conll04"
    SOURCES: ClassVar = {
        "default": {"train": _source("train"), "validation": _source("dev", "validation"), "test": _source("test")}
    }
    ENTITY_TYPES: ClassVar = ["Loc", "Org", "Peop", "Other"]
    RELATION_LABELS: ClassVar = {
        "Work_For": "works for",
        "Kill": "kills",
        "OrgBased_In": "organization based in",
        "Live_In": "lives in",
        "Located_In": "located in",
    }
    RELATION_TYPES: ClassVar = list(RELATION_LABELS)
    LICENSE = "unknown"
    HOMEPAGE = "https://github.com/lavis-nlp/spert"
    CITATION = (
        "Roth, Yih: A Linear Programming Formulation for Global Inference in Natural Language Tasks. CoNLL 2004. "
        "Split: Gupta, Schütze, Andrassy: Table Filling Multi-Task Recurrent Neural Network for Joint Entity and "
        "Relation Extraction. COLING 2016."
    )

    @classmethod
    def side_files(cls, folder: Path) -> list[Path]:
        """The file of the whole corpus and the lists of its splits."""
        paths = (find_file(folder, names) for names in ((COLUMNS,), *ID_LISTS.values()))
        return [path for path in paths if path is not None]

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of a file, or only those that a second file lists.

        Raises:
            DocumentError: a sentence is not valid.
            ValueError: the list names a sentence that the file lacks.
        """
        file, *lists = paths
        reader = SentenceReader(self.ENTITY_TYPES, self.RELATION_TYPES, self.relation_labels())
        listed = {line.strip() for path in lists for line in source_lines(path)} - {""}
        records = _records(file, reader.counts)
        if lists:
            records = read_columns(source_lines(file), source_name(file), reader.counts, listed)
        absent = set(listed)
        for document in map(reader.read, records):
            absent.discard(document.id)
            yield document
        if absent:
            raise ValueError(
                f"{self.NAME}: {lists[0]} lists {len(absent)} sentences that {file} does not have, such as "
                f"{min(absent)!r}; give the numbers of its first column, one per line"
            )
        self.log_report((file, *lists), reader.report, reader.changed)

    def split_paths(
        self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager
    ) -> dict[str, tuple[str, ...]]:
        """The file of each split, or the file of the whole corpus with the list of the split's sentences.

        Raises:
            FileNotFoundError: `data_dir` has no file of the corpus, or only `conll04.corp` without any list.
        """
        folder = None if self.config.data_dir is None else Path(self.config.data_dir)
        corpus = None if folder is None else find_file(folder, (COLUMNS,))
        if folder is None or corpus is None or any(s.find(folder) for s in self.SOURCES["default"].values()):
            return super().split_paths(manager)
        lists = {split: find_file(folder, names) for split, names in ID_LISTS.items()}
        if not any(lists.values()):
            names = ", ".join(names[0] for names in ID_LISTS.values())
            raise FileNotFoundError(
                f"{self.NAME}: {corpus} holds the sentences of all splits; put the lists of Gupta et al. into data_dir "
                f"as {names}, with the number of a sentence (first column) per line"
            )
        return {split: (str(corpus), str(path)) for split, path in lists.items() if path is not None}


def _records(path: str, counts: Counter[str]) -> Iterator[Any]:
    """The records of a file in JSON or in columns, depending on its first character."""
    first = next((line.lstrip()[0] for line in source_lines(path) if line.strip()), "[")
    if first in "[{":
        return source_records(path)
    return read_columns(source_lines(path), source_name(path), counts)


if __name__ == "__main__":
    main(Conll04)
