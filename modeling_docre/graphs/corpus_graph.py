"""One graph of many documents: their entities merged into nodes, their relations into edges with support."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

from modeling_docre.documents import Document, DocumentError
from modeling_docre.merging import PERSONS, LocalEntity, is_short, words_of

from .elements import Edge, Member, Node
from .name_blocks import Concept, Name, NameBlocks, Place
from .records import Record, Statement, record_of
from .similarity import THRESHOLD, Merge

Key = Name | Concept | Member
"""What makes a node: a name, a known concept, or an entity that stays alone."""

EdgeKey = tuple[Key, Key, str]


class CorpusGraph:
    """A graph of documents that come and go.

    The graph depends on the set of documents, not on the order or the portions in which they came. A change recomputes
    what it touches, when nodes or edges are next read.

    Entities of one type that have the same name are merged. Two names mean one thing if documents use both for one
    entity and hardly any document for two. Known concept ids decide where they are present. Numbers, times, and persons
    of whom a document gives one word only are not merged.

    Args:
        merge: "exact" merges entities by equal names, aliases and abbreviations, "similar" also by names of which one
            word is spelled differently, "off" merges nothing.
        threshold: for "similar", the least similarity of these two words from 0 to 1: one less the share of their
            letters that have to go or come to make one of the other.

    Raises:
        ValueError: `merge` is unknown, or `threshold` is not from 0 to 1.
    """

    def __init__(self, merge: Merge = "exact", threshold: float = THRESHOLD):
        self._blocks = NameBlocks(merge, threshold)
        self._records: dict[str, Record] = {}
        self._new: dict[Place, Name | None] = {}  # each with its main name
        self._key: dict[Place, Key] = {}
        self._members: defaultdict[Key, set[Place]] = defaultdict(set)
        self._touched: set[Key] = set()
        self._node: dict[Key, Node] = {}
        self._edge: dict[EdgeKey, Edge] = {}
        self._edges_of: defaultdict[Key, set[EdgeKey]] = defaultdict(set)
        self._nodes: tuple[Node, ...] | None = None
        self._edges: tuple[Edge, ...] | None = None

    @classmethod
    def of(cls, documents: Iterable[Document | Mapping[str, Any]], **options: Any) -> CorpusGraph:
        """The graph of documents or their dict forms; `options` are those of the class."""
        graph = cls(**options)
        graph.add(documents)
        return graph

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> CorpusGraph:
        """The graph that `save` has written to a folder.

        Raises:
            FileNotFoundError: the folder has no such graph.
            ValueError: its files are not those of a graph.
        """
        from .graph_files import read_graph  # loads pyarrow, which the command line can do without

        options, records = read_graph(folder)
        graph = cls(**options)
        graph._add(records)
        return graph

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the graph as Parquet files, wholly or not at all: nodes, edges, support and documents.

        The first three are for other programs. `load` reads the last two and computes the graph again.

        Args:
            folder: a folder that does not exist, is empty, or holds a graph, which is replaced.

        Raises:
            FileExistsError: the folder holds something else.
            OSError: the files cannot be written; what was there is untouched.
        """
        records = [self._records[name] for name in sorted(self._records)]
        from .graph_files import write_graph

        options = {"merge": self.merge, "threshold": self.threshold}
        write_graph(folder, self.nodes, self.edges, records, options)

    @property
    def merge(self) -> Merge:
        """How entities are merged."""
        return self._blocks.merge

    @property
    def threshold(self) -> float:
        """The least similarity of two spellings of a word, from 0 to 1."""
        return self._blocks.threshold

    @property
    def document_ids(self) -> tuple[str, ...]:
        """The ids of the documents, sorted."""
        return tuple(sorted(self._records))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, sorted by id."""
        self._refresh()
        if self._nodes is None:
            self._nodes = tuple(sorted(self._node.values(), key=lambda node: node.id))
        return self._nodes

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges, sorted by head, tail and type."""
        self._refresh()
        if self._edges is None:
            self._edges = tuple(sorted(self._edge.values(), key=lambda edge: (edge.head, edge.tail, edge.type)))
        return self._edges

    def add(
        self, documents: Iterable[Document | Mapping[str, Any]], date: str | Mapping[str, str] | None = None
    ) -> None:
        """Add documents, all or none.

        Args:
            documents: documents or their dict forms, such as the pipeline's results; each has an id of its own.
            date: ISO date (`YYYY-MM-DD`) of all of them, or the date of each by its id; documents not named have none.

        Raises:
            DocumentError: a document is not valid, its id is in the graph already or occurs twice, or a date is not an
                ISO date.
            TypeError: `documents` is a single document, or nothing that holds documents.
        """
        self._add(_records(documents, date))

    def remove(self, document_id: str) -> None:
        """Remove a document with all that it supports.

        Raises:
            DocumentError: the graph has no such document.
        """
        if document_id not in self._records:
            raise DocumentError(
                document_id, "id", document_id, "the graph has no such document; `document_ids` lists them"
            )
        record = self._records.pop(document_id)
        self._blocks.remove(document_id, record.entities)
        for number in range(len(record.entities)):
            place = document_id, number
            self._new.pop(place, None)
            if place in self._key:
                key = self._key.pop(place)
                self._members[key].remove(place)
                self._touched.add(key)

    def _add(self, records: Iterable[Record]) -> None:
        new: dict[str, Record] = {}
        for record in records:
            name = record.document_id
            if name in self._records or name in new:
                place = "the graph has it already" if name in self._records else "two of these documents have it"
                raise DocumentError(name, "id", name, f"{place}; give each document its own, or remove one")
            new[name] = record
        for name, record in new.items():
            self._new |= self._blocks.add(name, record.entities)
        self._records |= new

    def _refresh(self) -> None:
        """Bring nodes and edges up to date."""
        moved = {place: name for name in self._blocks.update() for place in self._blocks.members(name)} | self._new
        self._new = {}
        for place, main in moved.items():
            self._move(place, main)
        touched, self._touched = self._touched, set()
        if not touched:
            return
        self._nodes = self._edges = None
        for key in touched:
            self._drop(key)
        alive = [key for key in touched if self._members[key]]
        for key in alive:
            self._node[key] = self._make_node(key)
        self._connect(touched, {document for key in alive for document, _ in self._members[key]})
        for key in touched.difference(alive):
            del self._members[key]

    def _move(self, place: Place, main: Name | None) -> None:
        """Put an entity, known by its main name, where it belongs now."""
        document, number = place
        key: Key = self._blocks.group_by(main, self._records[document].entities[number]) or Member(*place)
        before = self._key.get(place)
        if key == before:
            return
        if before is not None:
            self._members[before].remove(place)
            self._touched.add(before)
        self._key[place] = key
        self._members[key].add(place)
        self._touched.add(key)

    def _drop(self, key: Key) -> None:
        self._node.pop(key, None)
        for edge in self._edges_of.pop(key, ()):
            self._edge.pop(edge, None)
            for end in edge[:2]:
                if end != key and end in self._edges_of:
                    self._edges_of[end].discard(edge)

    def _connect(self, keys: set[Key], documents: Iterable[str]) -> None:
        """Make the edges of nodes; `documents` are those that mention one of them."""
        statements: defaultdict[EdgeKey, list[Statement]] = defaultdict(list)
        for document in sorted(documents):
            for statement in self._records[document].statements:
                head, tail = (
                    self._key[document, entity] for entity in (statement.support.head, statement.support.tail)
                )
                if head in keys or tail in keys:
                    statements[head, tail, statement.type].append(statement)
        for edge, found in statements.items():
            head, tail, kind = edge
            self._edge[edge] = make_edge(self._node[head].id, self._node[tail].id, kind, found)
            self._edges_of[head].add(edge)
            self._edges_of[tail].add(edge)

    def _make_node(self, key: Key) -> Node:
        places = sorted(self._members[key])
        return make_node(places, [self._records[document].entities[number] for document, number in places])


