"""The comparison of teachers, and files of their scores."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from samples import ANNA, LONG, OTTO
from tiny import RELATION_TYPES

from benchmarks import label_report, label_scores, teachers
from modeling_docre.annotations.records import iter_records
from modeling_docre.documents import Completeness, Document
from modeling_docre.training import labelling
from modeling_docre.training.labelling import Judgement

INCOMPLETE = Completeness(relations=False)


class Known:
    """A teacher that says of each document what the test tells, by its name."""

    relation_types = RELATION_TYPES
    relation_labels: ClassVar = {"born": "place of birth"}
    says: ClassVar[dict[str, dict[str, np.ndarray]]] = {}

    def __init__(self, names: list[str]):
        [self.name] = names

    def judge(self, documents: list[Document]) -> list[Judgement]:
        return [Judgement(self.says[self.name][document.id], {}) for document in documents]


def test_two_teachers_that_err_on_different_pairs_are_better_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is sure of two wrong triples of each document; the mean puts every gold relation above all four.

    Two, since the scaled means of "a" and "b" differ by rounding alone: with one, the gold triples and the wrong one of
    either would reach precision 0.8.
    """
    documents = [replace(ANNA, id=str(number)) for number in range(6)]
    gold = labelling.gold_table(ANNA, RELATION_TYPES)
    wrong = np.argwhere(~gold & ~np.eye(len(ANNA.entities), dtype=bool)[:, :, None])
    for name, places in (("a", wrong[:2]), ("b", wrong[2:4])):
        scores = np.where(gold, 0.7, 0.1) * ~np.eye(len(ANNA.entities), dtype=bool)[:, :, None]
        scores[tuple(places.T)] = 0.9
        Known.says[name] = {document.id: scores for document in documents}
    monkeypatch.setattr(teachers, "Teacher", Known)
    found = dict(teachers.rows(["a", "b"], documents))
    count = int(gold.sum())
    assert count / (count + 2) < labelling.PRECISION
    for name in "ab":
        assert found[name].precision == pytest.approx(count / (count + 2)) and found[name].recall == 1
    assert found["a + b"].precision == found["a + b"].recall == found["a + b"].f1 == 1
    assert found["a + b"].found == 1 and found["a + b"].found_precision == 1
    lines = list(teachers.table(iter(found.items())))
    assert lines[1].startswith("| a | ") and "| a + b | 100.0 (100.0 / 100.0) |" in lines[3]


def test_the_best_threshold_is_the_score_with_the_best_f1() -> None:
    """Of the scores below, 2 of 3 are right from 0.7 on (F1 0.8), 1 of 1 from 0.9 on, 2 of 4 from 0.2 on."""
    scores, correct = np.array([0.9, 0.8, 0.7, 0.2]), np.array([True, False, True, False])
    assert teachers.best_threshold(scores, correct) == 0.7


def test_packed_scores_give_the_labelled_documents_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = [replace(document, complete=INCOMPLETE) for document in (ANNA, OTTO, LONG)]
    labelled = []
    for document in corpus:
        scores = np.round(np.random.default_rng(7).random((len(document.entities),) * 2 + (3,)), 4)
        scores[np.arange(len(scores)), np.arange(len(scores))] = 0
        weights = np.full(len(document.sentences), 1 / len(document.sentences))
        pairs = {(int(head), int(tail)): weights for head, tail in np.argwhere(scores.max(2) > 0)}
        labelled.append(labelling.label(document, Judgement(scores, pairs), Known(["a"]), 0.8))
    assert any(item.origin == "model" for document in labelled for item in document.relations)
    file, scores_file, out = tmp_path / "labelled.jsonl", tmp_path / "scores.npz", tmp_path / "again.jsonl"
    file.write_text("\n".join(json.dumps(document.to_dict()) for document in labelled), encoding="utf-8")
    label_scores.main(["pack", str(file), str(scores_file)])

    class Corpus:
        splits: ClassVar = {"train": corpus}

    monkeypatch.setattr(label_scores, "load_corpus", lambda arguments: Corpus)
    label_scores.main(["unpack", str(scores_file), "any", "--data_dir", "any", "--out", str(out)])
    again = [Document.from_dict(record) for record in iter_records(out)]
    assert again == labelled
    with pytest.raises(ValueError, match="the corpus lacks the document"):
        list(label_scores.unpack(label_scores.pack(labelled), [ANNA]))


def test_the_report_counts_found_and_added_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of the people's labels scores enough, and one relation is added."""
    scores = np.zeros((len(ANNA.entities),) * 2 + (3,))
    first = ANNA.relations[0]
    scores[first.head, first.tail, RELATION_TYPES.index(first.type)] = 0.9
    gold = labelling.gold_table(ANNA, RELATION_TYPES)
    place = next(tuple(row) for row in np.argwhere(~gold) if row[0] != row[1])
    scores[place] = 0.85
    weights = {(int(place[0]), int(place[1])): np.eye(len(ANNA.sentences))[1]}
    labelled = labelling.label(replace(ANNA, complete=INCOMPLETE), Judgement(scores, weights), Known(["a"]), 0.8)
    file = tmp_path / "labelled.jsonl"
    file.write_text(json.dumps(labelled.to_dict()), encoding="utf-8")
    label_report.main([str(file), "--read", "5"])
    lines = capsys.readouterr().out.splitlines()
    people = len(ANNA.relations)
    assert lines[0] == "1 documents, positive from 0.85"
    assert lines[4] == f"| all | {people} | {100 / people:.0f} % | 1 | {people:.2f} | {people + 1:.2f} |"
    assert lines[-2].startswith(f"{ANNA.id}: ") and lines[-2].endswith("(0.85)")
    assert lines[-1].strip() == " ".join(ANNA.sentences[1])
