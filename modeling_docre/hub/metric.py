"""Makes `evaluate.load("docre_f1")` work from any folder, online and offline.

`evaluate` has no registry: a bare metric name is looked up in the working folder, on the Hub, and then in the cache of
modules that it loaded before, where the most recently modified version wins. `install_metric` writes the metric that
comes with this package into that cache; importing the package does so, and `docre install-metric`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

from .resources import resource

METRIC_NAME = "docre_f1"
# The three parts that `evaluate` puts between its module cache and the folder of a version.
_CACHE_PARTS = ("evaluate_modules", "metrics", f"evaluate-metric--{METRIC_NAME}")
# What makes a Space of the folder and is no part of the metric.
_PAGE = ("app.py",)


def metric_folder() -> Path:
    """The folder of the metric: inside the installed package, or beside it in a source checkout.

    Raises:
        FileNotFoundError: neither is there, so the installation is incomplete.
    """
    return resource(f"metrics/{METRIC_NAME}")


def modules_cache() -> Path:
    """The folder from which `evaluate` loads modules by name, without importing `evaluate`.

    Once `evaluate` is imported its own setting counts, because it reads the environment only then.
    """
    if (config := sys.modules.get("evaluate.config")) is not None:
        return Path(config.HF_MODULES_CACHE)
    home = os.getenv("HF_HOME", os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "huggingface"))
    return Path(os.getenv("HF_MODULES_CACHE", os.path.join(os.path.expanduser(home), "modules")))


def install_metric() -> Path | None:
    """Write the metric into the module cache of `evaluate`, unless it is there already.

    The folder's name is a hash of the content, so versions live side by side and this one is made the newest. The
    folder appears as a whole or not at all, and processes that install at the same time do not disturb each other.

    Returns:
        The folder in the cache, or None where it cannot be written, after one warning that says what still works.
    """
    try:
        return _install(metric_folder(), modules_cache())
    except OSError as error:
        warnings.warn(
            f'evaluate.load("{METRIC_NAME}") will not find the metric of this package: {error}. If the module cache '
            "cannot be written, set HF_MODULES_CACHE to a folder that can, or load the metric by the path that "
            "modeling_docre.metric_folder() returns",
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def _install(source: Path, cache: Path) -> Path:
    files = {path.name: path.read_bytes() for path in sorted(source.glob("*.py")) if path.name not in _PAGE}
    files.setdefault("__init__.py", b"")
    versions = cache.joinpath(*_CACHE_PARTS)
    target = versions / _content_hash(files)
    if not _holds(target, files):
        _make_packages(cache)
        _write_version(target, files)
    _make_newest(target)
    return target


def _content_hash(files: Mapping[str, bytes]) -> str:
    """64 hexadecimal digits: `evaluate` takes only folders with names of that length for versions."""
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _holds(target: Path, files: Mapping[str, bytes]) -> bool:
    try:
        return all((target / name).read_bytes() == content for name, content in files.items())
    except FileNotFoundError:
        return False


def _make_packages(cache: Path) -> None:
    folder = cache
    for part in ("", *_CACHE_PARTS):
        folder = folder / part
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch(exist_ok=True)


def _write_version(target: Path, files: Mapping[str, bytes]) -> None:
    """Write the files to a folder beside the target and move them into place."""
    draft = target.parent / f".installing-{os.urandom(8).hex()}"
    draft.mkdir()
    try:
        for name, content in files.items():
            (draft / name).write_bytes(content)
        try:
            draft.rename(target)
        except OSError:
            # Another process was first, or a file of this version was changed or lost.
            if not target.is_dir():
                raise
            for name in files:
                (draft / name).replace(target / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _make_newest(target: Path) -> None:
    """See that `evaluate` prefers this version: it loads the one whose main file was modified last."""
    script = f"{METRIC_NAME}.py"
    others = [path for path in target.parent.glob(f"{'?' * 64}/{script}") if path.parent.name != target.name]
    latest = max((path.stat().st_mtime for path in others), default=float("-inf"))
    if (target / script).stat().st_mtime <= latest:
        # A version written by a clock ahead of ours must not win either.
        moment = max(time.time(), latest + 1)
        os.utime(target / script, (moment, moment))
