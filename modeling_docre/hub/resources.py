"""Finds the files that come with the package: inside it when installed from a wheel, beside it in a source checkout."""

from __future__ import annotations

from pathlib import Path


def default_model() -> str | None:
    """Folder of the model that is used where none is named; None for a source checkout that has none yet."""
    try:
        return str(resource("checkpoints/default"))
    except FileNotFoundError:
        return None


def resource(name: str) -> Path:
    """Path of a file or folder that comes with the package.

    Args:
        name: its path from the root of the repository, e.g. `metrics/docre_f1`.

    Raises:
        FileNotFoundError: it is in neither place, so the installation is incomplete.
    """
    package = Path(__file__).resolve().parents[1]
    places = [root / name for root in (package, package.parent)]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(f"no {name} in {' or '.join(str(place.parent) for place in places)}; install it again")


def bundled_recipes() -> dict[str, str]:
    """What each bundled recipe is for, in one line, by its name; sorted by name."""
    return {file.stem: _first_line(file) for file in sorted(resource("recipes").glob("*.yaml"))}


def _first_line(file: Path) -> str:
    return file.read_text(encoding="utf-8-sig").partition("\n")[0].removeprefix("#").strip()
