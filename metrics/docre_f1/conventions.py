"""The scores that papers report on corpora of sentences, and the relation types without direction."""

from __future__ import annotations

from typing import NamedTuple


class Convention(NamedTuple):
    """How papers report a corpus.

    `levels` names the scores by the stems of their keys (`relation` for `relation_precision`, `relation_recall` and
    `relation_f1`); `symmetric_relations` names the relation types that hold in both directions.
    """

    levels: tuple[str, ...]
    symmetric_relations: frozenset[str] = frozenset()


CONVENTIONS = {
    "conll04": Convention(("entity", "macro_entity", "relation", "macro_relation")),
    "scierc": Convention(("entity", "relation_untyped"), frozenset({"Compare", "Conjunction"})),
    "ade": Convention(("macro_entity", "macro_relation")),
}
"""The conventions by corpus (SpERT section 4). CoNLL04: micro and macro, with the entity types of a relation. SciERC:
micro, without entity types. ADE: macro, with entity types, and then the mean over ten folds."""


def read_convention(name: str | None) -> Convention:
    """The convention of that name; None gives one that reports nothing.

    Raises:
        ValueError: no convention has that name.
    """
    if name is None:
        return Convention(())
    if name not in CONVENTIONS:
        raise ValueError(f"convention is {name!r}; give one of {', '.join(map(repr, CONVENTIONS))}, or None")
    return CONVENTIONS[name]
