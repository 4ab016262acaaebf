"""A graph as a ladybug database: one file that answers Cypher, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .extra import extra_graph
from .graph import Graph
from .tables import COLUMNS, REAL, TEXT, TEXTS, WHOLE, Row, to_tables

SCHEMA = """
CREATE NODE TABLE Entity(id STRING PRIMARY KEY, name STRING, type STRING, aliases STRING[], concept_ids STRING[],
    documents INT64, mentions INT64, score DOUBLE);
CREATE NODE TABLE Document(id STRING PRIMARY KEY);
CREATE NODE TABLE Support(id INT64 PRIMARY KEY, edge INT64, document_id STRING, head INT64, tail INT64, score DOUBLE,
    date STRING);
CREATE NODE TABLE Evidence(id INT64 PRIMARY KEY, sentence INT64, text STRING, char_start INT64, char_end INT64,
    score DOUBLE);
CREATE REL TABLE Relation(FROM Entity TO Entity, id INT64, type STRING, label STRING, score DOUBLE, documents INT64,
    first_seen STRING, last_seen STRING);
CREATE REL TABLE Mentions(FROM Document TO Entity, entity INT64);
CREATE REL TABLE States(FROM Document TO Support);
CREATE REL TABLE Quotes(FROM Support TO Evidence);
"""
"""The tables. `Support.edge` is the `id` of the relation that a document states."""

_RELATIONS = {"head": TEXT, "tail": TEXT, "id": WHOLE} | {
    name: kind for name, kind in COLUMNS["edges"].items() if name not in ("id", "head", "tail")
}
_ENTITIES = {name: kind for name, kind in COLUMNS["nodes"].items() if name != "members"}


def save_database(graph: Graph, file: str | Path) -> None:
    """Write a graph into a new database file (extra `graph`).

    Args:
        graph: nodes and edges.
        file: where no file is yet. What fails leaves no file behind.

    Raises:
        FileExistsError: there is a file.
        ImportError: ladybug is not installed.
    """
    with extra_graph():
        import ladybug

    file = Path(file)
    if file.exists():
        raise FileExistsError(f"{file} exists; give the name of a new database")
    try:
        with ladybug.Database(file) as database, ladybug.Connection(database) as connection:
            connection.execute(SCHEMA)
            for table, (columns, rows) in _contents(graph).items():
                _copy(connection, table, columns, rows)
    except BaseException:
        for part in (file, *file.parent.glob(f"{file.name}.*")):
            part.unlink(missing_ok=True)
        raise


def _contents(graph: Graph) -> dict[str, tuple[dict[str, str], list[Row]]]:
    """Columns and rows of each table, nodes before what connects them."""
    tables = to_tables(graph)
    members = [(member.document_id, node.id, member.entity) for node in graph.nodes for member in node.members]
    stated = [(row[2], row[0]) for row in tables.support]
    documents = dict.fromkeys(document for document, *_ in (*members, *stated))
    quoted = {"id": WHOLE} | {name: kind for name, kind in COLUMNS["evidence"].items() if name != "support"}
    return {
        "Entity": (_ENTITIES, [row[:-1] for row in tables.nodes]),
        "Document": ({"id": TEXT}, [(document,) for document in documents]),
        "Support": (COLUMNS["support"], tables.support),
        "Evidence": (quoted, [(number, *row[1:]) for number, row in enumerate(tables.evidence)]),
        "Relation": (_RELATIONS, [(head, tail, number, *rest) for number, head, tail, *rest in tables.edges]),
        "Mentions": ({"document": TEXT, "node": TEXT, "entity": WHOLE}, members),
        "States": ({"document": TEXT, "support": WHOLE}, stated),
        "Quotes": (
            {"support": WHOLE, "evidence": WHOLE},
            [(row[0], number) for number, row in enumerate(tables.evidence)],
        ),
    }


def _copy(connection: Any, table: str, columns: dict[str, str], rows: Sequence[Row]) -> None:
    """Fill a table."""
    import pyarrow

    types = {TEXT: pyarrow.string(), WHOLE: pyarrow.int64(), REAL: pyarrow.float64()}
    types[TEXTS] = pyarrow.list_(pyarrow.string())
    if rows:
        cells = [
            pyarrow.array(values, types[kind])
            for values, kind in zip(zip(*rows, strict=True), columns.values(), strict=True)
        ]
        connection.execute(f"COPY {table} FROM $rows", {"rows": pyarrow.table(cells, names=list(columns))})
