"""More documents of DocRED for training: labelled incompletely, with entities only, or by alignment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import ENTITY_TYPES, RELATION_LABELS, RELATION_TYPES
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source
from dataset_scripts.docred import Docred
from modeling_docre.documents import Completeness, Document


@dataclass
class DocredMoreConfig(datasets.BuilderConfig):
    """Config of one of the files; `mentions` says whether all mentions of its documents are labelled."""

    mentions: bool = True


def _source(file: str) -> dict[str, Source]:
    return {"train": Source(f"{file}.json.gz", (f"{file}.json",))}


class DocredMore(DocumentBuilder):
    """Incompletely labelled documents of DocRED's train and test splits, without those of Re-DocRED's test data.

    Config `gold` has entities and relations labelled by people; the relations are DocRED's original labels, and other
    relations are unknown. `entities_only` has entities labelled by people and no relations. `silver` has relations
    labelled by people between names that were aligned to the text, and no other entities. No document has complete
    relations, and in `silver` the mentions are incomplete, too. The files are assembled by hand; nothing is downloaded.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = DocredMoreConfig
    BUILDER_CONFIGS: ClassVar = [
        DocredMoreConfig("gold", VERSION, description="entities complete, relations labelled in part"),
        DocredMoreConfig("entities_only", VERSION, description="entities complete, no relations"),
        DocredMoreConfig("silver", VERSION, description="entities and relations by alignment", mentions=False),
    ]
    DEFAULT_CONFIG_NAME = "gold"

    NAME = "docred_more"
    SOURCES: ClassVar = {
        "gold": _source("train_gold"),
        "entities_only": _source("entities_only"),
        "silver": _source("train_silver"),
    }
    ENTITY_TYPES = ENTITY_TYPES
    RELATION_TYPES = RELATION_TYPES
    RELATION_LABELS = RELATION_LABELS
    LICENSE = "mit"
    HOMEPAGE = Docred.HOMEPAGE
    CITATION = Docred.CITATION

    def files(self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager) -> dict[str, str]:
        """The path of each split; nothing is downloaded.

        Raises:
            FileNotFoundError: `data_dir` is not given, or lacks the file.
        """
        if self.config.data_dir is None:
            [source] = self.SOURCES[self.config.name].values()
            raise FileNotFoundError(f"{self.NAME} is not downloaded; give the folder of {source.url} as data_dir")
        return super().files(manager)

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of files in DocRED's JSON, marked as incomplete."""
        complete = Completeness(self.config.mentions, relations=False)
        return (replace(document, complete=complete) for document in super().read(paths))


if __name__ == "__main__":
    main(DocredMore)
