"""Labels of documents that are read from files: refused where they are no names, before a model learns them."""

from __future__ import annotations

from modeling_docre.configuration_limits import label_fix
from modeling_docre.documents import Document, DocumentError

NO_RELATION = frozenset({"Na", "NA"})
"""What corpora call the type of a pair that is not related."""


def check_label(document_id: str, field: str, label: str) -> str:
    """The label, if it is a name.

    Raises:
        DocumentError: it is empty, has several lines or characters that cannot be printed, or leads out of a folder.
    """
    if fix := label_fix(label):
        raise DocumentError(document_id, field, label, fix)
    return label


def check_labels(document: Document) -> Document:
    """The document, if the types of its entities and relations are names.

    Raises:
        DocumentError: see `check_label`; also for a relation type that says that there is no relation.
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
