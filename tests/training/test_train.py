"""train.py from end to end: recipes, flags, data, output, interruptions, several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from samples import ANNA, ODD_DOCUMENTS, OTTO, build
from tiny import save_tiny, tiny_encoder, tiny_jerex, tiny_tokenizer
from training import BRIEF, FIVE, write_jsonl
from transformers.trainer_callback import TrainerState

from modeling_docre import Document, DocumentError, JerexModel, Predictor, write_docred
from modeling_docre.training import run
from modeling_docre.training.arguments import DocRETrainingArguments

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    tiny_encoder().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags of a training and a validation file; the one in DocRED's JSON, the other as Document dicts."""
    folder = tmp_path_factory.mktemp("files")
    write_docred(FIVE, folder / "train.json")
    validation = write_jsonl(folder / "validation.jsonl", FIVE[:3])
    return ["--train_file", str(folder / "train.json"), "--validation_file", validation]


def fails(arguments: list[str], *words: str, kind: type[BaseException] = ValueError) -> None:
    with pytest.raises(kind) as caught:
        run.main(arguments)
    for word in words:
        assert word in str(caught.value)


def refuses(capsys: pytest.CaptureFixture[str], arguments: list[str], *words: str) -> None:
    """Parsing ends with a message that holds the words."""
    with pytest.raises((SystemExit, ValueError)) as caught:
        run.parse_arguments(arguments)
    message = capsys.readouterr().err.splitlines()[-1] if caught.type is SystemExit else str(caught.value)
    for word in words:
        assert word in message


# --- recipes and flags --------------------------------------------------------------------------------------------


def test_flags_win_over_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "relation_head: global\nlearning_rate: 2e-4\nnum_train_epochs: 7\ntune: true\nload_best_model_at_end: false\n"
        "entity_repr: false\nnegatives_relation: -1\nlr_scheduler_kwargs: {a: 1}\nreport_to: [none]\n"
        f"eval_strategy: 'no'\nuse_cpu: true\noutput_dir: {tmp_path}\nmax_train_documents:\n"
    )
    flags = ["--num_train_epochs", "3", "--max-span-size=4"]
    model, data, training, options = run.parse_arguments([str(recipe), *flags])
    assert model.system == "jerex"
    assert (training.learning_rate, training.num_train_epochs, training.negatives_relation) == (2e-4, 3, -1)
    assert (training.load_best_model_at_end, training.lr_scheduler_kwargs) == (False, {"a": 1})
    assert (data.tune, data.max_train_documents) == (True, None)
    assert options == {"relation_head": "global", "entity_repr": False, "max_span_size": 4}
    *_, options = run.parse_arguments([str(recipe), "--entity_repr", "--relation_head=multi_instance"])
    assert options == {"relation_head": "multi_instance", "entity_repr": True}
    assert run.parse_arguments(["--no_entity_repr", "--output_dir", str(tmp_path)])[3] == {"entity_repr": False}


def test_shipped_recipes_are_valid() -> None:
    recipes = sorted((REPOSITORY / "recipes").glob("*.yaml"))
    assert recipes
    for recipe in recipes:
        run.parse_arguments([str(recipe), "--use_cpu"])


def test_wrong_options_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("system: jerex\nlearning_rat: 1\n")
    refuses(capsys, [str(recipe)], str(recipe), "unknown option 'learning_rat'", "did you mean 'learning_rate'")
    recipe.write_text("entity_types: [PER]\n")
    refuses(capsys, [str(recipe)], "unknown option 'entity_types'")
    recipe.write_text("- system\n")
    refuses(capsys, [str(recipe)], str(recipe), "option: value")
    recipe.write_text("learning_rate: high\n")
    refuses(capsys, [str(recipe)], "learning_rate", "'high'")
    refuses(capsys, ["--max_span_siz", "3"], "unknown option '--max_span_siz'", "did you mean 'max_span_size'")
    refuses(capsys, ["--system", "jerry"], "--system", "'jerry'", "jerex")
    refuses(capsys, ["--relation_head", "both"], "relation_head", "'both'", "global")


def test_help_lists_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for option in ("--corpus", "--encoder", "--tune", "--head_learning_rate", "--negatives_mention", "--relation_head"):
        assert option in text


# --- data ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "emulated", "warned"), [([], True, False), (["--bf16"], True, True), (["--bf16"], False, False)]
)
def test_emulated_precision_is_told(
    flags: list[str], emulated: bool, warned: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "emulates_bfloat16", lambda: emulated)
    run.warn_of_slow_precision(run.parse_arguments(["--use_cpu", *flags])[2])
    assert ("leave out --bf16" in caplog.text) is warned


