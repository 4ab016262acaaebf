"""`docre convert` and `docre split`, and the way of one's own annotations from the tool to the Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import docre, fails, works
from hub_processes import writing_to
from hub_server import running_hub

from modeling_docre.annotations.document_file import read_documents

TOWNS = ("Ulm", "Bern", "Graz", "Linz", "Bonn", "Kiel")


def annotated(folder: Path) -> Path:
    """Documents in brat's two files, of which two have the same text."""
    folder.mkdir()
    for number, town in enumerate([*TOWNS, TOWNS[0]]):
        text = f"Anna was born in {town}. She lives there."
        end = 17 + len(town)
        lines = [
            "T1\tPER 0 4\tAnna",
            f"T2\tLOC 17 {end}\t{town}",
            f"T3\tPER {end + 2} {end + 5}\tShe",
            "*\tEquiv T1 T3",
        ]
        lines += ["R1\tborn_in Arg1:T1 Arg2:T2", "R2\tlives_in Arg1:T3 Arg2:T2"]
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
        (folder / f"{number}.ann").write_text("\n".join(lines), encoding="utf-8")
    return folder


def rows(table: str) -> dict[str, int]:
    """The counts of a printed table by what they count."""
    split = (line.rsplit(maxsplit=1) for line in table.splitlines())
    return {text.strip(): int(number.replace(",", "")) for text, number in split}


def test_convert_writes_documents_and_says_what_became_of_the_annotations(capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "new" / "corpus.jsonl"
    counts = rows(works(capsys, "convert", annotated(tmp_path / "own"), "--out", out))
    assert counts == {
        "documents": 7,
        "entities": 14,
        "mentions": 21,
        "relations": 14,
        "files in the form of brat": 7,
        "mentions merged into the entity of another mention": 7,
        "documents whose text had occurred before (kept)": 1,
    }
    assert [document.id for document in read_documents(out)] == [str(number) for number in range(7)]
    assert rows(works(capsys, "report", tmp_path / "own"))["mentions"] == 21


def test_convert_writes_neither_over_its_input_nor_an_empty_corpus(capsys: Any, tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    export.write_text('{"id": 1, "text": "Anna", "label": [], "Comments": ["seen"]}\n', encoding="utf-8")
    for source in (export, tmp_path):
        fails(capsys, "is among the files that are read", "convert", source, "--out", export, code=2)
    assert "seen" in export.read_text(encoding="utf-8")
    export.write_text("[]", encoding="utf-8")
    ended = docre(capsys, "convert", export, "--out", tmp_path / "out.jsonl")
    assert ended.code == 1 and "holds no annotated document" in ended.err and "files" in ended.out
    assert not (tmp_path / "out.jsonl").exists()


def test_options_of_convert_reach_the_reader(capsys: Any, tmp_path: Path) -> None:
    text, out = "😀 Ulm and Ulm", tmp_path / "corpus.jsonl"
    record = {"text": text, "entities": [], "relations": [{"id": 1, "from_id": 1, "to_id": 2, "type": "is"}]}
    record["entities"] = [
        {"id": number, "label": "LOC", "start_offset": start, "end_offset": start + 3}
        for number, start in ((1, 3), (2, 11))
    ]
    (tmp_path / "all.jsonl").write_text(json.dumps(record), encoding="utf-8")
    source = ("convert", tmp_path / "all.jsonl", "--out", out, "--offsets", "utf-16")
    for options, entities, relations in (((), 2, 1), (("--coreference", "is"), 1, 0), (("--cluster", "names"), 1, 0)):
        works(capsys, *source, *options)
        [document] = read_documents(out)
        assert (len(document.entities), len(document.relations)) == (entities, relations)
        assert document.mention_text(document.entities[0].mentions[0]) == "Ulm"
    works(capsys, *source, "--from", "doccano", "--language", "de")
    fails(capsys, "cluster is 'all'; give 'links' or 'names'", *source, "--cluster", "all")
    fails(capsys, "there is no format 'xml'", *source, "--from", "xml")
    fails(capsys, "end its name in .jsonl", "convert", tmp_path / "all.jsonl", "--out", tmp_path / "x.json", code=2)


def test_split_divides_by_document(capsys: Any, tmp_path: Path) -> None:
    """The same texts are in one part, the order depends on the seed, and no part is empty by rounding."""
    own = annotated(tmp_path / "own")
    works(capsys, "convert", own, "--out", tmp_path / "corpus.jsonl")

    def ids(*options: object) -> list[set[str]]:
        works(capsys, "split", tmp_path / "corpus.jsonl", "--out", tmp_path / "parts", *options)
        files = (tmp_path / "parts" / f"{name}.jsonl" for name in ("train", "validation", "test"))
        return [{document.id for document in read_documents(file)} for file in files]

    parts = ids("--ratios", 60, 20, 20)
    assert sorted(number for part in parts for number in part) == [str(number) for number in range(7)]
    assert all(parts) and any({"0", "6"} <= part for part in parts)
    assert parts == ids("--ratios", 60, 20, 20, "--seed", 42)
    assert len({str(ids("--ratios", 60, 20, 20, "--seed", seed)) for seed in range(4)}) > 1
    assert all(ids("--ratios", 98, 1, 1))
    table = works(capsys, "split", own, "--ratios", 50, 50, 0, "--out", tmp_path / "two")
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["train", "validation", "test"]
    assert not (tmp_path / "two" / "test.jsonl").exists()


def test_split_does_not_read_what_it_wrote(capsys: Any, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = [{"id": str(number), "sentences": [[str(number)]]} for number in range(10)]
    (folder / "all.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    works(capsys, "split", folder)
    written = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    for source in (folder, folder / "train.jsonl"):
        message = "train.jsonl is among the files that are read; name another folder by --out"
        fails(capsys, message, "split", source, code=2)
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} == written
    works(capsys, "split", folder / "all.jsonl", "--seed", 1)


def test_split_names_types_that_training_does_not_see(capsys: Any, tmp_path: Path) -> None:
    entities = [{"type": "X", "mentions": [{"sentence": 0, "start": start, "end": start + 1}]} for start in (0, 1)]
    documents = [
        {
            **{"id": str(number), "sentences": [["a", f"b{number}"]], "entities": entities},
            "relations": [{"head": 0, "tail": 1, "type": f"type {number}"}],
        }
        for number in range(4)
    ]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, documents)), encoding="utf-8")
    table = works(capsys, "split", tmp_path / "c.jsonl", "--ratios", 50, 25, 25)
    assert "not in train: type " in table.splitlines()[-1]
    (tmp_path / "one.jsonl").write_text(json.dumps(documents[0]), encoding="utf-8")
    fails(capsys, "1 different texts cannot make 3 parts", "split", tmp_path / "one.jsonl")
    fails(capsys, "--ratios is 0 50 50", "split", tmp_path / "c.jsonl", "--ratios", 0, 50, 50, code=2)
    fails(capsys, "is among the files that are read", "split", tmp_path / "train.jsonl", "--ratios", 50, 50, 0, code=2)


