"""DocRED for end-to-end extraction: the split of JEREX, and a new split by the same rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import ENTITY_TYPES, RELATION_LABELS, RELATION_TYPES
from dataset_scripts.building.export import main
from dataset_scripts.building.random_order import draw_key
from dataset_scripts.building.sources import Source
from modeling_docre.documents import Document

from .docred import Docred

SIZES = {"train": 3008, "validation": 300, "test": 700}
"""Documents per split (JEREX section 4, "Dataset split"); corpora of other sizes are divided in these proportions."""


def _source(file: str, *more_names: str) -> Source:
    url = f"http://lavis.cs.hs-rm.de/storage/jerex/public/datasets/docred_joint/{file}_joint.json"
    return Source(url, tuple(f"{name}.json" for name in (f"{file}_joint", file, *more_names)))


@dataclass
class JointConfig(datasets.BuilderConfig):
    """Config of the end-to-end split; `seed` only matters in `resplit`."""

    seed: int = 0


class DocredJoint(DocumentBuilder):
    """DocRED for joint entity and relation extraction, as JEREX (Eberts & Ulges, EACL 2021) divides it.

    Config `jerex` is the published split. `resplit` divides DocRED's own files by the same rule: train and dev without
    the documents that have an entity of mixed mention types, at random (3,008 / 300 / 700). Its statistics are
    comparable to the published split's, its scores are not.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = JointConfig
    BUILDER_CONFIGS: ClassVar = [
        JointConfig("jerex", VERSION, description="the published split"),
        JointConfig("resplit", VERSION, description="a new split of DocRED's files by the same rule"),
    ]
    DEFAULT_CONFIG_NAME = "jerex"

    NAME = "docred_joint"
    SOURCES: ClassVar = {
        "jerex": {"train": _source("train"), "validation": _source("dev", "validation"), "test": _source("test")},
        "resplit": {split: Docred.SOURCES["annotated"][split] for split in ("train_annotated", "validation")},
    }
    ENTITY_TYPES = ENTITY_TYPES
    RELATION_TYPES = RELATION_TYPES
    RELATION_LABELS = RELATION_LABELS
    LICENSE = "mit"
    HOMEPAGE = "https://github.com/lavis-nlp/jerex"
    CITATION = (
        "Eberts, Ulges: An End-to-end Model for Entity-level Relation Extraction using Multi-instance Learning. "
        "EACL 2021."
    )

    def split_paths(
        self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager
    ) -> dict[str, tuple[str, ...]]:
        """The file of each published split; for `resplit`, both of DocRED's files for each split.

        Raises:
            FileNotFoundError: a file that `resplit` needs is not in `data_dir`.
        """
        if self.config.name != "resplit":
            return super().split_paths(manager)
        files = self.files(manager)
        if absent := [split for split in self.SOURCES["resplit"] if split not in files]:
            names = ", ".join(name for split in absent for name in self.SOURCES["resplit"][split].names)
            raise FileNotFoundError(
                f"{self.NAME}: resplit needs DocRED's train and dev files; data_dir {self.config.data_dir!r} "
                f"has none of {names} (plain or .gz)"
            )
        return dict.fromkeys(SIZES, tuple(files.values()))

    def read_split(self, paths: Iterable[str], split: str) -> Iterable[Document]:
        """The documents of a split: of all its files if published, else of that part of the new division."""
        documents = self.read(paths)
        return resplit(documents, self.config.seed)[split] if self.config.name == "resplit" else documents


def resplit(documents: Iterable[Document], seed: int) -> dict[str, list[Document]]:
    """Divide documents by the rule of JEREX section 4, "Dataset split".

    The division depends only on the ids and the seed, not on the order of the files or the version of a random number
    generator.

    Args:
        documents: DocRED's train and dev documents.
        seed: seed of the draw.

    Returns:
        The documents of `train`, `validation` and `test`, without those that have an entity of mixed mention types.
    """
    kept = [document for document in documents if not has_mixed_types(document)]
    kept.sort(key=lambda document: draw_key(document.id, seed))
    total = sum(SIZES.values())
    held_out = {split: round(len(kept) * SIZES[split] / total) for split in ("validation", "test")}
    first, second = len(kept) - sum(held_out.values()), len(kept) - held_out["test"]
    return {"train": kept[:first], "validation": kept[first:second], "test": kept[second:]}


def has_mixed_types(document: Document) -> bool:
    """Whether some entity has mentions of different types."""
    return any(mention.type not in (None, entity.type) for entity in document.entities for mention in entity.mentions)


if __name__ == "__main__":
    main(DocredJoint)
