"""Entities that a user marks in a text: for models that relate given entities, and for users who know better."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from views import highlighted

from modeling_docre.graphs.names import names
from modeling_docre.graphs.picture import colour

BY_NAME, NEW = "name", "new"
"""Which entity a marked span belongs to, besides the number of one: that of its name, or a new one."""

Span = tuple[int, int]
"""Half-open character range in the text."""


@dataclass(frozen=True)
class Marked:
    """An entity: its type and its mentions, in the order in which they were marked."""

    type: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Marks:
    """A text and the entities that are marked in it."""

    text: str = ""
    entities: tuple[Marked, ...] = ()

    @classmethod
    def of_names(cls, text: str, entities: Sequence[tuple[str, Sequence[str]]]) -> Marks:
        """The entities of these types and names; each place of a name that lies in no longer one is a mention."""
        owners = {name: number for number, (_, called) in enumerate(entities) for name in called}
        spans: list[list[Span]] = [[] for _ in entities]
        for span in _places(text, list(owners)):
            spans[owners[text[slice(*span)]]].append(span)
        marked = (Marked(kind, tuple(some)) for (kind, _), some in zip(entities, spans, strict=True) if some)
        return cls(text, tuple(marked))

    def add(self, span: Span, kind: str, entity: str | int = BY_NAME, everywhere: bool = False) -> Marks:
        """The marks with one more.

        Args:
            span: what was selected; blanks at its ends do not count.
            kind: the entity type; that of an entity which is there already is kept.
            entity: `BY_NAME`, `NEW`, or the number of an entity.
            everywhere: whether the other places of the same words are mentions of the entity, too.

        Raises:
            ValueError: nothing is selected, or it is marked already.
        """
        start, end = _trimmed(self.text, span)
        name = self.text[start:end]
        if not name:
            raise ValueError("Nothing is selected; select some words in the text above, then mark them.")
        if any((start, end) in other.spans for other in self.entities):
            raise ValueError(f"“{name}” is marked here already; remove the mark to give it another entity.")
        number = self._entity_of(name, kind) if entity == BY_NAME else None if entity == NEW else int(entity)
        places = [(start, end), *(self._free_places(name, (start, end)) if everywhere else ())]
        if number is None:
            return replace(self, entities=(*self.entities, Marked(kind, tuple(places))))
        changed = list(self.entities)
        changed[number] = replace(changed[number], spans=(*changed[number].spans, *places))
        return replace(self, entities=tuple(changed))

    def _entity_of(self, name: str, kind: str) -> int | None:
        """The entity of this type that has a mention of this name."""
        named = (
            number
            for number, entity in enumerate(self.entities)
            if entity.type == kind and any(self.text[slice(*span)] == name for span in entity.spans)
        )
        return next(named, None)

    def _free_places(self, name: str, chosen: Span) -> list[Span]:
        """The other places of a name that no mark touches."""
        taken = [chosen, *(span for entity in self.entities for span in entity.spans)]
        return [
            (start, end)
            for start, end in _places(self.text, [name])
            if all(end <= first or last <= start for first, last in taken)
        ]

    def remove(self, span: Span) -> Marks:
        """The marks without one; an entity without mentions goes, too."""
        kept = (
            replace(entity, spans=tuple(other for other in entity.spans if other != span)) for entity in self.entities
        )
        return replace(self, entities=tuple(entity for entity in kept if entity.spans))

    def moved(self, text: str) -> Marks:
        """The marks in the text after an edit; those that it touched go."""
        if text == self.text or not self.entities:
            return replace(self, text=text)
        before = _equal(self.text, text)
        after = _equal(self.text[before:][::-1], text[before:][::-1])
        border, shift = len(self.text) - after, len(text) - len(self.text)
        kept = []
        for entity in self.entities:
            spans = [span for span in entity.spans if span[1] <= before]
            spans += [(start + shift, end + shift) for start, end in entity.spans if start >= border]
            kept += [replace(entity, spans=tuple(spans))] if spans else []
        return Marks(text, tuple(kept))

    def given(self) -> list[dict[str, Any]]:
        """The entities as the pipeline takes them."""
        return [
            {"type": entity.type, "mentions": [{"char_start": start, "char_end": end} for start, end in entity.spans]}
            for entity in self.entities
        ]

    def choices(self) -> list[tuple[str, str | int]]:
        """What a new mark may belong to, each with how it is called."""
        known = [
            (f"{name} · {entity.type}", number)
            for number, (name, entity) in enumerate(zip(names(self._graph()), self.entities, strict=True))
        ]
        return [("the one of this name", BY_NAME), ("a new one", NEW), *known]

    def _graph(self) -> dict[str, Any]:
        """The marks as a graph without relations, its text as one sentence."""
        return {"text": self.text, "token_offsets": [[[0, len(self.text)]]], "entities": self.given(), "relations": []}

    def html(self, problem: str = "") -> str:
        """The text with its marks, and per entity its mentions with buttons that remove them."""
        said = problem or (
            "" if self.entities else "No entity is marked yet. Select some words in the text above, then mark them."
        )
        parts = [f'<p role="status" class="{"hint" if problem else "faint"}">{escape(said)}</p>']
        if self.entities:
            parts += [highlighted(self._graph()), f"<ul>{''.join(self._items())}</ul>"]
        return f'<div class="docre marks">{"".join(parts)}</div>'

    def _items(self) -> Iterator[str]:
        """A list item per entity."""
        for number, (name, entity) in enumerate(zip(names(self._graph()), self.entities, strict=True)):
            shown = f'style="background:{colour(number)}">{escape(name)} · {escape(entity.type)}'
            buttons = "".join(map(self._button, entity.spans))
            yield f'<li><span class="entity" dir="auto" {shown}</span>{buttons}</li>'

    def _button(self, span: Span) -> str:
        name, place = escape(self.text[slice(*span)]), f"{span[0]}-{span[1]}"
        label = f"Remove the mention {name} at character {span[0]}"
        return (
            f'<button type="button" data-remove="{place}" aria-label="{label}"><bdi>{name}</bdi> '
            '<span aria-hidden="true">×</span></button>'
        )


def in_characters(text: str, units: int) -> int:
    """A place that a browser gives, in UTF-16 units, as a number of characters."""
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", errors="ignore"))


def span_of(place: str) -> Span:
    """The span that a button names."""
    start, _, end = place.partition("-")
    return int(start), int(end)


def _trimmed(text: str, span: Span) -> Span:
    start, end = span
    selected = text[start:end]
    return start + len(selected) - len(selected.lstrip()), end - len(selected) + len(selected.rstrip())


def _equal(one: str, other: str) -> int:
    """How many characters at their beginnings are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))


def _places(text: str, called: Sequence[str]) -> list[Span]:
    """Where the names stand as whole words, longer names first, none inside another."""
    longest = sorted(map(re.escape, called), key=len, reverse=True)
    return [match.span() for match in re.finditer(rf"(?<!\w)(?:{'|'.join(longest)})(?!\w)", text)]
