"""The base of all dataset builders: files in, rows of the shared schema out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import datasets

from modeling_docre.annotations.docred import DocredReader
from modeling_docre.documents import Document

from .row_features import document_features, document_row
from .sources import (
    Source,
    download,
    find_file,
    fingerprint,
    local_files,
    read_relation_labels,
    source_records,
    split_files,
)

logger = datasets.logging.get_logger(__name__)


class DocumentBuilder(datasets.GeneratorBasedBuilder):
    """A corpus of documents; a subclass names its files, its labels and, unless it is DocRED's, reads its format.

    Instantiate it and call `download_and_prepare` and `as_dataset`, or `as_streaming_dataset`; `load_dataset` no longer
    runs builders.

    Args:
        cache_dir: folder for downloads and prepared data.
        data_dir: folder with the files of the corpus; without it they are downloaded. Splits without a file are left
            out. A `rel_info.json` in the folder replaces the bundled relation labels.
        kwargs: `config_name`, options of the corpus' configuration, and further arguments of `datasets.DatasetBuilder`.

    Raises:
        FileNotFoundError: (when prepared) no file of the corpus is in `data_dir`.
        DocumentError: (when prepared) a document is not valid.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIGS: ClassVar = [datasets.BuilderConfig("default", VERSION)]
    DEFAULT_CONFIG_NAME = "default"

    NAME: ClassVar[str]
    SOURCES: ClassVar[Mapping[str, Mapping[str, Source]]]
    """The file of each config and split; the keys are `split/part` if a split has several files."""
    SIDE_FILES: ClassVar[tuple[str, ...]] = ()
    """Names of further files in `data_dir` that the rows depend on."""
    ENTITY_TYPES: ClassVar[list[str]]
    RELATION_TYPES: ClassVar[list[str]]
    RELATION_LABELS: ClassVar[dict[str, str]]
    SYMMETRIC_RELATIONS: ClassVar[list[str]] = []
    """Relation types that hold in both directions."""
    LICENSE: ClassVar[str]
    """Identifier of the data's licence in dataset cards."""
    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]

    def __init__(
        self, cache_dir: str | None = None, *, data_dir: str | os.PathLike[str] | None = None, **kwargs: Any
    ) -> None:
        folder = None if data_dir is None else os.path.abspath(os.path.expanduser(data_dir))
        sources = {f"{config}/{split}": s for config, table in self.SOURCES.items() for split, s in table.items()}
        named = [option.name for option in config_options(type(self)) if option.metadata.get("file")]
        more = [Path(kwargs[name]) for name in named if kwargs.get(name) is not None]
        more += [] if folder is None else self.side_files(Path(folder))
        kwargs = {"dataset_name": self.NAME, "hash": fingerprint(sources, folder, more)} | kwargs
        super().__init__(cache_dir, data_dir=folder, **kwargs)
        self._check_options()

    def _check_options(self) -> None:
        """Refuse options of a wrong type or choice, because a misspelt one would change the corpus."""
        hints = get_type_hints(self.BUILDER_CONFIG_CLASS)
        for option in config_options(type(self)):
            value = getattr(self.config, option.name)
            if hints[option.name] is int and type(value) is not int:
                raise ValueError(f"{self.NAME}: {option.name} is {value!r}; give a whole number")
            if get_origin(hints[option.name]) is Literal and value not in get_args(hints[option.name]):
                choices = ", ".join(map(repr, get_args(hints[option.name])))
                raise ValueError(f"{self.NAME}: {option.name} is {value!r}; give one of {choices}")

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=(type(self).__doc__ or "").strip(),
            features=document_features(),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
            citation=self.CITATION,
        )

    @classmethod
    def side_files(cls, folder: Path) -> list[Path]:
        """Files of a folder, other than those of `SOURCES`, that the rows depend on."""
        path = find_file(folder, cls.SIDE_FILES)
        return [] if path is None else [path]

    def files(self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager) -> dict[str, str]:
        """The path (with streaming, the URL) of each available split."""
        sources = self.SOURCES[self.config.name]
        if self.config.data_dir is not None:
            return local_files(sources, self.config.data_dir, self.NAME)
        return download(sources, manager, self.NAME)

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of files in DocRED's JSON, with ids that are unique over all files."""
        # Users cannot repair a published file, so its rows from an entity to itself are left out with a warning.
        reader = DocredReader(self.relation_labels(), drop_self_relations=True)
        for path in paths:
            for record in source_records(path):
                yield reader.read(record)
        report = reader.report
        self.log_report(paths, report, bool(report.na_rows or report.self_relations or report.duplicate_titles))

    def split_paths(
        self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager
    ) -> dict[str, tuple[str, ...]]:
        """The files that each split is read from, as paths or, with streaming, URLs."""
        return split_files(self.SOURCES[self.config.name], self.files(manager), self.NAME, self.config.data_dir)

    def read_split(self, paths: Iterable[str], split: str) -> Iterable[Document]:
        """The documents of a split: those of all its files, except in corpora whose files hold several splits."""
        return self.read(paths)

    def entity_types(self) -> list[str]:
        """The entity types of the corpus, the same for all splits."""
        return list(self.ENTITY_TYPES)

    def relation_types(self) -> list[str]:
        """The relation types of the corpus, the same for all splits."""
        return list(self.RELATION_TYPES)

    def relation_labels(self) -> Mapping[str, str]:
        """Readable name of each relation type, from `data_dir` or bundled."""
        labels = None if self.config.data_dir is None else read_relation_labels(self.config.data_dir)
        return self.RELATION_LABELS if labels is None else labels

    def log_report(self, paths: Iterable[str], report: object, changed: bool) -> None:
        """Log a report on the files that were read, as a warning if reading dropped or changed something."""
        log = logger.warning if changed else logger.info
        log("%s, read from %s:\n%s", self.NAME, ", ".join(paths), report)

    def _split_generators(
        self, dl_manager: datasets.DownloadManager | datasets.StreamingDownloadManager
    ) -> list[datasets.SplitGenerator]:
        # `paths` is a tuple, because `datasets` takes a list for shards and divides it among processes.
        splits = self.split_paths(dl_manager).items()
        return [datasets.SplitGenerator(split, {"paths": paths, "split": split}) for split, paths in splits]

    def _generate_examples(self, paths: tuple[str, ...], split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for document in self.read_split(paths, split):
            yield document.id, document_row(document)


def config_options(builder_class: type[DocumentBuilder]) -> list[Field]:
    """The options that a corpus' configuration adds to those of every builder."""
    common = {option.name for option in fields(datasets.BuilderConfig)}
    return [option for option in fields(builder_class.BUILDER_CONFIG_CLASS) if option.name not in common]
