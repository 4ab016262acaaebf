"""A teacher's labels: scores, thresholds, what a labelled document holds, and files that grow."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from pipelines import decisive_atlop, decisive_jerex
from samples import ANNA, LONG, ODD_DOCUMENTS, OTTO, TWO_WINDOWS
from tiny import RELATION_TYPES, tiny_atlop, tiny_joint, tiny_kmgre, tiny_memory_jerex, tiny_spert, tiny_tokenizer

from modeling_docre.annotations.document_file import read_documents
from modeling_docre.annotations.growing_file import GrowingFile
from modeling_docre.documents import Completeness, Document
from modeling_docre.hub.metric import metric_folder
from modeling_docre.predictor import Predictor
from modeling_docre.training import labelling
from modeling_docre.training.labelling import Judgement, Teacher, fit_thresholds, label, label_corpus

DOCUMENTS = [ANNA, OTTO, TWO_WINDOWS, LONG]
INCOMPLETE = Completeness(relations=False)


@pytest.fixture
def teach(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function from models to their teacher, as if they were loaded by name."""

    def teacher(*models: Any) -> Teacher:
        class Loaded:
            def __init__(self, number: str):
                self.predictor = Predictor(models[int(number)], tiny_tokenizer())

        monkeypatch.setattr(labelling, "pipeline", lambda task, model: Loaded(model))
        return Teacher([str(number) for number in range(len(models))])

    return teacher


def judgement(document: Document, scores: dict[tuple[int, int, str], float], **weights: Any) -> Judgement:
    count = len(document.entities)
    table = np.zeros((count, count, len(RELATION_TYPES)))
    for (head, tail, kind), score in scores.items():
        table[head, tail, RELATION_TYPES.index(kind)] = score
    return Judgement(table, weights.get("weights", {}))


def test_any_system_can_teach(teach: Any) -> None:
    """The scores are those of the predictions, and sentence weights sum to 1."""
    systems = (decisive_jerex(), tiny_memory_jerex(), decisive_atlop(), tiny_kmgre(), tiny_spert(), tiny_joint())
    for model in systems:
        judged = teach(model).judge(DOCUMENTS)
        predicted = Predictor(model, tiny_tokenizer(), "entities").predict(DOCUMENTS, relation_threshold=0.05)
        found = 0
        for document, said, prediction in zip(DOCUMENTS, judged, predicted, strict=True):
            assert said.scores.shape == (len(document.entities), len(document.entities), 3)
            assert not np.diagonal(said.scores).any()
            for item in prediction.relations:
                score = said.scores[item.head, item.tail, RELATION_TYPES.index(item.type)]
                assert score == pytest.approx(item.score, abs=1e-4), type(model)
            for weights in said.sentence_weights.values():
                assert weights.shape == (len(document.sentences),) and weights.sum() == pytest.approx(1)
            found += len(prediction.relations)
        assert found, type(model)
        assert any(said.sentence_weights for said in judged), type(model)


def test_each_sentence_has_its_weight(teach: Any) -> None:
    """Not only those that readers see as evidence."""
    for model in (tiny_atlop(relation_threshold=0.0), tiny_joint(relation_threshold=0.0)):
        shown = Predictor(model, tiny_tokenizer(), "entities").predict([ANNA], relation_threshold=0.05)[0].relations
        [said] = teach(model).judge([ANNA])
        assert min(len(relation.evidence or ()) for relation in shown) < 3
        assert all((weights > 0).all() for weights in said.sentence_weights.values()) and said.sentence_weights
        for relation in shown:
            weights = said.sentence_weights[relation.head, relation.tail]
            assert weights[list(relation.evidence or ())] == pytest.approx(relation.evidence_scores, abs=1e-5)


