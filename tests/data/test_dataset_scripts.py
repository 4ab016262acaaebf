"""The dataset builders: the shared schema, local files, downloads over HTTP, streaming, and the Parquet export."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import documents

from dataset_scripts.building import sources
from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.docred_labels import RELATION_LABELS
from dataset_scripts.building.export import main
from dataset_scripts.building.row_features import document_features, document_row
from dataset_scripts.building.sources import Source
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


def _document(name: str, mixed: bool = False) -> Document:
    first = Entity("PER", (Mention(0, 0, 1), Mention(1, 0, 1, name="A.", type="ORG" if mixed else None)))
    relations = (
        Relation(0, 1, "P27", RELATION_LABELS["P27"], evidence=(0,)),
        Relation(1, 0, "P6", "head of government"),
    )
    return Document(
        name, (("Ann", "of", "Ghent"), ("She", ".")), (first, Entity("LOC", (Mention(0, 2, 3),))), relations
    )


def _corpus(prefix: str, count: int) -> list[Document]:
    return [_document(f"{prefix} {number}", mixed=number % 10 == 9) for number in range(count)]


def _prepared(builder: DocumentBuilder) -> dict[str, list[Document]]:
    builder.download_and_prepare()
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}


def _streamed(builder: DocumentBuilder) -> dict[str, list[Document]]:
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_streaming_dataset().items()}


# the schema


@settings(max_examples=20, deadline=None)
@given(st.lists(documents(all_fields=True), min_size=1, max_size=6))
def test_rows_come_back_from_arrow(found: list[Document]) -> None:
    rows = [document_row(document) for document in found]
    dataset = datasets.Dataset.from_list(rows, features=document_features())
    assert dataset.to_list() == rows
    assert [Document.from_dict(row) for row in dataset] == found


def test_a_row_has_every_key() -> None:
    row = document_row(
        {
            "id": "d",
            "sentences": [["A"]],
            "entities": [{"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 1}]}],
        }
    )
    assert set(row) == set(document_features())
    mention = {"sentence": 0, "start": 0, "end": 1, "name": None, "type": None, "score": None}
    assert row["entities"][0]["mentions"] == [mention | {"char_start": None, "char_end": None}]
    assert row["candidates"] is None and row["relations"] == []


def test_a_row_of_a_broken_document_is_refused() -> None:
    with pytest.raises(DocumentError, match="document 'd': sentences is None"):
        document_row({"id": "d"})


# local files


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
        write_docred(_corpus(name, count), folder / f"{name}{ending}")
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
    prepared = _prepared(builder)
    assert {name: len(split) for name, split in prepared.items()} == sizes
    assert _streamed(builder) == prepared
    expected = {
        document.id: document for split in local.iterdir() for document in read_docred(split, RELATION_LABELS)[0]
    }
    assert all(expected[document.id] == document for split in prepared.values() for document in split)
    assert builder.as_dataset()[next(iter(sizes))].features == document_features()


def test_several_processes_give_the_same(local: Path, tmp_path: Path) -> None:
    one = _prepared(DocredJoint(str(tmp_path / "one"), config_name="resplit", data_dir=local))
    builder = DocredJoint(str(tmp_path / "two"), config_name="resplit", data_dir=local)
    builder.download_and_prepare(num_proc=2)
    assert {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()} == one


@pytest.mark.parametrize("name", ["train.json", "train.json.gz", "train_revised.json.gz"])
def test_other_names_of_a_file(name: str, tmp_path: Path) -> None:
    write_docred(_corpus("x", 2), tmp_path / name)
    assert list(_streamed(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))) == ["train"]


@pytest.mark.parametrize("builder_class", [Docred, ReDocred, RevisitDocred, DocredJoint])
def test_a_folder_without_the_files_is_refused(builder_class: type[DocumentBuilder], tmp_path: Path) -> None:
    builder = builder_class(str(tmp_path / "cache"), data_dir=tmp_path)
    names = [s.names[0] for s in builder.SOURCES[builder.config.name].values()]
    with pytest.raises(FileNotFoundError) as caught:
        builder.download_and_prepare()
    assert all(name in str(caught.value) for name in [builder.NAME, str(tmp_path), *names])


def test_resplit_needs_both_files(tmp_path: Path) -> None:
    write_docred(_corpus("x", 2), tmp_path / "dev.json")
    with pytest.raises(FileNotFoundError, match=r"resplit needs .* has none of train_annotated\.json, train\.json"):
        DocredJoint(str(tmp_path / "cache"), config_name="resplit", data_dir=tmp_path).download_and_prepare()


def test_a_changed_file_is_prepared_again(tmp_path: Path) -> None:
    for count in (2, 3):
        write_docred(_corpus("x", count), tmp_path / "train.json")
        assert len(_prepared(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))["train"]) == count


def test_labels_of_the_folder_come_first(tmp_path: Path) -> None:
    write_docred(_corpus("x", 1), tmp_path / "train.json")

    def labels() -> list[str | None]:
        [document] = _prepared(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))["train"]
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
    record = to_docred_record(_document("d"))
    record["labels"] += [{"h": 0, "t": 0, "r": "P27"}, {"h": 0, "t": 1, "r": "Na"}]
    (tmp_path / "train.json").write_text(json.dumps([record]))
    assert _streamed(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path)) == {"train": [_document("d")]}
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert re.search(r"re_docred, read from .*train\.json", warning)
    assert re.search(r"label rows from an entity to itself \(dropped\) +1(\n|$)", warning)
    assert re.search(r"label rows that name no relation \(dropped\) +1(\n|$)", warning)


# downloads


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a local HTTP server gives out its files."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def _served(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, sha256: str | None = None) -> list[Document]:
    """Let Re-DocRED's table point at a plain and a gzip file of the local server; the documents of both."""
    folder, address = server
    write_docred(_corpus("plain", 3), folder / "a.json")
    write_docred(_corpus("gzip", 2), folder / "b.json.gz")
    table = {
        "train": Source(f"{address}/a.json", ("train_revised.json",), sha256),
        "validation": Source(f"{address}/b.json.gz", ("dev_revised.json",)),
    }
    monkeypatch.setattr(ReDocred, "SOURCES", {"default": table})
    return _corpus("plain", 3) + _corpus("gzip", 2)


