"""What the benchmark of scale computes from a run's files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("ray")
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import scale

ROWS = [{"id": f"d{number}", "text": "x"} for number in range(4)]


def test_missing_and_repeated_documents_are_counted(tmp_path: Path) -> None:
    for part, ids in (("documents", ["d0", "d1", "d1", "d2"]), ("checkpoint", ["d0", "d1", "d2"])):
        (tmp_path / part).mkdir()
        pq.write_table(pa.table({"id": ids}), tmp_path / part / "0.parquet")
    assert scale.misplaced(tmp_path, ROWS) == (1, 1)
    size = scale.sizes(tmp_path, ROWS)
    assert size.id == 2 and size.result == (tmp_path / "documents" / "0.parquet").stat().st_size / 4


def test_tables_of_a_run() -> None:
    runs = [scale.Run("plain pipeline", 1, 300, 1.0, 30.0), scale.Run("2 actors", 2, 380, 9.0, 20.0)]
    assert scale.measured(runs).splitlines()[2:] == [
        "| plain pipeline | 300 | 1.0 | 30.0 | 10.00 | 0.1000 | 100% |",
        "| 2 actors | 380 | 9.0 | 20.0 | 19.00 | 0.1053 | 95% |",
    ]
    size, memory = scale.Sizes(2048, 64, 17), scale.Memory(2**20, 3 * 2**20)
    left = scale.left(400, size, memory, 0, 0)
    assert "| missing, there twice | 0, 0 |" in left and "| checkpoint | 0.02 MiB |" in left
    assert left.endswith("| and at most | 3 MiB |")
    plan = scale.planned(2**20, 8, 0.01, size)
    assert "| time of 8 actors | 0.4 h |" in plan and "| results (Parquet) | 2.0 GiB |" in plan


def test_memory_is_watched_while_work_is_done() -> None:
    seen: list[scale.Memory] = []
    with scale.watched(seen):
        pass
    with subprocess.Popen(["sleep", "60"]) as process:
        with scale.watched(seen, begun=True):
            pass
        process.kill()
    own, begun = seen
    assert 0 < begun.before <= begun.most < own.before <= own.most
