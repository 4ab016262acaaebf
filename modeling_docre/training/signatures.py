"""Which types of head and tail a relation type has in the training documents."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from modeling_docre.documents import Document

logger = logging.getLogger(__name__)


def learn_signatures(model: Any, documents: Iterable[Document], least: int) -> None:
    """Let a model return only what the training documents state at least so many times (`DocREConfig.signatures`).

    Raises:
        ValueError: the model reads no types of entities.
    """
    if not model.config.traits.reads_entity_types:
        raise ValueError(
            f"signature_min counts types of entities, which {type(model).__name__} does not read; set it to 0"
        )
    model.config.signatures = count_signatures(documents, least)
    logger.info("%d signatures are stated at least %d times", len(model.config.signatures), least)


def count_signatures(documents: Iterable[Document], least: int) -> list[list[str]]:
    """The triples [relation type, type of the head, type of the tail] that documents state at least so many times.

    A relation that is stated twice in a document counts once. Relations of entities without a type are left out.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for document in documents:
        types = [entity.type for entity in document.entities]
        stated = dict.fromkeys((item.type, item.head, item.tail) for item in document.relations)
        counts.update((relation, types[head], types[tail]) for relation, head, tail in stated)
    return [list(triple) for triple in sorted(counts) if counts[triple] >= least and all(triple)]
