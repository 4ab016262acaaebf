"""Pushes models to the Hub: a model in memory with a fresh card, or a saved model's folder with its own card."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from glob import escape
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from huggingface_hub import CommitInfo, HfApi, ModelCard
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import HTTPError
from transformers import Pipeline

from modeling_docre.encoder_onnx import EXPORTED

from .card_picture import EXAMPLE, PICTURE, best_example
from .cards import RESULTS, UNNAMED, write_card, write_folder_card
from .escapes import python_string
from .files import write_whole
from .resources import resource

PUSH_ERRORS = (HTTPError, OSError)
"""What a broken connection, a refusing server or an unreadable file raises."""

_WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
_VOCABULARIES = ("vocab.json", "vocab.txt", "merges.txt", "*.model", "bpe.codes", "dict.txt")
_TOKENIZER = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", *_VOCABULARIES)
_ENDPOINT = ("handler.py", "requirements.txt")
_FILES = ("config.json", *_WEIGHTS, *_TOKENIZER, "*.py", "requirements.txt", "README.md", "LICENSE")
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")
_PICTURE = re.compile(r"""!\[[^\]]*\]\(<?([^)>\s]+)|<img\s[^>]*?src=["']([^"']+)""")

# Files of an earlier push that would describe other weights or be loaded instead of the new ones.
_REPLACED = (f"{RESULTS.parent}/*", PICTURE, *_WEIGHTS, EXPORTED)


class Pushed(NamedTuple):
    """The commit of a push and its tag ("v1", "v2", ...), or None if no tag was wanted."""

    commit: CommitInfo
    tag: str | None


def push_model(
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
    """Save a model into an empty folder and push it with a fresh card and the licence as one commit.

    The card has no scores, because those of a folder may belong to other weights. `push_folder` keeps a folder's own
    card. The card of a pipeline that finds entities shows the graph of an example, if there is one.

    Args:
        saved: a model, or a pipeline with its model and tokenizer.
        repo_id: the repository, "name" or "organisation/name"; created if it does not exist.
        max_shard_size: size above which the weights are split.
        commit_message, commit_description: the texts of the commit.
        private: whether a new repository is private; None means the organisation's default.
        token: the token to write with; by default the stored one.
        revision: the branch, created if it does not exist; None for the main one.
        create_pr: whether to open a pull request.
        tags: further tags of the card.

    Returns:
        The commit.

    Raises:
        OSError, huggingface_hub.errors.HTTPError: the Hub cannot be reached or refuses (`PUSH_ERRORS`).
    """
    model = saved.model if isinstance(saved, Pipeline) else saved
    api = HfApi(token=token)
    repo_id = _make_repository(api, repo_id, private, revision)
    with TemporaryDirectory() as folder:
        saved.save_pretrained(folder, max_shard_size=max_shard_size)
        _add_tags(write_card(folder, model, repository=repo_id, example=_example(saved)), tags or [])
        add_endpoint(Path(folder))
        return api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            commit_message=commit_message or f"Upload {type(model).__name__}",
            commit_description=commit_description,
            revision=revision,
            create_pr=create_pr,
            delete_patterns=list(_REPLACED),
        )


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    revision: str | None = None,
    message: str | None = None,
    private: bool | None = None,
    token: bool | str | None = None,
    tagged: bool = True,
) -> Pushed:
    """Push a saved model with its exported encoders, tokenizer, code, card, licence and scores, and nothing else.

    The model is not loaded. The folder's card is pushed with the repository's name filled in; a folder without a card
    gets one first, and one without the files for an Inference Endpoint gets these (see `add_endpoint`).

    Args:
        folder: the folder of the model.
        repo_id: the repository, "name" or "organisation/name"; created if it does not exist.
        revision: the branch, created if it does not exist; None for the main one.
        message: the text of the commit.
        private: whether a new repository is private; None means the organisation's default.
        token: the token to write with; by default the stored one.
        tagged: whether the commit gets the next free tag; a commit that has one keeps it.

    Raises:
        ValueError: the folder is incomplete, a file of the model is a link to elsewhere, or `repo_id` is invalid.
        OSError, huggingface_hub.errors.HTTPError: the Hub cannot be reached or refuses (`PUSH_ERRORS`).
    """
    folder = Path(folder)
    check_complete(folder)
    model_files(folder)  # refuses links before anything is created
    api = HfApi(token=token)
    repo_id = _make_repository(api, repo_id, private, revision)
    _name_repository(folder, repo_id)
    add_endpoint(folder)
    commit = api.upload_folder(
        repo_id=repo_id,
        folder_path=folder,
        commit_message=message or f"Upload {folder.resolve().name}",
        revision=revision,
        allow_patterns=[escape(file.relative_to(folder).as_posix()) for file in model_files(folder)],
        delete_patterns=[*_REPLACED, *_TOKENIZER],
    )
    return Pushed(commit, _tag(api, commit) if tagged else None)


def add_endpoint(folder: Path) -> None:
    """Put `handler.py` and `requirements.txt` for an Inference Endpoint beside a model; own files of a user stay."""
    for name in _ENDPOINT:
        if not (folder / name).exists():
            write_whole(folder / name, resource(f"modeling_docre/serving/{name}").read_bytes())


