"""What a model is asked about one document, as arrays: all candidates, or what is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .candidates import span_candidates
from .configuration_docre import DocREConfig
from .documents import Document
from .features import Features, Featurizer, SpanTexts, entity_type_ids, mention_table, relation_pairs


@dataclass(frozen=True)
class Example:
    """A document and what is asked about it, as arrays with indices local to the document.

    `word_ranges` [spans, 2] and `sentences` [spans] list the spans. The rest is absent (None) where a model has to
    find it itself: `span_labels` [spans]; `members` [mentions], `sizes` [entities], `entity_types` [entities];
    `relations` = (pairs [pairs, 2], labels [pairs, types]). `span_texts` are what coreference compares at inference.
    """

    features: Features
    word_ranges: np.ndarray
    sentences: np.ndarray
    span_texts: SpanTexts | None = None
    span_labels: np.ndarray | None = None
    members: np.ndarray | None = None
    sizes: np.ndarray | None = None
    entity_types: np.ndarray | None = None
    relations: tuple[np.ndarray, np.ndarray | None] | None = None
    subword_sentences: np.ndarray | None = None


def candidate_example(features: Features, config: DocREConfig, featurizer: Featurizer) -> Example:
    """All candidate spans of a document, for a model that finds mentions, entities and relations itself."""
    word_ranges, sentences = span_candidates(features.document.sentence_starts, config.max_span_size)
    letters = np.cumsum([0, *(bool(word.strip()) for sentence in features.document.sentences for word in sentence)])
    start, end = letters[word_ranges].T
    word_ranges, sentences = word_ranges[end > start], sentences[end > start]  # a mention is no blank
    resolves = "coreference" in config.traits.stages
    texts = _compared_texts(features, word_ranges, config, featurizer) if resolves else None
    return Example(features, word_ranges, sentences, texts, subword_sentences=subword_sentences(features, config))


def given_example(features: Features, config: DocREConfig, featurizer: Featurizer, given: str = "entities") -> Example:
    """The mentions or the entities of a document as given, for a model that finds the rest.

    For `"entities"` these are the clusters and their types, for `"clusters"` the clusters alone, for `"mentions"` the
    distinct mention spans alone, in the order in which inference lists spans.

    Raises:
        ValueError: the model knows no clusters, and is to be given less than entities.
    """
    if config.traits.reads_sentences and given != "entities":
        raise ValueError(f'given is {given!r}; {type(config).__name__} takes "entities" or, to find them, None')
    word_ranges, sentences = mention_table(features.document)
    sentences_of_subwords = subword_sentences(features, config)
    if given == "mentions":
        order = np.lexsort((word_ranges[:, 0], word_ranges[:, 1] - word_ranges[:, 0], sentences))
        _, first = np.unique(word_ranges[order], axis=0, return_index=True)
        order = order[np.sort(first)]
        word_ranges, sentences = word_ranges[order], sentences[order]
        texts = _compared_texts(features, word_ranges, config, featurizer)
        labels = np.ones(len(word_ranges), dtype=np.float32)
        return Example(features, word_ranges, sentences, texts, labels, subword_sentences=sentences_of_subwords)
    whole = given == "entities"
    return Example(
        features,
        word_ranges,
        sentences,
        members=np.arange(len(word_ranges)),
        sizes=entity_sizes(features),
        entity_types=entity_classes(features.document, config) if whole else None,
        relations=(relation_pairs(features.document), None) if whole and "relation" in config.traits.stages else None,
        subword_sentences=sentences_of_subwords,
    )


def subword_sentences(features: Features, config: DocREConfig) -> np.ndarray | None:
    """The sentence of each subword, for a model that finds evidence by attention."""
    return features.subword_sentences if config.traits.mention_attention else None


def entity_classes(document: Document, config: DocREConfig) -> np.ndarray | None:
    """Class index of each entity's type, None for a model that does not read the types, to which any type is right.

    Raises:
        DocumentError: a type is not among those that the configuration lists.
    """
    return entity_type_ids(document, config.entity_types) if config.traits.reads_entity_types else None


def _compared_texts(
    features: Features, word_ranges: np.ndarray, config: DocREConfig, featurizer: Featurizer
) -> SpanTexts:
    """The strings of spans that coreference compares at inference."""
    if config.edit_distance_text == "decoded":
        return featurizer.decoded_texts(features, word_ranges)
    return features.span_texts(word_ranges)


def entity_sizes(features: Features) -> np.ndarray:
    """Mentions per entity of a document, [entities] int64."""
    return np.array([len(entity.mentions) for entity in features.document.entities], dtype=np.int64)
