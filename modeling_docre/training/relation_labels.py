"""The gold relations of a document as class indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modeling_docre.documents import Document
from modeling_docre.features import type_ids


def relation_type_ids(document: Document, relation_types: Sequence[str]) -> np.ndarray:
    """Class index of each relation's type, [relations] int64.

    Raises:
        DocumentError: a type is not among `relation_types`.
    """
    return type_ids(document, "relations", "relation_types", relation_types)


def relation_matrix(document: Document, relation_types: Sequence[str]) -> np.ndarray:
    """Gold relations as [entities, entities, types] bool: head, tail, class index; a wrong type is an error."""
    kinds = relation_type_ids(document, relation_types)
    matrix = np.zeros((len(document.entities), len(document.entities), len(relation_types)), dtype=bool)
    for relation, kind in zip(document.relations, kinds, strict=True):
        matrix[relation.head, relation.tail, kind] = True
    return matrix
