"""DocRED: 5,053 annotated and 101,873 distantly labelled Wikipedia abstracts."""

from __future__ import annotations

from typing import ClassVar

import datasets
from huggingface_hub import hf_hub_url

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import ENTITY_TYPES, RELATION_LABELS, RELATION_TYPES
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source


def _source(file: str, *more_names: str) -> Source:
    url = hf_hub_url("thunlp/docred", f"data/{file}.json.gz", repo_type="dataset")
    return Source(url, tuple(f"{name}.json" for name in (file, *more_names)))


_ANNOTATED = {
    "train_annotated": _source("train_annotated", "train"),
    "validation": _source("dev", "validation"),
    "test": _source("test"),
}


class Docred(DocumentBuilder):
    """DocRED (Yao et al., ACL 2019): relations between the entities of a Wikipedia abstract, with evidence sentences.

    The test split has no labels. Config `default` has all four splits, `annotated` leaves out the large
    `train_distant`.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [
        datasets.BuilderConfig("default", VERSION, description="all splits"),
        datasets.BuilderConfig("annotated", VERSION, description="without the distantly labelled split"),
    ]
    DEFAULT_CONFIG_NAME = "default"

    NAME = "docred"
    SOURCES: ClassVar = {
        "default": _ANNOTATED | {"train_distant": _source("train_distant")},
        "annotated": _ANNOTATED,
    }
    ENTITY_TYPES = ENTITY_TYPES
    RELATION_TYPES = RELATION_TYPES
    RELATION_LABELS = RELATION_LABELS
    LICENSE = "mit"
    HOMEPAGE = "https://github.com/thunlp/DocRED"
    CITATION = (
        "Yao, Ye, Li, Han, Lin, Liu, Liu, Huang, Zhou, Sun: DocRED: A Large-Scale Document-Level Relation Extraction "
        "Dataset. ACL 2019."
    )


if __name__ == "__main__":
    main(Docred)
