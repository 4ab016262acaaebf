"""Training: parameter groups, losses, evaluation, the epoch's samples, and runs that are interrupted and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from samples import ANNA, ODD_DOCUMENTS, OTTO
from tiny import tiny_atlop, tiny_jerex, tiny_tokenizer
from training import Killed, Killer, ScriptedTrainer, trainer
from transformers import EarlyStoppingCallback, TrainerCallback

from modeling_docre import AtlopModel, Candidate, Document, Predictor, Relation, to_result_records
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.sampling import TrainingExamples
from modeling_docre.training.thresholds import cut_relations, fit_relation_thresholds
from modeling_docre.training.trainer import DocRETrainer
from modeling_docre.training.training_inputs import TrainingCollator

FIVE = [
    replace(document, id=f"{document.id} {number}") for number, document in enumerate((ANNA, OTTO, ANNA, OTTO, ANNA))
]


def without_dropout(model: Any) -> Any:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


# --- parameter groups ---------------------------------------------------------------------------------------------


def test_every_trainable_parameter_is_in_exactly_one_group(tmp_path: Path) -> None:
    for options in [{}, {"relation_head": "global"}, {"task": "relation"}, {"task": "pipeline"}]:
        model = tiny_jerex(**options)
        frozen = model.encoders[0].model.embeddings.word_embeddings.weight.requires_grad_(False)
        rates = {"learning_rate": 1e-3, "head_learning_rate": 1e-2, "weight_decay": 0.1}
        groups = trainer(model, tmp_path, [ANNA], **rates).create_optimizer().param_groups
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        found = [names[id(parameter)] for group in groups for parameter in group["params"]]
        assert sorted(found) == sorted(name for name, value in model.named_parameters() if value is not frozen)
        for group in groups:
            for parameter in group["params"]:
                name = names[id(parameter)]
                assert group["lr"] == (1e-3 if name.startswith("encoders.") else 1e-2), name
                undecayed = name.endswith("bias") or "LayerNorm" in name
                assert group["weight_decay"] == (0.0 if undecayed else 0.1), name


def test_head_learning_rate_may_be_absent_or_zero(tmp_path: Path) -> None:
    for given, wanted in ((None, {1e-3}), (0.0, {1e-3, 0.0})):
        running = trainer(tiny_jerex(), tmp_path, [ANNA], learning_rate=1e-3, head_learning_rate=given)
        assert {group["lr"] for group in running.create_optimizer().param_groups} == wanted


def test_atlop_trains_its_heads_faster_and_decays_nothing(tmp_path: Path) -> None:
    """ATLOP section 6.1 and its release."""
    model = tiny_atlop()
    optimizer = trainer(model, tmp_path, [ANNA], **model.training_defaults).create_optimizer()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(value)]: group["lr"] for group in optimizer.param_groups for value in group["params"]}
    assert rates == {name: 5e-5 if name.startswith("encoder.") else 1e-4 for name in names.values()}
    heads = {name.partition(".")[0] for name, rate in rates.items() if rate == 1e-4}
    assert heads == {"head_extractor", "tail_extractor", "bilinear"}
    assert {(group["weight_decay"], group["eps"]) for group in optimizer.param_groups} == {(0.0, 1e-6)}


# --- losses -------------------------------------------------------------------------------------------------------


class RecordingTrainer(DocRETrainer):
    """Keeps the losses of each micro-batch."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **options: Any) -> Any:
        loss, output = super().compute_loss(model, inputs, return_outputs=True, **options)
        vars(self).setdefault("seen", []).append({name: value.item() for name, value in output.losses.items()})
        return (loss, output) if return_outputs else loss


