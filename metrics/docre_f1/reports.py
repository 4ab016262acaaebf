"""Turns counts into the entries of the metric's result: scores by name, type, document and group of documents."""

from __future__ import annotations

import warnings
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from .counts import Counts, pool, ratio
from .document_reader import reject
from .pairing import Pair
from .relation_counts import DISTANCE_SUBSETS, FURTHER_SUBSETS, Judged
from .scored_document import ScoredDocument

CLUSTER_TASKS = ("mention", "cluster")
COREFERENCE_TASKS = ("muc", "b3", "ceafe")
RELATION_TASKS = ("relation", "relation_untyped")
SUBSETS = (*DISTANCE_SUBSETS, *FURTHER_SUBSETS)
ENTITIES_PER_GROUP = 5
WORD_GROUPS, WORD_LIMITS = ("<20", "20-34", "35-50", ">50"), (19, 34, 50)
"""The groups of documents by length, and the most words of each group but the last (SpERT section 4.3)."""

_PARTS = ("precision", "recall", "f1")


class DocumentCounts(NamedTuple):
    """Counts of one document: `tasks` by task and subset, `types` by task and type for tasks with types.

    `judged` are its distinct predicted relations and, where there are entities to score, entities.
    """

    tasks: dict[str, Counts]
    types: dict[str, dict[str, Counts]]
    judged: dict[str, list[Judged]]


class CorpusCounts(NamedTuple):
    """Counts of a corpus: its paired documents, their counts by id, and the sums by task and type."""

    pairs: list[Pair]
    documents: dict[str, DocumentCounts]
    types: dict[str, dict[str, Counts]]


def named_scores(
    tasks: Mapping[str, Counts], ign: bool, ign_epsilon: float, denominator_epsilon: float, subsets: Iterable[str]
) -> dict[str, float]:
    """The flat result of pooled counts; tasks that were not counted are left out, empty subsets score 0."""
    result: dict[str, float] = {}
    for task in (*CLUSTER_TASKS, "entity"):
        result |= _precision_recall_f1(task, tasks[task]) if task in tasks else {}
    for task in RELATION_TASKS:
        result |= _precision_recall_f1(task, tasks.get(task, Counts()), denominator_epsilon)
    if "name_relation" in tasks:
        result |= _precision_recall_f1("name_relation", tasks["name_relation"], denominator_epsilon)
    if ign:
        relation = tasks.get("relation", Counts())
        result |= {"ign_precision": relation.ign_precision(ign_epsilon), "ign_f1": relation.ign_f1(ign_epsilon)}
    if tasks.get("evidence", Counts()).gold:
        result |= _precision_recall_f1("evidence", tasks["evidence"])
    for name in subsets:
        counts = tasks.get(name, Counts())
        result |= _precision_recall_f1(name, counts, denominator_epsilon) | {f"{name}_support": counts.gold}
        if ign:
            result[f"{name}_ign_f1"] = counts.ign_f1(ign_epsilon)
    return result | _coreference_result(tasks)


def _precision_recall_f1(name: str, counts: Counts, epsilon: float = 0.0) -> dict[str, float]:
    precision, recall, f1 = counts.smoothed(epsilon)
    return {f"{name}_precision": precision, f"{name}_recall": recall, f"{name}_f1": f1}


def _coreference_result(tasks: Mapping[str, Counts]) -> dict[str, float]:
    if "muc" not in tasks:
        return {}
    scores = {f"coref_{task}": tasks[task].f1 for task in COREFERENCE_TASKS}
    return scores | {"coref_f1": sum(scores.values()) / len(scores)}


def macro_scores(prefix: str, types: Mapping[str, Counts]) -> dict[str, float]:
    """Unweighted means over the types in the references or predictions; F1 is the mean of the types' F1."""
    return {
        f"{prefix}_{part}": ratio(sum(getattr(counts, part) for counts in types.values()), len(types))
        for part in _PARTS
    }


