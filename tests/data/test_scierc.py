"""SciERC: abstracts and sentences, what is refused, and the figures of the real files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataset_scripts.building.export import main
from dataset_scripts.building.statistics import corpus_statistics
from dataset_scripts.readers.sentences import REPEATED_RELATIONS
from dataset_scripts.scierc import Scierc, sentences_of
from modeling_docre.documents import Document, DocumentError

ABSTRACT = {
    "doc_key": "A00-1",
    "clusters": [[[0, 1], [7, 7]]],
    "sentences": [["Our", "parser", "-LRB-", "fast", "-RRB-", "."], ["It", "beats", "-LSB-", "3", "-RSB-", "."], []],
    "ner": [[[0, 1, "Method"], [3, 3, "OtherScientificTerm"]], [[6, 6, "Generic"], [9, 9, "Method"]], []],
    "relations": [[[3, 3, 0, 1, "FEATURE-OF"]], [[6, 6, 9, 9, "COMPARE"], [6, 6, 9, 9, "COMPARE"]], []],
}
SENTENCES = [
    {
        "orig_id": "A00-1",
        "tokens": ["Our", "parser", "(", "fast", ")", "."],
        "entities": [
            {"type": "Method", "start": 0, "end": 2},
            {"type": "OtherScientificTerm", "start": 3, "end": 4},
        ],
        "relations": [{"type": "Feature-of", "head": 1, "tail": 0}],
    },
    {
        "orig_id": "A00-1",
        "tokens": ["It", "beats", "[", "3", "]", "."],
        "entities": [{"type": "Generic", "start": 0, "end": 1}, {"type": "Method", "start": 3, "end": 4}],
        "relations": [{"type": "Compare", "head": 0, "tail": 1}],
    },
    {"orig_id": "A00-1", "tokens": [], "entities": [], "relations": []},
]


def prepared(tmp_path: Path, folder: Path) -> dict[str, list[Document]]:
    builder = Scierc(str(tmp_path / "cache"), data_dir=folder)
    builder.download_and_prepare()
    return {name: list(map(Document.from_dict, split)) for name, split in builder.as_dataset().items()}


def filled(folder: Path, **files: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for name, records in files.items():
        (folder / f"{name}.json").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return folder


def test_sentences_of_an_abstract(tmp_path: Path) -> None:
    [found] = prepared(tmp_path, filled(tmp_path / "local", train=[ABSTRACT])).values()
    first, second, third = found
    assert [document.id for document in found] == ["A00-1_0", "A00-1_1", "A00-1_2"]
    assert first.sentences == (("Our", "parser", "(", "fast", ")", "."),)
    assert [(e.type, *map(first.span, e.mentions)) for e in first.entities] == [
        ("Method", (0, 2)),
        ("OtherScientificTerm", (3, 4)),
    ]
    assert [(r.head, r.tail, r.type, r.label) for r in first.relations] == [(1, 0, "Feature-of", "feature of")]
    assert second.sentences == (("It", "beats", "[", "3", "]", "."),)
    assert [(r.head, r.tail, r.type) for r in second.relations] == [(0, 1, "Compare")]
    assert third.sentences == ((),) and not third.entities


def test_repeated_rows_are_dropped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    local = filled(tmp_path / "local", train=[ABSTRACT])
    list(Scierc(str(tmp_path / "cache"), data_dir=local).as_streaming_dataset()["train"])
    [warning] = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert REPEATED_RELATIONS in warning and warning.rsplit(maxsplit=1)[1] == "1"


def test_sentences_give_the_same_as_their_abstract(tmp_path: Path) -> None:
    other = copy.deepcopy(ABSTRACT) | {"doc_key": "B00-2"}
    sentences = [*SENTENCES, *(sentence | {"orig_id": "B00-2"} for sentence in SENTENCES)]
    local = filled(tmp_path / "local", train=[ABSTRACT, other], dev=sentences, test=[*SENTENCES, other])
    found = prepared(tmp_path, local)
    assert found["train"] == found["validation"] == found["test"]
    streamed = Scierc(str(tmp_path / "cache"), data_dir=local).as_streaming_dataset()
    assert {split: list(map(Document.from_dict, rows)) for split, rows in streamed.items()} == found


def test_names_of_files(tmp_path: Path) -> None:
    local = filled(tmp_path / "local", scierc_train=SENTENCES, scierc_dev=SENTENCES[:2], scierc_test=SENTENCES[:1])
    assert {split: len(found) for split, found in prepared(tmp_path, local).items()} == {
        "train": 3,
        "validation": 2,
        "test": 1,
    }
    urls = [source.url for source in Scierc.SOURCES["default"].values()]
    assert urls[1].endswith("/storage/spert/public/datasets/scierc/scierc_dev.json")


def broken(key: str, number: int, value: Any) -> dict[str, Any]:
    abstract = copy.deepcopy(ABSTRACT)
    abstract[key][number] = value
    return abstract


BROKEN = [
    (ABSTRACT | {"doc_key": None}, "doc_key is None; give the abstract's key"),
    (ABSTRACT | {"sentences": ["Our parser"]}, r"'A00-1': sentences is \['Our parser'\]; give a list of lists"),
    (ABSTRACT | {"ner": None}, "'A00-1': ner is None; give a list of lists"),
    (ABSTRACT | {"ner": [[]]}, r"'A00-1': ner \(number of lists\) is 1; give one per sentence; there are 3"),
    (broken("ner", 0, [[0, "Method"]]), r"'A00-1': ner\[0\]\[0\] is \[0, 'Method'\]; give 1 times the numbers"),
    (broken("ner", 0, [[0, 1, 2]]), r"ner\[0\]\[0\] is \[0, 1, 2\]"),
    (broken("ner", 0, ["Method"]), r"ner\[0\]\[0\] is 'Method'"),
    (broken("ner", 1, [[5, 6, "Method"]]), r"ner\[1\]\[0\] is \[5, 6, 'Method'\]; .* has the words 6 to 11"),
    (broken("ner", 1, [[7, 6, "Method"]]), r"ner\[1\]\[0\] is \[7, 6, 'Method'\]"),
    (broken("ner", 1, [[11, 12, "Method"]]), r"ner\[1\]\[0\] is \[11, 12, 'Method'\]"),
    (broken("relations", 0, [[0, 1, 3, "USED-FOR"]]), r"relations\[0\]\[0\] is \[0, 1, 3, 'USED-FOR'\]; give 2 times"),
    (broken("relations", 0, [[0, 0, 3, 3, "USED-FOR"]]), r"relations\[0\]\[0\] is \[0, 0\]; no entity .* these words"),
    (broken("relations", 0, [[3, 3, 0, 1, "USES"]]), r"'A00-1_0': relations\[0\]\.type is 'USES'; .* Used-for"),
    (
        broken("ner", 1, [[6, 6, "Thing"], [9, 9, "Method"]]),
        r"'A00-1_1': entities\[0\]\.type is 'Thing'; .* Task, Method",
    ),
    (SENTENCES[0] | {"tokens": [None]}, r"'A00-1_0': entities\[0\] \(start, end\) is \(0, 2\)"),
    ({**SENTENCES[2], "tokens": [None]}, r"'A00-1_0': sentences\[0\]\[0\] is None; give a string"),
    ({**SENTENCES[0], "orig_id": None}, "orig_id is None; give the sentence's id"),
]


def test_broken_records_are_named(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, (record, message) in enumerate(BROKEN):
        with subtests.test(record=record, message=message):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            builder = Scierc(str(case_path / "cache"), data_dir=filled(case_path / "local", train=[record]))
            with pytest.raises(DocumentError, match=message):
                list(builder.as_streaming_dataset()["train"])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local = filled(tmp_path / "local", train=[ABSTRACT])
    main(Scierc, ["--out", str(tmp_path / "out"), "--data_dir", str(local), "--cache_dir", str(tmp_path / "cache")])
    assert "| relations | 2 |" in capsys.readouterr().out
    assert "| Conjunction | conjunction with |" in (tmp_path / "out/README.md").read_text()


# real files


@pytest.fixture(scope="module")
def real(shared_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Document]]:
    return prepared(tmp_path_factory.mktemp("scierc"), shared_data("scierc/train.json").parent)


FIGURES = {
    "train": (1861, 5598, 3215, 61, 99, 495, 13),
    "validation": (275, 811, 455, 7, 15, 88, 3),
}


@pytest.mark.parametrize("split", FIGURES)
def test_published_figures(split: str, real: dict[str, list[Document]]) -> None:
    found = corpus_statistics(real[split])
    names = (
        "documents",
        "entities",
        "relations",
        "pairs of different spans that overlap",
        "documents without entities",
    )
    assert found["sentences"] == found["documents"]
    without_relations = sum(not document.relations for document in real[split])
    figures = (*(found[name] for name in names), without_relations, found["mentions of more than 10 words"])
    assert figures == FIGURES[split]
    assert found["label rows that repeat another (kept)"] == 0
    assert max(len(words) for document in real[split] for words in document.sentences) <= 101
    assert (found["entity types"], found["relation types"]) == (6, 7)
    assert found["related entity pairs"] == found["relations"], "no pair has two types"


def test_published_rows_before_repetitions_are_dropped(shared_data: Callable[[str], Path]) -> None:
    for name, rows, repeated in (("train", 3219, 4), ("dev", 455, 0)):
        lines = shared_data(f"scierc/{name}.json").read_text().splitlines()
        abstracts = list(map(json.loads, lines))
        assert len(abstracts) == (350 if name == "train" else 50)
        relations = [
            tuple(map(tuple, ((r["head"], r["tail"], r["type"]) for r in sentence["relations"])))
            for abstract in abstracts
            for sentence in sentences_of(abstract)
        ]
        assert sum(map(len, relations)) == rows
        assert sum(len(found) - len(set(found)) for found in relations) == repeated


def test_real_documents(real: dict[str, list[Document]]) -> None:
    documents = [document for split in real.values() for document in split]
    assert len({document.id for document in documents}) == len(documents)
    assert {e.type for document in documents for e in document.entities} == set(Scierc.ENTITY_TYPES)
    assert {r.type for document in documents for r in document.relations} == set(Scierc.RELATION_TYPES)
    words = {word for document in documents for sentence in document.sentences for word in sentence}
    assert not words & {"-LRB-", "-RRB-", "-LSB-", "-RSB-", "-LCB-", "-RCB-"} and {"(", ")", "[", "]"} <= words
    assert set(Scierc.SYMMETRIC_RELATIONS) <= set(Scierc.RELATION_TYPES) == set(Scierc.RELATION_LABELS)
