"""Entity vectors and types against the formula."""

from __future__ import annotations

import torch

from modeling_docre.candidates import Entities
from modeling_docre.entities import EntityClassifier, pool_entities


def test_an_entity_is_the_maximum_over_its_mentions():
    vectors = torch.randn(6, 4, dtype=torch.float64) - 2
    entities = Entities(torch.tensor([5, 0, 3, 3, 1]), torch.tensor([2, 1, 2]), torch.tensor([0, 0, 1]))
    found = pool_entities(vectors, entities)
    assert torch.equal(found, torch.stack([vectors[[5, 0]].amax(0), vectors[3], vectors[[3, 1]].amax(0)]))


def test_no_entities_have_no_vectors():
    none = torch.zeros(0, dtype=torch.int64)
    assert pool_entities(torch.randn(3, 4), Entities(none, none, none)).shape == (0, 4)


def test_types_are_a_network_on_the_vector():
    classifier = EntityClassifier(4, 3, 0.1).double().eval()
    vectors = torch.randn(5, 4, dtype=torch.float64)
    hidden = (vectors @ classifier.hidden.weight.T + classifier.hidden.bias).clamp(min=0)
    assert torch.allclose(classifier(vectors), hidden @ classifier.output.weight.T + classifier.output.bias)
