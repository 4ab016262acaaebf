"""A graph as JSON Lines: one line per node, then one per edge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from modeling_docre.document_parsing import to_plain

from .graph import Graph


def to_json_lines(graph: Graph) -> str:
    """Lines `{"kind": "node", …}` and `{"kind": "edge", …}` with the fields of `Node` and `Edge`, nested ones too.

    Absent values are left out.
    """
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records(graph))


def records(graph: Graph) -> Iterator[dict[str, Any]]:
    """The dicts of the lines."""
    yield from ({"kind": "node"} | to_plain(node) for node in graph.nodes)
    yield from ({"kind": "edge"} | to_plain(edge) for edge in graph.edges)
