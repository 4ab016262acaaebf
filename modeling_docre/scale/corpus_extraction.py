"""Extraction over any number of documents by Ray Data: models in actors, results in Parquet, resumable by id."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from datasets import Features, Value
from filelock import FileLock
from ray.data import ActorPoolStrategy
from ray.data.aggregate import Count
from ray.data.checkpoint import CheckpointConfig
from ray.data.expressions import col
from ray.exceptions import RayError

from dataset_scripts.building.row_features import document_features
from modeling_docre.annotations.growing_file import acquired, record_settings
from modeling_docre.documents import DocumentError
from modeling_docre.hub.loading import COMPUTED, weights_digest

from .document_source import Documents, DocumentSource, names_of, source_of_row
from .session import SPARE_CORES, ray_session

DOCUMENTS, CHECKPOINT, SETTINGS = "documents", "checkpoint", "settings.json"
"""What a folder of results holds: Parquet files of documents, the ids that are done, and how they were made."""

BLOCK_SIZE = 128
"""Documents that are extracted, written, and lost by an interruption, together."""

_FILTER_BYTES = 256 * 2**20


class ExtractedCorpus(NamedTuple):
    """What a folder of results holds.

    Args:
        folder: the folder.
        documents: number of documents, those that failed included.
        failed: number of documents that failed.
        error: why one of these failed; None if none did.
    """

    folder: Path
    documents: int
    failed: int
    error: str | None = None


def row_features() -> Features:
    """The features of a row of results: those of a document, and `error`, why it failed, None where it did not."""
    return Features({**document_features(), "error": Value("string")})


class ExtractionActor:
    """A model that stays loaded and turns blocks of inputs into blocks of results.

    Args:
        model: folder or Hub name.
        threads: of the processor that it uses.
        options: of the `Extractor`.
    """

    def __init__(self, model: str, threads: int, options: Mapping[str, Any]):
        import torch
        from transformers.utils.logging import disable_progress_bar

        from .extractor import Extractor

        torch.set_num_threads(threads)
        disable_progress_bar()
        self.extract = Extractor(model, **options)
        self.schema = row_features().arrow_schema

    def __call__(self, block: pa.Table) -> pa.Table:
        """A row of results for each row of the source."""
        results = self.extract([source_of_row(row) for row in block.to_pylist()])
        rows = [
            {**result.graph, "error": None} if result.graph else {"id": result.id, "error": _in_words(result.error)}
            for result in results
        ]
        return pa.Table.from_pylist(rows, schema=self.schema)


def _in_words(error: Exception | None) -> str:
    return str(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {error}"


def extract_corpus(
    documents: Documents,
    model: str,
    out: str | Path,
    *,
    actors: int | None = None,
    gpus_per_actor: float | None = None,
    cores_per_actor: int | None = None,
    address: str | None = None,
    block_size: int = BLOCK_SIZE,
    memory: int | None = None,
    **options: Any,
) -> ExtractedCorpus:
    """Extract the graphs of a corpus into a folder; called again, it goes on where it was interrupted.

    `<out>/documents` gets Parquet files with a row for each document (see `row_features`). A document that fails
    becomes a row with its error. `<out>/checkpoint` holds the ids that are done, which later calls leave out.

    Args:
        documents: see `DocumentSource`. Tables may have further columns, which are not read.
        model: folder or Hub name of a trained model; on a cluster every machine must reach it.
        out: the folder of results; on a cluster on storage that all machines share.
        actors: number of models that work at the same time; by default one for each GPU, without a GPU one for each
            `cores_per_actor` cores.
        gpus_per_actor: GPUs of each, or the part of one; by default 1 where there are GPUs and the backend is torch.
        cores_per_actor: cores of each; by default 1 with a GPU and 2 without.
        address: of a running Ray cluster; by default Ray runs on this machine while this function does.
        block_size: documents that are extracted, written and lost by an interruption together, and the size of a file.
        memory: bytes of this machine's shared memory for blocks, by default as Ray chooses.
        **options: `threshold`, `relations`, `dtype`, `backend` and `max_tokens`, as for `Extractor`.

    Raises:
        FileNotFoundError: a name gives no file, or the model does not exist.
        FileExistsError, NotADirectoryError: the folder holds something else, or is a file.
        DocumentError: several documents have the same id, or the id of the first record is not a string.
        ValueError: an option has no such value, a table has no texts or has numbers for ids, the folder was begun with
            other settings, is being written by another run, holds a damaged file or lies in a folder that is read, or
            Ray has too few cores or GPUs.
    """
    source = DocumentSource(documents)
    folder = Path(out).absolute()
    _check_folder(documents, folder)
    _check_model(model, options)
    folder.mkdir(parents=True, exist_ok=True)
    stated = {name: value for name, value in options.items() if name != "max_tokens" and value is not None}
    settings = {"model": model, "weights": weights_digest(model, options.get("backend")), **COMPUTED, **stated}
    record_settings(folder / SETTINGS, settings, folder)
    if gpus_per_actor is None and options.get("backend") not in (None, "torch"):
        gpus_per_actor = 0  # ONNX Runtime's encoders run on the processor
    cores = os.cpu_count() or 1 if actors is None else actors * (cores_per_actor or 2)
    # Reading and writing take little, so here they may share the cores of the actors.
    with acquired(FileLock(folder / ".lock", timeout=0), folder), _damage_named(folder):
        with ray_session(address, cores + SPARE_CORES, memory):
            pool = _actor_options(actors, gpus_per_actor, cores_per_actor)
            _check_ids(source)
            _run(source, folder, block_size, pool, (model, int(pool["num_cpus"]), options))
        return extracted_corpus(folder)


def _check_folder(documents: Documents, folder: Path) -> None:
    """Check that no later run would read the results, and that they mix with nothing else."""
    for name in names_of(documents):
        if Path(name).is_dir() and folder.resolve().is_relative_to(Path(name).resolve()):
            raise ValueError(f"{folder} lies in {name}, which is read; name a folder elsewhere for the results")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder for the results")
    if folder.is_dir() and not (folder / SETTINGS).is_file() and (others := sorted(folder.iterdir())):
        raise FileExistsError(f"{folder} holds other files, such as {others[0].name}; name a new folder")


@contextmanager
def _damage_named(folder: Path) -> Iterator[None]:
    """Say which file of the folder is damaged, if that is why the block fails.

    Raises:
        ValueError: a file is damaged; errors of another cause are raised unchanged.
    """
    try:
        yield
    except (OSError, pa.ArrowException, RayError) as error:
        for file in sorted([*(folder / CHECKPOINT).glob("*.parquet"), *(folder / DOCUMENTS).glob("*.parquet")]):
            if not _is_readable(file):
                block = file.stem.partition("-")[0]  # a block's two files have the same name, and a number in documents
                fix = f"delete it and all files {block}* in {DOCUMENTS} and {CHECKPOINT}"
                then = "the next run extracts their documents again"
                raise ValueError(f"{file} is damaged; {fix}; {then}") from error
        raise


def _is_readable(file: Path) -> bool:
    try:
        pq.read_metadata(file)
    except (OSError, pa.ArrowInvalid):
        return False
    return True


def _check_model(model: str, options: Mapping[str, Any]) -> None:
    """Load the model here once: an error in an actor would come out of Ray minutes later, as a traceback."""
    from transformers.utils.logging import disable_progress_bar

    from .extractor import Extractor

    disable_progress_bar()
    Extractor(model, device="cpu", **options)


def extracted_corpus(folder: str | Path) -> ExtractedCorpus:
    """What a folder of results holds; only the column of errors is read."""
    count, failed, error = 0, 0, None
    # File by file, since a dataset of Arrow keeps the metadata of all its files.
    for file in sorted((Path(folder) / DOCUMENTS).glob("*.parquet")):
        with pq.ParquetFile(file) as table:
            errors = table.read(["error"])["error"].drop_null()
            count, failed = count + table.metadata.num_rows, failed + len(errors)
        if error is None and len(errors):
            error = errors[0].as_py()
    return ExtractedCorpus(Path(folder), count, failed, error)


def _read(source: DocumentSource) -> ray.data.Dataset:
    # With the number of its tasks Ray does not cut their blocks into more pieces.
    return ray.data.read_datasource(source, override_num_blocks=len(source.get_read_tasks(1)))


def _check_ids(source: DocumentSource) -> None:
    """Refuse repeated ids before a model runs: a result belongs to its id.

    Raises:
        DocumentError: several documents have the same id.
    """
    ids, parts = _read(source).select_columns(["id"]), max(1, int(ray.cluster_resources()["CPU"]) // 2)
    counts = ids.groupby("id", num_partitions=parts).aggregate(Count(alias_name="count"))
    for row in counts.filter(expr=col("count") > 1).take(1):
        raise DocumentError(row["id"], "id", row["id"], f"{row['count']} documents have it; give each its own")


def _actor_options(actors: int | None, gpus: float | None, cores: int | None) -> dict[str, Any]:
    """The pool of actors, and what each takes of the machines.

    Raises:
        ValueError: Ray has not so much, and would wait for it forever.
    """
    there = ray.cluster_resources()
    if gpus is None:
        gpus = 1.0 if there.get("GPU") else 0.0
    cores = cores or (1 if gpus else 2)
    if actors is None:
        actors = max(1, int(there["GPU"] // gpus if gpus else (there["CPU"] - SPARE_CORES) // cores))
    needed = {"CPU": actors * cores + SPARE_CORES, "GPU": actors * gpus}
    for name, count in needed.items():
        if there.get(name, 0) < count:
            raise ValueError(
                f"{actors} actors, reading and writing need {count:g} {name}s, and Ray has {there.get(name, 0):g}; "
                "give fewer actors, or fewer cores or GPUs to each"
            )
    return {"compute": ActorPoolStrategy(size=actors), "num_cpus": cores, "num_gpus": gpus}


def _run(
    source: DocumentSource, folder: Path, block_size: int, pool: Mapping[str, Any], arguments: Sequence[Any]
) -> None:
    dataset = _read(source)
    dataset.context.checkpoint_config = _checkpoint(folder / CHECKPOINT)
    blocks = dataset.repartition(target_num_rows_per_block=block_size)
    results = blocks.map_batches(
        ExtractionActor,
        fn_constructor_args=arguments,
        batch_size=block_size,
        batch_format="pyarrow",
        **pool,
    )
    results.write_parquet(str(folder / DOCUMENTS))


def _checkpoint(folder: Path) -> CheckpointConfig:
    config = CheckpointConfig("id", str(folder), delete_checkpoint_on_success=False)
    config.checkpoint_actor_memory_bytes = _FILTER_BYTES  # at least; Ray reserves more for more ids
    return config
