"""Makes documents of marked texts: mentions of one thing become an entity, links between mentions become relations."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from modeling_docre.documents import Document, DocumentError
from modeling_docre.given_entities import place_entities
from modeling_docre.text import document_from_text

from .markup import UNITS, MarkedText, Span, check_ranges

CLUSTERS = ("links", "names")
COREFERENCE = re.compile("coref(er|ers|erence|erent)?(to|of|with|link)?|same(as|entity)?|equiv(alent)?|identity")
"""Link types that mean "the same entity", in lower case and without punctuation."""

MERGED_LINKS = "links between mentions of one entity (merged)"
MERGED_MENTIONS = "mentions merged into the entity of another mention"
REPEATED = "relations that repeat one of their entities (merged)"
REPEATED_MENTIONS = "mentions that repeat one of their entity (merged)"
SELF = "relations from an entity to itself (left out)"
UNTYPED = "mentions without a type (left out)"
OF_DROPPED = "relations whose mentions are left out (left out)"
MIXED = "entities of mixed mention types (the first mention's counts)"
SEVERAL_IDS = "entities with several concept ids (the first counts)"
CUT = "words cut in two at the border of a mention"
JOINED = "sentences joined because a mention spans them"


@dataclass(frozen=True)
class ReadingSettings:
    """How annotations become documents.

    Args:
        offsets: what offsets count where the format does not say, `"characters"` or `"utf-16"` units.
        cluster: which mentions become one entity: `"links"` (coreference links and equal concept ids), or `"names"`
            (also mentions of one type whose names are equal except for case and blanks).
        coreference: link types that mean "the same entity", as the file spells them; None for the usual ones.
        language: spaCy language code, for texts that are not cut into words yet.

    Raises:
        ValueError: a value is none of these.
    """

    offsets: str = "characters"
    cluster: str = "links"
    coreference: tuple[str, ...] | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        for name, known in (("offsets", UNITS), ("cluster", CLUSTERS)):
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} is {value!r}; give {' or '.join(map(repr, known))}")

    def means_same(self, link_type: str) -> bool:
        """Whether links of this type join mentions into one entity."""
        if self.coreference is not None:
            return link_type in self.coreference
        return COREFERENCE.fullmatch(re.sub(r"[\W_]", "", link_type.lower())) is not None


class _Groups:
    """Which keys belong together (disjoint sets)."""

    def __init__(self, keys: Iterable[Hashable]):
        self._parent = {key: key for key in keys}

    def find(self, key: Hashable) -> Hashable:
        while self._parent[key] != key:
            self._parent[key] = key = self._parent[self._parent[key]]
        return key

    def join(self, keys: Iterable[Hashable]) -> None:
        roots = [self.find(key) for key in keys]
        for root in roots:
            self._parent[root] = roots[0]


def to_document(marked: MarkedText, settings: ReadingSettings, counts: Counter[str]) -> Document:
    """The document of a marked text; what is merged, changed or left out is added to `counts`.

    Raises:
        DocumentError: a range does not fit the text, two mentions have the same key, or a link names a mention that
            the file does not have.
    """
    spans = _by_key(marked, settings.offsets)
    groups = _grouped(marked, spans, settings, counts)
    clusters = _clusters(spans, groups, counts)
    entities: list[dict[str, Any]] = []
    owners: dict[Hashable, int] = {}
    for members in clusters:
        owners.update((span.key, len(entities)) for span in members)
        entities.append(_entity(marked, members, counts))
    base = _words(marked, settings.language)
    document = place_entities(base, entities)
    counts[CUT] += document.sentence_starts[-1] - base.sentence_starts[-1]
    counts[JOINED] += len(base.sentences) - len(document.sentences)
    relations = _relations(marked, spans, owners, settings, counts)
    return Document.from_dict({**document.to_dict(), "relations": relations})


def _by_key(marked: MarkedText, offsets: str) -> dict[Hashable, Span]:
    """The spans by what links call them, with their ranges checked.

    Raises:
        DocumentError: two spans have the same key.
    """
    spans: dict[Hashable, Span] = {}
    for span in marked.spans if marked.text is None else check_ranges(marked, offsets):
        if span.key in spans:
            fix = "another mention of the document has this id; give each its own"
            raise DocumentError(marked.id, span.where, span.key, fix)
        spans[span.key] = span
    return spans


def cut_sections(text: str, name: str, sections: Iterable[tuple[int, int]], language: str = "en") -> Document:
    """Cut a text into sentences and words, each section separately, so that no sentence spans two of them.

    Args:
        text: the text.
        name: the document's id.
        sections: half-open character ranges, in order.
        language: spaCy language code.
    """
    sentences: list[tuple[str, ...]] = []
    offsets: list[tuple[tuple[int, int], ...]] = []
    for start, end in sections:
        part = document_from_text(text[start:end], name, language)
        sentences += part.sentences
        offsets += (tuple((start + a, start + b) for a, b in sentence) for sentence in part.token_offsets or ())
    return Document(name, tuple(sentences), text=text, token_offsets=tuple(offsets))


def _words(marked: MarkedText, language: str) -> Document:
    """The document without entities: the tool's own words and sentences where it has them, else spaCy's."""
    text = marked.text
    if text is None:
        return Document(marked.id, tuple(map(tuple, marked.sentences or ())))
    if marked.words is None:
        return cut_sections(text, marked.id, marked.sections or [(0, len(text))], language)
    sentences = tuple(tuple(text[start:end] for start, end in sentence) for sentence in marked.words)
    return Document(marked.id, sentences, text=text, token_offsets=tuple(map(tuple, marked.words)))


def _grouped(
    marked: MarkedText, spans: dict[Hashable, Span], settings: ReadingSettings, counts: Counter[str]
) -> _Groups:
    groups = _Groups(spans)
    for keys in marked.chains:
        groups.join(key for key in keys if key in spans)
    for link in marked.links:
        if settings.means_same(link.type) and _both_known(marked, spans, link):
            groups.join((link.head, link.tail))
            counts[MERGED_LINKS] += 1
    shared: dict[Any, Hashable] = {}
    for span in spans.values():
        for name in _shared_names(marked, span, settings):
            groups.join((shared.setdefault(name, span.key), span.key))
    return groups


def _shared_names(marked: MarkedText, span: Span, settings: ReadingSettings) -> list[Any]:
    """What mentions of one entity have in common."""
    names: list[Any] = [(span.type, "id", concept) for concept in span.concepts]
    if settings.cluster == "names" and span.type is not None:
        names.append((span.type, "name", " ".join(_quoted(marked, span).casefold().split())))
    return names


def _quoted(marked: MarkedText, span: Span) -> str:
    if marked.text is not None:
        return marked.text[span.start : span.end]
    return " ".join(list(chain.from_iterable(marked.sentences or ()))[span.start : span.end])


def _clusters(spans: dict[Hashable, Span], groups: _Groups, counts: Counter[str]) -> list[list[Span]]:
    """The mentions of each entity in text order; entities are in the order of their first mention."""
    by_root: dict[Hashable, list[Span]] = {}
    for span in sorted(spans.values(), key=lambda span: (span.start, span.end)):
        by_root.setdefault(groups.find(span.key), []).append(span)
    clusters = [members for members in by_root.values() if any(span.type is not None for span in members)]
    counts[UNTYPED] += len(spans) - sum(map(len, clusters))
    counts[MERGED_MENTIONS] += sum(len(members) - 1 for members in clusters)
    return clusters


def _entity(marked: MarkedText, members: list[Span], counts: Counter[str]) -> dict[str, Any]:
    """The dict form of an entity, for `place_entities`."""
    kind = next(span.type for span in members if span.type is not None)
    own = {(span.start, span.end): span for span in reversed(members)}
    concepts = list(dict.fromkeys(concept for span in members for concept in span.concepts))
    types = {span.type for span in members} - {None}
    counts[REPEATED_MENTIONS] += len(members) - len(own)
    counts[MIXED] += len(types) > 1
    counts[SEVERAL_IDS] += len(concepts) > 1
    mentions = [
        _place(marked, span) | ({"type": span.type} if span.type not in (None, kind) else {})
        for span in sorted(own.values(), key=lambda span: (span.start, span.end))
    ]
    return {"type": kind, "mentions": mentions, "id": concepts[0] if concepts else None}


def _place(marked: MarkedText, span: Span) -> dict[str, Any]:
    if marked.text is not None:
        return {"char_start": span.start, "char_end": span.end}
    starts = [0]
    for sentence in marked.sentences or ():
        starts.append(starts[-1] + len(sentence))
    if not 0 <= span.start < span.end <= starts[-1]:
        fix = f"give 0 <= start < end <= {starts[-1]}, the number of words"
        raise DocumentError(marked.id, f"{span.where} (start, end)", (span.start, span.end), fix)
    number = bisect_right(starts, span.start) - 1
    if span.end > starts[number + 1]:
        fix = f"sentence {number} ends at word {starts[number + 1]}; mark mentions inside one sentence"
        raise DocumentError(marked.id, f"{span.where} (start, end)", (span.start, span.end), fix)
    return {"sentence": number, "start": span.start - starts[number], "end": span.end - starts[number]}


def _both_known(marked: MarkedText, spans: dict[Hashable, Span], link: Any) -> bool:
    """Whether both ends of a link are mentions; False where one was left out."""
    for key in (link.head, link.tail):
        if key not in spans and key not in marked.dropped:
            fix = f"no mention of the document has this id; it has {len(spans)}. Correct or delete the relation"
            raise DocumentError(marked.id, link.where, key, fix)
    return link.head in spans and link.tail in spans


def _relations(
    marked: MarkedText,
    spans: dict[Hashable, Span],
    owners: dict[Hashable, int],
    settings: ReadingSettings,
    counts: Counter[str],
) -> list[dict[str, Any]]:
    """The relations between entities, in the order of the file."""
    relations: dict[tuple[int, int, str], None] = {}
    for link in marked.links:
        if not _both_known(marked, spans, link) or link.head not in owners or link.tail not in owners:
            counts[OF_DROPPED] += 1
            continue
        if settings.means_same(link.type):
            continue
        fact = (owners[link.head], owners[link.tail], link.type)
        if fact[0] == fact[1]:
            counts[SELF] += 1
        elif fact in relations:
            counts[REPEATED] += 1
        relations[fact] = None
    return [{"head": a, "tail": b, "type": kind} for a, b, kind in relations if a != b]
