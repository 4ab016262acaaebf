"""A corpus graph as a folder of Parquet files, written wholly or not at all."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby, islice
from operator import itemgetter
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modeling_docre.merging import LocalEntity, Spelling

from .corpus_graph import make_edge
from .elements import Edge, Evidence, Member, Node, Support
from .records import Record, Statement, statement_order

ROWS = 20_000  # of a row group, so that memory stays bounded
_OPTIONS = b"docre_corpus_graph"

_TEXTS = pa.list_(pa.string())
_MEMBER = pa.struct({"document_id": pa.string(), "entity": pa.int32()})
_EVIDENCE = pa.struct(
    {
        "sentence": pa.int32(),
        "text": pa.string(),
        "char_start": pa.int64(),
        "char_end": pa.int64(),
        "score": pa.float64(),
    }
)
_SPELLING = pa.struct({"text": pa.string(), "mentions": pa.int32(), "shared": pa.int32()})
_ENTITY = pa.struct({"type": pa.string(), "id": pa.string(), "score": pa.float64(), "spellings": pa.list_(_SPELLING)})
SCHEMAS = {
    "nodes": pa.schema(
        {
            "id": pa.string(),
            "name": pa.string(),
            "type": pa.string(),
            "aliases": _TEXTS,
            "concept_ids": _TEXTS,
            "documents": pa.int64(),
            "mentions": pa.int64(),
            "score": pa.float64(),
            "members": pa.list_(_MEMBER),
        }
    ),
    "edges": pa.schema(
        {
            **dict.fromkeys(("head", "tail", "type", "label"), pa.string()),
            "score": pa.float64(),
            "documents": pa.int64(),
            "first_seen": pa.string(),
            "last_seen": pa.string(),
        }
    ),
    "support": pa.schema(
        {
            **dict.fromkeys(("head", "tail", "type", "label", "document_id"), pa.string()),
            "head_entity": pa.int32(),
            "tail_entity": pa.int32(),
            "score": pa.float64(),
            "date": pa.string(),
            "evidence": pa.list_(_EVIDENCE),
        }
    ),
    "documents": pa.schema({"id": pa.string(), "date": pa.string(), "entities": pa.list_(_ENTITY)}),
}
"""The columns of each file; `head` and `tail` are ids of nodes, `head_entity` and `tail_entity` numbers of entities."""


def write_graph(
    folder: str | PathLike[str],
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    records: Sequence[Record],
    options: Mapping[str, Any],
) -> None:
    """Write a graph; a graph that is in the folder is replaced.

    Raises:
        FileExistsError: the folder holds something else than a graph.
        OSError: a file cannot be written; what was there is untouched.
    """
    target = Path(folder)
    _check_target(target)
    rows: dict[str, Iterator[Mapping[str, Any]]] = {
        "nodes": map(asdict, nodes),
        "edges": ({name: getattr(edge, name) for name in SCHEMAS["edges"].names} for edge in edges),
        "support": _support_rows(nodes, records),
        "documents": (
            {"id": record.document_id, "date": record.date, "entities": list(map(entity_row, record.entities))}
            for record in records
        ),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".writing-") as name:
        draft = Path(name) / "graph"
        draft.mkdir()
        for part, schema in SCHEMAS.items():
            _write(draft / f"{part}.parquet", schema.with_metadata({_OPTIONS: json.dumps(dict(options))}), rows[part])
        _swap(draft, target, Path(name) / "former")


def read_graph(folder: str | PathLike[str]) -> tuple[dict[str, Any], Iterator[Record]]:
    """The options of a graph and its documents.

    Raises:
        FileNotFoundError: the folder has no graph.
        ValueError: a file is not that of a graph.
    """
    files = {part: Path(folder) / f"{part}.parquet" for part in ("documents", "support")}
    for part, file in files.items():
        if not file.is_file():
            raise FileNotFoundError(f"{folder} has no {file.name}; name a folder that `CorpusGraph.save` has written")
        with _named(file):
            schema = pq.read_schema(file)
        if not schema.equals(SCHEMAS[part]) or _OPTIONS not in (schema.metadata or {}):
            raise ValueError(
                f"{file} has other columns than a graph's; name a folder that `CorpusGraph.save` has written"
            )
    options = json.loads(pq.read_schema(files["documents"]).metadata[_OPTIONS])
    return options, _read_records(files["documents"], files["support"])


def is_graph(folder: str | PathLike[str]) -> bool:
    """Whether a folder holds the tables of a graph: those of `CorpusGraph.save`, or of `extract_graph` by Ray."""
    return bool(_tables(folder, "nodes"))


def read_elements(folder: str | PathLike[str]) -> tuple[tuple[Node, ...], tuple[Edge, ...]]:
    """The nodes and edges of a graph as they are stored, in the order of `CorpusGraph`; nothing is merged again.

    Args:
        folder: one for which `is_graph` is true. Each table is a file or a folder of files.

    Raises:
        FileNotFoundError: the folder has no table `support`.
        ValueError: a file is damaged.
    """
    if not _tables(folder, "support"):
        raise FileNotFoundError(f"{folder} has nodes but no support; copy the whole graph, or build it again")
    nodes = [_node_of_row(row) for row in _stored_rows(folder, "nodes")]
    stated: defaultdict[tuple[str, str, str], list[Statement]] = defaultdict(list)
    for row in _stored_rows(folder, "support"):
        stated[row["head"], row["tail"], row["type"]].append(statement_of_row(row))
    edges = (make_edge(*ends, sorted(found, key=support_order)) for ends, found in sorted(stated.items()))
    return tuple(sorted(nodes, key=lambda node: node.id)), tuple(edges)


def support_order(statement: Statement) -> tuple[Any, ...]:
    """What the statements of an edge are sorted by."""
    return statement.support.document_id, statement_order(statement)


def _tables(folder: str | PathLike[str], part: str) -> list[Path]:
    file = Path(folder) / f"{part}.parquet"
    return [file] if file.is_file() else sorted((Path(folder) / part).glob("*.parquet"))


def _stored_rows(folder: str | PathLike[str], part: str) -> Iterator[dict[str, Any]]:
    for file in _tables(folder, part):
        yield from _rows(file)


def _node_of_row(row: Mapping[str, Any]) -> Node:
    members = tuple(Member(**member) for member in row["members"])
    return Node(
        **{**row, "aliases": tuple(row["aliases"]), "concept_ids": tuple(row["concept_ids"]), "members": members}
    )


def _check_target(target: Path) -> None:
    names = {f"{part}.parquet" for part in SCHEMAS}
    if target.exists() and not (target.is_dir() and {file.name for file in target.iterdir()} <= names):
        raise FileExistsError(f"{target} holds something else than a graph; name a new folder")


def _swap(draft: Path, target: Path, former: Path) -> None:
    """Put the draft in the target's place; if that fails, the target is as it was."""
    if not target.exists():
        draft.rename(target)
        return
    target.rename(former)
    try:
        draft.rename(target)
    except OSError:
        former.rename(target)
        raise