def convention_report(result: Mapping[str, float], levels: Iterable[str]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of the levels that a convention names, out of the flat result."""
    return {level: {part: result[f"{level}_{part}"] for part in _PARTS} for level in levels}


def type_report(counted: CorpusCounts) -> dict[str, dict[str, dict[str, float]]]:
    """The scores of each relation type and entity type, by task."""
    return {task: {kind: _report(types[kind]) for kind in sorted(types)} for task, types in counted.types.items()}


def document_report(counted: CorpusCounts) -> dict[str, dict[str, dict[str, float]]]:
    """The counts of each document, by id and task."""
    return {
        name: {task: item.to_dict() for task, item in counts.tasks.items()}
        for name, counts in counted.documents.items()
    }


def entity_count_report(counted: CorpusCounts) -> dict[str, dict[str, float]]:
    """Relation scores of documents with 1-5, 6-10, 11-15, … gold entities (ATLOP figure 4)."""
    groups = _groups(counted, lambda document: -(-len(document.entities) // ENTITIES_PER_GROUP))
    return {_entities_of(number): _group_report(group) for number, group in groups.items()}


def _entities_of(number: int) -> str:
    return f"{(number - 1) * ENTITIES_PER_GROUP + 1}-{number * ENTITIES_PER_GROUP}" if number else "0"


def word_count_report(counted: CorpusCounts) -> dict[str, dict[str, float]]:
    """Relation scores, micro and macro, of documents by their number of words.

    In SpERT's figure 3 a document is one sentence, and the scores are macro F1.
    """
    groups = _groups(counted, lambda document: bisect_left(WORD_LIMITS, sum(document.sentence_lengths or ())))
    return {
        WORD_GROUPS[number]: _group_report(group)
        | macro_scores("macro", pool(counts.types["relation"] for counts in group))
        for number, group in groups.items()
    }


def ranking_report(counted: CorpusCounts) -> dict[str, Any]:
    """Scores, correctness and types of the distinct predicted relations, and the number of gold relations.

    Where there are entities to score, `entities` has the same of the predicted entities that have a score.

    Raises:
        ValueError: a predicted relation has no score.
    """
    for name, counts in counted.documents.items():
        if any(item.score is None for item in counts.judged["relation"]):
            reject(name, "the score of a predicted relation", None, "a ranking needs the scores of all relations")
    entities = {"entities": _ranking(counted, "entity")} if "entity" in counted.types else {}
    return _ranking(counted, "relation") | entities


def _ranking(counted: CorpusCounts, task: str) -> dict[str, Any]:
    documents = counted.documents.values()
    judged = [item for counts in documents for item in counts.judged[task] if item.score is not None]
    return {
        "scores": [item.score for item in judged],
        "correct": [item.correct for item in judged],
        "types": [item.type for item in judged],
        "gold_count": sum(counts.tasks[task].gold for counts in documents),
    }


REPORTS: Mapping[str, Callable[[CorpusCounts], dict[str, Any]]] = {
    "per_type": type_report,
    "per_document": document_report,
    "by_entity_count": entity_count_report,
    "by_word_count": word_count_report,
    "ranking": ranking_report,
}
"""The optional entries by name."""


def _groups(counted: CorpusCounts, number_of: Callable[[ScoredDocument], int]) -> dict[int, list[DocumentCounts]]:
    """The counts of documents with a reference, grouped by a number of the reference, in ascending order."""
    groups: dict[int, list[DocumentCounts]] = {}
    for prediction, reference, _ in counted.pairs:
        if reference is not None:
            groups.setdefault(number_of(reference), []).append(counted.documents[prediction.id])
    return dict(sorted(groups.items()))


def _group_report(group: Collection[DocumentCounts]) -> dict[str, float]:
    return {**_report(pool(counts.tasks for counts in group)["relation"]), "documents": len(group)}


def _report(counts: Counts) -> dict[str, float]:
    return {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1, "support": counts.gold}


def pairing_report(pairs: Collection[Pair]) -> dict[str, int]:
    """Number of documents by how they were matched; warns of unknown ids and of NaN or infinite scores."""
    unknown = [pair.prediction.id for pair in pairs if pair.reference is None]
    if unknown:
        shown = ", ".join(map(repr, unknown[:3])) + (", …" if len(unknown) > 3 else "")
        warnings.warn(f"{len(unknown)} predictions have no reference and count as wrong: {shown}", stacklevel=3)
    dropped = sum(pair.prediction.dropped for pair in pairs)
    if dropped:
        warnings.warn(f"{dropped} predicted items with a NaN or infinite score count as not predicted", stacklevel=3)
    return {
        "documents": len(pairs) - len(unknown),
        "missing_documents": sum(pair.missing for pair in pairs),
        "unknown_documents": len(unknown),
    }
