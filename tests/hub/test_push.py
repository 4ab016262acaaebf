"""A folder goes to the Hub (modeling_docre/hub/push.py) as it is, complete, and with nothing beside the model."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hub_processes import writing_to
from hub_server import Hub, running_hub
from huggingface_hub import CommitInfo
from pipelines import build
from tiny import tiny_jerex
from transformers import PreTrainedModel

from modeling_docre.hub import push as module
from modeling_docre.hub.cards import write_card
from modeling_docre.hub.push import check_complete, failure_message, model_files, push_command, push_folder

SCORES = {f"relation_{part}": 0.125 for part in ("precision", "recall", "f1")} | {"documents": 12}
ENDPOINT = {"handler.py", "requirements.txt"}
MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "LICENSE", "README.md"}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as running, writing_to(running):
        yield running


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model with tokenizer, code, card and scores."""
    folder = tmp_path_factory.mktemp("saved") / "model"
    pipe = build(tiny_jerex())
    pipe.save_pretrained(folder)
    write_card(folder, pipe.model, corpus="sample", dataset="org/sample", split="test", scores=SCORES)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "mo[d]el"))


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"secret")


def test_a_folder_is_pushed_with_its_card_and_nothing_beside_the_model(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "pytorch_model.bin", ".env")
    put(folder, "checkpoint-5/model.safetensors", "checkpoint-5/tokenizer.json", "validation/predictions.json")
    put(folder, "notes.txt", "unshown.png", "curve.svg", "pictures/graph.png", ".eval_results/notes.txt")
    put(folder, "onnx/encoder_int8.onnx", "onnx/notes.txt")
    card = folder / "README.md"
    shown = '![](curve.svg "curve") <img width="9" src="pictures/graph.png"> ![](../mo[d]el/unshown.png) ![](notes.txt)'
    card.write_text(f"{card.read_text()}\n{shown}\n")
    before = card.read_text()
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", None)  # the model is not loaded
    hub.put("org/folder", {"model-00001-of-00002.safetensors": b"", "model.safetensors.index.json": b"{}"})
    hub.put("org/folder", {".eval_results/old.yaml": b"", "added_tokens.json": b"{}", "kept.txt": b"kept"})
    hub.put("org/folder", {"onnx/encoder.onnx": b"of other weights"})
    commit, tag = push_folder(folder, "org/folder", message="the first")
    assert isinstance(commit, CommitInfo) and tag == "v1" == next(iter(hub.model("org/folder").tags))
    files = hub.model("org/folder").files(commit.oid)
    code = {file.name for file in folder.glob("*.py")} | ENDPOINT
    assert "modeling_jerex.py" in code and "pipeline_docre.py" in code
    beside = {"curve.svg", "pictures/graph.png", ".eval_results/docre_f1.yaml", "onnx/encoder_int8.onnx"}
    assert set(files) - {"kept.txt", ".gitattributes"} == MODEL | code | beside, "what an earlier push left is gone"
    assert all(files[name] == (folder / name).read_bytes() for name in MODEL | code | beside)
    assert files["README.md"].decode() == before.replace('model="REPOSITORY"', 'model="org/folder"') != before
    assert yaml.safe_load(files[".eval_results/docre_f1.yaml"])[0]["dataset"]["id"] == "org/sample"
    assert not any(b"secret" in content for name, content in files.items() if name not in beside)
    assert not any(str(folder.parent).encode() in content for content in files.values()), "a path of this machine"


def test_each_push_has_a_tag_and_a_commit_keeps_its_own(hub: Hub, folder: Path) -> None:
    first = push_folder(folder, "org/tagged")
    assert push_folder(folder, "org/tagged") == first, "nothing is new"
    (folder / ".eval_results" / "docre_f1.yaml").unlink()
    assert push_folder(folder, "org/tagged", tagged=False).tag is None
    (folder / "LICENSE").write_text("another one")
    second = push_folder(folder, "org/tagged", revision="trial", private=True)
    repository = hub.model("org/tagged")
    assert repository.tags == {"v1": first.commit.oid, "v2": second.commit.oid}
    assert set(repository.branches) == {"main", "trial"} and not repository.private
    assert ".eval_results/docre_f1.yaml" in repository.files("v1")
    assert ".eval_results/docre_f1.yaml" not in repository.files("main")
    assert repository.files("v2")["LICENSE"] == b"another one"


def test_files_for_an_endpoint_are_added_and_own_ones_kept(hub: Hub, folder: Path) -> None:
    (folder / "handler.py").write_text("# my own")
    push_folder(folder, "org/served")
    files = hub.model("org/served").files()
    assert files["handler.py"] == b"# my own" and b"transformers>=" in files["requirements.txt"]


