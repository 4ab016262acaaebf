"""`docre push`, `docre card` and `docre install-metric`: what a model or a program needs of the Hub."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer


def push(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of a saved model, such as the output of a training.")
    ],
    repository: Annotated[
        str, typer.Argument(metavar="REPOSITORY", help="organisation/name; created if it does not exist.")
    ],
    revision: Annotated[str | None, typer.Option(help="Branch to push to, instead of the main one.")] = None,
    message: Annotated[str | None, typer.Option(help="Text of the commit.")] = None,
    private: Annotated[bool | None, typer.Option("--private", help="Make a new repository private.")] = None,
    space: Annotated[
        bool, typer.Option("--space", help="Also make a Space of that name that shows the model.")
    ] = False,
) -> None:
    """Push a saved model to the Hub.

    Its card is pushed, too. The commit gets a tag that others can pin. The token comes from hf auth login or HF_TOKEN.

    \b
    Examples:
      docre push outputs/jerex_sample organisation/name --private
      docre push outputs/jerex_sample organisation/name --space
    """
    import modeling_docre.hub.registration  # noqa: F401 (a missing card names the system)
    from modeling_docre.hub.push import PUSH_ERRORS, failure_message, push_folder

    try:
        commit, tag = push_folder(folder, repository, revision=revision, message=message, private=private)
    except PUSH_ERRORS as error:
        raise OSError(failure_message(folder, repository, error, revision)) from error
    print(f'{commit.repo_url}, revision="{tag}" (commit {commit.oid})')
    if space:
        _show(commit.repo_url.repo_id, commit.oid, private)


def _show(model: str, revision: str, private: bool | None) -> None:
    """Make the Space of a model that is pushed."""
    from modeling_docre.hub.push import PUSH_ERRORS
    from modeling_docre.hub.space import push_space

    try:
        print(push_space(model, revision, private=private).repo_url)
    except PUSH_ERRORS as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise OSError(f"{model} is pushed, but its Space could not be made: {reason}") from error


def card(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a saved model.")]) -> None:
    """Rewrite the card of a saved model.

    Its facts come from the configuration and the scores in the folder.

    \b
    Example:
      docre card outputs/jerex_sample
    """
    import modeling_docre.hub.registration  # noqa: F401 (a card names the system)
    from modeling_docre.hub.cards import write_folder_card

    write_folder_card(folder)
    print(folder / "README.md")


def install_metric() -> None:
    """Install the metric for evaluate.load.

    Programs that do not import this package can then call evaluate.load("docre_f1"). Once per machine and version of
    the package is enough. Prints the metric's folder.

    \b
    Example:
      docre install-metric
    """
    from modeling_docre.hub import metric

    with warnings.catch_warnings(record=True) as problems:
        warnings.simplefilter("always")
        folder = metric.install_metric()
    if folder is None:
        raise OSError(str(problems[-1].message))
    print(folder)
