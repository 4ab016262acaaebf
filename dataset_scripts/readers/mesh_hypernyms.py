"""MeSH's tree of descriptors, and the filter that leaves out pairs with a hypernym of a related disease."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from modeling_docre.documents import Document

TREE_FILES = ("2017MeshTree.txt", "mesh_2017_tree.txt")
"""Names of the file of tree numbers, the official one first."""

_COLUMNS = ("Tree Number", "Desc Ui", "Term")
_TREE_NUMBER = re.compile(r"[A-Z]\d\d(\.\d{3})*")
_DESCRIPTOR = re.compile(r"D\d+")


class MeshTree:
    """The positions of MeSH descriptors in the tree; unknown descriptors have no hypernyms or hyponyms.

    Args:
        numbers: tree numbers (`C14.280.067`) of each descriptor id (`D001145`).
    """

    def __init__(self, numbers: Mapping[str, Iterable[str]]):
        self.numbers = {name: frozenset(own) for name, own in numbers.items()}
        self._above = {name: frozenset(_with_ancestors(own)) for name, own in self.numbers.items()}

    @classmethod
    def read(cls, lines: Iterable[str], name: str) -> MeshTree:
        """Read the tree from a file with a tree number, a descriptor id and a term per line, separated by tabs.

        Args:
            lines: the lines; a header `Tree Number, Desc Ui, Term` may come first.
            name: name of the file, for messages.

        Raises:
            ValueError: a line has a wrong form, or the file has no tree number.
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
        """Whether `general` is above `specific` somewhere in the tree, or shares a position with it."""
        return not self.numbers.get(general, frozenset()).isdisjoint(self._above.get(specific, frozenset()))


def filter_hypernyms(document: Document, tree: MeshTree, disease: str = "Disease") -> Document:
    """Mark candidates whose disease is too general as not scored.

    An unrelated candidate (chemical, disease) gets `scored = False` if its disease is a hypernym of one that the same
    chemical is related to. This is the hypernym filter of CDR's evaluation (bi-affine relation attention networks and
    the edge-oriented graph's release, MeSH 2017). No entity, relation or candidate is removed.

    Args:
        document: candidates between diseases and entities of another type, in either direction.
        tree: the tree with the diseases' concept ids.
        disease: the entity type of the diseases.
    """
    if document.candidates is None:
        return document
    related: dict[int, set[int]] = {}
    for relation in document.relations:
        chemical, own = _roles(document, relation.head, relation.tail, disease)
        related.setdefault(chemical, set()).add(own)
    candidates = []
    for candidate in document.candidates:
        chemical, own = _roles(document, candidate.head, candidate.tail, disease)
        scored = _is_scored(document, own, related.get(chemical, set()), tree)
        candidates.append(replace(candidate, scored=scored))
    return replace(document, candidates=tuple(candidates))


def _is_scored(document: Document, disease: int, related: set[int], tree: MeshTree) -> bool:
    """Whether a disease is among the related ones, or a hypernym of none of them."""
    general = document.entities[disease].id or ""
    return disease in related or not any(tree.is_hypernym(general, document.entities[n].id or "") for n in related)


def _roles(document: Document, head: int, tail: int, disease: str) -> tuple[int, int]:
    """The other entity and the disease of a pair, whichever is the head."""
    return (tail, head) if document.entities[head].type == disease else (head, tail)


def _with_ancestors(numbers: Iterable[str]) -> Iterable[str]:
    """Each tree number and those of the nodes above it: C14.280.067 lies under C14.280 and C14."""
    for number in numbers:
        while number:
            yield number
            number = number.rpartition(".")[0]
