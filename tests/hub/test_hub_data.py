"""Corpora and the metric on the Hub: pushed, and loaded elsewhere without the package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_processes import REPOSITORY, run, writing_to
from hub_server import Hub, running_hub
from huggingface_hub import DatasetCard, HfApi

from dataset_scripts.building.export import main
from dataset_scripts.sample import Sample
from modeling_docre import metric_folder

LOAD = """
import evaluate
from datasets import load_dataset

gold = {"id": "a", "sentences": [["Ada", "in", "London"]],
        "entities": [{"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 1}]},
                     {"type": "LOC", "mentions": [{"sentence": 0, "start": 2, "end": 3}]}],
        "relations": [{"head": 0, "tail": 1, "type": "residence"}]}
metric = evaluate.load("org/docre_f1")
found = load_dataset("org/sample")
streamed = load_dataset("org/sample", split="validation", streaming=True)
print(json.dumps({
    "metric": type(metric).__module__,
    "f1": metric.compute(predictions=[gold], references=[gold])["relation_f1"],
    "rows": {name: split.to_list() for name, split in found.items()},
    "features": {name: str(split.features) for name, split in found.items()},
    "streamed": list(streamed),
    "streamed_features": str(streamed.features),
}))
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process without the package finds, after the corpus and the metric were pushed."""
    folder = tmp_path_factory.mktemp("data")
    hub.put("org/sample", {"data/train-00000-of-00002.parquet": b"of an earlier export"}, kind="dataset")
    with writing_to(hub):
        export(folder)
        api = HfApi()
        api.create_repo("org/docre_f1", repo_type="space", space_sdk="gradio")
        api.upload_folder(
            repo_id="org/docre_f1", repo_type="space", folder_path=metric_folder(), ignore_patterns=["__pyc*"]
        )
    return run(LOAD, folder / "elsewhere", hub, package=False)


def export(folder: Path, name: str = "org/sample") -> None:
    main(Sample, ["--out", str(folder / "out"), "--push_to_hub", name, "--cache_dir", str(folder / "cache")])


def test_a_corpus_is_pushed_and_loads_with_the_same_rows(hub: Hub, elsewhere: dict[str, Any], tmp_path: Path):
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
    assert elsewhere["rows"] == {name: split.to_list() for name, split in expected.items()}
    assert elsewhere["streamed"] == elsewhere["rows"]["validation"]
    features = str(expected["train"].features)
    assert set(elsewhere["features"].values()) == {features} == {elsewhere["streamed_features"]}


def test_the_metric_is_a_space_that_loads_by_its_name(hub: Hub, elsewhere: dict[str, Any]):
    files = hub.find("space", "org/docre_f1").files()
    assert {"README.md", "app.py", "docre_f1.py", "requirements.txt"} <= set(files)
    assert elsewhere["f1"] == 1.0 and re.search(r"org--docre_f1", elsewhere["metric"])


def test_a_corpus_that_cannot_be_pushed_stays_whole_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    message = f"org/sample was not pushed: (?s:.*)hf upload org/sample {re.escape(str(tmp_path / 'out'))}"
    with pytest.raises(SystemExit, match=message):
        export(tmp_path)  # no connection
    assert (tmp_path / "out/data/train-00000-of-00001.parquet").is_file()
    assert "| documents |" in capsys.readouterr().out


def test_a_name_that_the_hub_would_refuse_is_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        export(tmp_path, name="a b")
    assert stop.value.code == 2 and "--push_to_hub a b" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_metrics_front_matter_is_that_of_a_space():
    from huggingface_hub import SpaceCard

    for folder in ("metrics/docre_f1", "spaces/demo"):
        data = SpaceCard.load(REPOSITORY / folder / "README.md").data
        assert (data.sdk, data.app_file) == ("gradio", "app.py"), folder
        assert (REPOSITORY / folder / "requirements.txt").is_file()
    assert json.dumps(data.sdk_version)
