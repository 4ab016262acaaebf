"""`docre card`: the model card of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
