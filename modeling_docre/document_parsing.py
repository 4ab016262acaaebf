"""From plain data to checked dataclasses and back, and the one error of documents.

Plain data are what JSON holds. A dataclass' annotations say what each key takes; nothing here knows the dataclasses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


class DocumentError(ValueError):
    """A document breaks the format; the message names the document, the field, the value and the fix."""

    def __init__(self, document_id: Any, field: str, value: Any, fix: str):
        self.document_id, self.field, self.value, self.fix = document_id, field, value, fix
        shown = _shown(value)
        shown = shown if len(shown) <= 120 else f"{shown[:117]}..."
        super().__init__(f"document {document_id!r}: {field} is {shown}; {fix}")

    def __reduce__(self):
        return type(self), (self.document_id, self.field, self.value, self.fix)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or a whole number of thousands of digits
        return f"a value of type {type(value).__name__} that is too large to show"


def check_encoding(document_id: str, field: str, text: str) -> None:
    """Raise where a text holds half of a surrogate pair, which bytes decoded in a wrong way leave behind."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = text[max(0, error.start - 20) : error.end + 20]
        fix = f"character {error.start} is half of a surrogate pair; decode the bytes by the encoding that they have"
        raise DocumentError(document_id, field, found, fix) from error


WHOLE = "document"
"""What messages call the document itself."""

_SCALARS: dict[Any, tuple[type, str]] = {
    str: (str, "a string"),
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
}


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        return False


@cache
def _schema(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Field types of a dataclass by name, and the names of those without a default."""
    required = (f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING)
    return get_type_hints(cls), frozenset(required)


def parse(kind: Any, value: Any, where: str, document_id: Any) -> Any:
    """Read plain data as a dataclass, a scalar type, a tuple of either, or one of these or None.

    `where` is its place in the document, for messages, and `WHOLE` for the document itself.

    Raises:
        DocumentError: a key is missing or unknown, or a value has the wrong type or is no finite number.
    """
    if kind in _SCALARS:
        accepted, wanted = _SCALARS[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise DocumentError(document_id, where, value, f"give {wanted}")
        if kind is float and not _is_finite(value):
            raise DocumentError(document_id, where, value, "give a finite number")
        return kind(value)
    if is_dataclass(kind):
        return _parse_record(kind, value, where, document_id)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None else parse(arguments[0], value, where, document_id)
    assert origin is tuple, kind
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise DocumentError(document_id, where, value, "give a list")
    if arguments[-1] is not Ellipsis and len(value) != len(arguments):
        raise DocumentError(document_id, where, value, f"give a list of {len(arguments)}")
    return tuple(parse(arguments[0], item, f"{where}[{n}]", document_id) for n, item in enumerate(value))


def _parse_record(cls: Any, value: Any, where: str, document_id: Any) -> Any:
    if not isinstance(value, Mapping):
        raise DocumentError(document_id, where, value, "give a dict")
    kinds, required = _schema(cls)
    if unknown := [key for key in value if key not in kinds]:
        fix = f"drop this key; known are {', '.join(kinds)}"
        raise DocumentError(document_id, f"{where}.{unknown[0]}", value[unknown[0]], fix)
    prefix = "" if where == WHOLE else f"{where}."
    parsed = {}
    for name, kind in kinds.items():
        item = value.get(name)
        if item is not None:
            parsed[name] = parse(kind, item, f"{prefix}{name}", document_id)
        elif name in required:
            raise DocumentError(document_id, f"{prefix}{name}", None, "this field is required")
    return cls(**parsed)


def to_plain(value: Any) -> Any:
    """Lists, dicts, strings and numbers of dataclasses; fields that are None are left out."""
    if isinstance(value, tuple | list):
        return [item if type(item) in _SCALARS else to_plain(item) for item in value]
    names = getattr(value, "__dataclass_fields__", None)  # as `fields` has them, but for its checks
    if names is None:
        return value
    named = ((name, getattr(value, name)) for name in names)
    return {name: to_plain(item) for name, item in named if item is not None}


def is_position(value: Any) -> bool:
    """Whether a value is a whole number from 0 on, of Python or of NumPy."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0


def is_share(value: Any) -> bool:
    """Whether a value is a number from 0 to 1."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) <= 1
