"""A long document read in sections: where it is cut, and how the results of its sections become one."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, combinations, pairwise
from typing import Any, NamedTuple

from .documents import Document, Entity, Mention, MentionPair, Relation, Sections
from .merging import local_entities, same_things

OVERLAP = 5  # a fifth of a section belongs to the next one, too

Span = tuple[int, int, int]
"""Sentence, first word and end."""


class Piece(NamedTuple):
    """A sentence of the whole, or a part of one, and how many words of its section it has on either side at least."""

    sentence: int
    start: int
    end: int
    context: float = math.inf


class Place(NamedTuple):
    """What an entity of a section is in the whole: its number, and the position of each mention that is still its."""

    entity: int
    mentions: Sequence[int | None]


@dataclass(frozen=True)
class Section:
    """Consecutive pieces of a document as a document of its own, and the places of its given entities."""

    document: Document
    pieces: Sequence[Piece]
    places: Sequence[Place] = ()


@dataclass(frozen=True)
class SectionedDocument:
    """A document and its sections, which have its entities and candidates if these are `given`."""

    whole: Document
    sections: Sequence[Section]
    given: bool

    @classmethod
    def cut(cls, whole: Document, words: int, given: bool, overlapping: bool = True) -> SectionedDocument:
        """Cut a document into sections of at most `words` words, from 1 on.

        They end where a paragraph or a longer one's sentence ends. A longer sentence is cut, too, but not inside a
        given mention. Neighbours share what fits into a fifth of a section, if `overlapping`.
        """
        mentions: defaultdict[int, list[tuple[int, int, Mention]]] = defaultdict(list)  # by sentence
        for number, entity in enumerate(whole.entities if given else ()):
            for position, mention in enumerate(entity.mentions):
                mentions[mention.sentence].append((number, position, mention))
        pieces = [
            Piece(number, *part)
            for number, sentence in enumerate(whole.sentences)
            for part in _parts(len(sentence), words, [mention for *_, mention in mentions[number]])
        ]
        ends = [0, *accumulate(piece.end - piece.start for piece in pieces)]
        borders = _borders(whole, pieces, ends, words)
        sections = []
        for start, end in section_ranges([ends[n] for n in borders], words, words // OVERLAP if overlapping else 0):
            first, stop = borders[start], borders[end]
            left = ends[first] if first else -math.inf
            right = ends[stop] if stop < len(pieces) else math.inf
            own = [pieces[n]._replace(context=min(ends[n] - left, right - ends[n + 1])) for n in range(first, stop)]
            document = Document(whole.id, tuple(whole.sentences[n][start:end] for n, start, end, _ in own))
            sections.append(_with_entities(whole, document, own, mentions) if given else Section(document, own))
        return cls(whole, sections, given)

    def unite(self, results: Sequence[Document], by_names: bool = True) -> Document:
        """The result of the whole, from that of each section.

        Found entities become one by `same_things` if `by_names`, otherwise only where all their mentions are the same.
        """
        given = self.whole.entities, [section.places for section in self.sections]
        entities, places = given if self.given else self._found(results, by_names)
        statements: defaultdict[tuple[int, int, str], list[Any]] = defaultdict(list)
        for section, result, known in zip(self.sections, results, places, strict=True):
            for relation in result.relations:
                head, tail = known[relation.head], known[relation.tail]
                if head.entity != tail.entity:
                    statement = relation, section.pieces, head.mentions, tail.mentions
                    statements[head.entity, tail.entity, relation.type].append(statement)
        relations = [replace(_united(said), head=head, tail=tail) for (head, tail, _), said in statements.items()]
        relations.sort(key=lambda relation: -(relation.score or 0))
        ranges = tuple((section.pieces[0].sentence, section.pieces[-1].sentence + 1) for section in self.sections)
        stated = Sections(ranges, self._unscored_pairs() if self.given else None)
        unknown: dict[str, Any] = dict.fromkeys(("candidates", "complete", "soft_relations"))
        return replace(self.whole, entities=entities, relations=tuple(relations), sections=stated, **unknown)

    def _unscored_pairs(self) -> int:
        """How many of the ordered entity pairs that are asked about share no section."""
        own = (sorted(place.entity for place in section.places) for section in self.sections)
        together = {pair for entities in own for pair in combinations(entities, 2)}
        count = len(self.whole.entities)
        if self.whole.candidates is None:
            return count * (count - 1) - 2 * len(together)
        asked = {(item.head, item.tail) for item in self.whole.candidates if item.scored}
        return sum((min(pair), max(pair)) not in together for pair in asked)

    def _found(self, results: Sequence[Document], by_names: bool) -> tuple[tuple[Entity, ...], list[Sequence[Place]]]:
        """The entities of the whole, and the places of each section's entities.

        A mention of two sections belongs to the entity of the one that has more words around it.
        """
        local = [(number, entity) for number, result in enumerate(results) for entity in result.entities]
        spans = [[self._span(number, mention) for mention in entity.mentions] for number, entity in local]
        claims = [
            (self.sections[number].pieces[mention.sentence].context, -position, span)
            for position, (number, entity) in enumerate(local)
            for span, mention in zip(spans[position], entity.mentions, strict=True)
        ]
        owners = {span: -position for _, position, span in sorted(claims)}  # the last claim of a span is the best
        own: dict[int, Entity] = {}
        for position, (_, entity) in enumerate(local):
            pairs = zip(spans[position], entity.mentions, strict=True)
            if mentions := tuple(self._mention(*pair) for pair in pairs if owners[pair[0]] == position):
                own[position] = replace(entity, mentions=mentions)
        groups = list(range(len(own)))
        if by_names:
            numbers = {position: number for number, position in enumerate(own)}
            shared = ((owners[span], position) for position in own for span in spans[position])
            linked = [(numbers[one], numbers[other]) for one, other in shared if one != other]
            named = Document(self.whole.id, self.whole.sentences, tuple(own.values()), text=self.whole.text)
            groups = same_things(local_entities(named), [local[position][0] for position in own], linked)
        order = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        members: list[list[Entity]] = [[] for _ in order]
        number_of = {position: order[group] for position, group in zip(own, groups, strict=True)}
        for position, number in number_of.items():
            members[number].append(own[position])
        entities = tuple(map(_merged, members))
        at = {(n, _words(m)): place for n, entity in enumerate(entities) for place, m in enumerate(entity.mentions)}
        places: list[list[Place]] = [[] for _ in results]
        for position, (section, _) in enumerate(local):
            # An entity that has lost all its mentions is what has the first one.
            number = number_of[position if position in own else owners[spans[position][0]]]
            places[section].append(Place(number, [at.get((number, span)) for span in spans[position]]))
        return entities, [*places]

    def _span(self, section: int, mention: Mention) -> Span:
        """The words of the whole that a section's mention is."""
        sentence, start, *_ = self.sections[section].pieces[mention.sentence]
        return sentence, start + mention.start, start + mention.end

    def _mention(self, span: Span, mention: Mention) -> Mention:
        """A section's mention at its place in the whole."""
        moved = Mention(*span, score=mention.score)
        if self.whole.token_offsets is None:
            return moved
        words = self.whole.token_offsets[moved.sentence][moved.start : moved.end]
        first, end = words[0][0], words[-1][1]
        return replace(moved, char_start=first, char_end=end) if first < end else moved


