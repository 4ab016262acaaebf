"""Loads the documents of a run from a corpus' builder or from files, with the labels that they use."""

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
from modeling_docre import Document
from modeling_docre.annotations.clusters import ReadingSettings
from modeling_docre.annotations.document_file import read_annotations
from modeling_docre.annotations.report import count_table
from modeling_docre.documents import DocumentError

from .builder import DocumentBuilder
from .relation_filter import RelationFilter

logger = logging.getLogger(__name__)


@dataclass
class CorpusArguments:
    """Which documents are read.

    Args:
        corpus: a module of `dataset_scripts` with a builder, e.g. `re_docred`; without it the files below are read.
        corpus_config: the builder's configuration.
        data_dir: folder with the corpus' files; without it they are downloaded.
        train_split, validation_split, test_split: names of the corpus' splits. A test split is optional; `none` as the
            validation split means no validation documents.
        test_corpus: a corpus to test on instead of the first one's test split, e.g. `revisit_docred`. Its documents (by
            title) are left out of the training and validation data.
        test_corpus_config, test_data_dir: its builder's configuration and folder; `test_split` names its split, by
            default `test`.
        train_file, validation_file, test_file: files or folders in any format that `docre convert` reads: DocRED's
            JSON, Document dicts, texts with entities in characters, or what an annotation tool exports. With a corpus
            only `train_file` is taken: its documents join those of the corpus, whose labels they use.
        relation_labels: JSON file with the readable label of each relation type of files; a corpus has its own.
        symmetric_relations: relation types of files that hold in both directions; a corpus has its own.
        no_relation_types: relation types of files that mark an unrelated pair; such relations are left out.
        drop_self_relations: leave out relations from an entity to itself in files.
    """

    corpus: str | None = None
    corpus_config: str | None = None
    data_dir: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    test_split: str | None = None
    test_corpus: str | None = None
    test_corpus_config: str | None = None
    test_data_dir: str | None = None
    train_file: str | None = None
    validation_file: str | None = None
    test_file: str | None = None
    relation_labels: str | None = None
    symmetric_relations: list[str] | None = None
    no_relation_types: list[str] | None = None
    drop_self_relations: bool = False


@dataclass
class Corpus:
    """Documents by split (`train`, `validation`, `test`), and the labels they use."""

    splits: dict[str, list[Document]]
    labels: dict[str, Any]


def load_corpus(arguments: CorpusArguments, language: str = "en") -> Corpus:
    """Read the documents from a corpus' builder or from files, with the label lists for a new model.

    The label lists of files are those that their documents use, over all splits.

    Args:
        arguments: which documents.
        language: spaCy language code of files with raw text.

    Raises:
        ValueError: no data is named, a corpus is unknown, a file beside it holds no document, or the test corpus has
            labels that the training corpus lacks.
        FileNotFoundError: a file does not exist, or a folder holds no annotations.
        DocumentError: a document is not valid.
    """
    if arguments.test_corpus is None and (arguments.test_corpus_config or arguments.test_data_dir):
        raise ValueError("--test_corpus_config and --test_data_dir need a --test_corpus")
    for option in ("relation_labels", "symmetric_relations", "no_relation_types", "drop_self_relations"):
        if arguments.corpus is not None and getattr(arguments, option):
            raise ValueError(f"--{option} belongs to files of your own; a --corpus has its own")
    for option in ("validation_file", "test_file"):
        if arguments.corpus is not None and getattr(arguments, option):
            raise ValueError(f"--{option} does not go with a --corpus, which has its own splits; leave one out")
    if arguments.corpus is not None:
        return _from_builder(arguments, language)
    if arguments.test_corpus is not None:
        raise ValueError("--test_corpus is the test data of a --corpus; with files of your own, give a --test_file")
    return _from_files(arguments, language)


def _from_files(arguments: CorpusArguments, language: str) -> Corpus:
    labels = _read_labels(arguments.relation_labels) if arguments.relation_labels else {}
    relation_filter = RelationFilter(arguments.no_relation_types or (), arguments.drop_self_relations)
    splits = {}
    for split in ("train", "validation", "test"):
        if file := getattr(arguments, f"{split}_file"):
            splits[split] = _read_file(file, split, labels, relation_filter, language)
    if not splits:
        raise ValueError("no data; name a --corpus, or files with --train_file and --validation_file")
    documents = [document for documents in splits.values() for document in documents]
    relation_types = sorted({relation.type for document in documents for relation in document.relations})
    relation_filter.report(relation_types)
    return Corpus(
        splits,
        {
            "entity_types": sorted({entity.type for document in documents for entity in document.entities}),
            "relation_types": relation_types,
            "relation_labels": {name: labels[name] for name in relation_types if name in labels},
            "symmetric_relations": list(arguments.symmetric_relations or []),
        },
    )


