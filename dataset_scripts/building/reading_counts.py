"""What a reader counts of a corpus' oddities, by the text of its report, and ids that are each given once."""

from __future__ import annotations

from collections.abc import Mapping

REPEATED_IDS = "documents whose id had occurred before (id made unique)"


def unique_id(name: str, taken: set[str]) -> str:
    """The first of `name`, `name #2`, `name #3`, … that is not taken yet; it is taken from now on."""
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name} #{number}"
    taken.add(unique)
    return unique


def count_table(counts: Mapping[str, int]) -> str:
    """What was counted, a row each; what did not occur is left out."""
    rows = [(text, number) for text, number in counts.items() if number]
    width = max((len(text) for text, _ in rows), default=0)
    return "\n".join(f"{text:<{width}}  {number:>10,}" for text, number in rows)
