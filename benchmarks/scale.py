"""Measures extraction by Ray beside the plain pipeline, and plans a large run from what it measured.

    OMP_NUM_THREADS=1 python benchmarks/scale.py --documents 400
    OMP_NUM_THREADS=1 python benchmarks/scale.py --documents 3000 --block-size 128
    OMP_NUM_THREADS=1 python benchmarks/scale.py --documents 100000 --block-size 128 --tiny --actors 2

The first command measures rates, the second the bytes that a large run will write (files of few documents take more
per document), the third whether many documents are all there, once each, and what the process holds that started the
run. `--tiny` takes a random model of two layers of width 32 and a sentence of each text. Run them on an idle machine.

Every actor, and the plain pipeline, has one thread. The plain pipeline works on the same blocks as the actors, in one
process that does nothing else, and on the first 400 documents at most. The rate of a run by Ray is taken between the
first and the last block that it commits, so that the time to start, which a long run does not feel, stands in a column
of its own. The memory of the process is its resident set, looked at every half second while Ray works.

The last table is computed, not measured. `--plan-seconds` is the time of one actor per document on the machine that is
planned for; without it the plan is for actors like those that were measured. The exit code is 1 if a document is
missing or there twice; people judge the other figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import psutil
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import torch

# Runs from a source checkout, installed or not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.workload import default_data, read_documents
from modeling_docre.annotations.sources import Source
from modeling_docre.hub.resources import default_model
from modeling_docre.scale.corpus_extraction import CHECKPOINT, DOCUMENTS, extract_corpus
from modeling_docre.scale.extractor import Extractor
from modeling_docre.scale.session import SPARE_CORES, ray_session

PLAIN = 400  # documents of the plain pipeline, or three blocks if these are more
STRING_BYTES = 49 + 8
"""Of an id in the array that filters what is done: a Python string beside its characters, and a pointer."""


class Run(NamedTuple):
    """One way to extract, and what it took.

    `start` and `seconds` are seconds: before the first block is done, and from then on. `documents` are those that were
    done in `seconds`, by `actors` models.
    """

    name: str
    actors: int
    documents: int
    start: float
    seconds: float

    @property
    def rate(self) -> float:
        """Documents per second."""
        return self.documents / self.seconds


class Sizes(NamedTuple):
    """Bytes per document on the disk, of results and of the checkpoint, and characters of an id."""

    result: float
    checkpoint: float
    id: float


class Memory(NamedTuple):
    """Resident bytes before a piece of work, and the most during it."""

    before: int
    most: int


@contextmanager
def watched(seen: list[Memory], *, begun: bool = False) -> Iterator[None]:
    """Add to `seen` what this process holds during the block, or the largest one that it has begun."""
    process, ended, sizes = psutil.Process(), Event(), list[int]()

    def look() -> None:
        held = 0
        for one in process.children(recursive=True) if begun else [process]:
            with suppress(psutil.NoSuchProcess):  # it has ended since
                held = max(held, one.memory_info().rss)
        sizes.append(held)

    def keep_looking() -> None:
        while not ended.wait(0.5):
            look()

    look()
    thread = Thread(target=keep_looking)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        seen.append(Memory(sizes[0], max(sizes)))


def records(file: Path, count: int, sentences: int | None = None) -> list[dict[str, str]]:
    """So many texts of a corpus, over and over if it has fewer, each with an id of its own."""
    texts = [" ".join(word for words in item.sentences[:sentences] for word in words) for item in read_documents(file)]
    return [{"id": f"document-{number:08}", "text": texts[number % len(texts)]} for number in range(count)]


def plain(rows: Sequence[dict[str, str]], model: str, block_size: int) -> Run:
    """The pipeline in this process, block by block."""
    begin = time.perf_counter()
    extract, sources = Extractor(model), [Source(row["text"], row["id"]) for row in rows]
    extract(sources[:block_size])
    first = time.perf_counter()
    for start in range(block_size, len(sources), block_size):
        extract(sources[start : start + block_size])
    return Run("plain pipeline", 1, len(sources) - block_size, first - begin, time.perf_counter() - first)


def by_ray(file: Path, model: str, folder: Path, actors: int, block_size: int) -> Run:
    """A run by Ray, whose blocks are timed by the files that say they are done."""
    begin = time.time()
    extract_corpus(file, model, folder, actors=actors, cores_per_actor=1, gpus_per_actor=0, block_size=block_size)
    done = sorted((path.stat().st_mtime, pq.read_metadata(path).num_rows) for path in (folder / CHECKPOINT).iterdir())
    first, last = done[0][0], done[-1][0]
    return Run(_actors(actors), actors, sum(count for _, count in done[1:]), first - begin, last - first)


def _actors(count: int) -> str:
    return f"{count} {'actor' if count == 1 else 'actors'}"


def sizes(folder: Path, rows: Sequence[dict[str, str]]) -> Sizes:
    """What a run has left on the disk."""
    result, checkpoint = (
        sum(path.stat().st_size for path in (folder / name).iterdir()) / len(rows) for name in (DOCUMENTS, CHECKPOINT)
    )
    return Sizes(result, checkpoint, sum(len(row["id"]) for row in rows) / len(rows))


def misplaced(folder: Path, rows: Sequence[dict[str, str]]) -> tuple[int, int]:
    """How many documents are missing from the results of a run, and how many rows are too many."""
    ids = pads.dataset(folder / DOCUMENTS, format="parquet").to_table(["id"])["id"].to_pylist()
    return len({row["id"] for row in rows}.difference(ids)), len(ids) - len(set(ids))


def measured(runs: Iterable[Run]) -> str:
    """The table of rates; the overhead is against the plain pipeline, actor by actor."""
    runs = list(runs)
    lines = ["| | documents | first block (s) | then (s) | documents/s | s/document | of the plain rate per actor |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for run in runs:
        share = run.rate / run.actors / runs[0].rate
        rates = f"{run.rate:.2f}", f"{run.actors / run.rate:.4f}", f"{share:.0%}"
        cells = run.name, str(run.documents), f"{run.start:.1f}", f"{run.seconds:.1f}", *rates
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def left(documents: int, size: Sizes, memory: Memory, missing: int, twice: int) -> str:
    """The table of what a run by Ray left on the disk, and of what it took of the process that began it."""
    rows = {
        "documents": f"{documents:,}",
        "missing, there twice": f"{missing}, {twice}",
        "bytes per row of results": f"{size.result:,.0f}",
        "bytes per id of the checkpoint": f"{size.checkpoint:,.0f}",
        "checkpoint": f"{documents * size.checkpoint / 2**20:,.2f} MiB",
        "the process that began it, before Ray": f"{memory.before / 2**20:,.0f} MiB",
        "and at most": f"{memory.most / 2**20:,.0f} MiB",
    }
    return _table("measured", rows)


def planned(documents: int, actors: int, seconds: float, size: Sizes) -> str:
    """The table of what follows for a large run."""
    hours = documents * seconds / actors / 3600
    memory = documents * (STRING_BYTES + size.id)
    rows = {
        "documents": f"{documents:,}",
        "seconds per document and actor": f"{seconds:.4f}",
        f"time of {_actors(actors)}": f"{hours:,.1f} h",
        "results (Parquet)": f"{documents * size.result / 2**30:,.1f} GiB",
        "checkpoint": f"{documents * size.checkpoint / 2**30:,.2f} GiB",
        "memory of the filter of ids when all are done": f"{memory / 2**30:,.2f} GiB",
    }
    return _table("computed", rows)


def _table(title: str, rows: dict[str, str]) -> str:
    return "\n".join([f"| {title} | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def tiny_model(folder: Path) -> str:
    """A random model of two layers of width 32."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
    from tiny import save_tiny

    return str(save_tiny(folder))


