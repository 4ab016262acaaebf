"""What every system must pass: one agenda, one row per system."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import ANNA, ODD_DOCUMENTS, OTTO, build
from tiny import tiny_jerex, tiny_tokenizer

from modeling_docre import SYSTEMS, Document, DocumentError, Predictor
from modeling_docre.data_collator import DocRECollator
from modeling_docre.features import Featurizer
from modeling_docre.inference import to_device
from modeling_docre.sampling import TrainingExamples
from modeling_docre.trainer_docre import DocRETrainer, DocRETrainingArguments

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class System:
    """A row of the agenda: how a tiny model is built, and what its configuration adds."""

    name: str
    build: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)

    def model(self, **options: Any) -> Any:
        return self.build(**{**self.options, **options})


ROWS = [
    System("jerex multi-instance", tiny_jerex),
    System("jerex global", tiny_jerex, {"relation_head": "global"}),
    System("jerex relation-only", tiny_jerex, {"task": "relation"}),
]
each_system = pytest.mark.parametrize("system", ROWS, ids=lambda system: system.name)

MANY = build(
    "every pair of many related",
    ["a b c d e f"],
    [("PER" if number % 2 else "LOC", [(0, number, number + 1)]) for number in range(6)],
    [(head, tail, kind) for head, tail in permutations(range(6), 2) for kind in ("born", "works", "seat")],
)
LONG = build(
    "five thousand words",
    ["anna b was born in berlin . she works in ulm ."[:44] + " ulm"] * 417,
    [("PER", [(0, 0, 2), (416, 0, 2)]), ("LOC", [(0, 5, 6), (200, 5, 6), (416, 10, 11)])],
    [(0, 1, "born")],
)
PATHOLOGICAL = [*ODD_DOCUMENTS, MANY]


def trainer(model: Any, folder: Path, documents: Sequence[Document], **arguments: Any) -> DocRETrainer:
    """A trainer over the documents that saves and evaluates nothing by itself."""
    quiet = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "disable_tqdm": True}
    settings = DocRETrainingArguments(str(folder), use_cpu=True, **{**quiet, **arguments})
    features = Featurizer(tiny_tokenizer(), model.config)(documents)
    return DocRETrainer(
        model,
        settings,
        train_dataset=TrainingExamples(features, model.config, settings, settings.seed),
        eval_dataset=documents,
        processing_class=tiny_tokenizer(),
    )


def plain(documents: Sequence[Document]) -> str:
    return json.dumps([document.to_dict() for document in documents])


def assert_alike(found: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    """The same nested values, numbers up to a tolerance."""
    assert type(found) is type(wanted)
    if isinstance(found, dict):
        assert found.keys() == wanted.keys()
        for key in found:
            assert_alike(found[key], wanted[key], tolerance)
    elif isinstance(found, list):
        assert len(found) == len(wanted)
        for left, right in zip(found, wanted, strict=True):
            assert_alike(left, right, tolerance)
    elif isinstance(found, float):
        assert math.isclose(found, wanted, abs_tol=tolerance)
    else:
        assert found == wanted


def permissive(system: System, **options: Any) -> Any:
    """A model whose thresholds let its random scores through, so that all stages have something to do."""
    names = ("mention_threshold", "coreference_threshold", "relation_threshold")
    known = system.model().config
    return system.model(**{name: 0.5 for name in names if hasattr(known, name)}, **options)


# --- the whole life of a model ------------------------------------------------------------------------------------


@each_system
def test_trains_saves_reloads_and_predicts_the_same(system: System, tmp_path: Path) -> None:
    model = system.model(relation_threshold=0.05)
    before = {name: value.clone() for name, value in model.named_parameters()}
    running = trainer(model, tmp_path, [ANNA, OTTO], num_train_epochs=3, learning_rate=3e-3, warmup_steps=0)
    running.train()
    changed = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    # Word pieces and positions that no document holds stay, all else moves.
    assert set(changed) == set(before)
    running.save_model(str(tmp_path / "saved"))
    wanted = running.predict_documents([ANNA, OTTO])
    assert any(document.relations for document in wanted) or system.name != "jerex relation-only"

    reloaded = SYSTEMS[model.config.model_type.removeprefix("docre-")].from_pretrained(tmp_path / "saved")
    assert plain(Predictor(reloaded, tiny_tokenizer()).predict([ANNA, OTTO])) == plain(wanted)

    code = (
        "import json, sys\n"
        "import torch; torch.set_num_threads(1)\n"
        "from transformers import AutoModel, AutoTokenizer\n"
        "from modeling_docre import Document, Predictor\n"
        "folder, documents = sys.argv[1], [Document.from_dict(item) for item in json.loads(sys.argv[2])]\n"
        "predictor = Predictor(AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))\n"
        "print(json.dumps([document.to_dict() for document in predictor.predict(documents)]))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "saved"), plain([ANNA, OTTO])]
    fresh = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert fresh.returncode == 0, fresh.stderr
    assert_alike(json.loads(fresh.stdout.splitlines()[-1]), json.loads(plain(wanted)), 1e-6)


@each_system
def test_overfits_two_documents(system: System, tmp_path: Path) -> None:
    model = system.model()
    running = trainer(
        model, tmp_path, [ANNA, OTTO], num_train_epochs=60, learning_rate=3e-3, per_device_train_batch_size=2
    )
    untrained = running.evaluate()
    assert untrained["eval_relation_f1"] < 0.5
    running.train()
    scores = running.evaluate()
    assert scores["eval_relation_f1"] == 1.0
    for level in () if model.config.entities_given else ("mention", "cluster", "entity"):
        assert scores[f"eval_{level}_f1"] == 1.0