def push_command(folder: str | Path, repo_id: str, revision: str | None = None) -> str:
    """The command that pushes a folder."""
    branch = ["--revision", revision] if revision else []
    return shlex.join(["docre", "push", str(folder), repo_id, *branch])


def failure_message(folder: str | Path, repo_id: str, error: Exception, revision: str | None = None) -> str:
    """The message about a failed push: the model is complete, the reason, and the command to push later."""
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    return (
        f"{folder} is complete, but could not be pushed to {repo_id}: {reason}. Push it later by "
        f"`{push_command(folder, repo_id, revision)}`"
    )


def check_complete(folder: Path) -> None:
    """Check that a folder has everything that loading the model needs.

    Raises:
        ValueError: the configuration, weights, tokenizer or code is missing.
    """
    file = folder / "config.json"
    if not file.is_file():
        raise ValueError(f"{folder} holds no config.json; name the folder of a saved model")
    index = folder / "model.safetensors.index.json"
    weights = set(_read_json(index)["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    needed = [*sorted(weights), "tokenizer_config.json", *sorted(_code(_read_json(file)))]
    if missing := [name for name in needed if not (folder / name).is_file()]:
        raise ValueError(
            f"{folder} holds no {', no '.join(missing)}; save weights, tokenizer and code there by "
            f'pipeline("doc-relation-extraction", model=MODEL, tokenizer=TOKENIZER).save_pretrained("{folder}")'
        )


def _code(config: dict[str, Any]) -> set[str]:
    """The code files whose classes a configuration names, and that of the pipeline."""
    pipelines = config.get("custom_pipelines") or {}
    classes = [*(config.get("auto_map") or {}).values(), *(item["impl"] for item in pipelines.values())]
    return {f"{name.split('.')[0]}.py" for name in classes} | {"pipeline_docre.py"}


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error


def model_files(folder: Path) -> list[Path]:
    """The files of a saved model: its own at the top of the folder, exported encoders, scores, the card's pictures.

    Raises:
        ValueError: one of them is a link that leaves both the folder and the Hub's cache.
    """
    top = (file for file in folder.iterdir() if any(file.match(pattern) for pattern in _FILES))
    results = folder / RESULTS.parent
    scores = (file for file in results.iterdir() if file.match("*.yaml")) if results.is_dir() else ()
    files = sorted({*top, *folder.glob(EXPORTED), *scores, *_pictures(folder)})
    for file in files:
        _check_links(file, folder)
    return files


def _pictures(folder: Path) -> Iterator[Path]:
    """The pictures in the folder that its card shows."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    for name in map("".join, _PICTURE.findall(text)):
        file = folder / name
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts
        if inside and file.suffix.lower() in _PICTURES and (file.exists() or file.is_symlink()):
            yield file


def _check_links(file: Path, folder: Path) -> None:
    allowed = (folder.resolve(), Path(HF_HUB_CACHE).resolve())
    for path in takewhile(lambda path: path != folder, (file, *file.parents)):
        target = Path(os.path.realpath(path))
        # The upload silently skips the files of a linked folder, wherever it leads.
        if path.is_symlink() and not (target.is_file() and any(map(target.is_relative_to, allowed))):
            raise ValueError(f"{path} is a link to {target}, which is not pushed; replace it by a copy, or remove it")


def _example(saved: Any) -> dict[str, Any] | None:
    """What a pipeline finds in the text of the card's example code, if that is worth a picture."""
    if not isinstance(saved, Pipeline) or saved.model.config.traits.entities_given:
        return None
    return best_example([saved(EXAMPLE)])


def _make_repository(api: HfApi, repo_id: str, private: bool | None, revision: str | None) -> str:
    """Create a repository and its branch if they do not exist; return the repository's full name."""
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision and not revision.startswith("refs/pr"):
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    return repo_id


def _name_repository(folder: Path, repo_id: str) -> None:
    """Put the repository's name into the example code of a folder's card."""
    card = folder / "README.md"
    if not card.is_file():
        write_folder_card(folder, repository=repo_id)
        return
    text = card.read_text(encoding="utf-8")
    named = text.replace(f"model={python_string(UNNAMED)}", f"model={python_string(repo_id)}")
    if named != text:
        write_whole(card, named)


def _add_tags(file: Path, tags: list[str]) -> None:
    if tags:
        card = ModelCard.load(file)
        card.data.tags = list(dict.fromkeys([*(card.data.tags or []), *tags]))
        card.save(file)


def _tag(api: HfApi, commit: CommitInfo) -> str:
    """The tag of a commit, created if it has none."""
    repo_id = commit.repo_url.repo_id
    tags = [tag for tag in api.list_repo_refs(repo_id).tags if re.fullmatch(r"v\d+", tag.name)]
    for tag in tags:
        if tag.target_commit == commit.oid:
            return tag.name
    name = f"v{1 + max((int(tag.name[1:]) for tag in tags), default=0)}"
    api.create_tag(repo_id, tag=name, revision=commit.oid)
    return name
