"""From raw text to a document: sentences and words with their character offsets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from threading import Lock
from typing import Any

import spacy

from .document_parsing import check_encoding
from .documents import Document, DocumentError
from .given_entities import give_entities

_EMPTY_LINE = re.compile(r"(?>\r\n|\r|\n)\s*?[\r\n]")
# One text at a time: the memory zone of a splitter is not for several threads, which would take turns anyway.
_CUTTING = Lock()


@lru_cache(maxsize=8)
def _splitter(language: str) -> Any:
    """A blank spaCy pipeline of a language with a rule-based sentence splitter."""
    try:
        pipeline = spacy.blank(language)
    except ImportError as error:
        raise ValueError(
            f"spaCy cannot cut text in language {language!r} into words; install what it asks for, or set the "
            f"config's `language` to another of its codes: {error}"
        ) from error
    pipeline.add_pipe("sentencizer")
    return pipeline


def document_from_text(text: str, identifier: str, language: str = "en") -> Document:
    """Cut raw text into sentences and words.

    Words are spaCy's tokens without white space; sentences end at sentence-final punctuation and at empty lines.

    Args:
        text: any text; may be empty.
        identifier: the document's id.
        language: spaCy language code.

    Returns:
        A document with `text` and `token_offsets`, so that mentions can be given in characters.

    Raises:
        DocumentError: the text holds half of a surrogate pair.
        ValueError: spaCy does not know the language.
    """
    check_encoding(identifier, "text", text)
    skipped = len(text) - len(text.removeprefix("\ufeff"))  # a byte-order mark belongs to no word
    with _CUTTING:
        splitter = _splitter(language)
        # The limit guards spaCy's statistical components, of which a blank pipeline has none.
        splitter.max_length = max(splitter.max_length, len(text) + 1)
        with splitter.memory_zone():  # or each new word would stay in the vocabulary for good
            sentences = _cut(splitter(text[skipped:]), text, skipped)
    return Document(
        identifier,
        tuple(tuple(text[start:end] for start, end in sentence) for sentence in sentences),
        text=text,
        token_offsets=tuple(map(tuple, sentences)),
    )


def _cut(parsed: Any, text: str, skipped: int) -> list[list[tuple[int, int]]]:
    """The character range of each word of each sentence; spaCy read the text without its first `skipped` characters."""
    sentences: list[list[tuple[int, int]]] = []
    for sentence in parsed.sents:
        end = None  # of the previous word in the sentence
        for token in sentence:
            if token.is_space:
                continue
            start = skipped + token.idx
            if end is None or _EMPTY_LINE.search(text, end, start):
                sentences.append([])
            end = start + len(token)
            sentences[-1].append((start, end))
    return sentences


def document_from_record(record: Mapping[str, Any], identifier: str, language: str = "en", **reading: Any) -> Document:
    """The document of a dict: the dict form of `Document`, or a text with what is known about it.

    Args:
        record: the dict form; or `text` with, each optional, `id`, `entities` (see `give_entities`), `relations`
            between positions of `entities`, and what else the dict form has.
        identifier: the id of a text without one.
        language: spaCy language code, for the words and sentences of a text.
        **reading: how the entities of a text are read, as for `give_entities`.

    Raises:
        DocumentError: the content is not valid.
    """
    if "sentences" in record or "text" not in record:
        return Document.from_dict(record)
    name, text = record.get("id") or identifier, record["text"]
    for field, value in (("id", name), ("text", text)):
        if not isinstance(value, str):
            raise DocumentError(name, field, value, "give a string")
    document = document_from_text(text, name, language)
    if entities := record.get("entities"):
        document = give_entities(document, entities, **reading)
    return Document.from_dict({**record, **document.to_dict(), "relations": record.get("relations")})
