"""What a graph of many documents is made of: nodes, edges, and the documents that support each edge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """An entity of one document: the document's id and the entity's position in it."""

    document_id: str
    entity: int


@dataclass(frozen=True, slots=True)
class Node:
    """Entities of one or more documents that are one thing.

    Attributes:
        id: stable name of the node: that of its first member, `document_id#entity`.
        name: the most frequent full name.
        type: the most frequent entity type.
        aliases: all names, `name` first, then by frequency.
        concept_ids: the known ids of its members, sorted; empty where none is known.
        documents: number of documents that mention it.
        mentions: number of its mentions.
        score: best score of its members, from 0 to 1; None where none has a score.
        members: its entities, sorted.
    """

    id: str
    name: str
    type: str
    aliases: tuple[str, ...]
    concept_ids: tuple[str, ...]
    documents: int
    mentions: int
    score: float | None
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that states a relation.

    Attributes:
        sentence: its number in the document.
        text: the sentence as it stands in the document's text, or its words joined by blanks where no text is known.
        char_start, char_end: its half-open character range in the document's text; None where no text is known.
        score: how strongly it states the relation, from 0 to 1; None where unknown.
    """

    sentence: int
    text: str
    char_start: int | None = None
    char_end: int | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Support:
    """A document's statement of a relation: which of its entities, with what score, in which sentences.

    Where the document names no sentences, they are those that mention both entities, else the first that mentions each.
    """

    document_id: str
    head: int
    tail: int
    score: float | None
    evidence: tuple[Evidence, ...]
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation between two nodes.

    Attributes:
        head, tail: ids of the nodes.
        type: the relation type, `label` its readable name.
        score: best score of its support, from 0 to 1; None where none has a score.
        documents: number of documents that state it.
        first_seen, last_seen: earliest and latest ISO date of these documents; None where no date is known.
        support: what states it, sorted by document id, head and tail.
    """

    head: str
    tail: str
    type: str
    label: str
    score: float | None
    documents: int
    first_seen: str | None
    last_seen: str | None
    support: tuple[Support, ...]
