"""A reader's counts of a corpus' oddities, keyed by their descriptions, and unique ids."""

from __future__ import annotations

from collections.abc import Mapping

REPEATED_IDS = "documents whose id had occurred before (id made unique)"


def unique_id(name: str, taken: set[str]) -> str:
    """The first of `name`, `name #2`, `name #3`, … that is not in `taken`; it is added there."""
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name} #{number}"
    taken.add(unique)
    return unique


def count_table(counts: Mapping[str, int]) -> str:
    """A table with a row per count; zeros are left out."""
    rows = [(text, number) for text, number in counts.items() if number]
    width = max((len(text) for text, _ in rows), default=0)
    return "\n".join(f"{text:<{width}}  {number:>10,}" for text, number in rows)
