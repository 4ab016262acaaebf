"""A graph as four tables that refer to each other by numbers: nodes, edges, support, evidence.

CSV, pandas and the graph database all take their rows and the types of their columns from here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .extra import extra_graph
from .graph import Graph, name_of

if TYPE_CHECKING:
    import pandas

TEXT, WHOLE, REAL, TEXTS = "string", "int", "double", "string[]"
"""Types of columns: text, a whole number, a floating-point number, a list of texts."""

COLUMNS: dict[str, dict[str, str]] = {
    "nodes": {
        "id": TEXT,
        "name": TEXT,
        "type": TEXT,
        "aliases": TEXTS,
        "concept_ids": TEXTS,
        "documents": WHOLE,
        "mentions": WHOLE,
        "score": REAL,
        "members": TEXTS,
    },
    "edges": {
        "id": WHOLE,
        "head": TEXT,
        "tail": TEXT,
        "type": TEXT,
        "label": TEXT,
        "score": REAL,
        "documents": WHOLE,
        "first_seen": TEXT,
        "last_seen": TEXT,
    },
    "support": {
        "id": WHOLE,
        "edge": WHOLE,
        "document_id": TEXT,
        "head": WHOLE,
        "tail": WHOLE,
        "score": REAL,
        "date": TEXT,
    },
    "evidence": {
        "support": WHOLE,
        "sentence": WHOLE,
        "text": TEXT,
        "char_start": WHOLE,
        "char_end": WHOLE,
        "score": REAL,
    },
}
"""Columns of each table and their types. Scores, dates and character offsets may be absent."""

Row = tuple[Any, ...]


class Tables(NamedTuple):
    """The rows of the four tables, with the columns of `COLUMNS`; what is absent is None.

    An edge's `head` and `tail` are ids of nodes, its `id` is its position in the graph. A row of `support` is one
    document's statement of the edge `edge`, its `head` and `tail` are entities of that document. A row of `evidence`
    is a sentence of that statement.
    """

    nodes: list[Row]
    edges: list[Row]
    support: list[Row]
    evidence: list[Row]


def to_tables(graph: Graph) -> Tables:
    """The rows of a graph."""
    tables = Tables(list(_nodes(graph)), [], [], [])
    for number, edge in enumerate(graph.edges):
        seen = edge.documents, edge.first_seen, edge.last_seen
        tables.edges.append((number, edge.head, edge.tail, edge.type, edge.label, edge.score, *seen))
        for support in edge.support:
            identity = len(tables.support)
            pair = support.document_id, support.head, support.tail
            tables.support.append((identity, number, *pair, support.score, support.date))
            tables.evidence.extend(
                (identity, item.sentence, item.text, item.char_start, item.char_end, item.score)
                for item in support.evidence
            )
    return tables


def _nodes(graph: Graph) -> Iterator[Row]:
    for node in graph.nodes:
        names = node.id, node.name, node.type, list(node.aliases), list(node.concept_ids)
        yield (*names, node.documents, node.mentions, node.score, [name_of(member) for member in node.members])


class DataFrames(NamedTuple):
    """The four tables as data frames; absent numbers are `<NA>`, lists are Python lists."""

    nodes: pandas.DataFrame
    edges: pandas.DataFrame
    support: pandas.DataFrame
    evidence: pandas.DataFrame


def to_pandas(graph: Graph) -> DataFrames:
    """The tables of a graph for pandas (extra `graph`).

    Returns:
        Data frames with the columns of `COLUMNS`: `Int64` and `Float64` for numbers, `string` for text, and `object`
        for lists.
    """
    with extra_graph():
        import pandas

    dtypes = {TEXT: "string", WHOLE: "Int64", REAL: "Float64", TEXTS: "object"}
    frames = []
    for name, rows in to_tables(graph)._asdict().items():
        columns = COLUMNS[name]
        frame = pandas.DataFrame(rows, columns=list(columns), dtype="object")
        frames.append(frame.astype({column: dtypes[kind] for column, kind in columns.items()}))
    return DataFrames(*frames)


def as_json(items: Any) -> str:
    """A list in a cell that holds text only."""
    return json.dumps(items, ensure_ascii=False)
