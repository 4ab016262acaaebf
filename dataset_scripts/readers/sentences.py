"""Turns sentences in the form of SpERT's release into documents whose entities have one mention each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from modeling_docre.annotations.records import unique_id
from modeling_docre.annotations.report import REPEATED_IDS, count_table
from modeling_docre.documents import Document, DocumentError

from .bilou import decode_bilou

REPEATED_ENTITIES = "entity rows that repeat another (dropped)"
REPEATED_RELATIONS = "relation rows that repeat another (dropped)"
SELF_RELATIONS = "relation rows from an entity to itself (dropped)"

_KEYS = frozenset({"tokens", "tags", "entities", "relations", "orig_id"})
_Span = tuple[str, int, int]  # type, start, end


class SentenceReader:
    """Turns records of one sentence each into documents of one sentence, and counts what it leaves out.

    A record is an object with `orig_id`, `tokens`, `entities` (rows of `type`, `start`, `end`: half-open word offsets)
    and `relations` (rows of `type`, `head`, `tail`: positions among the entities). `tags`, one BILOU tag per word, may
    replace `entities`; relations then number the entities in text order. Types are matched ignoring case and spelled as
    in `entity_types` and `relation_types`. Repeated rows and relations from an entity to itself are dropped, because
    users cannot repair a published file.

    Args:
        entity_types: the types that entities may have.
        relation_types: the types that relations may have.
        labels: readable name of each relation type, put into the relations' `label`.
    """

    def __init__(self, entity_types: Iterable[str], relation_types: Iterable[str], labels: Mapping[str, str]):
        self.labels = labels
        self.counts: Counter[str] = Counter()
        self._entity_types = {name.lower(): name for name in entity_types}
        self._relation_types = {name.lower(): name for name in relation_types}
        self._ids: set[str] = set()

    def read(self, record: Any) -> Document:
        """The document of one record; a repeated id gets " #2" appended.

        Raises:
            DocumentError: a key is missing, a value has the wrong type or is out of range, or a type is unknown.
        """
        self.counts["sentences"] += 1
        name = self._name(record)
        tokens = _list(name, "tokens", record.get("tokens"))
        self.counts.update(f"ignored key `{key}`" for key in record if key not in _KEYS)
        spans = self._spans(name, record, len(tokens))
        positions = {span: position for position, span in enumerate(dict.fromkeys(spans))}
        self.counts[REPEATED_ENTITIES] += len(spans) - len(positions)
        entities = [
            {"type": kind, "mentions": [{"sentence": 0, "start": start, "end": end}]} for kind, start, end in positions
        ]
        relations = self._relations(name, record.get("relations"), [positions[span] for span in spans])
        content = {"sentences": [tokens], "entities": entities, "relations": relations}
        unique = unique_id(name, self._ids)
        self.counts[REPEATED_IDS] += unique != name
        return Document.from_dict({"id": unique, **content})

    @property
    def report(self) -> str:
        """The counts as a table."""
        return count_table(self.counts)

    @property
    def changed(self) -> bool:
        """Whether reading dropped or changed something."""
        return any(number for text, number in self.counts.items() if text.endswith("(dropped)") or text == REPEATED_IDS)

    def _name(self, record: Any) -> str:
        ordinal = f"number {self.counts['sentences']} of the file"
        if not isinstance(record, Mapping):
            raise DocumentError(ordinal, "record", record, "give an object with orig_id, tokens, entities, relations")
        name = record.get("orig_id")
        if isinstance(name, bool) or not isinstance(name, int | str) or name == "":
            raise DocumentError(ordinal, "orig_id", name, "give the sentence's id, a number or a text")
        return str(name)

    def _spans(self, name: str, record: Mapping[str, Any], length: int) -> list[_Span]:
        """Type, start and end of each entity row, repeated rows included."""
        if record.get("entities") is None and record.get("tags") is not None:
            tags = _list(name, "tags", record["tags"])
            if len(tags) != length:
                raise DocumentError(name, "tags (number)", len(tags), f"give one tag per word; there are {length}")
            return [(self._type(name, "tags", kind), start, end) for kind, start, end in decode_bilou(tags, name)]
        spans = []
        for number, row in enumerate(_list(name, "entities (or tags)", record.get("entities"))):
            where = f"entities[{number}]"
            kind = self._type(name, f"{where}.type", _field(name, where, row, "type"))
            start, end = (_integer(name, f"{where}.{key}", _field(name, where, row, key)) for key in ("start", "end"))
            if not 0 <= start < end <= length:
                fix = f"give word offsets with 0 <= start < end <= {length}, the length of the sentence"
                raise DocumentError(name, f"{where} (start, end)", (start, end), fix)
            spans.append((kind, start, end))
        return spans

    def _type(self, name: str, where: str, value: Any) -> str:
        return _known(name, where, value, self._entity_types)

    def _relations(self, name: str, rows: Any, positions: list[int]) -> list[dict[str, Any]]:
        """The relations between the kept entities; `positions` has the position for each entity row."""
        relations: dict[tuple[int, int, str], dict[str, Any]] = {}
        for number, row in enumerate([] if rows is None else _list(name, "relations", rows)):
            where = f"relations[{number}]"
            kind = _known(name, f"{where}.type", _field(name, where, row, "type"), self._relation_types)
            head, tail = (self._position(name, where, row, key, positions) for key in ("head", "tail"))
            self.counts[SELF_RELATIONS] += head == tail
            self.counts[REPEATED_RELATIONS] += (head, tail, kind) in relations
            if head != tail:
                relations[head, tail, kind] = {"head": head, "tail": tail, "type": kind, "label": self.labels.get(kind)}
        return list(relations.values())

    def _position(self, name: str, where: str, row: Any, key: str, positions: list[int]) -> int:
        number = _integer(name, f"{where}.{key}", _field(name, where, row, key))
        if not 0 <= number < len(positions):
            fix = f"the sentence has {len(positions)} entities, numbered from 0"
            raise DocumentError(name, f"{where}.{key}", number, fix)
        return positions[number]


def _list(name: str, where: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise DocumentError(name, where, value, "give a list")
    return value


def _field(name: str, where: str, row: Any, key: str) -> Any:
    if not isinstance(row, Mapping):
        raise DocumentError(name, where, row, f"give an object with {key}")
    return row.get(key)


def _integer(name: str, where: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise DocumentError(name, where, value, "give a whole number")
    return value


def _known(name: str, where: str, value: Any, types: Mapping[str, str]) -> str:
    if not isinstance(value, str) or value.lower() not in types:
        fix = f"correct it, or drop the row; the corpus has {', '.join(types.values())}"
        raise DocumentError(name, where, value, fix)
    return types[value.lower()]
