"""Which model a name stands for: errors of loading that say it, and what tells its weights from others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError

COMPUTED = {"dtype": "float32", "backend": "torch"}
"""What a model computes in if nothing else is asked for."""

TOKENIZER_FILES = ("tokenizer*", "vocab*", "merges.txt", "added_tokens.json", "special_tokens_map.json", "*.model")


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
    except (OSError, SafetensorError) as error:
        raise OSError(f"the {kind} {model} cannot be loaded: {error}") from error


def weights_digest(model: str, backend: str | None = None) -> str:
    """What tells a model and its tokenizer from later ones under the same name, 16 hexadecimal digits.

    It is a hash of the files of a folder, or the commit of a Hub repository, whose weights need not be here yet.

    Args:
        model: a folder, or a name on the Hub.
        backend: what the encoder runs in; exported encoders are read where that is not torch.

    Raises:
        OSError: it is neither.
    """
    from transformers.utils import cached_file  # slow to import
    from transformers.utils.hub import extract_commit_hash

    from modeling_docre.encoder_onnx import EXPORTED

    with model_named(model):
        config = cached_file(model, "config.json")
    if commit := extract_commit_hash(config, None):
        return commit[:16]
    digest = hashlib.sha256()
    folder = Path(config).parent
    patterns = ("*.safetensors", *TOKENIZER_FILES, *([] if backend in (None, "torch") else [EXPORTED]))
    for file in (Path(config), *(file for pattern in patterns for file in sorted(folder.glob(pattern)))):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


def _is_hub_name(model: str) -> bool:
    try:
        validate_repo_id(model)
    except HFValidationError:
        return False
    return True
