"""What the relation stage is trained on: pairs, labels that may be incomplete, a teacher's scores, evidence, noise."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.documents import Document
from modeling_docre.features import relation_pairs, type_ids

from .arguments import SamplingArguments

logger = logging.getLogger(__name__)


class IncompleteLabels(NamedTuple):
    """What is unknown of entity pairs, and what a teacher says of them.

    `masked` [pairs, types] bool are types that may or may not hold; `complete` [pairs] bool tells whether a type
    without a label does not hold; `soft` [pairs, types] float32 are a teacher's scores where the pair was `taught`
    [pairs] bool.
    """

    masked: np.ndarray
    complete: np.ndarray
    soft: np.ndarray
    taught: np.ndarray


class EvidenceLabels(NamedTuple):
    """Where relations are stated: positions in the list of pairs, ascending, sentences and their shares, [items] each.

    The shares of a pair sum to 1.
    """

    pairs: np.ndarray
    sentences: np.ndarray
    shares: np.ndarray


class EntityGroups(NamedTuple):
    """Entities as the relation stage sees them in training.

    `mentions` are, per entity, positions in the document's list of mentions; `origin` [entities] int64 is the
    document's entity that each one is, whole or in part.
    """

    mentions: list[np.ndarray]
    origin: np.ndarray


class RelationSamples(NamedTuple):
    """Entity pairs [pairs, 2] int64 with labels [pairs, types] float32, and what else is known of them."""

    pairs: np.ndarray
    labels: np.ndarray
    incomplete: IncompleteLabels | None
    evidence: EvidenceLabels | None


def lacks_labels(document: Document) -> bool:
    """Whether some relations of a document are unknown, or known only by a teacher's scores."""
    return bool(document.soft_relations) or not relations_complete(document)


def relations_complete(document: Document) -> bool:
    """Whether a relation that is not labelled does not hold."""
    return document.complete is None or document.complete.relations


def entity_groups(document: Document, noise: float, generator: np.random.Generator) -> EntityGroups:
    """The entities of a document, a share `noise` of those with several mentions damaged.

    A damaged entity loses one of its mentions or falls into two. Without noise nothing is drawn.
    """
    sizes = [len(entity.mentions) for entity in document.entities]
    starts = np.cumsum([0, *sizes])
    groups, origin, parts = [], [], []
    for number, size in enumerate(sizes):
        mentions = np.arange(starts[number], starts[number + 1])
        if noise and size > 1 and generator.random() < noise:
            mentions, rest = _damage(mentions, generator)
            parts += [(number, rest)] if len(rest) else []
        groups.append(mentions)
        origin.append(number)
    for number, rest in parts:  # behind the others, whose positions stay
        groups.append(rest)
        origin.append(number)
    return EntityGroups(groups, np.array(origin, dtype=np.int64))