def test_stage_losses_are_logged_as_means_since_the_last_log(tmp_path: Path) -> None:
    model = tiny_jerex(mention_weight=2.0)
    options = {"gradient_accumulation_steps": 2, "logging_steps": 2, "num_train_epochs": 2}
    running = trainer(model, tmp_path, FIVE[:4], RecordingTrainer, **options)
    running.train()
    logs = [entry for entry in running.state.log_history if "loss" in entry]
    assert len(logs) == 2 and len(running.seen) == 8
    for number, entry in enumerate(logs):
        seen = running.seen[4 * number : 4 * number + 4]
        for stage in model.config.traits.stages:
            mean = sum(losses[stage] for losses in seen) / 4
            assert entry[f"loss_{stage}"] == pytest.approx(mean, rel=1e-5)
        weighted = sum(
            getattr(model.config, f"{stage}_weight") * entry[f"loss_{stage}"] for stage in model.config.traits.stages
        )
        assert entry["loss"] == pytest.approx(weighted, rel=1e-4)


def test_accumulated_gradients_are_the_mean_of_the_micro_batches(tmp_path: Path) -> None:
    """An optimiser step over two documents of different size: each counts the same."""
    model = without_dropout(tiny_jerex())
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    options = {"optim": "sgd", "learning_rate": 1.0, "weight_decay": 0.0, "max_grad_norm": 0.0, "warmup_steps": 0}
    running = trainer(model, tmp_path, [ANNA, OTTO], gradient_accumulation_steps=2, num_train_epochs=1, **options)
    running.train()

    fresh = without_dropout(tiny_jerex()).train()
    gradients = []
    for number in range(2):
        fresh.zero_grad()
        fresh(**TrainingCollator()([running.train_dataset[number]])).loss.backward()
        gradients.append(
            {name: value.grad.clone() for name, value in fresh.named_parameters() if value.grad is not None}
        )
    assert running.state.global_step == 1
    for name, value in model.named_parameters():
        step = sum(gradient[name] for gradient in gradients if name in gradient) / 2
        torch.testing.assert_close(value.detach(), before[name] - step, rtol=1e-4, atol=1e-6)


def test_documents_without_samples_add_nothing(tmp_path: Path) -> None:
    empty = next(document for document in ODD_DOCUMENTS if document.id == "no sentence")
    alone = trainer(tiny_jerex(), tmp_path, [empty], RecordingTrainer, max_steps=1)
    alone.train()
    assert alone.seen == [dict.fromkeys(("mention", "coreference", "entity", "relation"), 0.0)]
    model = without_dropout(tiny_jerex()).train()
    examples = trainer(model, tmp_path, [ANNA, empty]).train_dataset
    with_it = model(**TrainingCollator()([examples[0], examples[1]])).loss
    without_it = model(**TrainingCollator()([examples[0]])).loss
    torch.testing.assert_close(with_it, without_it)


# --- evaluation ---------------------------------------------------------------------------------------------------


def test_evaluation_scores_all_levels_and_keeps_the_mode(tmp_path: Path) -> None:
    running = trainer(tiny_jerex(), tmp_path, FIVE)
    running.model.train()
    scores = running.evaluate()
    assert running.model.training
    wanted = {
        f"eval_{level}_{part}"
        for level in ("mention", "cluster", "entity", "relation")
        for part in ("precision", "recall", "f1")
    }
    assert wanted | {"eval_runtime", "eval_samples_per_second", "eval_documents"} <= scores.keys()
    assert scores["eval_documents"] == 5
    assert "test_relation_f1" in running.evaluate(FIVE[:2], metric_key_prefix="test")
    assert not any("ign" in name for name in scores)
    running.train_facts = FIVE
    assert {"eval_ign_f1", "eval_ign_precision"} <= running.evaluate().keys()


def test_evaluation_without_documents_is_an_error(tmp_path: Path) -> None:
    running = trainer(tiny_jerex(), tmp_path, FIVE)
    running.eval_dataset = None
    with pytest.raises(ValueError, match="no documents to evaluate"):
        running.evaluate()


