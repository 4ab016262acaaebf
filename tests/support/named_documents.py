"""Documents made of names: what merging reads, without the prose around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modeling_docre import Document, Entity, Mention, Relation


def named_document(
    id: str, *entities: str, relations: Iterable[tuple[int, int, str]] = (), text: bool = False
) -> Document:
    """A document whose entities are given as `TYPE=CONCEPT: name | another name | …`, the concept being optional.

    Each mention has a sentence of its own, `so NAME .`; relations are (head, tail, type), with the sentence of the
    head's first mention as evidence.
    """
    sentences: list[Sequence[str]] = []
    built = []
    for entity in entities:
        kind, names = entity.split(": ", 1)
        mentions = []
        for name in names.split(" | "):
            words = name.split()
            mentions.append(Mention(len(sentences), 1, len(words) + 1))
            sentences.append(("so", *words, "."))
        kind, _, concept = kind.partition("=")
        built.append(Entity(kind, tuple(mentions), concept or None))
    whole, offsets = _text_of(sentences) if text else (None, None)
    found = tuple(
        Relation(head, tail, kind, evidence=(built[head].mentions[0].sentence,)) for head, tail, kind in relations
    )
    return Document(id, tuple(map(tuple, sentences)), tuple(built), found, whole, offsets)


def _text_of(sentences: Iterable[Sequence[str]]) -> tuple[str, tuple[tuple[tuple[int, int], ...], ...]]:
    text, offsets = "", []
    for sentence in sentences:
        row = []
        for word in sentence:
            row.append((len(text), len(text) + len(word)))
            text += f"{word} "
        offsets.append(tuple(row))
    return text, tuple(offsets)
