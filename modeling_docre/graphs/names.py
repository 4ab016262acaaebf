"""How entities and their mentions are called in tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .printable import printable


def names(graph: Mapping[str, Any]) -> list[str]:
    """The name of each entity: its first mention's text and its number, since two may share a text."""
    return [f"{mention_texts(graph, entity)[0]} [{number}]" for number, entity in enumerate(graph["entities"])]


def mention_texts(graph: Mapping[str, Any], entity: Mapping[str, Any]) -> list[str]:
    """The text of each mention on one line, in order; a blank mention is shown as quotes."""
    texts = (printable(_text(graph, mention)) for mention in entity["mentions"])
    return [text or '""' for text in texts]


def _text(graph: Mapping[str, Any], mention: Mapping[str, Any]) -> str:
    """A mention's name, else its characters in the text, else its words."""
    if name := mention.get("name"):
        return name
    start, end = mention.get("char_start"), mention.get("char_end")
    if graph.get("text") is not None and start is not None and end is not None:
        return graph["text"][start:end]
    return " ".join(graph["sentences"][mention["sentence"]][mention["start"] : mention["end"]])
