"""Records of sentences: both forms, what is dropped and counted, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from dataset_scripts.readers.sentences import REPEATED_ENTITIES, REPEATED_RELATIONS, SELF_RELATIONS, SentenceReader
from modeling_docre.documents import Document, DocumentError, Entity, Mention, Relation

TOKENS = ["Anna", "Berg", "works", "for", "Acme", "in", "Ghent"]
RECORD = {
    "orig_id": 17,
    "tokens": TOKENS,
    "entities": [
        {"type": "Peop", "start": 0, "end": 2},
        {"type": "Org", "start": 4, "end": 5},
        {"type": "Loc", "start": 6, "end": 7},
    ],
    "relations": [{"type": "Work_For", "head": 0, "tail": 1}, {"type": "Based_In", "head": 1, "tail": 2}],
}
TAGGED = {key: RECORD[key] for key in ("orig_id", "tokens", "relations")} | {
    "tags": ["B-Peop", "L-Peop", "O", "O", "U-Org", "O", "U-Loc"]
}
EXPECTED = Document(
    "17",
    (tuple(TOKENS),),
    (
        Entity("Peop", (Mention(0, 0, 2),)),
        Entity("Org", (Mention(0, 4, 5),)),
        Entity("Loc", (Mention(0, 6, 7),)),
    ),
    (Relation(0, 1, "Work_For", "works for"), Relation(1, 2, "Based_In")),
)


def reader() -> SentenceReader:
    return SentenceReader(["Peop", "Org", "Loc"], ["Work_For", "Based_In"], {"Work_For": "works for"})


def test_both_forms_give_the_same_document(subtests: pytest.Subtests) -> None:
    for record in [RECORD, TAGGED, RECORD | {"tags": None}, TAGGED | {"entities": None}]:
        with subtests.test(record=record):
            reading = reader()
            assert reading.read(record) == EXPECTED
            assert not reading.changed
            assert reading.report.split() == ["sentences", "1"]


def test_types_are_written_as_the_corpus_has_them() -> None:
    shouted = [row | {"type": row["type"].upper()} for row in RECORD["entities"]]
    spoken = [row | {"type": row["type"].lower()} for row in RECORD["relations"]]
    assert reader().read(RECORD | {"entities": shouted, "relations": spoken}) == EXPECTED


def test_relations_may_be_absent_and_sentences_empty() -> None:
    assert reader().read(RECORD | {"relations": None}).relations == ()
    empty = reader().read({"orig_id": "a", "tokens": [], "entities": []})
    assert (empty.sentences, empty.entities) == (((),), ())


def test_repeated_rows_are_dropped_and_counted() -> None:
    rows = RECORD["entities"]
    twice = [rows[0], rows[0], rows[1], rows[2], rows[1]]
    relations = [
        {"type": "Work_For", "head": 1, "tail": 4},
        {"type": "Work_For", "head": 0, "tail": 2},
        {"type": "Based_In", "head": 2, "tail": 3},
        {"type": "Based_In", "head": 2, "tail": 4},
    ]
    reading = reader()
    assert reading.read(RECORD | {"entities": twice, "relations": relations}) == EXPECTED
    assert reading.changed
    assert (reading.counts[REPEATED_ENTITIES], reading.counts[REPEATED_RELATIONS]) == (2, 1)
    assert reading.counts[SELF_RELATIONS] == 1, "both rows are the same entity"


def test_a_span_of_two_types_is_two_entities() -> None:
    rows = [*RECORD["entities"], {"type": "Loc", "start": 4, "end": 5}]
    found = reader().read(RECORD | {"entities": rows})
    assert [entity.type for entity in found.entities] == ["Peop", "Org", "Loc", "Loc"]
    assert found.relations == EXPECTED.relations


def test_ids_are_made_unique_and_further_keys_counted() -> None:
    reading = reader()
    names = [reading.read(RECORD | {"orig_id": name, "ltokens": []}).id for name in (3, "3", "3 #2", 4)]
    assert names == ["3", "3 #2", "3 #2 #2", "4"]
    assert reading.changed
    counted = dict(line.rsplit(maxsplit=1) for line in reading.report.splitlines())
    counted = {text.strip(): int(number) for text, number in counted.items()}
    assert counted == {
        "sentences": 4,
        "ignored key `ltokens`": 4,
        "documents whose id had occurred before (id made unique)": 2,
    }


def changed(key: str, place: int, **fields: Any) -> dict[str, Any]:
    rows = list(RECORD[key])
    rows[place] = rows[place] | fields
    return RECORD | {key: rows}


BROKEN = [
    (["tokens"], r"'number 1 of the file': record is \['tokens'\]; give an object with orig_id, tokens"),
    (RECORD | {"orig_id": None}, "'number 1 of the file': orig_id is None; give the sentence's id"),
    (RECORD | {"orig_id": ""}, "orig_id is ''"),
    (RECORD | {"orig_id": True}, "orig_id is True"),
    (RECORD | {"tokens": "Anna"}, "'17': tokens is 'Anna'; give a list"),
    (RECORD | {"tokens": [*TOKENS[:-1], 7]}, r"'17': sentences\[0\]\[6\] is 7; give a string"),
    (RECORD | {"entities": None}, r"'17': entities \(or tags\) is None; give a list"),
    (RECORD | {"entities": [[0, 2, "Peop"]]}, r"'17': entities\[0\] is \[0, 2, 'Peop'\]; give an object with type"),
    (changed("entities", 1, type="Orgs"), r"'17': entities\[1\].type is 'Orgs'; .* the corpus has Peop, Org, Loc"),
    (changed("entities", 1, type=None), r"'17': entities\[1\].type is None"),
    (changed("entities", 2, start="6"), r"'17': entities\[2\].start is '6'; give a whole number"),
    (changed("entities", 2, end=8), r"'17': entities\[2\] \(start, end\) is \(6, 8\); .* <= 7, the length"),
    (changed("entities", 2, end=6), r"'17': entities\[2\] \(start, end\) is \(6, 6\)"),
    (changed("entities", 0, start=-1), r"'17': entities\[0\] \(start, end\) is \(-1, 2\)"),
    (RECORD | {"relations": {}}, r"'17': relations is \{\}; give a list"),
    (
        changed("relations", 1, type="Kill"),
        r"'17': relations\[1\].type is 'Kill'; .* the corpus has Work_For, Based_In",
    ),
    (changed("relations", 1, tail=3), r"'17': relations\[1\].tail is 3; the sentence has 3 entities, numbered from 0"),
    (changed("relations", 0, head=-1), r"'17': relations\[0\].head is -1"),
    (changed("relations", 0, head=None), r"'17': relations\[0\].head is None; give a whole number"),
    (TAGGED | {"tags": ["O"]}, r"'17': tags \(number\) is 1; give one tag per word; there are 7"),
    (TAGGED | {"tags": ["U-Per", *["O"] * 6]}, "'17': tags is 'Per'; .* the corpus has Peop, Org, Loc"),
]


def test_broken_records_are_named(subtests: pytest.Subtests) -> None:
    for record, message in BROKEN:
        with subtests.test(record=record, message=message), pytest.raises(DocumentError, match=message):
            reader().read(record)
