"""The interchange format: a document, its entities with their mentions, and the relations between entities.

All parts speak this one format, as dataclasses or as plain JSON-able dicts (`Document.to_dict`, `Document.from_dict`).
A document that exists is valid: every construction is checked, and one `DocumentError` names what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from .document_parsing import WHOLE, DocumentError, check_encoding, parse, to_plain


@dataclass(frozen=True, slots=True)
class Mention:
    """A span of words inside one sentence that refers to an entity.

    `start` and `end` are half-open word offsets within sentence number `sentence`; `char_start` and `char_end` are
    half-open character offsets into the document's `text`. `name` is the string that the source file gives for the
    mention where it differs from the words, `type` the mention's own type where a corpus annotates one.
    """

    sentence: int
    start: int
    end: int
    name: str | None = None
    type: str | None = None
    score: float | None = None
    char_start: int | None = None
    char_end: int | None = None

    @property
    def char_range(self) -> tuple[int, int] | None:
        """`char_start` and `char_end`, None where the mention's characters are not known."""
        return None if self.char_start is None or self.char_end is None else (self.char_start, self.char_end)


@dataclass(frozen=True, slots=True)
class Entity:
    """A cluster of mentions that refer to the same thing, with one entity type; `id` is its concept id, if any."""

    type: str
    mentions: tuple[Mention, ...]
    id: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class MentionPair:
    """A pair of mentions that carried a relation: positions in the head's and in the tail's `mentions`.

    `score` is its share in the decision, `key_score` the probability that the pair is key, and `relation_score` that of
    the relation by this pair alone, from models that tell. `head_offsets` and `tail_offsets` are the half-open
    character ranges of both mentions in the document's `text`.
    """

    head_mention: int
    tail_mention: int
    score: float | None = None
    key_score: float | None = None
    relation_score: float | None = None
    head_offsets: tuple[int, int] | None = None
    tail_offsets: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A directed, typed relation between two entities, given by their positions in `Document.entities`.

    `label` is the readable name of `type`, `evidence` the sentences that state the relation, `mention_pairs` the
    mention pairs that a model decided it by. `origin` is "human" or "model" where documents hold labels of both;
    `sentence_weights` are a teacher's weights of all sentences for the entity pair, in the precision of float16.
    """

    head: int
    tail: int
    type: str
    label: str | None = None
    score: float | None = None
    evidence: tuple[int, ...] | None = None
    evidence_scores: tuple[float, ...] | None = None
    mention_pairs: tuple[MentionPair, ...] | None = None
    origin: str | None = None
    sentence_weights: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class SoftRelation:
    """A teacher's calibrated score, from 0 to 1, for a type of an entity pair, whether the relation holds or not."""

    head: int
    tail: int
    type: str
    score: float


