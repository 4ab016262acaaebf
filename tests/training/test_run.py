"""Runs from end to end: recipes, flags, data, output, failures, interruptions, several processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from samples import ANNA, ODD_DOCUMENTS, OTTO, build
from tiny import save_tiny, tiny_encoder, tiny_jerex, tiny_tokenizer
from training import BRIEF, FIVE, trainer, write_jsonl

from modeling_docre import Document, DocumentError, JerexModel, Predictor, text
from modeling_docre.training import run
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.saving import save_model
from modeling_docre.training.trainer import DocRETrainer

REPOSITORY = Path(__file__).resolve().parents[2]
UNEVALUATED = ["--eval_strategy", "no", "--load_best_model_at_end", "false", "--save_strategy", "no"]


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def fails(arguments: list[str], *words: str, kind: type[BaseException] = ValueError) -> None:
    with pytest.raises(kind) as caught:
        run.main(arguments)
    for word in words:
        assert word in str(caught.value)


def test_empty_files_and_documents_that_are_scored_and_trained_on(
    encoder: str, files: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["--encoder", encoder, "--window_overlap", "16", "--output_dir", str(tmp_path / "out"), *UNEVALUATED]
    (tmp_path / "none.jsonl").write_text("", encoding="utf-8")
    fails([*options, "--train_file", str(tmp_path / "none.jsonl")], "no training documents")
    run.main([*options, *files, "--max_steps", "1", "--per_device_train_batch_size", "5"])
    assert "3 of 3 validation documents are training documents, too; scores on them say little" in caplog.messages


@pytest.mark.parametrize(("options", "advised"), [([], True), (["--letter_case", "true"], False)])
def test_an_encoder_of_lower_case_can_be_made_to_see_capitals(
    options: list[str], advised: bool, encoder: str, files: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    brief = ["--encoder", encoder, "--window_overlap", "16", "--output_dir", str(tmp_path / "out"), "--max_steps", "1"]
    with caplog.at_level("INFO"):
        run.main([*brief, *UNEVALUATED, *files, *options])
    assert any("with --letter_case true" in message for message in caplog.messages) is advised
    assert _read(tmp_path / "out" / "config.json")["letter_case"] is not advised


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
    fails([*common, *files, "--num_train_epochs", "-3"], "num_train_epochs is -3", "trains nothing")
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


def test_a_trained_model_learns_new_types(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    odd = build("odd", ["a b"], [("PER", [(0, 0, 1)]), ("FOOD", [(0, 1, 2)])], [(0, 1, "eats")])
    folder, output = save_tiny(tmp_path / "model"), tmp_path / "o"
    data = ["--train_file", write_jsonl(tmp_path / "a.jsonl", [ANNA, odd]), "--output_dir", str(output)]
    with caplog.at_level("INFO"):
        run.main([*BRIEF, *data, *UNEVALUATED, "--max_steps", "1", "--init_from", str(folder)])
    assert "new entity types FOOD" in caplog.text and "new relation types eats" in caplog.text
    config = JerexModel.from_pretrained(output).config
    assert config.entity_types == ["PER", "LOC", "ORG", "FOOD"]
    assert config.relation_types == ["born", "works", "seat", "eats"]


def test_a_trained_model_is_not_scored_on_types_of_which_it_knows_none(tmp_path: Path) -> None:
    odd = build("odd", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "eats")])
    other = build("other", ["a"], [("FOOD", [(0, 0, 1)])])
    folder = save_tiny(tmp_path / "model")
    for document, name in ((odd, "'eats'"), (other, "'FOOD'")):
        data = ["--validation_file", write_jsonl(tmp_path / "a.jsonl", [document]), "--output_dir", str(tmp_path / "o")]
        fails([*BRIEF, *data, "--no_do_train", "--init_from", str(folder)], name, "train a new model")
    assert not (tmp_path / "o").exists()


def test_a_stage_needs_only_the_labels_that_it_uses(tmp_path: Path, encoder: str) -> None:
    """Mentions alone are learned from documents without relations, and scored on them."""
    file = write_jsonl(tmp_path / "a.jsonl", [replace(document, relations=()) for document in FIVE[:2]])
    files = ["--train_file", file, "--validation_file", file, "--output_dir", str(tmp_path / "o")]
    common = [*BRIEF, *files, *UNEVALUATED, "--encoder", encoder, "--max_steps", "1"]
    run.main([*common, "--task", "mention"])
    assert _read(tmp_path / "o/config.json")["relation_types"] == []
    assert "mention_f1" in _read(tmp_path / "o/validation/scores.json")
    fails([*common, "--task", "relation"], "no document has a relation")


def test_a_language_that_spacy_cannot_read_is_said_before_training(
    tmp_path: Path, encoder: str, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def blank(language: str) -> None:
        raise ImportError("the tokenizer needs another package")

    monkeypatch.setattr(text.spacy, "blank", blank)
    common = [*BRIEF, *files, "--encoder", encoder, "--output_dir", str(tmp_path / "o"), "--language", "th"]
    fails(common, "'th'", "install what it asks for", "`language`")
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
    predictions = [Document.from_dict(item) for item in _read(output / "validation/predictions.json")]
    scores = _read(output / "validation/scores.json")
    assert len(predictions) == scores["documents"] == 12
    assert {"relation_f1", "ign_f1", "per_type", "thresholds", "predict_samples_per_second"} <= scores.keys()
    state = _read(output / "checkpoint-3/trainer_state.json")
    assert state["global_step"] == 3 and state["best_metric"] is not None
    assert _read(output / "train_results.json")["epoch"] == 1
    config = _read(output / "config.json")
    assert (config["relation_head"], config["task"]) == ("global", "relation")
    assert config["relation_threshold"] == scores["thresholds"]["relation_threshold"]
    assert config["relation_types"] == sorted(config["relation_labels"])


def test_a_model_is_calibrated_and_saved_in_half_precision(tmp_path: Path, files: list[str]) -> None:
    folder, output = save_tiny(tmp_path / "model", task="relation", relation_threshold=0.3), tmp_path / "output"
    options = ["--no_do_train", "--init_from", str(folder), "--output_dir", str(output), "--calibrate", "true"]
    run.main([*BRIEF, *options, *files[2:], "--test_file", files[3], "--weights_dtype", "float16"])
    config = _read(output / "config.json")
    assert config["relation_temperature"] != 1 and config["dtype"] == "float32"
    assert (output / "model.safetensors").stat().st_size < 0.55 * (folder / "model.safetensors").stat().st_size
    found = [Document.from_dict(item) for item in _read(output / "test/predictions.json")]
    model = JerexModel.from_pretrained(output)
    assert found == Predictor(model, tiny_tokenizer()).predict(FIVE[:3]), "the scores are those of what is loaded"
    calibration = _read(output / "test/scores.json")["calibration"]
    assert [calibration[name] for name in ("temperature", "shift")] == [
        config[f"relation_{name}"] for name in ("temperature", "shift")
    ]
    named = _read(output / "test/scores.json")["named_thresholds"]
    assert [[item["name"], item["threshold"]] for item in named] == config["named_thresholds"] and named
    assert model.config.named_threshold("balanced") == dict(config["named_thresholds"])["balanced"]
    card = (output / "README.md").read_text(encoding="utf-8")
    assert f"balanced {model.config.named_threshold('balanced'):.3g}" in card
    assert f"divided by {calibration['temperature']:.2f}, and" in card and "calibrated on documents like" in card
    fails([*BRIEF, *options[:5], *files[2:], "--least_precision", "0.5"], "--calibrate true")


def test_a_trained_model_goes_on_with_other_options(tmp_path: Path, files: list[str]) -> None:
    folder = save_tiny(tmp_path / "model", task="relation", relation_threshold=0.9)
    output = tmp_path / "output"
    # Another thing than the model would do by itself: nearly everything is a relation.
    options = ["--relation_threshold", "0.3", "--no_do_train", "--init_from", str(folder), "--output_dir", str(output)]
    run.main([*BRIEF, *options, *files[2:], "--test_file", files[3], "--window_overlap", "8"])
    config = _read(output / "config.json")
    assert (config["relation_threshold"], config["window_overlap"], config["task"]) == (0.3, 8, "relation")
    found = [Document.from_dict(item) for item in _read(output / "test/predictions.json")]
    model = tiny_jerex(task="relation", relation_threshold=0.3)
    assert found == Predictor(model, tiny_tokenizer()).predict(FIVE[:3])
    assert any(document.relations for document in found)
    assert "ign_f1" not in _read(output / "test/scores.json")
    other = tmp_path / "other"
    tiny_encoder().save_pretrained(other)
    fails(
        [*BRIEF, *files, "--init_from", str(other), "--output_dir", str(output)], "'bert'", "'docre-jerex'", "--system"
    )


# --- failures -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, encoder: str, files: list[str]) -> list[str]:
    """Flags of a short run that was made, its output folder the last."""
    output = tmp_path_factory.mktemp("finished") / "output"
    flags = [*BRIEF, *files, *UNEVALUATED, "--encoder", encoder, "--task", "relation", "--max_steps", "1"]
    run.main([*flags, "--output_dir", str(output)])
    return [*flags, "--output_dir", str(output)]


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_full_disk_leaves_the_former_run_as_it_was(finished: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    output = Path(finished[-1])
    before = _contents(output)
    assert {"model.safetensors", "config.json", "validation/scores.json", "README.md", "train_results.json"} <= set(
        before
    )

    def fill(tensors: Any, file: Any, **options: Any) -> None:
        Path(file).write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", fill)
    fails([*finished, "--seed", "7"], "No space left on device", str(output), kind=OSError)
    assert _contents(output) == before


def test_no_error_of_a_report_costs_the_model(
    finished: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    output = Path(finished[-1])
    before = _contents(output)

    def fail(*arguments: Any, **options: Any) -> None:
        raise UnicodeEncodeError("ascii", "Ł", 0, 1, "ordinal not in range(128)")

    monkeypatch.setattr(DocRETrainer, "score", fail)
    fails([*finished, "--seed", "7"], "ordinal")
    assert f"the model is saved in {output}" in caplog.text
    after = _contents(output)
    assert after["model.safetensors"] != before["model.safetensors"] and JerexModel.from_pretrained(output)
    former = {"README.md", "validation/scores.json", "validation/predictions.json"}
    assert former <= before.keys() and not former & after.keys(), (
        "nothing of the former model stands beside the new one"
    )


def test_a_training_that_diverges_is_an_error_and_saves_nothing(tmp_path: Path, encoder: str, files: list[str]) -> None:
    quick = ["--learning_rate", "1e30", "--warmup_steps", "0", "--num_train_epochs", "2", "--output_dir", str(tmp_path)]
    common = [*BRIEF, *files, *UNEVALUATED, "--encoder", encoder, *quick]
    fails(common, "stage is nan at update 2", "diverges", "--learning_rate (1e+30)")
    assert not (tmp_path / "config.json").exists()


def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path: Path) -> None:
    model = tiny_jerex()
    name, weight = "entity_classifier.output.weight", model.entity_classifier.output.weight
    for value, right in ((3e38, True), (float("nan"), False), (float("inf"), False)):
        weight.data[:] = value  # of large numbers the sum is infinite, too
        model.save_pretrained(tmp_path / "saved")
        running = trainer(model, tmp_path / "run", [ANNA])
        if right:
            JerexModel.from_pretrained(tmp_path / "saved")
            continue
        with pytest.raises(ValueError, match=rf"{name} of .*saved is not finite"):
            JerexModel.from_pretrained(tmp_path / "saved")
        with pytest.raises(ValueError, match=rf"{name} of the trained model is not finite"):
            save_model(running)
        with pytest.raises(ValueError, match=rf"{name} of the model after update 0 is not finite"):
            running._save_checkpoint(model, None)
        assert not list((tmp_path / "run").rglob("*"))
