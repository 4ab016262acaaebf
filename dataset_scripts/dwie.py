"""DWIE: news articles of Deutsche Welle, with entities and the relations between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.export import main
from dataset_scripts.building.random_order import draw_key
from dataset_scripts.building.sources import Source, find_file, find_json_folder, json_files, json_paths, source_lines
from dataset_scripts.readers.dwie_annotations import SPLIT_TAGS, Article, kept_relations, read_article
from dataset_scripts.readers.dwie_documents import CHANGES, TYPE_TAG, UNTYPED, ArticleReader
from modeling_docre.annotations.report import count_table
from modeling_docre.documents import Document, DocumentError

FOLDER = "annos_with_content"
"""Name of the folder that DWIE's download script writes."""
VALIDATION_IDS = "validation_ids.txt"
TYPE_PRIORITY = ("person", "organization", "location", "event", "misc", "value", "other", "entity")


@dataclass
class DwieConfig(datasets.BuilderConfig):
    """Config of DWIE.

    Args:
        validation_size: number of training documents that are drawn for validation.
        seed: seed of the draw.
        type_priority: names of `type::` tags, separated by commas; an entity gets the first one that it has as type.
    """

    validation_size: int = field(default=98, metadata={"help": "number of training documents drawn for validation"})
    seed: int = field(default=0, metadata={"help": "seed of the draw of validation documents"})
    type_priority: str = field(
        default=",".join(TYPE_PRIORITY), metadata={"help": "type:: tags, the first of which is an entity's type"}
    )


