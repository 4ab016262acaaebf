"""Ray for one piece of work: a small one on this machine that ends with it, or a cluster that is there already."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.data import DataContext

BLOCK_BYTES = 16 * 2**20
"""Most bytes of a block of rows: what a task holds in memory at a time, beside its result."""

SPARE_CORES = 2
"""Cores that reading and writing take in Ray's books beside the actors."""


@contextmanager
def ray_session(address: str | None = None, cores: int | None = None, memory: int | None = None) -> Iterator[None]:
    """Ray is connected inside the block; a session that the caller began is used as it is.

    Args:
        address: of a running cluster, e.g. `auto` or `ray://host:10001`; by default Ray starts on this machine.
        cores: of this machine that tasks and actors may use together, by default all.
        memory: bytes of this machine's shared memory for blocks, by default as Ray chooses.

    Raises:
        ConnectionError: there is no cluster at the address.
        TimeoutError: Ray did not start in time, because this machine is busy.
    """
    begun = not ray.is_initialized()
    if begun:
        local: dict[str, Any] = (
            {} if address else {"num_cpus": cores, "object_store_memory": memory, "include_dashboard": False}
        )
        with _environment(RAY_USAGE_STATS_ENABLED="0", MODELING_DOCRE_LAZY="1"):
            _init(address=address or "local", logging_level=logging.WARNING, **local)
    try:
        with _quiet_data_context():
            yield
    finally:
        if begun:
            ray.shutdown()


def _init(**options: Any) -> None:
    try:
        ray.init(**options)
    except Exception as error:
        if type(error) is not Exception or "timed out" not in str(error):
            raise
        fix = "try again when the machine is less busy, or start it by `ray start --head` and give --address auto"
        raise TimeoutError(f"Ray did not start on this machine in time; {fix}") from error


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Variables for the processes that the block starts, where they are not set already."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


@contextmanager
def _quiet_data_context() -> Iterator[None]:
    """Small blocks, and progress bars in a terminal only."""
    logger, context = logging.getLogger("ray.data"), DataContext.get_current()
    level, former = logger.level, context.copy()
    logger.setLevel(logging.ERROR)
    context.use_datasource_v2 = False  # its reader of Parquet starts 32 processes for a single file
    context.read_op_min_num_blocks = 1  # Ray would cut the smallest file into 200 blocks
    context.target_max_block_size = BLOCK_BYTES
    context.enable_progress_bars = sys.stderr.isatty()
    try:
        yield
    finally:
        logger.setLevel(level)
        DataContext._set_current(former)
