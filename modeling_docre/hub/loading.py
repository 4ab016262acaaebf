"""Errors of loading a model or encoder that say which one, and whether it is a folder at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id


@contextmanager
def model_named(model: str, kind: str = "model") -> Iterator[None]:
    """Errors of the block, which loads a model, name it.

    Args:
        model: a folder, or a name on the Hub.
        kind: what it is called in the errors.

    Raises:
        OSError: it is neither, it is a folder without a model, or it cannot be loaded.
    """
    if Path(model).is_dir():
        if not (Path(model) / "config.json").is_file():
            raise FileNotFoundError(f"{model} holds no config.json; name the folder of a saved {kind}")
    elif not _is_hub_name(model):
        raise FileNotFoundError(f"the {kind} {model} does not exist, and it cannot be a name on the Hub")
    try:
        yield
    except OSError as error:
        raise OSError(f"the {kind} {model} cannot be loaded: {error}") from error


def _is_hub_name(model: str) -> bool:
    try:
        validate_repo_id(model)
    except HFValidationError:
        return False
    return True
