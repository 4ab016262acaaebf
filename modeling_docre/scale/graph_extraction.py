"""The graph of a corpus by Ray Data: the nodes and edges of `CorpusGraph`, without a process that holds them.

1. What the graph needs of each document is kept: its entities, and its statements with their evidence.
2. One actor reads the names of all entities, and finds which of them are one thing.
3. Entities are grouped by what they are: nodes.
4. Statements and members of nodes are grouped by document, which tells each statement its two nodes: support.
5. Support is grouped by head, tail and type: edges.

Each step writes Parquet files, and the next ones read them. Only the second step needs memory for the whole corpus: for
every name the numbers of the documents that have it. The others group in buckets, each of which one call takes whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import pyarrow as pa
import pyarrow.compute as pc
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

RECORDS = "records"
"""The table of the first step, which goes when the graph is complete."""

DOCUMENTS_PER_PART, DOCUMENTS_PER_BUCKET = 25_000, 2_500
"""Documents of which a task holds the entities or statements, and of which it groups them at a time."""

_ENTITIES, _STATEMENTS = SCHEMAS["documents"].field("entities").type, pa.list_(pa.struct(list(SCHEMAS[SUPPORT])))
_RECORDS = pa.schema([("document_id", pa.string()), ("entities", _ENTITIES), ("statements", _STATEMENTS)])
_PLACES = pa.schema(
    [("key", pa.string()), ("document_id", pa.string()), ("number", pa.int32()), ("entity", _ENTITIES.value_type)]
)
_ENDS = pa.schema(
    [("document_id", pa.string()), ("number", pa.int32()), ("node", pa.string()), ("statements", _STATEMENTS)]
)
_BUCKET = "bucket"


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
        _write_records(documents, draft)
        shares = _Shares(_rows(draft / RECORDS), int(ray.cluster_resources()["CPU"]))
        if _has_entities(draft / RECORDS):
            _write_nodes(draft, _name_groups(draft, merge, threshold), shares)
        if _rows(draft / NODES):
            _write_support(draft, shares)
        if _rows(draft / SUPPORT):
            _write_edges(draft, shares)
    _finish(draft, folder)
    return ExtractedGraph(folder, _rows(folder / NODES), _rows(folder / EDGES))


def _finish(draft: Path, folder: Path) -> None:
    for part in (NODES, SUPPORT, EDGES):
        if not (draft / part).is_dir():
            (draft / part).mkdir(parents=True)
            pq.write_table(SCHEMAS[part].empty_table(), draft / part / "empty.parquet")
    shutil.rmtree(draft / RECORDS, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _rows(folder: Path) -> int:
    """Rows of a table, file by file; Ray writes no folder for a table without rows."""
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


def _has_entities(records: Path) -> bool:
    lengths = (
        pc.list_value_length(pq.ParquetFile(file).read(["entities"])["entities"]) for file in records.glob("*.parquet")
    )
    return any(pc.max(counts).as_py() for counts in lengths)


class _Shares:
    """Shares a table out: rows of one key into one bucket, the buckets among Ray's tasks.

    Args:
        documents: of the corpus.
        cores: that there are for the tasks.
    """

    def __init__(self, documents: int, cores: int):
        self.parts = max(1, cores // 2, documents // DOCUMENTS_PER_PART)
        self.buckets = max(self.parts, documents // DOCUMENTS_PER_BUCKET)

    def map(self, table: Dataset, keys: Sequence[str], function: Callable[[pa.Table], pa.Table]) -> Dataset:
        """What the function makes of each bucket; rows that are equal in `keys` are together."""
        buckets = self.buckets  # without self, which Ray's processes need not know

        def name(rows: pa.Table) -> pa.Table:
            values = zip(*(rows[key].to_pylist() for key in keys), strict=True)
            numbers = [crc32(repr(value).encode()) % buckets for value in values]
            return rows.append_column(_BUCKET, pa.array(numbers, pa.int32()))

        named = table.map_batches(name, batch_format="pyarrow").groupby(_BUCKET, num_partitions=self.parts)
        return named.map_groups(lambda rows: function(rows.drop_columns([_BUCKET])), batch_format="pyarrow")


# --- records --------------------------------------------------------------------------------------------------------


def _write_records(documents: Path, folder: Path) -> None:
    """What the graph keeps of each document that did not fail, without nodes."""
    rows = ray.data.read_parquet(str(documents)).filter(expr=col("error").is_null()).drop_columns(["error"])
    rows.map_batches(_keep, batch_format="pyarrow").write_parquet(str(folder / RECORDS))


def _records(folder: Path, *columns: str) -> Dataset:
    return ray.data.read_parquet(str(folder / RECORDS), columns=["document_id", *columns])


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


def _name_groups(folder: Path, merge: Merge, threshold: float) -> Any:
    """The groups of names, where Ray keeps them."""
    names = _Names.remote(merge, threshold)  # type: ignore[attr-defined]

    def send(rows: pa.Table) -> pa.Table:
        ray.get(names.add.remote([(row["document_id"], _entities(row)) for row in rows.to_pylist()]))
        return rows.select(["document_id"])

    for _ in _records(folder, "entities").map_batches(send, batch_format="pyarrow").iter_internal_ref_bundles():
        pass
    groups = names.groups.remote()
    ray.wait([groups])
    return groups


def _entities(row: Mapping[str, Any]) -> list[LocalEntity]:
    return list(map(entity_of_row, row["entities"]))


# --- nodes ----------------------------------------------------------------------------------------------------------


def _write_nodes(folder: Path, groups: Any, shares: _Shares) -> None:
    def spread(rows: pa.Table) -> pa.Table:
        blocks, table = ray.get(groups), []
        for row in rows.to_pylist():
            for number, entity in enumerate(_entities(row)):
                key = blocks.group(entity) or Member(row["document_id"], number)
                place = {"document_id": row["document_id"], "number": number}
                table.append({"key": repr(key), **place, "entity": row["entities"][number]})
        return pa.Table.from_pylist(table, schema=_PLACES)

    entities = _records(folder, "entities").map_batches(spread, batch_format="pyarrow")
    shares.map(entities, ["key"], _nodes).write_parquet(str(folder / NODES))


def _nodes(rows: pa.Table) -> pa.Table:
    table = []
    for _, group in _groups(rows, "key", "document_id", "number"):
        places = [(row["document_id"], row["number"]) for row in group]
        table.append(asdict(make_node(places, [entity_of_row(row["entity"]) for row in group])))
    return pa.Table.from_pylist(table, schema=SCHEMAS[NODES])


def _groups(rows: pa.Table, *order: str, keys: int = 1) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Rows that are equal in the first columns of the order, sorted by all of it."""
    table = sorted(rows.to_pylist(), key=itemgetter(*order))
    for key, group in groupby(table, itemgetter(*order[:keys])):
        yield key, list(group)


