"""Removes relations from records: those whose type marks an unrelated pair, and those from an entity to itself."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

logger = logging.getLogger(__name__)

# Names of annotation tools and corpora for an unrelated pair, in lower case and without punctuation.
_NO_RELATION = frozenset(["norelation", "norel", "notrelated", "unrelated", "none", "null", "nil", "na", "nan", "o"])
# The keys of relations, and of head, tail and type in them: Document dicts and DocRED's JSON.
_ROWS = {"relations": ("head", "tail", "type"), "soft_relations": ("head", "tail", "type"), "labels": ("h", "t", "r")}


class RelationFilter:
    """Removes relations from records before they are read as documents, and counts them.

    Args:
        no_relation_types: relation types that are left out.
        drop_self_relations: whether relations from an entity to itself are left out.
    """

    def __init__(self, no_relation_types: Sequence[str] = (), drop_self_relations: bool = False):
        self.no_relation_types, self.drop_self_relations = frozenset(no_relation_types), drop_self_relations
        self.counts: Counter[str] = Counter()

    def __call__(self, record: Any) -> Any:
        """The record without such relations; malformed records are returned for their reader to refuse."""
        if not isinstance(record, Mapping):
            return record
        rows = {key: record[key] for key in _ROWS if isinstance(record.get(key), list)}
        kept = {key: [row for row in items if not self._drops(row, *_ROWS[key])] for key, items in rows.items()}
        return {**record, **kept}

    def _drops(self, row: Any, head: str, tail: str, kind: str) -> bool:
        if not isinstance(row, Mapping):
            return False
        if isinstance(row.get(kind), str) and row[kind] in self.no_relation_types:
            self.counts[row[kind]] += 1
            return True
        if self.drop_self_relations and head in row and row[head] == row.get(tail):
            self.counts["from an entity to itself"] += 1
            return True
        return False

    def report(self, relation_types: Iterable[str]) -> None:
        """Log what was left out, and warn of remaining types that seem to mark an unrelated pair.

        Args:
            relation_types: the types of the remaining relations.

        Raises:
            ValueError: a type to leave out does not occur.
        """
        kept = sorted(relation_types)
        for name in sorted(self.no_relation_types - self.counts.keys()):
            raise ValueError(
                f"--no_relation_types names {name!r}, but no relation has that type; the types are {', '.join(kept)}"
            )
        for name, count in sorted(self.counts.items()):
            logger.info("%d relations are left out: %s", count, name)
        if doubtful := [name for name in kept if re.sub(r"[\W_]", "", name.lower()) in _NO_RELATION]:
            logger.warning(
                "the relation types %s are learned like any other; if they mark unrelated pairs, leave them out by "
                "--no_relation_types %s",
                ", ".join(map(repr, doubtful)),
                " ".join(doubtful),
            )
