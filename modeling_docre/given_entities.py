"""Entities as users and their tools give them: flat lists, types by other names, offsets in other units."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from numbers import Integral
from threading import Event
from typing import Any

from .documents import Document, DocumentError, Entity

logger = logging.getLogger(__name__)

_WARNED = Event()


def given_entities(
    document_id: str,
    text: str | None,
    entities: Any,
    offsets: str = "characters",
    types: Mapping[str, str] | None = None,
    typed: bool = True,
) -> Any:
    """Entities as users and their tools give them, in the form that `place_entities` reads; what is wrong stays so.

    Args:
        document_id: name of the document, for messages.
        text: the text into which offsets point, None for words.
        entities: entities or their dict forms; or a flat list, one dict per mention with `start` and `end` in
            characters and its type as `label`, `entity_group`, `entity` or `type`.
        offsets: what `char_start`, `char_end` and flat offsets count, `"characters"` or `"utf-16"` units.
        types: names of the model by those of the user, for types that are called otherwise.
        typed: whether each entity needs a type; where not, a missing one becomes "".

    Raises:
        DocumentError: a flat list holds pieces of mentions, or an offset points into a character.
    """
    if not isinstance(entities, list | tuple):
        return entities
    places = None
    if offsets == "utf-16" and text is not None:
        places = list(accumulate((1 + (character > "\uffff") for character in text), initial=0))
    read = []
    for number, entity in enumerate(entities):
        entity = _nested(document_id, number, entity)
        if types or not typed:
            entity = _typed(entity, types or {}, typed)
        if places:
            entity = _in_characters(document_id, number, entity, places)
        read.append(entity)
    return read


def _nested(document_id: str, number: int, item: Any) -> Any:
    """An entity of a flat list as one with a single mention."""
    if not isinstance(item, Mapping) or "mentions" in item or not {"start", "end"} <= item.keys() or "sentence" in item:
        return item
    kind = next(
        (item[name] for name in ("label", "entity_group", "entity", "type") if item.get(name) is not None), None
    )
    if "index" in item and isinstance(kind, str) and kind[:2] in ("B-", "I-"):
        fix = 'this is a piece of a mention; let the tool join them, in transformers by aggregation_strategy="simple"'
        raise DocumentError(document_id, f"entities[{number}]", item, fix)
    mention = {"char_start": item["start"], "char_end": item["end"], "name": item.get("text")}
    return {"type": kind, "mentions": [mention], "score": item.get("score")}


def _typed(entity: Any, types: Mapping[str, str], typed: bool) -> Any:
    """The entity with the model's name of its type."""
    if not isinstance(entity, Entity | Mapping):
        return entity
    kind = field_of(entity, "type")
    kind = "" if kind is None and not typed else types.get(kind, kind)
    return {**entity, "type": kind} if isinstance(entity, Mapping) else replace(entity, type=kind)


def _in_characters(document_id: str, number: int, entity: Any, places: Sequence[int]) -> Any:
    """The entity with the characters at its UTF-16 offsets; `places` [characters + 1] are those of the text's."""
    if not isinstance(entity, Mapping) or not isinstance(entity.get("mentions"), list | tuple):
        return entity
    mentions = []
    for position, mention in enumerate(entity["mentions"]):
        if isinstance(mention, Mapping):
            for name in ("char_start", "char_end"):
                where = f"entities[{number}].mentions[{position}].{name}"
                unit: Any = mention.get(name)
                if is_position(unit):
                    mention = {**mention, name: _character(document_id, where, unit, places)}
        mentions.append(mention)
    return {**entity, "mentions": mentions}


def _character(document_id: str, where: str, unit: int, places: Sequence[int]) -> int:
    """The position in characters of a UTF-16 unit."""
    character = bisect_left(places, unit)
    if character == len(places) or places[character] != unit:
        fix = f"the text has {places[-1]} UTF-16 units, and none of its characters has a border here; count again"
        raise DocumentError(document_id, where, unit, fix)
    return character


def warn_of_cuts(before: Document, placed: Document) -> Document:
    """Say once in a process where given mentions cut words apart or begin or end in a blank; the document with them."""
    cut = len(placed.sentences) and placed.sentence_starts[-1] > before.sentence_starts[-1]
    if _WARNED.is_set() or not (cut or any(map(str.isspace, _edges(placed)))):
        return placed
    _WARNED.set()
    logger.warning(
        "document %r: a given mention begins or ends inside a word or at a blank. Are the offsets counted in another "
        'text, in bytes, or in UTF-16 units as browsers do? For these give offsets="utf-16"',
        placed.id,
    )
    return placed


def _edges(document: Document) -> Iterator[str]:
    """The first and last character of each mention that is given in characters."""
    for entity in document.entities:
        for mention in entity.mentions:
            if document.text is not None and mention.char_start is not None and mention.char_end is not None:
                yield document.text[mention.char_start]
                yield document.text[mention.char_end - 1]


def field_of(record: Any, name: str) -> Any:
    """A field of an entity or mention, or of its dict form."""
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name)


def is_position(value: Any) -> bool:
    """Whether a value is a whole number from 0 on, of Python or of NumPy."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 0