# --- edges and their support ----------------------------------------------------------------------------------------


def _write_support(folder: Path, shares: _Shares) -> None:
    members = ray.data.read_parquet(str(folder / NODES), columns=["id", "members"])
    rows = members.map_batches(_members, batch_format="pyarrow").union(
        _records(folder, "statements").map_batches(_statements, batch_format="pyarrow")
    )
    shares.map(rows, ["document_id"], _support).write_parquet(str(folder / SUPPORT))


def _members(nodes: pa.Table) -> pa.Table:
    table = [
        {"document_id": member["document_id"], "number": member["entity"], "node": node["id"]}
        for node in nodes.to_pylist()
        for member in node["members"]
    ]
    return pa.Table.from_pylist(table, schema=_ENDS)


def _statements(records: pa.Table) -> pa.Table:
    for name in ("number", "node"):
        records = records.append_column(_ENDS.field(name), pa.nulls(len(records), _ENDS.field(name).type))
    return records.select(_ENDS.names).cast(_ENDS)


def _support(rows: pa.Table) -> pa.Table:
    """The statements of documents with the nodes that they relate."""
    ends = rows.to_pylist()
    node_of = {(row["document_id"], row["number"]): row["node"] for row in ends}
    table = [
        {
            **statement,
            "head": node_of[row["document_id"], statement["head_entity"]],
            "tail": node_of[row["document_id"], statement["tail_entity"]],
        }
        for row in ends
        for statement in row["statements"] or ()
    ]
    return pa.Table.from_pylist(table, schema=SCHEMAS[SUPPORT])


def _write_edges(folder: Path, shares: _Shares) -> None:
    support = ray.data.read_parquet(str(folder / SUPPORT))
    shares.map(support, ["head", "tail", "type"], _edges).write_parquet(str(folder / EDGES))


def _edges(rows: pa.Table) -> pa.Table:
    table = []
    for (head, tail, kind), group in _groups(rows, "head", "tail", "type", keys=3):
        edge = make_edge(head, tail, kind, sorted(map(statement_of_row, group), key=support_order))
        table.append({name: getattr(edge, name) for name in SCHEMAS[EDGES].names})
    return pa.Table.from_pylist(table, schema=SCHEMAS[EDGES])
