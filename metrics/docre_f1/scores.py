"""Scores of predicted documents against reference documents; plain Python over sets of tuples.

Sources: the strict joint evaluation of JEREX section 4 for mentions, clusters, entities and relations; the official
DocRED evaluation for Ign F1 and evidence F1; sibling files name theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import Any, NamedTuple

from .conventions import Convention, read_convention
from .coreference_scores import coreference_counts
from .counts import Counts, add_counts, pool, set_counts
from .name_scores import count_by_names
from .overlaps import without_overlapping_arguments, without_overlapping_entities
from .pairing import Pair, pair_documents
from .relation_counts import (
    DISTANCE_SUBSETS,
    FREQUENT_TYPES,
    Fact,
    Side,
    count_evidence,
    count_relations,
    judge,
    read_train_facts,
)
from .reports import (
    CLUSTER_TASKS,
    COREFERENCE_TASKS,
    RELATION_TASKS,
    REPORTS,
    SUBSETS,
    CorpusCounts,
    DocumentCounts,
    convention_report,
    macro_scores,
    named_scores,
    pairing_report,
)
from .scored_document import ScoredDocument


class Rules(NamedTuple):
    """How to count.

    `entities_predicted` says whether there are entities to score, `facts` are those of the training split, and
    `no_overlap` leaves out overlapping entities and relations between them.
    """

    entities_given: bool
    entities_predicted: bool
    facts: frozenset[Fact] | None
    frequent_types: frozenset[str]
    symmetric_relations: frozenset[str]
    no_overlap: bool

    @property
    def typed_tasks(self) -> tuple[str, ...]:
        """Names of the tasks whose items have a type."""
        return (*RELATION_TASKS, *("entity",) * self.entities_predicted)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that can be scored, apart from evidence and subsets."""
        if self.entities_given:
            return self.typed_tasks
        return (*CLUSTER_TASKS, *COREFERENCE_TASKS, *self.typed_tasks, "name_relation")


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
    by_word_count: bool = False,
    ranking: bool = False,
    frequent_types: Collection[str] = FREQUENT_TYPES,
    symmetric_relations: Collection[str] | None = None,
    no_overlap: bool = False,
    convention: str | None = None,
    ign_epsilon: float = 0.0,
    denominator_epsilon: float = 0.0,
) -> dict[str, Any]:
    """Score predicted documents against reference documents, matched by id; the metric's page explains the options.

    Args:
        predictions: Document dicts, their JSON texts, or objects with `to_dict()`.
        references: gold documents in the same forms, or as `read_references` returns them; if entities are given, their
            `candidates` say which pairs are scored.
        train_facts: training documents or (head name, tail name, relation type) triples; adds the Ign scores.
        entities_given: whether predicted relations point to the reference's entities instead of predicted ones.
        subsets: add scores of six further subsets of pairs.
        per_type, per_document, by_entity_count, by_word_count, ranking: add the entry of that name (`REPORTS`).
        frequent_types: relation types of the subset `frequent`.
        symmetric_relations: relation types without direction; by default those of the convention.
        no_overlap: leave overlapping entities, and relations whose arguments overlap, out of both sides.
        convention: one of `CONVENTIONS`; adds `reported`, the scores that papers report on that corpus.
        ign_epsilon: added to the denominator of the Ign precision; 1e-5 repeats the ATLOP and Re-DocRED scripts.
        denominator_epsilon: added to each denominator of the scores of all relations and of each subset; 1e-5 repeats
            the ATLOP script for CDR and GDA.

    Returns:
        A flat dict of fractions and document counts, and one nested entry per requested report.

    Raises:
        ValueError: a document breaks the format, an id is duplicate on one side, a prediction does not fit its
            reference, there are predictions but no reference, or two options contradict each other.
    """
    corpus_convention = _convention(convention, entities_given, no_overlap)
    pairs = pair_documents(predictions, references, entities_given)
    predicted = not entities_given or any(pair.prediction.entities for pair in pairs)
    facts = None if train_facts is None else read_train_facts(train_facts)
    symmetric = corpus_convention.symmetric_relations if symmetric_relations is None else symmetric_relations
    rules = Rules(entities_given, predicted, facts, frozenset(frequent_types), frozenset(symmetric), no_overlap)
    counted = count_corpus(pairs, rules)
    result: dict[str, Any] = corpus_scores(counted, rules, subsets, ign_epsilon, denominator_epsilon)
    result |= pairing_report(pairs)
    if corpus_convention.levels:
        result["reported"] = convention_report(result, corpus_convention.levels)
    requested = (per_type, per_document, by_entity_count, by_word_count, ranking)
    return result | {name: report(counted) for (name, report), on in zip(REPORTS.items(), requested, strict=True) if on}


def _convention(name: str | None, entities_given: bool, no_overlap: bool) -> Convention:
    """The convention of that name, after a check that entities are predicted."""
    if entities_given and (name is not None or no_overlap):
        option = f"convention={name!r}" if name is not None else "no_overlap=True"
        raise ValueError(f"{option} scores predicted entities; leave it out where entities_given=True")
    return read_convention(name)