def make_node(places: Sequence[tuple[str, int]], entities: Sequence[LocalEntity]) -> Node:
    """The node of entities that are one thing.

    Args:
        places: document id and number in the document of each entity, sorted.
        entities: what is known of each.
    """
    scores = [entity.score for entity in entities if entity.score is not None]
    return Node(
        id="#".join(map(str, places[0])),
        name=(aliases := _aliases(entities))[0],
        type=entities[0].type,
        aliases=aliases,
        concept_ids=tuple(sorted({entity.id for entity in entities if entity.id})),
        documents=len({document for document, _ in places}),
        mentions=sum(spelling.mentions for entity in entities for spelling in entity.spellings),
        score=max(scores, default=None),
        members=tuple(Member(*place) for place in places),
    )


def _records(
    documents: Iterable[Document | Mapping[str, Any]], date: str | Mapping[str, str] | None
) -> Iterator[Record]:
    if isinstance(documents, str | Mapping | Document) or not isinstance(documents, Iterable):
        kind = type(documents).__name__
        raise TypeError(f"documents is a {kind}; give a list of documents, also of one: [document]")
    for item in documents:
        document = item if isinstance(item, Document) else Document.from_dict(item)
        yield record_of(document, date.get(document.id) if isinstance(date, Mapping) else date)


def _aliases(entities: Iterable[LocalEntity]) -> tuple[str, ...]:
    """All names by falling frequency, but first the most frequent full name."""
    counts, own, people = Counter[str](), set[str](), False
    for entity in entities:
        people = entity.type.upper() in PERSONS
        counts.update({spelling.text: spelling.mentions for spelling in entity.spellings})
        own |= {spelling.text for spelling in entity.spellings if spelling.mentions > spelling.shared}
    ranked = sorted(counts, key=lambda text: (-counts[text], text))
    name = min(ranked, key=lambda text: (text not in own, is_short(text), people and len(words_of(text)) < 2))
    return (name, *(text for text in ranked if text != name))


def make_edge(head: str, tail: str, kind: str, statements: Sequence[Statement]) -> Edge:
    """The edge of a type between two nodes; its statements are sorted by document id, head and tail."""
    support = tuple(statement.support for statement in statements)
    labels = Counter(statement.label for statement in statements if statement.label)
    scores = [item.score for item in support if item.score is not None]
    dates = [item.date for item in support if item.date is not None]
    return Edge(
        head=head,
        tail=tail,
        type=kind,
        label=min(labels, key=lambda label: (-labels[label], label), default=kind),
        score=max(scores, default=None),
        documents=len({item.document_id for item in support}),
        first_seen=min(dates, default=None),
        last_seen=max(dates, default=None),
        support=support,
    )
