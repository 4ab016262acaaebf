"""From raw text to a document: sentences and words with their character offsets, and entities that a user marked."""

from __future__ import annotations

import logging
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from itertools import pairwise
from threading import Event, Lock
from typing import Any

import spacy

from .documents import Document, DocumentError, Entity, Mention, check_encoding, parse
from .given_entities import field_of, is_position, warn_of_cuts

logger = logging.getLogger(__name__)

_EMPTY_LINE = re.compile(r"(?>\r\n|\r|\n)\s*?[\r\n]")
# One text at a time: the memory zone of a splitter is not for several threads, which would take turns anyway.
_CUTTING = Lock()
_STRANGE = Event()


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


def warn_of_script(features: Any, unknown: int | None, language: str) -> None:
    """Say once in a process that most words of a text are unknown to the encoder or come apart into their letters.

    Args:
        features: the `Features` of the text.
        unknown: id of the unknown token, if there is one.
        language: of the model; Chinese and Japanese are read character by character as a rule, so none is strange.
    """
    words = [word for sentence in features.document.sentences for word in sentence]
    strange = []
    for word, (start, end) in zip(words, features.word_ranges.tolist(), strict=True):
        if (letters := sum(map(str.isalpha, word))) > 1:
            unread = unknown in features.input_ids[start:end].tolist() or end - start >= letters
            strange.append(unread and not word.isascii())
    if 2 * sum(strange) <= len(strange) or language in ("zh", "ja") or _STRANGE.is_set():
        return
    _STRANGE.set()
    logger.warning(
        "document %r: most of its words are unknown to the model's encoder or come apart into letters, so what is "
        "found in it means little. The model reads the language %r",
        features.document.id,
        language,
    )


def document_from_record(record: Mapping[str, Any], identifier: str, language: str = "en") -> Document:
    """The document of a dict: the dict form of `Document`, or a text with what is known about it.

    Args:
        record: the dict form; or `text` with, each optional, `id`, `entities` with mentions in characters (see
            `place_entities`), `relations` between positions of `entities`, and what else the dict form has.
        identifier: the id of a text without one.
        language: spaCy language code, for the words and sentences of a text.

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
        document = warn_of_cuts(document, place_entities(document, entities))
    return Document.from_dict({**record, **document.to_dict(), "relations": record.get("relations")})


def place_entities(document: Document, entities: Sequence[Entity | Mapping[str, Any]]) -> Document:
    """Put entities that a user marked into a document, in place of its own.

    A mention is given by `char_start` and `char_end` in the document's text, or by `sentence`, `start` and `end` in
    its words; where both are there, the characters count if the document knows those of its words, so the entities of
    an earlier result can be given as they are. No mention is moved: a word that a mention's border cuts through becomes
    two words, and two sentences that a mention spans become one.

    Args:
        document: words, and for character offsets their `text` and `token_offsets`.
        entities: entities or their dict forms, `{"type": str, "mentions": [mention, ...]}`.

    Returns:
        The document with these entities and without relations and candidates.

    Raises:
        DocumentError: an entity lacks its type or its mentions, or a mention lies outside the text or holds no word.
    """
    _check_entities(document, entities)
    mentions = list(_mentions(document, entities))
    characters = {where: _char_range(document, where, mention) for where, mention in mentions}
    cuts = sorted({border for span in characters.values() if span for border in span})
    if cuts:
        _check_order(document)
    words, offsets, pieces = _cut_words(document, cuts)
    ranges = {}
    for where, mention in mentions:
        if span := characters[where]:
            ranges[where] = _words_inside(document, where, span, offsets)
        else:
            start, end = _word_range(document, where, mention)
            ranges[where] = pieces[start], pieces[end]
    starts = [pieces[start] for start in document.sentence_starts]
    starts = _merge_sentences(starts, list(ranges.values()))
    sections = list(pairwise(starts))
    places: dict[str, dict[str, Any]] = {}
    for where, (start, end) in ranges.items():
        sentence = bisect_right(starts, start) - 1
        places[where] = {"sentence": sentence, "start": start - starts[sentence], "end": end - starts[sentence]}
        span = characters[where]
        if span is None and offsets and offsets[start][0] < offsets[end - 1][1]:
            span = offsets[start][0], offsets[end - 1][1]
        if span:
            places[where] |= {"char_start": int(span[0]), "char_end": int(span[1])}
    return Document(
        document.id,
        tuple(tuple(words[start:end]) for start, end in sections),
        tuple(_placed(document, number, entity, places) for number, entity in enumerate(entities)),
        text=document.text,
        token_offsets=document.token_offsets and tuple(tuple(offsets[start:end]) for start, end in sections),
    )


def _placed(document: Document, number: int, entity: Any, places: Mapping[str, dict[str, Any]]) -> Entity:
    """An entity, or one by its dict form, with the place of each mention."""
    where = f"entities[{number}]"
    own = [places[f"{where}.mentions[{position}]"] for position in range(len(field_of(entity, "mentions")))]
    if isinstance(entity, Entity):
        mentions = zip(entity.mentions, own, strict=True)
        return replace(entity, mentions=tuple(replace(mention, **place) for mention, place in mentions))
    plain = [asdict(item) if isinstance(item, Mention) else item for item in entity["mentions"]]
    plain = [{**mention, **place} for mention, place in zip(plain, own, strict=True)]
    return parse(Entity, {**entity, "mentions": plain}, where, document.id)


def _check_entities(document: Document, entities: Any) -> None:
    """Refuse anything but a list of entities with the required fields."""
    if not isinstance(entities, list | tuple):
        fix = 'give a list of entities, {"type": ..., "mentions": [{"char_start": ..., "char_end": ...}, ...]}'
        raise DocumentError(document.id, "entities", entities, fix)
    for number, entity in enumerate(entities):
        mentions = field_of(entity, "mentions") if isinstance(entity, Entity | Mapping) else None
        if not isinstance(mentions, list | tuple) or not mentions or not isinstance(field_of(entity, "type"), str):
            fix = 'give a dict with its "type" (a string) and its "mentions" (a list of at least one)'
            raise DocumentError(document.id, f"entities[{number}]", entity, fix)


def _mentions(document: Document, entities: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Each mention, or its dict form, with its place in the input."""
    for number, entity in enumerate(entities):
        for position, mention in enumerate(field_of(entity, "mentions")):
            where = f"entities[{number}].mentions[{position}]"
            if not isinstance(mention, Mention | Mapping):
                raise DocumentError(document.id, where, mention, "give a dict with char_start and char_end")
            yield where, mention


