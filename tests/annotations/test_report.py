"""The report on documents: labels by origin, and what is labelled in part, where documents state these."""

from __future__ import annotations

from dataclasses import replace

from samples import ANNA, OTTO

from modeling_docre.annotations.report import ReadReport
from modeling_docre.documents import Completeness, Relation, SoftRelation


def test_labels_are_counted_by_origin_and_completeness() -> None:
    relations = (
        *(replace(item, origin="human") for item in ANNA.relations),
        Relation(1, 0, "born", origin="model", sentence_weights=(0.5, 0.5, 0.0)),
    )
    scores = (SoftRelation(0, 1, "born", 0.9), SoftRelation(0, 2, "seat", 0.1))
    anna = replace(ANNA, relations=relations, complete=Completeness(relations=False), soft_relations=scores)
    report = ReadReport.of([anna, replace(OTTO, complete=Completeness(mentions=False)), replace(OTTO, id="plain")])
    counted = {name: number for name, number in report.rows() if number}
    assert (report.human_relations, report.model_relations, report.relations) == (4, 1, 7)
    assert (report.weighted_relations, report.soft_relations) == (1, 2)
    assert (report.incomplete_mentions, report.incomplete_relations) == (1, 1)
    assert counted["relations labelled by a model (origin model)"] == 1
    assert counted["documents whose mentions are labelled in part"] == 1


def test_what_no_document_states_is_not_in_the_table() -> None:
    report = str(ReadReport.of([ANNA, OTTO]))
    assert "origin" not in report and "in part" not in report and "teacher" not in report
