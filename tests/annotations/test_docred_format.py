"""DocRED's JSON: counts on real files, errors that name the document, and reading back what was written."""

from __future__ import annotations

import copy
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from strategies import documents

from modeling_docre.annotations import records as record_files
from modeling_docre.annotations.docred import read_docred, to_docred_record, to_result_records, write_docred
from modeling_docre.annotations.report import ReadReport
from modeling_docre.documents import Completeness, Document, DocumentError, Entity, Mention, Relation

RECORD: dict[str, Any] = {
    "title": "Marie Curie",
    "sents": [["Marie", "Curie", "lived", "in", "Paris", "."], ["She", "won", "55.5", "%", "."]],
    "vertexSet": [
        [
            {"name": "Marie Curie", "pos": [0, 2], "sent_id": 0, "type": "PER"},
            {"name": "She", "pos": [0, 1], "sent_id": 1, "type": "MISC"},
        ],
        [{"name": "Paris", "pos": [4, 5], "sent_id": 0, "type": "LOC"}],
        [{"name": "55.5%", "pos": [2, 4], "sent_id": 1, "type": "NUM"}],
    ],
    "labels": [{"h": 0, "t": 1, "r": "P551", "evidence": [0]}],
}
DOCUMENT = Document(
    "Marie Curie",
    tuple(map(tuple, RECORD["sents"])),
    (
        Entity("PER", (Mention(0, 0, 2), Mention(1, 0, 1, type="MISC"))),
        Entity("LOC", (Mention(0, 4, 5),)),
        Entity("NUM", (Mention(1, 2, 4, name="55.5%"),)),
    ),
    (Relation(0, 1, "P551", label="residence", evidence=(0,)),),
)


