"""What Label Studio's forms have beside mentions and relations: kept, changed or left out, and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from annotation_reading import TEXT, facts, names, read, written

from modeling_docre.annotations import clusters, label_studio
from modeling_docre.annotations.document_file import read_annotations
from modeling_docre.documents import DocumentError


def task(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 4, "data": {"text": TEXT}, "annotations": [{"result": list(results)}], **more}


def region(key: str, start: int, end: int, *labels: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": TEXT[start:end], "labels": list(labels)}
    return {"id": key, "type": "labels", "value": value, "from_name": "label", "to_name": "text"}


def link(head: str, tail: str, direction: str, *labels: str) -> dict[str, Any]:
    return {"type": "relation", "from_id": head, "to_id": tail, "direction": direction, "labels": list(labels)}


def test_label_studio(tmp_path: Path) -> None:
    regions = [region("a", 0, 4, "PER", "HUMAN"), region("b", 17, 20, "LOC"), region("c", 22, 25)]
    links = [
        link("b", "a", "left", "born"),
        link("a", "b", "bi", "near"),
        link("a", "b", "right"),
        link("a", "c", "right", "x"),
    ]
    other = {"type": "choices", "value": {"choices": ["news"]}}
    more = {
        "annotations": [
            {"result": [], "was_cancelled": True},
            {"result": []},
            {"result": [*regions, *links, other], "ground_truth": True},
        ],
        "predictions": [{"result": []}],
    }
    documents, counts = read_annotations(
        written(tmp_path, task(**more), {"id": 5, "data": {"text": "x"}, "annotations": []})
    )
    [document] = documents
    assert document.id == "4" and names(document) == [["Anna"], ["Ulm"]]
    assert facts(document) == [("Anna", "born", "Ulm"), ("Anna", "near", "Ulm"), ("Ulm", "near", "Anna")]
    for what in ("NOT_ANNOTATED", "FURTHER", "PREDICTIONS", "OTHER_RESULTS", "SEVERAL_LABELS", "UNLABELLED"):
        assert counts[getattr(label_studio, what)] == 1, what
    assert counts[clusters.UNTYPED] == counts[clusters.OF_DROPPED] == 1


def test_label_studios_region_may_have_labels_of_two_controls(tmp_path: Path) -> None:
    document, counts = read(written(tmp_path, task(region("a", 0, 4, "PER"), region("a", 0, 4, "ROLE"))))
    assert [entity.type for entity in document.entities] == ["PER"] and counts[label_studio.SEVERAL_LABELS] == 1


def test_label_studios_text_is_the_one_that_was_annotated(tmp_path: Path) -> None:
    data = {"title": "Anna", "body": TEXT}
    document, _ = read(written(tmp_path, task(region("b", 17, 20, "LOC"), data=data)))
    assert document.text == TEXT
    with pytest.raises(
        DocumentError, match=r"'4': data is \['body', 'title'\]; the text that was annotated cannot be told"
    ):
        read(written(tmp_path, task(region("a", 0, 4, "PER"), data=data)))
    html = region("a", 0, 4, "PER")
    html["value"]["start"] = "/p[1]/text()[1]"
    with pytest.raises(DocumentError, match=r"result\[0\]\.value\.start.*annotate it as plain <Text>"):
        read(written(tmp_path, task(html)))


def test_label_studios_line_breaks_may_be_written_out(tmp_path: Path) -> None:
    """The browser writes a backslash and an n, which a text may also have itself."""
    for text, start, end, quote in (("in New\nYork", 3, 11, r"New\nYork"), (r"C:\new is full", 0, 6, r"C:\new")):
        one = region("a", 0, 4, "LOC")
        one["value"] |= {"start": start, "end": end, "text": quote}
        assert names(read(written(tmp_path, task(one, data={"text": text})))[0]) == [[text[start:end]]]


def test_label_studios_offsets_count_each_character_of_a_line_break(tmp_path: Path) -> None:
    """`\\r\\n` counts as two, as the documentation says; quotes have breaks written out, doubled, or lost."""
    text = "Tom lives\r\nin New\r\nYork.\n\nAnna lives\nin New\nUlm."
    for quotes in ((r"New\n\nYork", r"New\nUlm"), ("New\n\nYork", "New\nUlm"), ("NewYork", "NewUlm"), (None, None)):
        regions = []
        for number, (place, quote) in enumerate(zip(("New\r\nYork", "New\nUlm"), quotes, strict=True)):
            start = text.index(place)
            value = {"start": start, "end": start + len(place), "labels": ["LOC"]} | ({"text": quote} if quote else {})
            regions.append({"id": f"r{number}", "type": "labels", "value": value})
        document, _ = read(written(tmp_path, task(*regions, data={"text": text})))
        assert names(document) == [["New\r\nYork"], ["New\nUlm"]] and document.text == text
        rows = [region["value"] for region in regions]
        short = {"id": 1, "text": text, "label": rows, "annotator": 1, "annotation_id": 3}
        assert names(read(written(tmp_path, short))[0]) == names(document)
    regions[0]["value"] |= {"text": "New\nYork", "start": 13, "end": 21}
    with pytest.raises(DocumentError, match=r"the text has .* there, but the file says"):
        read(written(tmp_path, task(regions[0], data={"text": text})))


def test_label_studios_short_form_has_no_relations(tmp_path: Path) -> None:
    rows = [{"start": 17, "end": 20, "text": "Ulm", "labels": ["LOC"]}]
    record = {"text": TEXT, "id": 1, "ner": rows, "annotator": 1, "annotation_id": 3, "created_at": "2026-01-01"}
    document, counts = read(written(tmp_path, record))
    assert names(document) == [["Ulm"]] and counts[label_studio.NO_RELATIONS] == 1
