"""What sentence-level systems see of documents, and what they are asked in training.

Each mention is an entity, and relations hold inside sentences; negatives come from the same sentences.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import product

import numpy as np
import torch

from modeling_docre.candidates import entity_pairs, span_candidates
from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.documents import Document, Entity, Relation
from modeling_docre.features import Features, entity_type_ids, mention_table
from modeling_docre.model_inputs import Example

from .arguments import SamplingArguments
from .relation_samples import relation_type_ids


def split_entities(document: Document, symmetric: Collection[str] = ()) -> Document:
    """The document with an entity for each distinct mention and type, and relations between those of one sentence.

    A relation between entities holds between all their mentions that share a sentence; what has no such mentions is out
    of reach of a sentence-level system. In a corpus of sentences nothing changes but the order of symmetric relations:
    their head is the mention that begins first in the text; of two that begin with the same word either is the head.

    Args:
        document: the document.
        symmetric: relation types that hold in both directions.
    """
    places: dict[tuple[int, int, str], int] = {}
    entities: list[Entity] = []
    members: list[list[int]] = []
    for entity in document.entities:
        members.append([])
        for mention in entity.mentions:
            place = (*document.span(mention), entity.type)
            if place not in places:
                places[place] = len(entities)
                entities.append(Entity(entity.type, (mention,), id=entity.id, score=entity.score))
            members[-1].append(places[place])
    relations: dict[tuple[int, int, str], Relation] = {}
    for relation in document.relations:
        for head, tail in product(members[relation.head], members[relation.tail]):
            if head == tail or entities[head].mentions[0].sentence != entities[tail].mentions[0].sentence:
                continue
            if relation.type in symmetric and _start(document, entities[tail]) < _start(document, entities[head]):
                head, tail = tail, head
            relations.setdefault(
                (head, tail, relation.type), replace(relation, head=head, tail=tail, mention_pairs=None)
            )
    return replace(
        document,
        entities=tuple(entities),
        relations=tuple(relations.values()),
        candidates=None,
        soft_relations=None,
    )


def crossing_relations(document: Document) -> int:
    """How many relations no sentence holds both ends of."""
    sentences = [{mention.sentence for mention in entity.mentions} for entity in document.entities]
    return sum(not sentences[relation.head] & sentences[relation.tail] for relation in document.relations)


def _start(document: Document, entity: Entity) -> int:
    return document.span(entity.mentions[0])[0]


def sentence_example(
    features: Features, config: DocREConfig, arguments: SamplingArguments, generator: np.random.Generator
) -> Example:
    """Gold spans with their types and relations between them, and sampled negatives of both (SpERT section 3.3).

    All gold spans are positives, also those longer than the longest candidate. Negatives are counted per sentence.

    Args:
        features: the document.
        config: labels, longest candidate span, and which spans are related.
        arguments: numbers of negatives.
        generator: the source of all draws.

    Returns:
        An example whose `span_labels` [spans] int64 are 0 for no entity and else 1 + the entity type; the entities are
        the spans that relations are asked about.

    Raises:
        DocumentError: an entity or relation type is not among those of the configuration.
    """
    entity_type_ids(features.document, config.entity_types)  # errors count the entities of the whole document
    relation_type_ids(features.document, config.relation_types)
    document = split_entities(features.document, config.symmetric_relations)
    gold, gold_sentences = mention_table(document)
    kinds = 1 + entity_type_ids(document, config.entity_types)
    candidates, candidate_sentences = span_candidates(document.sentence_starts, config.max_span_size)
    is_gold = ((candidates[:, :1] == gold[:, 0]) & (candidates[:, 1:] == gold[:, 1])).any(axis=1)
    other = (~is_gold).nonzero()[0]
    other = other[_draw(generator, candidate_sentences[other], arguments.negatives_mention)]
    spans = np.concatenate([gold, candidates[other]])
    sentences = np.concatenate([gold_sentences, candidate_sentences[other]])
    related = len(gold) if config.relation_negatives == "strong" else len(spans)
    return Example(
        features,
        spans,
        sentences,
        span_labels=np.concatenate([kinds, np.zeros(len(other), dtype=np.int64)]),
        members=np.arange(related),
        sizes=np.ones(related, dtype=np.int64),
        relations=_relations(document, spans[:related], sentences[:related], config, arguments, generator),
    )


def _relations(
    document: Document,
    spans: np.ndarray,
    sentences: np.ndarray,
    config: DocREConfig,
    arguments: SamplingArguments,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """All related ordered pairs of gold spans with their types, and sampled pairs of spans without a relation.

    The first of the spans [spans, 2] are the gold ones. Some may have the same words and different types; then a pair
    is no negative if one with the same words is related.
    """
    positives, labels = _related_pairs(document, config)
    order = np.argsort(sentences, kind="stable")
    pairs = order[entity_pairs(torch.from_numpy(sentences[order])).numpy()].reshape(-1, 2)
    taken = positives
    if arguments.exclude_reverse_symmetric_negatives:
        symmetric = [name in config.symmetric_relations for name in config.relation_types]
        taken = np.concatenate([taken, positives[labels[:, symmetric].any(axis=1)][:, ::-1]])
    _, words = np.unique(spans, axis=0, return_inverse=True)
    words = words.reshape(-1).astype(np.int64)
    keys, taken_keys = (words[listed] @ np.array([len(spans), 1]) for listed in (pairs, taken))
    negatives = pairs[~np.isin(keys, taken_keys) & (words[pairs[:, 0]] != words[pairs[:, 1]])]
    negatives = negatives[_draw(generator, sentences[negatives[:, 0]], arguments.negatives_relation)]
    return np.concatenate([positives, negatives]), np.pad(labels, ((0, len(negatives)), (0, 0)))


def _related_pairs(document: Document, config: DocREConfig) -> tuple[np.ndarray, np.ndarray]:
    """The related ordered pairs [pairs, 2] int64 and their types [pairs, types] float32."""
    ends = np.array([(relation.head, relation.tail) for relation in document.relations], dtype=np.int64).reshape(-1, 2)
    pairs, index = np.unique(ends, axis=0, return_inverse=True)
    labels = np.zeros((len(pairs), len(config.relation_types)), dtype=np.float32)
    labels[index.reshape(-1), relation_type_ids(document, config.relation_types)] = 1
    return pairs, labels


def _draw(generator: np.random.Generator, sentences: np.ndarray, wanted: int) -> np.ndarray:
    """Up to `wanted` positions of each sentence, uniformly without replacement; all where `wanted` is negative.

    Args:
        generator: the source of the draw.
        sentences: [items] int64, the sentence of each item.
        wanted: items of a sentence.
    """
    order = generator.permutation(len(sentences))
    order = order[np.argsort(sentences[order], kind="stable")]
    rank = np.arange(len(order)) - np.searchsorted(sentences[order], sentences[order])
    return order if wanted < 0 else order[rank < wanted]
