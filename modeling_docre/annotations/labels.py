"""Checks the labels of documents that are read from files, so that no model learns an invalid one."""

from __future__ import annotations

from modeling_docre.configuration_limits import label_fix
from modeling_docre.documents import Document, DocumentError

NO_RELATION = frozenset({"Na", "NA"})
"""The types by which corpora mark an unrelated pair."""


def check_label(document_id: str, field: str, label: str) -> str:
    """Return a label that is a valid name.

    Raises:
        DocumentError: the label is empty, too long, has line breaks or unprintable characters, or is a path out of a
            folder.
    """
    if fix := label_fix(label):
        raise DocumentError(document_id, field, label, fix)
    return label


def check_labels(document: Document) -> Document:
    """Return a document whose entity and relation types are valid names.

    Raises:
        DocumentError: see `check_label`; also for a relation type that means "no relation".
    """
    for number, entity in enumerate(document.entities):
        check_label(document.id, f"entities[{number}].type", entity.type)
    for name in ("relations", "soft_relations"):
        for number, relation in enumerate(getattr(document, name) or ()):
            field = f"{name}[{number}].type"
            if relation.type in NO_RELATION:
                fix = "name the type of the relation, and leave out pairs without one"
                raise DocumentError(document.id, field, relation.type, fix)
            check_label(document.id, field, relation.type)
    return document
