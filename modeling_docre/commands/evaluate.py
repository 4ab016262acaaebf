"""`docre evaluate`: scores a trained model by a training run that skips the training."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from modeling_docre.annotations.sources import files_of

from .files import check_output, write_output
from .process import UsageError, without_progress_bars

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Unknown options are passed on to the run."""


def evaluate(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or Hub name of a trained model.")],
    file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Annotated documents in any format that docre convert reads; a file, folder or pattern. May be "
            "repeated.",
        ),
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="A corpus of the package instead of files, e.g. re_docred.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the corpus' files; without it they are downloaded.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the corpus.")] = "validation",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all scores as JSON, too.")
    ] = None,
) -> None:
    """Score a trained model.

    Scoring options of docre train may follow, for example --no_overlap true. The table shows the main scores, --json
    all of them, also those of --by_word_count.

    \b
    Example:
      docre evaluate outputs/jerex_sample --file test.json --json scores.json
    """
    if bool(file) == bool(corpus):
        raise UsageError("name the documents by either --file or --corpus")
    if data_dir and not corpus:
        raise UsageError("--data-dir needs a --corpus")
    if json_file:
        check_output(json_file)
    with TemporaryDirectory() as folder:
        if corpus:
            data = ["--corpus", corpus, "--validation_split", split]
            data += ["--data_dir", str(data_dir)] if data_dir else []
        else:
            data = ["--test_file", _one_file(file or [], Path(folder))]
        scores = _scores(model, [*data, *context.args], Path(folder))
    _report(scores, f"{corpus}, {split}" if corpus else " ".join(file or []), json_file)


def _one_file(names: Sequence[str], folder: Path) -> str:
    """The only file or folder, or a new file with the documents of all."""
    from modeling_docre.annotations.document_file import read_annotations

    files = [path for name in names for path in ([name] if os.path.isdir(name) else files_of([name]))]
    if len(files) == 1:
        return files[0]
    joined = folder / "documents.jsonl"
    with joined.open("w", encoding="utf-8") as handle:
        for file in files:
            documents, _ = read_annotations(file)
            handle.writelines(f"{json.dumps(item.to_dict(), ensure_ascii=False)}\n" for item in documents)
    return str(joined)


def _scores(model: str, arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """The scores that a run without training writes for its split."""
    from modeling_docre.training.run import main

    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # hides the run's own table
    fixed = ["--system", _system(model), "--init_from", model, "--no_do_train", "--eval_strategy", "no"]
    with without_progress_bars():
        main([*fixed, "--load_best_model_at_end", "false", "--output_dir", str(folder / "run"), *arguments])
    return json.loads(next((folder / "run").glob("*/scores.json")).read_text(encoding="utf-8"))


def _system(model: str) -> str:
    """The name of a trained model's system."""
    from transformers import AutoConfig

    from modeling_docre import SYSTEMS
    from modeling_docre.hub.loading import model_named

    with model_named(model):
        kind = type(AutoConfig.from_pretrained(model))
    for name, system in SYSTEMS.items():
        if system.config_class is kind:
            return name
    raise ValueError(f"{model} is a {kind.model_type} model; give one of {', '.join(SYSTEMS)}")


def _report(scores: dict[str, Any], name: str, file: Path | None) -> None:
    from modeling_docre.hub.score_table import score_table

    if "relation_f1" not in scores:
        raise ValueError("no document has a relation, so there is nothing to score")
    print(f"{name}, {scores['documents']} documents, in percent:\n{score_table(scores)}")
    if file:
        write_output(file, json.dumps(scores, ensure_ascii=False, indent=1))
