"""The interchange format: a document, its entities with their mentions, and the relations between entities.

Readers, the pipeline, the collator, the decoder, the metric and the exporters all speak this one format, as
dataclasses (`Document`) or as plain JSON-able dicts (`Document.to_dict`, `Document.from_dict`). A document that
exists is valid: every construction is checked, and what is wrong is named in one `DocumentError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, cached_property
from itertools import accumulate
from numbers import Integral, Real
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


class DocumentError(ValueError):
    """A document breaks the format; the message names the document, the field, the value and the fix."""

    def __init__(self, document_id: Any, field: str, value: Any, fix: str):
        self.document_id, self.field, self.value, self.fix = document_id, field, value, fix
        shown = repr(value)
        shown = shown if len(shown) <= 120 else f"{shown[:117]}..."
        super().__init__(f"document {document_id!r}: {field} is {shown}; {fix}")

    def __reduce__(self):
        return type(self), (self.document_id, self.field, self.value, self.fix)


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

    `score` is its weight in the decision, `key_score` the probability that the pair is key, `relation_score` that of
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
    mention pairs that a model decided it by.
    """

    head: int
    tail: int
    type: str
    label: str | None = None
    score: float | None = None
    evidence: tuple[int, ...] | None = None
    evidence_scores: tuple[float, ...] | None = None
    mention_pairs: tuple[MentionPair, ...] | None = None


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

    Raises:
        DocumentError: an offset or an index is out of range, an entity has no mention, a relation leads from an
            entity to itself, or a field has the wrong type.
    """

    id: str
    sentences: tuple[tuple[str, ...], ...]
    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()
    text: str | None = None
    token_offsets: tuple[tuple[tuple[int, int], ...], ...] | None = None
    candidates: tuple[Candidate, ...] | None = None

    def __post_init__(self) -> None:
        _check_text(self)
        for number, entity in enumerate(self.entities):
            _check_entity(self, entity, f"entities[{number}]")
        for number, relation in enumerate(self.relations):
            _check_relation(self, relation, f"relations[{number}]")
        for number, candidate in enumerate(self.candidates or ()):
            _check_pair(self, candidate, f"candidates[{number}]")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Document:
        """Build a document from the dict form of the format.

        Args:
            data: keys as the fields of this class, nested dicts likewise. Optional keys may be absent or None.

        Raises:
            DocumentError: a key is missing or unknown, a value has the wrong type, or the content is not valid.
        """
        name = data.get("id") if isinstance(data, Mapping) else None
        return parse(cls, data, "document", name)

    def to_dict(self) -> dict[str, Any]:
        """The dict form: lists, dicts, strings and numbers only; optional fields that are None are left out."""
        return _to_plain(self)

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


def check_encoding(document_id: str, field: str, text: str) -> None:
    """Raise where a text holds half of a surrogate pair, which bytes decoded in a wrong way leave behind."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = text[max(0, error.start - 20) : error.end + 20]
        fix = f"character {error.start} is half of a surrogate pair; decode the bytes by the encoding that they have"
        raise DocumentError(document_id, field, found, fix) from error


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
                document.id,
                f"{here}.sentence",
                mention.sentence,
                f"the document has sentences 0 to {len(document.sentences) - 1}",
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


def _check_pair(document: Document, pair: Relation | Candidate, where: str) -> None:
    for field, entity in (("head", pair.head), ("tail", pair.tail)):
        if not 0 <= entity < len(document.entities):
            count = len(document.entities)
            fix = f"the document has entities 0 to {count - 1}" if count else "the document has no entities"
            raise DocumentError(document.id, f"{where}.{field}", entity, fix)
    if pair.head == pair.tail:
        raise DocumentError(
            document.id, f"{where} (head, tail)", (pair.head, pair.tail), "head and tail must be two different entities"
        )


def _check_relation(document: Document, relation: Relation, where: str) -> None:
    _check_pair(document, relation, where)
    for sentence in relation.evidence or ():
        if not 0 <= sentence < len(document.sentences):
            raise DocumentError(
                document.id,
                f"{where}.evidence",
                sentence,
                f"the document has sentences 0 to {len(document.sentences) - 1}",
            )
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


_SCALARS: dict[Any, tuple[type, str]] = {
    str: (str, "a string"),
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
}


@cache
def _schema(cls: type) -> tuple[dict[str, Any], frozenset[str]]:
    """Field types of a dataclass by name, and the names of those without a default."""
    required = (f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING)
    return get_type_hints(cls), frozenset(required)


def parse(kind: Any, value: Any, where: str, document_id: Any) -> Any:
    """Read `value`, in dict form, as the annotated type `kind`; `where` is its place in the document, for messages."""
    if kind in _SCALARS:
        accepted, wanted = _SCALARS[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise DocumentError(document_id, where, value, f"give {wanted}")
        return kind(value)
    if is_dataclass(kind):
        return _parse_record(kind, value, where, document_id)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None else parse(arguments[0], value, where, document_id)
    assert origin is tuple, kind
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise DocumentError(document_id, where, value, "give a list")
    if arguments[-1] is not Ellipsis and len(value) != len(arguments):
        raise DocumentError(document_id, where, value, f"give a list of {len(arguments)}")
    return tuple(parse(arguments[0], item, f"{where}[{n}]", document_id) for n, item in enumerate(value))


def _parse_record(cls: Any, value: Any, where: str, document_id: Any) -> Any:
    if not isinstance(value, Mapping):
        raise DocumentError(document_id, where, value, "give a dict")
    kinds, required = _schema(cls)
    if unknown := [key for key in value if key not in kinds]:
        raise DocumentError(
            document_id, f"{where}.{unknown[0]}", value[unknown[0]], f"drop this key; known are {', '.join(kinds)}"
        )
    prefix = "" if cls is Document else f"{where}."
    parsed = {}
    for name, kind in kinds.items():
        item = value.get(name)
        if item is not None:
            parsed[name] = parse(kind, item, f"{prefix}{name}", document_id)
        elif name in required:
            raise DocumentError(document_id, f"{prefix}{name}", None, "this field is required")
    return cls(**parsed)


def _to_plain(value: Any) -> Any:
    if is_dataclass(value):
        named = ((f.name, getattr(value, f.name)) for f in fields(value))
        return {name: _to_plain(item) for name, item in named if item is not None}
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return value
