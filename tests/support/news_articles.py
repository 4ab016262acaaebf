"""Annotation files in DWIE's format, made from texts with marked mentions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_MARK = re.compile(r"\[(\d+):([^\]]*)\]")


def article(
    identifier: str,
    marked: str,
    types: Sequence[str] = (),
    relations: Iterable[tuple[int, str, int]] = (),
    split: str = "train",
    **fields: Any,
) -> dict[str, Any]:
    """An annotated article.

    Args:
        identifier: its id.
        marked: its text with mentions as `[number of the concept:words]`.
        types: for each concept, whether it has mentions or not, its `type::` tags joined by blanks.
        relations: head, type and tail of each row.
        split: its document tag.
        **fields: further keys, or other values of those above.
    """
    text, mentions, position = "", [], 0
    for match in _MARK.finditer(marked):
        text += marked[position : match.start()]
        mentions.append(mention(len(text), match[2], int(match[1])))
        text, position = text + match[2], match.end()
    text += marked[position:]
    concepts = [
        {"concept": number, "text": f"concept {number}", "keyword": False, "count": 1, "link": None, "tags": tags}
        for number, tags in enumerate([*(f"type::{name}" for name in names.split())] for names in types)
    ]
    return {
        "id": identifier,
        "content": text,
        "tags": ["all", split],
        "mentions": mentions,
        "concepts": concepts,
        "relations": [{"s": head, "p": name, "o": tail} for head, name, tail in relations],
        "iptc": ["11000000"],
        "frames": [],
    } | fields


def mention(begin: int, words: str, concept: int) -> dict[str, Any]:
    """A mention of these words that begins at a character of the text."""
    end = begin + len(words)
    return {"begin": begin, "end": end, "text": words, "concept": concept, "candidates": ["X"], "scores": [0.5]}


def write_articles(folder: Path, articles: Iterable[dict[str, Any]]) -> Path:
    """One file per article, named by its id."""
    folder.mkdir(parents=True, exist_ok=True)
    for record in articles:
        (folder / f"{record['id']}.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    return folder
