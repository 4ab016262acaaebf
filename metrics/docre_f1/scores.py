"""Scores of predicted documents against reference documents; plain Python over sets of tuples.

Sources: the strict joint evaluation of JEREX section 4 for mentions, clusters, entities and relations; the official
DocRED evaluation for Ign F1 and evidence F1; sibling files name theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any, NamedTuple

from .coreference_scores import coreference_counts
from .counts import Counts, add_counts, pool, ratio, set_counts
from .pairing import Pair, pair_documents
from .relation_counts import (
    DISTANCE_SUBSETS,
    FREQUENT_TYPES,
    FURTHER_SUBSETS,
    Fact,
    Side,
    count_evidence,
    count_relations,
    read_train_facts,
)
from .scored_document import ScoredDocument

CLUSTER_TASKS = ("mention", "cluster")
COREFERENCE_TASKS = ("muc", "b3", "ceafe")
RELATION_TASKS = ("relation", "relation_untyped")
SUBSETS = (*DISTANCE_SUBSETS, *FURTHER_SUBSETS)
ENTITIES_PER_GROUP = 5


class DocumentCounts(NamedTuple):
    """Counts of one document: by task and subset, and by relation type and entity type."""

    tasks: dict[str, Counts]
    relation_types: dict[str, Counts]
    entity_types: dict[str, Counts]


class Rules(NamedTuple):
    """How to count: what relations point to, whether entities were predicted, training facts, frequent types."""

    entities_given: bool
    entities_predicted: bool
    facts: frozenset[Fact] | None
    frequent_types: frozenset[str]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that can be scored, apart from evidence and subsets."""
        entity = ("entity",) * self.entities_predicted
        joint = () if self.entities_given else (*CLUSTER_TASKS, *COREFERENCE_TASKS)
        return (*joint, *entity, *RELATION_TASKS)


def compute_scores(
    predictions: Iterable[Any],
    references: Iterable[Any],
    *,
    train_facts: Iterable[Any] | None = None,
    entities_given: bool = False,
    subsets: bool = False,
    per_type: bool = False,
    per_document: bool = False,
    by_entity_count: bool = False,
    frequent_types: Collection[str] = FREQUENT_TYPES,
    ign_epsilon: float = 0.0,
    denominator_epsilon: float = 0.0,
) -> dict[str, Any]:
    """Score predicted documents against reference documents, matched by id.

    Args:
        predictions: Document dicts, their JSON texts, or objects with `to_dict()`.
        references: gold documents in the same forms; where entities are given, their `candidates` say what is scored.
        train_facts: training documents or (head name, tail name, relation type) triples; adds the Ign scores.
        entities_given: whether predicted relations point to the reference's entities instead of predicted ones.
        subsets: add scores of six further subsets of pairs.
        per_type: add scores per relation type and entity type.
        per_document: add the counts of each document, which `pooled_scores` turns back into scores.
        by_entity_count: add relation scores by the number of gold entities in a document.
        frequent_types: relation types of the subset `frequent`.
        ign_epsilon: added to the denominator of the Ign precision; 1e-5 repeats the ATLOP and Re-DocRED scripts.
        denominator_epsilon: added to each denominator of the scores of all relations and of each subset; 1e-5 repeats
            the ATLOP script for CDR and GDA.

    Returns:
        A flat dict of fractions and document counts, and one nested entry per report asked for.

    Raises:
        ValueError: a document breaks the format, an id stands twice on one side, a prediction does not fit its
            reference, or there are predictions but no reference.
    """
    facts = None if train_facts is None else read_train_facts(train_facts)
    pairs = pair_documents(predictions, references, entities_given)
    entities_predicted = not entities_given or any(pair.prediction.entities for pair in pairs)
    rules = Rules(entities_given, entities_predicted, facts, frozenset(frequent_types))
    counted = {pair.prediction.id: count_document(pair, rules) for pair in pairs}
    tasks = pool([{task: Counts() for task in rules.tasks}, *(counts.tasks for counts in counted.values())])
    reported = SUBSETS if subsets else DISTANCE_SUBSETS
    result: dict[str, Any] = _named_scores(tasks, facts is not None, ign_epsilon, denominator_epsilon, reported)
    types = {"relation": pool(counts.relation_types for counts in counted.values())}
    if entities_predicted:
        types["entity"] = pool(counts.entity_types for counts in counted.values())
    for task, counts in types.items():
        result |= _macro_scores(task, counts)
    result |= _report_pairing(pairs)
    if per_type:
        result["per_type"] = {task: _type_report(counts) for task, counts in types.items()}
    if per_document:
        result["per_document"] = {
            name: {task: item.to_dict() for task, item in counts.tasks.items()} for name, counts in counted.items()
        }
    if by_entity_count:
        result["by_entity_count"] = _entity_count_report(pairs, counted)
    return result


def pooled_scores(
    rows: Iterable[Mapping[str, Mapping[str, float]]],
    ign: bool = False,
    ign_epsilon: float = 0.0,
    denominator_epsilon: float = 0.0,
) -> dict[str, float]:
    """Scores of a selection of documents, from the counts that `compute_scores(per_document=True)` returns.

    Sampling the rows with replacement gives a bootstrap interval.

    Args:
        rows: counts of each selected document, by task and subset.
        ign: whether training facts were counted, so that the Ign scores can be told.
        ign_epsilon: as for `compute_scores`.
        denominator_epsilon: as for `compute_scores`.
    """
    return _named_scores(pool(rows), ign, ign_epsilon, denominator_epsilon, SUBSETS)


