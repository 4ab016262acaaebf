"""BILOU tags: one per word, for entities that do not overlap."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modeling_docre.documents import DocumentError

_TAG = re.compile(r"O|[BILU]-.+", re.DOTALL)


def decode_bilou(tags: Sequence[str], document_id: str) -> list[tuple[str, int, int]]:
    """Decode the entities of a sentence in text order, each as its type and half-open word offsets.

    `U-` tags an entity of one word; longer ones begin with `B-`, continue with `I-` and end with `L-`, all of one type.

    Args:
        tags: a tag per word; `O` outside entities.
        document_id: for messages.

    Raises:
        DocumentError: a tag has a wrong form, or cannot follow the one before it.
    """
    entities: list[tuple[str, int, int]] = []
    start: int | None = None
    for number, tag in enumerate(tags):
        if not isinstance(tag, str) or not _TAG.fullmatch(tag):
            raise DocumentError(document_id, f"tags[{number}]", tag, "give O, or B-, I-, L- or U- and an entity type")
        prefix, kind = tag[0], tag[2:]
        continues = start is not None and kind == tags[start][2:]
        if (prefix in "IL") != (start is not None) or (prefix in "IL" and not continues):
            before = tags[number - 1] if number else "the beginning of the sentence"
            fix = f"it cannot follow {before}; an entity is U-, or B- then I- until L-, all of one type"
            raise DocumentError(document_id, f"tags[{number}]", tag, fix)
        if prefix == "B":
            start = number
        elif prefix in "LU":
            entities.append((kind, number if start is None else start, number + 1))
            start = None
    if start is not None:
        raise DocumentError(document_id, f"tags[{start}]", tags[start], "this entity has no end; tag its last word L-")
    return entities
