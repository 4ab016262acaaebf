"""What every system must pass: one agenda, one row per system."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import ANNA, ODD_DOCUMENTS, OTTO, build
from tiny import tiny_atlop, tiny_jerex, tiny_joint, tiny_kmgre, tiny_memory_jerex, tiny_spert, tiny_tokenizer
from training import trainer

from modeling_docre import Document, DocumentError, Predictor, stage_key_pairs
from modeling_docre.features import Featurizer
from modeling_docre.predictor import to_device
from modeling_docre.stage_pairs import PairClassifier
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.sampling import TrainingExamples
from modeling_docre.training.training_inputs import TrainingCollator

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class System:
    """A row of the agenda: how a tiny model is built, what its configuration adds, epochs to know two documents."""

    name: str
    build: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)
    epochs: int = 140

    def model(self, **options: Any) -> Any:
        return self.build(**{**self.options, **options})


# With this seed it finds several entities.
NO_CONTEXT = {"attended_context": False, "loss": "bce", "seed": 2}
ROWS = [
    System("jerex multi-instance", tiny_jerex),
    System("jerex global", tiny_jerex, {"relation_head": "global"}),
    System("jerex relation-only", tiny_jerex, {"task": "relation"}),
    System("memory jerex", tiny_memory_jerex, epochs=300),
    System("memory jerex global", tiny_memory_jerex, {"relation_head": "global", "read_grad": False}, epochs=300),
    System("memory jerex cosine", tiny_memory_jerex, {"similarity": "cosine", "mention_read": "kept_only"}, epochs=300),
    System("atlop", tiny_atlop),
    System("atlop enhanced baseline", tiny_atlop, {"loss": "bce", "threshold": "global", "localized_context": False}),
    System("atlop with markers per mention", tiny_atlop, {"entity_markers": "star_per_mention"}),
    System("atlop without markers", tiny_atlop, {"entity_markers": "none", "loss": "bce", "threshold": "per_class"}),
    System("kmgre", tiny_kmgre),
    System("kmgre without key classifier", tiny_kmgre, {"key_classifier": False, "head_norm": "sum_then_norm"}),
    System("kmgre without fusion", tiny_kmgre, {"fusion": "label_assignment", "head_norm": "norm_then_sum"}),
    System("kmgre with a shared encoder", tiny_kmgre, {"shared_encoder": True, "entity_markers": "none"}),
    System("spert", tiny_spert),
    System("joint", tiny_joint),
    System("joint without context, with plain losses", tiny_joint, NO_CONTEXT),
    System("spert with full context", tiny_spert, {"context": "full", "span_pooling": "mean", "pool_mask": "zero"}),
]


def each(systems: Iterable[System]) -> Any:
    """Run a test for each of some systems."""
    return pytest.mark.parametrize("system", list(systems), ids=lambda system: system.name)


TRAITS = {system.name: system.model().config.traits for system in ROWS}
FIRST_OF_A_CLASS = {system.build: system.name for system in reversed(ROWS)}
each_system = each(ROWS)
each_variant = pytest.mark.parametrize(
    "system",
    [
        pytest.param(
            system, id=system.name, marks=[] if FIRST_OF_A_CLASS[system.build] == system.name else [pytest.mark.slow]
        )
        for system in ROWS
    ],
)
each_given = each(system for system in ROWS if TRAITS[system.name].entities_given)
each_that_finds_entities = each(system for system in ROWS if not TRAITS[system.name].entities_given)
each_given_with_attention = each(
    system for system in ROWS if TRAITS[system.name].entities_given and TRAITS[system.name].mention_attention
)

MANY = build(
    "every pair of many related",
    ["a b c d e f"],
    [("PER" if number % 2 else "LOC", [(0, number, number + 1)]) for number in range(6)],
    [(head, tail, kind) for head, tail in permutations(range(6), 2) for kind in ("born", "works", "seat")],
)
LONG = build(
    "five thousand words",
    ["anna b was born in berlin . she works in ulm ."] * 417,
    [("PER", [(0, 0, 2), (416, 0, 2)]), ("LOC", [(0, 5, 6), (200, 5, 6), (416, 10, 11)])],
    [(0, 1, "born")],
)
PATHOLOGICAL = [*ODD_DOCUMENTS, MANY]


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
    """A model whose thresholds let some of its random scores through, so that all stages have something to do."""
    model = system.model(relation_threshold=0.45, **options)
    if model.config.traits.entities_given:
        return model
    if model.config.traits.reads_sentences:
        return keeping(model, 6)
    model.config.coreference_threshold = 0.5
    predictor = Predictor(model, tiny_tokenizer())
    scores = torch.sigmoid(predictor.run(predictor.featurizer([ANNA]))[0].mention_logits).sort(descending=True).values
    model.config.mention_threshold = scores[11:13].mean().item()
    return model


def keeping(model: Any, count: int) -> Any:
    """A model that calls so many spans of ANNA entities, by what it takes for a span to be none."""
    predictor = Predictor(model, tiny_tokenizer())
    logits = predictor.run(predictor.featurizer([ANNA]))[0].span_logits
    over = (logits[:, 1:].max(1).values - logits[:, 0]).sort(descending=True).values.tolist()
    limits = [over[0] + 1, *((a + b) / 2 for a, b in pairwise(over))]
    with torch.no_grad():
        model.span_classifier.bias[0] += limits[count]
    return model


# --- the whole life of a model ------------------------------------------------------------------------------------

RELOAD = """
import json, sys
import torch
from transformers import AutoModel, AutoTokenizer
from modeling_docre import Document, Predictor