@pytest.mark.slow
def test_from_annotations_to_the_hub(capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/annotate.md does it, on a few documents and with two steps of training."""
    monkeypatch.chdir(tmp_path)
    annotated(tmp_path / "annotated")
    works(capsys, "convert", "annotated", "--out", "corpus.jsonl")
    works(capsys, "split", "corpus.jsonl", "--ratios", 60, 20, 20, "--out", "data")
    files = (
        "--train_file",
        "data/train.jsonl",
        "--validation_file",
        "data/validation.jsonl",
        "--test_file",
        "annotated",
    )
    options = ("--encoder", "offline", "--max_steps", 2, "--eval_strategy", "no", "--save_strategy", "no", "--use_cpu")
    works(capsys, "train", *files, *options, "--load_best_model_at_end", "false", "--output_dir", "outputs/mine")
    trained = json.loads(Path("outputs/mine/test/scores.json").read_text(encoding="utf-8"))
    works(capsys, "evaluate", "outputs/mine", "--file", "annotated", "--json", "scores.json", "--use_cpu")
    scored = json.loads(Path("scores.json").read_text(encoding="utf-8"))
    assert scored["mention_recall"] == trained["mention_recall"]
    graph = works(capsys, "extract", "--model", "outputs/mine", "Otto was born in Wien.", "--format", "json")
    assert json.loads(graph)["sentences"]
    with running_hub() as hub, writing_to(hub):
        assert "tester/mine" in works(capsys, "push", "outputs/mine", "tester/mine")
