"""The dataset builders: local files, reports, statistics, and the Parquet export."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
from corpora import prepared_splits, streamed_splits, written_corpus, written_document
from huggingface_hub import DatasetCard

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import RELATION_LABELS
from dataset_scripts.building.export import main
from dataset_scripts.building.row_features import document_features
from dataset_scripts.building.statistics import corpus_statistics, statistics_table
from dataset_scripts.docred import Docred
from dataset_scripts.docred_joint import SIZES, DocredJoint, has_mixed_types, resplit
from dataset_scripts.re_docred import ReDocred
from dataset_scripts.revisit_docred import RevisitDocred
from dataset_scripts.sample import Sample
from modeling_docre.annotations.docred import read_docred, to_docred_record, write_docred
from modeling_docre.documents import Document, DocumentError, Entity, Mention, Relation

REPOSITORY = Path(__file__).resolve().parents[2]
BUILDERS = [Docred, ReDocred, RevisitDocred, DocredJoint, Sample]


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A folder with files under the official names of Re-DocRED and DocRED."""
    folder = tmp_path / "local"
    folder.mkdir()
    for name, count in {
        "train_revised": 12,
        "dev": 3,
        "test_revised": 4,
        "train_annotated": 38,
        "train_distant": 5,
    }.items():
        ending = ".json.gz" if name == "train_distant" else ".json"
        write_docred(written_corpus(name, count), folder / f"{name}{ending}")
    return folder


@pytest.mark.parametrize(
    ("builder_class", "config", "sizes"),
    [
        (Docred, None, {"train_annotated": 38, "validation": 3, "train_distant": 5}),
        (Docred, "annotated", {"train_annotated": 38, "validation": 3}),
        (ReDocred, None, {"train": 12, "validation": 3, "test": 4}),
        (DocredJoint, "resplit", {"train": 28, "validation": 3, "test": 7}),
    ],
)
def test_local_files_prepared_and_streamed(
    builder_class: type[DocumentBuilder], config: str | None, sizes: dict[str, int], local: Path, tmp_path: Path
) -> None:
    builder = builder_class(str(tmp_path / "cache"), config_name=config, data_dir=local)
    prepared = prepared_splits(builder)
    assert {name: len(split) for name, split in prepared.items()} == sizes
    assert streamed_splits(builder) == prepared
    expected = {
        document.id: document for split in local.iterdir() for document in read_docred(split, RELATION_LABELS)[0]
    }
    assert all(expected[document.id] == document for split in prepared.values() for document in split)
    assert builder.as_dataset()[next(iter(sizes))].features == document_features()


def test_several_processes_give_the_same(local: Path, tmp_path: Path) -> None:
    one = prepared_splits(DocredJoint(str(tmp_path / "one"), config_name="resplit", data_dir=local))
    builder = DocredJoint(str(tmp_path / "two"), config_name="resplit", data_dir=local)
    builder.download_and_prepare(num_proc=2)
    assert {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()} == one


@pytest.mark.parametrize("name", ["train.json", "train.json.gz", "train_revised.json.gz"])
def test_other_names_of_a_file(name: str, tmp_path: Path) -> None:
    write_docred(written_corpus("x", 2), tmp_path / name)
    assert list(streamed_splits(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))) == ["train"]


@pytest.mark.parametrize("builder_class", [Docred, ReDocred, RevisitDocred, DocredJoint])
def test_a_folder_without_the_files_is_refused(builder_class: type[DocumentBuilder], tmp_path: Path) -> None:
    builder = builder_class(str(tmp_path / "cache"), data_dir=tmp_path)
    names = [s.names[0] for s in builder.SOURCES[builder.config.name].values()]
    with pytest.raises(FileNotFoundError) as caught:
        builder.download_and_prepare()
    assert all(name in str(caught.value) for name in [builder.NAME, str(tmp_path), *names])


def test_resplit_needs_both_files(tmp_path: Path) -> None:
    write_docred(written_corpus("x", 2), tmp_path / "dev.json")
    with pytest.raises(FileNotFoundError, match=r"resplit needs .* has none of train_annotated\.json, train\.json"):
        DocredJoint(str(tmp_path / "cache"), config_name="resplit", data_dir=tmp_path).download_and_prepare()


def test_a_changed_file_is_prepared_again(tmp_path: Path) -> None:
    for count in (2, 3):
        write_docred(written_corpus("x", count), tmp_path / "train.json")
        assert len(prepared_splits(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))["train"]) == count


