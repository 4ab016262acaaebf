"""DRUG-AE.rel: a row per drug and adverse effect that a sentence of a case report joins."""

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
MOVED = "rows placed where effect and drug are not as far apart as their offsets"

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

    Offsets count over the whole document, so only their differences tell something about the sentence.

    Args:
        lines: the lines of the file.
        name: name of the file, for messages.

    Raises:
        DocumentError: a line has other columns.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        # The sentence may have the separator in it.
        document, *middle = line.split("|")
        sentence, rest = "|".join(middle[:-6]).strip(), [column.strip() for column in middle[-6:]]
        offsets = [*rest[1:3], *rest[4:6]]
        if len(rest) < 6 or not all(map(str.isdecimal, offsets)) or not all((document, sentence, rest[0], rest[3])):
            fix = "give document, sentence, effect, start, end, drug, start, end, separated by |, none of them empty"
            raise DocumentError(document, f"line {number} of {name}", line, fix)
        yield Row(document, sentence, rest[0], rest[3], int(offsets[2]) - int(offsets[1]))


def sentence_records(rows: Iterable[Row], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """The sentences of the rows as records in SpERT's form, in the order of their first rows.

    The id of a sentence is that of its document and a number. Words are those of `words_of`. An effect or a drug lies
    where whole words have its characters; of the places of both, the pair counts whose distance in characters is that
    of the offsets or, where white space was changed, comes nearest to it. A row whose place is taken by an earlier row
    takes the next one of the same distance.

    Args:
        rows: the rows of the file.
        counts: `UNPLACED` and `REPEATED_ROWS` are increased for rows that are left out, `MOVED` for those placed by the
            nearest distance.
    """
    sentences: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        sentences.setdefault((row.document, row.sentence), []).append(row)
    numbers: Counter[str] = Counter()
    for (document, text), group in sentences.items():
        yield {"orig_id": f"{document}_{numbers[document]}", **_sentence(text, group, counts)}
        numbers[document] += 1


def words_of(text: str) -> list[tuple[int, int]]:
    """The half-open character ranges of the words of a sentence, and of its final period, which it may lack.

    Words are those of spaCy's rules for English, for which no trained pipeline is needed. A period that ends the
    sentence is a word of its own, and `)-` is cut into bracket, hyphen and what follows (SpERT's release of ADE).
    """
    body = text.removesuffix(".")
    document = document_from_text(body, "sentence")
    words: list[tuple[int, int]] = []
    for start, end in (span for sentence in document.token_offsets or () for span in sentence):
        brackets = [found.start() for found in _BRACKET_AND_HYPHEN.finditer(body, start, end)]
        cuts = {cut for bracket in brackets for cut in (bracket, bracket + 1, bracket + 2)}
        words += pairwise(sorted({start, *cuts, end}))
    return [*words, (len(body), len(body) + 1)]


def _sentence(text: str, rows: Iterable[Row], counts: Counter[str]) -> dict[str, Any]:
    """Words, entities in the order of the text, and relations."""
    text = f"{text.removesuffix('.')}."
    words = words_of(text)
    tokens = [text[start:end] for start, end in words]
    pairs: list[tuple[_Words, _Words]] = []
    for row in rows:
        if (pair := _place(row, tokens, words, pairs, counts)) is not None:
            pairs.append(pair)
    found = {(*effect, EFFECT) for effect, _ in pairs} | {(*drug, DRUG) for _, drug in pairs}
    entities = sorted(found)
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
    """The words of effect and drug, or None where the row is left out."""
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
    """The ranges of words that make up a phrase, white space aside."""
    wanted, found = "".join(phrase.split()), []
    for start in range(len(tokens)):
        joined = ""
        for end in range(start, len(tokens)):
            joined += tokens[end]
            if len(joined) >= len(wanted):
                found += [(start, end + 1)] * (joined == wanted)
                break
    return found
