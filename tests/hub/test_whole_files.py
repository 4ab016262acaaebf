"""Files are written whole or not at all, and a full disk is said as such whichever library could not write."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from modeling_docre.hub.files import full_disk_named, replacing_files, write_whole

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_text_replaces_the_former_one_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "a.json"
    write_whole(file, "Łódź")
    assert file.read_bytes() == "Łódź".encode()

    def fill(draft: Path, content: bytes) -> None:
        with draft.open("wb") as handle:
            handle.write(content[:2])
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(OSError, match=r"No space left on device.*a\.json") as caught:
        write_whole(file, "another")
    assert caught.value.errno == errno.ENOSPC
    assert file.read_bytes() == "Łódź".encode() and [item.name for item in file.parent.iterdir()] == ["a.json"]


def test_files_of_a_folder_are_replaced_together_or_not_at_all(tmp_path: Path) -> None:
    for name in ("config.json", "a.bin", "report.md", "kept.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}
    with (
        pytest.raises(OSError, match="No space left on device"),
        replacing_files(tmp_path, ["*.md"], "config.json") as new,
    ):
        (new / "a.bin").write_text("new", encoding="utf-8")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before
    with replacing_files(tmp_path, ["*.md", "a.*", "absent"], "config.json") as new:
        (new / "inner").mkdir()
        for name in ("config.json", "b.bin", "inner/c.txt"):
            (new / name).write_text("new", encoding="utf-8")
    found = {str(item.relative_to(tmp_path)): item.read_text(encoding="utf-8") for item in tmp_path.rglob("*.*")}
    assert found == {"config.json": "new", "b.bin": "new", "inner/c.txt": "new", "kept.txt": "old"}


def test_only_errors_of_a_full_disk_are_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_error = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")
    # The writer of torch says the same of any failure, so the disk has the word.
    for free, kind in ((0, OSError), (2**30, RuntimeError)):
        monkeypatch.setattr(shutil, "disk_usage", lambda place, free=free: SimpleNamespace(free=free))
        with pytest.raises(kind), full_disk_named(tmp_path / "x"):
            raise torch_error
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=0))
    for error in (RuntimeError("shapes differ"), ValueError("x"), PermissionError(errno.EACCES, "denied", "y")):
        with pytest.raises(type(error)) as caught, full_disk_named(tmp_path):
            raise error
        assert caught.value is error
