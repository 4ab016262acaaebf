"""Several documents: their texts, the graph that they make together, and what the page shows of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from views import counted, table

from modeling_docre.exports.page import to_page
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.graphs.elements import Node

SEPARATOR = "---"
"""The line between two texts."""

MERGES = ("name", "type", "other names", "documents")


def read_texts(texts: str, files: Iterable[str]) -> dict[str, str]:
    """Texts by the names of their documents.

    Args:
        texts: texts with lines of dashes between them; empty ones are skipped.
        files: paths of uploaded files.

    Raises:
        ValueError: a file cannot be read.
    """
    parts = re.split(rf"^\s*{SEPARATOR}-*\s*$", texts, flags=re.MULTILINE)
    written = [part.strip() for part in parts if part.strip()]
    named = {f"text {number}": text for number, text in enumerate(written, 1)}
    for path in files:
        named[free_name(Path(path).name, named)] = read_file(path)
    return named


def free_name(name: str, taken: Iterable[str]) -> str:
    """The name, with a number if it is taken."""
    taken, number, free = set(taken), 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def read_file(path: str) -> str:
    """The text of an uploaded file, plain text in UTF-8 or a PDF.

    Raises:
        ValueError: it cannot be read, or holds no text.
    """
    name = Path(path).name
    try:
        text = _pdf_text(path) if name.lower().endswith(".pdf") else Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not plain text in UTF-8; save it so, or paste its text.") from error
    if not text.strip():
        raise ValueError(f"{name} holds no text; if it is a scan, recognise its text first.")
    return text


def _pdf_text(path: str) -> str:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        return "\n\n".join(page.extract_text() for page in PdfReader(path).pages)
    except PyPdfError as error:
        raise ValueError(f"{Path(path).name} cannot be read as a PDF: {error}") from error


def show(graph: CorpusGraph, scheme: str) -> str:
    """The graph's page in a frame, and what was merged.

    Args:
        graph: the graph.
        scheme: colour scheme of the page, as for `to_page`.
    """
    title = f"Graph of {counted(len(graph.document_ids), 'document')}"
    source = escape(to_page(graph, title, scheme))
    frame = f'<iframe title="{title}" sandbox="allow-scripts" srcdoc="{source}"></iframe>'
    return f'<div class="docre">{frame}<h2>What became one</h2>{merges(graph.nodes)}</div>'


def merges(nodes: Sequence[Node]) -> str:
    """The entities of several documents or names as an HTML table, those of most documents first."""
    joined = [node for node in nodes if node.documents > 1 or len(node.aliases) > 1]
    if not joined:
        return "<p>No two documents name the same entity.</p>"
    joined.sort(key=lambda node: (-node.documents, node.name))
    return table(MERGES, map(_row, joined), "merges")


def _row(node: Node) -> Sequence[str]:
    documents = dict.fromkeys(member.document_id for member in node.members)
    return node.name, node.type, ", ".join(node.aliases[1:]), ", ".join(documents)