def main() -> None:
    """Measure, plan, and print the tables."""
    options = _arguments()
    torch.set_num_threads(1)
    rows = records(options.data, options.documents, 1 if options.tiny else None)
    with tempfile.TemporaryDirectory() as name:
        scratch, memory = Path(name), list[Memory]()
        model = tiny_model(scratch / "model") if options.tiny else options.model
        print(f"load average at the start: {os.getloadavg()[0]:.2f}, model: {'tiny' if options.tiny else model}\n")
        file = scratch / "texts.jsonl"
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        runs = [plain(rows[: max(PLAIN, 3 * options.block_size)], model, options.block_size)]
        for actors in options.actors:
            with ray_session(cores=actors + SPARE_CORES, memory=options.memory), watched(memory):
                runs.append(by_ray(file, model, scratch / str(actors), actors, options.block_size))
        size, (missing, twice) = sizes(scratch / str(actors), rows), misplaced(scratch / str(actors), rows)
    print(measured(runs))
    print(f"\n{left(len(rows), size, memory[-1], missing, twice)}")
    seconds = options.plan_seconds or runs[-1].actors / runs[-1].rate
    print(f"\n{planned(options.plan_documents, options.plan_actors, seconds, size)}")
    sys.exit(bool(missing or twice))


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--tiny", action="store_true", help="a small random model, and a sentence of each text")
    parser.add_argument("--actors", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--block-size", type=int, default=16)
    parser.add_argument("--memory", type=int, default=200 * 2**20, help="bytes of shared memory for blocks")
    parser.add_argument("--plan-documents", type=int, default=10_000_000)
    parser.add_argument("--plan-actors", type=int, default=8)
    parser.add_argument("--plan-seconds", type=float, help="of one actor per document, where it was measured elsewhere")
    options = parser.parse_args()
    if options.documents <= 2 * options.block_size:
        parser.error("--documents must be more than two blocks, or there is no rate")
    return options


if __name__ == "__main__":
    main()
