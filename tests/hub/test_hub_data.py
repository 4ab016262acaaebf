"""Corpora and the metric on the Hub: pushed, and loaded elsewhere without the package."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_processes import REPOSITORY, environment, run
from hub_server import Hub, running_hub
from huggingface_hub import DatasetCard

from dataset_scripts.sample import Sample

LOAD = """
from datasets import load_dataset
found = load_dataset("org/sample")
streamed = load_dataset("org/sample", split="validation", streaming=True)
print(json.dumps({
    "rows": {name: split.to_list() for name, split in found.items()},
    "features": {name: str(split.features) for name, split in found.items()},
    "streamed": list(streamed),
    "streamed_features": str(streamed.features),
}))
"""
SCORE = """
import evaluate
gold = {"id": "a", "sentences": [["Ada", "in", "London"]],
        "entities": [{"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 1}]},
                     {"type": "LOC", "mentions": [{"sentence": 0, "start": 2, "end": 3}]}],
        "relations": [{"head": 0, "tail": 1, "type": "residence"}]}
metric = evaluate.load("org/docre_f1")
print(json.dumps([type(metric).__module__, metric.compute(predictions=[gold], references=[gold])["relation_f1"]]))
"""
PUSH_METRIC = """
from huggingface_hub import HfApi
from modeling_docre import metric_folder
api = HfApi()
api.create_repo("org/docre_f1", repo_type="space", space_sdk="gradio")
api.upload_folder(repo_id="org/docre_f1", repo_type="space", folder_path=metric_folder(), ignore_patterns=["__pyc*"])
print(json.dumps(sorted(api.list_repo_files("org/docre_f1", repo_type="space"))))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


def export(hub: Hub, folder: Path, name: str = "org/sample") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dataset_scripts.sample", "--out", str(folder / "out"), "--push_to_hub", name]
    command += ["--cache_dir", str(folder / "cache")]
    variables = environment(hub, folder / "home")
    return subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)


def test_a_corpus_is_pushed_and_loads_with_the_same_rows(hub: Hub, tmp_path: Path):
    hub.put("org/sample", {"data/train-00000-of-00002.parquet": b"of an earlier export"}, kind="dataset")
    done = export(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    files = hub.find("dataset", "org/sample").files()
    assert {name for name in files if not name.startswith(".git")} == {
        "README.md",
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
    }
    card = DatasetCard(files["README.md"].decode())
    assert [entry["split"] for entry in card.data["configs"][0]["data_files"]] == ["train", "validation"]
    builder = Sample(str(tmp_path / "cache"))
    builder.download_and_prepare()
    expected = builder.as_dataset()
    loaded = run(LOAD, tmp_path / "elsewhere", hub, package=False)
    assert loaded["rows"] == {name: split.to_list() for name, split in expected.items()}
    assert loaded["streamed"] == loaded["rows"]["validation"]
    features = str(expected["train"].features)
    assert set(loaded["features"].values()) == {features} == {loaded["streamed_features"]}


def test_a_corpus_that_cannot_be_pushed_stays_whole_on_disk(hub: Hub, tmp_path: Path):
    done = export(None, tmp_path)  # no connection
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "org/sample was not pushed" in done.stderr and f"hf upload org/sample {tmp_path / 'out'}" in done.stderr
    assert (tmp_path / "out/data/train-00000-of-00001.parquet").is_file()
    assert "| documents |" in done.stdout


def test_a_name_that_the_hub_would_refuse_is_refused_first(tmp_path: Path):
    done = export(None, tmp_path, name="a b")
    assert done.returncode == 2 and "--push_to_hub a b" in done.stderr and not (tmp_path / "out").exists()


def test_the_metric_is_a_space_that_loads_by_its_name(hub: Hub, tmp_path: Path):
    files = run(PUSH_METRIC, tmp_path / "author", hub)
    assert {"README.md", "app.py", "docre_f1.py", "requirements.txt"} <= set(files)
    module, f1 = run(SCORE, tmp_path / "user", hub, package=False)
    assert f1 == 1.0 and re.search(r"org--docre_f1", module)


def test_the_metrics_front_matter_is_that_of_a_space():
    from huggingface_hub import SpaceCard

    for folder in ("metrics/docre_f1", "spaces/demo"):
        data = SpaceCard.load(REPOSITORY / folder / "README.md").data
        assert (data.sdk, data.app_file) == ("gradio", "app.py"), folder
        assert (REPOSITORY / folder / "requirements.txt").is_file()
    assert json.dumps(data.sdk_version)
