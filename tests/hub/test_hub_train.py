"""train.py and the Hub: each best checkpoint or the last one, tags, and a connection that breaks."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hub_processes import writing_to
from hub_server import TOKEN, Hub, running_hub
from huggingface_hub import ModelCard
from tiny import tiny_atlop, tiny_encoder, tiny_tokenizer
from training import BRIEF, FIVE, trainer, write_jsonl

from modeling_docre.hub.push import push_folder
from modeling_docre.hub.push_trainer import PushTrainer
from modeling_docre.training.arguments import DocRETrainingArguments
from modeling_docre.training.run import main
from modeling_docre.training.saving import command_line


def outcome(arguments: list[str], hub: Hub, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Train as from the command line; the message that it ends with, if it does not succeed."""
    monkeypatch.setattr(sys, "argv", ["docre train", *arguments])
    with writing_to(hub):
        try:
            main()
        except ConnectionError as stop:
            return str(stop)
    return None


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What all runs have in common: a small ATLOP that sees five documents twice."""
    folder = tmp_path_factory.mktemp("data")
    tiny_encoder().save_pretrained(folder / "encoder")
    tiny_tokenizer().save_pretrained(folder / "encoder")
    own = ["--system", "atlop", "--pair_size", "24", "--bilinear_groups", "3", "--negatives_relation", "-1"]
    own += [
        "--per_device_train_batch_size",
        "1",
        "--num_train_epochs",
        "2",
        "--save_total_limit",
        "5",
        "--encoder",
        str(folder / "encoder"),
    ]
    data = ["--train_file", write_jsonl(folder / "a.jsonl", FIVE)]
    data += ["--validation_file", write_jsonl(folder / "b.jsonl", FIVE[:3])]
    brief = [word for word in BRIEF if word not in ("--negatives_mention", "20")]
    return [*brief, *own, *data]


def hub_flags(output: Path, name: str, *more: str) -> list[str]:
    return ["--output_dir", str(output), "--push_to_hub", "--hub_model_id", name, *more]


def test_best_checkpoints_and_the_last_model_are_pushed(
    hub: Hub, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    told = ["--hub_dataset_id", "org/corpus", "--hub_token", TOKEN]
    again = ["--hub_strategy", "end", "--seed", "3", "--hub_private_repo", "true"]
    runs = [[*flags, *hub_flags(first, "org/trained", *told)], [*flags, *hub_flags(second, "org/trained", *again)]]
    assert [outcome(arguments, hub, monkeypatch) for arguments in runs] == [None, None]
    repository = hub.model("org/trained")
    titles = [commit.title for commit in reversed(repository.history())]
    steps = [int(title.rpartition(" ")[2]) for title in titles if title.startswith("Training in progress")]
    assert titles == [
        "initial commit",
        *(f"Training in progress, step {step}" for step in steps),
        "End of training",
        "End of training",
    ]
    assert steps == improvements(first) != []
    assert list(repository.tags) == ["v1", "v2"]
    assert repository.tags["v2"] == repository.sha("main")
    assert not repository.private  # it was there already
    for tag, output in (("v1", first), ("v2", second)):
        check_pushed(repository.files(tag), output, "org/trained")
    scores = {item["dataset"]["task_id"]: item["value"] for item in results(repository.files("v1"))}
    written = json.loads((first / "validation" / "scores.json").read_text())
    assert scores["relation_f1"] == pytest.approx(written["relation_f1"], abs=1e-3)
    # The second run named no data set: what the first one scored does not stay.
    assert not any(path.startswith(".eval_results") for path in repository.files("v2"))
    everything = [blob.content for commit in repository.commits.values() for blob in commit.files.values()]
    assert not any(TOKEN.encode() in content for content in everything)


def improvements(output: Path) -> list[int]:
    """The steps at which the best score so far was reached, from the log of a run."""
    log = json.loads(max(output.glob("checkpoint-*/trainer_state.json"), key=_step).read_text())["log_history"]
    best, steps = float("-inf"), []
    for entry in log:
        if "eval_relation_f1" in entry and entry["eval_relation_f1"] > best:
            best = entry["eval_relation_f1"]
            steps.append(entry["step"])
    return steps


def _step(state: Path) -> int:
    return int(state.parent.name.rpartition("-")[2])


def results(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return yaml.safe_load(files[".eval_results/docre_f1.yaml"])


def check_pushed(files: dict[str, bytes], output: Path, name: str) -> None:
    """The model that the output folder holds, and nothing of the training."""
    assert files["model.safetensors"] == (output / "model.safetensors").read_bytes()
    beside = {".gitattributes", "README.md", "LICENSE", "config.json", "model.safetensors", "requirements.txt"}
    beside |= {"tokenizer.json", "tokenizer_config.json", ".eval_results/docre_f1.yaml", "example_graph.svg"}
    assert {path for path in files if not path.endswith(".py")} <= beside
    text = files["README.md"].decode()
    assert text == (output / "README.md").read_text()
    assert f'model="{name}"' in text and "docre train" in text and "--hub_token" not in text
    assert "relation-extraction" in ModelCard(text).data.tags
    command = ("README.md", ".eval_results/docre_f1.yaml")
    own = {path: content for path, content in files.items() if path not in command}
    assert not any(str(output.parent).encode() in content for content in own.values()), "a path of this machine"


def test_a_broken_connection_leaves_a_result_and_says_how_to_push_it(
    hub: Hub, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is gone once the repository is made: training goes on, and the model can be pushed later."""
    output = tmp_path / "out put"
    hub.broken = "POST /api/models/org/later/commit"
    try:
        arguments = [*flags, *hub_flags(output, "org/later", "--hub_revision", "trial")]
        message = outcome(arguments, hub, monkeypatch)
    finally:
        hub.broken = None
    assert len(message.splitlines()) == 1
    assert message.startswith(f"{output} is complete, but could not be pushed to org/later: ")
    words = shlex.split(message.split("`")[1])
    assert words == ["docre", "push", str(output), "org/later", "--revision", "trial"]
    assert list(hub.model("org/later").files()) == [".gitattributes"]
    assert json.loads((output / "train_results.json").read_text())["epoch"] == 2.0
    with writing_to(hub):
        pushed = push_folder(output, "org/later", revision="trial")
    repository = hub.model("org/later")
    assert pushed.tag == "v1" and pushed.commit.oid == repository.sha("trial") == repository.sha("v1")
    check_pushed(repository.files("v1"), output, "org/later")
    assert set(repository.branches) == {"main", "trial"} and list(repository.files()) == [".gitattributes"]


