"""Pushes the demo of a model to the Hub, as a Space."""

from __future__ import annotations

import json

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, SpaceCard

from .resources import resource

MODEL = "model.json"
"""The file of a Space that names its model: `model`, and in `revision` the commit to load."""
_KINDS = (".py", ".css", ".json", ".txt")
"""Endings of what the demo consists of; its README becomes the card of the Space."""


def push_space(
    model: str,
    revision: str | None = None,
    *,
    space: str | None = None,
    private: bool | None = None,
    token: bool | str | None = None,
) -> CommitInfo:
    """Make or renew the Space that shows a model, in one commit.

    A Space of a private model also needs a token: set the secret `HF_TOKEN` in its settings.

    Args:
        model: the model on the Hub, "organisation/name".
        revision: the commit of the model to load; None for its newest.
        space: the Space; by default it is called as the model is.
        private: whether a new Space is private; None means the organisation's default.
        token: the token to write with; by default the stored one.

    Raises:
        ValueError: a Space of that name shows something else.
        OSError, huggingface_hub.errors.HTTPError: the Hub cannot be reached or refuses (`PUSH_ERRORS`).
    """
    api, space = HfApi(token=token), space or model
    if api.repo_exists(space, repo_type="space"):
        known = set(api.list_repo_files(space, repo_type="space")) - {".gitattributes", "README.md"}
        if known and MODEL not in known:
            raise ValueError(f"the Space {space} shows something else than a demo of this package; name another Space")
    space = api.create_repo(space, repo_type="space", space_sdk="gradio", private=private, exist_ok=True).repo_id
    return api.create_commit(
        space,
        [CommitOperationAdd(name, content) for name, content in _contents(model, revision).items()],
        commit_message=f"Show {model}",
        repo_type="space",
    )


def _contents(model: str, revision: str | None) -> dict[str, bytes]:
    """The files of a Space by name."""
    demo = resource("spaces/demo")
    card = SpaceCard.load(demo / "README.md")
    card.data.title, card.data.models = f"Demo of {model.split('/')[-1]}", [model]
    card.text = f"\nEntities and relations of a text, found by [{model}](https://huggingface.co/{model}).\n"
    named = json.dumps({"model": model, "revision": revision}, indent=1) + "\n"
    files = {file.name: file.read_bytes() for file in sorted(demo.iterdir()) if file.suffix in _KINDS}
    return {**files, "README.md": str(card).encode(), MODEL: named.encode()}
