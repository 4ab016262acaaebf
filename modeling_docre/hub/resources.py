"""Finds the bundled files: inside the package if it was installed from a wheel, beside it in a source checkout."""

from __future__ import annotations

from pathlib import Path


def default_model() -> str | None:
    """Folder of the bundled model; None in a source checkout without one."""
    try:
        return str(resource("checkpoints/default"))
    except FileNotFoundError:
        return None


def resource(name: str) -> Path:
    """Path of a bundled file or folder.

    Args:
        name: its path from the root of the repository, e.g. `metrics/docre_f1`.

    Raises:
        FileNotFoundError: it does not exist, so the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[1]
    paths = [root / name for root in (package, package.parent)]
    for path in paths:
        if path.exists():
            return path
    raise FileNotFoundError(f"no {name} in {' or '.join(str(path.parent) for path in paths)}; reinstall the package")


def bundled_recipes() -> dict[str, str]:
    """What each bundled recipe is for, in one line, by its name; sorted by name."""
    return {file.stem: _first_line(file) for file in sorted(resource("recipes").glob("*.yaml"))}


def _first_line(file: Path) -> str:
    return file.read_text(encoding="utf-8-sig").partition("\n")[0].removeprefix("#").strip()