def test_predictions_are_saved_as_documents(tmp_path: Path) -> None:
    running = trainer(tiny_jerex(task="relation", relation_threshold=0.45), tmp_path, FIVE)
    predictions = running.predict_documents(FIVE)
    running.save_predictions(predictions, running.score(predictions, FIVE, per_type=True), tmp_path / "a" / "b")
    saved = json.loads((tmp_path / "a" / "b" / "predictions.json").read_text())
    assert [Document.from_dict(item) for item in saved] == predictions
    assert [document.id for document in predictions] == [document.id for document in FIVE]
    assert json.loads((tmp_path / "a" / "b" / "scores.json").read_text())["documents"] == 5


@pytest.mark.parametrize(
    "model", [tiny_jerex(), tiny_jerex(task="relation"), tiny_atlop()], ids=["joint", "re", "atlop"]
)
def test_relations_between_given_entities_are_saved_as_the_competition_wants_them(model: Any, tmp_path: Path) -> None:
    model.config.relation_threshold = 0.4
    running = trainer(model, tmp_path, FIVE)
    predictions = running.predict_documents(FIVE)
    running.save_predictions(predictions, {}, tmp_path)
    assert (tmp_path / "result.json").exists() == model.config.traits.entities_given
    if model.config.traits.entities_given:
        records = json.loads((tmp_path / "result.json").read_text())
        assert records == to_result_records(predictions) != []
        assert {record["title"] for record in records} <= {document.id for document in FIVE}
        assert all({"h_idx", "t_idx", "r"} <= record.keys() for record in records)


def test_only_candidates_are_trained_predicted_and_scored(tmp_path: Path) -> None:
    asked = (Candidate(0, 1), Candidate(0, 2), Candidate(3, 2, cross=True), Candidate(3, 1, scored=False))
    document = replace(ANNA, candidates=asked)
    model = tiny_atlop(relation_threshold=0.0, top_k=0)  # every type holds
    running = trainer(model, tmp_path, [document, OTTO], num_train_epochs=1, negatives_relation=-1)
    assert running.train_dataset[0].relations[0].tolist() == [[0, 1], [0, 2], [3, 2]]
    running.train()
    scores = running.evaluate([document])
    assert scores["eval_relation_recall"] == 1.0 and scores["eval_relation_precision"] == 4 / 9
    assert (scores["eval_intra_support"], scores["eval_inter_support"]) == (3, 1)
    assert running.evaluate([ANNA])["eval_relation_precision"] == 4 / 36
    nothing = replace(ANNA, id="nothing", candidates=(), relations=())
    assert running.evaluate([nothing, document])["eval_relation_precision"] == 4 / 9
    assert running.predict_documents([nothing])[0].relations == ()
    # A gold relation that no candidate asks about is missed.
    more = replace(document, relations=(*document.relations, Relation(1, 2, "born")))
    assert running.evaluate([more])["eval_relation_recall"] == 4 / 5


def _fitting(threshold: str) -> AtlopModel:
    """A model whose scores reach over the grid."""
    model = tiny_atlop(loss="bce", threshold=threshold)
    with torch.no_grad():
        model.bilinear.linear.weight.mul_(40)
    return model


def _facts(documents: list[Document]) -> set[tuple[str, int, int, str]]:
    return {(document.id, fact.head, fact.tail, fact.type) for document in documents for fact in document.relations}


@pytest.mark.parametrize("threshold", ["global", "per_class"])
def test_each_checkpoint_holds_the_thresholds_fitted_to_it(threshold: str, tmp_path: Path) -> None:
    every = {"eval_strategy": "epoch", "save_strategy": "epoch", "save_total_limit": None}
    running = trainer(_fitting(threshold), tmp_path, FIVE[:3], num_train_epochs=4, learning_rate=5e-3, **every)
    running.train()
    logged = {log["step"]: log["eval_relation_f1"] for log in running.state.log_history if "eval_relation_f1" in log}
    assert sorted(logged) == [3, 6, 9, 12]
    seen = set()
    for step, f1 in logged.items():
        model = AtlopModel.from_pretrained(tmp_path / f"checkpoint-{step}")
        predictor, kept = Predictor(model, tiny_tokenizer()), model.config.thresholds_in_force()
        predictions = predictor.predict(FIVE[:3])
        assert running.score(predictions, FIVE[:3])["relation_f1"] == f1
        scored = predictor.predict(FIVE[:3], relation_threshold=0.1)
        fit_relation_thresholds(model.config, running.score(scored, FIVE[:3], ranking=True)["ranking"])
        assert _facts(cut_relations(model.config, scored)) == _facts(predictions)
        assert model.config.thresholds_in_force() == kept
        seen.add(str(kept))
    assert len(seen) > 1


