"""A corpus by Ray: results as the pipeline gives them, each id once, also after a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from commands import fails
from filelock import FileLock
from pipelines import close
from tiny import save_tiny
from transformers import pipeline

from modeling_docre.documents import Document, DocumentError
from modeling_docre.hub.loading import weights_digest
from modeling_docre.scale.corpus_extraction import (
    ExtractionActor,
    _actor_options,
    _damage_named,
    extract_corpus,
    extracted_corpus,
    row_features,
)
from modeling_docre.scale.document_source import DocumentSource
from modeling_docre.scale.session import ray_session

TEXT = "Ada lives in London. She works."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("model"), mention_threshold=0.0, max_span_size=1))


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def documents(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of results as the pipeline gives them."""
    return [Document.from_dict(row).to_dict() for row in _without_error(table.to_pylist())]


def _without_error(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "error"} for row in rows if row["error"] is None]


def test_an_actor_turns_inputs_into_rows_of_results(model: str, tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"id": "a", "text": TEXT}, {"id": "b", "text": 3}, {"id": "c", "text": ""}])
    with file.open("a", encoding="utf-8") as handle:
        handle.write('\n{"id": "d", "text": "\\ud800"}')
    (task,) = DocumentSource(file).get_read_tasks(1)
    (block,) = task()
    table = ExtractionActor(model, 1, {"threshold": 0.4})(block)
    assert table.schema == row_features().arrow_schema and table["id"].to_pylist() == ["a", "b", "c", "d"]
    assert table["error"].to_pylist()[:3] == [None, "document 'b': text is 3; give a string", None]
    assert "character 0 is half of a surrogate pair" in table["error"][3].as_py()
    extract = pipeline("doc-relation-extraction", model=model, threshold=0.4)
    assert close(documents(table), [{**extract(text), "id": name} for name, text in (("a", TEXT), ("c", ""))])


def test_what_is_wrong_is_known_before_ray_starts(model: str, capsys: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "in.jsonl", [{"text": TEXT}])
    command = ["extract-corpus", "--out", tmp_path / "out", "--model"]
    fails(capsys, f"the model {tmp_path / 'none'} does not exist", *command, tmp_path / "none", file)
    fails(capsys, "none does not exist", *command, model, tmp_path / "none")
    fails(capsys, "--threshold is 2.0", *command, model, file, "--threshold", 2, code=2)
    fails(
        capsys, "relations has 'bron', which the model does not know; it", *command, model, file, "--relations", "bron"
    )
    fails(capsys, "threshold is 'nice'; give a number", *command, model, file, "--threshold", "nice")
    fails(capsys, "the model no/model cannot be loaded", *command, "no/model", file)
    fails(capsys, "which is read; name a folder elsewhere", *command, model, tmp_path)
    table = tmp_path / "wrong.parquet"
    pq.write_table(pa.table({"id": ["a"], "body": ["x"]}), table)
    fails(capsys, f"{table} has no column text or sentences; rename", *command, model, table)
    numbers = write(tmp_path / "numbers.jsonl", [{"id": 0, "text": "x"}])
    fails(capsys, f"document '{numbers}:1': id is 0; give a string", *command, model, numbers)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").touch()
    mine = "extract-corpus", file, "--model", model, "--out"
    fails(capsys, "mine holds other files, such as notes; name a new folder", *mine, tmp_path / "mine")
    fails(capsys, "notes is a file; name a folder", *mine, tmp_path / "mine" / "notes")
    fails(capsys, "give one name", *command, model, file, file, "--split", "train", code=2)
    assert not (tmp_path / "out").exists()
    (tmp_path / "begun").mkdir()
    write(tmp_path / "begun" / "settings.json", [{"model": "other"}])
    with pytest.raises(ValueError, match="was begun with model 'other', and would go on with model"):
        extract_corpus(file, model, tmp_path / "begun")
    (tmp_path / "busy").mkdir()
    settings = {"model": model, "weights": weights_digest(model), "dtype": "float32", "backend": "torch"}
    write(tmp_path / "busy" / "settings.json", [settings])
    with FileLock(tmp_path / "busy" / ".lock"):
        fails(capsys, "another run is writing", *mine, tmp_path / "busy")


def test_a_damaged_file_is_named_with_what_to_delete(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    pq.write_table(pa.table({"error": [None, "no"]}), tmp_path / "documents" / "x_000000-0.parquet")
    with _damage_named(tmp_path):
        assert extracted_corpus(tmp_path)[1:] == (2, 1, "no")
    with pytest.raises(OSError, match=r"^disk$"), _damage_named(tmp_path):
        raise OSError("disk")
    (tmp_path / "documents" / "y_000001-0.parquet").write_bytes(b"PAR1 half")
    message = r"y_000001-0\.parquet is damaged; delete it and all files y_000001\* in documents and checkpoint"
    with pytest.raises(ValueError, match=message), _damage_named(tmp_path):
        extracted_corpus(tmp_path)


@pytest.mark.slow
def test_after_a_kill_every_id_is_there_once(model: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"id": f"d{n:03}", "text": " ".join([TEXT] * (1 + n % 4))} for n in range(120)]
    rows[7]["text"] = 7
    file, out = write(tmp_path / "in.jsonl", rows), tmp_path / "out"
    options = {"actors": 1, "cores_per_actor": 1, "block_size": 4, "memory": 200 * 2**20}
    _kill_in_the_middle(file, model, out, options)
    done = extracted_corpus(out).documents
    assert 0 < done < len(rows)

    with ray_session(None, 3, 200 * 2**20):
        more = write(tmp_path / "more.jsonl", [{"id": "new", "text": TEXT}])
        rows.append({"id": "new", "text": TEXT})
        failed = "document 'd007': text is 7; give a string"
        assert extract_corpus([str(file), str(more)], model, out, **options)[1:] == (len(rows), 1, failed)
        table = pads.dataset(out / "documents").to_table().sort_by("id")
        assert table["id"].to_pylist() == [row["id"] for row in rows]
        assert [row["id"] for row in table.to_pylist() if row["error"] is not None] == ["d007"]
        extract = pipeline("doc-relation-extraction", model=model)
        assert close(
            documents(table), [{**extract(row["text"]), "id": row["id"]} for row in rows if row["id"] != "d007"]
        )

        with pytest.raises(ValueError, match="2 actors, reading and writing need 4 CPUs, and Ray has 3; give fewer"):
            _actor_options(2, 0, 1)
        with pytest.raises(DocumentError, match="document 'new': id is 'new'; 2 documents have it"):
            extract_corpus([str(more), str(more)], model, out, **options)


def _kill_in_the_middle(file: Path, model: str, out: Path, options: dict[str, Any]) -> None:
    code = "from modeling_docre.scale.corpus_extraction import extract_corpus; "
    code += f"extract_corpus({str(file)!r}, {model!r}, {str(out)!r}, **{options})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    running = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 240
        while len([path for path in out.glob("checkpoint/*.parquet") if "pending" not in path.name]) < 3:
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
