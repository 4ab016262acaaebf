"""What is extracted from as a source of Ray Data: files of texts and records, Parquet, datasets of the Hub."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, IterableDataset
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from modeling_docre.annotations.sources import IN_FOLDERS, RECORDS, Source, files_of, read_sources, source_of
from modeling_docre.documents import DocumentError

PARQUET = ".parquet"
MOST_TASKS = 256
ROWS_AT_ONCE = 64
COLUMNS = ("id", "text", "entities")
"""The columns of a table of texts that are read; a table of documents has `sentences`, and all its columns are."""

SCHEMA = pa.schema([("id", pa.string()), ("input", pa.string()), ("error", pa.string())])
"""A row of the source: the id, content and known entities as JSON, or why the input cannot be read."""

Documents: TypeAlias = "str | os.PathLike[str] | Sequence[str] | Dataset | IterableDataset"


def names_of(documents: Documents) -> list[str]:
    """The names of files, folders and patterns among the documents; none for a dataset."""
    if isinstance(documents, Dataset | IterableDataset):
        return []
    return [os.fspath(documents)] if isinstance(documents, str | os.PathLike) else list(documents)


class DocumentSource(Datasource):
    """Documents of files or of a dataset; no more than a few of them are in memory at a time.

    Args:
        documents: a file (`.txt`, `.jsonl`, `.json`, `.gz` of the latter, `.parquet`), a folder of them, a pattern, a
            list of these, or a dataset of the Hub, streamed or not. A text is named by its file, a record without an id
            by its file and line, a row of a dataset without an id by its number.

    Raises:
        FileNotFoundError: a name gives no file.
        ValueError: a dataset or the first table has no column of texts or sentences, or the name is that of standard
            input.
        DocumentError: the id of the first record is not a string.
    """

    def __init__(self, documents: Documents):
        super().__init__()
        if isinstance(documents, Dataset):
            self._readers = _of_dataset(documents)
        elif isinstance(documents, IterableDataset):
            self._readers = _of_stream(documents)
        else:
            if "-" in (names := names_of(documents)):
                raise ValueError("several processes cannot read standard input; save it in a file")
            files = files_of(names, (*IN_FOLDERS, PARQUET))
            _check_first(files)
            self._readers = _of_files(files)

    def estimate_inmemory_data_size(self) -> int | None:
        """Unknown until it is read."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """A task for each file or part of a dataset, or for several of them where they are many."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [
            ReadTask(partial(_blocks, readers), unknown, SCHEMA, per_task_row_limit)
            for readers in _shares(self._readers, MOST_TASKS)
        ]


Reader = Callable[[], Iterator[Source]]


def _shares(items: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """At most `most` parts of about the same size, in order."""
    count = min(len(items), most)
    for number in range(count):
        yield items[number * len(items) // count : (number + 1) * len(items) // count]


def _blocks(readers: Iterable[Reader]) -> Iterator[pa.Table]:
    sources = (source for reader in readers for source in reader())
    while some := list(islice(sources, ROWS_AT_ONCE)):
        yield pa.Table.from_pylist([_row(source) for source in some], schema=SCHEMA)


def _row(source: Source) -> dict[str, Any]:
    if source.error is not None:
        return {"id": source.id, "error": str(source.error)}
    return {"id": source.id, "input": json.dumps([source.content, source.entities])}


def source_of_row(row: Mapping[str, Any]) -> Source:
    """The input that a row of the source stands for."""
    if row["error"] is not None:
        return Source(None, row["id"], error=ValueError(row["error"]))
    content, entities = json.loads(row["input"])
    return Source(content, row["id"], entities)


def _of_files(names: Iterable[str]) -> list[Reader]:
    # Workers need not have the same current folder; ids keep the names as they were given.
    return [
        partial(_parquet if name.endswith(PARQUET) else read_sources, os.path.abspath(name), name) for name in names
    ]


def _parquet(file: str, name: str) -> Iterator[Source]:
    try:
        with pq.ParquetFile(file) as table:
            _check_columns(table.schema_arrow, name)
            columns = _columns(table.schema_arrow.names)
            rows = (row for batch in table.iter_batches(ROWS_AT_ONCE, columns=columns) for row in batch.to_pylist())
            yield from _sources(rows, name)
    except (OSError, ValueError) as error:
        yield Source(None, name, error=error)


def _of_dataset(dataset: Dataset) -> list[Reader]:
    _check_columns(dataset.features.arrow_schema, "the dataset")
    columns = _columns(dataset.column_names)
    dataset = dataset.select_columns(columns) if columns else dataset
    parts = list(_shares(range(len(dataset)), min(MOST_TASKS, -(-len(dataset) // ROWS_AT_ONCE))))
    return [partial(_sources, dataset.select(part), "row", part[0]) for part in parts]


def _of_stream(dataset: IterableDataset) -> list[Reader]:
    if dataset.features:
        _check_columns(dataset.features.arrow_schema, "the dataset")
    count = dataset.num_shards
    return [partial(_of_shard, dataset, count, number) for number in range(count)]


def _of_shard(dataset: IterableDataset, count: int, number: int) -> Iterator[Source]:
    rows = iter(dataset.shard(count, number))
    return _sources(({name: row[name] for name in _columns(list(row)) or row} for row in rows), f"shard {number}")


def _check_first(files: Sequence[str]) -> None:
    """Check a table's columns and a record's id before Ray starts; the others are mostly of their kind."""
    tables, records = (next((file for file in files if file.endswith(ends)), None) for ends in (PARQUET, RECORDS))
    error = next((source.error for source in read_sources(records)), None) if records else None
    if isinstance(error, DocumentError) and error.field == "id":
        raise error
    if tables:
        with suppress(OSError, pa.ArrowInvalid):  # a broken file becomes a row with its error
            _check_columns(pq.read_schema(tables), tables)


def _check_columns(schema: pa.Schema, table: str) -> None:
    if not {"text", "sentences"} & set(schema.names):
        fix = f"rename the column of the texts to text; it has {', '.join(schema.names)}"
        raise ValueError(f"{table} has no column text or sentences; {fix}")
    kind = schema.field("id").type if "id" in schema.names else pa.null()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        raise ValueError(f"{table} has a column id of type {kind}; make it one of strings")


def _columns(names: Sequence[str]) -> list[str] | None:
    """The columns to read; None for all."""
    return None if "sentences" in names else [name for name in COLUMNS if name in names]


def _sources(rows: Iterable[Mapping[str, Any]], name: str, first: int = 0) -> Iterator[Source]:
    """The rows of a table as inputs; missing values count as absent."""
    for number, row in enumerate(rows, first + 1):
        yield source_of({key: value for key, value in row.items() if value is not None}, f"{name}:{number}")
