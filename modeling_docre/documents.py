"""The interchange format: a document, its entities with their mentions, and the relations between entities.

Readers, the pipeline, the collator, the decoder, the metric and the exporters all speak this one format, as
dataclasses (`Document`) or as plain JSON-able dicts (`Document.to_dict`, `Document.from_dict`). A document that
exists is valid: every construction is checked, and what is wrong is named in one `DocumentError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    `sentence_weights` is a teacher's distribution over the document's sentences for the entity pair, one weight per
    sentence, in the precision of float16.
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


@dataclass(frozen=True)
class Document:
    """A tokenised document with its entities and relations.

    Args:
        id: name of the document, unique within its corpus.
        sentences: words, sentence by sentence.
        entities: entities in the order of the file; relations and candidates refer to them by position.
        relations: directed typed relations.
        text: the raw text that the words were cut from, if known.
        token_offsets: per sentence and word, its half-open character range in `text`.
        candidates: the entity pairs to decide on, for corpora that restrict them.
        complete: what is labelled completely; None stands for both mentions and relations.
        soft_relations: a teacher's scores, for training.

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

    def __post_init__(self) -> None:
        _check_text(self)
        for number, entity in enumerate(self.entities):
            _check_entity(self, entity, f"entities[{number}]")
        for number, relation in enumerate(self.relations):
            _check_relation(self, relation, f"relations[{number}]")
        for number, candidate in enumerate(self.candidates or ()):
            _check_pair(self, candidate, f"candidates[{number}]")
        for number, soft in enumerate(self.soft_relations or ()):
            _check_pair(self, soft, f"soft_relations[{number}]")
            _check_shares(self, (soft.score,), f"soft_relations[{number}].score")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Document:
        """Build a document from the dict form of the format.

        Args:
            data: keys as the fields of this class, nested dicts likewise. Optional keys may be absent or None.

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
        if self.text is None or mention.char_start is None or mention.char_end is None:
            return self.mention_words(mention)
        return self.text[mention.char_start : mention.char_end]


def as_documents(documents: Iterable[Document | Mapping[str, Any]]) -> list[Document]:
    """Documents from documents or their dict forms, in order."""
    return [item if isinstance(item, Document) else Document.from_dict(item) for item in documents]


def numbers_of(things: str, count: int) -> str:
    """Which numbers the sentences or the entities of a document have, for messages."""
    return f"the document has {things} 0 to {count - 1}" if count else f"the document has no {things}"


def _check_text(document: Document) -> None:
    if not isinstance(document.id, str) or not document.id:
        raise DocumentError(document.id, "id", document.id, "give a non-empty string")
    check_encoding(document.id, "text", document.text or "")
    for number, words in enumerate(document.sentences):
        check_encoding(document.id, f"sentences[{number}]", " ".join(words))
    if document.token_offsets is None:
        return
    if document.text is None:
        raise DocumentError(document.id, "text", None, "give the text that token_offsets point into")
    lengths = [len(sentence) for sentence in document.sentences]
    offset_lengths = [len(sentence) for sentence in document.token_offsets]
    if lengths != offset_lengths:
        raise DocumentError(
            document.id, "token_offsets", offset_lengths, f"give one offset pair per word: {lengths} per sentence"
        )
    for number, sentence in enumerate(document.token_offsets):
        for start, end in sentence:
            if not 0 <= start <= end <= len(document.text):
                raise DocumentError(
                    document.id,
                    f"token_offsets[{number}]",
                    [start, end],
                    f"give 0 <= start <= end <= {len(document.text)}, the length of the text",
                )


def _check_entity(document: Document, entity: Entity, where: str) -> None:
    if not entity.mentions:
        raise DocumentError(document.id, f"{where}.mentions", [], "give each entity at least one mention or drop it")
    for number, mention in enumerate(entity.mentions):
        here = f"{where}.mentions[{number}]"
        if not 0 <= mention.sentence < len(document.sentences):
            raise DocumentError(
                document.id, f"{here}.sentence", mention.sentence, numbers_of("sentences", len(document.sentences))
            )
        length = len(document.sentences[mention.sentence])
        if not 0 <= mention.start < mention.end <= length:
            raise DocumentError(
                document.id,
                f"{here} (start, end)",
                (mention.start, mention.end),
                f"give word offsets with 0 <= start < end <= {length}, the length of sentence {mention.sentence}",
            )
        _check_characters(document, mention.char_start, mention.char_end, here)


def _check_characters(
    document: Document, start: int | None, end: int | None, where: str, names: str = "char_start, char_end"
) -> None:
    """Half-open character offsets into the document's text, both absent or both inside of it."""
    if start is None and end is None:
        return
    text_length = None if document.text is None else len(document.text)
    if start is None or end is None or text_length is None or not 0 <= start < end <= text_length:
        first, last = names.split(", ")
        raise DocumentError(
            document.id,
            f"{where} ({names})",
            (start, end),
            f"give 0 <= {first} < {last} <= length of the document's text ({text_length})",
        )


def _check_pair(document: Document, pair: Relation | Candidate | SoftRelation, where: str) -> None:
    for field, entity in (("head", pair.head), ("tail", pair.tail)):
        if not 0 <= entity < len(document.entities):
            fix = numbers_of("entities", len(document.entities))
            raise DocumentError(document.id, f"{where}.{field}", entity, fix)
    if pair.head == pair.tail:
        raise DocumentError(
            document.id, f"{where} (head, tail)", (pair.head, pair.tail), "head and tail must be two different entities"
        )


def _check_relation(document: Document, relation: Relation, where: str) -> None:
    _check_pair(document, relation, where)
    count = len(document.sentences)
    for sentence in relation.evidence or ():
        if not 0 <= sentence < count:
            raise DocumentError(document.id, f"{where}.evidence", sentence, numbers_of("sentences", count))
    if relation.origin not in (None, "human", "model"):
        raise DocumentError(document.id, f"{where}.origin", relation.origin, 'give "human" or "model"')
    if (weights := relation.sentence_weights) is not None:
        _check_shares(document, weights, f"{where}.sentence_weights")
        if len(weights) != count:
            fix = f"give one weight per sentence, {count} in all"
            raise DocumentError(document.id, f"{where}.sentence_weights", list(weights), fix)
    for pair in relation.mention_pairs or ():
        _check_mention_pair(document, relation, pair, f"{where}.mention_pairs")


def _check_mention_pair(document: Document, relation: Relation, pair: MentionPair, where: str) -> None:
    for end, number, entity, offsets in (
        ("head", pair.head_mention, relation.head, pair.head_offsets),
        ("tail", pair.tail_mention, relation.tail, pair.tail_offsets),
    ):
        count = len(document.entities[entity].mentions)
        if not 0 <= number < count:
            raise DocumentError(
                document.id, f"{where}.{end}_mention", number, f"entity {entity} has mentions 0 to {count - 1}"
            )
        start, stop = offsets or (None, None)
        _check_characters(document, start, stop, f"{where}.{end}_offsets", "start, end")


def _check_shares(document: Document, values: Iterable[float], where: str) -> None:
    for value in values:
        if not 0 <= value <= 1:
            raise DocumentError(document.id, where, value, "give a number from 0 to 1")
