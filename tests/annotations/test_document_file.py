"""Files of one's own documents: what is read, and what is refused with its place and, where it is known, its form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from samples import ANNA

from modeling_docre.annotations.document_file import read_documents
from modeling_docre.annotations.known_forms import KNOWN_FORMS, form_of
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
FORMS: dict[str, Any] = {
    "doccano": {
        "id": 7,
        "text": TEXT,
        "entities": [{"id": 1, "label": "PER", "start_offset": 0, "end_offset": 4}],
        "relations": [{"id": 3, "from_id": 1, "to_id": 2, "type": "born"}],
        "Comments": [],
    },
    "Label Studio": {"id": 1, "data": {"text": TEXT}, "annotations": [{"result": []}]},
    "Prodigy": {"text": TEXT, "_task_hash": 1, "tokens": [], "spans": [], "relations": [], "answer": "accept"},
    "SpERT": {"tokens": ["Anna"], "entities": [{"type": "PER", "start": 0, "end": 1}], "relations": []},
    "DyGIE": {"doc_key": "anna", "sentences": [["Anna"]], "ner": [[[0, 0, "PER"]]], "relations": [[]]},
    "GLiNER": {"tokenized_text": ["Anna"], "ner": [[0, 0, "person"]]},
    "BioC": {"source": "PubTator", "documents": [{"id": "1", "passages": []}]},
    "brat": {"text": TEXT, "denotations": [{"id": "T1", "span": {"begin": 0, "end": 4}, "obj": "PER"}]},
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


def test_files_of_other_tools_are_called_by_their_names(tmp_path: Path) -> None:
    assert set(FORMS) == {form.name for form in KNOWN_FORMS}
    for name, record in FORMS.items():
        assert form_of(record) == name
        with pytest.raises(DocumentError, match=rf"number 1 of documents\.json.*this is the form of {name}; convert"):
            read_documents(written(tmp_path, record))
    for record in (ANNA.to_dict(), MARKED, {"title": "a", "sents": [], "vertexSet": [], "labels": []}):
        assert form_of(record) is None


def test_wrapped_records_and_stand_off_are_called_so(tmp_path: Path) -> None:
    for indent in (None, 1):
        path = written(tmp_path)
        path.write_text(json.dumps({"data": [ANNA.to_dict()]}, indent=indent), encoding="utf-8")
        with pytest.raises(DocumentError, match="the records are wrapped; give the list under 'data' alone"):
            read_documents(path)
    path.write_text("T1\tPER 0 4\tAnna\nR1\tborn Arg1:T1 Arg2:T2\n", encoding="utf-8")
    with pytest.raises(DocumentError, match="this is the form of brat's stand-off"):
        read_documents(path)
