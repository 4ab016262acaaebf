"""Relation scores that count the scores of the two entities, on a small output with known answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from samples import build
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config

from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.configuration_joint import JointConfig
from modeling_docre.decoding import decode
from modeling_docre.documents import Document

DOCUMENT = build("three", ["a b", "c d e"])
SPANS = {
    "word_range": torch.tensor([[0, 1], [1, 2], [2, 4]]),
    "sentence": torch.tensor([0, 0, 1]),
    "document": torch.zeros(3, dtype=torch.int64),
}
TYPE_LOGITS = torch.tensor([[2.0, 0, 0], [0, 1.0, 0], [0, 0, 3.0]])
LINKAGE = torch.tensor([0.5, 1.0, 1.0])
LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.25, -torch.inf, 40.0]])
PAIRS = [(0, 1), (2, 1)]


def output() -> dict[str, Any]:
    """Three entities of one mention each, the first badly linked; types for two of their pairs."""
    return {
        "mention_logits": torch.ones(3),
        "entity_members": torch.arange(3),
        "entity_sizes": torch.ones(3, dtype=torch.int64),
        "entity_documents": torch.zeros(3, dtype=torch.int64),
        "entity_type_logits": TYPE_LOGITS,
        "entity_types": torch.tensor([0, 1, 2]),
        "entity_linkage_scores": LINKAGE,
        "pairs": torch.tensor(PAIRS),
        "relation_logits": LOGITS,
    }


def scores(config: Any, document: Document = DOCUMENT, **options: Any) -> dict[tuple[int, int, str], float]:
    decoded = decode(output(), SPANS, [document], config, **options)[0]
    return {(item.head, item.tail, item.type): item.score for item in decoded.relations}


def config_of(kind: type = JerexConfig, **options: Any) -> Any:
    labels = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES}
    return kind(encoder_config=tiny_encoder_config(), window_overlap=16, relation_threshold=0.0, **labels, **options)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("kind", [JerexConfig, JointConfig])
def test_the_score_is_that_of_the_pair_times_the_lower_one_of_its_entities(kind):
    alone, together = (scores(config_of(kind, relation_score=name)) for name in ("pair", "with_entities"))
    assert alone == scores(config_of(kind)) and alone.keys() == together.keys() and len(together) == 5
    entities = torch.softmax(TYPE_LOGITS, 1).max(1).values * LINKAGE
    for (head, tail, name), score in together.items():
        logit = float(LOGITS[PAIRS.index((head, tail)), RELATION_TYPES.index(name)])
        expected = sigmoid(logit) * float(min(entities[head], entities[tail]))
        assert score == pytest.approx(expected, abs=1e-6), (head, tail, name)


def test_scaling_and_threshold_are_of_the_product():
    plain = scores(config_of(relation_score="with_entities"))
    scaled = config_of(relation_score="with_entities", relation_temperature=2.0, relation_shift=0.5)
    for relation, score in scores(scaled).items():
        product = plain[relation]
        assert score == pytest.approx(sigmoid(math.log(product / (1 - product)) / 2 + 0.5), abs=1e-5)
    least = float(np.median(list(plain.values()))) + 1e-4
    kept = scores(config_of(relation_score="with_entities"), relation_threshold=least)
    assert kept == {relation: score for relation, score in plain.items() if score >= least} and 0 < len(kept) < 5


def test_given_entities_are_certain():
    given = build("three", ["a b", "c d e"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)]), ("ORG", [(1, 0, 2)])])
    counted = scores(config_of(relation_score="with_entities"), given, given="entities")
    assert counted == scores(config_of(), given, given="entities")
