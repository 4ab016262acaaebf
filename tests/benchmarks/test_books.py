"""The benchmark of books: what is joined comes apart again, and the tables are printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines import build, decisive_jerex
from samples import ANNA, OTTO
from training import write_jsonl

from benchmarks import books
from benchmarks.workload import concatenate

DOCUMENTS = [ANNA, OTTO]


def test_a_book_is_cut_back_to_its_documents() -> None:
    book = books.join(DOCUMENTS)
    assert book.text is not None and book.token_offsets is not None and book.text.count("\n\n") == 2
    for words, offsets in zip(book.sentences, book.token_offsets, strict=True):
        assert [book.text[start:end] for start, end in offsets] == list(words)
    gold = concatenate(DOCUMENTS, book.sentence_starts[-1])
    assert gold.sentences == book.sentences
    for found, document in zip(books.cut_back(gold, DOCUMENTS), DOCUMENTS, strict=True):
        assert (found.id, found.sentences) == (document.id, document.sentences)
        assert [list(map(found.span, entity.mentions)) for entity in found.entities] == [
            list(map(document.span, entity.mentions)) for entity in document.entities
        ]
        facts = [(item.head, item.tail, item.type) for item in document.relations]
        assert [(item.head, item.tail, item.type) for item in found.relations] == facts


def test_the_tables(tmp_path: Path, capsys: Any) -> None:
    file = write_jsonl(tmp_path / "documents.jsonl", DOCUMENTS)
    build(decisive_jerex()).save_pretrained(tmp_path / "model")
    call = [str(tmp_path / "model"), "--data", str(file)]
    books.main(["quality", *call, "--section-words", "10", "50"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows[-3:]] == ["| one by one", "| sections of 10", "| sections of 50"]
    books.main(["growth", *call, "--words", "40", "--given", "400", "--whole", "40"])
    rows = [row.split(" | ")[:3] for row in capsys.readouterr().out.splitlines()[-3:]]
    assert rows == [["| 40", "found", "300"], ["| 40", "found", "none"], ["| 400", "50 given", "300"]]
    books.main(["pairs", *call, "--words", "400"])
    rows = [row.strip("| ").replace(",", "").split(" | ") for row in capsys.readouterr().out.splitlines()[-4:]]
    assert [row[:3] for row in rows] == [[e, s, "none"] for e in ("given", "found") for s in ("none", "300")]
    whole, sections = (list(map(int, row[3:5])) for row in rows[:2])
    assert whole[0] > sections[0] and whole[1] == 0 < sections[1]
    books.main(["distances", "--data", str(file)])
    rows = [row.strip("| ").split(" | ") for row in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == [str(most) for most in range(len(rows))] and rows[-1][1:] == ["100.0"] * 2