def test_labels_of_the_folder_come_first(tmp_path: Path) -> None:
    write_docred(written_corpus("x", 1), tmp_path / "train.json")

    def labels() -> list[str | None]:
        [document] = prepared_splits(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))["train"]
        return [relation.label for relation in document.relations]

    assert labels() == ["country of citizenship", "head of government"]
    types = {"entities": {}, "relations": {"P27": {"short": "P27", "verbose": "citizen", "symmetric": False}}}
    (tmp_path / "types.json").write_text(json.dumps(types))
    assert labels() == ["citizen", None]
    (tmp_path / "rel_info.json").write_text(json.dumps({"P6": "leader"}))
    assert labels() == [None, "leader"]
    (tmp_path / "rel_info.json").write_text("[]")
    with pytest.raises(ValueError, match=r"rel_info\.json: give an object that maps"):
        list(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path).as_streaming_dataset()["train"])


def test_a_broken_document_is_named(tmp_path: Path) -> None:
    record = {"title": "Broken", "sents": [["a"]], "vertexSet": [[{"pos": [0, 2], "sent_id": 0, "type": "PER"}]]}
    (tmp_path / "train.json").write_text(json.dumps([record]))
    with pytest.raises(DocumentError, match=r"document 'Broken': vertexSet\[0\]\[0\].pos is \[0, 2\]"):
        list(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path).as_streaming_dataset()["train"])


def test_rows_that_are_left_out_give_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = to_docred_record(written_document("d"))
    record["labels"] += [{"h": 0, "t": 0, "r": "P27"}, {"h": 0, "t": 1, "r": "Na"}]
    (tmp_path / "train.json").write_text(json.dumps([record]))
    assert streamed_splits(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path)) == {"train": [written_document("d")]}
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert re.search(r"re_docred, read from .*train\.json", warning)
    assert re.search(r"label rows from an entity to itself \(dropped\) +1(\n|$)", warning)
    assert re.search(r"label rows that name no relation \(dropped\) +1(\n|$)", warning)


def test_sources_are_well_formed() -> None:
    for builder_class in BUILDERS:
        assert set(builder_class.SOURCES) == {config.name for config in builder_class.BUILDER_CONFIGS}
        for table in builder_class.SOURCES.values():
            for source in table.values():
                assert source.names and source.url.startswith(("https://", "http://", str(REPOSITORY)))
                assert source.sha256 is None or len(source.sha256) == 64
    url = Docred.SOURCES["default"]["validation"].url
    assert url.endswith("/datasets/thunlp/docred/resolve/main/data/dev.json.gz")


# the split for end-to-end extraction


def test_resplit_has_the_published_sizes() -> None:
    found = [written_document(str(number), mixed=number < 45) for number in range(4053)]
    divided = resplit(found, seed=0)
    assert {name: len(split) for name, split in divided.items()} == SIZES
    ids = {name: {document.id for document in split} for name, split in divided.items()}
    assert set.union(*ids.values()) == {str(number) for number in range(45, 4053)}
    assert not any(has_mixed_types(document) for split in divided.values() for document in split)
    assert resplit(found[::-1], seed=0) == divided
    other = {document.id for document in resplit(found, seed=1)["test"]}
    assert other != ids["test"] and 60 < len(other & ids["test"]) < 190, "700 * 700 / 4008 = 122 are expected"


def test_seed_decides_the_prepared_split(local: Path, tmp_path: Path) -> None:
    tests = [
        prepared_splits(DocredJoint(str(tmp_path / "cache"), config_name="resplit", data_dir=local, seed=seed))["test"]
        for seed in (0, 1, 0)
    ]
    assert tests[0] == tests[2] != tests[1]


# statistics and export


def test_statistics_of_two_documents() -> None:
    first = written_document("a", mixed=True)
    far = Document(
        "b",
        (("x",), ("y", "z")),
        (Entity("PER", (Mention(0, 0, 1),)), Entity("ORG", (Mention(1, 0, 2),))),
        (Relation(0, 1, "P1"), Relation(0, 1, "P1"), Relation(0, 1, "P2")),
    )
    figures = corpus_statistics([first, far.to_dict()])
    expected = {
        "documents": 2,
        "sentences": 4,
        "words": 8,
        "words of the longest document": 5,
        "entities": 4,
        "mentions": 5,
        "entity types": 3,
        "relations": 4,
        "relation types": 4,
        "related entity pairs": 3,
        "relations within a sentence": 2,
        "relations across sentences": 2,
        "label rows that repeat another (kept)": 1,
        "entities of mixed mention types (first one taken)": 1,
    }
    assert {name: figures[name] for name in expected} == expected
    table = statistics_table({"train": figures, "test": corpus_statistics([])}).splitlines()
    assert table[:3] == ["|  | train | test |", "| --- | ---: | ---: |", "| documents | 2 | 0 |"]
    assert not any("no relation" in line for line in table), "rows of zeros are left out"


