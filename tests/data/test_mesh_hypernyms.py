"""MeSH's tree and the hypernym filter of CDR's evaluation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from dataset_scripts.building.sources import source_lines
from dataset_scripts.readers.mesh_hypernyms import MeshTree, filter_hypernyms
from modeling_docre.documents import Candidate, Document, Entity, Mention, Relation

TREE = """Tree Number\tDesc Ui\tTerm
C14\tD002318\tCardiovascular Diseases
C14.280\tD006331\tHeart Diseases
C14.280.067\tD001145\tArrhythmias, Cardiac
C23.550.073\tD001145\tArrhythmias, Cardiac
C23.550\tD010335\tPathologic Processes
C14.280.067.198\tD001281\tAtrial Fibrillation
C10\tD009422\tNervous System Diseases
"""


@pytest.fixture
def tree() -> MeshTree:
    return MeshTree.read(TREE.splitlines(keepends=True), "tree.txt")


def test_hypernyms(tree: MeshTree) -> None:
    assert tree.is_hypernym("D006331", "D001145") and tree.is_hypernym("D002318", "D001281")
    assert tree.is_hypernym("D010335", "D001145"), "one of several places is enough"
    assert not tree.is_hypernym("D001145", "D006331"), "the direction counts"
    assert not tree.is_hypernym("D009422", "D001145")
    assert not tree.is_hypernym("C535326", "D001145") and not tree.is_hypernym("D001145", "C535326")


def test_a_broken_file_is_named(subtests: pytest.Subtests) -> None:
    cases = [
        ("C14\tD002318\n", "line 1: found 'C14"),
        (TREE + "D002318\tC14\tswapped\n", "line 9: found 'D002318"),
        ("", "has no tree number"),
        ("Tree Number\tDesc Ui\tTerm\n", "has no tree number"),
    ]
    for text, found in cases:
        with subtests.test(text=text, found=found), pytest.raises(ValueError, match=rf"tree\.txt.*{found}"):
            MeshTree.read(text.splitlines(keepends=True), "tree.txt")


def test_windows_line_ends(tree: MeshTree) -> None:
    assert MeshTree.read(TREE.replace("\n", "\r\n").splitlines(keepends=True), "t").numbers == tree.numbers


def _document(related: list[tuple[int, int]], swap: bool = False) -> Document:
    """Two chemicals (0, 1) and four diseases (2 to 5), each mentioned once."""
    ids = ["D000001", "D000002", "D001145", "D006331", "D009422", "C535326"]
    entities = tuple(
        Entity("Chemical" if n < 2 else "Disease", (Mention(0, n, n + 1),), name) for n, name in enumerate(ids)
    )

    def order(pair: tuple[int, int]) -> tuple[int, int]:
        return pair[::-1] if swap else pair

    return Document(
        "d",
        (tuple("abcdef"),),
        entities,
        tuple(Relation(*order(pair), "CID") for pair in related),
        candidates=tuple(Candidate(*order(pair)) for pair in product((0, 1), (2, 3, 4, 5))),
    )


def test_the_filter(tree: MeshTree, subtests: pytest.Subtests) -> None:
    cases: dict[str, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {
        "nothing related": ([], []),
        "hypernym": ([(0, 2)], [(0, 3)]),
        "hyponym": ([(0, 3)], []),
        "both related": ([(0, 2), (0, 3)], []),
        "not in the tree": ([(0, 5)], []),
        "of the same chemical only": ([(0, 4), (1, 2)], [(1, 3)]),
    }
    for swap, (name, (related, left_out)) in product([False, True], cases.items()):
        with subtests.test(name, disease_first=swap):
            document = _document(related, swap)
            filtered = filter_hypernyms(document, tree)
            found = [(c.tail, c.head) if swap else (c.head, c.tail) for c in filtered.candidates or () if not c.scored]
            assert found == left_out
            assert (filtered.entities, filtered.relations) == (document.entities, document.relations)
            assert len(filtered.candidates or ()) == 8


def test_a_document_without_candidates(tree: MeshTree) -> None:
    document = Document("d", (("a",),))
    assert filter_hypernyms(document, tree) == document


def test_the_tree_of_2017(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("cdr/mesh_2017_tree.txt.gz")
    tree = MeshTree.read(source_lines(str(path)), path.name)
    assert len(tree.numbers) == 28470
    assert sum(map(len, tree.numbers.values())) == 57840
    assert tree.is_hypernym("D006331", "D001281"), "atrial fibrillation is a heart disease"
