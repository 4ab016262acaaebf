"""What a sentence-level model is asked in training: gold spans and relations, and negatives from the same sentences."""

from __future__ import annotations

import numpy as np

from .candidates import span_candidates
from .configuration_docre import DocREConfig
from .documents import Document
from .examples import Example, SamplingArguments, draw
from .features import Features, entity_type_ids, mention_table, relation_matrix
from .sentence_entities import split_entities


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
    document = split_entities(features.document, config.symmetric_relations)
    gold, gold_sentences = mention_table(document)
    kinds = 1 + entity_type_ids(document, config.entity_types)
    sentences = sum(1 for sentence in document.sentences if sentence)
    candidates, candidate_sentences = span_candidates(document.sentence_starts, config.max_span_size)
    is_gold = ((candidates[:, :1] == gold[:, 0]) & (candidates[:, 1:] == gold[:, 1])).any(axis=1)
    other = (~is_gold).nonzero()[0]
    other = other[draw(generator, len(other), arguments.negatives_mention * sentences)]
    spans = np.concatenate([gold, candidates[other]])
    span_sentences = np.concatenate([gold_sentences, candidate_sentences[other]])
    related = len(gold) if config.relation_negatives == "strong" else len(spans)
    return Example(
        features,
        spans,
        span_sentences,
        span_labels=np.concatenate([kinds, np.zeros(len(other), dtype=np.int64)]),
        members=np.arange(related),
        sizes=np.ones(related, dtype=np.int64),
        relations=_relations(document, span_sentences[:related], config, arguments, sentences, generator),
    )


def _relations(
    document: Document,
    span_sentences: np.ndarray,
    config: DocREConfig,
    arguments: SamplingArguments,
    sentences: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """All related ordered pairs of gold spans with their types, and sampled pairs of spans without a relation."""
    labels = relation_matrix(document, config.relation_types)  # [gold, gold, types]
    count = len(labels)
    positives = np.argwhere(labels.any(axis=2))
    allowed = span_sentences[:, None] == span_sentences[None, :]
    np.fill_diagonal(allowed, False)
    allowed[positives[:, 0], positives[:, 1]] = False
    if arguments.exclude_reverse_symmetric_negatives:
        symmetric = [name in config.symmetric_relations for name in config.relation_types]
        turned = np.argwhere(labels[:, :, symmetric].any(axis=2))
        allowed[turned[:, 1], turned[:, 0]] = False
    negatives = np.argwhere(allowed)
    wanted = len(negatives) if arguments.negatives_relation < 0 else arguments.negatives_relation * sentences
    negatives = negatives[draw(generator, len(negatives), wanted)]
    pairs = np.concatenate([positives, negatives]).reshape(-1, 2)
    found = np.zeros((len(pairs), len(config.relation_types)), dtype=np.float32)
    found[: len(positives)] = labels[positives[:, 0], positives[:, 1]] if count else 0
    return pairs, found
