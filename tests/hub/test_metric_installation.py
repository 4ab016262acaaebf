"""The metric under its bare name: written to the module cache of `evaluate` and found there from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from modeling_docre.hub import metric as metric_cache
from modeling_docre.hub import resources

REPOSITORY = Path(__file__).resolve().parents[2]
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}

# Without the package's `__init__`, so that what it imports neither slows these processes nor imports `evaluate`.
STANDALONE = f"""
import sys, types
package = types.ModuleType("modeling_docre")
package.__path__ = [{str(Path(metric_cache.__file__).parents[1])!r}]
sys.modules["modeling_docre"] = package
from modeling_docre.hub import metric as metric_cache
"""

# The package is installed for `evaluate`, but not imported.
COMPUTE = """
import sys
import evaluate
assert "modeling_docre" not in sys.modules
print(evaluate.config.HF_MODULES_CACHE)
gold = {"id": "a", "sentences": [["Ada", "in", "London"]],
        "entities": [{"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 1}]},
                     {"type": "LOC", "mentions": [{"sentence": 0, "start": 2, "end": 3}]}],
        "relations": [{"head": 0, "tail": 1, "type": "residence"}]}
metric = evaluate.load("docre_f1")
print(metric.compute(predictions=[gold], references=[gold])["relation_f1"])
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty module cache, in a process that has not imported `evaluate`."""
    monkeypatch.delitem(sys.modules, "evaluate.config", raising=False)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    return tmp_path / "modules"


def python(folder: Path, home: Path, *arguments: str) -> subprocess.Popen[str]:
    """A fresh Python process in `folder`, offline, with its own Hugging Face home."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
    environment |= OFFLINE | {"HF_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip()


@pytest.mark.slow
def test_processes_may_install_at_the_same_time(tmp_path: Path):
    code = f"{STANDALONE}print(metric_cache.install_metric())"
    running = [python(tmp_path, tmp_path / "home", "-W", "error", "-c", code) for _ in range(4)]
    installed = {output_of(process) for process in running}
    assert {Path(folder).parents[3] for folder in installed} == {tmp_path / "home" / "modules"}
    assert len(installed) == 1
    target = Path(installed.pop())
    source = metric_cache.metric_folder()
    expected = {path.name for path in source.glob("*.py")} - {"app.py"} | {"__init__.py"}
    assert {path.name for path in target.glob("*.py")} == expected
    assert sorted(path.name for path in target.parent.iterdir()) == sorted(["__init__.py", target.name])
    # The bare name works from any folder.
    (tmp_path / "elsewhere").mkdir()
    printed = output_of(python(tmp_path / "elsewhere", tmp_path / "home", "-c", COMPUTE))
    assert printed.splitlines() == [str(tmp_path / "home" / "modules"), "1.0"], "`evaluate` looks where it was written"


def test_environment_decides_the_location_until_evaluate_does(cache: Path, monkeypatch: pytest.MonkeyPatch):
    for variables, expected in (
        ({}, "~/.cache/huggingface/modules"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/modules"),
        ({"XDG_CACHE_HOME": "/x", "HF_HOME": "~/h"}, "~/h/modules"),
        ({"HF_HOME": "/h", "HF_MODULES_CACHE": "/m"}, "/m"),
    ):
        for name in ("HF_MODULES_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert metric_cache.modules_cache() == Path(expected).expanduser()
    monkeypatch.setitem(sys.modules, "evaluate.config", SimpleNamespace(HF_MODULES_CACHE="/set"))
    assert metric_cache.modules_cache() == Path("/set")


def test_second_installation_writes_nothing_and_is_quick(cache: Path):
    target = metric_cache.install_metric()
    assert target is not None
    assert len(target.name) == 64
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}
    started = time.perf_counter()
    assert metric_cache.install_metric() == target
    assert time.perf_counter() - started < 0.1
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_every_level_is_a_package(cache: Path):
    target = metric_cache.install_metric()
    folder = target
    while folder != cache.parent:
        assert (folder / "__init__.py").is_file(), folder
        folder = folder.parent


def test_damaged_files_are_written_again(cache: Path):
    target = metric_cache.install_metric()
    (target / "scores.py").write_text("broken")
    (target / "counts.py").unlink()
    assert metric_cache.install_metric() == target
    source = metric_cache.metric_folder()
    for name in ("scores.py", "counts.py"):
        assert (target / name).read_bytes() == (source / name).read_bytes()


def test_other_versions_do_not_win(cache: Path):
    target = metric_cache.install_metric()
    other = target.parent / ("0" * 64)
    shutil.copytree(target, other)
    for age in (-3600, 0, 3600):
        moment = time.time() + age
        os.utime(other / "docre_f1.py", (moment, moment))
        assert metric_cache.install_metric() == target
        times = {path.parent.name: path.stat().st_mtime for path in target.parent.glob("*/docre_f1.py")}
        assert times[target.name] > times[other.name]


def test_changed_source_is_another_version(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = metric_cache.install_metric()
    changed = tmp_path / "docre_f1"
    shutil.copytree(metric_cache.metric_folder(), changed)
    (changed / "scores.py").write_text((changed / "scores.py").read_text() + "\n# changed\n")
    monkeypatch.setattr(metric_cache, "metric_folder", lambda: changed)
    second = metric_cache.install_metric()
    assert second != first
    assert (second / "docre_f1.py").stat().st_mtime > (first / "docre_f1.py").stat().st_mtime


def test_unwritable_cache_warns_and_goes_on(tmp_path: Path, cache: Path):
    # A file in place of the folder refuses writing to every user, root included.
    cache.write_text("")
    with pytest.warns(RuntimeWarning, match="HF_MODULES_CACHE") as caught:
        assert metric_cache.install_metric() is None
    assert len(caught) == 1
    assert str(cache) in str(caught[0].message)


def test_readable_cache_with_this_version_needs_no_writing(cache: Path, monkeypatch: pytest.MonkeyPatch):
    target = metric_cache.install_metric()

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric_cache.install_metric() == target


def test_missing_metric_is_named(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "package" / "hub" / "resources.py"))
    with pytest.raises(FileNotFoundError, match=r"no metrics/docre_f1 in .*reinstall the package"):
        metric_cache.metric_folder()
    with pytest.warns(RuntimeWarning, match="reinstall the package"):
        assert metric_cache.install_metric() is None


def test_metric_is_found_inside_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inside = tmp_path / "modeling_docre" / "metrics" / "docre_f1"
    shutil.copytree(metric_cache.metric_folder(), inside)
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "modeling_docre" / "hub" / "resources.py"))
    assert metric_cache.metric_folder() == inside