def test_export_reopens_with_load_dataset(local: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, cache = tmp_path / "out", str(tmp_path / "cache")
    main(Docred, ["--out", str(out), "--data_dir", str(local), "--cache_dir", cache])
    reopened = datasets.load_dataset(str(out), cache_dir=cache)
    builder = Docred(cache, data_dir=local)
    assert {name: list(map(Document.from_dict, split)) for name, split in reopened.items()} == prepared_splits(builder)
    assert all(split.features == document_features() for split in reopened.values())
    streamed = datasets.load_dataset(str(out), split="train_annotated", streaming=True)
    assert list(streamed) == reopened["train_annotated"].to_list()
    card = DatasetCard.load(out / "README.md")
    assert (card.data.license, card.data.language) == ("mit", "en")
    numbers = {split["name"]: split["num_examples"] for split in card.data["dataset_info"]["splits"]}
    assert numbers == {"train_annotated": 38, "validation": 3, "train_distant": 5}
    printed = capsys.readouterr().out.strip()
    assert "| documents | 38 | 3 | 5 |" in printed and printed in card.text
    assert "| P27 | country of citizenship |" in card.text and "{" not in card.text


def test_command_line_runs(tmp_path: Path) -> None:
    write_docred(written_corpus("x", 2), tmp_path / "valid_revise.json")
    command = [sys.executable, "-m", "dataset_scripts.revisit_docred", "--out", str(tmp_path / "out")]
    command += ["--config", "revised", "--data_dir", str(tmp_path), "--cache_dir", str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/data/test-00000-of-00001.parquet").is_file()
    assert "| documents | 2 |" in done.stdout


# real files


def test_re_docred_files(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared_data("re_docred/train.json").parent
    prepared = prepared_splits(ReDocred(str(tmp_path / "cache"), data_dir=folder))
    assert list(prepared) == ["train", "validation"]
    for split, found in prepared.items():
        assert found == read_docred(folder / f"{split}.json", ReDocred.RELATION_LABELS)[0]
    figures = [corpus_statistics(split) for split in prepared.values()]
    total = {name: figures[0][name] + figures[1][name] for name in figures[0]}
    # the published figures of Re-DocRED's dev split, whose 500 documents these two files hold
    assert (total["documents"], total["entities"], total["mentions"], total["relations"]) == (500, 9684, 13189, 17284)
    assert (total["relations within a sentence"], total["relations across sentences"]) == (7982, 9302)
    assert total["related entity pairs"] == 13362


def test_relation_table_is_that_of_docred(shared_data: Callable[[str], Path]) -> None:
    assert json.loads(shared_data("re_docred/rel_info.json").read_text()) == RELATION_LABELS
    assert len(Docred.RELATION_TYPES) == 96 and list(RELATION_LABELS) == Docred.RELATION_TYPES


def test_resplit_of_real_files(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared_data("re_docred/train.json").parent
    prepared = prepared_splits(DocredJoint(str(tmp_path / "cache"), config_name="resplit", data_dir=folder))
    assert {name: len(split) for name, split in prepared.items()} == {"train": 368, "validation": 37, "test": 86}


@pytest.mark.parametrize(("config", "triples"), [("scratch", 1802), ("revised", 685)])
def test_revisit_docred_files(config: str, triples: int, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared_data("revisit_docred/valid_scratch.json").parent
    builder = RevisitDocred(str(tmp_path / "cache"), config_name=config, data_dir=folder)
    prepared = prepared_splits(builder)
    assert {name: len(split) for name, split in prepared.items()} == {"test": 51}
    assert corpus_statistics(prepared["test"])["relations"] == triples
    assert streamed_splits(builder) == prepared


def test_gzip_of_real_files_is_the_same(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = shared_data("re_docred/validation.json")
    (tmp_path / "dev_revised.json.gz").write_bytes(gzip.compress(source.read_bytes()))
    streamed = streamed_splits(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))
    assert streamed == {"validation": read_docred(source, RELATION_LABELS)[0]}
