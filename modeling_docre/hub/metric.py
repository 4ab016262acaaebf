"""Makes `evaluate.load("docre_f1")` work from any folder, online and offline.

`evaluate` has no registry. It looks a bare metric name up in the working folder, on the Hub, and then in its cache of
modules, where the most recently modified version wins. `install_metric` writes the bundled metric into that cache.
Importing the package and `docre install-metric` call it.
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
# The folders between the module cache of `evaluate` and the folder of a version.
_CACHE_PARTS = ("evaluate_modules", "metrics", f"evaluate-metric--{METRIC_NAME}")
# The code of the metric's Space, which is not part of the metric.
_PAGE = ("app.py",)


def metric_folder() -> Path:
    """The folder of the metric: inside the installed package, or beside it in a source checkout.

    Raises:
        FileNotFoundError: neither exists, so the installation is incomplete.
    """
    return resource(f"metrics/{METRIC_NAME}")


def modules_cache() -> Path:
    """The folder from which `evaluate` loads modules by name; `evaluate` is not imported.

    If `evaluate` is imported already, its own setting counts, because it reads the environment only once.
    """
    if (config := sys.modules.get("evaluate.config")) is not None:
        return Path(config.HF_MODULES_CACHE)
    home = os.getenv("HF_HOME", os.path.join(os.getenv("XDG_CACHE_HOME", "~/.cache"), "huggingface"))
    return Path(os.getenv("HF_MODULES_CACHE", os.path.join(os.path.expanduser(home), "modules")))


def install_metric() -> Path | None:
    """Write the metric into the module cache of `evaluate`, unless it is there already.

    The folder is named by a hash of its content, so versions coexist; this one is made the newest. The folder appears
    completely or not at all, and simultaneous installations do not disturb each other.

    Returns:
        The folder in the cache; None if it cannot be written, after a warning that says what still works.
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
    """64 hexadecimal digits, the length that `evaluate` requires of a version's folder name."""
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
            # Another process was faster, or a file of this version was changed or lost.
            if not target.is_dir():
                raise
            for name in files:
                (draft / name).replace(target / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _make_newest(target: Path) -> None:
    """Make this version's main file the most recently modified one, which `evaluate` loads."""
    script = f"{METRIC_NAME}.py"
    others = [path for path in target.parent.glob(f"{'?' * 64}/{script}") if path.parent.name != target.name]
    latest = max((path.stat().st_mtime for path in others), default=float("-inf"))
    if (target / script).stat().st_mtime <= latest:
        # A version written by a clock ahead of ours must not win either.
        modified = max(time.time(), latest + 1)
        os.utime(target / script, (modified, modified))
