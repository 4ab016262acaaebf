"""CoNLL04: its three forms, the lists of sentences, what is refused, and the figures of the real files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets.exceptions import DatasetGenerationError
from test_bilou import encode

from dataset_scripts.building.export import main
from dataset_scripts.building.loading import CorpusArguments, load_corpus
from dataset_scripts.building.sources import Source
from dataset_scripts.building.statistics import corpus_statistics
from dataset_scripts.conll04 import Conll04
from modeling_docre.documents import Document, DocumentError


def rows(*lines: str) -> str:
    return "".join("\t".join(line.split()) + "\n" for line in lines)


# The columns of elements that nobody needs are the fourth and the last three.
BOOTH = rows(
    "5 Peop 0 O NNP/NNP/NNP John/Wilkes/Booth O O O",
    "5 O 1 O VBD shot O O O",
    "5 Peop 2 O NNP Lincoln O O O",
    "5 O 3 O -LRB- -LRB- O O O",
    "5 Loc 4 O NNP/,/NNP Springfield/COMMA/Ill. O O O",
    "5 O 5 O -RRB- -RRB- O O O",
    "",
    "0 2 Kill",
    "2 4 Live_In",
    "",
)
NOTHING = rows("6 O 0 O PRP It O O O", "6 O 1 O VBD rained O O O", "")
REUTERS = rows(
    "7 Org 0 O NNP Reuters O O O",
    "7 O 1 O CC and/or O O O",
    "7 Loc 2 O NNP London O O O",
    "",
    "0 2 OrgBased_In",
    "0 1 OrgBased_In",
)
SENTENCES = [
    {
        "orig_id": 5,
        "tokens": ["John", "Wilkes", "Booth", "shot", "Lincoln", "(", "Springfield", ",", "Ill.", ")"],
        "entities": [
            {"type": "Peop", "start": 0, "end": 3},
            {"type": "Peop", "start": 4, "end": 5},
            {"type": "Loc", "start": 6, "end": 9},
        ],
        "relations": [{"type": "Kill", "head": 0, "tail": 1}, {"type": "Live_In", "head": 1, "tail": 2}],
    },
    {"orig_id": 6, "tokens": ["It", "rained"], "entities": [], "relations": []},
    {
        "orig_id": 7,
        "tokens": ["Reuters", "and", "or", "London"],
        "entities": [{"type": "Org", "start": 0, "end": 1}, {"type": "Loc", "start": 3, "end": 4}],
        "relations": [{"type": "OrgBased_In", "head": 0, "tail": 1}],
    },
]


def tagged(sentence: dict[str, Any]) -> dict[str, Any]:
    """The sentence with BILOU tags in place of entities."""
    spans = [(row["type"], row["start"], row["end"]) for row in sentence["entities"]]
    rest = {key: value for key, value in sentence.items() if key != "entities"}
    return rest | {"tags": encode(len(sentence["tokens"]), spans)}


FORMS = {
    "spert": json.dumps(SENTENCES),
    "bilou": json.dumps(list(map(tagged, SENTENCES))),
    "json lines": "\n".join(map(json.dumps, SENTENCES)),
    "columns": BOOTH + NOTHING + REUTERS,
    "columns without empty lines": "".join(f"{line}\n" for line in (BOOTH + NOTHING + REUTERS).split("\n") if line),
    "columns of Windows": (BOOTH + NOTHING + REUTERS).replace("\n", "\r\n"),
}


def prepared(tmp_path: Path, folder: Path) -> dict[str, list[Document]]:
    builder = Conll04(str(tmp_path / "cache"), data_dir=folder)
    builder.download_and_prepare()
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}


def filled(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return folder


def test_every_form_gives_the_same_documents(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, form in enumerate(FORMS):
        with subtests.test(form=form):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            [found] = prepared(case_path, filled(case_path / "local", train__json=FORMS[form])).values()
            assert [document.id for document in found] == ["5", "6", "7"]
            for document, sentence in zip(found, SENTENCES, strict=True):
                assert list(map(list, document.sentences)) == [sentence["tokens"]]
                spans = [(e.type, m.start, m.end) for e in document.entities for m in e.mentions]
                assert spans == [(row["type"], row["start"], row["end"]) for row in sentence["entities"]]
                triples = [{"type": r.type, "head": r.head, "tail": r.tail} for r in document.relations]
                assert triples == sentence["relations"]
            assert [relation.label for relation in found[0].relations] == ["kills", "lives in"]


def test_splits_by_the_names_of_files(tmp_path: Path, subtests: pytest.Subtests) -> None:
    cases = [
        ("conll04_train__json", "conll04_dev__json", "conll04_test__json"),
        ("train__json", "dev__json", "test__json"),
        ("train__json__gz", "validation__json", "test__json__gz"),
        ("conll04_train__corp", "validation__corp", "test__corp"),
    ]
    for number, names in enumerate(cases):
        with subtests.test(names=names):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            texts = [BOOTH, json.dumps(SENTENCES[1:2]), REUTERS]
            local = filled(case_path / "local", **dict(zip(names, texts, strict=True)))
            found = prepared(case_path, local)
            ids = {split: [document.id for document in documents] for split, documents in found.items()}
            assert ids == {"train": ["5"], "validation": ["6"], "test": ["7"]}
            streamed = Conll04(str(case_path / "cache"), data_dir=local).as_streaming_dataset()
            assert {split: list(map(Document.from_dict, rows)) for split, rows in streamed.items()} == found


def test_several_splits_at_once(tmp_path: Path) -> None:
    local = filled(tmp_path / "local", train__json=BOOTH, dev__json=NOTHING, test__json=REUTERS)
    arguments = CorpusArguments("conll04", data_dir=str(local), train_split="train+validation", test_split="test")
    corpus = load_corpus(arguments)
    assert [document.id for document in corpus.splits["train"]] == ["5", "6"]
    assert [document.id for document in corpus.splits["test"]] == ["7"]
    assert corpus.labels["relation_types"] == Conll04.RELATION_TYPES
    assert corpus.labels["relation_labels"] == Conll04.RELATION_LABELS


# the whole corpus in one file


@pytest.mark.parametrize("dev", ["dev_ids__txt", "validation_ids__txt"])
def test_lists_of_sentences_divide_the_whole_corpus(dev: str, tmp_path: Path) -> None:
    lists = {"train_ids__txt": "7\n5\n", dev: " 6\r\n\r\n"}
    local = filled(tmp_path / "local", conll04__corp=BOOTH + NOTHING + REUTERS, **lists)
    found = prepared(tmp_path, local)
    ids = {split: [document.id for document in documents] for split, documents in found.items()}
    assert ids == {"train": ["5", "7"], "validation": ["6"]}, "in the order of the corpus; test has no list"
    filled(local, train_ids__txt="5\n")
    assert [document.id for document in prepared(tmp_path, local)["train"]] == ["5"], "a changed list is read again"
    filled(local, conll04__corp=BOOTH.replace("Booth", "Smith") + NOTHING)
    assert prepared(tmp_path, local)["train"][0].sentences[0][2] == "Smith", "a changed corpus is read again"


def test_without_lists_the_error_says_what_is_needed(tmp_path: Path) -> None:
    local = filled(tmp_path / "local", conll04__corp=BOOTH)
    with pytest.raises(FileNotFoundError) as caught:
        Conll04(str(tmp_path / "cache"), data_dir=local).download_and_prepare()
    parts = ["conll04", str(local), "Gupta", "train_ids.txt", "dev_ids.txt", "test_ids.txt", "first column"]
    assert all(part in str(caught.value) for part in parts), caught.value


def test_files_of_splits_come_before_the_whole_corpus(tmp_path: Path) -> None:
    local = filled(tmp_path / "local", conll04__corp=BOOTH, train_ids__txt="5", test__json=REUTERS)
    assert list(prepared(tmp_path, local)) == ["test"]


def test_listed_sentences_have_to_be_there(tmp_path: Path) -> None:
    local = filled(tmp_path / "local", conll04__corp=BOOTH + REUTERS, test_ids__txt="7\n70\n8")
    with pytest.raises(DatasetGenerationError) as caught:
        Conll04(str(tmp_path / "cache"), data_dir=local).download_and_prepare()
    message = str(caught.value.__cause__)
    assert "test_ids.txt lists 2 sentences" in message and "such as '70'" in message


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"conll04: no file .* conll04_train\.json, train\.json"):
        Conll04(str(tmp_path / "cache"), data_dir=tmp_path).download_and_prepare()


# broken files and oddities


BROKEN = [
    ("5 O 1 O VBD shot O O\n", r"document '5': line 7 of train\.json is '5 O 1 O VBD shot O O\\n'; give the nine"),
    ("0 2\n", r"document '5': line 7 of train\.json is '0 2\\n'"),
    ("0 x Kill\n", r"document '5': line 7 of train\.json is 'x'; give the number of the element"),
    ("5 O x O VBD shot O O O\n", r"document '5': line 7 of train\.json is 'x'; give the number"),
    ("5 Per 6 O NNP Booth O O O\n", r"document '5': entities\[3\]\.type is 'Per'; .* Loc, Org, Peop, Other"),
    ("0 2 Hit\n", r"document '5': relations\[0\]\.type is 'Hit'"),
]


def test_a_broken_line_is_named(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, (line, message) in enumerate(BROKEN):
        with subtests.test(line=line, message=message):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            elements = "".join(BOOTH.splitlines(keepends=True)[:6])
            local = filled(case_path / "local", train__json=elements + line)
            builder = Conll04(str(case_path / "cache"), data_dir=local)
            with pytest.raises(DocumentError, match=message):
                list(builder.as_streaming_dataset()["train"])


def test_a_file_that_begins_with_relations_is_refused(tmp_path: Path) -> None:
    local = filled(tmp_path / "local", train__json="0 2 Kill\n")
    with pytest.raises(DocumentError, match=r"line 1 of train\.json is '0 2 Kill\\n'"):
        list(Conll04(str(tmp_path / "cache"), data_dir=local).as_streaming_dataset()["train"])


def test_sentences_of_one_number_are_told_apart_by_their_elements(tmp_path: Path) -> None:
    again = NOTHING.replace("rained", "snowed")
    [found] = prepared(tmp_path, filled(tmp_path / "local", train__json=NOTHING + again)).values()
    assert [(document.id, document.sentences[0][1]) for document in found] == [("6", "rained"), ("6 #2", "snowed")]


def test_relations_of_other_elements_give_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    local = filled(tmp_path / "local", train__json=REUTERS)
    list(Conll04(str(tmp_path / "cache"), data_dir=local).as_streaming_dataset()["train"])
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert "relation rows of an element that is not an entity (dropped)" in warning
    assert warning.rsplit(maxsplit=1)[1] == "1"


def test_a_slash_alone_is_a_word(tmp_path: Path) -> None:
    text = rows("1 O 0 O : / O O O", "1 O 1 O NN end O O O")
    [found] = prepared(tmp_path, filled(tmp_path / "local", train__json=text)).values()
    assert found[0].sentences == (("/", "end"),)


def test_labels_of_the_folder_come_first(tmp_path: Path) -> None:
    types = {"relations": {"Kill": {"short": "Kill", "verbose": "murders", "symmetric": False}}, "entities": {}}
    local = filled(tmp_path / "local", train__json=BOOTH, types__json=json.dumps(types))
    [found] = prepared(tmp_path, local).values()
    assert [relation.label for relation in found[0].relations] == ["murders", None]


# command line, downloads, real files


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local = filled(tmp_path / "local", train__json=BOOTH, test__json=REUTERS)
    out, cache = tmp_path / "out", str(tmp_path / "cache")
    main(Conll04, ["--out", str(out), "--data_dir", str(local), "--cache_dir", cache])
    printed = capsys.readouterr().out
    assert "| entities of type Peop | 2 | 0 |" in printed
    card = (out / "README.md").read_text()
    assert "license: unknown" in card and "| Kill | kills |" in card and printed.strip() in card
    reopened = datasets.load_dataset(str(out), cache_dir=cache)
    assert [Document.from_dict(row) for row in reopened["train"]] == prepared(tmp_path, local)["train"]


def test_downloads_go_by_content_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = filled(tmp_path / "served", a=FORMS["bilou"], b=REUTERS)
    table = {"train": Source(str(served / "a"), ("x",)), "test": Source(str(served / "b"), ("y",))}
    monkeypatch.setattr(Conll04, "SOURCES", {"default": table})
    builder = Conll04(str(tmp_path / "cache"))
    builder.download_and_prepare()
    assert {name: len(split) for name, split in builder.as_dataset().items()} == {"train": 3, "test": 1}


def test_sources() -> None:
    urls = {split: source.url for split, source in Conll04.SOURCES["default"].items()}
    assert urls["validation"].endswith("/storage/spert/public/datasets/conll04/conll04_dev.json")
    assert list(urls) == ["train", "validation", "test"]


@pytest.fixture(scope="module")
def real(shared_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Document]]:
    return prepared(tmp_path_factory.mktemp("conll04"), shared_data("conll04/train.json").parent)


def test_published_figures(real: dict[str, list[Document]]) -> None:
    figures = {split: corpus_statistics(documents) for split, documents in real.items()}
    sizes = {split: [f[name] for name in ("documents", "entities", "relations")] for split, f in figures.items()}
    assert sizes == {"train": [922, 3377, 1283], "validation": [231, 893, 343]}
    both = corpus_statistics([document for split in real.values() for document in split])
    assert (both["documents"], both["entities"], both["relations"]) == (1153, 4270, 1626)
    assert {name: both[name] for name in ("entity types", "relation types")} == {"entity types": 4, "relation types": 5}
    for name in ("pairs of different spans that overlap", "spans shared by several entities"):
        assert both[name] == 0, name
    assert both["related entity pairs"] == both["relations"], "no pair has two types"
    assert [f["mentions of more than 10 words"] for f in figures.values()] == [2, 0]
    assert all(f["sentences"] == f["documents"] for f in figures.values())


def test_published_oddities(real: dict[str, list[Document]]) -> None:
    ids = {split: {document.id for document in documents} for split, documents in real.items()}
    assert not ids["train"] & ids["validation"]
    assert all(document.entities and document.relations for split in real.values() for document in split)
    pairs = [{(r.head, r.tail) for r in document.relations} for document in real["train"]]
    assert sum((tail, head) in found for found in pairs for head, tail in found) == 2, "one pair in both directions"


def test_real_files_in_spert_form_are_the_same(
    real: dict[str, list[Document]], shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    shared_data("conll04/dev.json")
    records = [
        {
            "orig_id": int(document.id),
            "tokens": list(document.sentences[0]),
            "entities": [
                {"type": e.type, "start": m.start, "end": m.end} for e in document.entities for m in e.mentions
            ],
            "relations": [{"type": r.type, "head": r.head, "tail": r.tail} for r in document.relations],
        }
        for document in real["validation"]
    ]
    local = filled(tmp_path / "local", dev__json=json.dumps(records))
    labels = shared_data("conll04/types.json").read_text()
    assert prepared(tmp_path, filled(local, types__json=labels)) == {"validation": real["validation"]}
