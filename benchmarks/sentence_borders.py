"""How well texts are cut into sentences: borders of the default rules against those of corpora.

The text of a document is put together from its words. Borders are the places where a sentence begins, but for the first
one; one counts as found where a cut sentence begins with the same character.

    PYTHONPATH=. python benchmarks/sentence_borders.py re_docred/validation.json scierc/dev.json
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import spacy

from modeling_docre.text import Splitter, document_from_text

CLOSING = re.compile(r"[,.;:!?)\]}%”’]|n't|'(s|re|ve|ll|d)?")
OPENING = ("(", "[", "{", "$", "£", "€", "“", "‘")


def main() -> None:
    """Print a table: corpus and rules by precision, recall and F1 of borders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="DocRED's JSON (`sents`) or SciERC's lines (`sentences`)")
    parser.add_argument("--errors", type=int, default=0, help="wrong and missing borders to show of each file")
    options = parser.parse_args()
    plain = spacy.blank("en")
    plain.add_pipe("sentencizer")
    print("| corpus | documents | borders | rules | precision | recall | F1 |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for file in options.files:
        documents = [rebuilt(sentences) for sentences in read(file)]
        for rules, splitter in (("spaCy's sentencizer", plain), ("default", None)):
            counts = compare(documents, splitter, options.errors if splitter is None else 0)
            print("|", " | ".join([f"{file.parent.name}/{file.stem}", *row(len(documents), counts, rules)]), "|")


def read(file: Path) -> Iterator[list[list[str]]]:
    """The words of each sentence of each document of a file."""
    text = file.read_text(encoding="utf-8")
    records = json.loads(text) if text.startswith("[") else map(json.loads, text.splitlines())
    for record in records:
        yield [words for words in record.get("sents") or record["sentences"] if words]


def rebuilt(sentences: Sequence[Sequence[str]]) -> tuple[str, set[int]]:
    """A text with these words, and the characters at which its sentences begin, but for the first one."""
    text, borders, previous, quoted = "", set(), "", False
    for sentence in sentences:
        for number, word in enumerate(sentence):
            closes = CLOSING.fullmatch(word) or (word == '"' and quoted)
            opened = previous in OPENING or (previous == '"' and quoted)
            if text and not closes and not opened:
                text += " "
            if number == 0 and text:
                borders.add(len(text))
            quoted ^= word == '"'
            text, previous = text + word, word
    return text, borders


def compare(documents: Sequence[tuple[str, set[int]]], splitter: Splitter | None, errors: int) -> Counter[str]:
    """Numbers of borders that are right, cut and wanted."""
    counts: Counter[str] = Counter()
    for text, wanted in documents:
        document = document_from_text(text, "a text", "en", splitter)
        cut = {words[0][0] for words in (document.token_offsets or ())[1:]}
        counts.update(right=len(cut & wanted), cut=len(cut), wanted=len(wanted))
        for place in sorted(cut ^ wanted):
            if counts["shown"] < errors:
                counts["shown"] += 1
                kind = "wrong  " if place in cut else "missing"
                print(f"{kind} {text[max(0, place - 40) : place]!r} {text[place : place + 30]!r}")
    return counts


def row(documents: int, counts: Counter[str], rules: str) -> list[str]:
    """The cells of a row but for the corpus."""
    precision, recall = counts["right"] / max(1, counts["cut"]), counts["right"] / max(1, counts["wanted"])
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    scores = (f"{100 * value:.1f}" for value in (precision, recall, f1))
    return [f"{documents:,}", f"{counts['wanted']:,}", rules, *scores]


if __name__ == "__main__":
    main()
