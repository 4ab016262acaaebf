"""ChemDisGene: relations between chemicals, diseases and genes in PubMed abstracts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import datasets

from dataset_scripts.building.builder import DocumentBuilder
from dataset_scripts.building.concept_pairs import UNMENTIONED, Fact, add_pairs
from dataset_scripts.building.export import main
from dataset_scripts.building.sources import Source, source_lines, source_name
from dataset_scripts.readers.abstracts import AbstractReader
from modeling_docre.annotations.pubtator import read_pubtator
from modeling_docre.annotations.report import REPEATED_IDS, count_table
from modeling_docre.documents import Document, DocumentError

_ABSENT = "relation rows of documents without an abstract (dropped)"
_OTHER_RELATIONS = "relation rows of unknown types (dropped)"
_PREFIXES = {
    "chem_disease": ("Chemical", "Disease"),
    "chem_gene": ("Chemical", "Gene"),
    "gene_disease": ("Gene", "Disease"),
}
PAIR_TYPES = list(_PREFIXES.values())
"""The pairs of entity types, head and tail, that relation types connect."""

_LABELS = {
    "chem_disease:marker/mechanism": "chemical is a marker of disease or part of its mechanism",
    "chem_disease:therapeutic": "chemical is therapeutic for disease",
    "chem_gene:affects^binding": "chemical affects binding of gene",
    "chem_gene:affects^expression": "chemical affects expression of gene",
    "chem_gene:affects^localization": "chemical affects localization of gene",
    "chem_gene:decreases^activity": "chemical decreases activity of gene",
    "chem_gene:decreases^expression": "chemical decreases expression of gene",
    "chem_gene:decreases^metabolic_processing": "chemical decreases metabolic processing of gene",
    "chem_gene:increases^activity": "chemical increases activity of gene",
    "chem_gene:increases^expression": "chemical increases expression of gene",
    "chem_gene:increases^metabolic_processing": "chemical increases metabolic processing of gene",
    "chem_gene:increases^transport": "chemical increases transport of gene",
    "gene_disease:marker/mechanism": "gene is a marker of disease or part of its mechanism",
    "gene_disease:therapeutic": "gene is therapeutic for disease",
}


def _parts(split: str, name: str) -> dict[str, Source]:
    url = f"https://raw.githubusercontent.com/chanzuckerberg/ChemDisGene/HEAD/data/ctd_derived/{name}_"
    files = ("abstracts.txt", "relationships.tsv")
    return {f"{split}/{file}": Source(f"{url}{file}.gz", (f"{name}_{file}",)) for file in files}


_FILES = _parts("train", "train") | _parts("validation", "dev") | _parts("test", "test")


@dataclass
class ChemDisGeneConfig(datasets.BuilderConfig):
    """Config of ChemDisGene.

    Args:
        related_types_only: leave out entities of types that no relation type connects, such as species.
        drop_unknown_relations: leave out relation rows of unknown types instead of refusing them.
    """

    related_types_only: bool = field(
        default=False, metadata={"help": "leave out entities of types that no relation type connects"}
    )
    drop_unknown_relations: bool = field(
        default=False, metadata={"help": "leave out relation rows of types that are not in the builder's list"}
    )


class ChemDisGene(DocumentBuilder):
    """ChemDisGene (Zhang et al., LREC 2022): fourteen relations between chemicals, diseases and genes.

    The relations come from the Comparative Toxicogenomics Database (distant supervision). A relation's head is the
    concept that its type names first: `chem_gene:...` leads from a chemical to a gene, whatever the order of the file's
    columns. `candidates` are all pairs that a relation type can connect: chemical and disease, chemical and gene, gene
    and disease, in these directions. All are scored. Config `default` has entities of every annotated type, `related`
    only those of the three types.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = ChemDisGeneConfig
    BUILDER_CONFIGS: ClassVar = [
        ChemDisGeneConfig("default", VERSION, description="entities of every annotated type"),
        ChemDisGeneConfig("related", VERSION, description="chemicals, diseases and genes", related_types_only=True),
    ]
    DEFAULT_CONFIG_NAME = "default"

    NAME = "chemdisgene"
    SOURCES: ClassVar = {"default": _FILES, "related": _FILES}
    ENTITY_TYPES: ClassVar = [
        "CellLine",
        "Chemical",
        "DNAMutation",
        "Disease",
        "Gene",
        "ProteinMutation",
        "SNP",
        "Species",
    ]
    RELATION_TYPES: ClassVar = list(_LABELS)
    RELATION_LABELS: ClassVar = _LABELS
    LICENSE = "cc0-1.0"
    HOMEPAGE = "https://github.com/chanzuckerberg/ChemDisGene"
    CITATION = (
        "Zhang, Mohan, Torkar, McCallum: A Distant Supervision Corpus for Extracting Biomedical Relationships Between "
        "Chemicals, Diseases and Genes. LREC 2022."
    )

    def read(self, paths: Iterable[str]) -> Iterator[Document]:
        """The documents of a file of abstracts and a file of their relations.

        Raises:
            DocumentError: a row has a wrong form or an unknown type, or a mention's text differs from its offsets'.
        """
        abstracts, relations = paths
        related_only = self.config.related_types_only
        types = sorted({name for pair in PAIR_TYPES for name in pair}) if related_only else self.ENTITY_TYPES
        # A `;` in a mutation's id separates its names in several databases, not several mutations.
        reader = AbstractReader(types, {"Gene": ";"}, drop_types=related_only)
        facts = read_relationships(source_lines(relations), source_name(relations))
        labels = self.relation_labels()
        seen: set[str] = set()
        for abstract in read_pubtator(source_lines(abstracts), source_name(abstracts)):
            seen.add(abstract.id)
            own = facts.get(abstract.id, [])
            known = [fact for fact in own if self._is_known(abstract.id, fact)]
            reader.counts[_OTHER_RELATIONS] += len(own) - len(known)
            yield add_pairs(reader.read(abstract), known, PAIR_TYPES, labels, reader.counts)
        reader.counts[_ABSENT] = sum(len(facts[name]) for name in facts.keys() - seen)
        changed = any(reader.counts[name] for name in (UNMENTIONED, REPEATED_IDS, _ABSENT, _OTHER_RELATIONS))
        self.log_report(paths, count_table(reader.counts), changed)

    def _is_known(self, document_id: str, fact: Fact) -> bool:
        if fact.type in _LABELS or self.config.drop_unknown_relations:
            return fact.type in _LABELS
        fix = "add it to the builder's relation types, or leave such rows out with drop_unknown_relations=True"
        raise DocumentError(document_id, "relation type", fact.type, fix)


def read_relationships(lines: Iterable[str], name: str) -> dict[str, list[Fact]]:
    """The relations of a file with rows `id, type, concept, concept`, by document.

    Raises:
        DocumentError: a row has other columns, or a type that does not name its entity types.
    """
    facts: dict[str, list[Fact]] = {}
    for number, line in enumerate(lines, 1):
        columns = line.rstrip("\r\n").split("\t")
        if columns == [""]:
            continue
        if len(columns) != 4:
            fix = "give the columns id, relation type, concept, concept, separated by tabs"
            raise DocumentError(columns[0], f"line {number} of {name}", line, fix)
        prefix = columns[1].partition(":")[0]
        if prefix not in _PREFIXES:
            fix = f"begin it with the entity types that it connects, one of {', '.join(_PREFIXES)}, and a colon"
            raise DocumentError(columns[0], f"line {number} of {name}, relation type", columns[1], fix)
        facts.setdefault(columns[0], []).append(Fact(columns[1], _PREFIXES[prefix], (columns[2], columns[3])))
    return facts


if __name__ == "__main__":
    main(ChemDisGene)
