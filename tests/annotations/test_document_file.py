"""Files of one's own documents: what is read, and what is refused with its place and, where it is known, its form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from samples import ANNA

from modeling_docre.annotations.document_file import read_annotations, read_documents
from modeling_docre.annotations.growing_file import GrowingFile
from modeling_docre.annotations.known_forms import KNOWN_FORMS, READABLE, form_of
from modeling_docre.documents import Document, DocumentError

TEXT = "Anna was born in Ulm. She works in Bern."
MARKED: dict[str, Any] = {
    "id": "marked",
    "text": TEXT,
    "entities": [
        {"type": "PER", "mentions": [{"char_start": 0, "char_end": 4}, {"char_start": 22, "char_end": 25}]},
        {"type": "LOC", "mentions": [{"char_start": 17, "char_end": 20}]},
    ],
    "relations": [{"head": 0, "tail": 1, "type": "born", "origin": "human"}],
    "complete": {"relations": False},
}
UNREADABLE: dict[str, Any] = {
    "GLiNER": {"tokenized_text": ["Anna"], "ner": [[0, 0, "person"]]},
    "PubAnnotation": {"text": TEXT, "denotations": [{"id": "T1", "span": {"begin": 0, "end": 4}, "obj": "PER"}]},
}


def written(folder: Path, *records: Any) -> Path:
    path = folder / "documents.json"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


def test_a_text_with_entities_in_characters_is_a_document(tmp_path: Path) -> None:
    document, dict_form = read_documents(written(tmp_path, MARKED, ANNA.to_dict()))
    assert dict_form == ANNA
    assert [document.mention_text(mention) for entity in document.entities for mention in entity.mentions] == [
        "Anna",
        "She",
        "Ulm",
    ]
    assert document.text == TEXT and len(document.sentences) == 2
    [relation] = document.relations
    assert (relation.head, relation.tail, relation.type, relation.origin) == (0, 1, "born", "human")
    assert document.complete is not None and not document.complete.relations
    assert Document.from_dict(document.to_dict()) == document


def test_what_a_run_keeps_beside_its_file_is_not_read_from_a_folder(tmp_path: Path) -> None:
    growing = GrowingFile(tmp_path / "labelled.jsonl")
    growing.begin({"documents": "of a corpus"})
    growing.append([ANNA.to_dict()])
    growing.finish()
    begun = GrowingFile(tmp_path / "begun.jsonl")
    begun.begin({"documents": "of another"})
    begun.append([ANNA.to_dict()])
    assert [document.id for document in read_annotations(tmp_path)[0]] == [ANNA.id]


def test_labels_that_are_no_names_are_refused_with_their_place(tmp_path: Path) -> None:
    entity, relation = {"mentions": [{"char_start": 0, "char_end": 3}]}, {"head": 0, "tail": 1}
    for label in ("", " ", "a\nb", "../../x", "a\x1b[2J", "x" * 501):
        for field, change in (
            ("entities[0].type", {"entities": [{**entity, "type": label}, *MARKED["entities"]]}),
            ("relations[0].type", {"relations": [{**relation, "type": label}]}),
            ("soft_relations[0].type", {"soft_relations": [{**relation, "type": label, "score": 0.5}]}),
        ):
            with pytest.raises(DocumentError) as caught:
                read_documents(written(tmp_path, {**MARKED, **change}))
            assert (caught.value.document_id, caught.value.field, caught.value.value) == ("marked", field, label)


def test_scores_that_are_no_finite_numbers_are_refused(tmp_path: Path) -> None:
    for score in (float("nan"), float("inf")):
        relations = [{"head": 0, "tail": 1, "type": "born", "score": score}]
        with pytest.raises(DocumentError, match=r"'marked': relations\[0\]\.score is (nan|inf); give a finite number"):
            read_documents(written(tmp_path, {**MARKED, "relations": relations}))


def test_forms_without_a_reader_are_called_by_their_names(tmp_path: Path) -> None:
    assert set(UNREADABLE) == {form.title for form in KNOWN_FORMS if form.name not in READABLE}
    for name, record in UNREADABLE.items():
        for read in (read_documents, read_annotations):
            with pytest.raises(DocumentError, match=f"this is the form of {name}, which has no reader"):
                read(written(tmp_path, record))
    for record in (ANNA.to_dict(), MARKED, {"title": "a", "sents": [], "vertexSet": [], "labels": []}):
        assert form_of(record) is None


def test_a_spreadsheet_is_told_to_become_a_table(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "sheet.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    for form in ("auto", "table"):
        with pytest.raises(DocumentError, match=r"'sheet\.xlsx': form is '\.xlsx'; save the sheet as CSV"):
            read_annotations(tmp_path / "sheet.xlsx", form=form)
    written(tmp_path, ANNA.to_dict())
    documents, counts = read_annotations(tmp_path)
    assert documents == [ANNA] and counts["files *.xlsx of unknown form (left out)"] == 1


def test_other_tools_records_among_ones_own_are_called_by_their_name(tmp_path: Path) -> None:
    doccano = {"id": 7, "text": TEXT, "label": [[0, 4, "PER"]]}
    with pytest.raises(DocumentError, match=r"number 2 of documents\.json.*the form of doccano; .*docre convert"):
        read_documents(written(tmp_path, MARKED, doccano))


def test_wrapped_records_are_called_so(tmp_path: Path) -> None:
    for indent in (None, 1):
        path = written(tmp_path)
        path.write_text(json.dumps({"data": [ANNA.to_dict()]}, indent=indent), encoding="utf-8")
        for read in (read_documents, read_annotations):
            with pytest.raises(DocumentError, match="the records are wrapped; give the list under 'data' alone"):
                read(path)
