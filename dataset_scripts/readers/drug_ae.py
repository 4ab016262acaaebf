"""Reads DRUG-AE.rel, which has a row per drug and adverse effect that a sentence of a case report connects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from modeling_docre.documents import DocumentError
from modeling_docre.text import document_from_text

EFFECT, DRUG = "Adverse-Effect", "Drug"
RELATION = "Adverse-Effect"

UNPLACED = "rows whose effect or drug is not in the words of the sentence (dropped)"
REPEATED_ROWS = "rows that repeat another (dropped)"
MOVED = "rows placed at another distance between effect and drug than their offsets say"

_BRACKET_AND_HYPHEN = re.compile(r"\)-")
_Words = tuple[int, int]  # half-open range of words


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file; `distance` is the number of characters from the end of the effect to the start of the drug."""

    document: str
    sentence: str
    effect: str
    drug: str
    distance: int


def read_rows(lines: Iterable[str], name: str) -> Iterator[Row]:
    """The rows of a file with the columns document, sentence, effect, start, end, drug, start, end, separated by `|`.

    Offsets count over the whole document, so only their differences apply to the sentence.

    Args:
        lines: the lines of the file.
        name: name of the file, for messages.

    Raises:
        DocumentError: a line has other columns.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        # The sentence itself may contain the separator.
        document, *middle = line.split("|")
        sentence, last = "|".join(middle[:-6]).strip(), [column.strip() for column in middle[-6:]]
        offsets = [*last[1:3], *last[4:6]]
        if len(last) < 6 or not all(map(str.isdecimal, offsets)) or not all((document, sentence, last[0], last[3])):
            fix = "give document, sentence, effect, start, end, drug, start, end, separated by |, none of them empty"
            raise DocumentError(document, f"line {number} of {name}", line, fix)
        yield Row(document, sentence, last[0], last[3], int(offsets[2]) - int(offsets[1]))


def sentence_records(rows: Iterable[Row], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """The sentences of the rows as records in SpERT's form, in the order of their first rows.

    A sentence's id is its document's and a number. Words are those of `words_of`. An effect or drug lies where whole
    words have its characters. If there are several such places, the pair is taken whose distance in characters is
    nearest to that of the offsets; it differs if white space was changed. If an earlier row took that pair, the row
    takes the next one of the same distance.

    Args:
        rows: the rows of the file.
        counts: `UNPLACED` and `REPEATED_ROWS` are increased for rows that are left out, `MOVED` for rows placed at
            another distance.
    """
    sentences: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        sentences.setdefault((row.document, row.sentence), []).append(row)
    numbers: Counter[str] = Counter()
    for (document, text), group in sentences.items():
        yield {"orig_id": f"{document}_{numbers[document]}", **_sentence(text, group, counts)}
        numbers[document] += 1


def words_of(text: str) -> list[tuple[int, int]]:
    """The half-open character ranges of a sentence's words, and of a final period, even if the text lacks it.

    Words follow spaCy's rules for English, which need no trained pipeline. The final period is a word of its own, and
    `)-` is split into bracket, hyphen and the rest (SpERT's release of ADE).
    """
    body = text.removesuffix(".")
    document = document_from_text(body, "sentence")
    words: list[tuple[int, int]] = []
    for start, end in (span for sentence in document.token_offsets or () for span in sentence):
        brackets = [match.start() for match in _BRACKET_AND_HYPHEN.finditer(body, start, end)]
        cuts = {cut for bracket in brackets for cut in (bracket, bracket + 1, bracket + 2)}
        words += pairwise(sorted({start, *cuts, end}))
    return [*words, (len(body), len(body) + 1)]


def _sentence(text: str, rows: Iterable[Row], counts: Counter[str]) -> dict[str, Any]:
    """A record's words, entities in text order, and relations."""
    text = f"{text.removesuffix('.')}."
    words = words_of(text)
    tokens = [text[start:end] for start, end in words]
    pairs: list[tuple[_Words, _Words]] = []
    for row in rows:
        if (pair := _place(row, tokens, words, pairs, counts)) is not None:
            pairs.append(pair)
    entities = sorted({(*effect, EFFECT) for effect, _ in pairs} | {(*drug, DRUG) for _, drug in pairs})
    return {
        "tokens": tokens,
        "entities": [{"type": kind, "start": start, "end": end} for start, end, kind in entities],
        "relations": [
            {"type": RELATION, "head": entities.index((*effect, EFFECT)), "tail": entities.index((*drug, DRUG))}
            for effect, drug in pairs
        ],
    }


def _place(
    row: Row,
    tokens: list[str],
    words: list[tuple[int, int]],
    taken: list[tuple[_Words, _Words]],
    counts: Counter[str],
) -> tuple[_Words, _Words] | None:
    """The words of effect and drug, or None if the row is left out."""
    pairs = list(product(_occurrences(tokens, row.effect), _occurrences(tokens, row.drug)))
    counts[UNPLACED] += not pairs
    if not pairs:
        return None
    errors = [abs(words[drug[0]][0] - words[effect[1] - 1][1] - row.distance) for effect, drug in pairs]
    counts[MOVED] += min(errors) > 0
    nearest = (pair for pair, error in zip(pairs, errors, strict=True) if error == min(errors))
    free = next((pair for pair in nearest if pair not in taken), None)
    counts[REPEATED_ROWS] += free is None
    return free


def _occurrences(tokens: list[str], phrase: str) -> list[_Words]:
    """The ranges of words that spell a phrase, ignoring white space."""
    letters, ranges = "".join(phrase.split()), []
    for start in range(len(tokens)):
        joined = ""
        for end in range(start, len(tokens)):
            joined += tokens[end]
            if len(joined) >= len(letters):
                ranges += [(start, end + 1)] * (joined == letters)
                break
    return ranges
