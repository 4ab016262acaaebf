"""The formats by name: what each takes, what it gives, and the endings of its files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from modeling_docre.documents import Document

from .brat import to_brat
from .csv_files import to_csv, to_neo4j
from .displacy import to_displacy_page
from .docbin import to_docbin
from .graph import Graph
from .json_lines import to_json_lines
from .networks import to_graphml
from .page import to_page
from .rdf import serialize

Content = str | bytes | dict[str, str]
"""A text, bytes, or the texts of a folder by file name."""

GRAPH_FORMATS: dict[str, Callable[[Graph], Content]] = {
    "jsonl": to_json_lines,
    "csv": to_csv,
    "neo4j": to_neo4j,
    "graphml": to_graphml,
    "turtle": partial(serialize, syntax="turtle"),
    "ntriples": partial(serialize, syntax="ntriples"),
    "jsonld": partial(serialize, syntax="jsonld"),
    "html": to_page,
}
"""Formats of any graph."""

DOCUMENT_FORMATS: dict[str, Callable[[Sequence[Document]], Content]] = {
    "docbin": to_docbin,
    "brat": to_brat,
    "displacy": to_displacy_page,
}
"""Formats of texts with their mentions, which a merged graph no longer has."""

DATABASE = "ladybug"
"""The format that `save_database` writes itself."""

FOLDERS = ("csv", "neo4j", "brat")
"""Formats of several files."""

SUFFIXES = {
    ".jsonl": "jsonl",
    ".graphml": "graphml",
    ".ttl": "turtle",
    ".nt": "ntriples",
    ".jsonld": "jsonld",
    ".html": "html",
    ".spacy": "docbin",
    ".lbug": DATABASE,
    ".db": DATABASE,
}
"""Formats by the ending of a file; those that write folders, and `displacy`, are named."""

NAMES = (*GRAPH_FORMATS, DATABASE, *DOCUMENT_FORMATS)
