"""Puts a model on the Hub: the files that a saved model consists of, its card, and one commit.

A checkpoint's card, licence and evaluation results hold for its weights and configuration only. They go along when what
is pushed is still the checkpoint it was loaded from, and are left behind when it was changed since.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import CommitInfo, HfApi, ModelCard, snapshot_download
from huggingface_hub.errors import HTTPError
from transformers import Pipeline, PreTrainedModel

from modeling_docre.encoder_code import is_remote

from .cards import write_card

COMPANIONS = ("README.md", "*.svg", "LICENSE", ".eval_results/*.yaml")
"""What stands beside the weights and the code: the card and its picture, the licence, the scores that the Hub shows."""

UNNAMED = "REPOSITORY"
"""Stands in a card for the repository as long as that has no name."""

UPLOAD_ERRORS = (HTTPError, OSError)
"""What a broken connection, a refusing server or an unreadable file raises."""

# Left over from an earlier push, these would say something about other weights, or be read in their stead.
_REPLACED = (".eval_results/*", "*.safetensors", "*.safetensors.index.json")
# What changes from save to save and not in what it means.
_INCIDENTAL = ("transformers_version", "auto_map", "custom_pipelines", "_name_or_path")


def push(
    saved: Any,
    repo_id: str,
    *,
    max_shard_size: int | str = "50GB",
    commit_message: str | None = None,
    commit_description: str | None = None,
    private: bool | None = None,
    token: bool | str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    tags: list[str] | None = None,
) -> CommitInfo:
    """Save into an empty folder and push that, and nothing else, as one commit.

    A card that belongs to the pushed weights replaces the repository's. Else the repository's own card stays, and only
    a repository without one gets a new one.

    Args:
        saved: a model, or a pipeline with its model and tokenizer.
        repo_id: the repository, "name" or "organisation/name"; it is made if it is not there.
        max_shard_size: size above which the weights are split.
        commit_message, commit_description: what the commit says.
        private: whether a repository that is made is private; None leaves it to the organisation.
        token: the token to write with; by default the one that is stored.
        revision: the branch, made if it is not there; None for the main one.
        create_pr: whether the commit becomes a pull request.
        tags: further tags of the card.

    Returns:
        The commit.
    """
    model = saved.model if isinstance(saved, Pipeline) else saved
    api = HfApi(token=token)
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision and not revision.startswith("refs/pr"):
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        saved.save_pretrained(folder, max_shard_size=max_shard_size)
        known = bring_companions(model, folder, token)
        card = folder / "README.md"
        if known:
            _rename(card, (UNNAMED, model.name_or_path), repo_id)
        else:
            write_card(folder, model, repository=repo_id)  # and the licence
        if not known and api.file_exists(repo_id, "README.md", revision=revision):
            card.unlink(missing_ok=True)
        if tags and card.exists():
            _add_tags(card, tags)
        return api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            commit_message=commit_message or f"Upload {type(model).__name__}",
            commit_description=commit_description,
            revision=revision,
            create_pr=create_pr,
            delete_patterns=list(_REPLACED),
        )


def bring_companions(model: PreTrainedModel, folder: Path, token: bool | str | None = None) -> bool:
    """Copy the companions of the checkpoint that a model came from, if it still is that checkpoint.

    The licence goes along in any case: it is also that of the code.

    Args:
        model: the model, which knows where it came from.
        folder: where the model was saved, and where the files go.
        token: the token to read with.

    Returns:
        Whether there was a card among them.
    """
    origin = _origin(model.name_or_path, token)
    if origin is None:
        return False
    same = _same_configuration(model, folder, origin) and _same_weights(model, folder, origin, token)
    for pattern in COMPANIONS if same else ("LICENSE",):
        for file in origin.glob(pattern):
            target = folder / file.relative_to(origin)
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)
    return (folder / "README.md").exists()


def _origin(name: str, token: bool | str | None) -> Path | None:
    """The folder that a model was loaded from, of a repository without its weights; None for a model made here."""
    if not name or Path(name).is_dir():
        return Path(name) if name else None
    try:
        return Path(snapshot_download(name, allow_patterns=["config.json", *COMPANIONS], token=token))
    except UPLOAD_ERRORS:
        return None  # gone since, or never a repository: the model then has no card to bring along


def _same_configuration(model: PreTrainedModel, folder: Path, origin: Path) -> bool:
    if not (origin / "config.json").is_file():
        return False
    # Read as configurations: the files also say what the library or the training left there.
    trusted = is_remote(model.config.encoder_config)
    first, second = (
        type(model.config).from_pretrained(place, trust_remote_code=trusted).to_dict() for place in (folder, origin)
    )
    return all(first.get(key) == second.get(key) for key in (first.keys() | second.keys()) - set(_INCIDENTAL))


def _same_weights(model: PreTrainedModel, folder: Path, origin: Path, token: bool | str | None) -> bool:
    if Path(model.name_or_path).is_dir():
        wanted = {file.name: _digest(file) for file in origin.glob("*.safetensors")}
    else:
        entries = HfApi(token=token).list_repo_tree(model.name_or_path, revision=origin.name)
        wanted = {entry.path: entry.lfs.sha256 for entry in entries if getattr(entry, "lfs", None)}
        wanted = {path: digest for path, digest in wanted.items() if path.endswith(".safetensors")}
    return bool(wanted) and wanted == {file.name: _digest(file) for file in folder.glob("*.safetensors")}


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _rename(card: Path, former: tuple[str, ...], repo_id: str) -> None:
    """Let the code in a card load the model from where it is now."""
    text = card.read_text(encoding="utf-8")
    for name in former:
        text = text.replace(f'model="{name}"', f'model="{repo_id}"')
    card.write_text(text, encoding="utf-8")


def _add_tags(file: Path, tags: list[str]) -> None:
    card = ModelCard.load(file)
    card.data.tags = list(dict.fromkeys([*(card.data.tags or []), *tags]))
    card.save(file)
