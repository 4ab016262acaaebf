"""Re-DocRED: DocRED's annotated documents with the missing relations added."""

from __future__ import annotations

from typing import ClassVar

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import ENTITY_TYPES, RELATION_LABELS, RELATION_TYPES
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source


def _source(file: str, *more_names: str) -> Source:
    url = f"https://raw.githubusercontent.com/tonytan48/Re-DocRED/HEAD/data/{file}_revised.json"
    return Source(url, tuple(f"{name}.json" for name in (f"{file}_revised", file, *more_names)))


class ReDocred(DocumentBuilder):
    """Re-DocRED (Tan et al., EMNLP 2022): DocRED's train and dev documents relabelled; dev and test halve DocRED's dev.

    Relations that the relabelling added have empty evidence.
    """

    NAME = "re_docred"
    SOURCES: ClassVar = {
        "default": {"train": _source("train"), "validation": _source("dev", "validation"), "test": _source("test")}
    }
    ENTITY_TYPES = ENTITY_TYPES
    RELATION_TYPES = RELATION_TYPES
    RELATION_LABELS = RELATION_LABELS
    LICENSE = "mit"
    HOMEPAGE = "https://github.com/tonytan48/Re-DocRED"
    CITATION = (
        "Tan, Xu, Bing, Ng, Aljunied: Revisiting DocRED - Addressing the False Negative Problem in Relation "
        "Extraction. EMNLP 2022."
    )


if __name__ == "__main__":
    main(ReDocred)
