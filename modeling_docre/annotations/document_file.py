"""Files of one's own documents, checked as they are read: Document dicts, or texts with entities in characters."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from modeling_docre.documents import Document, DocumentError
from modeling_docre.text import document_from_record

from .known_forms import refuse_known_form
from .labels import check_labels
from .records import iter_records


def read_documents(file: str | PathLike[str], language: str = "en") -> list[Document]:
    """The documents of a file, as a JSON array or one per line, plain or gzip.

    Args:
        file: its records are the dict form of `Document` or, as the pipeline takes and gives them, `{"id", "text",
            "entities": [{"type", "mentions": [{"char_start", "char_end"}, ...]}, ...], "relations"}`; such a text is
            cut into sentences and words.
        language: spaCy language code of such texts.

    Raises:
        DocumentError: a document is not valid, two have the same id, a label is no name, or the file has the form of
            another tool, which the message names.
    """
    documents: dict[str, Document] = {}
    for number, record in enumerate(iter_records(file), 1):
        where = f"number {number} of {Path(file).name}"
        refuse_known_form(record, where)
        if not record.get("id"):
            raise DocumentError(where, "id", record.get("id"), "give a non-empty string")
        document = check_labels(document_from_record(record, where, language))
        if document.id in documents:
            raise DocumentError(where, "id", document.id, "it stands twice; give each document an id of its own")
        documents[document.id] = document
    return list(documents.values())