def test_several_models_teach_by_the_mean_of_calibrated_scores(teach: Any) -> None:
    first, second = tiny_atlop(), decisive_jerex(relation_types=RELATION_TYPES[::-1])
    before = teach(first).judge(DOCUMENTS)
    first.config.relation_temperature, first.config.relation_shift = 2.0, -0.5
    calibrated, other = teach(first).judge(DOCUMENTS), teach(second).judge(DOCUMENTS)
    both = teach(first, second).judge(DOCUMENTS)
    for a, b, mean in zip(calibrated, other, both, strict=True):
        assert mean.scores == pytest.approx((a.scores + b.scores[:, :, ::-1]) / 2, abs=1e-4)
        pair = next(iter(a.sentence_weights.keys() & b.sentence_weights.keys()))
        expected = (a.sentence_weights[pair] + b.sentence_weights[pair]) / 2
        assert mean.sentence_weights[pair] == pytest.approx(expected)
    logits = np.log(before[0].scores[0, 1] / (1 - before[0].scores[0, 1]))
    assert calibrated[0].scores[0, 1] == pytest.approx(1 / (1 + np.exp(-(logits / 2 - 0.5))), abs=2e-3)
    with pytest.raises(ValueError, match="0 and 1 differ in the relation type 'seat'"):
        teach(first, tiny_atlop(relation_types=RELATION_TYPES[:2])).judge(DOCUMENTS)


def test_odd_documents_are_labelled(teach: Any) -> None:
    teacher = teach(decisive_atlop(), decisive_jerex())
    for document, said in zip(ODD_DOCUMENTS, teacher.judge(ODD_DOCUMENTS), strict=True):
        labelled = label(replace(document, complete=INCOMPLETE), said, teacher, 0.5)
        assert Document.from_dict(json.loads(json.dumps(labelled.to_dict()))) == labelled


def test_thresholds_are_those_of_precision_and_of_gold() -> None:
    """Four right ones above a wrong one: up to there 4 of 5 are right; of twenty gold relations one lies lower."""
    many = [replace(ANNA, id=str(number)) for number in range(5)]
    scores = {(0, 1, "born"): 0.9, (0, 2, "works"): 0.8, (0, 2, "born"): 0.7, (3, 2, "seat"): 0.6}
    judged = [judgement(document, {**scores, (1, 0, "born"): 0.5, (1, 2, "seat"): 0.4}) for document in many]
    assert fit_thresholds(judged, many, RELATION_TYPES) == (0.5, 0.6)
    judged[0].scores[3, 2, RELATION_TYPES.index("seat")] = 0.01
    assert fit_thresholds(judged, many, RELATION_TYPES).masked == 0.6
    judged[0].scores[0, 2, RELATION_TYPES.index("born")] = 0.03
    assert fit_thresholds(judged, many, RELATION_TYPES).masked == 0.03
    wrong = [judgement(document, {(1, 0, "born"): 0.9, (0, 1, "born"): 0.2}) for document in many]
    with pytest.raises(ValueError, match=r"precision of 0\.8; name the thresholds"):
        fit_thresholds(wrong, many, RELATION_TYPES)
    with pytest.raises(ValueError, match="state no relation"):
        fit_thresholds(wrong, [replace(item, relations=()) for item in many], RELATION_TYPES)


def test_people_come_first_and_everything_else_is_marked(teach: Any) -> None:
    teacher = teach(tiny_atlop(relation_labels={"seat": "seat of"}))
    scores = {(0, 1, "born"): 0.9, (0, 2, "seat"): 0.8, (0, 2, "born"): 0.04, (1, 0, "works"): 0.3, (3, 2, "seat"): 0.1}
    said = judgement(ANNA, scores, weights={(0, 2): np.array([1, 1, 1]) / 3, (3, 2): np.array([0, 0, 1.0])})
    labelled = label(replace(ANNA, complete=INCOMPLETE), said, teacher, 0.8)
    assert [(r.head, r.tail, r.type, r.origin, r.score) for r in labelled.relations] == [
        *((item.head, item.tail, item.type, "human", None) for item in ANNA.relations),
        (0, 2, "seat", "model", 0.8),
    ]
    assert labelled.relations[-1].label == "seat of" and labelled.complete == INCOMPLETE
    third = float(np.float16(1 / 3))
    for relation in labelled.relations:
        related = (relation.head, relation.tail) == (0, 2)
        assert (relation.sentence_weights is not None) == related
        if relation.sentence_weights:
            assert [float(np.float16(weight)) for weight in relation.sentence_weights] == [third] * 3
            assert len(str(relation.sentence_weights[0])) <= 6, "no digit more than float16 has"
    assert {(r.head, r.tail, r.type): r.score for r in labelled.soft_relations or ()} == {
        key: score for key, score in scores.items() if score >= 0.05
    }
    again = label(labelled, judgement(ANNA, {}), teacher, 0.8)
    assert [r.origin for r in again.relations] == ["human"] * 4 and again.soft_relations == ()


