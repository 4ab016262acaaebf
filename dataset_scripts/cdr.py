"""CDR: chemical-induced diseases in 1,500 PubMed abstracts, between concepts of MeSH."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.concept_pairs import UNMENTIONED, Fact, add_pairs
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source, find_file, source_lines, source_name
from dataset_scripts.readers.abstracts import AbstractReader
from dataset_scripts.readers.mesh_hypernyms import TREE_FILES, MeshTree, filter_hypernyms
from modeling_docre.annotations.pubtator import Abstract, read_pubtator
from modeling_docre.annotations.report import REPEATED_IDS, count_table
from modeling_docre.documents import Document, DocumentError

_PAIR = ("Chemical", "Disease")


def _source(name: str) -> Source:
    url = "https://biocreative.bioinformatics.udel.edu/media/store/files/2016/CDR_Data.zip"
    return Source(url, (f"CDR_{name}Set.PubTator.txt",), archive="CDR_Data.zip")


_SPLITS = {"train": _source("Training"), "validation": _source("Development"), "test": _source("Test")}


@dataclass
class CdrConfig(datasets.BuilderConfig):
    """Config of CDR.

    Args:
        head: which concept of a pair is the head: the one that the text mentions first, or the chemical.
        hypernym_filter: do not score pairs with a hypernym of a disease that the chemical induces.
        mesh_tree: file of MeSH's tree numbers for the filter; by default it is looked for in `data_dir`.
        clean_ids: correct concept ids with characters after their digits.
    """

    head: Literal["first_in_text", "chemical"] = field(
        default="first_in_text", metadata={"help": "which concept of a pair is the head"}
    )
    hypernym_filter: bool = field(
        default=True, metadata={"help": "leave pairs with a hypernym of an induced disease out of scoring"}
    )
    mesh_tree: str | None = field(
        default=None, metadata={"help": f"file of tree numbers (default: {TREE_FILES[0]} in data_dir)", "file": True}
    )
    clean_ids: bool = field(default=False, metadata={"help": "correct concept ids with characters after their digits"})


class Cdr(DocumentBuilder):
    """BioCreative V CDR (Li et al., Database 2016): chemicals, diseases, and which chemical induces which disease.

    Entities are MeSH concepts, `candidates` all pairs of a chemical and a disease of an abstract. Pairs removed by the
    hypernym filter (a disease more general than one that the chemical induces) have `scored` = false. The filter needs
    the tree numbers of MeSH 2017, in `data_dir` or as `mesh_tree`.

    In config `default` the head of a pair is the concept that the text mentions first, as in the data of ATLOP's
    release; in `chemical` it is the chemical. `joint` is for systems that find entities themselves: the chemical is the
    head, no pair is filtered, and no MeSH file is needed. `joint_first_in_text` is the same with the concept that the
    text mentions first as head.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = CdrConfig
    BUILDER_CONFIGS: ClassVar = [
        CdrConfig("default", VERSION, description="head is the concept mentioned first; hypernym filter"),
        CdrConfig("chemical", VERSION, description="head is the chemical; hypernym filter", head="chemical"),
        CdrConfig(
            "joint", VERSION, description="head is the chemical; every pair", head="chemical", hypernym_filter=False
        ),
        CdrConfig(
            "joint_first_in_text",
            VERSION,
            description="head is the concept mentioned first; every pair",
            hypernym_filter=False,
        ),
    ]
    DEFAULT_CONFIG_NAME = "default"

    NAME = "cdr"
    SOURCES: ClassVar = {config.name: _SPLITS for config in BUILDER_CONFIGS}
    SIDE_FILES = TREE_FILES
    RELATION_LABELS: ClassVar = {"CID": "chemical induces disease"}
    ENTITY_TYPES: ClassVar = ["Chemical", "Disease"]
    RELATION_TYPES: ClassVar = ["CID"]
    LICENSE = "other"
    HOMEPAGE = "https://biocreative.bioinformatics.udel.edu/resources/corpora/biocreative-v-cdr-corpus/"
    CITATION = (
        "Li, Sun, Johnson, Sciaky, Wei, Leaman, Davis, Mattingly, Wiegers, Lu: BioCreative V CDR task corpus: a "
        "resource for chemical disease relation extraction. Database 2016."
    )

    def files(self, manager: datasets.DownloadManager | datasets.StreamingDownloadManager) -> dict[str, str]:
        """The path (with streaming, the URL) of each available split.

        Raises:
            FileNotFoundError: the hypernym filter lacks its file, or no file of the corpus is in `data_dir`.
        """
        self._tree_file()
        return super().files(manager)

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of PubTator files."""
        path = self._tree_file()
        tree = None if path is None else MeshTree.read(source_lines(str(path)), path.name)
        reader = AbstractReader(self.ENTITY_TYPES, dict.fromkeys(_PAIR, "|"), self.config.clean_ids)
        labels, first = self.relation_labels(), self.config.head == "first_in_text"
        for name in paths:
            for abstract in read_pubtator(source_lines(name), source_name(name)):
                facts = self._facts(abstract, reader)
                document = add_pairs(reader.read(abstract), facts, [_PAIR], labels, reader.counts, first)
                yield document if tree is None else filter_hypernyms(document, tree)
        changed = reader.counts[UNMENTIONED] or reader.counts[REPEATED_IDS]
        self.log_report(paths, count_table(reader.counts), bool(changed))

    def _facts(self, abstract: Abstract, reader: AbstractReader) -> list[Fact]:
        for number, (name, *_) in enumerate(abstract.relations):
            if name not in self.RELATION_TYPES:
                fix = f"correct it or drop the row; {self.NAME} has {', '.join(self.RELATION_TYPES)}"
                raise DocumentError(abstract.id, f"relations[{number}].type", name, fix)
        return [Fact(name, _PAIR, (reader.clean(a), reader.clean(b))) for name, a, b in abstract.relations]

    def _tree_file(self) -> Path | None:
        """The file of the hypernym filter; None if the config does not filter."""
        if not self.config.hypernym_filter:
            return None
        folder, tree = self.config.data_dir, self.config.mesh_tree
        path = Path(tree) if tree else find_file(Path(folder), TREE_FILES) if folder else None
        if path is None or not path.is_file():
            problem = f"mesh_tree {tree!r} does not exist" if tree else f"data_dir {folder!r} has none"
            raise FileNotFoundError(
                f"{self.NAME}: the hypernym filter needs the tree numbers of MeSH 2017 ({' or '.join(TREE_FILES)}, "
                f"plain or .gz; columns tree number, descriptor id, term), but {problem}; give the file as mesh_tree, "
                "put it into data_dir, or turn the filter off by hypernym_filter=False or the config `joint`"
            )
        return path


if __name__ == "__main__":
    main(Cdr)