def _record(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(RECORD) | changes


def _changed(path: str, value: Any) -> dict[str, Any]:
    record = _record()
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = record
    for part in parents:
        place = place[part]
    place[last] = value
    return record


def _nonzero(report: ReadReport) -> dict[str, int]:
    return {f.name: getattr(report, f.name) for f in fields(report) if f.metadata and getattr(report, f.name)}


def test_one_record() -> None:
    found, report = read_docred([RECORD], {"P551": "residence"})
    assert found == [DOCUMENT]
    assert _nonzero(report) == {
        "documents": 1,
        "entities": 3,
        "mentions": 4,
        "relations": 1,
        "longest_mention": 2,
        "mixed_type_documents": 1,
        "mixed_type_entities": 1,
        "differing_names": 1,
    }
    assert to_docred_record(DOCUMENT) == RECORD


def test_every_oddity_is_counted() -> None:
    odd = {
        "title": "odd",
        "sents": [list("abcdefghijklmnop"), [], ["x", " ", "", "y"]],
        "vertexSet": [
            [
                {"pos": [0, 12], "sent_id": 0, "type": "PER", "global_pos": [0, 12]},
                {"pos": [0, 12], "sent_id": 0, "type": "PER"},
                {"pos": [0, 12], "sent_id": 0, "type": "LOC", "name": "other"},
                {"pos": [2, 3], "sent_id": 0, "type": "PER"},
            ],
            [{"pos": [2, 3], "sent_id": 0, "type": "ORG"}, {"pos": [11, 13], "sent_id": 0, "type": "ORG"}],
            [{"pos": [12, 13], "sent_id": 0, "type": "ORG"}, {"pos": [0, 1], "sent_id": 2, "type": "ORG"}],
        ],
        "labels": [
            {"h": 0, "t": 1, "r": "P1"},
            {"h": 0, "t": 1, "r": "P1", "evidence": [], "notes": ""},
            {"h": 1, "t": 0, "r": "P1", "evidence": [2]},
            {"h": 0, "t": 2, "r": "Na"},
            {"h": 0, "t": 0, "r": "NA"},
            {"h": 2, "t": 2, "r": "P1"},
        ],
        "split": "train",
    }
    empty = {"title": "odd", "sents": [], "vertexSet": [], "labels": []}
    absent = {"title": "odd", "sents": [], "vertexSet": []}
    found, report = read_docred([odd, empty, absent], drop_self_relations=True)
    assert [document.id for document in found] == ["odd", "odd #2", "odd #3"]
    assert [(r.head, r.tail, r.evidence) for r in found[0].relations] == [(0, 1, None), (0, 1, ()), (1, 0, (2,))]
    assert _nonzero(report) == {
        "documents": 3,
        "entities": 3,
        "mentions": 8,
        "relations": 3,
        "documents_without_labels": 1,
        "documents_with_empty_labels": 1,
        "documents_without_entities": 2,
        "duplicate_titles": 2,
        "empty_sentences": 1,
        "blank_words": 2,
        "mixed_type_documents": 1,
        "mixed_type_entities": 1,
        "duplicate_mentions": 2,
        "shared_spans": 1,
        # [0, 12) with [2, 3) and [11, 13); [11, 13) with [12, 13)
        "overlapping_spans": 3,
        "long_mentions": 3,
        "longest_mention": 12,
        "differing_names": 1,
        "rows_without_evidence": 1,
        "rows_with_empty_evidence": 1,
        "duplicate_rows": 1,
        "na_rows": 2,
        "self_relations": 1,
    }
    assert report.ignored_keys == {"split": 1, "vertexSet[][].global_pos": 1, "labels[].notes": 1}
    lines = str(report).splitlines()
    assert len(lines) == len(report.rows()) and len({len(line) for line in lines}) == 1
    assert any(
        line.startswith("label rows from an entity to itself (dropped)") and line.endswith(" 1") for line in lines
    )
    assert any(line.startswith("ignored key `labels[].notes`") for line in lines)


def test_ids_stay_unique_where_a_title_looks_like_a_second_one() -> None:
    titles = ["A", "A", "A #2", "A"]
    found, report = read_docred([_record(title=title) for title in titles])
    assert [document.id for document in found] == ["A", "A #2", "A #2 #2", "A #3"]
    assert report.duplicate_titles == 3


BROKEN = [
    ("title", "", "title", ""),
    ("title", None, "title", None),
    ("sents", None, "sents", None),
    ("sents", "a b", "sents", "a b"),
    ("sents.1", "She", "sents[1]", "She"),
    ("sents.1.0", 5, "sents[1][0]", 5),
    ("vertexSet", None, "vertexSet", None),
    ("vertexSet.1", [], "vertexSet[1]", []),
    ("vertexSet.1", {}, "vertexSet[1]", {}),
    ("vertexSet.1.0", "Paris", "vertexSet[1][0]", "Paris"),
    ("vertexSet.1.0.type", None, "vertexSet[1][0].type", None),
    ("vertexSet.1.0.name", 5, "vertexSet[1][0].name", 5),
    ("vertexSet.1.0.sent_id", 2, "vertexSet[1][0].sent_id", 2),
    ("vertexSet.1.0.sent_id", -1, "vertexSet[1][0].sent_id", -1),
    ("vertexSet.1.0.sent_id", "0", "vertexSet[1][0].sent_id", "0"),
    ("vertexSet.1.0.pos", None, "vertexSet[1][0].pos", None),
    ("vertexSet.1.0.pos", [4, 7], "vertexSet[1][0].pos", [4, 7]),
    ("vertexSet.1.0.pos", [-1, 2], "vertexSet[1][0].pos", [-1, 2]),
    ("vertexSet.1.0.pos", [4, 4], "vertexSet[1][0].pos", [4, 4]),
    ("vertexSet.1.0.pos", [4], "vertexSet[1][0].pos", [4]),
    ("vertexSet.1.0.pos", [4.0, 5.0], "vertexSet[1][0].pos", [4.0, 5.0]),
    ("labels", {}, "labels", {}),
    ("labels.0", [], "labels[0]", []),
    ("labels.0.h", 3, "labels[0].h", 3),
    ("labels.0.t", -1, "labels[0].t", -1),
    ("labels.0.t", True, "labels[0].t", True),
    ("labels.0.t", 0, "labels[0] (h, t)", (0, 0)),
    ("labels.0.r", None, "labels[0].r", None),
    ("labels.0.evidence", 0, "labels[0].evidence", 0),
    ("labels.0.evidence", [0, 2], "labels[0].evidence", 2),
    ("labels.0.evidence", ["0"], "labels[0].evidence", "0"),
]


@pytest.mark.parametrize(("path", "value", "field", "shown"), BROKEN, ids=[f"{b[0]}={b[1]!r}" for b in BROKEN])
def test_error_names_document_field_value_and_fix(path: str, value: Any, field: str, shown: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        read_docred([_record(title="first"), _changed(path, value)])
    error = caught.value
    assert error.document_id == ("number 2 of the file" if path == "title" else "Marie Curie")
    assert (error.field, error.value) == (field, shown)
    assert error.fix and str(error).startswith(f"document {error.document_id!r}: {field} is {shown!r}; ")


def test_a_record_must_be_an_object() -> None:
    with pytest.raises(DocumentError, match=r"document 'number 1 of the file': record is \['x'\]; give an object"):
        read_docred([["x"]])  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz", "a.jsonl.gz"])
def test_files_of_every_ending(name: str, tmp_path: Path) -> None:
    second = Document('Ünïcode \u2028 "x"', (("a\nb", "日本"), ()), ())
    path = tmp_path / name
    write_docred([DOCUMENT, second.to_dict()], path)
    found, report = read_docred(path, {"P551": "residence"})
    assert found == [DOCUMENT, second] and report.documents == 2
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    content = path.read_bytes()
    write_docred([DOCUMENT, second], path)
    assert path.read_bytes() == content
    with open(path, "rb") as handle:
        assert read_docred(handle, {"P551": "residence"})[0] == found


def test_writing_refuses_what_could_not_be_read_back(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot tell the format of .*a\.txt.*; end it in \.json"):
        write_docred([DOCUMENT], tmp_path / "a.txt")
    with pytest.raises(DocumentError, match="document 'Marie Curie': id is 'Marie Curie'; 2 documents have this id"):
        write_docred([DOCUMENT, DOCUMENT], tmp_path / "a.json")
    unrelated = Document(DOCUMENT.id, DOCUMENT.sentences, DOCUMENT.entities, (Relation(0, 1, "Na"),))
    for write in (lambda: write_docred([unrelated], tmp_path / "a.json"), lambda: to_result_records([unrelated])):
        with pytest.raises(DocumentError, match=r"document 'Marie Curie': relations\[0\].type is 'Na'; leave out"):
            write()
    assert not list(tmp_path.iterdir())


def test_result_records() -> None:
    relations = (Relation(0, 1, "P551", score=0.5, evidence=(0,)), Relation(1, 2, "P17"))
    predicted = Document(DOCUMENT.id, DOCUMENT.sentences, DOCUMENT.entities, relations)
    rows = to_result_records([predicted, Document("empty", ()).to_dict()])
    assert rows == [
        {"title": "Marie Curie", "h_idx": 0, "t_idx": 1, "r": "P551", "evidence": [0]},
        {"title": "Marie Curie", "h_idx": 1, "t_idx": 2, "r": "P17", "evidence": []},
    ]
    assert json.loads(json.dumps(rows)) == rows


@pytest.mark.parametrize(
    ("text", "number", "found"),
    [
        ("[{}, {}", 3, "[{}, {}"),
        ('[{"title": ', 1, '[{"title": '),
        ("[{} {}]", 2, "[{} {}]"),
        ("[{},]", 2, "[{},]"),
        ("[{}] {}", 2, "[{}] {}"),
        ("{}\n{,}\n{}", 2, "{,}"),
        ("{\n,}", 1, "{\n,}"),
        ("nothing", 1, "nothing"),
        ("[{}, 12, {}]", 2, "[{}, 12, {}]"),
        ("12", 1, "12"),
        (f'[{{"a": "{"x" * 100}"}}, ?, {{"a": "{"y" * 100}"}}]', 2, f'{"x" * 36}"}}, ?, {{"a": "{"y" * 30}'),
    ],
)
def test_broken_json_names_the_place(text: str, number: int, found: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        list(record_files.iter_records(path))
    assert (caught.value.field, caught.value.value) == ("JSON text", found)
    assert caught.value.document_id == f"number {number} of broken.json"
    assert "give a JSON array of documents or one document per line" in caught.value.fix


@pytest.mark.parametrize("chunk", [1, 2, 7, 64])
@pytest.mark.parametrize(
    "text", ["[]", " [ ] ", "", "\n", '[{"a": "[},"}, {}\n , {"b": ["é", {}, 3.5]} ]', '\ufeff{"a": 1}\r\n\n{"b": "é"}']
)
def test_reading_chunk_by_chunk_gives_the_whole(text: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "_CHUNK", chunk)
    plain = text.lstrip("\ufeff")
    lines = [json.loads(line) for line in plain.splitlines() if line.strip()] if "[" not in plain else json.loads(plain)
    for content in (text.encode(), gzip.compress(text.encode())):
        assert list(record_files.iter_records(io.BytesIO(content))) == lines


def test_a_file_is_read_one_document_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "long.json"
    path.write_text("[" + ", ".join(json.dumps(_record(title=str(n))) for n in range(5000)) + ", broken]")
    records = record_files.iter_records(path)
    assert [next(records)["title"] for _ in range(5000)] == [str(n) for n in range(5000)]
    with pytest.raises(DocumentError, match=r"number 5001 of long\.json"):
        next(records)


@settings(max_examples=150, deadline=None)
@given(documents(source_fields=True))
def test_reading_gives_back_what_was_written(document: Document) -> None:
    record = json.loads(json.dumps(to_docred_record(document)))
    [found], report = read_docred([record])
    assert found == document
    assert to_docred_record(found) == record
    expected = replace(ReadReport.of([document.to_dict()]), documents_with_empty_labels=int(not document.relations))
    assert report == expected


@settings(max_examples=50, deadline=None)
@given(documents(all_fields=True))
def test_what_the_format_cannot_hold_is_left_out_and_the_rest_kept(document: Document) -> None:
    [found], _ = read_docred([to_docred_record(document)])
    assert (found.id, found.sentences) == (document.id, document.sentences)
    assert [entity.type for entity in found.entities] == [entity.type for entity in document.entities]
    for ours, theirs in zip(found.entities, document.entities, strict=True):
        assert list(map(found.span, ours.mentions)) == list(map(document.span, theirs.mentions))
    kept = [(r.head, r.tail, r.type, r.evidence) for r in document.relations]
    assert [(r.head, r.tail, r.type, r.evidence) for r in found.relations] == kept


def test_re_docred_dev_has_the_measured_counts(shared_data: Callable[[str], Path]) -> None:
    """The two files together are the 500 dev documents of Re-DocRED."""
    records = [json.loads(shared_data(f"re_docred/{split}.json").read_text()) for split in ("train", "validation")]
    found, report = read_docred(records[0] + records[1])
    assert _nonzero(report) == {
        "documents": 500,
        "entities": 9684,
        "mentions": 13189,
        "relations": 17284,
        "documents_with_empty_labels": 1,
        "blank_words": 66,
        "mixed_type_documents": 9,
        "mixed_type_entities": 9,
        "duplicate_mentions": 35,
        "shared_spans": 1,
        "overlapping_spans": 21,
        "long_mentions": 12,
        "longest_mention": 14,
        "differing_names": 284,
        "rows_with_empty_evidence": 9811,
    }
    assert [document.id for document in found if not document.relations] == ["Scimitar oryx"]
    assert max(document.sentence_starts[-1] for document in found) == 481


@pytest.mark.parametrize(
    "name",
    [
        "re_docred/train.json",
        "re_docred/validation.json",
        "revisit_docred/valid_scratch.json",
        "revisit_docred/valid_revise.json",
    ],
)
def test_counts_agree_with_the_raw_file(name: str, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    path = shared_data(name)
    raw = json.loads(path.read_text())
    labels = json.loads(shared_data("re_docred/rel_info.json").read_text())
    found, report = read_docred(path, labels)
    clusters = [cluster for record in raw for cluster in record["vertexSet"]]
    mentions = [(record, mention) for record in raw for cluster in record["vertexSet"] for mention in cluster]
    rows = [row for record in raw for row in record["labels"]]
    words = [word for record in raw for sentence in record["sents"] for word in sentence]
    lengths = [mention["pos"][1] - mention["pos"][0] for _, mention in mentions]
    assert (report.documents, report.entities) == (len(raw), len(clusters))
    assert (report.mentions, report.relations) == (len(mentions), len(rows))
    assert report.blank_words == sum(word.isspace() or not word for word in words)
    assert report.mixed_type_entities == sum(len({mention["type"] for mention in cluster}) > 1 for cluster in clusters)
    assert (report.long_mentions, report.longest_mention) == (sum(n > 10 for n in lengths), max(lengths))
    assert report.rows_without_evidence == sum("evidence" not in row for row in rows)
    assert report.rows_with_empty_evidence == sum(row.get("evidence") == [] for row in rows)
    spans = [(id(cluster), m["sent_id"], *m["pos"]) for cluster in clusters for m in cluster]
    assert report.duplicate_mentions == len(spans) - len(set(spans))
    joined = [" ".join(r["sents"][m["sent_id"]][slice(*m["pos"])]).strip() for r, m in mentions]
    assert report.differing_names == sum(m["name"] != text for (_, m), text in zip(mentions, joined, strict=True))
    extra = Counter(f"labels[].{key}" for row in rows for key in row if key in ("pred_label", "notes"))
    extra.update(f"vertexSet[][].{key}" for _, m in mentions for key in m if key in ("global_pos", "index"))
    assert report.ignored_keys == extra
    assert all(relation.label == labels[relation.type] for document in found for relation in document.relations)
    write_docred(found, tmp_path / "copy.json.gz")
    again, report_again = read_docred(tmp_path / "copy.json.gz", labels)
    assert again == found
    assert _nonzero(report_again) == _nonzero(report) and report_again.ignored_keys == {}


@pytest.mark.parametrize("name", ["re_docred/validation.json", "revisit_docred/valid_scratch.json"])
def test_records_come_back_but_for_their_extra_keys(name: str, shared_data: Callable[[str], Path]) -> None:
    raw = json.loads(shared_data(name).read_text())
    found, _ = read_docred(raw)
    for record, document in zip(raw, found, strict=True):
        written = to_docred_record(document)
        assert (written["title"], written["sents"]) == (record["title"], record["sents"])
        keys = ("h", "t", "r", "evidence")
        assert written["labels"] == [{key: row[key] for key in keys if key in row} for row in record["labels"]]
        keys = ("name", "pos", "sent_id", "type")
        assert written["vertexSet"] == [[{key: m[key] for key in keys} for m in c] for c in record["vertexSet"]]


def test_what_is_complete_and_who_labelled_survive(tmp_path: Path) -> None:
    relations = (replace(DOCUMENT.relations[0], origin="human"), Relation(0, 2, "P17", origin="model"))
    document = replace(DOCUMENT, relations=relations, complete=Completeness(relations=False))
    write_docred([document, replace(DOCUMENT, id="plain")], tmp_path / "x.json")
    [read, plain], report = read_docred(tmp_path / "x.json", {"P551": "residence"})
    assert read == document and plain == replace(DOCUMENT, id="plain") and not report.ignored_keys
    assert "complete" not in to_docred_record(DOCUMENT) and "origin" not in to_docred_record(DOCUMENT)["labels"][0]
    for change, message in (
        ({"complete": {"relations": 0}}, r"complete\.relations is 0; give true or false"),
        ({"labels": [{**RECORD["labels"][0], "origin": "crowd"}]}, r"labels\[0\]\.origin is 'crowd'"),
        ({"labels": [{"h": 0, "t": 1, "r": "a\nb"}]}, r"labels\[0\]\.r is 'a\\nb'; give one line"),
        ({"vertexSet": [[{"pos": [0, 1], "sent_id": 0, "type": ""}]]}, r"vertexSet\[0\]\[0\]\.type is ''; give one"),
        ({"sents": [], "labels": []}, r"sent_id is 0; the document has no sentences"),
    ):
        with pytest.raises(DocumentError, match=f"'Marie Curie': .*{message}"):
            read_docred([_record(**change)])
