"""SciERC: scientific terms in sentences of abstracts, and seven relations between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source, source_records
from dataset_scripts.readers.sentences import SentenceReader
from modeling_docre.documents import Document, DocumentError

_BRACKETS = {"-LRB-": "(", "-RRB-": ")", "-LSB-": "[", "-RSB-": "]", "-LCB-": "{", "-RCB-": "}"}


def _source(name: str, *more_names: str) -> Source:
    url = f"http://lavis.cs.hs-rm.de/storage/spert/public/datasets/scierc/scierc_{name}.json"
    return Source(url, tuple(f"{stem}.json" for stem in (f"scierc_{name}", name, *more_names)))


class Scierc(DocumentBuilder):
    """SciERC (Luan et al., EMNLP 2018): sentences of scientific abstracts with six entity types and seven relations.

    A document is a sentence, an entity has one mention; the corpus' coreference is not used. The files are the
    processed JSON lines of the first publication (one abstract each) or the JSON of SpERT's release (one sentence
    each). A document's id is the abstract's key and the number of the sentence, from 0. Bracket codes become brackets,
    types are spelled as in SpERT (`USED-FOR` is `Used-for`), and repeated relation rows are dropped.
    """

    NAME = "scierc"
    SOURCES: ClassVar = {
        "default": {"train": _source("train"), "validation": _source("dev", "validation"), "test": _source("test")}
    }
    ENTITY_TYPES: ClassVar = ["Task", "Method", "Metric", "Material", "OtherScientificTerm", "Generic"]
    RELATION_LABELS: ClassVar = {
        "Used-for": "used for",
        "Feature-of": "feature of",
        "Hyponym-of": "hyponym of",
        "Part-of": "part of",
        "Compare": "compared with",
        "Conjunction": "conjunction with",
        "Evaluate-for": "evaluated for",
    }
    RELATION_TYPES: ClassVar = list(RELATION_LABELS)
    SYMMETRIC_RELATIONS: ClassVar = ["Compare", "Conjunction"]
    LICENSE = "unknown"
    HOMEPAGE = "http://nlp.cs.washington.edu/sciIE/"
    CITATION = (
        "Luan, He, Ostendorf, Hajishirzi: Multi-Task Identification of Entities, Relations, and Coreference for "
        "Scientific Knowledge Graph Construction. EMNLP 2018."
    )

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of files with abstracts or sentences.

        Raises:
            DocumentError: an abstract or a sentence is not valid.
        """
        reader = SentenceReader(self.ENTITY_TYPES, self.RELATION_TYPES, self.relation_labels())
        for path in paths:
            for record in numbered_sentences(source_records(path)):
                yield reader.read({**record, "tokens": _with_brackets(record.get("tokens"))})
        self.log_report(paths, reader.report, reader.changed)


def numbered_sentences(records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The sentences of records that are abstracts or sentences, with the abstract's key and a number as id."""
    seen: Counter[str] = Counter()
    for record in records:
        for sentence in sentences_of(record) if "sentences" in record else [record]:
            key = sentence.get("orig_id")
            yield {**sentence, "orig_id": key if key is None else f"{key}_{seen[str(key)]}"}
            seen[str(key)] += 1


def sentences_of(abstract: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The sentences of an abstract as records in SpERT's form, all with the abstract's key as id.

    Args:
        abstract: `doc_key`, and a list per sentence in each of `sentences` (words), `ner` (rows of first and last word
            and type) and `relations` (rows of first and last word of the head, the same of the tail, and type). Words
            are numbered over the whole abstract, and last words are part of the span.

    Raises:
        DocumentError: a key is missing, or a row has a wrong form or lies outside its sentence.
    """
    name = abstract.get("doc_key")
    if not isinstance(name, str) or not name:
        raise DocumentError(name, "doc_key", name, "give the abstract's key, a text")
    sentences = _lists(name, abstract, "sentences", None)
    parts = (_lists(name, abstract, key, len(sentences)) for key in ("ner", "relations"))
    start = 0
    for number, (words, entities, relations) in enumerate(zip(sentences, *parts, strict=True)):
        end = start + len(words)
        spans = [_row(name, f"ner[{number}][{n}]", row, 1, start, end) for n, row in enumerate(entities)]
        related = [_row(name, f"relations[{number}][{n}]", row, 2, start, end) for n, row in enumerate(relations)]
        yield {
            "orig_id": name,
            "tokens": words,
            "entities": [{"type": kind, "start": a - start, "end": b + 1 - start} for a, b, kind in spans],
            "relations": _relations(name, f"relations[{number}]", related, [span[:2] for span in spans]),
        }
        start = end


def _relations(name: str, where: str, rows: list[Any], spans: list[Any]) -> list[dict[str, Any]]:
    """Relations between positions among the spans; head and tail must be exactly one of them."""
    relations = []
    for number, row in enumerate(rows):
        for span in (row[:2], row[2:4]):
            if span not in spans:
                fix = f"no entity of the sentence has these words; it has {spans}"
                raise DocumentError(name, f"{where}[{number}]", list(span), fix)
        relations.append({"head": spans.index(row[:2]), "tail": spans.index(row[2:4]), "type": row[4]})
    return relations


def _lists(name: str, abstract: Mapping[str, Any], key: str, length: int | None) -> list[list[Any]]:
    """The value of an abstract's key: a list of lists, one per sentence."""
    value = abstract.get(key)
    if not isinstance(value, list) or not all(isinstance(item, list) for item in value):
        raise DocumentError(name, key, value, "give a list of lists, one per sentence")
    if length is not None and len(value) != length:
        raise DocumentError(name, f"{key} (number of lists)", len(value), f"give one per sentence; there are {length}")
    return value


def _row(name: str, where: str, row: Any, spans: int, start: int, end: int) -> tuple[Any, ...]:
    """A checked row of so many spans and a type, all inside the words `start` to `end` (exclusive)."""
    numbers = row[:-1] if isinstance(row, list) else []
    are_integers = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 2 * spans or not are_integers or not isinstance(row[-1], str):
        fix = f"give {spans} times the numbers of a first and a last word, then a type"
        raise DocumentError(name, where, row, fix)
    if not all(start <= first <= last < end for first, last in zip(numbers[::2], numbers[1::2], strict=True)):
        fix = f"give word numbers of the abstract; the sentence has the words {start} to {end - 1}"
        raise DocumentError(name, where, row, fix)
    return tuple(row)


def _with_brackets(words: Any) -> Any:
    """The words with brackets instead of their codes; anything but a list is returned for the reader to refuse."""
    return [_BRACKETS.get(str(word), word) for word in words] if isinstance(words, list) else words


if __name__ == "__main__":
    main(Scierc)
