"""ADE: drugs and their adverse effects in sentences of medical case reports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.export import main
from dataset_scripts.building.random_order import draw_key
from dataset_scripts.building.sources import Source, find_file, source_lines, source_name, source_records
from dataset_scripts.readers.drug_ae import DRUG, EFFECT, RELATION, read_rows, sentence_records
from dataset_scripts.readers.sentences import SentenceReader
from modeling_docre.documents import Document

FOLDS = 10
ROWS = "DRUG-AE.rel"
"""The file of the first publication, with a row per effect of a drug."""

_VERSION = datasets.Version("1.0.0")


def _source(fold: int, split: str) -> Source:
    file = f"ade_split_{fold}_{split}.json"
    return Source(f"http://lavis.cs.hs-rm.de/storage/spert/public/datasets/ade/{file}", (file,))


@dataclass
class AdeConfig(datasets.BuilderConfig):
    """Config of ADE, one fold; `seed` only matters if folds are drawn from `DRUG-AE.rel`."""

    seed: int = field(default=0, metadata={"help": f"seed of the folds that are drawn from {ROWS}"})


class Ade(DocumentBuilder):
    """ADE (Gurulingappa et al., 2012): sentences of case reports with drugs and the adverse effects that they cause.

    A document is a sentence, an entity has one mention, and entities may overlap. Every relation leads from an effect
    to a drug. Configs `fold_0` to `fold_9` are the folds of a cross-validation: `test` is a tenth of the sentences,
    `train` the others; there is no validation part.

    The folds are those of SpERT's release (`ade_split_0_train.json`, ...). If `data_dir` has none of them, they are
    drawn at random (`seed`) from `DRUG-AE.rel`, the file of the first publication. Its sentences are split into words
    by spaCy's rules for English. Scores on such folds cannot be compared fold by fold.
    """

    VERSION = _VERSION
    BUILDER_CONFIG_CLASS = AdeConfig
    BUILDER_CONFIGS: ClassVar = [
        AdeConfig(f"fold_{fold}", _VERSION, description=f"test on part {fold + 1} of {FOLDS}") for fold in range(FOLDS)
    ]
    DEFAULT_CONFIG_NAME = "fold_0"

    NAME = "ade"
    SOURCES: ClassVar = {
        f"fold_{fold}": {split: _source(fold, split) for split in ("train", "test")} for fold in range(FOLDS)
    }
    SIDE_FILES = (ROWS,)
    ENTITY_TYPES: ClassVar = [EFFECT, DRUG]
    RELATION_LABELS: ClassVar = {RELATION: "adverse effect of"}
    RELATION_TYPES: ClassVar = [RELATION]
    LICENSE = "unknown"
    HOMEPAGE = "https://sites.google.com/site/adecorpus/"
    CITATION = (
        "Gurulingappa, Rajput, Roberts, Fluck, Hofmann-Apitius, Toldo: Development of a benchmark corpus to support "
        "the automatic extraction of drug-related adverse effects from medical case reports. Journal of Biomedical "
        "Informatics 45(5), 2012."
    )

    def files(self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager) -> dict[str, str]:
        """The path (with streaming, the URL) of each split; `DRUG-AE.rel` for both if `data_dir` has no fold.

        Raises:
            FileNotFoundError: `data_dir` lacks the fold, and it lacks `DRUG-AE.rel` or has other folds.
        """
        folder = None if self.config.data_dir is None else Path(self.config.data_dir)
        rows = None if folder is None else find_file(folder, (ROWS,))
        if folder is not None and rows is not None and not _has_folds(folder):
            return dict.fromkeys(self.SOURCES[self.config.name], str(rows))
        try:
            return super().files(manager)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{error}, or, for randomly drawn folds, {ROWS} in a folder without any fold"
            ) from error

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of files with the sentences of a fold, or with the rows of the whole corpus.

        Raises:
            DocumentError: a sentence or a row is not valid.
        """
        reader = SentenceReader(self.ENTITY_TYPES, self.RELATION_TYPES, self.relation_labels())
        for path in paths:
            records: Iterator[Any] = source_records(path)
            if _has_rows(path):
                records = sentence_records(read_rows(source_lines(path), source_name(path)), reader.counts)
            yield from map(reader.read, records)
        self.log_report(paths, reader.report, reader.changed)

    def read_split(self, paths: Iterable[str], split: str) -> Iterable[Document]:
        """The documents of a split: of all its files for published folds, else of that part of the drawn fold."""
        documents = self.read(paths)
        if not any(map(_has_rows, paths)):
            return documents
        return make_fold(documents, int(self.config.name.removeprefix("fold_")), self.config.seed)[split]


def make_fold(documents: Iterable[Document], fold: int, seed: int) -> dict[str, list[Document]]:
    """Divide sentences into `train` and `test` for a fold of a cross-validation.

    The test parts of a seed's ten folds are disjoint, cover all sentences, and differ in size by at most one. They
    depend only on the ids and the seed.

    Args:
        documents: all sentences.
        fold: number of the fold, from 0.
        seed: seed of the draw.
    """
    documents = list(documents)
    shuffled = sorted((document.id for document in documents), key=lambda name: draw_key(name, seed))
    test = set(shuffled[fold::FOLDS])
    return {
        "train": [document for document in documents if document.id not in test],
        "test": [document for document in documents if document.id in test],
    }


def _has_folds(folder: Path) -> bool:
    return any(source.find(folder) for table in Ade.SOURCES.values() for source in table.values())


def _has_rows(path: str) -> bool:
    return source_name(path).removesuffix(".gz") == ROWS


if __name__ == "__main__":
    main(Ade)
