"""The metric `docre_f1` of the `evaluate` library: scores of document-level relation extraction."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import datasets
import evaluate

# `evaluate` copies only the siblings that this file imports, so it imports those of its siblings, too.
from .candidate_pairs import CandidatePairs
from .conventions import CONVENTIONS
from .coreference_scores import coreference_counts
from .counts import Counts
from .document_reader import read_document
from .name_scores import count_by_names
from .overlaps import overlap
from .pairing import pair_documents, read_references
from .ranking_scores import calibration_error, precision_threshold, theta_scores
from .relation_counts import read_train_facts
from .reports import REPORTS
from .scored_document import ScoredDocument
from .scores import compute_scores, pooled_scores

__all__ = [
    "CONVENTIONS",
    "REPORTS",
    "CandidatePairs",
    "Counts",
    "DocreF1",
    "ScoredDocument",
    "compute_scores",
    "coreference_counts",
    "count_by_names",
    "overlap",
    "pair_documents",
    "pooled_scores",
    "read_document",
    "read_references",
    "read_train_facts",
    "theta_scores",
]

_DESCRIPTION = """
Precision, recall and F1 of document-level relation extraction, from mentions to relations: the strict joint scores of
JEREX, relations by the names of their entities, the official DocRED scores (F1, Ign F1, evidence F1), the scores of CDR
and GDA on candidate pairs, the scores of SpERT on sentences (micro and macro, with and without entity types),
sentence-distance and other subsets, and the coreference scores MUC, B-cubed and CEAF-e. All scores are fractions.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions: documents with predicted entities and relations, as Document dicts, their JSON texts, or objects with
        `to_dict()`. A Document dict has the keys `id`, `sentences` (words, sentence by sentence), `entities`
        (`type` and `mentions` with `sentence`, `start`, `end`) and `relations` (`head`, `tail`, `type` and optionally
        `evidence`); other keys are ignored. A prediction may leave out `sentences`. Documents are matched by `id`.
    references: the gold documents, in the same forms. With entities_given, a reference that lists `candidates` (`head`,
        `tail`, optionally `scored` and `cross`) is scored on these pairs, as CDR and GDA are.
    train_facts: training documents, or (head name, tail name, relation type) triples; adds the Ign scores.
    entities_given (bool): predicted relations point to the reference's entities; predictions need no `entities`.
    subsets (bool): add scores of the subsets inter_long, frequent, long_tail, m1, m2 and single.
    per_type (bool): add scores per relation type and entity type.
    per_document (bool): add the counts of each document, for `pooled_scores`.
    by_entity_count (bool): add relation scores by the number of gold entities.
    by_word_count (bool): add relation scores, micro and macro, by the number of words (<20, 20-34, 35-50, >50).
    ranking (bool): add the scores and types of all predicted relations and which of them are correct, likewise of the
        predicted entities that have a score, for `theta_scores`, `calibration_error` and `precision_threshold`.
    frequent_types: relation types of the subset `frequent`; by default the ten of the Re-DocRED script.
    symmetric_relations: relation types that hold in both directions, so that head and tail may be swapped; by default
        those of the convention, if any.
    no_overlap (bool): leave out of predictions and references the entities that overlap another entity, and the
        relations whose two arguments overlap.
    convention (str): `conll04`, `scierc` or `ade`; adds `reported`, the scores that papers report on that corpus.
    ign_epsilon (float): added to the denominator of the Ign precision; 1e-5 repeats the ATLOP script.
    denominator_epsilon (float): added to each denominator of the relation scores; 1e-5 repeats ATLOP's CDR script.
Returns:
    a flat dict: {mention,cluster,entity,relation,relation_untyped,name_relation}_{precision,recall,f1},
    coref_{muc,b3,ceafe,f1}, {intra,inter}_{precision,recall,f1,support},
    macro_{relation,relation_untyped,entity}_{precision,recall,f1}, numbers of documents; with train_facts
    ign_{precision,f1}; with evidence in the references evidence_{precision,recall,f1}.
