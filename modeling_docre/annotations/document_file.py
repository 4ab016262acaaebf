"""Reads users' own documents and checks them: Document dicts, or texts with entities in characters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from modeling_docre.documents import Document, DocumentError
from modeling_docre.text import document_from_record

from .known_forms import refuse_known_form
from .labels import check_labels
from .records import iter_records


def read_documents(
    source: str | PathLike[str] | Iterable[Mapping[str, Any]], language: str = "en", name: str = "the records"
) -> list[Document]:
    """Read the documents of a file: a JSON array or one per line, plain or gzip.

    Args:
        source: the file, or its records. They are the dict form of `Document` or, as the pipeline takes and gives them,
            `{"id", "text", "entities": [{"type", "mentions": [{"char_start", "char_end"}, ...]}, ...], "relations"}`;
            such a text is split into sentences and words.
        language: spaCy language code of such texts.
        name: what messages call the source if it is not a file.

    Raises:
        DocumentError: a document is not valid, two have the same id, a label is not a valid name, or the file was
            written by another tool, which the message names.
    """
    if isinstance(source, str | PathLike):
        name, source = Path(source).name, iter_records(source)
    documents: dict[str, Document] = {}
    for number, record in enumerate(source, 1):
        where = f"number {number} of {name}"
        refuse_known_form(record, where)
        if not record.get("id"):
            raise DocumentError(where, "id", record.get("id"), "give a non-empty string")
        document = check_labels(document_from_record(record, where, language))
        if document.id in documents:
            raise DocumentError(where, "id", document.id, "duplicate id; give each document its own")
        documents[document.id] = document
    return list(documents.values())