@dataclass(frozen=True, slots=True)
class Completeness:
    """Whether all mentions and all relations of a document are labelled; where not, what lacks a label is unknown."""

    mentions: bool = True
    relations: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entity pair that a corpus asks about; `scored` is False for pairs that its scorer leaves out."""

    head: int
    tail: int
    scored: bool = True
    cross: bool | None = None


@dataclass(frozen=True, slots=True)
class Sections:
    """How a long document was read: in overlapping sections, the half-open ranges of `sentences`.

    `unscored_pairs` counts the given entity pairs that share no section and were not scored; None for found entities.
    """

    sentences: tuple[tuple[int, int], ...]
    unscored_pairs: int | None = None


@dataclass(frozen=True)
class Document:
    """A tokenised document with its entities and relations.

    Relations and candidates refer to `entities` by position. `token_offsets` holds, per sentence and word, the
    half-open character range in `text`, from which the words were cut. `candidates` are the entity pairs to decide on,
    for corpora that restrict them; `complete` is None where both mentions and relations are labelled completely;
    `sections` tells of a result whether it was read in sections.

    Raises:
        DocumentError: an offset or an index is out of range, an entity has no mention, a relation leads from an
            entity to itself, or a field has the wrong type or a value that it cannot have.
    """

    id: str
    sentences: tuple[tuple[str, ...], ...]
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    text: str | None = None
    token_offsets: tuple[tuple[tuple[int, int], ...], ...] | None = None
    candidates: tuple[Candidate, ...] | None = None
    complete: Completeness | None = None
    soft_relations: tuple[SoftRelation, ...] | None = None
    sections: Sections | None = None

    def __post_init__(self) -> None:
        for field, value, fix in _faults(self):
            raise DocumentError(self.id, field, value, fix)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Document:
        """A document from its dict form, whose keys are the fields; optional ones may be absent or None.

        Raises:
            DocumentError: a key is missing or unknown, a value has the wrong type, or the content is not valid.
        """
        name = data.get("id") if isinstance(data, Mapping) else None
        return parse(cls, data, WHOLE, name)

    def to_dict(self) -> dict[str, Any]:
        """The dict form: lists, dicts, strings and numbers only; optional fields that are None are left out."""
        return to_plain(self)

    @cached_property
    def sentence_starts(self) -> tuple[int, ...]:
        """Document word index at which each sentence begins, and as last item the number of words."""
        return tuple(accumulate(map(len, self.sentences), initial=0))

    def span(self, mention: Mention) -> tuple[int, int]:
        """Half-open range of the mention in document word indices, counted over all sentences."""
        offset = self.sentence_starts[mention.sentence]
        return offset + mention.start, offset + mention.end

    def mention_words(self, mention: Mention) -> str:
        """The mention's words joined by single spaces, without white space around."""
        return " ".join(self.sentences[mention.sentence][mention.start : mention.end]).strip()

    def mention_text(self, mention: Mention) -> str:
        """The mention as it stands in `text`, or its words joined by spaces where no text is known."""
        if self.text is None or mention.char_range is None:
            return self.mention_words(mention)
        return self.text[slice(*mention.char_range)]


def as_documents(documents: Iterable[Document | Mapping[str, Any]]) -> list[Document]:
    """Documents from documents or their dict forms, in order."""
    return [item if isinstance(item, Document) else Document.from_dict(item) for item in documents]


def numbers_of(things: str, count: int) -> str:
    """Which numbers the sentences or the entities of a document have, for messages."""
    return f"the document has {things} 0 to {count - 1}" if count else f"the document has no {things}"


Fault = tuple[str, Any, str]
"""Something wrong in a document: the field, its value and the fix."""


def _faults(document: Document) -> Iterator[Fault]:
    """What is wrong, one by one; each check relies on those before it, so only the first fault is sure."""
    yield from _text_faults(document)
    for number, entity in enumerate(document.entities):
        yield from _entity_faults(document, entity, f"entities[{number}]")
    for number, relation in enumerate(document.relations):
        yield from _pair_faults(document, relation, f"relations[{number}]")
        yield from _relation_faults(document, relation, f"relations[{number}]")
    for number, candidate in enumerate(document.candidates or ()):
        yield from _pair_faults(document, candidate, f"candidates[{number}]")
    for number, soft in enumerate(document.soft_relations or ()):
        yield from _pair_faults(document, soft, f"soft_relations[{number}]")
        yield from _share_faults((soft.score,), f"soft_relations[{number}].score")
    count = len(document.sentences)
    for number, (start, end) in enumerate(document.sections.sentences if document.sections else ()):
        if not 0 <= start < end <= count:
            yield f"sections.sentences[{number}]", (start, end), f"give 0 <= start < end <= {count}, the sentences"


