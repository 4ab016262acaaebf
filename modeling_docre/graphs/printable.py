"""Text of documents and labels as a terminal, a picture or a card can show it."""

from __future__ import annotations

import re

# Control characters, marks that turn the direction of writing, lone surrogates, and what XML 1.0 admits nowhere.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """A text on one line that steers neither a terminal nor a viewer.

    Line breaks and runs of blanks become single blanks. Escape sequences lose their escape character: U+FFFD stands for
    it, and for each other character that would be obeyed instead of shown.
    """
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split()))
