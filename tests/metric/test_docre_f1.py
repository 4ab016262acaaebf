"""The metric as `evaluate` loads it: ways to add documents, errors, the README's examples, speed on real documents."""

from __future__ import annotations

import copy
import doctest
import json
import math
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from datasets import Dataset

from modeling_docre.documents import Document

METRIC = Path(__file__).resolve().parents[2] / "metrics" / "docre_f1"

GOLD = {
    "id": "a",
    "sentences": [["Ada", "lives", "in", "London"], ["She", "likes", "it"]],
    "entities": [
        {
            "type": "PER",
            "mentions": [{"sentence": 0, "start": 0, "end": 1, "name": "Ada"}, {"sentence": 1, "start": 0, "end": 1}],
        },
        {"type": "LOC", "mentions": [{"sentence": 0, "start": 3, "end": 4}, {"sentence": 1, "start": 2, "end": 3}]},
    ],
    "relations": [
        {"head": 0, "tail": 1, "type": "residence", "evidence": [0]},
        {"head": 0, "tail": 1, "type": "likes", "evidence": [1]},
    ],
}
OTHER = copy.deepcopy(GOLD) | {"id": "b"}
HALF = GOLD | {"relations": GOLD["relations"][:1]}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("metrics")


@pytest.fixture(scope="module")
def loaded(cache: Path) -> evaluate.EvaluationModule:
    return evaluate.load(str(METRIC), cache_dir=str(cache))


@pytest.fixture
def metric(loaded: evaluate.EvaluationModule, cache: Path) -> evaluate.EvaluationModule:
    """The metric, which must leave no data behind."""
    yield loaded
    assert not list(cache.rglob("*.arrow"))


def test_documents_in_every_form_score_the_same(metric: evaluate.EvaluationModule):
    @dataclass
    class Wrapped:
        content: dict[str, Any]

        def to_dict(self) -> dict[str, Any]:
            return self.content

    expected = metric.compute(predictions=[HALF], references=[GOLD])
    assert (expected["relation_precision"], expected["relation_recall"]) == (1, 0.5)
    extra = HALF | {"text": None, "candidates": None, "comment": {"free": 1}}
    forms = [
        lambda: [Document.from_dict(HALF)],
        lambda: [json.dumps(HALF)],
        lambda: [Wrapped(HALF)],
        lambda: [extra],
        lambda: Dataset.from_list([HALF]),
        lambda: (item for item in [HALF]),
    ]
    for make in forms:
        for references in ([GOLD], [Document.from_dict(GOLD)], Dataset.from_list([GOLD])):
            assert metric.compute(predictions=make(), references=references) == expected


def test_numpy_numbers_are_numbers(metric: evaluate.EvaluationModule):
    predicted = copy.deepcopy(GOLD)
    predicted["relations"][0] |= {"head": np.int64(0), "tail": np.int32(1), "score": np.float32(0.5)}
    predicted["relations"][1]["evidence"] = np.array([1])
    assert metric.compute(predictions=[predicted], references=[GOLD])["evidence_f1"] == 1


def test_every_way_of_adding_gives_the_same_scores(metric: evaluate.EvaluationModule):
    expected = metric.compute(predictions=[HALF, OTHER], references=[OTHER, GOLD])
    assert expected["relation_recall"] == 0.75
    metric.add_batch(predictions=[HALF, OTHER], references=[GOLD, OTHER])
    assert metric.compute() == expected
    for prediction, reference in ((HALF, GOLD), (OTHER, OTHER)):
        metric.add(prediction=prediction, reference=reference)
    assert metric.compute() == expected
    metric.add_batch(references=[GOLD, OTHER])
    metric.add(prediction=OTHER)
    assert metric.compute(predictions=[HALF]) == expected
    metric.add_batch(predictions=[HALF], references=[GOLD])
    assert metric.compute(predictions=[OTHER], references=[OTHER]) == expected


def test_sides_of_different_length(metric: evaluate.EvaluationModule):
    result = metric.compute(predictions=[], references=[GOLD, OTHER])
    assert (result["relation_f1"], result["missing_documents"], result["documents"]) == (0, 2, 2)
    with pytest.warns(UserWarning, match="'b'"):
        result = metric.compute(predictions=[GOLD, OTHER], references=[GOLD])
    assert result["relation_precision"] == 0.5
    assert metric.compute(predictions=[], references=[])["documents"] == 0
    metric.add_batch(predictions=[], references=[])
    assert metric.compute(predictions=[GOLD], references=[GOLD])["relation_f1"] == 1


def test_memory_only(cache: Path):
    metric = evaluate.load(str(METRIC), keep_in_memory=True, cache_dir=str(cache))
    assert metric.compute(predictions=[GOLD], references=[GOLD])["relation_f1"] == 1
    with pytest.raises(ValueError, match="duplicate id"):
        metric.compute(predictions=[GOLD, GOLD], references=[GOLD])
    assert metric.compute(predictions=[HALF], references=[GOLD])["relation_recall"] == 0.5


def test_options_reach_the_scores(metric: evaluate.EvaluationModule):
    given = {"id": "a", "relations": GOLD["relations"]}
    result = metric.compute(
        predictions=[given],
        references=[GOLD],
        entities_given=True,
        train_facts=[GOLD],
        subsets=True,
        per_type=True,
        per_document=True,
        by_entity_count=True,
    )
    assert result["relation_f1"] == 1
    assert result["ign_f1"] == 0
    assert result["m2_support"] == 2
    assert result["per_type"]["relation"]["likes"]["f1"] == 1
    assert result["per_document"]["a"]["relation"]["in_train"] == 2
    assert result["by_entity_count"]["1-5"]["support"] == 2
    facts = metric.read_train_facts([GOLD])
    assert facts >= {("Ada", "London", "residence"), ("She", "it", "likes")}
    assert metric.compute(predictions=[GOLD], references=[GOLD], train_facts=facts)["ign_f1"] == 0