def section_ranges(ends: Sequence[int], words: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open ranges of pieces that are sections of at most `words` words, or of a single piece.

    `ends` [pieces + 1] counts the words before each piece and, last, all words. Neighbours share at most `overlap`
    words.
    """
    ranges: list[tuple[int, int]] = []
    start, count = 0, len(ends) - 1
    while not ranges or ranges[-1][1] < count:
        end = max(start + 1, bisect_right(ends, ends[start] + words) - 1)
        ranges.append((start, end))
        if end < count:
            fits = bisect_left(ends, ends[end + 1] - words)  # from there on a section has what comes next
            start = min(end, max(start + 1, fits, bisect_left(ends, ends[end] - overlap)))
    return ranges


def _borders(whole: Document, pieces: Sequence[Piece], ends: Sequence[int], words: int) -> list[int]:
    """The pieces at which a section may begin or end: those that begin a paragraph or lie in one of more words."""
    starts, text, offsets = [0], whole.text or "", whole.token_offsets or [()] * len(whole.sentences)
    for number, (before, piece) in enumerate(pairwise(pieces), 1):
        above, below = offsets[before.sentence], offsets[piece.sentence]
        if piece.start == 0 and above and below and text[above[-1][1] : below[0][0]].count("\n") > 1:
            starts.append(number)
    borders: list[int] = []
    for start, stop in pairwise([*starts, len(pieces)]):
        borders += range(start, stop) if ends[stop] - ends[start] > words else [start]
    return [*borders, len(pieces)]


def _parts(length: int, words: int, mentions: Iterable[Mention]) -> Iterator[tuple[int, int]]:
    """A sentence of `length` words, or its parts where it is too long for a section: short ones, which can overlap."""
    if length <= words:
        yield 0, length
        return
    inside = {word for mention in mentions for word in range(mention.start + 1, mention.end)}
    borders, position = [word for word in range(length + 1) if word not in inside], 0
    while borders[position] < length:
        last = bisect_right(borders, borders[position] + max(1, words // OVERLAP)) - 1
        end = max(last, position + 1)
        yield borders[position], borders[end]
        position = end


def _with_entities(
    whole: Document,
    document: Document,
    pieces: Sequence[Piece],
    mentions: Mapping[int, Sequence[tuple[int, int, Mention]]],
) -> Section:
    """A section with the entities and candidates of the whole that lie in it; `mentions` are those of each sentence."""
    kept: defaultdict[int, dict[int, Mention]] = defaultdict(dict)
    for number, (sentence, start, end, _) in enumerate(pieces):
        for entity, position, item in mentions[sentence]:
            if start <= item.start and item.end <= end:
                moved = Mention(number, item.start - start, item.end - start, item.name, item.type, item.score)
                kept[entity][position] = moved
    order = {entity: number for number, entity in enumerate(sorted(kept))}
    places = [Place(entity, sorted(kept[entity])) for entity in order]
    entities = (replace(whole.entities[n], mentions=tuple(dict(sorted(kept[n].items())).values())) for n in order)
    candidates = whole.candidates and tuple(
        replace(item, head=order[item.head], tail=order[item.tail])
        for item in whole.candidates
        if item.head in order and item.tail in order
    )
    return Section(replace(document, entities=tuple(entities), candidates=candidates), pieces, places)


def _words(mention: Mention) -> Span:
    return mention.sentence, mention.start, mention.end


def _merged(parts: Sequence[Entity]) -> Entity:
    """Entities that are one, with the type of most mentions and the best score."""
    counts = Counter(part.type for part in parts for _ in part.mentions)
    mentions = sorted((mention for part in parts for mention in part.mentions), key=_words)
    score = max((part.score for part in parts if part.score is not None), default=None)
    return Entity(counts.most_common(1)[0][0], tuple(mentions), score=score)


def _united(statements: Sequence[tuple[Relation, Sequence[Piece], Sequence[Any], Sequence[Any]]]) -> Relation:
    """One relation of what sections say of it: the best score, all evidence, all mention pairs with their best score.

    With each statement come its section's pieces, and where the mentions of its head and tail are in the whole.
    """
    weights: defaultdict[int, float] = defaultdict(float)
    pairs: dict[tuple[int, int], MentionPair] = {}
    for relation, pieces, heads, tails in statements:
        here: defaultdict[int, float] = defaultdict(float)
        for sentence, weight in zip(relation.evidence or (), relation.evidence_scores or (), strict=True):
            number = pieces[sentence].sentence
            here[number] = min(1.0, here[number] + weight)  # a pair between two parts counts in both
        for sentence, weight in here.items():
            weights[sentence] = max(weight, weights[sentence])
        for pair in relation.mention_pairs or ():
            ends = heads[pair.head_mention], tails[pair.tail_mention]
            if None not in ends and (pair.score or 0) >= (pairs.get(ends, pair).score or 0):
                pairs[ends] = replace(pair, head_mention=ends[0], tail_mention=ends[1])
    best = max((relation for relation, *_ in statements), key=lambda item: item.score or 0)
    if best.evidence is not None:
        order = sorted(weights)
        best = replace(best, evidence=tuple(order), evidence_scores=tuple(weights[n] for n in order))
    if best.mention_pairs is None:
        return best
    return replace(best, mention_pairs=tuple(sorted(pairs.values(), key=lambda pair: -(pair.score or 0))))
