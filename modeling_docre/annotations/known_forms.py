"""Recognises files of other tools by their keys, so that an error says what a file is, not only what it lacks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from modeling_docre.documents import DocumentError


class Form(NamedTuple):
    """A tool's annotation format: the tool's name, and sets of keys, any one of which identifies it.

    A key `outer.inner` is a key inside a dict or inside the first item of a list.
    """

    name: str
    keys: tuple[frozenset[str], ...]


def _form(name: str, *keys: str) -> Form:
    return Form(name, tuple(frozenset(group.split()) for group in keys))


KNOWN_FORMS = (
    _form("Prodigy", "text _task_hash", "text _input_hash", "text spans tokens"),
    _form("Label Studio", "data annotations", "data completions", "data predictions", "annotations.result"),
    _form("doccano", "text entities.start_offset", "text relations.from_id", "text label", "text labels Comments"),
    _form("GLiNER", "tokenized_text"),
    _form("DyGIE", "doc_key", "sentences ner", "sentences predicted_ner"),
    _form("SpERT", "tokens entities", "tokens orig_id"),
    _form("BioC", "passages", "documents.passages"),
    _form("brat", "text denotations", "source_file entities"),
)
"""Known forms, the most telling keys first."""

WRAPPERS = ("data", "documents", "examples", "items", "records", "annotations")
"""Keys under which some tools put the list of all records."""

_STANDOFF = re.compile(r"(T\d+\t\S+ \d+ \d+|R\d+\t\S+ Arg1:|#\d+\tAnnotatorNotes )")


def form_of(record: Mapping[str, Any]) -> str | None:
    """The name of a record's form; None if it is unknown."""
    present = set(record)
    for key, value in record.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, Mapping):
            present |= {f"{key}.{inner}" for inner in first}
    return next((form.name for form in KNOWN_FORMS if any(keys <= present for keys in form.keys)), None)


def form_of_text(text: str) -> str | None:
    """The name of the form of a text that is not JSON; None if it is unknown."""
    return "brat's stand-off" if _STANDOFF.match(text) else None


def refuse_known_form(record: Mapping[str, Any], where: str) -> None:
    """Raise if a record has the form of another tool, or holds the records of a file under one key.

    Args:
        record: a record of a JSON file; Document dicts and DocRED's records pass.
        where: its place, for the message.

    Raises:
        DocumentError: the message names the form.
    """
    keys = sorted(map(str, record))
    if (form := form_of(record)) is not None:
        fix = f"this is the form of {form}; convert it to Document dicts or to DocRED's JSON"
        raise DocumentError(where, "form", keys, fix)
    for key in WRAPPERS:
        if isinstance(record.get(key), list) and not {"id", "title"} & record.keys():
            fix = f"the records are wrapped; give the list under {key!r} alone"
            raise DocumentError(where, "form", keys, fix)
