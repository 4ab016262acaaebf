"""GDA: its three files, the list that divides the training abstracts, and what is refused."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataset_scripts.building.sources import Source
from dataset_scripts.gda import Gda, read_abstracts, read_annotations, read_labels
from modeling_docre.annotations.pubtator import Annotation
from modeling_docre.documents import Document, DocumentError

ABSTRACTS = """{a}
BRCA1 in cancer.
Breast cancer is common. So is flu.

{b}
No TP53 today
TP53/4 and flu.
"""
ANNOTATIONS = """{a}	0	5	BRCA1	Gene	672
{a}	9	15	cancer	Disease	D009369
{a}	17	30	Breast cancer	Disease	D001943
{a}	48	51	flu	Disease	-

{b}	3	7	TP53	Gene	7157
{b}	14	20	TP53/4	Gene	7157;7158
{b}	25	28	flu	Disease	D007251
"""
LABELS = "pmid,geneId,diseaseId,label\n{a},672,D001943,1\n{a},672,D009369,0\n{b},7158,D007251,1\n"


def _fill(folder: Path, ids: bool = True) -> Path:
    for name, (a, b) in {"training_data": (11, 12), "testing_data": (21, 22)}.items():
        (folder / name).mkdir(parents=True)
        for file, text in {"abstracts.txt": ABSTRACTS, "anns.txt": ANNOTATIONS, "labels.csv": LABELS}.items():
            (folder / name / file).write_text(text.format(a=a, b=b))
    if ids:
        (folder / "train_gda_docs").write_text("12\n")
    return folder


def _prepared(tmp_path: Path, data_dir: Path | None, **options: Any) -> dict[str, list[Document]]:
    builder = Gda(str(tmp_path / "cache"), data_dir=data_dir, **options)
    builder.download_and_prepare()
    prepared = {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}
    streamed = builder.as_streaming_dataset()
    assert {name: list(map(Document.from_dict, split)) for name, split in streamed.items()} == prepared
    return prepared


def _train(tmp_path: Path, folder: Path) -> list[Document]:
    dataset = Gda(str(tmp_path / "cache"), data_dir=folder).as_streaming_dataset()
    return [Document.from_dict(row) for split in ("train", "validation") for row in dataset[split]]


def _lines(text: str) -> Iterator[str]:
    return iter(text.splitlines(keepends=True))


def test_splits(tmp_path: Path) -> None:
    prepared = _prepared(tmp_path, _fill(tmp_path / "gda"))
    assert {name: [d.id for d in split] for name, split in prepared.items()} == {
        "train": ["12"],
        "validation": ["11"],
        "test": ["21", "22"],
    }


@pytest.mark.parametrize("config", ["default", "gene"])
def test_pairs(config: str, tmp_path: Path) -> None:
    first, second = _prepared(tmp_path, _fill(tmp_path / "gda"), config_name=config)["test"]
    assert [(e.type, e.id) for e in first.entities] == [("Gene", "672"), ("Disease", "D009369"), ("Disease", "D001943")]
    assert [(c.head, c.tail, c.cross, c.scored) for c in first.candidates or ()] == [
        (0, 1, False, True),
        (0, 2, True, True),
    ]
    assert [(r.head, r.tail, r.type, r.label) for r in first.relations] == [
        (0, 2, "GDA", "gene is associated with disease")
    ]
    assert [(e.id, len(e.mentions)) for e in second.entities] == [("7157", 2), ("7158", 1), ("D007251", 1)]
    assert [(r.head, r.tail) for r in second.relations] == [(1, 2)]


def test_the_head_is_the_concept_mentioned_first(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "gda")
    (folder / "testing_data/abstracts.txt").write_text("21\nFlu and TP53\n\n")
    (folder / "testing_data/anns.txt").write_text("21\t0\t3\tFlu\tDisease\tD1\n21\t8\t12\tTP53\tGene\t7\n")
    (folder / "testing_data/labels.csv").write_text("21,7,D1,1\n")
    for config, pair in (("default", (0, 1)), ("gene", (1, 0))):
        [document] = _prepared(tmp_path, folder, config_name=config)["test"]
        assert [(r.head, r.tail) for r in document.relations] == [pair]
        assert [(c.head, c.tail) for c in document.candidates or ()] == [pair]


def test_the_list_of_training_documents_is_needed(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "gda", ids=False)
    with pytest.raises(
        FileNotFoundError, match=r"gda: split 'train' also needs train_gda_docs, which data_dir .* lacks"
    ):
        Gda(str(tmp_path / "cache"), data_dir=folder).download_and_prepare()


def test_the_zip_as_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _fill(tmp_path / "gda")
    archive = tmp_path / "fd4a7409365e.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in folder.glob("*_data/*"):
            opened.write(path, f"alexwuhkucs-gda-extraction-fd4a7409365e/{path.relative_to(folder)}")
    table = {
        part: Source(str(archive if source.archive else folder / "train_gda_docs"), source.names, None, source.archive)
        for part, source in Gda.SOURCES["default"].items()
    }
    monkeypatch.setattr(Gda, "SOURCES", dict.fromkeys(Gda.SOURCES, table))
    assert _prepared(tmp_path / "a", None) == _prepared(tmp_path / "b", folder)


def test_rows_that_are_left_out_give_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = _fill(tmp_path / "gda")
    with (folder / "training_data/labels.csv").open("a") as labels:
        labels.write("12,9999,D007251,1\n99,672,D001943,1\n")
    assert [len(document.relations) for document in _train(tmp_path, folder)] == [1, 1]
    text = "\n".join(entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING")
    assert "relation rows of a concept without a mention (dropped)" in text
    assert "rows of documents without an abstract (dropped)" in text


def test_ids_that_are_written_differently_are_refused(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "gda")
    path = folder / "training_data/labels.csv"
    path.write_text(path.read_text().replace(",D", ",MESH:D"))
    with pytest.raises(ValueError, match=r"labels\.csv: none of its pairs is mentioned in .*the same way in both"):
        _train(tmp_path, folder)


# its files


def test_abstracts(subtests: pytest.Subtests) -> None:
    for ending in ["\n", "\r\n"]:
        with subtests.test(ending=ending):
            text = "\n\n11\nTitle\nText.\n\n12\nOnly a title\n\n13\nT\nA\n".replace("\n", ending)
            found = list(read_abstracts(_lines(text), "abstracts.txt"))
            assert [(a.id, a.title, a.abstract) for a in found] == [
                ("11", "Title", "Text."),
                ("12", "Only a title", ""),
                ("13", "T", "A"),
            ]


def test_broken_abstracts_are_named(subtests: pytest.Subtests) -> None:
    cases = [
        ("11\nTitle\nText.\nMore text.\n", r"document 'line 4 of abstracts\.txt': id is 'More text\.'"),
        ("11|t|Title\n", r"'line 1 of abstracts\.txt': id is '11\|t\|Title'; give a PubMed id"),
        ("11\nTitle\nText.\n\n12\nTitle\n", r"document '12': lines after 5 of abstracts\.txt is \['Title'\]"),
    ]
    for text, found in cases:
        with subtests.test(text=text, found=found), pytest.raises(DocumentError, match=found):
            list(read_abstracts(_lines(text), "abstracts.txt"))


def test_annotations(subtests: pytest.Subtests) -> None:
    cases = [
        "11\t0\t5\tBRCA1\tGene\t672\n\n12\t3\t6\tflu\tDisease\tD1\n",
        "11\n0\t5\tBRCA1\tGene\t672\n\n12\n3\t6\tflu\tDisease\tD1\n",
        "11\r\n11\t0\t5\tBRCA1\tGene\t672\r\n12\r\n3\t6\tflu\tDisease\tD1\r\n",
    ]
    for text in cases:
        with subtests.test(text=text):
            assert read_annotations(_lines(text), "anns.txt") == {
                "11": [Annotation(0, 5, "BRCA1", "Gene", "672")],
                "12": [Annotation(3, 6, "flu", "Disease", "D1")],
            }


def test_broken_annotations_are_named(subtests: pytest.Subtests) -> None:
    for row in ["0\t5\tBRCA1\tGene\t672", "11\t0\t5\tBRCA1\tGene", "11\t0\tx\tB\tGene\t672", "11 0 5"]:
        with (
            subtests.test(row=row),
            pytest.raises(DocumentError, match=r"line 2 of anns\.txt is .*give the columns id, start, end"),
        ):
            read_annotations(_lines(f"\n{row}\n"), "anns.txt")


def test_labels() -> None:
    rows = "11,672,D1,1\n11,672,D2,0\n12,7,D1,1\n11,673,D1,1\n"
    expected = {"11": [("672", "D1"), ("673", "D1")], "12": [("7", "D1")]}
    assert read_labels(_lines(rows), "labels.csv") == expected
    assert read_labels(_lines("pmid,gene,disease,label\n" + rows), "labels.csv") == expected


def test_broken_labels_are_named(subtests: pytest.Subtests) -> None:
    for row in ["11,672,D1,yes", "11,672,1", "11,672,D1,x,1", "pmid,gene,disease,label"]:
        with (
            subtests.test(row=row),
            pytest.raises(DocumentError, match=r"line 2 of labels\.csv is .*1 for associated or 0 for not"),
        ):
            read_labels(_lines(f"11,672,D1,1\n{row}\n"), "labels.csv")
