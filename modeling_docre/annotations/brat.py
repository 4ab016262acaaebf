"""Reads brat's standoff: a text in `NAME.txt` and its annotations in `NAME.ann`."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from modeling_docre.documents import DocumentError

from .markup import Link, MarkedText, Span, decoded

DISCONTINUOUS = "discontinuous mentions (taken from their first to their last character)"
EVENTS = "events with their triggers (left out)"
ATTRIBUTES = "attributes of mentions or relations (left out)"
NOTES = "annotators' notes (left out)"

_RANGES = re.compile(r"\d+ \d+(?:;\d+ \d+)*")


def read_brat(path: Path, name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The text of one pair of files with its entities, relations, equivalences (`*`) and normalizations (`N`).

    Fragments of a mention that only blanks separate, as where a line breaks, are one range.

    Args:
        path: either of the two files.
        name: the document's id.
        counts: what is changed or left out is added here.

    Raises:
        FileNotFoundError: one of the two files is absent.
        DocumentError: a line has a wrong form, or a file is not in UTF-8.
    """
    for file in (path.with_suffix(".txt"), path.with_suffix(".ann")):
        if not file.is_file():
            raise FileNotFoundError(f"{path} has no {file.name} beside it; brat's text and annotations belong together")
    marked = MarkedText(name, decoded(path.with_suffix(".txt").read_bytes(), name, "text"))
    lines = decoded(path.with_suffix(".ann").read_bytes(), name, "annotations").removeprefix("\ufeff").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    rows = [(f"line {number} of {path.stem}.ann", line) for number, line in enumerate(lines, 1) if line.strip()]
    triggers = {trigger for _, line in rows if line.startswith("E") for trigger in _trigger(line)}
    concepts = _concepts(name, rows)
    for where, line in rows:
        _add(marked, line, where, triggers, concepts, counts)
    _check_named(name, rows)
    yield marked


def _trigger(line: str) -> list[str]:
    """The mention that an event is anchored at, and the event's own id."""
    identifier, _, rest = line.partition("\t")
    return [identifier, *rest.split(" ")[0].split(":")[1:2]]


def _concepts(name: str, rows: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The ids of each normalized mention: `N1<tab>Reference T1 Wikidata:Q5<tab>name`."""
    concepts: dict[str, list[str]] = {}
    for where, line in rows:
        if line.startswith("N"):
            parts = ([*line.split("\t"), ""])[1].split(" ")
            if len(parts) != 3:
                raise DocumentError(
                    name, where, line, "give a normalization as N1<tab>Reference T1 DATABASE:ID<tab>name"
                )
            concepts.setdefault(parts[1], []).append(parts[2])
    return concepts


def _check_named(name: str, rows: Sequence[tuple[str, str]]) -> None:
    """Refuse equivalences and normalizations of what the file does not have."""
    known = {line.partition("\t")[0] for _, line in rows}
    for where, line in rows:
        words = ([*line.split("\t"), ""])[1].split()
        for key in {"*": words[1:], "N": words[1:2]}.get(line[0], []):
            if key not in known:
                fix = "no annotation of the file has this id; correct it, or delete the line"
                raise DocumentError(name, where, key, fix)


def _add(
    marked: MarkedText, line: str, where: str, triggers: set[str], concepts: dict[str, list[str]], counts: Counter[str]
) -> None:
    """Add the annotation of a line to its text."""
    kind, columns = line[0], line.split("\t")
    if kind == "T" and columns[0] in triggers:
        marked.dropped.add(columns[0])
    elif kind == "T":
        marked.spans.append(_mention(marked, columns, line, where, concepts, counts))
    elif kind == "R":
        marked.links.append(_relation(marked.id, columns, line, where))
    elif kind == "*":
        marked.chains.append(list(_members(marked, columns, line, where)))
    elif kind == "E":
        marked.dropped.add(columns[0])
        counts[EVENTS] += 1
    elif kind in "AM":
        counts[ATTRIBUTES] += 1
    elif kind == "#":
        counts[NOTES] += 1
    elif kind != "N":
        fix = "begin each line with T, R, E, A, M, N, * or #, as brat writes it"
        raise DocumentError(marked.id, where, line, fix)


def _mention(
    marked: MarkedText, columns: Sequence[str], line: str, where: str, concepts: dict[str, list[str]], counts: Counter
) -> Span:
    kind, _, ranges = (columns[1] if len(columns) == 3 else "").partition(" ")
    if not kind or not _RANGES.fullmatch(ranges):
        raise DocumentError(marked.id, where, line, "give a mention as T1<tab>TYPE START END<tab>marked text")
    pieces = [tuple(map(int, piece.split(" "))) for piece in ranges.split(";")]
    start, end = pieces[0][0], pieces[-1][1]
    gaps = [(marked.text or "")[a:b] for (_, a), (b, _) in itertools.pairwise(pieces)]
    quote: str | None = columns[2]
    if any(gap.strip() for gap in gaps):
        counts[DISCONTINUOUS] += 1
        quote = None
    return Span(columns[0], start, end, kind, quote, tuple(concepts.get(columns[0], ())), f"{columns[0]} in {where}")


def _relation(name: str, columns: Sequence[str], line: str, where: str) -> Link:
    """A relation `R1<tab>TYPE Arg1:T1 Arg2:T2`, whatever its two roles are called."""
    parts = (columns[1] if len(columns) > 1 else "").split()
    arguments = [part.partition(":")[2] for part in parts[1:]]
    if len(arguments) != 2 or not all(arguments):
        raise DocumentError(name, where, line, "give a relation as R1<tab>TYPE Arg1:T1 Arg2:T2")
    return Link(arguments[0], arguments[1], parts[0], f"{columns[0]} in {where}")


def _members(marked: MarkedText, columns: Sequence[str], line: str, where: str) -> Iterator[str]:
    """The mentions of an equivalence `*<tab>Equiv T1 T2`, which may stand before their lines."""
    parts = (columns[1] if len(columns) > 1 else "").split()
    if len(parts) < 3:
        raise DocumentError(marked.id, where, line, "give an equivalence as *<tab>Equiv T1 T2")
    yield from parts[1:]
