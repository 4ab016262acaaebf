"""`docre label`: labels a corpus by a teacher, which is one trained model or several."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from .process import UsageError, check_probability, without_progress_bars


def label(
    words: Annotated[
        list[str],
        typer.Argument(metavar="CORPUS", help="A file of documents, or a corpus of the package, e.g. docred_more."),
    ],
    models: Annotated[
        list[str],
        typer.Option(
            metavar="MODEL...",
            help="Folder or Hub name of a trained model. More may follow, and the option may be repeated.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File of the labelled documents, .jsonl or .jsonl.gz.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of the corpus' files; without it they are downloaded.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="Configuration of the corpus.")] = None,
    split: Annotated[str, typer.Option(help="Split of the corpus.")] = "train",
    validation: Annotated[
        str | None,
        typer.Option(metavar="CORPUS", help="Completely labelled documents to fit thresholds on: a file or a corpus."),
    ] = None,
    validation_data_dir: Annotated[Path | None, typer.Option(help="Folder of that corpus' files.")] = None,
    validation_split: Annotated[str, typer.Option(help="Split of that corpus.")] = "validation",
    positive: Annotated[
        float | None,
        typer.Option(help="Least score of a relation; by default the one with a validation precision of 0.8."),
    ] = None,
    masked: Annotated[
        float | None,
        typer.Option(
            help="Score from which training must not use a type as a negative; by default 95 % of the validation "
            "relations reach it. It is only recorded; no label depends on it."
        ),
    ] = None,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Treat relations as incomplete in documents that do not say.")
    ] = False,
) -> None:
    """Label a corpus by trained models.

    The models relate the documents' own entities; the mean of their scores counts. Relations labelled by people stay.
    Where relations are incomplete, those that score high enough are added with origin "model". All scores from 0.05 on
    are stored as well. Call the command again to resume an interrupted run.

    \b
    Example:
      docre label unlabelled.jsonl --models outputs/a outputs/b --validation dev.json --out labelled.jsonl
    """
    from modeling_docre.annotations.growing_file import GrowingFile
    from modeling_docre.annotations.report import ReadReport
    from modeling_docre.hub.loading import weights_digest
    from modeling_docre.training.labelling import Teacher, Thresholds, label_corpus

    check_probability("--positive", positive)
    check_probability("--masked", masked)
    file, models = GrowingFile(out), [*models, *words[1:]]
    documents = _documents(words[0], config, data_dir, split)
    if incomplete:
        documents = [_incomplete(document) for document in documents]
    teacher = Teacher(models)
    settings: dict[str, Any] = {"models": models, "weights": list(map(weights_digest, models))}
    settings |= {"documents": _digest(documents), "validation": _source(validation, validation_split)}
    thresholds: dict[str, Any] = {name: (file.settings or {}).get(name) for name in Thresholds._fields}
    thresholds |= {name: value for name, value in (("positive", positive), ("masked", masked)) if value is not None}
    if thresholds["positive"] is None or (validation and thresholds["masked"] is None):
        fitted = _fit(teacher, validation, validation_data_dir, validation_split)
        thresholds = {name: fitted[name] if value is None else value for name, value in thresholds.items()}
    finished = file.begin(settings | thresholds)
    print(f"positive from {thresholds['positive']}, masked from {thresholds['masked']}")
    with without_progress_bars():
        label_corpus(teacher, documents, file, finished, thresholds["positive"])
    print(ReadReport.of(_documents(str(out), None, None, split)))


def _source(name: str | None, split: str) -> str | None:
    return name if name is None or Path(name).is_file() else f"{name}/{split}"


def _documents(name: str, config: str | None, data_dir: Path | None, split: str) -> list[Any]:
    """The documents of a file or of a split of a corpus."""
    from dataset_scripts.building.loading import CorpusArguments, builders, load_corpus

    if name in dict(builders()):
        folder = None if data_dir is None else str(data_dir)
        arguments = CorpusArguments(name, config, folder, train_split=split, validation_split="none")
    elif not Path(name).exists():
        fix = f"give a file of documents, or one of {', '.join(name for name, _ in builders())}"
        raise FileNotFoundError(f"{name} is neither a file nor a corpus of the package; {fix}")
    elif data_dir or config:
        raise UsageError(f"--data-dir and --config need a corpus of the package; {name} is not one")
    else:
        arguments = CorpusArguments(train_file=name)
    return load_corpus(arguments).splits["train"]


def _incomplete(document: Any) -> Any:
    from modeling_docre.documents import Completeness

    return document if document.complete else replace(document, complete=Completeness(relations=False))


def _digest(documents: Sequence[Any]) -> str:
    """A hash of the documents' content."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(json.dumps(document.to_dict(), sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _fit(teacher: Any, name: str | None, data_dir: Path | None, split: str) -> dict[str, float]:
    from modeling_docre.training.labelling import fit_thresholds

    if name is None:
        raise UsageError("the threshold cannot be fitted without --validation; give it by --positive")
    documents = _documents(name, None, data_dir, split)
    with without_progress_bars():
        judged = teacher.judge(documents)
        return fit_thresholds(judged, documents, teacher.relation_types)._asdict()
