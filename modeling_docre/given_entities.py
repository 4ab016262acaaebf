"""Entities that are given: from their many forms into a document, by characters or words, with no mention moved."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from threading import Event
from typing import Any

from .document_parsing import is_position, parse, to_plain
from .documents import Document, DocumentError, Entity, Mention, numbers_of

logger = logging.getLogger(__name__)

_WARNED = Event()


def give_entities(
    document: Document,
    entities: Any,
    offsets: str = "characters",
    types: Mapping[str, str | None] | None = None,
    typed: bool = True,
) -> Document:
    """`place_entities`, with other units and names; warns once where mentions cut words apart or have blank ends.

    Args:
        document, entities: as for `place_entities`.
        offsets: what offsets of dicts count, `"characters"` or `"utf-16"` units (as browsers, Java and C# do).
        types: names of the model by those of the user, where they differ; None leaves the entities of a type out.
        typed: whether each entity needs a type; where not, a missing one becomes "".

    Raises:
        DocumentError: as for `place_entities`, or an offset points into a character.
    """
    given, names = _records(document, entities, typed), types or {}
    named = {number: {**record, "type": names.get(record["type"], record["type"])} for number, record in given.items()}
    records = {number: record for number, record in named.items() if record["type"] is not None}
    if offsets == "utf-16" and document.text is not None:
        _count_characters(document.id, document.text, records, [isinstance(entity, Entity) for entity in entities])
    placed = _place(document, records)
    _warn_of_cuts(document, placed)
    return placed


def rename_types(document: Document, types: Mapping[str, Any]) -> Document:
    """The document by other names of entity types, without relations and without entities of a type named None."""
    named = [replace(entity, type=types.get(entity.type, entity.type)) for entity in document.entities]
    kept = {old: new for new, old in enumerate(n for n, entity in enumerate(named) if entity.type is not None)}
    asked = (item for item in document.candidates or () if item.head in kept and item.tail in kept)
    pairs = document.candidates and tuple(replace(item, head=kept[item.head], tail=kept[item.tail]) for item in asked)
    entities = tuple(named[number] for number in kept)
    return replace(document, entities=entities, relations=(), candidates=pairs, soft_relations=None)


def _count_characters(document_id: str, text: str, records: Mapping[int, Any], objects: Sequence[bool]) -> None:
    """Put characters in place of UTF-16 offsets but in records of objects, which count characters."""
    places = list(accumulate((1 + (letter > "\uffff") for letter in text), initial=0))  # of each border of characters
    for number, record in records.items():
        for position, mention in enumerate([] if objects[number] else record["mentions"]):
            for name in ("char_start", "char_end"):
                if not is_position(unit := mention.get(name)):
                    continue
                mention[name] = character = bisect_left(places, unit)
                if character == len(places) or places[character] != unit:
                    where = f"entities[{number}].mentions[{position}].{name}"
                    fix = f"the text has {places[-1]} UTF-16 units, and none of its characters has a border here"
                    raise DocumentError(document_id, where, unit, f"{fix}; count again")


def _warn_of_cuts(before: Document, placed: Document) -> None:
    if _WARNED.is_set():
        return
    spans = [mention.char_range for entity in placed.entities for mention in entity.mentions if mention.char_range]
    edges = ((placed.text or "")[place] for start, end in spans for place in (start, end - 1))
    if placed.sentence_starts[-1] > before.sentence_starts[-1] or any(map(str.isspace, edges)):
        _WARNED.set()
        logger.warning(
            "document %r: a given mention begins or ends inside a word or at a blank. Are the offsets counted in "
            'another text, in bytes, or in UTF-16 units as browsers do? For these give offsets="utf-16"',
            placed.id,
        )


def place_entities(document: Document, entities: Sequence[Entity | Mapping[str, Any]]) -> Document:
    """Put entities that a user marked into a document, in place of its own; it loses its relations and candidates.

    A mention is given by `char_start` and `char_end` in the document's text, or by `sentence`, `start` and `end` in
    its words; of both the characters count if the document knows those of its words. No mention is moved: a word that a
    mention's border cuts through becomes two words, and two sentences that a mention spans become one.

    Args:
        document: words, and for character offsets their `text` and `token_offsets`.
        entities: entities or their dict forms, `{"type": str, "mentions": [mention, ...]}`; or a flat list, one dict
            per mention with `start` and `end` in characters and its type as `label`, `entity_group`, `entity` or
            `type`.

    Raises:
        DocumentError: an entity lacks its type or its mentions, or a mention lies outside the text, holds no word, or
            is a piece of one.
    """
    return _place(document, _records(document, entities))


def _place(document: Document, records: Mapping[int, dict[str, Any]]) -> Document:
    """The document with the entities of these dict forms, to which the places of mentions are added."""
    mentions = {
        f"entities[{number}].mentions[{position}]": mention
        for number, record in records.items()
        for position, mention in enumerate(record["mentions"])
    }
    characters = {where: _char_range(document, where, mention) for where, mention in mentions.items()}
    cuts = sorted({border for span in characters.values() if span for border in span})
    words, offsets, pieces = _cut_words(document, cuts)
    ranges = {}
    for where, mention in mentions.items():
        if span := characters[where]:
            ranges[where] = _words_inside(document, where, span, offsets)
        else:
            start, end = _word_range(document, where, mention)
            ranges[where] = pieces[start], pieces[end]
    starts = _merge_sentences([pieces[start] for start in document.sentence_starts], list(ranges.values()))
    for where, (start, end) in ranges.items():
        sentence = bisect_right(starts, start) - 1
        mentions[where] |= {"sentence": sentence, "start": start - starts[sentence], "end": end - starts[sentence]}
        span = characters[where]
        if span is None and offsets[start][0] < offsets[end - 1][1]:
            span = offsets[start][0], offsets[end - 1][1]
        if span:
            mentions[where] |= {"char_start": int(span[0]), "char_end": int(span[1])}
    sections = list(pairwise(starts))
    return Document(
        document.id,
        tuple(tuple(words[start:end]) for start, end in sections),
        tuple(parse(Entity, record, f"entities[{n}]", document.id) for n, record in records.items()),
        text=document.text,
        token_offsets=document.token_offsets and tuple(tuple(offsets[start:end]) for start, end in sections),
    )


def _records(document: Document, entities: Any, typed: bool = True) -> dict[int, dict[str, Any]]:
    """The dict form of each entity by number, with those of its mentions; a missing type is "" where none is needed."""
    if not isinstance(entities, list | tuple):
        fix = 'give a list of entities, {"type": ..., "mentions": [{"char_start": ..., "char_end": ...}, ...]}'
        raise DocumentError(document.id, "entities", entities, fix)
    records = {}
    for number, entity in enumerate(entities):
        where = f"entities[{number}]"
        record = _nested(document.id, where, _record(entity, Entity) or {})
        if record.get("type") is None and not typed:
            record["type"] = ""
        mentions = record.get("mentions")
        if not isinstance(mentions, list | tuple) or not mentions or not isinstance(record.get("type"), str):
            fix = 'give a dict with its "type" (a string) and its "mentions" (a list of at least one)'
            raise DocumentError(document.id, where, entity, fix)
        plain = [_record(mention, Mention) for mention in mentions]
        if None in plain:
            wrong, fix = plain.index(None), "give a dict with char_start and char_end"
            raise DocumentError(document.id, f"{where}.mentions[{wrong}]", mentions[wrong], fix)
        records[number] = {**record, "mentions": plain}
    return records


def _record(value: Any, kind: type) -> dict[str, Any] | None:
    """A copy of a dict form, or the dict form of an object of this kind."""
    if isinstance(value, Mapping):
        return dict(value)
    return to_plain(value) if isinstance(value, kind) else None


def _nested(document_id: str, where: str, record: dict[str, Any]) -> dict[str, Any]:
    """An entity of a flat list as one with a single mention."""
    if "mentions" in record or "sentence" in record or not {"start", "end"} <= record.keys():
        return record
    names = (record.get(name) for name in ("label", "entity_group", "entity", "type"))
    kind = next((name for name in names if name is not None), None)
    if "index" in record and isinstance(kind, str) and kind[:2] in ("B-", "I-"):
        fix = 'this is a piece of a mention; let the tool join them, in transformers by aggregation_strategy="simple"'
        raise DocumentError(document_id, where, record, fix)
    mention = {"char_start": record["start"], "char_end": record["end"], "name": record.get("text")}
    return {"type": kind, "mentions": [mention], "score": record.get("score")}


def _char_range(document: Document, where: str, mention: Mapping[str, Any]) -> tuple[int, int] | None:
    """The mention's range in the text, or None where it is given in words."""
    span: tuple[Any, Any] = mention.get("char_start"), mention.get("char_end")
    start, end = span
    known = document.text is not None and document.token_offsets is not None
    if span == (None, None) or (not known and mention.get("start") is not None):
        return None
    text = document.text or ""
    if not known:
        fix = "the document has no token_offsets into a text; give sentence, start and end"
    elif not (is_position(start) and is_position(end) and start < end <= len(text)):
        fix = f"give whole numbers with 0 <= char_start < char_end <= {len(text)}, the length of the text"
    elif isinstance(name := mention.get("name"), str) and name.split() != text[start:end].split():
        fix = f"this is {text[start:end]!r}, the mention's name is {name!r}; count characters, or leave out the name"
    else:
        return start, end
    raise DocumentError(document.id, f"{where} (char_start, char_end)", span, fix)


def _word_range(document: Document, where: str, mention: Mapping[str, Any]) -> tuple[int, int]:
    """The range in document word indices of a mention given by sentence and words."""
    span: tuple[Any, ...] = tuple(mention.get(name) for name in ("sentence", "start", "end"))
    sentence, start, end = span
    if not all(map(is_position, span)):
        fix = "give char_start and char_end, or sentence, start and end, as whole numbers from 0 on"
    elif sentence >= len(document.sentences):
        fix = numbers_of("sentences", len(document.sentences))
    elif not start < end <= len(document.sentences[sentence]):
        fix = f"give 0 <= start < end <= {len(document.sentences[sentence])}, the sentence's length"
    else:
        return document.sentence_starts[sentence] + start, document.sentence_starts[sentence] + end
    raise DocumentError(document.id, f"{where} (sentence, start, end)", span, fix)


def _cut_words(document: Document, cuts: Sequence[int]) -> tuple[list[str], list[tuple[int, int]], list[int]]:
    """The words, those around a cut in pieces; their offsets, or zeros; and the first piece of each old word."""
    words = [word for sentence in document.sentences for word in sentence]
    offsets = [span for sentence in document.token_offsets or () for span in sentence] or [(0, 0)] * len(words)
    for (_, end), (start, _) in pairwise(offsets):
        if cuts and start < end:  # a range of characters would be no range of words
            fix = "words must ascend in the text for mentions in characters; give sentence, start and end instead"
            raise DocumentError(document.id, "token_offsets", (end, start), fix)
    new_words: list[str] = []
    new_offsets: list[tuple[int, int]] = []
    pieces = [0]
    for word, (start, end) in zip(words, offsets, strict=True):
        inside = cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]
        spans = list(pairwise([start, *inside, end]))
        new_offsets += spans
        new_words += [(document.text or "")[a:b] for a, b in spans] if inside else [word]
        pieces.append(len(new_words))
    return new_words, new_offsets, pieces


def _words_inside(
    document: Document, where: str, span: tuple[int, int], offsets: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """The range of words inside a character range that cuts through no word."""
    first = bisect_left(offsets, span[0], key=lambda word: word[0])
    end = bisect_right(offsets, span[1], key=lambda word: word[1])
    if first >= end:
        marked = (document.text or "")[slice(*span)]
        raise DocumentError(document.id, f"{where} (char_start, char_end)", span, f"{marked!r} holds no word; mark one")
    return first, end


def _merge_sentences(starts: Sequence[int], ranges: Sequence[tuple[int, int]]) -> list[int]:
    """Sentence starts (and as last item the number of words) without those strictly inside a range of words."""
    inside = {
        border for start, end in ranges for border in starts[bisect_right(starts, start) : bisect_left(starts, end)]
    }
    return [start for start in starts if start not in inside]