def test_missing_data_is_named(tmp_path: Path, encoder: str, files: list[str]) -> None:
    common = [*BRIEF, "--encoder", encoder, "--output_dir", str(tmp_path)]
    fails(common, "--corpus", "--train_file")
    fails([*common, "--corpus", "no_corpus"], "'no_corpus'", "re_docred", "sample")
    fails([*common, "--corpus", "sources"], "'sources'", "docred, ")
    fails([*common, "--train_file", "absent.json"], "--train_file", "'absent.json'", kind=FileNotFoundError)
    fails([*common, *files[2:]], "no training documents", "--no_do_train")
    fails([*common, *files[:2]], "no validation documents", "--eval_strategy no")
    fails([*common, *files, "--no_do_train"], "--init_from")
    fails([*common, *files, "--system", "memory_jerex", "--memory_reading", "false"], "training sets memory_reading")
    fails([*common, *files, "--per_device_train_batch_size", "6"], "5 documents", "one batch of 6")
    fails([*common, "--corpus", "sample", "--validation_split", "dev"], "dev")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": "x", "sentences": [["a"]]}\n{"id": \n')
    fails([*common, "--train_file", str(broken)], "number 2 of broken.jsonl", kind=DocumentError)


def test_labels_of_files_come_from_all_splits(tmp_path: Path) -> None:
    lone = build("lone", ["a b"], [("DATE", [(0, 0, 1)]), ("PER", [(0, 1, 2)])], [(0, 1, "held"), (1, 0, "born")])
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"held": "was held on", "never": "is not used"}))
    arguments = run.DataArguments(
        train_file=write_jsonl(tmp_path / "a.jsonl", [OTTO]),
        validation_file=write_jsonl(tmp_path / "b.jsonl", [lone]),
        relation_labels=str(labels),
    )
    corpus = run.load_corpus(arguments)
    assert list(corpus.splits) == ["train", "validation"]
    assert corpus.labels == {
        "entity_types": ["DATE", "LOC", "PER"],
        "relation_types": ["born", "held", "works"],
        "relation_labels": {"held": "was held on"},
        "symmetric_relations": [],
    }


def test_documents_that_teach_nothing_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = DocRETrainingArguments(str(tmp_path), use_cpu=True, eval_strategy="no", load_best_model_at_end=False)
    documents = [ANNA, *ODD_DOCUMENTS]
    empty = {"no sentence", "only empty sentences"}
    for task, left_out in (("joint", empty), ("relation", {item.id for item in documents if len(item.entities) < 2})):
        model = tiny_jerex(task=task)
        with caplog.at_level("INFO", logger="modeling_docre.training"):
            examples = run.training_examples(model, tiny_tokenizer(), documents, settings)
        kept = [features.document.id for features in examples.features]
        assert kept == [document.id for document in documents if document.id not in left_out]
        assert f"{len(left_out)} of {len(documents)} documents hold nothing to train on" in caplog.text
        caplog.clear()
    with pytest.raises(ValueError, match="0 documents with something to train on"):
        run.training_examples(tiny_jerex(task="relation"), tiny_tokenizer(), ODD_DOCUMENTS[:3], settings)


def test_unknown_types_are_found_before_training_starts(tmp_path: Path) -> None:
    odd = build("odd", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "eats")])
    folder = save_tiny(tmp_path / "model")
    data = ["--train_file", write_jsonl(tmp_path / "a.jsonl", [ANNA, odd]), "--output_dir", str(tmp_path / "o")]
    quiet = ["--eval_strategy", "no", "--load_best_model_at_end", "false"]
    fails([*BRIEF, *data, *quiet, "--init_from", str(folder)], "'odd'", "'eats'", kind=DocumentError)
    assert not (tmp_path / "o").exists()


def test_a_trained_model_is_not_scored_on_types_of_which_it_knows_none(tmp_path: Path) -> None:
    odd = build("odd", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "eats")])
    other = build("other", ["a"], [("FOOD", [(0, 0, 1)])])
    folder = save_tiny(tmp_path / "model")
    for document, name in ((odd, "'eats'"), (other, "'FOOD'")):
        data = ["--validation_file", write_jsonl(tmp_path / "a.jsonl", [document]), "--output_dir", str(tmp_path / "o")]
        fails([*BRIEF, *data, "--no_do_train", "--init_from", str(folder)], name, "train a new model")
    assert not (tmp_path / "o").exists()


# --- whole runs ---------------------------------------------------------------------------------------------------


