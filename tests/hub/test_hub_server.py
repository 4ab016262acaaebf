"""The Hub of this machine answers `huggingface_hub` as the real one does, as far as the other tests rely on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_processes import run
from hub_server import Hub, running_hub


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with running_hub() as running:
        yield running


CLIENT = """
from pathlib import Path
from huggingface_hub import HfApi, CommitOperationDelete, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

api, found = HfApi(), {}
found["user"] = api.whoami()["name"]
for kind, name in (("model", "org/thing"), ("dataset", "org/thing"), ("space", "org/thing")):
    api.create_repo(name, repo_type=kind, exist_ok=True, space_sdk="gradio" if kind == "space" else None)
    api.create_repo(name, repo_type=kind, exist_ok=True, space_sdk="gradio" if kind == "space" else None)
    api.upload_file(path_or_fileobj=kind.encode(), path_in_repo="kind.txt", repo_id=name, repo_type=kind)
    found[kind] = Path(hf_hub_download(name, "kind.txt", repo_type=kind)).read_text()

folder = Path("folder")
(folder / "a" / "b").mkdir(parents=True)
(folder / "a" / "b" / "deep.txt").write_text("deep")
(folder / "large.safetensors").write_bytes(bytes(3000))
(folder / "README.md").write_text("---\\nlicense: mit\\n---\\nhello")
first = api.upload_folder(repo_id="org/thing", folder_path=folder, commit_message="the first")
again = api.upload_folder(repo_id="org/thing", folder_path=folder, commit_message="nothing new")
found["same"] = first.oid == again.oid
api.create_tag("org/thing", tag="v1")
api.create_branch("org/thing", branch="side", exist_ok=True)
api.create_branch("org/thing", branch="side", exist_ok=True)
(folder / "large.safetensors").write_bytes(bytes(4000))
second = api.upload_folder(repo_id="org/thing", folder_path=folder, delete_patterns=["*.txt"])
api.upload_file(path_or_fileobj=b"aside", path_in_repo="aside.txt", repo_id="org/thing", revision="side")
found["sizes"] = [
    Path(hf_hub_download("org/thing", "large.safetensors", revision=revision)).stat().st_size
    for revision in ("v1", "main", first.oid, first.oid[:10])
]
found["files"] = {name: sorted(api.list_repo_files("org/thing", revision=name)) for name in ("v1", "main", "side")}
found["titles"] = [commit.title for commit in api.list_repo_commits("org/thing")]
refs = api.list_repo_refs("org/thing")
found["refs"] = [[ref.name for ref in refs.branches], [(ref.name, ref.target_commit == first.oid) for ref in refs.tags]]
tree = {item.path: getattr(item, "lfs", None) and item.lfs.size for item in api.list_repo_tree("org/thing")}
found["tree"] = tree
found["path"] = [item.size for item in api.get_paths_info("org/thing", ["a/b/deep.txt", "absent"])]
found["snapshot"] = (Path(snapshot_download("org/thing", revision="v1")) / "a/b/deep.txt").read_text()
found["sha"] = api.model_info("org/thing").sha == second.oid
for error, call in (
    (RepositoryNotFoundError, lambda: api.model_info("org/absent")),
    (RevisionNotFoundError, lambda: hf_hub_download("org/thing", "README.md", revision="absent")),
    (EntryNotFoundError, lambda: hf_hub_download("org/thing", "absent.txt")),
    (Exception, lambda: HfApi(token="wrong").create_repo("org/other")),
):
    try:
        call()
    except error:
        continue
    raise SystemExit(f"no {error}")
print(json.dumps(found))
"""


def test_the_client_writes_and_reads_as_on_the_hub(hub: Hub, tmp_path: Path) -> None:
    found = run(CLIENT, tmp_path, hub)
    assert found["user"] == "tester"
    assert [found[kind] for kind in ("model", "dataset", "space")] == ["model", "dataset", "space"]
    assert found["same"] and found["sha"]
    assert found["sizes"] == [3000, 4000, 3000, 3000]
    everything = [".gitattributes", "README.md", "a/b/deep.txt", "kind.txt", "large.safetensors"]
    assert found["files"]["v1"] == everything
    assert found["files"]["main"] == [name for name in everything if name != "kind.txt"]
    assert found["files"]["side"] == sorted([*everything, "aside.txt"])
    assert found["titles"][1:] == ["the first", "Upload kind.txt with huggingface_hub", "initial commit"]
    assert found["refs"] == [["main", "side"], [["v1", True]]]
    assert found["tree"] == {".gitattributes": None, "README.md": None, "a": None, "large.safetensors": 4000}
    assert (found["path"], found["snapshot"]) == ([4], "deep")
    assert ("model", "org/other") not in hub.repositories


def test_the_connection_breaks_on_demand(hub: Hub, tmp_path: Path) -> None:
    script = """
from huggingface_hub import HfApi
from huggingface_hub.errors import HTTPError
api = HfApi()
api.create_repo("org/cut")
try:
    api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="org/cut")
except HTTPError as error:
    print(json.dumps(str(error)))
"""
    hub.broken = "POST .*/commit/"
    try:
        assert "disconnected" in run(script, tmp_path, hub)
    finally:
        hub.broken = None
    assert list(hub.model("org/cut").files()) == [".gitattributes"]
