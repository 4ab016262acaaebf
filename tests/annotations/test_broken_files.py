"""Broken files of every form: each is read, or refused by the one error of documents, never by a library's."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import annotation_files
import pytest
from annotation_files import Made

from modeling_docre.annotations.document_file import read_annotations
from modeling_docre.documents import DocumentError

TEXT = "Anna was born in Ulm .\nShe works in Zürich ."
MADE = Made(
    TEXT, [("PER", [(0, 4), (23, 26)]), ("LOC", [(17, 20)]), ("LOC", [(36, 42)])], [(0, 1, "born"), (0, 2, "works")]
)
WORDS = Made(TEXT, [("PER", [(0, 4)]), ("LOC", [(23, 26)])], [(0, 1, "born")])
WRITERS: dict[str, Callable[[Path, Made], Path]] = {
    **annotation_files.WRITERS,
    "spert": annotation_files.spert,
    "table": annotation_files.table,
}
OTHER_VALUES = (None, -1, 10**9, 3.5, True, "x", "", [], {}, [None], {"a": 1}, float("nan"))


def broken_bytes(content: bytes, draw: random.Random) -> Iterator[bytes]:
    """The content cut off, with a byte changed, removed or doubled, and in other encodings."""
    place = draw.randrange(len(content))
    yield content[:place]
    yield content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]
    yield content[:place] + content[place + 1 :]
    yield content[:place] + content[place : place + 9] + content[place:]
    text = content.decode("latin-1")
    yield text.encode("utf-16")
    if (digits := [n for n, letter in enumerate(text) if letter.isdigit()]) and (place := draw.choice(digits)):
        yield content[:place] + draw.choice([b"0", b"7", b"99", b"-1", b""]) + content[place + 1 :]


def broken_json(value: Any, draw: random.Random) -> Any:
    """The value with one thing in it removed or replaced."""
    places: list[tuple[Any, Any]] = []

    def walk(item: Any) -> None:
        keys = item if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in keys:
            places.append((item, key))
            walk(item[key])

    walk(value)
    container, key = draw.choice(places)
    if draw.random() < 0.4:
        del container[key]
    else:
        container[key] = draw.choice(OTHER_VALUES)
    return value


def outcomes(folder: Path, write: Callable[[Path, Made], Path], made: Made, draw: random.Random) -> Iterator[Any]:
    """What reading gives after each of a few changes to a file: documents or an error."""
    path = write(folder, made)
    contents = {file: file.read_bytes() for file in folder.iterdir()}
    target = draw.choice(sorted(contents))
    changes = list(broken_bytes(contents[target], draw))
    if target.suffix in (".json", ".jsonl"):
        value = json.loads(contents[target])
        changes += [json.dumps(broken_json(json.loads(json.dumps(value)), draw)).encode() for _ in range(8)]
    for change in changes:
        target.write_bytes(change)
        try:
            yield read_annotations(path)
        except Exception as error:
            yield error
    target.write_bytes(contents[target])


def test_a_broken_file_is_read_or_refused() -> None:
    draw = random.Random(3)
    for name, write in WRITERS.items():
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                for outcome in outcomes(Path(folder), write, WORDS if name == "spert" else MADE, draw):
                    if isinstance(outcome, Exception):
                        assert type(outcome) in (DocumentError, FileNotFoundError), f"{name}: {outcome!r}"
                        assert "\n" not in str(outcome), f"{name}: {outcome!r}"


def test_other_encodings_are_named(tmp_path: Path) -> None:
    for name in ("brat", "pubtator", "table", "bioc xml"):
        path = WRITERS[name](tmp_path, MADE)
        target = path.with_suffix(".txt") if name == "brat" else path
        target.write_bytes(target.read_text(encoding="utf-8").encode("latin-1"))
        with pytest.raises(DocumentError, match="save the file as UTF-8"):
            read_annotations(path)