def _from_builder(arguments: CorpusArguments, language: str) -> Corpus:
    builder = _prepared("corpus", arguments.corpus, arguments.corpus_config, arguments.data_dir)
    names = {split: getattr(arguments, f"{split}_split") for split in ("train", "validation", "test")}
    if arguments.validation_split == "none":
        names["validation"] = None
    if arguments.test_corpus is not None:
        names["test"] = None
    splits = {split: _read_split(builder, name) for split, name in names.items() if name is not None}
    corpus = Corpus(splits, _labels(builder))
    if arguments.train_file is not None:
        splits["train"] += _further_documents(arguments.train_file, corpus, language)
    return corpus if arguments.test_corpus is None else _with_test_corpus(corpus, arguments)


def _further_documents(file: str, corpus: Corpus, language: str) -> list[Document]:
    """Documents of a file for training beside a corpus: their types are the corpus', and none is in it already."""
    labels = corpus.labels
    documents = _read_file(file, "train", labels["relation_labels"], RelationFilter((), False), language)
    if not documents:
        raise ValueError(f"--train_file {file} holds no document; name another one, or leave it out")
    known = {document.id for split in corpus.splits.values() for document in split}
    for document in documents:
        if document.id in known:
            raise DocumentError(document.id, "id", document.id, "--corpus has a document with this id; leave one out")
        for kind, items in (("entity_types", document.entities), ("relation_types", document.relations)):
            if unknown := next((item.type for item in items if item.type not in labels[kind]), None):
                fix = "give the name of the corpus, or all documents as files without a --corpus"
                raise DocumentError(document.id, kind, unknown, f"--corpus has no such type; {fix}")
    return documents


def _with_test_corpus(corpus: Corpus, arguments: CorpusArguments) -> Corpus:
    """The corpus with the test documents of another one, which are removed from its own splits."""
    builder = _prepared("test_corpus", arguments.test_corpus, arguments.test_corpus_config, arguments.test_data_dir)
    labels = _labels(builder)
    for kind in ("entity_types", "relation_types"):
        if unknown := sorted(set(labels[kind]) - set(corpus.labels[kind])):
            raise ValueError(
                f"--test_corpus {arguments.test_corpus} has {unknown[0]!r} among its {kind}, but --corpus "
                f"{arguments.corpus} does not; test on a corpus with the same labels"
            )
    test = _read_split(builder, arguments.test_split or "test")
    held_out = {document.id for document in test}
    splits = {}
    for split, documents in corpus.splits.items():
        splits[split] = [document for document in documents if document.id not in held_out]
        if left_out := len(documents) - len(splits[split]):
            logger.info(
                "%d of %d documents of %s are test documents of %s and are left out of %s",
                *(left_out, len(documents), arguments.corpus, arguments.test_corpus, split),
            )
    return Corpus({**splits, "test": test}, corpus.labels)


def _prepared(option: str, name: str | None, config: str | None, data_dir: str | None) -> DocumentBuilder:
    """The prepared builder of a corpus."""
    by_name = dict(builders())
    if name not in by_name:
        raise ValueError(f"there is no corpus {name!r}; --{option} takes one of {', '.join(sorted(by_name))}")
    builder = by_name[name](data_dir=data_dir, **({"config_name": config} if config else {}))
    builder.download_and_prepare()
    return builder


def _read_split(builder: DocumentBuilder, name: str) -> list[Document]:
    return [Document.from_dict(row) for row in builder.as_dataset(split=name)]


def _labels(builder: DocumentBuilder) -> dict[str, Any]:
    """The label lists of a corpus, for a new model."""
    relation_types, labels = builder.relation_types(), builder.relation_labels()
    return {
        "entity_types": builder.entity_types(),
        "relation_types": relation_types,
        "relation_labels": {name: labels[name] for name in relation_types if name in labels},
        "symmetric_relations": [name for name in relation_types if name in builder.SYMMETRIC_RELATIONS],
    }


def builders() -> Iterator[tuple[str, type[DocumentBuilder]]]:
    """Module name and builder of each corpus; the corpora are the modules of this package outside its folders."""
    modules = (item for item in iter_modules(dataset_scripts.__path__, "dataset_scripts.") if not item.ispkg)
    for module in modules:
        for item in vars(import_module(module.name)).values():
            if isinstance(item, type) and issubclass(item, DocumentBuilder) and item.__module__ == module.name:
                yield module.name.removeprefix("dataset_scripts."), item


def _read_labels(file: str) -> dict[str, str]:
    """The readable labels of a file by relation type."""
    labels = json.loads(Path(file).read_text(encoding="utf-8-sig"))
    if not isinstance(labels, dict) or not all(isinstance(label, str) for label in labels.values()):
        raise ValueError(f'--relation_labels {file} has no labels; give a JSON object, {{"P17": "country", ...}}')
    return labels


def _read_file(
    file: str, split: str, labels: dict[str, str], relation_filter: RelationFilter, language: str
) -> list[Document]:
    if not file or not Path(file).exists():
        raise FileNotFoundError(f"--{split}_file names {file!r}, but there is no such file or folder")
    settings = ReadingSettings(language=language)
    documents, counts = read_annotations(file, settings, edit=relation_filter, relation_labels=labels)
    logger.info("%s:\n%s", file, count_table(counts))
    return documents
