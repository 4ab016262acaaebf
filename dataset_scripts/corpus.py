"""The documents of a run: from a corpus' builder or from files, with the labels that they use."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import dataset_scripts
from modeling_docre import Document, read_docred
from modeling_docre.record_files import iter_records

from .document_builder import DocumentBuilder

logger = logging.getLogger(__name__)


@dataclass
class CorpusArguments:
    """Which documents are read.

    Args:
        corpus: a module of `dataset_scripts` that holds a builder, e.g. `re_docred`; absent, the files below are read.
        corpus_config: the builder's configuration.
        data_dir: folder with the corpus' files; absent, they are downloaded.
        train_split, validation_split, test_split: names of the corpus' splits; a test split is optional.
        train_file, validation_file, test_file: files in DocRED's JSON, or `.jsonl` files of Document dicts; read if
            no corpus is named.
        relation_labels: JSON file with the readable label of each relation type.
    """

    corpus: str | None = None
    corpus_config: str | None = None
    data_dir: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    test_split: str | None = None
    train_file: str | None = None
    validation_file: str | None = None
    test_file: str | None = None
    relation_labels: str | None = None


@dataclass
class Corpus:
    """Documents by split (`train`, `validation`, `test`), and the labels they use."""

    splits: dict[str, list[Document]]
    labels: dict[str, Any]


def load_corpus(arguments: CorpusArguments) -> Corpus:
    """Read the documents from a corpus' builder or from files, with the label lists for a new model.

    The label lists of files are those that their documents use, over all splits.

    Raises:
        ValueError: no data is named, or the corpus is unknown.
        FileNotFoundError: a file is not there.
        DocumentError: a document is not valid.
    """
    if arguments.corpus is not None:
        return _from_builder(arguments)
    labels = json.loads(Path(arguments.relation_labels).read_text()) if arguments.relation_labels else {}
    splits = {}
    for split in ("train", "validation", "test"):
        if file := getattr(arguments, f"{split}_file"):
            if not Path(file).is_file():
                raise FileNotFoundError(f"--{split}_file names {file!r}, and there is no such file")
            splits[split] = _read_file(file, labels)
    if not splits:
        raise ValueError("there is no data; name a --corpus, or files with --train_file and --validation_file")
    documents = [document for documents in splits.values() for document in documents]
    relation_types = sorted({relation.type for document in documents for relation in document.relations})
    return Corpus(
        splits,
        {
            "entity_types": sorted({entity.type for document in documents for entity in document.entities}),
            "relation_types": relation_types,
            "relation_labels": {name: labels[name] for name in relation_types if name in labels},
        },
    )


def _from_builder(arguments: CorpusArguments) -> Corpus:
    known = dict(builders())
    if arguments.corpus not in known:
        raise ValueError(f"there is no corpus {arguments.corpus!r}; --corpus takes one of {', '.join(sorted(known))}")
    builder_class = known[arguments.corpus]
    options = {"config_name": arguments.corpus_config} if arguments.corpus_config else {}
    builder = builder_class(data_dir=arguments.data_dir, **options)
    builder.download_and_prepare()
    names = {split: getattr(arguments, f"{split}_split") for split in ("train", "validation", "test")}
    splits = {
        split: [Document.from_dict(row) for row in builder.as_dataset(split=name)]
        for split, name in names.items()
        if name is not None
    }
    labels = {name: list(getattr(builder_class, name.upper())) for name in ("entity_types", "relation_types")}
    return Corpus(splits, {**labels, "relation_labels": dict(builder_class.RELATION_LABELS)})


def builders() -> Iterator[tuple[str, type[DocumentBuilder]]]:
    """The corpora by module name, each with its builder."""
    for module in iter_modules(dataset_scripts.__path__, "dataset_scripts."):
        for item in vars(import_module(module.name)).values():
            own = isinstance(item, type) and item.__module__ == module.name
            if own and issubclass(item, DocumentBuilder) and item is not DocumentBuilder:
                yield module.name.removeprefix("dataset_scripts."), item


def _read_file(file: str, labels: dict[str, str]) -> list[Document]:
    if file.endswith((".jsonl", ".jsonl.gz")):
        return [Document.from_dict(record) for record in iter_records(file)]
    documents, report = read_docred(file, labels)
    logger.info("%s:\n%s", file, report)
    return documents