def test_sample_corpus_end_to_end(tmp_path: Path, encoder: str, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"corpus: sample\nencoder: {encoder}\nrelation_head: global\ntask: relation\ntune: true\n")
    output = tmp_path / "output"
    flags = [
        "--max_train_documents",
        "3",
        "--num_train_epochs",
        "1",
        "--output_dir",
        str(output),
        "--logging_steps",
        "1",
    ]
    run.main([str(recipe), *flags, *BRIEF, "--early_stopping_patience", "2"])
    predictions = [
        Document.from_dict(item) for item in json.loads((output / "validation/predictions.json").read_text())
    ]
    scores = json.loads((output / "validation/scores.json").read_text())
    assert len(predictions) == scores["documents"] == 12
    assert {"relation_f1", "ign_f1", "per_type", "thresholds", "predict_samples_per_second"} <= scores.keys()
    state = json.loads((output / "checkpoint-3/trainer_state.json").read_text())
    assert state["global_step"] == 3 and state["best_metric"] is not None
    assert json.loads((output / "train_results.json").read_text())["epoch"] == 1
    config = json.loads((output / "config.json").read_text())
    assert (config["relation_head"], config["task"]) == ("global", "relation")
    assert config["relation_threshold"] == scores["thresholds"]["relation_threshold"]
    assert config["relation_types"] == sorted(config["relation_labels"])


def test_a_model_is_calibrated_and_saved_in_half_precision(tmp_path: Path, files: list[str]) -> None:
    folder, output = save_tiny(tmp_path / "model", task="relation", relation_threshold=0.3), tmp_path / "output"
    options = ["--no_do_train", "--init_from", str(folder), "--output_dir", str(output), "--calibrate", "true"]
    run.main([*BRIEF, *options, *files[2:], "--test_file", files[3], "--weights_dtype", "float16"])
    config = json.loads((output / "config.json").read_text())
    assert config["relation_temperature"] != 1 and config["dtype"] == "float32"
    assert (output / "model.safetensors").stat().st_size < 0.55 * (folder / "model.safetensors").stat().st_size
    found = [Document.from_dict(item) for item in json.loads((output / "test/predictions.json").read_text())]
    model = JerexModel.from_pretrained(output)
    assert found == Predictor(model, tiny_tokenizer()).predict(FIVE[:3]), "the scores are those of what is loaded"
    calibration = json.loads((output / "test/scores.json").read_text())["calibration"]
    assert [calibration[name] for name in ("temperature", "shift")] == [
        config[f"relation_{name}"] for name in ("temperature", "shift")
    ]
    card = (output / "README.md").read_text()
    assert f"divided by {calibration['temperature']:.2f}, and" in card and "calibrated on documents like" in card
    assert "![Precision over recall, by threshold](precision_recall.svg)" in card
    assert (output / "precision_recall.svg").read_text().startswith("<svg")
    fails([*BRIEF, *options[:5], *files[2:], "--least_precision", "0.5"], "--calibrate true")


def test_a_trained_model_goes_on_with_other_options(tmp_path: Path, files: list[str]) -> None:
    folder = save_tiny(tmp_path / "model", task="relation", relation_threshold=0.9)
    output = tmp_path / "output"
    # Another thing than the model would do by itself: nearly everything is a relation.
    options = ["--relation_threshold", "0.3", "--no_do_train", "--init_from", str(folder), "--output_dir", str(output)]
    run.main([*BRIEF, *options, *files[2:], "--test_file", files[3], "--window_overlap", "8"])
    config = json.loads((output / "config.json").read_text())
    assert (config["relation_threshold"], config["window_overlap"], config["task"]) == (0.3, 8, "relation")
    found = [Document.from_dict(item) for item in json.loads((output / "test/predictions.json").read_text())]
    model = tiny_jerex(task="relation", relation_threshold=0.3)
    assert found == Predictor(model, tiny_tokenizer()).predict(FIVE[:3])
    assert any(document.relations for document in found)
    assert "ign_f1" not in json.loads((output / "test/scores.json").read_text())
    other = tmp_path / "other"
    tiny_encoder().save_pretrained(other)
    fails(
        [*BRIEF, *files, "--init_from", str(other), "--output_dir", str(output)], "'bert'", "'docre-jerex'", "--system"
    )


# --- interruptions ------------------------------------------------------------------------------------------------


