"""Files to download: what was extracted from one document or several, in each format that can be written here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp
from time import time
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from views import as_csv

from modeling_docre.documents import Document
from modeling_docre.exports.database import save_database
from modeling_docre.exports.formats import DATABASE, DOCUMENT_FORMATS, GRAPH_FORMATS, SUFFIXES, Content
from modeling_docre.exports.graph import Graph, graph_of
from modeling_docre.graphs.picture import draw_graph

LABELS = {
    "json": "JSON: the result of the pipeline",
    "table": "CSV: a row per relation",
    "svg": "SVG: the picture",
    "documents": "JSON Lines: results of the pipeline",
    "html": "HTML: a page to explore",
    "jsonl": "JSON Lines: nodes and edges",
    "csv": "CSV: nodes, edges, support, evidence",
    "graphml": "GraphML: for Gephi, Cytoscape, yEd",
    "neo4j": "Neo4j: files of its importer",
    "turtle": "RDF: Turtle",
    "ntriples": "RDF: N-Triples",
    "jsonld": "RDF: JSON-LD",
    DATABASE: "Ladybug: a database that answers Cypher",
    "docbin": "spaCy: DocBin",
    "brat": "brat: text and annotations",
    "displacy": "displaCy: a page of the text with its mentions",
}
NEEDED = {"turtle": "rdflib", "ntriples": "rdflib", "jsonld": "rdflib", DATABASE: "ladybug"}
"""Libraries of the extra `graph`, by the formats that need them."""

HOUR = 3600  # seconds
_FOLDERS = TemporaryDirectory(prefix="docre-")  # goes with the process
_FILES = {name: f"graph{ending}" for ending, name in SUFFIXES.items()} | {
    "json": "graph.json",
    "table": "relations.csv",
    "svg": "graph.svg",
    "documents": "documents.jsonl",
    "displacy": "mentions.html",
}


@dataclass(frozen=True)
class Extracted:
    """Results of the pipeline, and the graph of them."""

    results: Sequence[Mapping[str, Any]]
    graph: Graph

    def documents(self) -> list[Document]:
        """The results as documents."""
        return [Document.from_dict(result) for result in self.results]


def alone(result: Mapping[str, Any]) -> Extracted:
    """One result, its graph beside it."""
    return Extracted([result], graph_of(Document.from_dict(result)))


OWN: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "json": lambda result: json.dumps(result, ensure_ascii=False, indent=1) + "\n",
    "table": as_csv,
    "svg": draw_graph,
}
"""Formats of one result."""


def choices(several: bool = False) -> list[tuple[str, str]]:
    """The formats that can be written here, each with its label."""
    left_out = set(OWN) if several else {"documents"}
    return [(label, name) for name, label in LABELS.items() if name not in left_out and name not in missing()]


def missing() -> list[str]:
    """The formats whose library is not installed."""
    return [name for name, library in NEEDED.items() if find_spec(library) is None]


def note() -> str | None:
    """What is said about the formats that are left out."""
    kinds = dict.fromkeys(LABELS[name].partition(":")[0] for name in missing())
    return f"{' and '.join(kinds)}: install `modeling-docre[graph]`" if kinds else None


def write(extracted: Extracted, name: str) -> str:
    """Write a file in a format; several files become one ZIP.

    Returns:
        Its path, in a folder of its own.

    Raises:
        ValueError: the format cannot hold what was extracted.
    """
    folder = _new_folder()
    if name == DATABASE:
        save_database(extracted.graph, folder / _FILES[name])
        return str(folder / _FILES[name])
    content = _content(extracted, name)
    if isinstance(content, dict):
        return _zipped(content, folder / f"{name}.zip")
    file = folder / _FILES[name]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def _new_folder() -> Path:
    """A folder for a file. Old ones go: what is served is a copy."""
    for old in Path(_FOLDERS.name).iterdir():
        with suppress(FileNotFoundError):  # another click was faster
            if time() - old.stat().st_mtime > HOUR:
                rmtree(old, ignore_errors=True)
    return Path(mkdtemp(dir=_FOLDERS.name))


def _content(extracted: Extracted, name: str) -> Content:
    if name in OWN:
        return OWN[name](extracted.results[0])
    if name == "documents":
        return "".join(json.dumps(result, ensure_ascii=False) + "\n" for result in extracted.results)
    if name in DOCUMENT_FORMATS:
        return DOCUMENT_FORMATS[name](extracted.documents())
    return GRAPH_FORMATS[name](extracted.graph)


def _zipped(files: Mapping[str, str], path: Path) -> str:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode())
    return str(path)
