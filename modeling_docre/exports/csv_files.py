"""A graph as CSV files: four plain ones, or the two of Neo4j's importer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from modeling_docre.graphs.elements import Edge, Node

from .graph import Graph
from .tables import COLUMNS, as_json, to_tables

DELIMITERS = {";": ";", "|": "|", "¦": "¦", "\x1f": "U+001F"}
"""Characters that may separate the items of a list for Neo4j, each with the importer's name for it."""

NODE_HEADER = "id:ID,name,aliases:string[],concept_ids:string[],documents:int,mentions:int,score:double,:LABEL"
EDGE_HEADER = (
    ":START_ID,:END_ID,:TYPE,label,score:double,documents:int,first_seen,last_seen,"
    "stated_in:string[],evidence:string[],sources:string[]"
)


def to_csv(graph: Graph) -> dict[str, str]:
    """Tables of a graph by file name: `nodes.csv`, `edges.csv`, `support.csv`, `evidence.csv`.

    The first line names the columns, see `COLUMNS` of the tables. An absent value is an empty cell, a list is a JSON
    array, lines end as RFC 4180 has it.
    """
    files = {}
    for name, rows in to_tables(graph)._asdict().items():
        output = io.StringIO()
        writer = csv.writer(output)
        writer.writerow(COLUMNS[name])
        writer.writerows([as_json(cell) if isinstance(cell, list) else cell for cell in row] for row in rows)
        files[f"{name}.csv"] = output.getvalue()
    return files


def to_neo4j(graph: Graph) -> dict[str, str]:
    """Files for `neo4j-admin database import`: `nodes.csv`, `edges.csv`, and `import.sh` with the command.

    A node's label is its entity type, an edge's type is the relation type. Edges list the documents that state them,
    and their evidence as two lists of equal length: the sentences, and where each stands as `document_id:sentence`.
    Lists are separated by the first of `;`, `|`, `¦` and U+001F that none of their items contains; the command names
    it.

    Raises:
        ValueError: an edge has an empty type, which Neo4j refuses, or each of the separators occurs in the lists.
    """
    if any(not edge.type for edge in graph.edges):
        raise ValueError("a relation has the empty type, which Neo4j refuses; name the type or drop the relation")
    delimiter = array_delimiter(graph)
    command = (
        "neo4j-admin database import full --nodes=nodes.csv --relationships=edges.csv --id-type=string "
        f"--array-delimiter='{DELIMITERS[delimiter]}' --multiline-fields=true \"${{1:-neo4j}}\"\n"
    )
    return {
        "nodes.csv": "".join(_lines(NODE_HEADER, map(_node, graph.nodes), delimiter)),
        "edges.csv": "".join(_lines(EDGE_HEADER, map(_edge, graph.edges), delimiter)),
        "import.sh": f"#!/bin/sh\n# Fills an empty database; its name is the first argument.\n{command}",
    }


def array_delimiter(graph: Graph) -> str:
    """A character that separates the items of lists and occurs in none of them."""
    rows = chain(map(_node, graph.nodes), map(_edge, graph.edges))
    used = {character for row in rows for cell in row if isinstance(cell, list) for character in "".join(cell)}
    used |= {character for node in graph.nodes for character in node.type}
    for delimiter in DELIMITERS:
        if delimiter not in used:
            return delimiter
    raise ValueError(f"names and sentences contain each of {', '.join(DELIMITERS.values())}; remove one of them")


def _node(node: Node) -> Sequence[Any]:
    lists = list(node.aliases), list(node.concept_ids)
    return (node.id, node.name, *lists, node.documents, node.mentions, node.score, node.type)


def _edge(edge: Edge) -> Sequence[Any]:
    found = [(support.document_id, item) for support in edge.support for item in support.evidence]
    documents = [support.document_id for support in edge.support]
    sources = [f"{document_id}:{item.sentence}" for document_id, item in found]
    lists = documents, [item.text for _, item in found], sources
    seen = edge.documents, edge.first_seen, edge.last_seen
    return (edge.head, edge.tail, edge.type, edge.label, edge.score, *seen, *lists)


def _lines(header: str, rows: Iterable[Sequence[Any]], delimiter: str) -> Iterator[str]:
    """Lines whose text stands in quotes, so that an empty text differs from an absent value."""
    yield f"{header}\n"
    for row in rows:
        yield ",".join(_cell(delimiter.join(cell) if isinstance(cell, list) else cell) for cell in row) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "" if value is None else str(value)
