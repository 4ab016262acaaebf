"""A small bundled corpus, for first steps and tests without a download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source, source_records
from modeling_docre.documents import Document

DATA = Path(__file__).resolve().parent / "sample_data"


@cache
def sample_labels() -> tuple[list[str], dict[str, str]]:
    """The sample's entity types, and its relation types with their labels, each sorted by name."""
    documents = [
        Document.from_dict(record)
        for split in ("train", "validation")
        for record in source_records(str(DATA / f"{split}.jsonl"))
    ]
    entity_types = {entity.type for document in documents for entity in document.entities}
    labels = {relation.type: relation.label or relation.type for d in documents for relation in d.relations}
    return sorted(entity_types), dict(sorted(labels.items()))


class _SampleLabels:
    """A class attribute that is read from the sample on first access."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        entity_types, labels = sample_labels()
        return {"ENTITY_TYPES": entity_types, "RELATION_TYPES": list(labels), "RELATION_LABELS": labels}[self.name]


class Sample(DocumentBuilder):
    """A small corpus of documents with text, offsets, entities and relations, written for this project."""

    NAME = "sample"
    SOURCES: ClassVar = {
        "default": {
            split: Source(str(DATA / f"{split}.jsonl"), (f"{split}.jsonl",)) for split in ("train", "validation")
        }
    }
    ENTITY_TYPES: ClassVar[Any] = _SampleLabels()
    RELATION_TYPES: ClassVar[Any] = _SampleLabels()
    RELATION_LABELS: ClassVar[Any] = _SampleLabels()
    LICENSE = "apache-2.0"
    HOMEPAGE = ""
    CITATION = ""

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of files with one dict of the interchange format per line."""
        for path in paths:
            yield from map(Document.from_dict, source_records(path))


if __name__ == "__main__":
    main(Sample)