def test_complete_documents_get_scores_and_no_relation(teach: Any) -> None:
    teacher = teach(tiny_atlop())
    said = judgement(ANNA, {(0, 2, "seat"): 0.8, (0, 1, "born"): 0.9}, weights={(0, 1): np.array([1.0, 0, 0])})
    for complete in (None, Completeness(), Completeness(mentions=False)):
        labelled = label(replace(ANNA, complete=complete), said, teacher, 0.5)
        assert [(r.head, r.tail, r.type) for r in labelled.relations] == [
            (r.head, r.tail, r.type) for r in ANNA.relations
        ]
        assert labelled.complete == complete and len(labelled.soft_relations or ()) == 2
        assert labelled.relations[0].sentence_weights == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_an_interrupted_run_goes_on(ending: str, teach: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "DOCUMENTS_AT_ONCE", 2)
    teacher, settings = teach(tiny_atlop()), {"models": ["a"]}
    documents = [replace(item, id=str(number), complete=INCOMPLETE) for number, item in enumerate(DOCUMENTS * 2)]
    whole, broken = GrowingFile(tmp_path / f"whole.{ending}"), tmp_path / f"broken.{ending}"
    label_corpus(teacher, documents, whole, whole.begin(settings), 0.5)

    judge, asked = teacher.judge, []

    def failing(batch: Any) -> Any:
        asked.extend(item.id for item in batch)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return judge(batch)

    monkeypatch.setattr(teacher, "judge", failing)
    with pytest.raises(KeyboardInterrupt):
        label_corpus(teacher, documents, GrowingFile(broken), GrowingFile(broken).begin(settings), 0.5)
    assert not broken.exists()
    file = GrowingFile(broken)
    with file.partial.open("ab") as handle:
        handle.write(b'{"id": "4", "sent')  # what a process leaves that is killed while it writes
    finished = file.begin(settings)
    assert finished == {"0", "1", "2", "3"}
    asked.clear()
    label_corpus(teacher, documents, file, finished, 0.5)
    assert asked == ["4", "5", "6", "7"]
    assert broken.read_bytes() == whole.path.read_bytes() and not file.partial.exists()
    assert [document.id for document in read_documents(broken)] == [document.id for document in documents]
    asked.clear()
    again = GrowingFile(broken)
    label_corpus(teacher, documents, again, again.begin(settings), 0.5)
    assert not asked


def test_a_file_is_not_made_of_two_halves(tmp_path: Path) -> None:
    GrowingFile(tmp_path / "a.jsonl").begin({"models": ["a"], "positive": 0.5})
    message = r"begun with positive 0\.5, and would go on with positive 0\.6; name another file"
    with pytest.raises(ValueError, match=message):
        GrowingFile(tmp_path / "a.jsonl").begin({"models": ["a"], "positive": 0.6})
    (tmp_path / "b.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="says how it was made"):
        GrowingFile(tmp_path / "b.jsonl")
    with pytest.raises(ValueError, match=r"end its name in \.jsonl or \.jsonl\.gz"):
        GrowingFile(tmp_path / "c.json")


def test_the_metric_sees_no_difference(teach: Any) -> None:
    """Who labelled, what is complete and what a teacher says is nothing that a score looks at."""
    teacher = teach(decisive_atlop())
    labelled = [label(item, said, teacher, 0.5) for item, said in zip(DOCUMENTS, teacher.judge(DOCUMENTS), strict=True)]
    metric = evaluate.load(str(metric_folder()))
    predictions = [replace(item, relations=item.relations[1:]) for item in labelled]
    plain = [replace(item, relations=item.relations[1:]) for item in DOCUMENTS]
    scores = metric.compute(predictions=plain, references=DOCUMENTS)
    for references in (labelled, DOCUMENTS):
        assert metric.compute(predictions=predictions, references=references) == scores
