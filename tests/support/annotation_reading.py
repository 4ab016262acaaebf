"""Annotations in a small text: written to files, read from them, and what was read in short."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from modeling_docre.annotations.clusters import ReadingSettings
from modeling_docre.annotations.document_file import read_annotations
from modeling_docre.documents import Document

TEXT = "Anna was born in Ulm. She works in New York City."


def read(path: Path, settings: ReadingSettings | None = None, form: str = "auto") -> tuple[Document, Counter[str]]:
    [document], counts = read_annotations(path, settings, form)
    return document, counts


def names(document: Document) -> list[list[str]]:
    return [[document.mention_text(mention) for mention in entity.mentions] for entity in document.entities]


def facts(document: Document) -> list[tuple[str, str, str]]:
    first = [own[0] for own in names(document)]
    return [(first[item.head], item.type, first[item.tail]) for item in document.relations]


def written(folder: Path, *records: Any) -> Path:
    path = folder / "export.json"
    path.write_text(json.dumps(list(records)), encoding="utf-8")
    return path
