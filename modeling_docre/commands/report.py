"""`docre report`: counts what a file of documents contains, and what is unusual about it."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def report(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Documents in any format that docre convert reads; a file or a folder."),
    ],
) -> None:
    """Count what a file contains.

    Counts documents, entities, mentions, relations by origin, incomplete labels, and oddities. What was merged or left
    out to read an annotation tool's file is reported by docre convert.

    \b
    Example:
      docre report train.json
    """
    from dataset_scripts.building.loading import CorpusArguments, load_corpus
    from modeling_docre.annotations.report import ReadReport

    if not os.path.exists(file):
        raise FileNotFoundError(f"{file} does not exist; name a file or a folder of documents")
    print(ReadReport.of(load_corpus(CorpusArguments(train_file=file)).splits["train"]))
