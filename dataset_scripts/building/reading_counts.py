"""A reader's counts of a corpus' oddities, keyed by their descriptions."""

from __future__ import annotations

from collections.abc import Mapping

REPEATED_IDS = "documents whose id had occurred before (id made unique)"


def count_table(counts: Mapping[str, int]) -> str:
    """A table with a row per count; zeros are left out."""
    rows = [(text, number) for text, number in counts.items() if number]
    width = max((len(text) for text, _ in rows), default=0)
    return "\n".join(f"{text:<{width}}  {number:>10,}" for text, number in rows)
