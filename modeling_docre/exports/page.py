"""A graph as one HTML page that needs nothing else: search, zoom, and the sentences behind each relation."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from modeling_docre.graphs.elements import Edge, Node
from modeling_docre.graphs.printable import printable

from .graph import Graph
from .layout import place_nodes

MOST_NODES = 3000
"""Nodes that a page can show; more are not readable, and their places take memory by the square of their number."""

_FOLDER = Path(__file__).parent
_DARK = "(prefers-color-scheme: dark)"
SCHEMES = {"light dark": _DARK, "light": "not all", "dark": "all"}
"""Colour schemes of a page, each with the media query under which the style's dark colours hold."""


def to_page(graph: Graph, title: str = "Graph", scheme: str = "light dark") -> str:
    """The page as HTML.

    Style, script and data stand in the page, and its content policy allows no others: it works offline, loads nothing,
    and text from documents is never markup or code. U+FFFD replaces control characters.

    Args:
        graph: nodes and edges.
        title: the page's heading.
        scheme: "light dark" follows the setting of the system; "light" and "dark" are for pages inside another one.

    Raises:
        ValueError: the graph has more than 3,000 nodes, or there is no such scheme.
    """
    if len(graph.nodes) > MOST_NODES:
        advice = "export it to GraphML for a program such as Gephi, or keep the most mentioned nodes by --top"
        raise ValueError(f"the graph has {len(graph.nodes)} nodes and a page shows {MOST_NODES} at most; {advice}")
    if scheme not in SCHEMES:
        raise ValueError(f"scheme is {scheme!r}; give one of {', '.join(map(repr, SCHEMES))}")
    style, script = (_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    style = style.replace(_DARK, SCHEMES[scheme])
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    skeleton = Template(_FOLDER.joinpath("page.html").read_text(encoding="utf-8"))
    data = json.dumps(page_data(graph), ensure_ascii=False, separators=(",", ":"))
    return skeleton.substitute(
        title=escape(printable(title)),
        policy=policy,
        scheme=scheme,
        style=style,
        script=script,
        data=_as_script(data),
    )


def page_data(graph: Graph) -> dict[str, Any]:
    """What the page's script shows: entity types by frequency, nodes with their places, edges with their evidence."""
    types = [kind for kind, _ in Counter(node.type for node in graph.nodes).most_common()]
    numbers = {kind: number for number, kind in enumerate(types)}
    index = {node.id: number for number, node in enumerate(graph.nodes)}
    places = place_nodes(graph).round(1).tolist()
    nodes = [
        _node(node) | {"type": numbers[node.type], "x": x, "y": y}
        for node, (x, y) in zip(graph.nodes, places, strict=True)
    ]
    edges = [_edge(edge) | {"head": index[edge.head], "tail": index[edge.tail]} for edge in graph.edges]
    return {"types": [printable(kind) for kind in types], "nodes": nodes, "edges": edges}


def _node(node: Node) -> dict[str, Any]:
    return {
        "name": printable(node.name) or "(no name)",
        "aliases": [alias for alias in map(printable, node.aliases) if alias],
        "ids": [printable(concept) for concept in node.concept_ids],
        "documents": node.documents,
        "mentions": node.mentions,
        "score": node.score,
    }


def _edge(edge: Edge) -> dict[str, Any]:
    support = [
        {
            "document": printable(item.document_id),
            "score": item.score,
            "date": item.date,
            "sentences": [[sentence.sentence, printable(sentence.text)] for sentence in item.evidence],
        }
        for item in edge.support
    ]
    return {"label": printable(edge.label), "score": edge.score, "documents": edge.documents, "support": support}


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _as_script(data: str) -> str:
    """JSON in which no browser finds the end of a script."""
    return re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", data)