def test_the_last_checkpoint_is_the_newest_complete_one(tmp_path: Path) -> None:
    assert run.last_checkpoint(str(tmp_path / "absent")) is None
    state = TrainerState()
    for step in (5, 40, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
        state.save_to_json(str(tmp_path / f"checkpoint-{step}" / "trainer_state.json"))
    assert run.last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-100")
    (tmp_path / "checkpoint-100" / "trainer_state.json").write_text('{"epoch": 1.0, "glob')
    assert run.last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-40")
    (tmp_path / "checkpoint-40" / "trainer_state.json").unlink()
    assert run.last_checkpoint(str(tmp_path)) == str(tmp_path / "checkpoint-5")


KILLED = """
import os, sys
import torch
from transformers import TrainerCallback
from modeling_docre.training import run
from modeling_docre.training import trainer as trainer_docre

torch.set_num_threads(1)

class Kill(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == int(os.environ.get("KILL_AT", -1)):
            os._exit(9)

build = run.build_trainer
def with_kill(*arguments):
    trainer = build(*arguments)
    trainer.add_callback(Kill())
    return trainer

run.build_trainer = with_kill
run.main(sys.argv[1:])
"""


def _environment(**variables: str) -> dict[str, str]:
    places = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests" / "support")])
    return {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1", **variables}


def test_a_killed_run_resumes_to_the_same_weights_and_scores(tmp_path: Path, encoder: str, files: list[str]) -> None:
    def run(output: Path, *flags: str, **variables: str) -> int:
        steps = ["--num_train_epochs", "3", "--save_strategy", "steps", "--eval_strategy", "steps"]
        steps += [
            "--save_steps",
            "4",
            "--eval_steps",
            "4",
            "--dataloader_num_workers",
            "2",
            "--output_dir",
            str(output),
        ]
        command = [sys.executable, "-c", KILLED, *BRIEF, *files, "--encoder", encoder, "--task", "relation", *steps]
        process = subprocess.run([*command, *flags], env=_environment(**variables), capture_output=True, text=True)
        assert process.returncode in (0, 9), process.stderr
        return process.returncode

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(whole) == 0
    assert run(parts, "--resume_from_checkpoint", "last", KILL_AT="7") == 9  # nothing to resume from yet
    assert [path.name for path in parts.glob("checkpoint-*")] == ["checkpoint-4"]
    (parts / "checkpoint-6").mkdir()  # as if killed while saving
    assert run(parts, "--resume_from_checkpoint", "last") == 0
    wanted, found = load_file(whole / "model.safetensors"), load_file(parts / "model.safetensors")
    assert [name for name in wanted if not torch.equal(wanted[name], found[name])] == []
    assert _results(whole) == _results(parts)


def _results(output: Path) -> tuple[Any, Any]:
    scores = json.loads((output / "validation" / "scores.json").read_text())
    own = ("predict_", "command")  # of a run, not of its result
    scores = {name: value for name, value in scores.items() if not name.startswith(own)}
    return scores, json.loads((output / "validation" / "predictions.json").read_text())


# --- two processes ------------------------------------------------------------------------------------------------


def test_two_processes_train_and_evaluate_like_one(tmp_path: Path, encoder: str, files: list[str]) -> None:
    """Five training and three validation documents: neither can be dealt out evenly."""

    def run(output: Path, *flags: str, processes: int) -> None:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--standalone"]
        command = [*(launcher if processes > 1 else [sys.executable]), str(REPOSITORY / "train.py")]
        arguments = [*BRIEF, *files, "--output_dir", str(output), *flags]
        process = subprocess.run([*command, *arguments], env=_environment(), capture_output=True, text=True)
        assert process.returncode == 0, process.stderr

    thresholds = ["--mention_threshold", "0.3", "--coreference_threshold", "0.4", "--relation_threshold", "0.3"]
    epochs = ["--encoder", encoder, "--num_train_epochs", "1", "--logging_steps", "1"]
    run(tmp_path / "two", *epochs, *thresholds, processes=2)
    log = json.loads((tmp_path / "two" / "checkpoint-2" / "trainer_state.json").read_text())
    assert log["global_step"] == 2
    losses = [entry for entry in log["log_history"] if "loss" in entry]
    assert len(losses) == 2
    for entry in losses:
        weighted = (
            entry["loss_mention"] + entry["loss_coreference"] + 0.25 * entry["loss_entity"] + entry["loss_relation"]
        )
        assert entry["loss"] == pytest.approx(weighted, rel=1e-4)
    run(tmp_path / "one", "--no_do_train", "--init_from", str(tmp_path / "two"), processes=1)
    one, two = _results(tmp_path / "one"), _results(tmp_path / "two")
    assert len(two[1]) == 3 and any(document["entities"] for document in two[1])
    assert one == two