def pooled_scores(
    rows: Iterable[Mapping[str, Mapping[str, float]]],
    ign: bool = False,
    ign_epsilon: float = 0.0,
    denominator_epsilon: float = 0.0,
) -> dict[str, float]:
    """Scores of selected documents from the counts that `compute_scores(per_document=True)` returns.

    Sampling the rows with replacement gives a bootstrap interval.

    Args:
        rows: counts of each selected document, by task and subset.
        ign: whether training facts were counted; adds the Ign scores.
        ign_epsilon: as for `compute_scores`.
        denominator_epsilon: as for `compute_scores`.
    """
    return named_scores(pool(rows), ign, ign_epsilon, denominator_epsilon, SUBSETS)


def count_corpus(pairs: list[Pair], rules: Rules) -> CorpusCounts:
    """The counts of each document, and their sums by type."""
    documents = {pair.prediction.id: count_document(pair, rules) for pair in pairs}
    types = {task: pool(counts.types[task] for counts in documents.values()) for task in rules.typed_tasks}
    return CorpusCounts(pairs, documents, types)


def corpus_scores(
    counted: CorpusCounts, rules: Rules, subsets: bool, ign_epsilon: float, denominator_epsilon: float
) -> dict[str, float]:
    """The flat scores, micro and macro."""
    tasks = pool([{task: Counts() for task in rules.tasks}, *(counts.tasks for counts in counted.documents.values())])
    ign, reported = rules.facts is not None, SUBSETS if subsets else DISTANCE_SUBSETS
    result = named_scores(tasks, ign, ign_epsilon, denominator_epsilon, reported)
    for task, types in counted.types.items():
        result |= macro_scores(f"macro_{task}", types)
    return result


def count_document(pair: Pair, rules: Rules) -> DocumentCounts:
    """All counts of one document."""
    relation_pair = pair.changed(without_overlapping_arguments) if rules.no_overlap else pair
    entity_pair = pair.changed(without_overlapping_entities) if rules.no_overlap else pair
    predicted, gold = _sides(relation_pair, rules, typed=True)
    tasks, relation_types = count_relations(predicted, gold, rules.facts, rules.frequent_types)
    types = {"relation": relation_types}
    untyped = [set(side.triples()) if side else set() for side in _sides(relation_pair, rules, typed=False)]
    tasks["relation_untyped"], types["relation_untyped"] = set_counts(*untyped), _counts_by_type(*untyped)
    scored = ((predicted.triple(relation), relation.score) for relation in predicted.relations)
    judged = {"relation": judge(scored, () if gold is None else gold.triples())}
    if gold is not None:
        tasks["evidence"] = count_evidence(predicted, gold)
    if not rules.entities_given:
        tasks |= _cluster_counts(entity_pair)
        tasks["name_relation"] = count_by_names(*relation_pair[:2], rules.symmetric_relations)
    if rules.entities_predicted:
        found, stated = (_typed_entities(side, rules.entities_given) for side in entity_pair[:2])
        entities = {item for item, _ in found}, {item for item, _ in stated}
        tasks["entity"], types["entity"] = set_counts(*entities), _counts_by_type(*entities)
        judged["entity"] = judge(found, entities[1])
    return DocumentCounts(tasks, types, judged)


def _sides(pair: Pair, rules: Rules, typed: bool) -> tuple[Side, Side | None]:
    """Both sides; entities are identified by position if given, else by their spans and, if `typed`, their type."""
    predicted, gold, _ = pair
    symmetric = rules.symmetric_relations
    if rules.entities_given:
        return Side.given(predicted, gold, symmetric), None if gold is None else Side.given(gold, gold, symmetric)
    return Side.joint(predicted, typed, symmetric), None if gold is None else Side.joint(gold, typed, symmetric)


def _clusters(document: ScoredDocument | None) -> set[frozenset[Hashable]]:
    return {entity.spans for entity in document.entities if entity.spans} if document else set()


def _cluster_counts(pair: Pair) -> dict[str, Counts]:
    predicted_clusters, gold_clusters = _clusters(pair.prediction), _clusters(pair.reference)
    mentions = set_counts(set().union(*predicted_clusters), set().union(*gold_clusters))
    clusters = set_counts(predicted_clusters, gold_clusters)
    return {"mention": mentions, "cluster": clusters, **coreference_counts(predicted_clusters, gold_clusters)}


def _typed_entities(
    document: ScoredDocument | None, entities_given: bool
) -> list[tuple[tuple[Hashable, str], float | None]]:
    """Each entity with its type, and its score; predicted spans without a type only serve as arguments of relations."""
    numbered = enumerate(document.entities if document else ())
    return [
        ((number if entities_given else entity.spans, entity.type), entity.score)
        for number, entity in numbered
        if entity.spans and (entity.type or entities_given)
    ]


def _counts_by_type(predicted: set[tuple[Any, ...]], gold: set[tuple[Any, ...]]) -> dict[str, Counts]:
    """Counts of two sets of tuples by their last item, the type."""
    counts: dict[str, Counts] = {}
    for item in predicted:
        hit = item in gold
        add_counts(counts, {item[-1]: Counts(hit, 1, hit, 0)})
    for item in gold:
        add_counts(counts, {item[-1]: Counts(0, 0, 0, 1)})
    return counts