def _char_range(document: Document, where: str, mention: Any) -> tuple[int, int] | None:
    """The mention's range in the text, or None where it is given in words."""
    start, end = field_of(mention, "char_start"), field_of(mention, "char_end")
    span = (start, end)
    if span == (None, None):
        return None
    where = f"{where} (char_start, char_end)"
    if document.text is None or document.token_offsets is None:
        if field_of(mention, "start") is not None:
            return None
        fix = "the document has no token_offsets into a text; give sentence, start and end"
        raise DocumentError(document.id, where, span, fix)
    length = len(document.text)
    if not (is_position(start) and is_position(end) and start < end <= length):
        fix = f"give whole numbers with 0 <= char_start < char_end <= {length}, the length of the text"
        raise DocumentError(document.id, where, span, fix)
    name, text = field_of(mention, "name"), document.text[start:end]
    if isinstance(name, str) and name.split() != text.split():
        fix = f"this is {text!r}, and the mention's name is {name!r}; count characters, or leave out the name"
        raise DocumentError(document.id, where, span, fix)
    return start, end


def _check_order(document: Document) -> None:
    """Refuse words that do not follow each other in the text, since a range of characters is then no range of words."""
    offsets = [span for sentence in document.token_offsets or () for span in sentence]
    for (_, end), (start, _) in pairwise(offsets):
        if start < end:
            fix = (
                "words must ascend in the text for mentions in characters; give sentence, start and end of each instead"
            )
            raise DocumentError(document.id, "token_offsets", (end, start), fix)


def _word_range(document: Document, where: str, mention: Any) -> tuple[int, int]:
    """The range in document word indices of a mention given by sentence and words."""
    span: tuple[Any, ...] = tuple(field_of(mention, name) for name in ("sentence", "start", "end"))
    sentence, start, end = span
    where = f"{where} (sentence, start, end)"
    if not all(map(is_position, span)):
        fix = "give char_start and char_end, or sentence, start and end, as whole numbers from 0 on"
        raise DocumentError(document.id, where, span, fix)
    if sentence >= len(document.sentences):
        raise DocumentError(document.id, where, span, f"the document has {len(document.sentences)} sentences")
    if not start < end <= len(document.sentences[sentence]):
        length = len(document.sentences[sentence])
        raise DocumentError(document.id, where, span, f"give 0 <= start < end <= {length}, the sentence's length")
    offset = document.sentence_starts[sentence]
    return offset + start, offset + end


def _cut_words(document: Document, cuts: Sequence[int]) -> tuple[list[str], list[tuple[int, int]], list[int]]:
    """The document's words, those around a cut in pieces; their offsets; and the first piece of each old word."""
    words = [word for sentence in document.sentences for word in sentence]
    if document.token_offsets is None or document.text is None:
        return words, [], list(range(len(words) + 1))
    offsets = [span for sentence in document.token_offsets for span in sentence]
    new_words: list[str] = []
    new_offsets: list[tuple[int, int]] = []
    pieces = [0]
    for word, (start, end) in zip(words, offsets, strict=True):
        inside = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        borders = [start, *inside, end]
        new_offsets += pairwise(borders)
        new_words += [document.text[a:b] for a, b in pairwise(borders)] if inside else [word]
        pieces.append(len(new_words))
    return new_words, new_offsets, pieces


def _words_inside(
    document: Document, where: str, span: tuple[int, int], offsets: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """The range of words inside a character range that cuts through no word."""
    first = bisect_left(offsets, span[0], key=lambda word: word[0])
    end = bisect_right(offsets, span[1], key=lambda word: word[1])
    if first >= end:
        found = (document.text or "")[slice(*span)]
        raise DocumentError(document.id, f"{where} (char_start, char_end)", span, f"{found!r} holds no word; mark one")
    return first, end


def _merge_sentences(starts: Sequence[int], ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Sentence starts (and as last item the number of words) without those strictly inside a range of words."""
    inside = {
        border for start, end in ranges for border in starts[bisect_right(starts, start) : bisect_left(starts, end)]
    }
    return [start for start in starts if start not in inside]
