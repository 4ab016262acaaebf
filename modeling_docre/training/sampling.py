"""What a model is trained on: gold mentions, clusters, types and relations beside sampled negatives.

Training is teacher-forced: each stage sees the gold result of the stage before, next to negatives drawn from the same
candidates that inference lists. Every draw comes from a generator of its own per (seed, epoch, document), so samples
do not depend on the number of workers, on the order of visits or on an interruption; documents count by position.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from modeling_docre.candidates import span_candidates
from modeling_docre.configuration_docre import DocREConfig
from modeling_docre.documents import Document
from modeling_docre.features import (
    Features,
    Featurizer,
    mention_table,
)
from modeling_docre.model_inputs import Example, entity_classes, entity_sizes
from modeling_docre.stage_entities import coreference_pairs, edit_distances

from .arguments import DocRETrainingArguments, SamplingArguments
from .recall_ceiling import measure_reach
from .relation_samples import EntityGroups, draw, entity_groups, lacks_labels, relation_samples
from .sentences import crossing_relations, sentence_example, split_entities
from .training_inputs import EntityList, TrainingExample

logger = logging.getLogger(__name__)


def training_example(
    features: Features,
    config: DocREConfig,
    arguments: SamplingArguments,
    generator: np.random.Generator,
    incomplete: bool = False,
) -> Example:
    """Gold mentions, clusters, types and relations of a document with sampled negatives.

    All gold mentions are positives, also those longer than the longest candidate and exact duplicates (JEREX's
    release). Stages that the configuration does not have draw no samples. For a system that reads sentences the samples
    are those of `sentence_example`.

    Args:
        features: the document.
        config: the model's configuration.
        arguments: numbers of negatives, a teacher's thresholds, entity noise.
        generator: what draws.
        incomplete: whether the example tells which labels are unknown, and what a teacher says.

    Raises:
        DocumentError: an entity or relation type is not among those of the configuration.
    """
    if config.traits.reads_sentences:
        return sentence_example(features, config, arguments, generator)
    document, stages = features.document, config.traits.stages
    word_ranges, sentences = mention_table(document)
    gold = len(word_ranges)
    # Where mentions are missing, a span without a label may be one, and may belong to any entity.
    mentions_complete = document.complete is None or document.complete.mentions
    span_labels = coreference = relations = related_entities = None
    if "coreference" in stages:
        negatives = arguments.negatives_coreference if mentions_complete else 0
        coreference = _coreference_samples(features, word_ranges, negatives, generator)
    if "relation" in stages:
        groups = entity_groups(document, arguments.entity_noise, generator)
        relations = relation_samples(document, config, arguments, generator, groups.origin, incomplete)
        if arguments.entity_noise:
            related_entities = _entity_list(groups, document, config)
    if "mention" in stages:
        wanted = arguments.negatives_mention if mentions_complete else 0
        spans, span_sentences = _negative_spans(
            document, word_ranges, config.max_span_size, wanted, arguments.negatives_inside_ratio, generator
        )
        word_ranges, sentences = np.concatenate([word_ranges, spans]), np.concatenate([sentences, span_sentences])
        span_labels = (np.arange(len(word_ranges)) < gold).astype(np.float32)
    return TrainingExample(
        features,
        word_ranges,
        sentences,
        span_labels=span_labels,
        coreference=coreference,
        members=np.arange(gold),
        sizes=entity_sizes(features),
        entity_types=entity_classes(document, config) if {"entity", "relation"} & set(stages) else None,
        relations=relations and (relations.pairs, relations.labels),
        subword_sentences=features.subword_sentences if config.traits.evidence_guidance else None,
        incomplete=relations and relations.incomplete,
        evidence=relations and relations.evidence,
        related_entities=related_entities,
    )


def _entity_list(groups: EntityGroups, document: Document, config: DocREConfig) -> EntityList:
    types = entity_classes(document, config)
    assert types is not None
    sizes = np.array([len(mentions) for mentions in groups.mentions], dtype=np.int64)
    members = np.concatenate([np.zeros(0, dtype=np.int64), *groups.mentions])
    return EntityList(members, sizes, types[groups.origin])


def _negative_spans(
    document: Document,
    gold: np.ndarray,
    max_span_size: int,
    wanted: int,
    inside_ratio: float,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Candidate spans other than mentions: up to a share of them inside a mention, the rest from elsewhere."""
    ranges, sentences = span_candidates(document.sentence_starts, max_span_size)
    starts, ends = ranges[:, :1], ranges[:, 1:]  # [spans, 1] against [mentions]
    is_gold = ((starts == gold[:, 0]) & (ends == gold[:, 1])).any(axis=1)
    is_inside = ((starts >= gold[:, 0]) & (ends <= gold[:, 1])).any(axis=1) & ~is_gold
    inside, other = is_inside.nonzero()[0], (~is_inside & ~is_gold).nonzero()[0]
    inside = inside[draw(generator, len(inside), int(inside_ratio * wanted))]
    other = other[draw(generator, len(other), wanted - len(inside))]
    chosen = np.concatenate([inside, other])
    return ranges[chosen], sentences[chosen]


