"""Annotation files in DWIE's format, made from texts with marked mentions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from dataset_scripts.dwie import Dwie
from modeling_docre.documents import Document

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


MERKEL = article(
    "DW_1",
    "[0:Angela Merkel] of the [2:CDU] governs [1:Germany]. The [2:CDU] backs [0:Merkel]. So does all of the [2:CDU].",
    ["entity person politician", "entity location gpe0", "entity organization party", "entity location"],
    [
        (0, "head_of_gov", 1),
        (0, "citizen_of", 1),
        (0, "member_of", 2),
        (2, "based_in0", 1),
        (2, "based_in0", 1),  # repeated
        (0, "vs", 0),  # of a concept to itself
        (3, "in0", 1),  # of a concept without a mention
        (1, "in0", 3),  # to one
    ],
)
RAIN = article("DW_2", "It rained in [1:Ulm] on [0:Sunday].", ["value time", "entity location gpe2"])
SILENT = article("DW_3", "Nothing to report.", ["entity", "entity"], [(0, "part_of", 1)])
CUP = article(
    "DW_4",
    "The [0:Cup]: the [0:Cup] is here. It is a [0:cup], the [0:Cup]. A [1:German] one.",
    ["entity event", "other gpe0-x"],
    [(0, "event_in0", 1), (0, "event_in0-x", 1)],
    split="test",
)
CORPUS = [MERKEL, RAIN, SILENT, CUP]


def dwie_splits(tmp_path: Path, data_dir: Path | None, **options: Any) -> dict[str, list[Document]]:
    builder = Dwie(str(tmp_path / "cache"), data_dir=data_dir, **options)
    builder.download_and_prepare()
    prepared = {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}
    streamed = builder.as_streaming_dataset()
    assert {name: list(map(Document.from_dict, split)) for name, split in streamed.items()} == prepared
    return prepared


def ids_of(prepared: dict[str, list[Document]]) -> dict[str, list[str]]:
    return {name: [document.id for document in split] for name, split in prepared.items()}
