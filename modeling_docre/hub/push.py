"""Pushes the folder of a saved model to the Hub, with its card, as a commit and a tag that others can pin.

`python -m modeling_docre.hub.push outputs/jerex_sample organisation/name`
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import CommitInfo, HfApi
from transformers import pipeline

from modeling_docre.pipeline_docre import TASK

from .upload import UPLOAD_ERRORS


class Shared(NamedTuple):
    """What a push made: the commit, and the tag that names it ("v1", "v2", ...), None where none was asked for."""

    commit: CommitInfo
    tag: str | None


def share(
    folder: str | Path,
    repo_id: str,
    *,
    message: str | None = None,
    revision: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    tagged: bool = True,
) -> Shared:
    """Push a saved model with its tokenizer, code, card, licence and scores, and nothing else that its folder holds.

    Args:
        folder: the folder of the model, loaded once more: what is pushed is what can be loaded.
        repo_id: the repository, "name" or "organisation/name"; it is made if it is not there.
        message: what the commit says.
        revision: the branch; None for the main one.
        private: whether a repository that is made is private.
        token: the token to write with; by default the one that is stored.
        tagged: whether the commit gets the next free tag; a commit that has one keeps it.

    Raises:
        ValueError: the folder holds no model, or `repo_id` is no name of a repository.
        OSError, huggingface_hub.errors.HTTPError: the Hub cannot be reached or refuses (`UPLOAD_ERRORS`).
    """
    if not (Path(folder) / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json; name the folder of a saved model")
    extract = pipeline(TASK, model=str(folder), device="cpu")
    commit = extract.push_to_hub(repo_id, commit_message=message, revision=revision, private=private, token=token)
    return Shared(commit, _tag(HfApi(token=token), commit) if tagged else None)


def _tag(api: HfApi, commit: CommitInfo) -> str:
    """The tag of a commit, made if it has none."""
    repo_id = commit.repo_url.repo_id
    tags = [tag for tag in api.list_repo_refs(repo_id).tags if re.fullmatch(r"v\d+", tag.name)]
    for tag in tags:
        if tag.target_commit == commit.oid:
            return tag.name
    name = f"v{1 + max((int(tag.name[1:]) for tag in tags), default=0)}"
    api.create_tag(repo_id, tag=name, revision=commit.oid)
    return name


def share_command(folder: str | Path, repo_id: str, revision: str | None = None) -> str:
    """The command that pushes a folder."""
    words = [
        "python",
        "-m",
        "modeling_docre.hub.push",
        str(folder),
        repo_id,
        *(["--revision", revision] if revision else []),
    ]
    return shlex.join(words)


def failure(folder: str | Path, repo_id: str, error: Exception, revision: str | None = None) -> str:
    """What to say of a push that failed: that nothing is lost, why it failed, and how to push later."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return (
        f"{folder} is complete, but could not be pushed to {repo_id}: {reason}. Push it later by "
        f"`{share_command(folder, repo_id, revision)}`"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Push a folder and print where it is now."""
    parser = argparse.ArgumentParser(
        prog="python -m modeling_docre.hub.push", description="Push a saved model to the Hub."
    )
    parser.add_argument("folder", type=Path, help="folder of a saved model, for example a training run's output")
    parser.add_argument("repo_id", help="repository on the Hub, organisation/name; made if it is not there")
    parser.add_argument("--revision", help="branch to push to (default: the main one)")
    parser.add_argument("--message", help="what the commit says")
    parser.add_argument("--private", action="store_true", default=None, help="make a new repository private")
    options = vars(parser.parse_args(arguments))
    try:
        commit, tag = share(**options)
    except ValueError as error:
        parser.error(str(error))
    except UPLOAD_ERRORS as error:
        sys.exit(failure(options["folder"], options["repo_id"], error, options["revision"]))
    print(f'{commit.repo_url}, revision="{tag}" (commit {commit.oid})')


if __name__ == "__main__":
    main()