FAILURES = [
    ({"predictions": [GOLD, GOLD], "references": [GOLD]}, ValueError, "'a': .* duplicate id among the predictions"),
    ({"predictions": [GOLD], "references": []}, ValueError, "references are empty"),
    ({"predictions": GOLD, "references": [GOLD]}, ValueError, "predictions is one dict; give a list"),
    ({"predictions": [{"id": "a", "relations": 3}], "references": [GOLD]}, ValueError, "'a': relations is 3"),
    ({"predictions": ["{"], "references": [GOLD]}, ValueError, "document is '{'; give a Document dict or its JSON"),
    ({"predictions": [4], "references": [GOLD]}, ValueError, "document is 4; give a Document dict"),
    ({"predictions": [GOLD], "references": [GOLD], "typo": 1}, TypeError, "typo"),
]


def test_errors_leave_the_metric_usable(metric: evaluate.EvaluationModule):
    for arguments, error, message in FAILURES:
        if arguments["references"]:
            metric.add(prediction=OTHER, reference=OTHER)
        with pytest.raises(error, match=message):
            metric.compute(**arguments)
        result = metric.compute(predictions=[HALF], references=[GOLD])
        assert (result["documents"], result["relation_recall"]) == (1, 0.5)


def test_document_that_fails_is_not_added(metric: evaluate.EvaluationModule):
    metric.add(prediction=GOLD, reference=GOLD)
    with pytest.raises(ValueError, match=r"document 'b': entities\[0\].type is None"):
        metric.add(prediction=OTHER | {"entities": [{"mentions": []}]}, reference=OTHER)
    assert metric.compute()["documents"] == 1


def test_two_metrics_side_by_side(metric: evaluate.EvaluationModule, cache: Path):
    second = evaluate.load(str(METRIC), cache_dir=str(cache))
    metric.add(prediction=HALF, reference=GOLD)
    second.add(prediction=GOLD, reference=GOLD)
    with pytest.raises(ValueError, match="duplicate id"):
        second.compute(predictions=[GOLD], references=[])
    assert metric.compute()["relation_recall"] == 0.5


def test_scores_not_finite_pass_through_arrow(metric: evaluate.EvaluationModule):
    predicted = copy.deepcopy(GOLD)
    predicted["relations"][0]["score"] = math.nan
    with pytest.warns(UserWarning, match="NaN"):
        assert metric.compute(predictions=[predicted], references=[GOLD])["relation_recall"] == 0.5


def test_readme_examples(metric: evaluate.EvaluationModule):
    blocks = re.findall(r"```python\n(>>>.*?)```", (METRIC / "README.md").read_text(), flags=re.DOTALL)
    assert len(blocks) == 10
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {"metric": metric}, "README.md", None, None)
    failures: list[str] = []
    results = doctest.DocTestRunner(verbose=False).run(test, out=failures.append)
    assert results.attempted > 10
    assert not results.failed, "".join(failures)


def test_readme_names_every_key(metric: evaluate.EvaluationModule):
    readme = (METRIC / "README.md").read_text()
    result = metric.compute(predictions=[GOLD], references=[GOLD], train_facts=[], subsets=True)
    table = readme[readme.index("## Outputs") : readme.index("## Rules")]
    names = {re.sub(r"_(precision|recall|f1|support|ign_f1)$", "", key.replace("_ign_f1", "_f1")) for key in result}
    for name in names - {"coref"}:
        assert re.search(rf"`{name}(_[…{{]|`)", table), name


def convert(item: dict[str, Any]) -> dict[str, Any]:
    entities = [
        {
            "type": mentions[0]["type"],
            "mentions": [
                {"sentence": m["sent_id"], "start": m["pos"][0], "end": m["pos"][1], "name": m["name"]}
                for m in mentions
            ],
        }
        for mentions in item["vertexSet"]
    ]
    relations = [{"head": r["h"], "tail": r["t"], "type": r["r"], "evidence": r["evidence"]} for r in item["labels"]]
    return {"id": item["title"], "sentences": item["sents"], "entities": entities, "relations": relations}


def disturbed(item: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    entities = [
        entity | {"mentions": [m for m in entity["mentions"] if rng.random() < 0.9] or entity["mentions"]}
        for entity in item["entities"]
    ]
    relations = [relation for relation in item["relations"] if rng.random() < 0.8]
    return item | {"entities": entities, "relations": relations}


def test_hundreds_of_real_documents_take_seconds(metric: evaluate.EvaluationModule, shared_data: Any):
    files = [shared_data(f"re_docred/{name}.json") for name in ("train", "validation")]
    gold = [convert(item) for path in files for item in json.loads(path.read_text())]
    rng = random.Random(0)
    predicted = [disturbed(item, rng) for item in gold]
    started = time.process_time()
    result = metric.compute(predictions=predicted, references=gold, train_facts=[("a", "b", "P17")], subsets=True)
    assert time.process_time() - started < 10
    assert result["documents"] == 500
    assert 0.4 < result["relation_f1"] < result["cluster_f1"] < result["mention_f1"] < 1
    assert result["relation_precision"] > result["relation_recall"]
