"""Reads documents from any file or folder: the package's own form, DocRED's, or that of an annotation tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from modeling_docre.documents import Document, DocumentError
from modeling_docre.text import document_from_record

from .cas import TYPE_SYSTEM
from .clusters import ReadingSettings, to_document
from .docred import read_docred
from .growing_file import SETTINGS, UNFINISHED
from .known_forms import (
    BY_NAME,
    READABLE,
    WRAPPERS,
    excerpt,
    form_of,
    form_of_content,
    is_json,
    refuse_unreadable,
    refuse_wrapped,
)
from .labels import check_labels
from .markup import MarkedText, content_of, name_of
from .records import iter_records, unique_id
from .report import REPEATED_IDS
from .table import ENDINGS as TABLES
from .table import WORKBOOKS

OWN, DOCRED, AUTO = "docre", "docred", "auto"
FORMS = (AUTO, *READABLE, DOCRED, OWN)
"""What a format may be called."""

UNANNOTATED = "texts without an .ann file (left out)"
REPEATED_TEXTS = "documents whose text had occurred before (kept)"

_OWN_KEYS = {"sentences", "text", *WRAPPERS}
_TOTALS = ("documents", "entities", "mentions", "relations")
_HEAD = 1 << 12
_PEEKED_RECORDS = 50
_Edit = Callable[[Any], Any]


def read_documents(
    source: str | PathLike[str] | Iterable[Mapping[str, Any]], language: str = "en", name: str = "the records"
) -> list[Document]:
    """Read the documents of a file in the package's own form: a JSON array or one per line, plain or gzip.

    Args:
        source: the file, or its records. They are the dict form of `Document` or, as the pipeline takes and gives them,
            `{"id", "text", "entities": [{"type", "mentions": [{"char_start", "char_end"}, ...]}, ...], "relations"}`;
            such a text is split into sentences and words.
        language: spaCy language code of such texts.
        name: what messages call the source if it is not a file.

    Raises:
        DocumentError: a document is not valid, two have the same id, a label is not a valid name, or a record has the
            form of another tool, which the message names.
    """
    if isinstance(source, str | PathLike):
        name, source = Path(source).name, iter_records(source)
    documents: dict[str, Document] = {}
    for number, record in enumerate(source, 1):
        where = f"number {number} of {name}"
        if (form := form_of(record)) is not None:
            refuse_unreadable(form, where)
            fix = f"this is the form of {form.title}; read the file by `read_annotations` or `docre convert`"
            raise DocumentError(where, "form", sorted(map(str, record)), fix)
        refuse_wrapped(record, where)
        if not record.get("id"):
            raise DocumentError(where, "id", record.get("id"), "give a non-empty string")
        document = check_labels(document_from_record(record, where, language))
        if document.id in documents:
            raise DocumentError(where, "id", document.id, "duplicate id; give each document its own")
        documents[document.id] = document
    return list(documents.values())


def read_annotations(
    source: str | PathLike[str],
    settings: ReadingSettings | None = None,
    form: str = AUTO,
    edit: _Edit = lambda record: record,
    relation_labels: Mapping[str, str] | None = None,
) -> tuple[list[Document], Counter[str]]:
    """Read the documents of a file or of all files below a folder, whatever tool wrote them.

    Args:
        source: the file or folder. Each file is recognised by its content; brat's two files are one document.
        settings: how annotations become documents.
        form: one of `FORMS`; by default each file's own.
        edit: applied to each document's record (the dict form, or DocRED's) before its labels are checked.
        relation_labels: readable name of each relation type, for DocRED's form.

    Returns:
        The documents in the order of the files, and the report: counts by what they count, of what was read, merged,
        changed and left out.

    Raises:
        FileNotFoundError: there is no such file, or the folder holds no annotations.
        DocumentError: a file has an unknown form, or content that does not fit its form.
        ValueError: no format is called `form`.
        ImportError: the format's library is not installed.
    """
    if form not in FORMS:
        raise ValueError(f"there is no format {form!r}; give one of {', '.join(FORMS)}")
    root, settings = Path(source), settings or ReadingSettings()
    counts = Counter(dict.fromkeys(_TOTALS, 0))
    documents: list[Document] = []
    ids: set[str] = set()
    texts: set[Any] = set()
    for file, kind in _files(root, form, counts):
        name = str(file.relative_to(root) if root.is_dir() else Path(file.name)).removesuffix(".gz")
        counts[f"files in the form of {BY_NAME[kind].title if kind in BY_NAME else kind}"] += 1
        for document in _read(file, str(Path(name).with_suffix("")), kind, settings, edit, relation_labels, counts):
            counts.update(_totals(document))
            unique = unique_id(document.id, ids)
            counts[REPEATED_IDS] += unique != document.id
            counts[REPEATED_TEXTS] += document.sentences in texts
            texts.add(document.sentences)
            documents.append(document if unique == document.id else replace(document, id=unique))
    return documents, counts


def recognise(file: Path) -> str | None:
    """The name of a file's format by its content; None if it is unknown.

    Raises:
        DocumentError: the file begins as JSON, but cannot be read.
    """
    if file.suffix in WORKBOOKS:  # a ZIP, as some exports of INCEpTION are
        return None
    head = content_of(file, _HEAD)
    if not is_json(head):
        return form_of_content(head, file.suffix) or (OWN if not head.strip() else None)
    for record in islice(iter_records(file), _PEEKED_RECORDS):
        if {"title", "sents", "vertexSet"} & record.keys():
            return DOCRED
        if (form := form_of(record)) is not None:
            return form.name
        if not (_OWN_KEYS & record.keys() or {"entities", "relations"} <= record.keys()):
            return None
    return OWN


def _files(root: Path, form: str, counts: Counter[str]) -> Iterator[tuple[Path, str]]:
    """Each file with the name of its format."""
    if root.is_file():
        if root.suffix in WORKBOOKS:
            raise DocumentError(root.name, "form", root.suffix, "save the sheet as CSV in UTF-8, and read that file")
        is_brat = form in (AUTO, "brat") and root.suffix == ".txt" and root.with_suffix(".ann").is_file()
        kind = form if form != AUTO else "brat" if is_brat else recognise(root)
        if kind is None and root.suffix in TABLES:
            kind = "table"  # whose reader says which columns are missing
        if kind is None:
            fix = f"no known format begins so; known are {', '.join(FORMS[1:])}. See docs/annotate.md"
            raise DocumentError(root.name, "form", excerpt(content_of(root, _HEAD)), fix)
        yield root, kind
        return
    if not root.is_dir():
        raise FileNotFoundError(f"there is no file or folder {str(root)!r}")
    found = [(file, form if form != AUTO else recognise(file)) for file in _candidates(root, form, counts)]
    for file, kind in found:
        counts[f"files *{file.suffix} of unknown form (left out)"] += kind is None
    if all(kind is None for _, kind in found):
        fix = f"known are {', '.join(FORMS[1:])}; brat's folders hold a .txt and an .ann file for each document"
        raise FileNotFoundError(f"the folder {str(root)!r} holds no annotations in a known format; {fix}")
    yield from ((file, kind) for file, kind in found if kind is not None)


def _candidates(root: Path, form: str, counts: Counter[str]) -> Iterator[Path]:
    """The files below a folder that may hold annotations."""
    for file in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
        if not file.is_file() or hidden or file.name == TYPE_SYSTEM or file.name.endswith((UNFINISHED, SETTINGS)):
            continue
        if file.suffix == ".txt" and form in (AUTO, "brat") and any(root.rglob("*.ann")):
            counts[UNANNOTATED] += not file.with_suffix(".ann").is_file()
        elif form != "brat" or file.suffix == ".ann":
            yield file


def _totals(document: Document) -> dict[str, int]:
    mentions = sum(len(entity.mentions) for entity in document.entities)
    return dict(zip(_TOTALS, (1, len(document.entities), mentions, len(document.relations)), strict=True))


def _read(
    file: Path,
    name: str,
    kind: str,
    settings: ReadingSettings,
    edit: _Edit,
    relation_labels: Mapping[str, str] | None,
    counts: Counter[str],
) -> Iterator[Document]:
    if kind == DOCRED:
        documents, report = read_docred(map(edit, iter_records(file)), relation_labels)
        counts.update({text: number for text, number in report.rows() if text not in _TOTALS})
        yield from documents
    elif kind == OWN:
        yield from read_documents(map(edit, iter_records(file)), settings.language, file.name)
    else:
        for marked in _marked(file, name, kind, counts):
            document = to_document(marked, settings, counts)
            yield check_labels(Document.from_dict(edit(document.to_dict())))


def _marked(file: Path, name: str, kind: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The texts of a file with their annotations, as its tool's reader gives them."""
    form = BY_NAME[kind]
    refuse_unreadable(form, file.name)
    if form.read_file is not None:
        yield from form.read_file(file, name, counts)
    elif form.read_record is not None:
        for number, record in enumerate(iter_records(file), 1):
            if not isinstance(record, Mapping):
                raise DocumentError(f"number {number} of {file.name}", "record", record, f"give {form.title}'s objects")
            yield from form.read_record(record, name_of(record, number, name), counts)
