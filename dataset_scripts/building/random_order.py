"""Drawing documents at random, the same on every machine."""

from __future__ import annotations

import hashlib


def draw_key(identifier: str, seed: int) -> bytes:
    """A sort key that puts documents into a random order.

    The order depends on the ids and the seed alone: not on the order of the files, nor on the version of a random
    number generator. A document that is added or taken away leaves the order of the others as it is.
    """
    return hashlib.sha256(f"{seed}\n{identifier}".encode()).digest()
