"""MeSH's tree of descriptors, and the filter that leaves out pairs with a hypernym of a related disease."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from modeling_docre.documents import Candidate, Document

TREE_FILES = ("2017MeshTree.txt", "mesh_2017_tree.txt")
"""Names of the file of tree numbers, the official one first."""

_COLUMNS = ("Tree Number", "Desc Ui", "Term")
_TREE_NUMBER = re.compile(r"[A-Z]\d\d(\.\d{3})*")
_DESCRIPTOR = re.compile(r"D\d+")


class MeshTree:
    """The places of MeSH descriptors in the tree; one that is not in it is above none and below none.

    Args:
        numbers: tree numbers (`C14.280.067`) of each descriptor id (`D001145`).
    """

    def __init__(self, numbers: Mapping[str, Iterable[str]]):
        self.numbers = {name: frozenset(places) for name, places in numbers.items()}
        self._above = {name: frozenset(_with_ancestors(places)) for name, places in self.numbers.items()}

    @classmethod
    def read(cls, lines: Iterable[str], name: str) -> MeshTree:
        """The tree from a file with a tree number, a descriptor id and a term per line, separated by tabs.

        Args:
            lines: the lines; a header `Tree Number, Desc Ui, Term` may come first.
            name: name of the file, for messages.

        Raises:
            ValueError: a line has another form, or the file has no line.
        """
        numbers: dict[str, list[str]] = {}
        for position, line in enumerate(lines, 1):
            columns = tuple(line.rstrip("\r\n").split("\t"))
            if columns == _COLUMNS or columns == ("",):
                continue
            if len(columns) != 3 or not _TREE_NUMBER.fullmatch(columns[0]) or not _DESCRIPTOR.fullmatch(columns[1]):
                raise ValueError(
                    f"{name}, line {position}: found {line[:80]!r}; give a tree number (C14.280.067), a descriptor id "
                    "(D001145) and a term, separated by tabs"
                )
            numbers.setdefault(columns[1], []).append(columns[0])
        if not numbers:
            raise ValueError(f"{name} has no tree number; give MeSH's file with the columns {', '.join(_COLUMNS)}")
        return cls(numbers)

    def is_hypernym(self, general: str, specific: str) -> bool:
        """Whether `general` stands above `specific` somewhere in the tree, or at one place with it."""
        return not self.numbers.get(general, frozenset()).isdisjoint(self._above.get(specific, frozenset()))


def filter_hypernyms(document: Document, tree: MeshTree, disease: str = "Disease") -> Document:
    """Leave out of scoring what is too general to be asked: its candidates become `scored = False`.

    A candidate (chemical, disease) that is not related is left out if its disease is a hypernym of one that the same
    chemical is related to (hypernym filter of CDR's evaluation; bi-affine relation attention networks and the
    edge-oriented graph's release, MeSH 2017). No entity, relation or candidate is removed.

    Args:
        document: candidates between diseases and entities of another type, in either direction.
        tree: the tree that has the diseases' concept ids.
        disease: the entity type of the diseases.
    """
    related: dict[int, set[int]] = {}
    for relation in document.relations:
        other, found = _roles(document, relation.head, relation.tail, disease)
        related.setdefault(other, set()).add(found)

    def scored(candidate: Candidate) -> bool:
        other, found = _roles(document, candidate.head, candidate.tail, disease)
        known = related.get(other, set())
        general = document.entities[found].id or ""
        return found in known or not any(tree.is_hypernym(general, document.entities[n].id or "") for n in known)

    if document.candidates is None:
        return document
    return replace(document, candidates=tuple(replace(item, scored=scored(item)) for item in document.candidates))


def _roles(document: Document, head: int, tail: int, disease: str) -> tuple[int, int]:
    """The entity that is no disease and the disease of a pair, whichever is the head."""
    return (tail, head) if document.entities[head].type == disease else (head, tail)


def _with_ancestors(numbers: Iterable[str]) -> Iterable[str]:
    """Each tree number and those of the nodes above it: C14.280.067 lies under C14.280 and C14."""
    for number in numbers:
        while number:
            yield number
            number = number.rpartition(".")[0]