Examples:
    >>> metric = evaluate.load("docre_f1")
    >>> gold = {"id": "a", "sentences": [["Ada", "lives", "in", "London"]],
    ...         "entities": [{"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 1}]},
    ...                      {"type": "LOC", "mentions": [{"sentence": 0, "start": 3, "end": 4}]}],
    ...         "relations": [{"head": 0, "tail": 1, "type": "residence"}]}
    >>> metric.compute(predictions=[gold], references=[gold])["relation_f1"]
    1.0
"""

_CITATION = """
@inproceedings{yao-etal-2019-docred,
    title = "{D}oc{RED}: A Large-Scale Document-Level Relation Extraction Dataset",
    author = "Yao, Yuan and Ye, Deming and Li, Peng and Han, Xu and Lin, Yankai and Liu, Zhenghao and Liu, Zhiyuan and
      Huang, Lixin and Zhou, Jie and Sun, Maosong",
    booktitle = "Proceedings of ACL 2019",
    year = "2019"
}
@inproceedings{eberts-ulges-2021-end,
    title = "An End-to-end Model for Entity-level Relation Extraction using Multi-instance Learning",
    author = "Eberts, Markus and Ulges, Adrian",
    booktitle = "Proceedings of EACL 2021",
    year = "2021"
}
@inproceedings{eberts-ulges-2020-span,
    title = "Span-based Joint Entity and Relation Extraction with Transformer Pre-training",
    author = "Eberts, Markus and Ulges, Adrian",
    booktitle = "Proceedings of ECAI 2020",
    year = "2020"
}
"""

# Arrow refuses rows with missing or extra fields and columns of unequal length. So a document is stored as one JSON
# string with only what is scored, and the shorter column is filled with this value.
_NO_DOCUMENT = ""


class DocreF1(evaluate.Metric):
    """Scores predicted documents against reference documents; see the README beside this file for every key."""

    # State that `evaluate` keeps between adding and computing.
    writer: Any
    filelock: Any
    cache_file_name: Any
    filelocks: Any
    file_paths: Any

    compute_scores = staticmethod(compute_scores)
    read_references = staticmethod(read_references)
    read_train_facts = staticmethod(read_train_facts)
    pooled_scores = staticmethod(pooled_scores)
    theta_scores = staticmethod(theta_scores)
    precision_threshold = staticmethod(precision_threshold)
    calibration_error = staticmethod(calibration_error)

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
            reference_urls=[
                "https://github.com/thunlp/DocRED",
                "https://github.com/lavis-nlp/jerex",
                "https://github.com/lavis-nlp/spert",
            ],
        )

    def add(self, *, prediction: Any = None, reference: Any = None) -> None:
        """Add one predicted and one reference document; either may be added later instead.

        Raises:
            ValueError: a document breaks the format; then nothing is added.
        """
        self.add_batch(
            predictions=[] if prediction is None else [prediction],
            references=[] if reference is None else [reference],
        )

    def add_batch(self, *, predictions: Iterable[Any] | None = None, references: Iterable[Any] | None = None) -> None:
        """Add predicted and reference documents in any order; the two lists may differ in length.

        Raises:
            ValueError: a document breaks the format; then nothing is added.
        """
        predicted, gold = _rows(predictions, predicted=True), _rows(references, predicted=False)
        length = max(len(predicted), len(gold), 1)
        super().add_batch(predictions=_filled(predicted, length), references=_filled(gold, length))

    def compute(self, *, predictions: Any = None, references: Any = None, **options: Any) -> dict[str, Any] | None:
        """Score all documents added and given here, then forget them, even after an error.

        Raises:
            ValueError: a document breaks the format, an id is duplicate, or a prediction does not fit its reference.
        """
        try:
            return super().compute(predictions=predictions, references=references, **options)
        except BaseException:
            self._forget()
            raise

    def _compute(self, *, predictions: list[str], references: list[str], **options: Any) -> dict[str, Any]:
        return compute_scores(_documents(predictions), _documents(references), **options)

    def _forget(self) -> None:
        """Drop the added documents and free their files, so that the metric can be used again after an error."""
        if self.writer is not None:
            self.writer.finalize()
        held = list(zip(self.filelocks or [], self.file_paths or [], strict=True))
        if self.filelock is not None:
            held.append((self.filelock, self.cache_file_name))
        self.writer = self.buf_writer = self.data = None
        self.cache_file_name = self.filelock = self.selected_feature_format = None
        self.filelocks = self.file_paths = None
        for lock, path in held:
            # A released lock is from an earlier computation, and another metric may use its file now.
            if lock.is_locked:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(path)
                lock.release()


def _rows(documents: Iterable[Any] | None, predicted: bool) -> list[str]:
    if isinstance(documents, str | Mapping):
        side = "predictions" if predicted else "references"
        raise ValueError(f"{side} is one {type(documents).__name__}; give a list of documents")
    return [read_document(document, predicted).to_row() for document in (() if documents is None else documents)]


def _filled(rows: list[str], length: int) -> list[str]:
    return rows + [_NO_DOCUMENT] * (length - len(rows))


def _documents(rows: list[str]) -> list[ScoredDocument]:
    return [ScoredDocument.from_row(row) for row in rows if row != _NO_DOCUMENT]