def _coreference_samples(
    features: Features, word_ranges: np.ndarray, negatives: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All ordered pairs of mentions of one entity, and sampled ordered pairs of mentions of different entities."""
    owners = np.repeat(np.arange(len(features.document.entities)), entity_sizes(features))
    document = torch.zeros(len(owners), dtype=torch.int64)
    pairs = coreference_pairs(document, both_orders=True).numpy()
    same = owners[pairs[:, 0]] == owners[pairs[:, 1]]
    different = pairs[~same]
    different = different[draw(generator, len(different), negatives)]
    pairs = np.concatenate([pairs[same], different])
    distances = edit_distances(features.span_texts(word_ranges), document, torch.from_numpy(pairs)).numpy()
    return pairs, distances, (np.arange(len(pairs)) < same.sum()).astype(np.float32)


class TrainingExamples(Dataset):
    """Documents with samples drawn anew in each epoch.

    Args:
        features: the training documents.
        config: the model's configuration.
        arguments: numbers of negatives.
        seed: seed of all draws.
    """

    def __init__(self, features: Sequence[Features], config: DocREConfig, arguments: SamplingArguments, seed: int):
        self.features, self.config, self.arguments, self.seed = features, config, arguments, seed
        self.incomplete = config.traits.adaptive_threshold and any(lacks_labels(item.document) for item in features)
        # Shared, so that workers that outlive an epoch hear of the next one.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch whose samples are drawn."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Draw the samples of this epoch from now on (the training loop calls it)."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: int) -> Example:
        generator = np.random.default_rng((self.seed, self.epoch, index))
        return training_example(self.features[index], self.config, self.arguments, generator, self.incomplete)


def training_examples(
    model: Any, tokenizer: Any, documents: Sequence[Document], training: DocRETrainingArguments
) -> TrainingExamples:
    """Training examples of the documents, after saying what the settings can reach and which documents teach nothing.

    A document without a sample for any stage (no words; for relations alone, no entity pair) is left out: it would
    make an optimiser step of weight decay and momentum alone.

    Raises:
        DocumentError: an entity or relation type of a document is not among those of the model.
        ValueError: what is left does not fill one batch, or the system relates no damaged entities.
    """
    config = model.config
    if training.entity_noise and not config.traits.typed_pairs:
        raise ValueError(f"entity_noise damages entities that joint relates; {type(model).__name__} needs it to be 0")
    if config.traits.given is None:
        reached = [split_entities(document) for document in documents] if config.traits.reads_sentences else documents
        logger.info("training documents:\n%s", measure_reach(reached, config.max_span_size))
    if config.traits.reads_sentences and (crossing := sum(map(crossing_relations, documents))):
        logger.info("%d relations hold across sentences, which %s does not see", crossing, type(model).__name__)
    features: list[Features] = Featurizer(tokenizer, config)(documents)
    examples = TrainingExamples(features, config, training, training.seed)
    # Which samples a document has differs from epoch to epoch, how many does not.
    kept = [item for number, item in enumerate(features) if _has_samples(examples[number], config.traits.stages)]
    if len(kept) < len(features):
        logger.info(
            "%d of %d documents hold nothing to train on and are left out", len(features) - len(kept), len(features)
        )
    batch = training.train_batch_size * training.world_size
    if len(kept) < (batch if training.dataloader_drop_last else 1):
        raise ValueError(
            f"{len(kept)} documents with something to train on do not fill one batch of {batch}; give more documents, "
            "or lower per_device_train_batch_size"
        )
    return TrainingExamples(kept, config, training, training.seed)


def _has_samples(example: Example, stages: Sequence[str]) -> bool:
    coreference = example.coreference if isinstance(example, TrainingExample) else None  # sentences have none
    samples: dict[str, Any] = {
        "span": example.span_labels,
        "mention": example.span_labels,
        "coreference": coreference and coreference[2],
        "entity": example.entity_types,
        "relation": example.relations and example.relations[1],
    }
    return any(len(samples[stage]) for stage in stages)
