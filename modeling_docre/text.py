"""From raw text to a document: sentences and words with their character offsets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import spacy
from spacy.attrs import IS_PUNCT, IS_SPACE

from .document_parsing import check_encoding, is_position
from .documents import Document, DocumentError
from .given_entities import give_entities

Span = tuple[int, int]
Splitter = spacy.Language | Callable[[str], Iterable[Span]]

_EMPTY_LINE = re.compile(r"(?>\r\n|\r|\n)\s*?[\r\n]")
_OPENING = re.compile(r"(?<=\s)[\"'(\[{«“‘]+\Z")
# English abbreviations that end no sentence, and those after which a small letter or a digit goes on in the same one.
_IN_NAMES = re.compile("Capt|Cmdr|Col|Ft|Hon|Lt|Maj|Mme|Mt|Sgt|cf|pv|ssp|subsp|var")
_IN_NUMBERS = re.compile(
    r"(al|app|appl|approx|art|ca|ch|chap|cl|dept|ed|eds|eq|eqs|esp|est|etc|figs?|jr|nos?|op|para|pp|pt|refs?|secs?|"
    r"sect|ser|spp?|sr|suppl|tab|vols?|\d{1,2})",
    re.IGNORECASE,
)
# One text at a time: the memory zone of a splitter is not for several threads, which would take turns anyway.
_CUTTING = Lock()


@lru_cache(maxsize=8)
def _splitter(language: str) -> Any:
    """A blank spaCy pipeline of a language with a rule-based sentence splitter."""
    try:
        pipeline = spacy.blank(language)
    except ImportError as error:
        fix = "give one of its codes, such as 'en' (`language` of a model's config), or install what it asks for"
        raise ValueError(f"spaCy cannot cut text in language {language!r} into words; {fix}: {error}") from error
    pipeline.add_pipe("sentencizer")
    # What it works out of each new word: the sentencizer and the cut into words ask for no more.
    vocab: Any = pipeline.vocab
    getters = vocab.lex_attr_getters
    vocab.lex_attr_getters = {name: getters[name] for name in (IS_PUNCT, IS_SPACE) if name in getters}
    return pipeline


def document_from_text(
    text: str, identifier: str, language: str = "en", sentence_splitter: Splitter | None = None
) -> Document:
    """Cut raw text into sentences and words: a document with `text` and `token_offsets`.

    Words are spaCy's tokens without white space. Sentences end at sentence-final punctuation, in English not at that of
    an abbreviation within the sentence, and at empty lines.

    Args:
        text, identifier: any text, also an empty one, and the document's id.
        language: spaCy language code.
        sentence_splitter: a loaded spaCy pipeline, whose sentences and words are taken; or a function from a text to
            the half-open character ranges of its sentences, which are cut into spaCy's words of the language.

    Raises:
        DocumentError: the text holds half of a surrogate pair, or the function leaves out a part of it.
        ValueError: spaCy does not know the language.
    """
    check_encoding(identifier, "text", text)
    skipped = len(text) - len(text.removeprefix("\ufeff"))  # a byte-order mark belongs to no word
    body = text[skipped:]
    if sentence_splitter is None:
        sentences = _cut(body, language)
    elif isinstance(sentence_splitter, spacy.Language):
        sentences = _sentences_of(sentence_splitter(body), identifier)
    else:
        ranges = _covering(sentence_splitter, body, identifier)
        cut = ((start, _cut(body[start:end], language)) for start, end in ranges)
        sentences = [[(start + a, start + b) for words in part for a, b in words] for start, part in cut]
    return _document(identifier, text, sentences, skipped)


def document_from_spacy(parsed: Any, identifier: str) -> Document:
    """The words and sentences of a spaCy `Doc`, with its text.

    Raises:
        DocumentError: the `Doc` has no sentence borders.
    """
    return _document(identifier, parsed.text, _sentences_of(parsed, identifier))


def _document(identifier: str, text: str, sentences: Iterable[Sequence[Span]], skipped: int = 0) -> Document:
    """The document of non-empty sentences whose words are counted without the text's first `skipped` characters."""
    offsets = tuple(tuple((skipped + start, skipped + end) for start, end in words) for words in sentences if words)
    words = tuple(tuple(text[start:end] for start, end in sentence) for sentence in offsets)
    return Document(identifier, words, text=text, token_offsets=offsets)


