"""Draws documents at random, but equally on every machine."""

from __future__ import annotations

import hashlib


def draw_key(identifier: str, seed: int) -> bytes:
    """A sort key that puts documents into a random order.

    The order depends only on the ids and the seed, not on the order of the files or the version of a random number
    generator. Adding or removing a document does not change the order of the others.
    """
    return hashlib.sha256(f"{seed}\n{identifier}".encode()).digest()
