"""Escapes labels and other free text for the Markdown of a card and for its Python example."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from modeling_docre.graphs.printable import printable

# Markdown leaves an underscore inside a word alone.
_MARKDOWN = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")


class Markup(str):
    """Markdown that goes into a card unescaped."""


def escaped(value: Any) -> str:
    """A value as plain text on one line; `Markup` is returned unchanged."""
    if isinstance(value, Markup):
        return value
    return _MARKDOWN.sub(r"\\\g<0>", escape(printable(str(value)), quote=False))


def code_span(text: str) -> Markup:
    """A text as inline code, fenced by more backticks than it has in a row."""
    text = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    edge = " " if "`" in (text[:1], text[-1:]) else ""
    return Markup(f"{fence}{edge}{text}{edge}{fence}")


def python_string(text: str) -> Markup:
    """A text as a Python string literal in double quotes on one line."""
    return Markup(f'"{"".join(map(_literal, text))}"')


def _literal(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()
