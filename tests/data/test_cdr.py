"""CDR: local files, the zip, configs, broken files and the command line."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets.exceptions import DatasetGenerationError

from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source, source_lines
from dataset_scripts.cdr import Cdr
from dataset_scripts.readers.mesh_hypernyms import TREE_FILES
from modeling_docre.documents import Document, DocumentError

TREE = "Tree Number\tDesc Ui\tTerm\nC10\tD009422\tNervous\nC10.597\tD014202\tTremor\n"
TRAINING = """7|t|Lithium-induced tremor.
7|a|A nervous disease. Clonidine helped.
7	0	7	Lithium	Chemical	D008094
7	16	22	tremor	Disease	D014202
7	26	41	nervous disease	Disease	D009422
7	43	52	Clonidine	Chemical	D003000f
7	CID	D008094	D014202
"""
# in the text: lithium 0, tremor 1, nervous disease 2, clonidine 3


def _fill(folder: Path, tree: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    for name, number in {"Training": "7", "Development": "8", "Test": "9"}.items():
        text = TRAINING.replace("7|", f"{number}|").replace("\n7\t", f"\n{number}\t")
        (folder / f"CDR_{name}Set.PubTator.txt").write_text(text)
    if tree:
        (folder / "2017MeshTree.txt").write_text(TREE)
    return folder


def _zip(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as opened:
        for path in folder.glob("CDR_*"):
            opened.write(path, f"CDR_Data/CDR.Corpus.v010516/{path.name}")
            opened.writestr(f"__MACOSX/CDR_Data/._{path.name}", b"\x00\x05")
    return archive


def _prepared(builder: Cdr) -> dict[str, list[Document]]:
    builder.download_and_prepare()
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}


def _builder(tmp_path: Path, data_dir: Path | None, **options: Any) -> Cdr:
    return Cdr(str(tmp_path / "cache"), data_dir=data_dir, **options)


def _train(tmp_path: Path, data_dir: Path, **options: Any) -> Document:
    [document] = _builder(tmp_path, data_dir, **options).as_streaming_dataset()["train"]
    return Document.from_dict(document)


def _candidates(document: Document) -> list[tuple[int, int, bool, bool | None]]:
    return [(c.head, c.tail, c.scored, c.cross) for c in document.candidates or ()]


# hand-made files


@pytest.mark.parametrize("config", [None, "chemical", "joint", "joint_first_in_text"])
def test_local_files_prepared_and_streamed(config: str | None, tmp_path: Path) -> None:
    builder = _builder(tmp_path, _fill(tmp_path / "local"), config_name=config)
    prepared = _prepared(builder)
    assert {name: [d.id for d in split] for name, split in prepared.items()} == {
        "train": ["7"],
        "validation": ["8"],
        "test": ["9"],
    }
    streamed = builder.as_streaming_dataset()
    assert {name: list(map(Document.from_dict, split)) for name, split in streamed.items()} == prepared


def test_direction_and_filter(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local")
    names = ("default", "chemical", "joint", "joint_first_in_text")
    first, chemical, joint, ordered = (_train(tmp_path, local, config_name=name) for name in names)
    assert [entity.id for entity in first.entities] == ["D008094", "D014202", "D009422", "D003000f"]
    assert _candidates(first) == [(0, 1, True, False), (0, 2, False, True), (1, 3, True, True), (2, 3, True, True)]
    assert _candidates(chemical) == [(0, 1, True, False), (0, 2, False, True), (3, 1, True, True), (3, 2, True, True)]
    assert [c[:2] for c in _candidates(joint)] == [c[:2] for c in _candidates(chemical)]
    assert [c[:2] for c in _candidates(ordered)] == [c[:2] for c in _candidates(first)]
    assert all(candidate.scored for found in (joint, ordered) for candidate in found.candidates or ())
    for document in (first, chemical, joint, ordered):
        assert [(r.head, r.tail, r.type, r.label) for r in document.relations] == [
            (0, 1, "CID", "chemical induces disease")
        ]


def test_options_change_what_is_prepared(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local")
    cleaned = _prepared(_builder(tmp_path, local, clean_ids=True))["train"][0]
    assert cleaned.entities[3].id == "D003000"
    assert _prepared(_builder(tmp_path, local))["train"][0].entities[3].id == "D003000f"
    unfiltered = _prepared(_builder(tmp_path, local, hypernym_filter=False))["train"][0]
    assert all(candidate.scored for candidate in unfiltered.candidates or ())
    assert _prepared(_builder(tmp_path, local, head="chemical")) == _prepared(
        _builder(tmp_path, local, config_name="chemical")
    )
    with pytest.raises(ValueError, match="cdr: head is 'disease'; give one of 'first_in_text', 'chemical'"):
        _builder(tmp_path, local, head="disease")


def test_relations_follow_corrected_ids(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local")
    (local / "CDR_TrainingSet.PubTator.txt").write_text(TRAINING + "7\tCID\tD003000f\tD009422\n")
    assert [len(_train(tmp_path, local, clean_ids=flag).relations) for flag in (False, True)] == [2, 2]


def test_the_tree_is_found_by_each_name(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, name in enumerate([name + ending for name in TREE_FILES for ending in ("", ".gz")]):
        with subtests.test(name=name):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            local = _fill(case_path / "local", tree=False)
            (local / name).write_bytes(gzip.compress(TREE.encode()) if name.endswith(".gz") else TREE.encode())
            assert [c.scored for c in _train(case_path, local).candidates or ()] == [True, False, True, True]


def test_a_changed_tree_is_read_again(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local", tree=False)
    tree = tmp_path / "tree.txt"
    for text, left_out in ((TREE, 1), (TREE.replace("C10.597", "C11.597"), 0)):
        for place in (tree, local / "2017MeshTree.txt"):
            place.write_text(text)
        options: dict[str, Any]
        for options in ({}, {"mesh_tree": str(tree)}):
            [document] = _prepared(_builder(tmp_path, local, **options))["train"]
            assert sum(not candidate.scored for candidate in document.candidates or ()) == left_out


def test_without_the_tree_the_error_says_what_to_do(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local", tree=False)
    for options, found in (({}, str(local)), ({"mesh_tree": "gone.txt"}, "'gone.txt' does not exist")):
        with pytest.raises(FileNotFoundError) as caught:
            _builder(tmp_path, local, **options).download_and_prepare()
        parts = ["cdr", "2017MeshTree.txt", "hypernym_filter=False", "`joint`", found]
        assert all(part in str(caught.value) for part in parts), caught.value
    assert len(_prepared(_builder(tmp_path, local, config_name="joint"))) == 3


def test_a_zip_in_the_folder_and_as_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = _fill(tmp_path / "local")
    expected = _prepared(_builder(tmp_path, local))
    folder = tmp_path / "zipped"
    folder.mkdir()
    archive = _zip(local, folder / "CDR_Data.zip")
    (folder / "2017MeshTree.txt").write_text(TREE)
    assert _prepared(_builder(tmp_path, folder)) == expected
    table = {
        split: Source(str(archive), source.names, archive=source.archive)
        for split, source in Cdr.SOURCES["default"].items()
    }
    monkeypatch.setattr(Cdr, "SOURCES", dict.fromkeys(Cdr.SOURCES, table))
    builder = _builder(tmp_path, None, mesh_tree=str(local / "2017MeshTree.txt"))
    assert _prepared(builder) == expected
    streamed = builder.as_streaming_dataset()
    assert {name: list(map(Document.from_dict, split)) for name, split in streamed.items()} == expected


def test_a_broken_zip_is_named(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local")
    archive = _zip(local, tmp_path / "CDR_Data.zip")
    path = f"zip://CDR_OtherSet.PubTator.txt::{archive}"
    with pytest.raises(FileNotFoundError, match=r"0 files called CDR_OtherSet.* holds CDR_Data/CDR\.Corpus"):
        list(source_lines(path))
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"CDR_Data\.zip is not a complete zip file; fetch it again"):
        list(source_lines(path))


def test_a_cut_gzip_file_is_named(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local")
    path = local / "CDR_TrainingSet.PubTator.txt"
    (local / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()
    with pytest.raises(ValueError, match=r"CDR_TrainingSet\.PubTator\.txt\.gz cannot be read to its end .*again"):
        _train(tmp_path, local)


def test_a_broken_row_is_named(tmp_path: Path, subtests: pytest.Subtests) -> None:
    cases = [
        ("7\tPPI\tD008094\tD014202\n", r"document '7': relations\[1\]\.type is 'PPI'; .*cdr has CID"),
        ("7\t0\t9\tLithium\tChemical\tD008094\n", r"document '7': annotations\[4\] \(start, end\) is \(0, 9\)"),
        ("7\t0\t7\tLithium\tGene\t12\n", r"annotations\[4\]\.type is 'Gene'; .*Chemical, Disease"),
        ("7\t0\t7\n", r"line 8 of CDR_TrainingSet\.PubTator\.txt is '7\\t0\\t7'"),
    ]
    for number, (row, found) in enumerate(cases):
        with subtests.test(row=row, found=found):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            local = _fill(case_path / "local")
            (local / "CDR_TrainingSet.PubTator.txt").write_text(TRAINING + row)
            with pytest.raises(DocumentError, match=found):
                _train(case_path, local)
            with pytest.raises(DatasetGenerationError) as caught:
                _builder(case_path, local).download_and_prepare()
            assert isinstance(caught.value.__cause__, DocumentError)


def test_a_relation_of_an_unmentioned_concept_gives_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    local = _fill(tmp_path / "local")
    assert len(_train(tmp_path, local).relations) == 1
    assert not [entry for entry in caplog.records if entry.levelname == "WARNING" and "cdr" in entry.getMessage()]
    (local / "CDR_TrainingSet.PubTator.txt").write_text(TRAINING + "7\tCID\tD000001\tD014202\n")
    assert len(_train(tmp_path, local).relations) == 1
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    text, number = warning.splitlines()[-1].rsplit(maxsplit=1)
    assert (text.strip(), number) == ("relation rows of a concept without a mention (dropped)", "1")


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local = _fill(tmp_path / "local", tree=False)
    tree, out, cache = tmp_path / "tree.txt", tmp_path / "out", str(tmp_path / "cache")
    tree.write_text(TREE)
    flags = ["--config", "chemical", "--clean_ids", "--mesh_tree", str(tree)]
    main(Cdr, ["--out", str(out), "--data_dir", str(local), "--cache_dir", cache, *flags])
    printed = capsys.readouterr().out.strip()
    assert "| candidate pairs left out of scoring | 1 | 1 | 1 |" in printed
    assert "| entities of type Chemical | 2 | 2 | 2 |" in printed
    card = (out / "README.md").read_text()
    assert "(config `chemical`, `mesh_tree=tree.txt`, `clean_ids=True`)" in card and str(tmp_path) not in card
    assert printed in card
    reopened = datasets.load_dataset(str(out), cache_dir=cache)
    expected = _train(tmp_path, local, config_name="chemical", clean_ids=True, mesh_tree=str(tree))
    assert Document.from_dict(reopened["train"][0]) == expected


def test_command_line_without_flags_leaves_the_config_as_it_is(tmp_path: Path) -> None:
    local = _fill(tmp_path / "local", tree=False)
    main(Cdr, ["--out", str(tmp_path), "--data_dir", str(local), "--config", "joint", "--cache_dir", str(tmp_path)])
    assert "(config `joint`)." in (tmp_path / "README.md").read_text()


def test_wrong_flags_are_refused(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for flags in (["--head", "disease"], ["--head"], ["--clean_ids", "yes"]):
        with subtests.test(flags=flags), pytest.raises(SystemExit):
            main(Cdr, ["--out", str(tmp_path), *flags])