def test_a_folder_without_a_card_gets_one(hub: Hub, folder: Path) -> None:
    (folder / "README.md").unlink()
    push_folder(folder, "org/carded")
    card = hub.model("org/carded").files()["README.md"].decode()
    assert "# JEREX" in card and 'model="org/carded"' in card and (folder / "README.md").read_text() == card


def test_what_is_incomplete_is_refused_before_anything_is_made(hub: Hub, saved: Path, tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model.safetensors"}})
    config = json.loads((saved / "config.json").read_text())
    other = json.dumps(config | {"auto_map": {"AutoModel": "modeling_other.Other"}})
    cases: dict[str, Callable[[Path], object]] = {
        "no config.json; name the folder of a saved model": lambda folder: (folder / "config.json").unlink(),
        "no model.safetensors; save weights": lambda folder: (folder / "model.safetensors").unlink(),
        "no model-00001-of-00002": lambda folder: (folder / "model.safetensors.index.json").write_text(index),
        "no tokenizer_config.json": lambda folder: (folder / "tokenizer_config.json").unlink(),
        "no modeling_jerex.py": lambda folder: (folder / "modeling_jerex.py").unlink(),
        "no modeling_other.py": lambda folder: (folder / "config.json").write_text(other),
        "no pipeline_docre.py": lambda folder: (folder / "pipeline_docre.py").unlink(),
        "config.json is not JSON": lambda folder: (folder / "config.json").write_text("{"),
    }
    for number, (message, damage) in enumerate(cases.items()):
        folder = Path(shutil.copytree(saved, tmp_path / str(number)))
        check_complete(folder)
        damage(folder)
        with pytest.raises(ValueError, match=message):
            push_folder(folder, "org/incomplete")
    with pytest.raises(ValueError, match="no config"):
        push_folder(tmp_path / "absent", "org/incomplete")
    assert ("model", "org/incomplete") not in hub.repositories


def test_a_link_to_elsewhere_is_refused_before_anything_is_made(hub: Hub, saved: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    put(secret, "key", "scores.yaml", "picture.png")
    names = ["README.md", "LICENSE", "config.json", "model.safetensors", "tokenizer.json", "more.py", "curve.svg"]
    names += [".eval_results/scores.yaml", ".eval_results", "pictures", "broken.py", "loop.py"]
    for number, name in enumerate(names):
        folder = Path(shutil.copytree(saved, tmp_path / str(number)))
        link, target = folder / name, secret / "key"
        (folder / "README.md").write_text("![](curve.svg) ![](pictures/picture.png)")
        if name in ("config.json", "model.safetensors"):
            target = Path(shutil.copyfile(saved / name, secret / name))
        if name in (".eval_results", "pictures"):
            target = secret
        shutil.rmtree(link) if link.is_dir() else link.unlink(missing_ok=True)
        link.symlink_to({"broken.py": secret / "absent", "loop.py": link}.get(name, target))
        with pytest.raises(ValueError, match=rf"{name} is a link to .*, which is not pushed; replace it by a copy"):
            push_folder(folder, "org/linked")
    assert ("model", "org/linked") not in hub.repositories


def test_links_inside_the_folder_and_of_the_hubs_cache_are_files(
    hub: Hub, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    snapshot, blobs = cache / "models--org--m" / "snapshots" / "abc", cache / "models--org--m" / "blobs"
    blobs.mkdir(parents=True)
    for number, file in enumerate(file for file in saved.rglob("*") if file.is_file()):
        shutil.copyfile(file, blobs / str(number))
        link = snapshot / file.relative_to(saved)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blobs / str(number))
    with pytest.raises(ValueError, match="is a link to"):
        model_files(snapshot)
    monkeypatch.setattr(module, "HF_HUB_CACHE", str(cache))
    (snapshot / "LICENSE").unlink()
    (snapshot / "LICENSE").symlink_to("README.md")
    push_folder(snapshot, "org/cached")
    files = hub.model("org/cached").files()
    assert set(files) - {".gitattributes"} == ENDPOINT | {
        file.relative_to(saved).as_posix() for file in saved.rglob("*") if file.is_file()
    }
    assert files["model.safetensors"] == (saved / "model.safetensors").read_bytes()
    assert files["LICENSE"] == files["README.md"]


def test_what_failed_is_told_on_one_line_with_the_command_to_push_it_later(tmp_path: Path) -> None:
    assert push_command("out put", "org/name", "trial") == "docre push 'out put' org/name --revision trial"
    message = failure_message(tmp_path, "o/n", OSError("gone\nfar"))
    assert message.startswith(f"{tmp_path} is complete, but could not be pushed to o/n: gone. Push it later by `")
    assert shlex.split(message.split("`")[1]) == ["docre", "push", str(tmp_path), "o/n"]
    assert "OSError" in failure_message(tmp_path, "o/n", OSError())
