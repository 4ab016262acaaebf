"""The table of annotation formats: how each is recognised by its content, and what reads it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modeling_docre.documents import DocumentError

from . import bioc_collection, brat, cas, doc_bin, doccano, label_studio, prodigy, pubtator, table, training_json
from .markup import MarkedText

RecordReader = Callable[[Mapping[str, Any], str, "Counter[str]"], Iterator[MarkedText]]
FileReader = Callable[[Path, str, "Counter[str]"], Iterator[MarkedText]]


class Form(NamedTuple):
    """A tool's annotation format.

    Args:
        name: what `--from` calls it.
        title: what people call it.
        keys: of JSON records: sets of keys, any one of which identifies it. A key `outer.inner` is a key inside a dict
            or inside the first item of a list.
        read_record: reads a JSON record.
        read_file: reads a whole file.
    """

    name: str
    title: str
    keys: tuple[frozenset[str], ...] = ()
    read_record: RecordReader | None = None
    read_file: FileReader | None = None


def _json(name: str, title: str, read: RecordReader | None, *keys: str) -> Form:
    return Form(name, title, tuple(frozenset(group.split()) for group in keys), read_record=read)


KNOWN_FORMS = (
    _json("prodigy", "Prodigy", prodigy.read_task, "text _task_hash", "text _input_hash", "text spans tokens"),
    _json(
        "label-studio",
        "Label Studio",
        label_studio.read_task,
        *("data annotations", "data completions", "data predictions", "annotations.result", "annotation_id annotator"),
    ),
    _json(
        "doccano",
        "doccano",
        doccano.read_example,
        *("text entities.start_offset", "text relations.from_id", "text label", "text labels", "text Comments"),
    ),
    _json("gliner", "GLiNER", None, "tokenized_text"),
    _json("dygie", "DyGIE++", training_json.read_dygie, "doc_key", "sentences ner", "sentences predicted_ner"),
    _json("spert", "SpERT", training_json.read_spert, "tokens entities", "tokens orig_id"),
    Form(
        "bioc",
        "BioC",
        (frozenset({"passages"}), frozenset({"documents.passages"})),
        read_file=bioc_collection.read_bioc,
    ),
    _json("pubannotation", "PubAnnotation", None, "text denotations", "source_file entities"),
    Form(
        "cas",
        "UIMA CAS (INCEpTION)",
        (frozenset({"%TYPES"}), frozenset({"%FEATURE_STRUCTURES"})),
        read_file=cas.read_cas,
    ),
    Form("brat", "brat", read_file=brat.read_brat),
    Form("pubtator", "PubTator", read_file=pubtator.read_abstracts),
    Form("spacy", "spaCy's DocBin", read_file=doc_bin.read_doc_bin),
    Form("table", "a table", read_file=table.read_table),
)
"""Known forms, those with the most telling keys first."""

BY_NAME = {form.name: form for form in KNOWN_FORMS}
READABLE = tuple(form.name for form in KNOWN_FORMS if form.read_record or form.read_file)

WRAPPERS = ("data", "documents", "examples", "items", "records", "annotations")
"""Keys under which some tools put the list of all records."""

_STANDOFF = re.compile(r"(T\d+\t\S+ \d+ \d+|R\d+\t\S+ \w+:|#\d+\t\w+ |E\d+\t\S+:|\*\t\w+ T\d)")
_ABSTRACT = re.compile(r"[^\t|\n]+\|t\|")
_RECORDS = re.compile(rb"\s*(\[\s*([{\]]|$)|\{\s*([\"}]|$))")
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


def form_of(record: Mapping[str, Any]) -> Form | None:
    """A record's form; None if it is unknown, or the package's own."""
    present = set(record)
    for key, value in record.items():
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, Mapping):
            present |= {f"{key}.{inner}" for inner in first}
    return next((form for form in KNOWN_FORMS if any(keys <= present for keys in form.keys)), None)


def form_of_content(head: bytes, suffix: str) -> str | None:
    """What the beginning of a file that holds no JSON records says it is: the name of a form, or None.

    Args:
        head: the first bytes, unpacked; of a whole JSON CAS or BioC file `form_of` tells more.
        suffix: the ending of its name, which tells an empty `.ann` file from other empty files.
    """
    if suffix == ".ann":
        return "brat"
    if head.startswith(b"PK\x03\x04"):
        return "cas"
    if head.startswith(_ZLIB):
        return "spacy"
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return "cas" if "XMI" in text else "bioc" if "<collection" in text or "BioC" in text else None
    if _ABSTRACT.match(text):
        return "pubtator"
    if _STANDOFF.match(text):
        return "brat"
    return "table" if table.delimiter_of(text.partition("\n")[0]) else None


def is_json(head: bytes) -> bool:
    """Whether a file begins as JSON records do."""
    return _RECORDS.match(head.removeprefix(b"\xef\xbb\xbf")) is not None


def refuse_wrapped(record: Mapping[str, Any], where: str) -> None:
    """Raise if a record holds the records of a file under one key.

    Raises:
        DocumentError: the message names the key.
    """
    for key in WRAPPERS:
        if isinstance(record.get(key), list) and not {"id", "title"} & record.keys():
            fix = f"the records are wrapped; give the list under {key!r} alone"
            raise DocumentError(where, "form", sorted(map(str, record)), fix)


def refuse_unreadable(form: Form, where: str) -> None:
    """Raise if a form is known but has no reader.

    Raises:
        DocumentError: the message names the form.
    """
    if form.read_record is None and form.read_file is None:
        fix = f"this is the form of {form.title}, which has no reader; convert it to one of {', '.join(READABLE)}"
        raise DocumentError(where, "form", form.title, fix)


def excerpt(head: bytes) -> str:
    """The first characters of a file, for messages."""
    return head[:60].decode("utf-8", errors="replace")
