"""Small corpora in DocRED's JSON, and what a dataset script makes of its files."""

from __future__ import annotations

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import RELATION_LABELS
from modeling_docre.documents import Document, Entity, Mention, Relation


def written_document(name: str, mixed: bool = False) -> Document:
    first = Entity("PER", (Mention(0, 0, 1), Mention(1, 0, 1, name="A.", type="ORG" if mixed else None)))
    relations = (
        Relation(0, 1, "P27", RELATION_LABELS["P27"], evidence=(0,)),
        Relation(1, 0, "P6", "head of government"),
    )
    return Document(
        name, (("Ann", "of", "Ghent"), ("She", ".")), (first, Entity("LOC", (Mention(0, 2, 3),))), relations
    )


def written_corpus(prefix: str, count: int) -> list[Document]:
    return [written_document(f"{prefix} {number}", mixed=number % 10 == 9) for number in range(count)]


def prepared_splits(builder: DocumentBuilder) -> dict[str, list[Document]]:
    builder.download_and_prepare()
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}


def streamed_splits(builder: DocumentBuilder) -> dict[str, list[Document]]:
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_streaming_dataset().items()}
