"""Makes text safe to show in a terminal, a picture or a card."""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size

# Control characters, marks that change the writing direction, lone surrogates, and characters that XML 1.0 forbids.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """A text on one line without characters that control a terminal or a viewer.

    Line breaks and runs of blanks become single blanks. U+FFFD replaces control characters, among them the escape
    character, so that escape sequences have no effect.
    """
    return _UNPRINTABLE.sub("\ufffd", " ".join(text.split()))


def shorten(text: str, width: int) -> str:
    """The text, cut to a width in columns with "…" at its end if it is longer; wide characters take two columns."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"
