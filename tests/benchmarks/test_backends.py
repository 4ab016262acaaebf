"""The table of backends: a row for each, on the same documents, against the first."""

from __future__ import annotations

import pytest
from pipelines import build, decisive_jerex
from samples import ANNA, OTTO
from training import write_jsonl

from benchmarks import backends
from benchmarks.backends import Result, table


def test_each_backend_reads_each_document(tmp_path, capsys):
    build(decisive_jerex(relation_threshold=0.3)).save_pretrained(tmp_path / "model")
    file = write_jsonl(tmp_path / "documents.jsonl", [ANNA, OTTO])
    backends.main([str(tmp_path / "model"), "--data", file])
    head, _, _, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "2 documents, 1 thread"
    cells = {row.split(" | ")[0].strip("| "): row.split(" | ")[1:] for row in rows}
    assert list(cells) == list(backends.BACKENDS)
    assert cells["onnx"][0] == cells["float32"][0] and cells["onnx"][1] == cells["float32"][1] == "+0.00"
    assert not (tmp_path / "model" / "onnx").exists(), "the export is made in a copy"


def test_figures_are_relative_to_the_first_row():
    results = {"float32": Result([ANNA, OTTO], 2.0, 4.0), "other": Result([ANNA, OTTO], 1.0, 1.0)}
    rows = table(results, [ANNA, OTTO], {"float32": 3_000_000, "other": 1_000_000}, given=False).splitlines()[2:]
    assert rows[0] == "| float32 | 100.00 | +0.00 | 1.0 | 1.00 | 0.5 | 1.00 | 3 |"
    assert rows[1] == "| other | 100.00 | +0.00 | 2.0 | 2.00 | 2.0 | 4.00 | 1 |"


def test_other_backends_are_refused():
    with pytest.raises(SystemExit):
        backends.main(["model", "--data", "file", "--backends", "tensorrt"])
