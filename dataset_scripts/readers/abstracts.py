"""Makes documents of PubTator abstracts in which every entity is a concept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from modeling_docre.annotations.pubtator import NO_CONCEPT, Abstract, Annotation, check_offsets, words_of
from modeling_docre.annotations.records import unique_id
from modeling_docre.annotations.report import REPEATED_IDS
from modeling_docre.documents import Document, DocumentError
from modeling_docre.given_entities import place_entities

UNGROUNDED = "annotation rows without a concept id (in no entity)"
COMPOSITE = "annotation rows of several concepts (a mention of each)"
CORRECTED = "annotation rows whose concept id was corrected"
OTHER_TYPES = "annotation rows of entity types left out (in no entity)"

_MESH_ID = re.compile(r"[CD]\d{6,}")


class AbstractReader:
    """Turns abstracts into documents whose entities are concepts, and counts what the documents do not show.

    An entity is a pair of type and concept id with all its mentions. Entities are in the order of their first mention
    in the text (CDR's preprocessing, edge-oriented graph release). A mention of several concepts is one mention of
    each; mentions without a concept form no entity. Words and sentences are spaCy's, the title's apart from the
    abstract's. Mentions keep their borders: words are split at them and sentences merged.

    Args:
        entity_types: the types that mentions may have.
        composite: for each type whose rows may list several concepts, the characters that may separate them.
        clean_ids: correct MeSH ids with characters after their digits (`D003000f` to `D003000`).
        drop_types: leave out mentions of other types instead of refusing them.
    """

    def __init__(
        self,
        entity_types: Collection[str],
        composite: Mapping[str, str],
        clean_ids: bool = False,
        drop_types: bool = False,
    ):
        self.entity_types, self.composite = entity_types, composite
        self.clean_ids, self.drop_types = clean_ids, drop_types
        self.counts: Counter[str] = Counter(dict.fromkeys(["documents", *map(_of_type, sorted(entity_types))], 0))
        self._ids: set[str] = set()

    def read(self, abstract: Abstract) -> Document:
        """The document of an abstract: words, `text`, `token_offsets` and entities; neither relations nor candidates.

        Raises:
            DocumentError: a mention has an unknown type, or its text differs from that at its offsets.
        """
        self.counts["documents"] += 1
        entities: dict[tuple[str, str], dict[str, Any]] = {}
        rows = [(row, f"annotations[{number}]") for number, row in enumerate(abstract.annotations)]
        for row, where in sorted(rows, key=lambda item: item[0].start):
            check_offsets(abstract, row, where)
            for concept in self._concepts(abstract, row, where):
                entity = entities.setdefault((row.type, concept), {"type": row.type, "id": concept, "mentions": []})
                entity["mentions"].append({"char_start": row.start, "char_end": row.end})
        words = replace(words_of(abstract), id=unique_id(abstract.id, self._ids))
        self.counts[REPEATED_IDS] += words.id != abstract.id
        return place_entities(words, list(entities.values()))

    def clean(self, concept: str) -> str:
        """The concept id of the documents: corrected if `clean_ids`, else unchanged."""
        match = _MESH_ID.match(concept) if self.clean_ids else None
        return match[0] if match else concept

    def _concepts(self, abstract: Abstract, row: Annotation, where: str) -> list[str]:
        """The concept ids of a row, including repeated ones."""
        if row.type not in self.entity_types:
            if not self.drop_types:
                fix = f"correct it, or add it to the builder's ENTITY_TYPES; known are {', '.join(self.entity_types)}"
                raise DocumentError(abstract.id, f"{where}.type", row.type, fix)
            self.counts[OTHER_TYPES] += 1
            return []
        self.counts[_of_type(row.type)] += 1
        separators = self.composite.get(row.type)
        ids = re.split(f"[{re.escape(separators)}]", row.concept) if separators else [row.concept]
        grounded = [concept for concept in ids if concept not in NO_CONCEPT]
        cleaned = [self.clean(concept) for concept in grounded]
        self.counts[COMPOSITE] += len(ids) > 1
        self.counts[UNGROUNDED] += not grounded
        self.counts[CORRECTED] += cleaned != grounded
        return cleaned


def _of_type(name: str) -> str:
    return f"annotation rows of type {name}"
