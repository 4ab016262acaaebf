"""The schema that all corpora share: a `Document` as a row of a `datasets.Dataset`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from datasets import Features, List, Value

from modeling_docre.documents import Document

_VALUES = {str: "string", bool: "bool", int: "int32", float: "float64"}


def document_features() -> Features:
    """The features of a document row, derived from the fields of `Document` so that the two always agree."""
    return Features(_feature(Document))


def document_row(document: Document | Mapping[str, Any]) -> dict[str, Any]:
    """The dict form of a document with every key of the schema; missing values are None.

    `Document.from_dict` reads the row back, also after a round trip through Arrow.

    Raises:
        DocumentError: a dict is not a valid document.
    """
    return _row(document if isinstance(document, Document) else Document.from_dict(document))


def _feature(kind: Any) -> Any:
    if kind in _VALUES:
        return Value(_VALUES[kind])
    if is_dataclass(kind):
        return {name: _feature(hint) for name, hint in get_type_hints(kind).items()}
    inner = get_args(kind)[0]
    return _feature(inner) if get_origin(kind) in (Union, UnionType) else List(_feature(inner))


def _row(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _row(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [_row(item) for item in value]
    return value
