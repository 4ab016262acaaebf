"""The demo Space of a model (modeling_docre/hub/space.py): one commit with all it needs, no other Space is touched."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from commands import docre, works
from hub_processes import REPOSITORY, writing_to
from hub_server import Hub, running_hub
from pipelines import build
from tiny import tiny_jerex

from modeling_docre.hub.space import push_space

DEMO = REPOSITORY / "spaces" / "demo"


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as running, writing_to(running):
        yield running


def test_a_push_makes_the_space_of_the_model(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tiny_jerex()).save_pretrained(tmp_path)
    out = works(capsys, "push", tmp_path, "org/shown", "--space")
    model, space = hub.model("org/shown"), hub.find("space", "org/shown")
    assert len(out.splitlines()) == 2 and out.splitlines()[1].endswith("/spaces/org/shown")
    assert [commit.title for commit in space.history()] == ["Show org/shown", "initial commit"]
    files = space.files()
    parts = {"app.py", "views.py", "marks.py", "corpus.py", "downloads.py", "style.css", "examples.json"}
    parts.add("requirements.txt")
    assert set(files) == {".gitattributes", "README.md", "model.json"} | parts
    assert all(files[name] == (DEMO / name).read_bytes() for name in parts)
    assert {f"{name}.py" for name in own_imports()} <= parts, "the Space holds what its app imports"
    assert json.loads(files["model.json"]) == {"model": "org/shown", "revision": model.sha("main")}
    header = yaml.safe_load(files["README.md"].decode().split("---\n")[1])
    told = yaml.safe_load((DEMO / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert header == told | {"title": "Demo of shown", "models": ["org/shown"]}
    assert header["sdk"] == "gradio" and header["app_file"] in files
    works(capsys, "push", tmp_path, "org/shown", "--space")
    assert space.files() == files, "a second push renews it"


def own_imports() -> set[str]:
    """The names of files of the demo that its files import."""
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in DEMO.glob("*.py"))
    imports = (node.module for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {name for name in imports if name and (DEMO / f"{name}.py").exists()}


def test_a_space_that_shows_something_else_stays(hub: Hub) -> None:
    hub.put("org/other", {"app.py": b"mine"}, kind="space")
    with pytest.raises(ValueError, match="the Space org/other shows something else than a demo of this package"):
        push_space("org/other")
    assert hub.find("space", "org/other").files() == {"app.py": b"mine"}
    push_space("org/other", space="org/demo", private=True)
    assert hub.find("space", "org/demo").private
    hub.put("org/empty", {"README.md": b""}, kind="space")
    push_space("org/empty")


def test_a_space_that_fails_says_that_the_model_is_pushed(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tiny_jerex()).save_pretrained(tmp_path)
    hub.broken = "POST /api/spaces/.*/commit/"
    try:
        ended = docre(capsys, "push", tmp_path, "org/half", "--space")
    finally:
        hub.broken = None
    assert ended.code == 1 and "docre: org/half is pushed, but its Space could not be made: " in ended.err
    assert "config.json" in hub.model("org/half").files()


def test_the_page_knows_its_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("gradio")
    monkeypatch.syspath_prepend(str(DEMO))
    app: ModuleType = import_module("app")
    assert app.named_model() == {}
    (tmp_path / "model.json").write_text('{"model": "org/shown", "revision": "abc"}', encoding="utf-8")
    monkeypatch.setattr(app, "__file__", str(tmp_path / "app.py"))
    assert app.named_model() == {"model": "org/shown", "revision": "abc"}
    asked: list[tuple[str, str | None]] = []

    def stop(task: str, model: str, revision: str | None) -> None:
        asked.append((model, revision))
        raise InterruptedError

    monkeypatch.setattr(app, "pipeline", stop)
    for variables, arguments, expected in (
        ({}, [], ("org/shown", "abc")),
        ({"DOCRE_MODEL": "org/next"}, [], ("org/next", None)),
        ({}, ["org/named", "--revision", "def"], ("org/named", "def")),
    ):
        for name in ("DOCRE_MODEL", "DOCRE_REVISION"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(InterruptedError):
            app.main(arguments)
        assert asked.pop() == expected