class Dwie(DocumentBuilder):
    """DWIE (Zaporojets et al., 2021): news articles with entities, all their mentions, and relations between them.

    As in KMGRE and earlier work, the documents leave out concepts without a mention and their relations, documents
    without any mention, repeated relations, and relations from a concept to itself. The published files then give 700
    training and 99 test documents. A relation type that ends in `-x` is a type of its own. Documents without relations
    stay. Entities are in the order of their first mention; `id` is the number of the concept in its file.

    The test split is the published one. The 700 documents have no published validation part, so 98 of them are drawn at
    random (`validation_size`, `seed`), unless `data_dir` has a file `validation_ids.txt` with one id per line. The
    papers do not say which 98 documents they used. Without their list, validation scores are only comparable within one
    draw.

    DWIE tags an entity with many types of a hierarchy. This builder gives it one: the first tag in `type_priority`, by
    default person, organization, location, event, misc, value, other, entity, or `untyped` without such a tag. Relation
    types are those that the files use, sorted, the same for all splits; the published files use 65.

    The articles belong to Deutsche Welle and are not published with the annotations, so nothing is downloaded here.
    DWIE's own script `dwie_download.py` fetches them into `data/annos_with_content`; `data_dir` is that folder, one
    above it, or a zip file of it. Exported data contains the articles and must not be redistributed.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = DwieConfig
    BUILDER_CONFIGS: ClassVar = [DwieConfig("default", VERSION, description="one coarse type per entity")]
    DEFAULT_CONFIG_NAME = "default"

    NAME = "dwie"
    SOURCES: ClassVar[Mapping[str, Mapping[str, Source]]] = {"default": {}}
    SIDE_FILES = (VALIDATION_IDS,)
    RELATION_LABELS: ClassVar[dict[str, str]] = {}
    ENTITY_TYPES: ClassVar = [*TYPE_PRIORITY, UNTYPED]
    RELATION_TYPES: ClassVar[list[str]] = []
    LICENSE = "other"
    HOMEPAGE = "https://github.com/klimzaporojets/DWIE"
    CITATION = (
        "Zaporojets, Deleu, Develder, Demeester: DWIE: An entity-centric dataset for multi-task document-level "
        "information extraction. Information Processing & Management 58(4), 2021."
    )

    @classmethod
    def side_files(cls, folder: Path) -> list[Path]:
        """The annotation files of a folder or their zip file, and the list of validation documents."""
        source = find_json_folder(folder, FOLDER)
        files = [] if source is None else json_paths(source) if source.is_dir() else [source]
        return [*super().side_files(folder), *files]

    def entity_types(self) -> list[str]:
        """The types of `type_priority`, and `untyped`."""
        return [*self._type_priority(), UNTYPED]

    def relation_types(self) -> list[str]:
        """The sorted relation types of the documents of all splits."""
        articles = read_articles(self._annotations())
        return sorted({name for article in articles for _, name, _ in kept_relations(article, Counter())})

    def split_paths(
        self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager
    ) -> dict[str, tuple[str, ...]]:
        """The folder or zip file of the annotation files, for each split of its articles."""
        path = self._annotations()
        return dict.fromkeys(self._divide(read_articles(path)), (path,))

    def read_split(self, paths: Iterable[str], split: str) -> Iterator[Document]:
        """The documents of a split, from a folder or zip file of annotation files.

        Raises:
            DocumentError: see `read_articles`.
        """
        reader = ArticleReader(self._type_priority(), self.relation_labels())
        articles = [article for path in paths for article in read_articles(path)]
        ids = set(self._divide(articles)[split])
        documents = (reader.read(article) for article in articles if article.id in ids)
        yield from (document for document in documents if document is not None)
        self.log_report(paths, count_table(reader.counts), any(reader.counts[name] for name in CHANGES))

    def _check_options(self) -> None:
        super()._check_options()
        self._type_priority()

    def _type_priority(self) -> list[str]:
        names = [name.strip() for name in self.config.type_priority.split(",")]
        if "" in names or UNTYPED in names or len(set(names)) < len(names):
            fix = f"give names of `{TYPE_TAG}` tags separated by commas, each once; {UNTYPED!r} is added at the end"
            raise ValueError(f"{self.NAME}: type_priority is {self.config.type_priority!r}; {fix}")
        return names

    def _annotations(self) -> str:
        """The folder or zip file of the annotation files.

        Raises:
            FileNotFoundError: no `data_dir` is given, or it has no such files.
        """
        folder = self.config.data_dir
        path = None if folder is None else find_json_folder(Path(folder), FOLDER)
        if path is None:
            problem = "" if folder is None else f"; data_dir {folder!r} has no {FOLDER}, {FOLDER}.zip or *.json"
            raise FileNotFoundError(
                f"{self.NAME}: its articles cannot be downloaded here; get {self.HOMEPAGE}, run its dwie_download.py, "
                f"and give the folder data/{FOLDER} that it writes, or a zip file of it, as data_dir{problem}"
            )
        return str(path)

    def _divide(self, articles: Iterable[Article]) -> dict[str, tuple[str, ...]]:
        """The ids of each split, by the list in `data_dir` or by the draw."""
        path = find_file(Path(self.config.data_dir or ""), (VALIDATION_IDS,))
        ids = None if path is None else [line.strip() for line in source_lines(str(path)) if line.strip()]
        return divide(articles, self.config.validation_size, self.config.seed, ids)


def read_articles(path: str) -> list[Article]:
    """The articles of a folder or zip file of annotation files, sorted by id.

    Raises:
        DocumentError: `read_article` refuses a file, or two files have the same id.
        ValueError: the zip file is broken.
    """
    articles: dict[str, tuple[str, Article]] = {}
    for name, content in json_files(Path(path), FOLDER):
        article = read_article(content, name)
        if article.id in articles:
            raise DocumentError(name, "id", article.id, f"{articles[article.id][0]} has it, too; remove one of the two")
        articles[article.id] = (name, article)
    return [article for _, (_, article) in sorted(articles.items())]


def divide(
    articles: Iterable[Article], validation_size: int, seed: int, validation_ids: Collection[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """The ids of each split: `test` as tagged, `validation` a part of those tagged train, `train` the rest of them.

    Articles without a mention stay in `train` or `test`, where the reader counts them, and are never in `validation`.
    Empty splits are left out.

    Args:
        articles: all articles.
        validation_size: how many are drawn.
        seed: seed of the draw, which otherwise depends only on the ids.
        validation_ids: the validation documents, instead of a draw.

    Raises:
        ValueError: no article of a tag has a mention, an id in `validation_ids` is not that of a training document with
            a mention, or validation or training would be empty.
    """
    tagged: dict[str, list[str]] = {tag: [] for tag in SPLIT_TAGS}
    mentioned: dict[str, list[str]] = {tag: [] for tag in SPLIT_TAGS}
    for article in articles:
        tagged[article.split].append(article.id)
        mentioned[article.split] += [article.id] if article.mentions else []
    for tag in SPLIT_TAGS:
        if tagged[tag] and not mentioned[tag]:
            raise ValueError(f"dwie: no document tagged {tag!r} has a mention; give annotated documents, or none")
    drawn = sorted(mentioned["train"], key=lambda name: draw_key(name, seed))[: max(0, validation_size)]
    validation = set(drawn if validation_ids is None else validation_ids)
    _check_validation(validation, mentioned["train"], validation_size, validation_ids is not None)
    train = [name for name in tagged["train"] if name not in validation]
    parts = {"train": train, "validation": sorted(validation), "test": tagged["test"]}
    return {split: tuple(ids) for split, ids in parts.items() if ids}


def _check_validation(validation: Collection[str], training: Collection[str], size: int, listed: bool) -> None:
    """Check that validation documents are tagged train, and that neither split is empty."""
    if unknown := sorted(set(validation) - set(training)):
        raise ValueError(
            f"dwie: {VALIDATION_IDS} has {unknown[0]!r}, which is not a document tagged 'train' with a mention; "
            "correct or remove it"
        )
    if training and not 0 < len(validation) < len(training):
        problem = f"{VALIDATION_IDS} has {len(validation)} documents" if listed else f"validation_size is {size}"
        raise ValueError(
            f"dwie: {problem}, and {len(training)} documents tagged 'train' have mentions; leave at least one for "
            "validation and one for training"
        )


if __name__ == "__main__":
    main(Dwie)