def _text_faults(document: Document) -> Iterator[Fault]:
    if not isinstance(document.id, str) or not document.id:
        yield "id", document.id, "give a non-empty string"
    check_encoding(document.id, "id", document.id)
    check_encoding(document.id, "text", document.text or "")
    for number, words in enumerate(document.sentences):
        check_encoding(document.id, f"sentences[{number}]", " ".join(words))
    if document.token_offsets is None:
        return
    if document.text is None:
        yield "text", None, "give the text that token_offsets point into"
    lengths, offset_lengths = ([len(words) for words in rows] for rows in (document.sentences, document.token_offsets))
    if lengths != offset_lengths:
        yield "token_offsets", offset_lengths, f"give one offset pair per word: {lengths} per sentence"
    length = len(document.text or "")
    for number, sentence in enumerate(document.token_offsets):
        for start, end in sentence:
            if not 0 <= start <= end <= length:
                fix = f"give 0 <= start <= end <= {length}, the length of the text"
                yield f"token_offsets[{number}]", [start, end], fix


def _entity_faults(document: Document, entity: Entity, where: str) -> Iterator[Fault]:
    if not entity.mentions:
        yield f"{where}.mentions", [], "give each entity at least one mention or drop it"
    for number, mention in enumerate(entity.mentions):
        here = f"{where}.mentions[{number}]"
        if not 0 <= mention.sentence < len(document.sentences):
            yield f"{here}.sentence", mention.sentence, numbers_of("sentences", len(document.sentences))
        length = len(document.sentences[mention.sentence])
        if not 0 <= mention.start < mention.end <= length:
            fix = f"give word offsets with 0 <= start < end <= {length}, the length of sentence {mention.sentence}"
            yield f"{here} (start, end)", (mention.start, mention.end), fix
        characters = mention.char_start, mention.char_end
        yield from _character_faults(document, characters, f"{here} (char_start, char_end)")


def _character_faults(document: Document, span: tuple[int | None, int | None], where: str) -> Iterator[Fault]:
    """Half-open character offsets into the document's text are both absent or both inside of it."""
    if span == (None, None):
        return
    (start, end), length = span, None if document.text is None else len(document.text)
    if start is None or end is None or length is None or not 0 <= start < end <= length:
        yield where, span, f"give 0 <= start < end <= length of the document's text ({length})"


def _pair_faults(document: Document, pair: Relation | Candidate | SoftRelation, where: str) -> Iterator[Fault]:
    for field, entity in (("head", pair.head), ("tail", pair.tail)):
        if not 0 <= entity < len(document.entities):
            yield f"{where}.{field}", entity, numbers_of("entities", len(document.entities))
    if pair.head == pair.tail:
        yield f"{where} (head, tail)", (pair.head, pair.tail), "head and tail must be two different entities"


def _relation_faults(document: Document, relation: Relation, where: str) -> Iterator[Fault]:
    count = len(document.sentences)
    for sentence in relation.evidence or ():
        if not 0 <= sentence < count:
            yield f"{where}.evidence", sentence, numbers_of("sentences", count)
    if relation.origin not in (None, "human", "model"):
        yield f"{where}.origin", relation.origin, 'give "human" or "model"'
    if (weights := relation.sentence_weights) is not None:
        yield from _share_faults(weights, f"{where}.sentence_weights")
        if len(weights) != count:
            yield f"{where}.sentence_weights", list(weights), f"give one weight per sentence, {count} in all"
    for pair in relation.mention_pairs or ():
        yield from _mention_pair_faults(document, relation, pair, f"{where}.mention_pairs")


def _mention_pair_faults(document: Document, relation: Relation, pair: MentionPair, where: str) -> Iterator[Fault]:
    for end, number, entity, offsets in (
        ("head", pair.head_mention, relation.head, pair.head_offsets),
        ("tail", pair.tail_mention, relation.tail, pair.tail_offsets),
    ):
        count = len(document.entities[entity].mentions)
        if not 0 <= number < count:
            yield f"{where}.{end}_mention", number, f"entity {entity} has mentions 0 to {count - 1}"
        yield from _character_faults(document, offsets or (None, None), f"{where}.{end}_offsets (start, end)")


def _share_faults(values: Iterable[float], where: str) -> Iterator[Fault]:
    for value in values:
        if not 0 <= value <= 1:
            yield where, value, "give a number from 0 to 1"