def test_the_best_checkpoint_comes_back_with_its_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = iter([0.2, 0.8])

    def fit(config: Any, ranking: Any) -> None:
        config.relation_threshold = next(fitted)

    monkeypatch.setattr("modeling_docre.training.trainer.fit_relation_thresholds", fit)
    ScriptedTrainer.script = iter([0.5, 0.1])
    every = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    running = trainer(_fitting("global"), tmp_path, [OTTO], ScriptedTrainer, num_train_epochs=2, **every)
    running.train()
    best = Path(running.state.best_model_checkpoint)
    assert (best.name, json.loads((best / "config.json").read_text())["relation_threshold"]) == ("checkpoint-1", 0.2)
    assert running.model.config.relation_threshold == 0.2


def _scripted(folder: Path, values: list[float], *callbacks: TrainerCallback, **options: Any) -> ScriptedTrainer:
    ScriptedTrainer.script = iter(values)
    every = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    return trainer(
        tiny_jerex(task="relation"), folder, [OTTO], ScriptedTrainer, callbacks, learning_rate=1e-3, **every, **options
    )


def test_the_checkpoint_with_the_best_relation_f1_is_kept_and_loaded(tmp_path: Path) -> None:
    running = _scripted(tmp_path, [0.1, 0.5, 0.3], num_train_epochs=3)
    running.train()
    assert running.state.best_model_checkpoint == str(tmp_path / "checkpoint-2")
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]
    kept = load_file(tmp_path / "checkpoint-2" / "model.safetensors")
    loaded = running.model.state_dict()
    assert kept.keys() == loaded.keys()
    assert all(torch.equal(kept[name], loaded[name]) for name in kept)


def test_the_best_checkpoint_leaves_the_number_format_of_the_final_file(tmp_path: Path) -> None:
    keeping = {"load_best_model_at_end": True, "eval_strategy": "epoch", "save_strategy": "epoch"}
    run = trainer(tiny_jerex(weights_dtype="float16"), tmp_path, FIVE[:2], num_train_epochs=1, **keeping)
    run.train()
    run.save_model()
    kinds = [
        {value.dtype for value in load_file(folder / "model.safetensors").values() if value.is_floating_point()}
        for folder in (next(tmp_path.glob("checkpoint-*")), tmp_path)
    ]
    assert kinds == [{torch.float32}, {torch.float16}]