torch.set_num_threads(1)
documents = [Document.from_dict(item) for item in json.loads(sys.argv[1])]
for folder in sys.argv[2:]:
    predictor = Predictor(AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))
    print(json.dumps([document.to_dict() for document in predictor.predict(documents)]))
"""


def test_trains_saves_reloads_and_predicts_the_same(tmp_path: Path) -> None:
    wanted = {}
    for system in ROWS:
        model, folder = permissive(system), tmp_path / system.name / "best"
        before = {name: value.clone() for name, value in model.named_parameters()}
        running = trainer(model, tmp_path, [ANNA, OTTO], num_train_epochs=3, learning_rate=1e-5, warmup_steps=0)
        running.train()
        assert not [name for name, value in model.named_parameters() if torch.equal(value, before[name])]
        running.save_model(str(folder))
        wanted[str(folder)] = running.predict_documents([ANNA, OTTO])
        assert any(document.relations for document in wanted[str(folder)])
        reloaded = type(model).from_pretrained(folder)
        found = Predictor(reloaded, tiny_tokenizer()).predict([ANNA, OTTO])
        # The last digit hangs on where in memory a weight lies.
        assert_alike(json.loads(plain(found)), json.loads(plain(wanted[str(folder)])), 1e-6)

    command = [sys.executable, "-c", RELOAD, plain([ANNA, OTTO]), *wanted]
    fresh = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert fresh.returncode == 0, fresh.stderr
    for line, documents in zip(fresh.stdout.splitlines(), wanted.values(), strict=True):
        assert_alike(json.loads(line), json.loads(plain(documents)), 1e-6)


@each_variant
def test_overfits_two_documents(system: System, tmp_path: Path) -> None:
    model = system.model()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for parameter in model.parameters():
        if parameter.dim() == 2:
            # At a width of 32 the usual standard deviation lets hardly any signal through.
            parameter.data *= 10
    options = {"num_train_epochs": system.epochs, "learning_rate": 5e-3, "per_device_train_batch_size": 2}
    running = trainer(model, tmp_path, [ANNA, OTTO], logging_strategy="no", **options)
    assert running.evaluate()["eval_relation_f1"] < 0.5
    running.train()
    scores = running.evaluate()
    assert scores["eval_relation_f1"] == 1.0
    for level in () if model.config.traits.entities_given else ("mention", "cluster", "entity"):
        assert scores[f"eval_{level}_f1"] == 1.0


# --- documents that break naive code ------------------------------------------------------------------------------


@each_system
def test_odd_documents_train_predict_and_score(system: System, tmp_path: Path) -> None:
    model = permissive(system)
    # A step for each one alone, so that nothing hides in a batch.
    running = trainer(model, tmp_path, PATHOLOGICAL, num_train_epochs=1, logging_steps=1, warmup_steps=0)
    running.train()
    losses = [logs["loss"] for logs in running.state.log_history if "loss" in logs]
    assert len(losses) == len(PATHOLOGICAL)
    assert all(math.isfinite(loss) for loss in losses)
    assert all(torch.isfinite(value).all() for value in model.parameters())
    running = trainer(model, tmp_path, PATHOLOGICAL, per_device_train_batch_size=len(PATHOLOGICAL), max_steps=1)
    assert 0 < running.train().training_loss < math.inf
    predicted = running.predict_documents(PATHOLOGICAL)
    assert [document.id for document in predicted] == [document.id for document in PATHOLOGICAL]
    for found, source in zip(predicted, PATHOLOGICAL, strict=True):
        assert found.sentences == source.sentences
        assert Document.from_dict(json.loads(json.dumps(found.to_dict()))) == found
        assert all(0 <= relation.score <= 1 for relation in found.relations)
    scores = running.score(predicted, PATHOLOGICAL)
    assert scores["documents"] == len(PATHOLOGICAL)
    assert all(math.isfinite(value) for value in scores.values())


@each_system
def test_five_thousand_words(system: System, tmp_path: Path) -> None:
    model = system.model()
    if model.config.traits.reads_sentences:
        keeping(model, 0)
    assert sum(map(len, LONG.sentences)) > 5000
    running = trainer(model, tmp_path, [LONG], max_steps=1)
    assert math.isfinite(running.train().training_loss)
    # The thresholds of an untrained model say yes or no to everything; here they let nothing but a few spans through.
    [found] = running.predict_documents([LONG])
    assert found.sentences == LONG.sentences
    assert running.score([found], [LONG])["documents"] == 1


@each_that_finds_entities
def test_nothing_is_found_and_one_mention_is_found(system: System) -> None:
    model = system.model()
    if model.config.traits.reads_sentences:
        for count in (0, 1):
            [found] = Predictor(keeping(system.model(), count), tiny_tokenizer()).predict([ANNA])
            assert [len(entity.mentions) for entity in found.entities] == [1] * count
            assert found.relations == ()
        return
    predictor = Predictor(model, tiny_tokenizer())
    features = predictor.featurizer([ANNA])
    scores = torch.sigmoid(predictor.run(features)[0].mention_logits)
    best, next_best = scores.sort(descending=True).values[:2].tolist()
    for threshold, count in ((1.0, 0), ((best + next_best) / 2, 1)):
        model.config.mention_threshold = threshold
        [found] = predictor.predict([ANNA])
        assert [len(entity.mentions) for entity in found.entities] == [1] * count
        assert found.relations == ()


# --- batches ------------------------------------------------------------------------------------------------------


@each_system
def test_batch_composition_order_and_padding_change_no_score(system: System) -> None:
    model = permissive(system)
    predictor = Predictor(model, tiny_tokenizer())
    documents = [ANNA, *ODD_DOCUMENTS, OTTO]
    alone = [json.loads(plain(predictor.predict([document])))[0] for document in documents]
    assert any(document["relations"] for document in alone)
    for order, max_tokens in ((range(len(documents)), 10_000), (range(len(documents) - 1, -1, -1), 100)):
        together = predictor.predict([documents[index] for index in order], max_tokens)
        for index, found in zip(order, together, strict=True):
            assert_alike(_sorted(found.to_dict()), _sorted(alone[index]))


def _sorted(document: dict[str, Any]) -> dict[str, Any]:
    """The document with its relations in an order that does not hang on the last digit of their scores."""
    relations = sorted(document["relations"], key=lambda item: (item["head"], item["tail"], item["type"]))
    for relation in relations:
        relation.get("mention_pairs", []).sort(key=lambda pair: (pair["head_mention"], pair["tail_mention"]))
    return {**document, "relations": relations}


@each_system
def test_the_loss_of_a_batch_is_a_mean_over_its_samples(system: System) -> None:
    """Twice the same document in a batch: the same losses as alone, with all negatives drawn."""
    model = system.model()
    settings = DocRETrainingArguments(
        "unused", use_cpu=True, eval_strategy="no", load_best_model_at_end=False, negatives_mention=10_000
    )
    settings.negatives_inside_ratio = 1.0
    features = Featurizer(tiny_tokenizer(), model.config)([ANNA])
    examples = TrainingExamples(features * 2, model.config, settings, 0)
    with torch.no_grad():
        one = model(**TrainingCollator()([examples[0]])).losses
        two = model(**TrainingCollator()([examples[0], examples[1]])).losses
    assert one.keys() == two.keys() >= set(model.config.traits.stages)
    for stage in one:
        torch.testing.assert_close(one[stage], two[stage], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 3, 8])
@each_given_with_attention
def test_pairs_in_chunks_are_scored_and_learned_as_at_once(
    system: System, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = permissive(system)
    documents = [ANNA, *ODD_DOCUMENTS, MANY, OTTO]

    # What runs once per chunk, and what bounds its size.
    owner, name, limit = stage_key_pairs, "_pool_block", "modeling_docre.stage_localized_context.BLOCK_WEIGHTS"
    if hasattr(model, "bilinear"):
        owner, name, limit = PairClassifier, "_score_run", "modeling_docre.stage_pairs.PAIR_CHUNK"

    def scores_and_gradients() -> tuple[Any, Any, int]:
        calls = []
        score = getattr(owner, name)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda *given: calls.append(0) or score(*given))
            found = Predictor(model, tiny_tokenizer()).predict(documents, 10_000)
        batch = TrainingCollator()(trainer(model, tmp_path, documents, negatives_relation=-1).train_dataset)
        model.zero_grad()
        model.eval()(**batch).loss.backward()
        gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
        return [_sorted(item.to_dict()) for item in found], gradients, len(calls)

    wanted, wanted_gradients, once = scores_and_gradients()
    monkeypatch.setattr(limit, chunk)
    found, gradients, often = scores_and_gradients()
    assert once < often
    assert_alike(found, wanted)
    assert any(document["relations"] for document in wanted)
    assert gradients.keys() == wanted_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, wanted_gradients[name], rtol=1e-3, atol=1e-6)


# --- bad input ----------------------------------------------------------------------------------------------------


def _fails(words: Sequence[str], action: Callable[[], Any]) -> None:
    with pytest.raises(DocumentError) as caught:
        action()
    for word in words:
        assert word in str(caught.value)


@each_system
def test_bad_input_is_one_clear_error(system: System, tmp_path: Path) -> None:
    model = system.model()
    odd_entity = build("odd entity", ["a b"], [("PER", [(0, 0, 1)]), ("FOOD", [(0, 1, 2)])])
    odd_relation = build("odd relation", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "eats")])
    if model.config.traits.reads_entity_types:
        _fails(("'odd entity'", "entities[1].type", "'FOOD'", "add it"), trainer(model, tmp_path, [odd_entity]).train)
    _fails(("'odd relation'", "relations[0].type", "'eats'", "add it"), trainer(model, tmp_path, [odd_relation]).train)
    if model.config.traits.entities_given and model.config.traits.reads_entity_types:
        _fails(("'odd entity'", "'FOOD'"), lambda: Predictor(model, tiny_tokenizer()).predict([odd_entity]))

    strict = system.model(long_input="error")
    words = sum(LONG.sentences, ())
    long = Document(LONG.id, (words,), LONG.entities[:0]) if model.config.traits.reads_sentences else LONG
    _fails(("'five thousand words'", "64 positions", "windows"), lambda: trainer(strict, tmp_path, [long]))
    _fails(("'five thousand words'", "64"), lambda: Predictor(strict, tiny_tokenizer()).predict([ANNA, long]))


@each_given
def test_wrong_given_entities_are_one_clear_error(system: System, tmp_path: Path) -> None:
    model = system.model()
    predictor = Predictor(model, tiny_tokenizer())

    def document(*entities: Any, **more: Any) -> dict[str, Any]:
        return {"id": "odd", "sentences": [["a", "b"], ["c"]], "entities": list(entities), "relations": [], **more}

    def entity(kind: Any, *spans: tuple[int, int, int]) -> dict[str, Any]:
        return {
            "type": kind,
            "mentions": [dict(zip(("sentence", "start", "end"), span, strict=True)) for span in spans],
        }

    fine = entity("PER", (0, 0, 1))
    for wrong, words in (
        (document(fine, entity("LOC", (0, 1, 3))), ("entities[1].mentions[0]", "(1, 3)", "sentence 0")),
        (document(fine, entity("LOC", (1, 0, 1), (2, 0, 1))), ("entities[1].mentions[1].sentence", "2", "0 to 1")),
        (document(entity("LOC", (0, 1, 1))), ("entities[0].mentions[0]", "(1, 1)")),
        (document(fine, entity("LOC")), ("entities[1].mentions", "[]", "at least one mention")),
        (document(entity(None, (0, 0, 1))), ("entities[0].type", "None")),
        (document(fine, entity("FOOD", (0, 1, 2))), ("entities[1].type", "'FOOD'", "entity types LOC, ", "add it")),
        (document(fine, candidates=[{"head": 0, "tail": 1}]), ("candidates[0]", "1")),
    ):
        if "'FOOD'" in words and not model.config.traits.reads_entity_types:
            assert len(predictor.predict([wrong])[0].entities) == 2  # any type is right where none is read
            continue
        _fails(("'odd'", *words), lambda wrong=wrong: predictor.predict([ANNA, wrong]))
    related = document(fine, entity("LOC", (0, 1, 2)), relations=[{"head": 0, "tail": 1, "type": "eats"}])
    learning = trainer(model, tmp_path, [Document.from_dict(related)])
    _fails(("'odd'", "relations[0].type", "'eats'", "relation types seat, ", "add it"), learning.train)
    assert predictor.predict([related])[0].id == "odd"  # what is to be found is not read

    if not model.config.traits.reads_entity_types:
        free = system.model(entity_types=[], relation_threshold=0.0, top_k=0)
        food = document(
            entity("FOOD", (0, 0, 1)), entity("", (0, 1, 2)), relations=[{"head": 1, "tail": 0, "type": "seat"}]
        )
        found = trainer(free, tmp_path, [Document.from_dict(food)], max_steps=1)
        assert found.train().training_loss > 0
        [predicted] = found.predict_documents([Document.from_dict(food)])
        assert [item.type for item in predicted.entities] == ["FOOD", ""] and len(predicted.relations) == 6


@each_system
def test_a_model_moves_with_its_batch(system: System) -> None:
    """What the collator makes goes to a device as a whole; nothing of it stays behind."""
    features = Featurizer(tiny_tokenizer(), system.model().config)([ANNA])
    settings = DocRETrainingArguments("unused", use_cpu=True, eval_strategy="no", load_best_model_at_end=False)
    moved = to_device(
        TrainingCollator()([TrainingExamples(features, system.model().config, settings, 0)[0]]), torch.device("meta")
    )

    def tensors(value: Any) -> list[torch.Tensor]:
        if isinstance(value, dict):
            return [item for inner in value.values() for item in tensors(inner)]
        return [value] if isinstance(value, torch.Tensor) else []

    assert tensors(moved) and all(value.is_meta for value in tensors(moved))