def count_document(pair: Pair, rules: Rules) -> DocumentCounts:
    """All counts of one document."""
    predicted, gold = _sides(pair, rules, typed=True)
    relations = count_relations(predicted, gold, rules.facts, rules.frequent_types)
    tasks = relations.tasks
    untyped_predicted, untyped_gold = _sides(pair, rules, typed=False)
    gold_triples = set(untyped_gold.triples()) if untyped_gold else set()
    tasks["relation_untyped"] = set_counts(set(untyped_predicted.triples()), gold_triples)
    if gold is not None:
        tasks["evidence"] = count_evidence(predicted, gold)
    if not rules.entities_given:
        tasks |= _cluster_counts(pair)
    entity_types: dict[str, Counts] = {}
    if rules.entities_predicted:
        predicted_entities, gold_entities = (_typed_entities(side, rules.entities_given) for side in pair[:2])
        tasks["entity"] = set_counts(predicted_entities, gold_entities)
        entity_types = _counts_by_type(predicted_entities, gold_entities)
    return DocumentCounts(tasks, relations.types, entity_types)


def _sides(pair: Pair, rules: Rules, typed: bool) -> tuple[Side, Side | None]:
    """Both sides with entities identified by position if given, else by their spans and, if `typed`, their type."""
    predicted, gold, _ = pair
    if rules.entities_given:
        return Side.given(predicted, gold), None if gold is None else Side.given(gold, gold)
    return Side.joint(predicted, typed), None if gold is None else Side.joint(gold, typed)


def _clusters(document: ScoredDocument | None) -> set[frozenset[Hashable]]:
    return {entity.spans for entity in document.entities if entity.spans} if document else set()


def _cluster_counts(pair: Pair) -> dict[str, Counts]:
    predicted_clusters, gold_clusters = _clusters(pair.prediction), _clusters(pair.reference)
    mentions = set_counts(set().union(*predicted_clusters), set().union(*gold_clusters))
    clusters = set_counts(predicted_clusters, gold_clusters)
    return {"mention": mentions, "cluster": clusters, **coreference_counts(predicted_clusters, gold_clusters)}


def _typed_entities(document: ScoredDocument | None, entities_given: bool) -> set[tuple[Hashable, str]]:
    numbered = enumerate(document.entities if document else ())
    return {(number if entities_given else entity.spans, entity.type) for number, entity in numbered if entity.spans}


def _counts_by_type(predicted: set[tuple[Hashable, str]], gold: set[tuple[Hashable, str]]) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for item in predicted:
        hit = item in gold
        add_counts(counts, {item[1]: Counts(hit, 1, hit, 0)})
    for item in gold:
        add_counts(counts, {item[1]: Counts(0, 0, 0, 1)})
    return counts


def _named_scores(
    tasks: dict[str, Counts], ign: bool, ign_epsilon: float, denominator_epsilon: float, subsets: Iterable[str]
) -> dict[str, float]:
    """The flat result of pooled counts; tasks that were not counted are left out, subsets that are empty are 0."""
    result: dict[str, float] = {}
    for task in (*CLUSTER_TASKS, "entity"):
        result |= _precision_recall_f1(task, tasks[task]) if task in tasks else {}
    for task in RELATION_TASKS:
        result |= _precision_recall_f1(task, tasks.get(task, Counts()), denominator_epsilon)
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


def _coreference_result(tasks: dict[str, Counts]) -> dict[str, float]:
    if "muc" not in tasks:
        return {}
    scores = {f"coref_{task}": tasks[task].f1 for task in COREFERENCE_TASKS}
    return scores | {"coref_f1": sum(scores.values()) / len(scores)}


def _macro_scores(task: str, types: dict[str, Counts]) -> dict[str, float]:
    """Unweighted means over the types that occur in the references or predictions."""
    return {
        f"macro_{task}_{name}": ratio(sum(getattr(counts, name) for counts in types.values()), len(types))
        for name in ("precision", "recall", "f1")
    }


def _type_report(types: dict[str, Counts]) -> dict[str, dict[str, float]]:
    return {kind: _report(types[kind]) for kind in sorted(types)}


def _report(counts: Counts) -> dict[str, float]:
    return {
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "support": counts.gold,
    }


def _entity_count_report(pairs: list[Pair], counted: dict[str, DocumentCounts]) -> dict[str, dict[str, float]]:
    """Relation scores of documents with 1-5, 6-10, 11-15, … gold entities (ATLOP figure 4)."""
    groups: dict[int, list[DocumentCounts]] = {}
    for prediction, reference, _ in pairs:
        if reference is not None:
            number = -(-len(reference.entities) // ENTITIES_PER_GROUP)
            groups.setdefault(number, []).append(counted[prediction.id])
    return {
        _group_name(number): {
            **_report(pool(counts.tasks for counts in groups[number])["relation"]),
            "documents": len(groups[number]),
        }
        for number in sorted(groups)
    }


def _group_name(number: int) -> str:
    return f"{(number - 1) * ENTITIES_PER_GROUP + 1}-{number * ENTITIES_PER_GROUP}" if number else "0"


def _report_pairing(pairs: list[Pair]) -> dict[str, int]:
    """Number of documents by how they were matched; warns of unknown ids and of scores that are not finite."""
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