def test_download_and_stream(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _served(server, monkeypatch)
    builder = ReDocred(str(tmp_path / "cache"))
    prepared = _prepared(builder)
    assert list(prepared) == ["train", "validation"]
    assert [document for split in prepared.values() for document in split] == expected
    assert _streamed(builder) == prepared
    (server[0] / "a.json").unlink()
    assert _prepared(ReDocred(str(tmp_path / "cache"))) == prepared, "the cache serves the second time"


def test_checksum(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _served(server, monkeypatch)
    right = hashlib.sha256((server[0] / "a.json").read_bytes()).hexdigest()
    _served(server, monkeypatch, right)
    assert len(_prepared(ReDocred(str(tmp_path / "cache")))["train"]) == 3
    wrong = "0" * 64
    _served(server, monkeypatch, wrong)
    with pytest.raises(ValueError) as caught:
        ReDocred(str(tmp_path / "cache")).download_and_prepare()
    assert all(part in str(caught.value) for part in ("re_docred", "/a.json", right, wrong, "force_redownload"))


def test_a_file_that_is_not_there(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _served(server, monkeypatch)
    (server[0] / "b.json.gz").unlink()
    with pytest.raises(ConnectionError) as caught:
        ReDocred(str(tmp_path / "cache")).download_and_prepare()
    assert all(part in str(caught.value) for part in ("'validation'", "b.json.gz", "dev_revised.json", "data_dir"))


def test_resplit_of_downloads(server: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = server
    write_docred(_corpus("x", 40), folder / "x.json.gz")
    write_docred(_corpus("x", 40), folder / "y.json")
    table = {"train_annotated": Source(f"{address}/x.json.gz", ()), "validation": Source(f"{address}/y.json", ())}
    monkeypatch.setattr(DocredJoint, "SOURCES", {"resplit": table})
    builder = DocredJoint(str(tmp_path / "cache"), config_name="resplit")
    prepared = _prepared(builder)
    ids = [document.id for split in prepared.values() for document in split]
    assert len(ids) == len(set(ids)) == 72 and "x 3 #2" in ids, "titles of both files are made unique together"
    assert _streamed(builder) == prepared


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
    found = [_document(str(number), mixed=number < 45) for number in range(4053)]
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
        _prepared(DocredJoint(str(tmp_path / "cache"), config_name="resplit", data_dir=local, seed=seed))["test"]
        for seed in (0, 1, 0)
    ]
    assert tests[0] == tests[2] != tests[1]


# statistics and export


def test_statistics_of_two_documents() -> None:
    first = _document("a", mixed=True)
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
    assert {name: list(map(Document.from_dict, split)) for name, split in reopened.items()} == _prepared(builder)
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
    write_docred(_corpus("x", 2), tmp_path / "valid_revise.json")
    command = [sys.executable, "-m", "dataset_scripts.revisit_docred", "--out", str(tmp_path / "out")]
    command += ["--config", "revised", "--data_dir", str(tmp_path), "--cache_dir", str(tmp_path / "cache")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/data/test-00000-of-00001.parquet").is_file()
    assert "| documents | 2 |" in done.stdout


# real files


def test_re_docred_files(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared_data("re_docred/train.json").parent
    prepared = _prepared(ReDocred(str(tmp_path / "cache"), data_dir=folder))
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
    prepared = _prepared(DocredJoint(str(tmp_path / "cache"), config_name="resplit", data_dir=folder))
    assert {name: len(split) for name, split in prepared.items()} == {"train": 368, "validation": 37, "test": 86}


@pytest.mark.parametrize(("config", "triples"), [("scratch", 1802), ("revised", 685)])
def test_revisit_docred_files(config: str, triples: int, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shared_data("revisit_docred/valid_scratch.json").parent
    builder = RevisitDocred(str(tmp_path / "cache"), config_name=config, data_dir=folder)
    prepared = _prepared(builder)
    assert {name: len(split) for name, split in prepared.items()} == {"test": 51}
    assert corpus_statistics(prepared["test"])["relations"] == triples
    assert _streamed(builder) == prepared


def test_gzip_of_real_files_is_the_same(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    source = shared_data("re_docred/validation.json")
    (tmp_path / "dev_revised.json.gz").write_bytes(gzip.compress(source.read_bytes()))
    streamed = _streamed(ReDocred(str(tmp_path / "cache"), data_dir=tmp_path))
    assert streamed == {"validation": read_docred(source, RELATION_LABELS)[0]}


# the sample that comes with the package


def test_sample(tmp_path: Path) -> None:
    builder = Sample(str(tmp_path / "cache"))
    prepared = _prepared(builder)
    assert list(prepared) == ["train", "validation"] and all(prepared.values())
    assert _streamed(builder) == prepared
    found = [document for split in prepared.values() for document in split]
    assert {entity.type for document in found for entity in document.entities} == set(Sample.ENTITY_TYPES)
    assert {relation.type for document in found for relation in document.relations} == set(Sample.RELATION_TYPES)
    assert list(Sample.RELATION_LABELS) == Sample.RELATION_TYPES == sorted(Sample.RELATION_TYPES)
    assert sorted(Sample.ENTITY_TYPES) == builder.ENTITY_TYPES
    assert all(document.text is not None and document.token_offsets is not None for document in found)


def test_exported_sample_keeps_text_and_offsets(tmp_path: Path) -> None:
    out, cache = tmp_path / "out", str(tmp_path / "cache")
    main(Sample, ["--out", str(out), "--cache_dir", cache])
    reopened = datasets.load_dataset(str(out), cache_dir=cache)
    assert {name: list(map(Document.from_dict, split)) for name, split in reopened.items()} == _prepared(Sample(cache))


def test_sample_works_from_a_copy_of_its_folder(tmp_path: Path) -> None:
    source = Path(Sample.SOURCES["default"]["train"].url)
    shutil.copy(source, tmp_path / "train.jsonl")
    prepared = _prepared(Sample(str(tmp_path / "cache"), data_dir=tmp_path))
    assert list(prepared) == ["train"]
    assert [document.to_dict() for document in prepared["train"]] == list(sources.source_records(str(source)))


def test_a_changed_sample_is_prepared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.jsonl"
    monkeypatch.setattr(Sample, "SOURCES", {"default": {"train": Source(str(path), ("train.jsonl",))}})
    for count in (1, 2):
        path.write_text("".join(json.dumps(document.to_dict()) + "\n" for document in _corpus("x", count)))
        assert _prepared(Sample(str(tmp_path / "cache"))) == {"train": _corpus("x", count)}