def test_a_hub_that_is_out_of_reach_is_said_before_training(flags: list[str], tmp_path: Path) -> None:
    arguments = [*flags, *hub_flags(tmp_path / "out", "org/name")]
    with pytest.raises(ConnectionError, match=r"org/name cannot be created: .*hf auth login") as caught:
        main(arguments)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_push_in_the_background_is_refused(tmp_path: Path) -> None:
    running = trainer(tiny_atlop(), tmp_path, FIVE[:2])
    assert isinstance(running, PushTrainer)
    with pytest.raises(ValueError, match="blocking is False"):
        running.push_to_hub(blocking=False)


def test_a_strategy_that_pushes_pickles_is_refused(flags: list[str], tmp_path: Path) -> None:
    for strategy in ("checkpoint", "all_checkpoints"):
        with pytest.raises(ValueError, match=f"hub_strategy is '{strategy}', which pushes pickles .* 'end'"):
            main([*flags, *hub_flags(tmp_path / "out", "org/name", "--hub_strategy", strategy)])
    assert DocRETrainingArguments(str(tmp_path)).hub_strategy == "every_save"


def test_the_token_is_not_part_of_the_command() -> None:
    for secret in (["--hub_token", "hf_x"], ["--hub_token=hf_x"], ["--hub-token", "hf_x"], ["--hub-token=hf_x"]):
        assert command_line(["a b.yaml", *secret, "--seed", "3"]) == "docre train 'a b.yaml' --seed 3"