def _damage(mentions: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mentions that stay, and those of the part that comes off, none where a mention is lost."""
    shuffled = generator.permutation(mentions)
    if generator.random() < 0.5:
        return np.sort(shuffled[1:]), shuffled[:0]
    cut = int(generator.integers(1, len(mentions)))
    return np.sort(shuffled[cut:]), np.sort(shuffled[:cut])


def relation_samples(
    document: Document,
    config: DocREConfig,
    arguments: SamplingArguments,
    generator: np.random.Generator,
    origin: np.ndarray,
    incomplete: bool = False,
) -> RelationSamples:
    """All related ordered entity pairs with their types, and sampled ordered pairs without a relation.

    The pairs are those of inference: between given entities the corpus' candidates, else all.

    Args:
        document: the document.
        config: its relation types and traits.
        arguments: number of negatives, and the scores from which a teacher makes positives and masks.
        generator: draws the negatives.
        origin: [entities] int64, the document's entity that each entity is; the two parts of one are no pair.
        incomplete: whether what is unknown, and a teacher's scores, are wanted.

    Raises:
        DocumentError: a relation type is not among those of the configuration.
    """
    soft = _soft_matrix(document, config.relation_types) if incomplete else None
    gold = _positives(document, config.relation_types, soft, arguments.teacher_positive)
    pairs = relation_pairs(document if config.traits.entities_given else replace(document, candidates=None))
    if len(origin) > len(document.entities):
        heads, tails = np.nonzero(origin[:, None] != origin[None, :])
        pairs = np.stack([heads, tails], axis=1)
    sources = origin[pairs]  # [pairs, 2] entities of the document
    related = gold[sources[:, 0], sources[:, 1]].any(axis=1)
    unrelated = np.flatnonzero(~related)
    negatives = arguments.negatives_relation
    unrelated = unrelated[draw(generator, len(unrelated), len(unrelated) if negatives < 0 else negatives)]
    kept = np.concatenate([np.flatnonzero(related), unrelated])
    pairs, sources = pairs[kept], sources[kept]
    labels = gold[sources[:, 0], sources[:, 1]]
    return RelationSamples(
        pairs,
        labels.astype(np.float32),
        None if soft is None else _incomplete_labels(document, soft[tuple(sources.T)], labels, arguments.teacher_mask),
        _evidence_labels(document, sources, labels) if config.traits.evidence_guidance else None,
    )


def draw(generator: np.random.Generator, available: int, wanted: int) -> np.ndarray:
    """Up to `wanted` of `available` positions, uniformly without replacement."""
    return generator.choice(available, size=min(available, wanted), replace=False)


def _soft_matrix(document: Document, relation_types: Sequence[str]) -> np.ndarray:
    """A teacher's scores, [entities, entities, types] float32; 0 where none is stored."""
    index = {name: number for number, name in enumerate(relation_types)}
    matrix = np.zeros((len(document.entities), len(document.entities), len(relation_types)), dtype=np.float32)
    for item in document.soft_relations or ():
        if item.type in index:  # a teacher may know more types than its student
            matrix[item.head, item.tail, index[item.type]] = item.score
    return matrix


def _positives(
    document: Document, relation_types: Sequence[str], soft: np.ndarray | None, least_score: float | None
) -> np.ndarray:
    """What counts as related, [entities, entities, types] bool.

    These are the document's relations or, where they are incomplete and with a least score, those of people and what a
    teacher scores as much.
    """
    if soft is None or least_score is None or relations_complete(document):
        return relation_matrix(document, relation_types)
    human = tuple(relation for relation in document.relations if relation.origin != "model")
    return relation_matrix(replace(document, relations=human), relation_types) | (soft >= least_score)


def _incomplete_labels(
    document: Document, soft: np.ndarray, labels: np.ndarray, mask_score: float | None
) -> IncompleteLabels:
    """What is unknown of pairs whose soft scores [pairs, types] and labels [pairs, types] are given.

    Where people labelled all relations, a type without a label does not hold, whatever a teacher says.
    """
    complete = relations_complete(document)
    masks = mask_score is not None and not complete
    return IncompleteLabels(
        masked=(soft >= mask_score) & ~labels if masks else np.zeros_like(labels),
        complete=np.full(len(soft), complete),
        soft=soft,
        taught=np.full(len(soft), document.soft_relations is not None),
    )


def _evidence_labels(document: Document, pairs: np.ndarray, labels: np.ndarray) -> EvidenceLabels:
    """Where the relations of pairs [pairs, 2] with labels [pairs, types] are stated.

    It is the mean distribution of a pair's relations that have evidence: uniform over the sentences that people name,
    else a teacher's weights.
    """
    count = len(document.sentences)
    stated: dict[tuple[int, int], list[np.ndarray]] = {}
    for relation in document.relations:
        weights = np.zeros(count)
        if relation.evidence:
            weights[list(relation.evidence)] = 1.0
        elif relation.sentence_weights is not None:
            weights[:] = relation.sentence_weights
        if weights.sum() > 0:
            stated.setdefault((relation.head, relation.tail), []).append(weights / weights.sum())
    related = np.flatnonzero(labels.any(axis=1)).tolist()
    rows = [number for number in related if tuple(pairs[number].tolist()) in stated]
    table = np.array([np.mean(stated[tuple(pairs[row].tolist())], axis=0) for row in rows]).reshape(len(rows), count)
    items, sentences = np.nonzero(table)
    return EvidenceLabels(np.array(rows, dtype=np.int64)[items], sentences, table[items, sentences].astype(np.float32))


def relation_type_ids(document: Document, relation_types: Sequence[str]) -> np.ndarray:
    """Class index of each relation's type, [relations] int64.

    Raises:
        DocumentError: a type is not among `relation_types`.
    """
    return type_ids(document, "relations", "relation_types", relation_types)


def relation_matrix(document: Document, relation_types: Sequence[str]) -> np.ndarray:
    """Gold relations as [entities, entities, types] bool: head, tail, class index; a wrong type is an error."""
    kinds = relation_type_ids(document, relation_types)
    matrix = np.zeros((len(document.entities), len(document.entities), len(relation_types)), dtype=bool)
    for relation, kind in zip(document.relations, kinds, strict=True):
        matrix[relation.head, relation.tail, kind] = True
    return matrix


def learn_signatures(model: Any, documents: Iterable[Document], least: int) -> None:
    """Let a model return only what the training documents state at least so many times (`DocREConfig.signatures`).

    Raises:
        ValueError: the model reads no types of entities.
    """
    if not model.config.traits.reads_entity_types:
        raise ValueError(
            f"signature_min counts types of entities, which {type(model).__name__} does not read; set it to 0"
        )
    model.config.signatures = count_signatures(documents, least)
    logger.info("%d signatures are stated at least %d times", len(model.config.signatures), least)


def count_signatures(documents: Iterable[Document], least: int) -> list[list[str]]:
    """The triples [relation type, type of the head, type of the tail] that documents state at least so many times.

    A relation that is stated twice in a document counts once. Relations of entities without a type are left out.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for document in documents:
        types = [entity.type for entity in document.entities]
        stated = dict.fromkeys((item.type, item.head, item.tail) for item in document.relations)
        counts.update((relation, types[head], types[tail]) for relation, head, tail in stated)
    return [list(triple) for triple in sorted(counts) if counts[triple] >= least and all(triple)]
