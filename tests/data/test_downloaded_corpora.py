"""Dataset scripts that fetch their files, here from a local server."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from corpora import prepared_splits, streamed_splits, written_corpus

from dataset_scripts.building.sources import Source
from dataset_scripts.docred_joint import DocredJoint
from dataset_scripts.re_docred import ReDocred
from modeling_docre.annotations.docred import write_docred
from modeling_docre.documents import Document


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a local HTTP server gives out its files."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def _served(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, sha256: str | None = None) -> list[Document]:
    """Let Re-DocRED's table point at a plain and a gzip file of the local server; the documents of both."""
    folder, address = server
    write_docred(written_corpus("plain", 3), folder / "a.json")
    write_docred(written_corpus("gzip", 2), folder / "b.json.gz")
    table = {
        "train": Source(f"{address}/a.json", ("train_revised.json",), sha256),
        "validation": Source(f"{address}/b.json.gz", ("dev_revised.json",)),
    }
    monkeypatch.setattr(ReDocred, "SOURCES", {"default": table})
    return written_corpus("plain", 3) + written_corpus("gzip", 2)


def test_download_and_stream(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _served(server, monkeypatch)
    builder = ReDocred(str(tmp_path / "cache"))
    prepared = prepared_splits(builder)
    assert list(prepared) == ["train", "validation"]
    assert [document for split in prepared.values() for document in split] == expected
    assert streamed_splits(builder) == prepared
    (server[0] / "a.json").unlink()
    assert prepared_splits(ReDocred(str(tmp_path / "cache"))) == prepared, "the cache serves the second time"


def test_checksum(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _served(server, monkeypatch)
    right = hashlib.sha256((server[0] / "a.json").read_bytes()).hexdigest()
    _served(server, monkeypatch, right)
    assert len(prepared_splits(ReDocred(str(tmp_path / "cache")))["train"]) == 3
    wrong = "0" * 64
    _served(server, monkeypatch, wrong)
    with pytest.raises(ValueError) as caught:
        ReDocred(str(tmp_path / "cache")).download_and_prepare()
    assert all(part in str(caught.value) for part in ("re_docred", "/a.json", right, wrong, "force_redownload"))


def test_a_file_that_is_not_there(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _served(server, monkeypatch)
    (server[0] / "b.json.gz").unlink()
    with pytest.raises(ConnectionError) as caught:
        ReDocred(str(tmp_path / "cache")).download_and_prepare()
    assert all(part in str(caught.value) for part in ("'validation'", "b.json.gz", "dev_revised.json", "data_dir"))


def test_resplit_of_downloads(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = server
    write_docred(written_corpus("x", 40), folder / "x.json.gz")
    write_docred(written_corpus("x", 40), folder / "y.json")
    table = {"train_annotated": Source(f"{address}/x.json.gz", ()), "validation": Source(f"{address}/y.json", ())}
    monkeypatch.setattr(DocredJoint, "SOURCES", {"resplit": table})
    builder = DocredJoint(str(tmp_path / "cache"), config_name="resplit")
    prepared = prepared_splits(builder)
    ids = [document.id for split in prepared.values() for document in split]
    assert len(ids) == len(set(ids)) == 72 and "x 3 #2" in ids, "titles of both files are made unique together"
    assert streamed_splits(builder) == prepared