def _sentences_of(parsed: Any, identifier: str) -> list[list[Span]]:
    """The character range of each word of each sentence of a spaCy `Doc`."""
    if not parsed.has_annotation("SENT_START"):
        fix = 'add a component that finds them to the spaCy pipeline, such as "sentencizer"'
        raise DocumentError(identifier, "sentences of the spaCy Doc", None, fix)
    return [[(word.idx, word.idx + len(word)) for word in line if not word.is_space] for line in parsed.sents]


def _cut(text: str, language: str) -> list[list[Span]]:
    """The character range of each word of each sentence by the rules of a language."""
    with _CUTTING:
        splitter = _splitter(language)
        # The limit guards spaCy's statistical components, of which a blank pipeline has none.
        splitter.max_length = max(splitter.max_length, len(text) + 1)
        with splitter.memory_zone():  # or each new word would stay in the vocabulary for good
            lines = _sentences_of(splitter(text), "")
    sentences: list[list[Span]] = []
    for line in lines:
        for number, (start, end) in enumerate(line):
            before = sentences[-1] if sentences else []
            if not before or _EMPTY_LINE.search(text, before[-1][1], start):
                sentences.append([])
            elif number == 0 and not _goes_on([text[slice(*span)] for span in before[-2:]], text[start:end], language):
                mark = _OPENING.search(text, before[-1][0] - 1, start)  # a quote or bracket belongs to what it opens
                opening = [span for span in before[-3:] if mark and span[0] >= mark.start()]
                sentences[-1] = before[: len(before) - len(opening)]
                sentences.append(opening)
            sentences[-1].append((start, end))
    return sentences


def _goes_on(before: Sequence[str], word: str, language: str) -> bool:
    """Whether a word continues the sentence of the two words before it, which spaCy's rules take for ended."""
    if before[-1] in (",", ";", ":"):
        return True
    if language != "en" or len(before) < 2 or before[-1] != ".":
        return False
    small = word[0].isdigit() or word[0].islower()
    return bool(_IN_NAMES.fullmatch(before[0]) or (small and _IN_NUMBERS.fullmatch(before[0])))


def _covering(splitter: Callable[[str], Any], text: str, identifier: str) -> list[Span]:
    """The ranges of a user's sentences, which ascend and hold all of the text but white space."""
    try:
        done, ranges = 0, list(given) if isinstance(given := splitter(text), Iterable) else None
    except Exception as error:
        error.add_note(f"sentence_splitter raised this for document {identifier!r}")
        raise
    if ranges is None:
        raise DocumentError(identifier, "result of sentence_splitter", given, "give a list of (start, end)")
    for span in ranges:
        valid = isinstance(span, tuple | list) and len(span) == 2 and all(map(is_position, span))
        if not valid or not done <= span[0] <= span[1] <= len(text) or text[done : span[0]].strip():
            fix = f"give ascending (start, end) in characters that hold all from character {done} on but white space"
            raise DocumentError(identifier, "next sentence of sentence_splitter", span, fix)
        done = span[1]
    if rest := text[done:].strip():
        fix = f"this leaves out the text from {rest[:40]!r} on; give (start, end) that hold all of it but white space"
        raise DocumentError(identifier, "end of the last sentence of sentence_splitter", done, fix)
    return ranges


def document_from_record(
    record: Mapping[str, Any],
    identifier: str,
    language: str = "en",
    sentence_splitter: Splitter | None = None,
    **reading: Any,
) -> Document:
    """The document of a dict: the dict form of `Document`, or a text with what is known about it.

    Args:
        record: the dict form; or `text` with, each optional, `id`, `entities` (see `give_entities`), `relations`
            between positions of `entities`, and what else the dict form has.
        identifier: the id of a record without one.
        language, sentence_splitter: as for `document_from_text`.
        **reading: how the entities of a text are read, as for `give_entities`.

    Raises:
        DocumentError: the content is not valid.
    """
    record = {**record, "id": identifier} if record.get("id") is None else record
    if "sentences" in record:
        return Document.from_dict(record)
    name, text, known = record["id"], record.get("text"), Document.__dataclass_fields__
    if unknown := next((key for key in record if key not in known), None):
        fix = "drop this key" if "text" in record else 'give the text as "text"'
        fix += f'; known are {", ".join(known)}; of a dataset give the column of its texts, such as rows["text"]'
        raise DocumentError(name, f"document.{unknown}", record[unknown], fix)
    if not isinstance(text, str):
        raise DocumentError(name, "text", text, "give a string, or sentences of words")
    document = document_from_text(text, name, language, sentence_splitter)
    if entities := record.get("entities"):
        document = give_entities(document, entities, **reading)
    return Document.from_dict({**record, **document.to_dict(), "relations": record.get("relations")})
