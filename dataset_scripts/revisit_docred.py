"""Revisit-DocRED: 96 of DocRED's dev documents, relabelled from scratch, for evaluation only."""

from __future__ import annotations

from typing import ClassVar

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import ENTITY_TYPES, RELATION_LABELS, RELATION_TYPES
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source


def _source(file: str) -> Source:
    url = f"https://raw.githubusercontent.com/AndrewZhe/Revisit-DocRED/HEAD/data/docred/{file}.json"
    return Source(url, (f"{file}.json", "test.json"))


class RevisitDocred(DocumentBuilder):
    """Revisit-DocRED (Huang et al., ACL 2022): 96 documents of DocRED's dev split in one split, `test`.

    Config `scratch` has the labels made from scratch, `revised` those of DocRED. A model selected on DocRED's dev
    split, or trained on Re-DocRED's validation documents, has seen these documents.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [
        datasets.BuilderConfig("scratch", VERSION, description="labels made from scratch"),
        datasets.BuilderConfig("revised", VERSION, description="labels of DocRED"),
    ]
    DEFAULT_CONFIG_NAME = "scratch"

    NAME = "revisit_docred"
    SOURCES: ClassVar = {
        "scratch": {"test": _source("valid_scratch")},
        "revised": {"test": _source("valid_revise")},
    }
    ENTITY_TYPES = ENTITY_TYPES
    RELATION_TYPES = RELATION_TYPES
    RELATION_LABELS = RELATION_LABELS
    LICENSE = "mit"
    HOMEPAGE = "https://github.com/AndrewZhe/Revisit-DocRED"
    CITATION = (
        "Huang, Hao, Ye, Zhu, Feng, Zhou: Does Recommend-Revise Produce Reliable Annotations? An Analysis on Missing "
        "Instances in DocRED. ACL 2022."
    )


if __name__ == "__main__":
    main(RevisitDocred)
