"""`docre push`, `docre card`, `docre export` and `docre install-metric`: thin commands over the hub room."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from commands import fails, works
from tiny import save_tiny

from modeling_docre.hub import metric, onnx_export
from modeling_docre.hub import push as hub_push


def test_push_says_where_the_model_is(capsys, monkeypatch):
    given = []

    def push_folder(*arguments, **options):
        given.append((arguments, options))
        return SimpleNamespace(repo_url="https://hub/o/n", oid="abc"), "v1"

    monkeypatch.setattr(hub_push, "push_folder", push_folder)
    out = works(capsys, "push", "folder", "o/n", "--revision", "next", "--message", "first", "--private")
    assert out == 'https://hub/o/n, revision="v1" (commit abc)\n'
    assert given == [((Path("folder"), "o/n"), {"revision": "next", "message": "first", "private": True})]


def test_a_push_that_fails_says_how_to_push_later(capsys, monkeypatch):
    def push_folder(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(hub_push, "push_folder", push_folder)
    message = "no route to host. Push it later by `docre push folder o/n --revision next`"
    fails(capsys, message, "push", "folder", "o/n", "--revision", "next")
    monkeypatch.undo()
    fails(capsys, "none", "push", "none", "o/n")


def test_card_writes_the_card_of_a_folder(capsys, tmp_path):
    folder = save_tiny(tmp_path / "model")
    (folder / "README.md").unlink(missing_ok=True)
    assert works(capsys, "card", folder) == f"{folder / 'README.md'}\n"
    assert "JEREX" in (folder / "README.md").read_text(encoding="utf-8")
    fails(capsys, "none", "card", tmp_path / "none")


def test_install_metric_prints_the_folder(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(metric, "modules_cache", lambda: tmp_path / "cache")
    assert (Path(works(capsys, "install-metric").strip()) / "docre_f1.py").is_file()
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(metric, "modules_cache", lambda: tmp_path / "file")
    fails(capsys, "cannot be written", "install-metric")


def test_export_prints_the_files_it_writes(capsys, monkeypatch, tmp_path):
    asked = []

    def export_encoders(folder, int8):
        asked.append((folder, int8))
        return [folder / "onnx" / "encoder.onnx"]

    monkeypatch.setattr(onnx_export, "export_encoders", export_encoders)
    for options, int8 in (([], False), (["--int8"], True)):
        assert works(capsys, "export", tmp_path, *options) == f"{tmp_path / 'onnx' / 'encoder.onnx'}\n"
        assert asked.pop() == (tmp_path, int8)
    monkeypatch.undo()
    fails(capsys, "none is no folder; download the model", "export", tmp_path / "none")
    fails(capsys, "holds no config.json; name the folder of a saved model", "export", tmp_path)
