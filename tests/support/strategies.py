"""Hypothesis strategies for random valid documents, with the oddities of real corpora."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from modeling_docre.documents import (
    Candidate,
    Completeness,
    Document,
    Entity,
    Mention,
    MentionPair,
    Relation,
    Sections,
    SoftRelation,
)

PLAIN_WORDS = st.sampled_from(["Anna", "Berlin", "'s", "of", ".", ",", "55.5", "%", "(", "the"])
ODD_WORDS = st.sampled_from(["Ångström", "日本語", "e\u0301", "🇨🇭", "\u200b", "a b", "ﬁ", "שלום", "*", "[UNK]", "‑"])
BLANK_WORDS = st.sampled_from(["", " ", "\u00a0", "\t", "\u3000"])
SCORES = st.floats(0, 1)


@st.composite
def documents(
    draw: st.DrawFn,
    entity_types: Sequence[str] = ("PER", "ORG", "LOC"),
    relation_types: Sequence[str] = ("P17", "P131", "P27"),
    max_sentences: int = 4,
    max_words: int = 12,
    max_entities: int = 5,
    max_mentions: int = 4,
    max_relations: int = 6,
    empty_sentences: bool = True,
    odd_words: bool = True,
    blank_words: bool = True,
    shared_mentions: bool = True,
    source_fields: bool = False,
    all_fields: bool = False,
) -> Document:
    """A valid document: from no sentence at all to nested, overlapping, repeated and shared mentions.

    Args:
        entity_types: types that entities are drawn from.
        relation_types: types that relations are drawn from.
        max_sentences: most sentences of a document; the least is none.
        max_words: most words of a sentence.
        max_entities: most entities of a document; the least is none.
        max_mentions: most mentions of an entity.
        max_relations: most relations of a document.
        empty_sentences: allow sentences without words.
        odd_words: allow words outside ASCII, with inner blanks or without a visible character.
        blank_words: allow words of white space and words of no character.
        shared_mentions: allow a span to occur again, in its own entity or in another; nested spans are always allowed.
        source_fields: give mentions a `name` and a `type` and relations `evidence`, where they say something new.
        all_fields: give every optional field, and `text` with offsets; contains `source_fields`.
    """
    words = st.one_of(PLAIN_WORDS, *([ODD_WORDS] if odd_words else []), *([BLANK_WORDS] if blank_words else []))
    if odd_words:
        words |= st.text(st.characters(codec="utf-8"), max_size=5 if blank_words else None).filter(
            lambda word: blank_words or bool(word.strip())
        )
    sentence = st.lists(words, min_size=0 if empty_sentences else 1, max_size=max_words).map(tuple)
    sentences = tuple(draw(st.lists(sentence, max_size=max_sentences)))
    text, offsets = draw(_text_of(sentences)) if all_fields else (None, None)
    document = Document(draw(st.text('abcXYZ 0123é"', min_size=1, max_size=8)), sentences, (), (), text, offsets)
    source_fields = source_fields or all_fields
    spans = _spans(document)
    entities: list[Entity] = []
    for _ in range(draw(st.integers(0, max_entities)) if any(sentences) else 0):
        mentions = draw(st.lists(spans, min_size=1, max_size=max_mentions, unique=not shared_mentions))
        if not shared_mentions:
            taken = {mention for entity in entities for mention in map(_span, entity.mentions)}
            mentions = [mention for mention in mentions if _span(mention) not in taken]
        if mentions:
            entities.append(draw(_entity(document, mentions, entity_types, source_fields, all_fields)))
    relation = _relation(document, entities, relation_types, source_fields, all_fields)
    few = st.lists(relation, max_size=max_relations) if len(entities) > 1 else st.just([])
    candidates = st.none() if not all_fields or len(entities) < 2 else st.none() | _candidates(len(entities))
    relations = tuple(draw(few))
    training = draw(_training_fields(len(entities), relation_types)) if all_fields else {}
    if all_fields and sentences:
        ranges = st.just(((0, len(sentences)),) * 2)
        training["sections"] = draw(st.none() | st.builds(Sections, ranges, st.none() | st.integers(0, 9)))
    return Document(document.id, sentences, tuple(entities), relations, text, offsets, draw(candidates), **training)


def _span(mention: Mention) -> tuple[int, int, int]:
    return mention.sentence, mention.start, mention.end


@st.composite
def _text_of(draw: st.DrawFn, sentences: tuple[tuple[str, ...], ...]) -> tuple[str, Any]:
    text, offsets = draw(st.sampled_from(["", " "])), []
    for sentence in sentences:
        row = []
        for word in sentence:
            row.append((len(text), len(text) + len(word)))
            text += word + draw(st.sampled_from(["", " ", "\n"]))
        offsets.append(tuple(row))
    return text, tuple(offsets)


@st.composite
def _spans(draw: st.DrawFn, document: Document) -> Mention:
    number = draw(st.sampled_from([n for n, sentence in enumerate(document.sentences) if sentence]))
    start = draw(st.integers(0, len(document.sentences[number]) - 1))
    return Mention(number, start, draw(st.integers(start + 1, len(document.sentences[number]))))


@st.composite
def _entity(
    draw: st.DrawFn, document: Document, spans: list[Mention], types: Sequence[str], source: bool, everything: bool
) -> Entity:
    entity_type = draw(st.sampled_from(list(types)))
    maybe_score = st.none() | SCORES if everything else st.none()
    mentions = []
    for number, span in enumerate(spans):
        name = draw(st.none() | st.sampled_from(["", "another name"])) if source else None
        other = draw(st.none() | st.sampled_from(list(types))) if source and number else None
        char_start, char_end = _characters(document, span) if everything else (None, None)
        mentions.append(
            Mention(
                *_span(span),
                name=None if name == document.mention_words(span) else name,
                type=None if other == entity_type else other,
                score=draw(maybe_score),
                char_start=char_start,
                char_end=char_end,
            )
        )
    concept = draw(st.none() | st.sampled_from(["D001", "-1"])) if everything else None
    return Entity(entity_type, tuple(mentions), concept, draw(maybe_score))


def _characters(document: Document, span: Mention) -> tuple[int | None, int | None]:
    assert document.token_offsets is not None
    row = document.token_offsets[span.sentence][span.start : span.end]
    start, end = row[0][0], row[-1][1]
    return (start, end) if start < end else (None, None)


@st.composite
def _pair(draw: st.DrawFn, entities: int) -> tuple[int, int]:
    head, tail = draw(st.integers(0, entities - 1)), draw(st.integers(0, entities - 2))
    return head, tail + (tail >= head)


@st.composite
def _relation(
    draw: st.DrawFn, document: Document, entities: list[Entity], types: Sequence[str], source: bool, everything: bool
) -> Relation:
    head, tail = draw(_pair(len(entities)))
    evidence = draw(st.none() | st.lists(st.integers(0, len(document.sentences) - 1), max_size=3)) if source else None
    fields: dict[str, Any] = {}
    if everything:
        pair = st.builds(
            MentionPair,
            st.integers(0, len(entities[head].mentions) - 1),
            st.integers(0, len(entities[tail].mentions) - 1),
            st.none() | SCORES,
        )
        fields["label"] = draw(st.none() | st.just("country"))
        fields["score"] = draw(st.none() | SCORES)
        fields["evidence_scores"] = draw(st.none() | st.lists(SCORES, max_size=3).map(tuple))
        fields["mention_pairs"] = draw(st.none() | st.lists(pair, max_size=3).map(tuple))
        fields["origin"] = draw(st.sampled_from([None, "human", "model"]))
        sentences = len(document.sentences)
        weights = st.lists(st.floats(0, 1, width=16), min_size=sentences, max_size=sentences)
        fields["sentence_weights"] = draw(st.none() | weights.map(tuple))
    relation_type = draw(st.sampled_from(list(types)))
    return Relation(head, tail, relation_type, evidence=None if evidence is None else tuple(evidence), **fields)


@st.composite
def _training_fields(draw: st.DrawFn, entities: int, types: Sequence[str]) -> dict[str, Any]:
    complete = st.none() | st.builds(Completeness, st.booleans(), st.booleans())
    soft = st.builds(lambda pair, *rest: SoftRelation(*pair, *rest), _pair(entities), st.sampled_from(types), SCORES)
    scored = st.none() | (st.lists(soft, max_size=4).map(tuple) if entities > 1 else st.just(()))
    return {"complete": draw(complete), "soft_relations": draw(scored)}


def _candidates(entities: int) -> st.SearchStrategy[tuple[Candidate, ...]]:
    cross = st.none() | st.booleans()
    candidate = st.builds(lambda pair, scored, c: Candidate(*pair, scored, c), _pair(entities), st.booleans(), cross)
    return st.lists(candidate, max_size=4).map(tuple)
