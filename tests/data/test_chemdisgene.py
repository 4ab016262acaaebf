"""ChemDisGene: abstracts with relations in a second file, and the figures of the real dev files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_scripts.building.statistics import corpus_statistics
from dataset_scripts.chemdisgene import PAIR_TYPES, ChemDisGene, read_relationships
from modeling_docre.documents import Document, DocumentError

ABSTRACTS = """7|t|Asthma, lithium and mTOR in rats.
7	0	6	Asthma	Disease	MESH:D001249
7	8	15	lithium	Chemical	MESH:D008094
7	20	24	mTOR	Gene	2475;56718
7	28	32	rats	Species	10116

8|t|Nothing.
8|a|At all.
"""
RELATIONS = """7	chem_disease:therapeutic	MESH:D001249	MESH:D008094
7	chem_gene:affects^binding	2475	MESH:D008094
7	gene_disease:therapeutic	MESH:D001249	56718
"""


def _fill(folder: Path, relations: str = RELATIONS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "dev_abstracts.txt").write_text(ABSTRACTS)
    (folder / "dev_relationships.tsv").write_text(relations)
    return folder


def _read(tmp_path: Path, folder: Path, **options: Any) -> list[Document]:
    builder = ChemDisGene(str(tmp_path / "cache"), data_dir=folder, **options)
    streamed = builder.as_streaming_dataset()
    assert list(streamed) == ["validation"]
    return [Document.from_dict(row) for row in streamed["validation"]]


def test_pairs_and_directions(tmp_path: Path) -> None:
    document, empty = _read(tmp_path, _fill(tmp_path / "local"))
    types = [entity.type for entity in document.entities]
    assert types == ["Disease", "Chemical", "Gene", "Gene", "Species"]
    assert [(r.head, r.tail, r.type) for r in document.relations] == [
        (1, 0, "chem_disease:therapeutic"),
        (1, 2, "chem_gene:affects^binding"),
        (3, 0, "gene_disease:therapeutic"),
    ]
    assert document.relations[1].label == "chemical affects binding of gene"
    pairs = [(c.head, c.tail) for c in document.candidates or ()]
    assert pairs == [(1, 0), (1, 2), (1, 3), (2, 0), (3, 0)]
    assert {(types[head], types[tail]) for head, tail in pairs} == set(PAIR_TYPES)
    assert empty.entities == () and empty.candidates == ()


def test_the_order_of_the_columns_does_not_matter(tmp_path: Path) -> None:
    swapped = "".join(
        "\t".join([*line.split("\t")[:2], *line.split("\t")[:1:-1]]) + "\n" for line in RELATIONS.split("\n")[:-1]
    )
    assert swapped != RELATIONS
    assert _read(tmp_path, _fill(tmp_path / "b", swapped)) == _read(tmp_path, _fill(tmp_path / "a"))


def test_types_that_nothing_relates_can_be_left_out(tmp_path: Path) -> None:
    document, _ = _read(tmp_path, _fill(tmp_path / "local"), config_name="related")
    assert {entity.type for entity in document.entities} == {"Disease", "Chemical", "Gene"}
    assert len(document.candidates or ()) == 5


def test_unknown_relation_types_are_refused_or_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _fill(tmp_path / "local", RELATIONS + "7\tchem_gene:kills\t2475\tMESH:D008094\n")
    with pytest.raises(DocumentError, match=r"'7': relation type is 'chem_gene:kills'; .*drop_unknown_relations=True"):
        _read(tmp_path, folder)
    document, _ = _read(tmp_path, folder, drop_unknown_relations=True)
    assert len(document.relations) == 3
    assert "relation rows of unknown types (dropped)" in caplog.text


def test_rows_without_their_document_or_mention_give_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "7\tchem_gene:affects^binding\t10116\tMESH:D008094\n99\tchem_gene:affects^binding\t1\tMESH:D008094\n"
    document, _ = _read(tmp_path, _fill(tmp_path / "local", RELATIONS + rows))
    assert len(document.relations) == 3, "10116 is the id of a species there, of no gene"
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    found = {line.rsplit(maxsplit=1)[0].strip(): line.rsplit(maxsplit=1)[1] for line in warning.splitlines()[1:]}
    assert found["relation rows of a concept without a mention (dropped)"] == "1"
    assert found["relation rows of documents without an abstract (dropped)"] == "1"


@pytest.mark.parametrize("file", ["dev_abstracts.txt", "dev_relationships.tsv"])
def test_both_files_are_needed(file: str, tmp_path: Path) -> None:
    folder = _fill(tmp_path / "local")
    (folder / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"chemdisgene: split 'validation' also needs {file}"):
        ChemDisGene(str(tmp_path / "cache"), data_dir=folder).download_and_prepare()


def test_broken_rows_are_named(subtests: pytest.Subtests) -> None:
    cases = [
        (
            "7\tchem_gene:affects^binding\t2475",
            r"document '7': line 1 of r\.tsv is .*give the columns id, relation type",
        ),
        ("7\tCID\t1\t2", r"document '7': line 1 of r\.tsv, relation type is 'CID'; begin it with .*chem_disease"),
    ]
    for row, found in cases:
        with subtests.test(row=row, found=found), pytest.raises(DocumentError, match=found):
            read_relationships([row + "\r\n"], "r.tsv")


def test_labels_are_sorted_and_complete() -> None:
    assert ChemDisGene.RELATION_TYPES == sorted(ChemDisGene.RELATION_TYPES) == list(ChemDisGene.RELATION_LABELS)
    assert sorted(ChemDisGene.ENTITY_TYPES) == ChemDisGene.ENTITY_TYPES and len(ChemDisGene.RELATION_TYPES) == 14


@pytest.mark.slow
def test_the_real_dev_files(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared_data("chemdisgene/dev_abstracts.txt.gz").parent
    files = [str(folder / f"dev_{name}.gz") for name in ("abstracts.txt", "relationships.tsv")]
    found = list(ChemDisGene(str(tmp_path), data_dir=folder).read(files))
    figures = corpus_statistics(found)
    expected = {
        "documents": 1521,
        "entity types": 8,
        "relation types": 14,
        # 3,291 rows, of which one names a species' id as a gene's; two of the others stand twice
        "relations": 3288,
        "label rows that repeat another (kept)": 2,
        "mentions of type Species": 5013,
    }
    assert {name: figures[name] for name in expected} == expected
    types: Counter[str] = Counter()
    for document in found:
        asked = {(c.head, c.tail) for c in document.candidates or ()}
        assert {(r.head, r.tail) for r in document.relations} <= asked, document.id
        types.update(relation.type for relation in document.relations)
    assert set(types) == set(ChemDisGene.RELATION_TYPES)
    assert types["chem_gene:increases^expression"] == 919 and types["chem_disease:marker/mechanism"] == 559
