"""The graph of a corpus by Ray Data: the nodes and edges of `CorpusGraph`, without a process that holds them.

1. One actor reads the names of all entities, and finds which of them are one thing.
2. Entities are grouped by what they are: nodes.
3. Statements and members of nodes are grouped by document, which tells each statement its two nodes: support.
4. Support is grouped by head, tail and type: edges.

Each step writes Parquet files, and the next one reads them. Only the first step needs memory for the whole corpus: for
every name the numbers of the documents that have it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import ray
from ray.data import Dataset
from ray.data.expressions import col

from modeling_docre.documents import Document
from modeling_docre.graphs.corpus_graph import make_edge, make_node
from modeling_docre.graphs.elements import Member
from modeling_docre.graphs.graph_files import (
    SCHEMAS,
    entity_of_row,
    entity_row,
    statement_of_row,
    support_order,
    support_row,
)
from modeling_docre.graphs.name_blocks import NameBlocks
from modeling_docre.graphs.records import record_of
from modeling_docre.graphs.similarity import THRESHOLD, Merge, check_options
from modeling_docre.merging import LocalEntity

from .corpus_extraction import DOCUMENTS
from .session import ray_session

GRAPH, NODES, SUPPORT, EDGES = "graph", "nodes", "support", "edges"
"""The folder of the graph in that of the results, and its tables, in the columns of `CorpusGraph.save`."""

DOCUMENTS_PER_PART = 25_000
"""Documents whose entities or statements a task groups in memory."""

_ENTITIES, _STATEMENTS = SCHEMAS["documents"].field("entities").type, pa.list_(pa.struct(list(SCHEMAS[SUPPORT])))
_RECORDS = pa.schema([("document_id", pa.string()), ("entities", _ENTITIES), ("statements", _STATEMENTS)])
_PLACES = pa.schema(
    [("key", pa.string()), ("document_id", pa.string()), ("number", pa.int32()), ("entity", _ENTITIES.value_type)]
)
_ENDS = pa.schema(
    [("document_id", pa.string()), ("number", pa.int32()), ("node", pa.string()), ("statements", _STATEMENTS)]
)


class ExtractedGraph(NamedTuple):
    """What a folder of a graph holds: the folder, and the number of nodes and of edges."""

    folder: Path
    nodes: int
    edges: int


def extract_graph(
    results: str | Path,
    *,
    merge: Merge = "exact",
    threshold: float = THRESHOLD,
    address: str | None = None,
    cores: int | None = None,
    memory: int | None = None,
) -> ExtractedGraph:
    """Merge the results of `extract_corpus` into one graph in `<results>/graph`.

    A graph that is there is replaced when the new one is complete. Nodes, edges and support are those of `CorpusGraph`
    over the documents that did not fail.

    Args:
        results: the folder of results.
        merge, threshold: as in `CorpusGraph`.
        address: of a running Ray cluster; by default Ray runs on this machine while this function does.
        cores: of this machine that tasks may use together, by default all.
        memory: bytes of this machine's shared memory for blocks, by default as Ray chooses.

    Raises:
        ValueError: `merge` is unknown, or `threshold` is not from 0 to 1.
        FileNotFoundError: the folder has no results.
    """
    check_options(merge, threshold)
    documents, folder = Path(results).absolute() / DOCUMENTS, Path(results).absolute() / GRAPH
    if not any(documents.glob("*.parquet")):
        raise FileNotFoundError(f"{results} has no {DOCUMENTS}; name a folder that extract-corpus has written")
    draft = folder.with_name(f"{GRAPH}.partial")  # an interrupted graph would look like one with fewer edges
    shutil.rmtree(draft, ignore_errors=True)
    with ray_session(address, cores, memory):
        parts = max(1, int(ray.cluster_resources()["CPU"]) // 2, _rows(documents) // DOCUMENTS_PER_PART)
        groups = _name_groups(documents, merge, threshold)
        _write_nodes(_records(documents), groups, draft, parts)
        if _rows(draft / NODES):
            _write_support(_records(documents), draft, parts)
        if _rows(draft / SUPPORT):
            _write_edges(draft, parts)
    _finish(draft, folder)
    return ExtractedGraph(folder, _rows(folder / NODES), _rows(folder / EDGES))


def _finish(draft: Path, folder: Path) -> None:
    for part in (NODES, SUPPORT, EDGES):
        if not (draft / part).is_dir():
            (draft / part).mkdir(parents=True)
            pq.write_table(SCHEMAS[part].empty_table(), draft / part / "empty.parquet")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _rows(folder: Path) -> int:
    """Rows of a table; Ray writes no folder for a table without rows."""
    return pads.dataset(folder, format="parquet").count_rows() if folder.is_dir() else 0


def _records(documents: Path) -> Dataset:
    """What the graph keeps of each document, without nodes: its entities and statements."""
    rows = ray.data.read_parquet(str(documents)).filter(expr=col("error").is_null()).drop_columns(["error"])
    return rows.map_batches(_keep, batch_format="pyarrow")


def _keep(rows: pa.Table) -> pa.Table:
    records = [record_of(Document.from_dict(row)) for row in rows.to_pylist()]
    table = [
        {
            "document_id": record.document_id,
            "entities": list(map(entity_row, record.entities)),
            "statements": [support_row(statement, "", "") for statement in record.statements],
        }
        for record in records
    ]
    return pa.Table.from_pylist(table, schema=_RECORDS)


# --- names ----------------------------------------------------------------------------------------------------------


@ray.remote(num_cpus=0)
class _Names:
    """Finds which names are one thing; a document that comes twice, because its task was repeated, counts once."""

    def __init__(self, merge: Merge, threshold: float):
        self.blocks, self.seen = NameBlocks(merge, threshold), set[str]()

    def add(self, documents: Sequence[tuple[str, Sequence[LocalEntity]]]) -> None:
        for name, entities in documents:
            if name not in self.seen:
                self.seen.add(name)
                self.blocks.add(name, entities)

    def groups(self) -> NameBlocks:
        self.blocks.update()
        return self.blocks.groups_only()


def _name_groups(documents: Path, merge: Merge, threshold: float) -> Any:
    """The groups of names, where Ray keeps them."""
    names = _Names.remote(merge, threshold)  # type: ignore[attr-defined]

    def send(rows: pa.Table) -> pa.Table:
        ray.get(names.add.remote([(row["document_id"], _entities(row)) for row in rows.to_pylist()]))
        return rows.select(["document_id"])

    for _ in _records(documents).map_batches(send, batch_format="pyarrow").iter_internal_ref_bundles():
        pass
    groups = names.groups.remote()
    ray.wait([groups])
    return groups


def _entities(row: Mapping[str, Any]) -> list[LocalEntity]:
    return list(map(entity_of_row, row["entities"]))


# --- nodes ----------------------------------------------------------------------------------------------------------


def _write_nodes(records: Dataset, groups: Any, folder: Path, parts: int) -> None:
    def spread(rows: pa.Table) -> pa.Table:
        blocks, table = ray.get(groups), []
        for row in rows.to_pylist():
            for number, entity in enumerate(_entities(row)):
                key = blocks.group(entity) or Member(row["document_id"], number)
                place = {"document_id": row["document_id"], "number": number}
                table.append({"key": repr(key), **place, "entity": row["entities"][number]})
        return pa.Table.from_pylist(table, schema=_PLACES)

    entities = records.map_batches(spread, batch_format="pyarrow")
    nodes = entities.groupby("key", num_partitions=parts).map_groups(_node, batch_format="pyarrow")
    nodes.write_parquet(str(folder / NODES))


def _node(rows: pa.Table) -> pa.Table:
    table = sorted(rows.to_pylist(), key=lambda row: (row["document_id"], row["number"]))
    places = [(row["document_id"], row["number"]) for row in table]
    node = make_node(places, [entity_of_row(row["entity"]) for row in table])
    return pa.Table.from_pylist([asdict(node)], schema=SCHEMAS[NODES])


# --- edges and their support ----------------------------------------------------------------------------------------


def _write_support(records: Dataset, folder: Path, parts: int) -> None:
    members = ray.data.read_parquet(str(folder / NODES), columns=["id", "members"])
    rows = members.map_batches(_members, batch_format="pyarrow").union(
        records.map_batches(_statements, batch_format="pyarrow")
    )
    support = rows.groupby("document_id", num_partitions=parts).map_groups(_support, batch_format="pyarrow")
    support.write_parquet(str(folder / SUPPORT))


def _members(nodes: pa.Table) -> pa.Table:
    table = [
        {"document_id": member["document_id"], "number": member["entity"], "node": node["id"]}
        for node in nodes.to_pylist()
        for member in node["members"]
    ]
    return pa.Table.from_pylist(table, schema=_ENDS)


def _statements(records: pa.Table) -> pa.Table:
    return pa.Table.from_pylist(records.select(["document_id", "statements"]).to_pylist(), schema=_ENDS)


def _support(rows: pa.Table) -> pa.Table:
    """The statements of a document with the nodes that they relate."""
    ends = rows.to_pylist()
    node_of = {row["number"]: row["node"] for row in ends if row["node"] is not None}
    table = [
        {**statement, "head": node_of[statement["head_entity"]], "tail": node_of[statement["tail_entity"]]}
        for row in ends
        for statement in row["statements"] or ()
    ]
    return pa.Table.from_pylist(table, schema=SCHEMAS[SUPPORT])


def _write_edges(folder: Path, parts: int) -> None:
    support = ray.data.read_parquet(str(folder / SUPPORT))
    edges = support.groupby(["head", "tail", "type"], num_partitions=parts).map_groups(_edge, batch_format="pyarrow")
    edges.write_parquet(str(folder / EDGES))


def _edge(rows: pa.Table) -> pa.Table:
    table: list[Mapping[str, Any]] = rows.to_pylist()
    statements = sorted(map(statement_of_row, table), key=support_order)
    edge = make_edge(table[0]["head"], table[0]["tail"], table[0]["type"], statements)
    return pa.Table.from_pylist([{name: getattr(edge, name) for name in SCHEMAS[EDGES].names}], schema=SCHEMAS[EDGES])