@pytest.mark.slow
def test_early_stopping_counts_on_after_an_interruption(tmp_path: Path) -> None:
    values = [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    unbroken = _scripted(tmp_path / "a", values, EarlyStoppingCallback(3), num_train_epochs=6)
    unbroken.train()
    assert unbroken.state.global_step == 4
    with pytest.raises(Killed):
        _scripted(tmp_path / "b", values, EarlyStoppingCallback(3), Killer(3), num_train_epochs=6).train()
    resumed = _scripted(tmp_path / "b", values[2:], EarlyStoppingCallback(3), num_train_epochs=6)
    resumed.train(str(tmp_path / "b" / "checkpoint-2"))
    assert resumed.state.global_step == 4
    assert resumed.state.best_metric == 0.5


# --- samples of an epoch, and interruptions -----------------------------------------------------------------------


class RecordingExamples(TrainingExamples):
    """Keeps which document was sampled in which epoch, and the samples."""

    def __getitem__(self, index: int) -> Any:
        example = super().__getitem__(index)
        vars(self).setdefault("seen", []).append((self.epoch, index, example.word_ranges.tolist()))
        return example


def _draws(folder: Path, *callbacks: TrainerCallback) -> DocRETrainer:
    options = {"num_train_epochs": 3, "save_strategy": "steps", "save_steps": 2, "negatives_mention": 5}
    return trainer(tiny_jerex(), folder, FIVE, callbacks=callbacks, examples=RecordingExamples, **options)


@pytest.mark.slow
def test_each_epoch_draws_its_own_samples_also_after_an_interruption(tmp_path: Path) -> None:
    unbroken = _draws(tmp_path / "a")
    unbroken.train()
    seen = unbroken.train_dataset.seen
    assert [epoch for epoch, _, _ in seen] == [0] * 5 + [1] * 5 + [2] * 5
    for epoch in range(3):
        assert sorted(index for _, index, _ in seen[5 * epoch : 5 * epoch + 5]) == list(range(5))
    orders = {tuple(index for _, index, _ in seen[start : start + 5]) for start in (0, 5, 10)}
    assert len(orders) > 1
    for index in range(5):
        samples = [spans for _, number, spans in seen if number == index]
        assert samples[0] != samples[1] != samples[2] != samples[0]
    for killed_at, left in ((9, 8), (11, 10)):  # within the second epoch, and after its end
        folder = tmp_path / str(killed_at)
        with pytest.raises(Killed):
            _draws(folder, Killer(killed_at)).train()
        resumed = _draws(folder)
        resumed.train(str(folder / f"checkpoint-{left}"))
        assert resumed.train_dataset.seen == seen[left:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("killed_at", "checkpoint", "options"),
    [
        (9, 8, {}),  # in the middle of the second epoch
        (11, 10, {}),  # after its last step
        (9, 8, {"dataloader_num_workers": 2}),
        (11, 10, {"dataloader_num_workers": 2}),
        (5, 4, {"gradient_accumulation_steps": 2}),  # three steps per epoch, the last one of a single document
        (5, 4, {"per_device_train_batch_size": 2, "dataloader_drop_last": False}),
    ],
)
def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(
    killed_at: int, checkpoint: int, options: dict[str, Any], tmp_path: Path
) -> None:
    def run(folder: Path, *callbacks: TrainerCallback) -> DocRETrainer:
        steps = {"num_train_epochs": 3, "save_strategy": "steps", "save_steps": 2, "learning_rate": 1e-3}
        return trainer(tiny_jerex(), folder, FIVE, callbacks=callbacks, **steps, **options)

    unbroken = run(tmp_path / "a")
    unbroken.train()
    with pytest.raises(Killed):
        run(tmp_path / "b", Killer(killed_at)).train()
    torch.manual_seed(999)
    torch.rand(7)
    resumed = run(tmp_path / "b")
    resumed.train(str(tmp_path / "b" / f"checkpoint-{checkpoint}"))
    assert resumed.state.global_step == unbroken.state.global_step
    wanted, found = unbroken.model.state_dict(), resumed.model.state_dict()
    assert [name for name in wanted if not torch.equal(wanted[name], found[name])] == []


def test_arguments_follow_the_paper_and_push_nothing() -> None:
    arguments = DocRETrainingArguments("somewhere", use_cpu=True)
    assert arguments.output_dir == "somewhere"
    assert (arguments.learning_rate, arguments.weight_decay, arguments.max_grad_norm) == (5e-5, 0.01, 1.0)
    assert (arguments.num_train_epochs, arguments.per_device_train_batch_size, arguments.warmup_steps) == (20, 1, 0.1)
    assert (arguments.negatives_mention, arguments.negatives_coreference, arguments.negatives_relation) == (
        200,
        200,
        200,
    )
    assert (arguments.lr_scheduler_type, arguments.dataloader_drop_last) == ("linear", True)
    assert (arguments.push_to_hub, arguments.remove_unused_columns) == (False, False)
    assert arguments.report_to in ([], "none", ["none"])
