"""How alike the names of merged entities are: the options, and spellings that count as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

from rapidfuzz.distance import Indel

Merge = Literal["exact", "similar", "off"]
THRESHOLD = 0.95


def check_options(merge: str, threshold: float) -> None:
    """Refuse options that do not exist.

    Raises:
        ValueError: `merge` is unknown, or `threshold` is not from 0 to 1.
    """
    if merge not in get_args(Merge):
        raise ValueError(f"merge is {merge!r}; give one of {', '.join(map(repr, get_args(Merge)))}")
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold!r}; give a number from 0 to 1")


def patterns(words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """A name with one word cut to four letters, and that word: names of one pattern may differ in one spelling only.

    Words of fewer than five letters and words with digits have to be equal.
    """
    for number, word in enumerate(words):
        if len(word) > 4 and word.isalpha():
            yield (*words[:number], f"{word[:4]}…", *words[number + 1 :]), word


def similar_words(word: str, other: str, threshold: float) -> bool:
    """Whether two words are similar: one less the share of their letters that have to go or come, at least `threshold`.

    `cisplatin` and `cisplatinum` share nine of their twenty letters twice: 18 / 20 = 0.9.
    """
    return Indel.normalized_similarity(word, other) >= threshold
