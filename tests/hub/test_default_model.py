"""The model that comes with the package: its files, and that its scores are the same wherever it is loaded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml
from hub_processes import REPOSITORY, environment
from pipelines import close
from safetensors.torch import load_file

from modeling_docre.hub.resources import default_model

FOLDER = REPOSITORY / "checkpoints" / "default"
FILES = {"LICENSE", "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
TEXT = (REPOSITORY / "recipes" / "unseen_text.txt").read_text(encoding="utf-8")

EXTRACT = """
import json, sys
from transformers import pipeline
import modeling_docre

print(json.dumps([modeling_docre.__file__, pipeline("doc-relation-extraction")(json.loads(sys.argv[1]))]))
"""


@pytest.fixture(scope="module")
def graph() -> dict[str, Any]:
    return transformers.pipeline("doc-relation-extraction")(TEXT)


def test_it_is_small_and_complete() -> None:
    assert default_model() == str(FOLDER)
    sizes = {file.name: file.stat().st_size for file in FOLDER.iterdir()}
    assert sizes.keys() == FILES and sum(sizes.values()) <= 55e6
    weights = load_file(FOLDER / "model.safetensors").values()
    assert {value.dtype for value in weights if value.is_floating_point()} == {torch.float16}
    assert {value.dtype for value in transformers.AutoModel.from_pretrained(FOLDER).parameters()} == {torch.float32}


def test_its_card_tells_scores_thresholds_limits_and_licences() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    config = json.loads((FOLDER / "config.json").read_text())
    metadata = yaml.safe_load(card.split("---")[1])
    assert metadata["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    for name, value in transformers.AutoConfig.from_pretrained(FOLDER).thresholds_in_force().items():
        assert f"{name} {value:.3g}" in card, name
    assert f"divided by {config['relation_temperature']:.2f}" in card
    for word in ("Apache-2.0", "MIT", "CC BY-SA", "calibration error", "twenty paragraphs"):
        assert word in card, word
    assert not re.search(r"[ `'](/|\.\./)", card), "no path of a machine"
    assert "![" not in card


def test_it_finds_what_a_plain_text_says(graph: dict[str, Any]) -> None:
    names = [entity["mentions"][0]["name"] for entity in graph["entities"]]
    found = {(names[item["head"]], item["label"], names[item["tail"]]) for item in graph["relations"]}
    assert ("Galway", "country", "Ireland") in found
    assert all(TEXT[m["char_start"] : m["char_end"]] == m["name"] for e in graph["entities"] for m in e["mentions"])


@pytest.mark.slow
def test_the_wheel_finds_the_same_in_an_environment_of_its_own(graph: dict[str, Any], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(REPOSITORY)], check=True
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(packages)
        files = (REPOSITORY / "recipes").rglob("*.yaml")
        recipes = {f"modeling_docre/{file.relative_to(REPOSITORY).as_posix()}" for file in files}
        assert recipes <= set(wheel.namelist())
    # Its dependencies are this environment's; a folder that is only on the path brings no editable installation along.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    command = [str(tmp_path / "env" / "bin" / "python"), "-I", "-c", EXTRACT, json.dumps(TEXT)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(None, tmp_path / "home"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    source, found = json.loads(done.stdout.splitlines()[-1])
    assert close(found, graph) and Path(source).is_relative_to(packages)