def _write(file: Path, schema: pa.Schema, rows: Iterator[Mapping[str, Any]]) -> None:
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while table := list(islice(rows, ROWS)):
            writer.write_table(pa.Table.from_pylist(table, schema))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with _named(file), pq.ParquetFile(file) as source:
        for batch in source.iter_batches(ROWS):
            yield from batch.to_pylist()


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """Say which file Parquet cannot read."""
    try:
        yield
    except pa.ArrowInvalid as error:
        raise ValueError(f"{file} is damaged, or is not Parquet ({error}); build the graph again") from error


def entity_row(entity: LocalEntity) -> dict[str, Any]:
    """An entity as it stands in a row of `documents`."""
    spellings = [spelling._asdict() for spelling in entity.spellings]
    return {"type": entity.type, "id": entity.id, "score": entity.score, "spellings": spellings}


def _support_rows(nodes: Iterable[Node], records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    node_of = {(member.document_id, member.entity): node.id for node in nodes for member in node.members}
    for record in records:
        for statement in record.statements:
            head, tail = ((record.document_id, end) for end in (statement.support.head, statement.support.tail))
            yield support_row(statement, node_of[head], node_of[tail])


def support_row(statement: Statement, head: str, tail: str) -> dict[str, Any]:
    """A statement as a row of `support`; `head` and `tail` are the ids of its nodes."""
    support = statement.support
    return {
        "head": head,
        "tail": tail,
        "type": statement.type,
        "label": statement.label,
        "document_id": support.document_id,
        "head_entity": support.head,
        "tail_entity": support.tail,
        "score": support.score,
        "date": support.date,
        "evidence": list(map(asdict, support.evidence)),
    }


def _read_records(documents: Path, support: Path) -> Iterator[Record]:
    statements = groupby(_rows(support), key=itemgetter("document_id"))
    name, found = next(statements, (None, ()))
    for row in _rows(documents):
        own: tuple[Statement, ...] = ()
        if row["id"] == name:
            own = tuple(map(statement_of_row, found))
            name, found = next(statements, (None, ()))
        yield Record(row["id"], row["date"], tuple(map(entity_of_row, row["entities"])), own)


def entity_of_row(row: Mapping[str, Any]) -> LocalEntity:
    """The entity that stands in a row of `documents`."""
    return LocalEntity(row["type"], row["id"], row["score"], tuple(Spelling(**item) for item in row["spellings"]))


def statement_of_row(row: Mapping[str, Any]) -> Statement:
    """The statement that a row of `support` stands for."""
    evidence = tuple(Evidence(**item) for item in row["evidence"])
    support = Support(row["document_id"], row["head_entity"], row["tail_entity"], row["score"], evidence, row["date"])
    return Statement(row["type"], row["label"], support)
