"""Entity vectors against the formula."""

from __future__ import annotations

import pytest
import torch

from modeling_docre.candidates import Entities


def test_an_entity_is_the_maximum_over_its_mentions():
    vectors = torch.randn(6, 4, dtype=torch.float64) - 2
    entities = Entities(torch.tensor([5, 0, 3, 3, 1]), torch.tensor([2, 1, 2]), torch.tensor([0, 0, 1]))
    found = entities.pool(vectors)
    assert torch.equal(found, torch.stack([vectors[[5, 0]].amax(0), vectors[3], vectors[[3, 1]].amax(0)]))


def test_no_entities_have_no_vectors():
    none = torch.zeros(0, dtype=torch.int64)
    assert Entities(none, none, none).pool(torch.randn(3, 4)).shape == (0, 4)


MEMBERS = Entities(torch.tensor([5, 0, 3, 3, 1]), torch.tensor([2, 1, 2]), torch.tensor([0, 0, 1]))
POOLED = {
    "max": lambda rows: rows.amax(0),
    "mean": lambda rows: rows.sum(0) / len(rows),
    "logsumexp": lambda rows: rows.exp().sum(0).log(),
}


@pytest.mark.parametrize("pool", POOLED)
def test_every_pool_is_its_formula(pool):
    vectors = torch.randn(6, 4, dtype=torch.float64)
    expected = torch.stack([POOLED[pool](vectors[rows]) for rows in ([5, 0], [3], [3, 1])])
    assert torch.allclose(MEMBERS.pool(vectors, pool), expected, atol=1e-12)


def test_a_mention_that_stands_twice_counts_twice():
    vectors = torch.randn(2, 4, dtype=torch.float64)
    twice = Entities(torch.tensor([1, 1]), torch.tensor([2]), torch.tensor([0]))
    assert torch.allclose(twice.pool(vectors, "logsumexp")[0], vectors[1] + torch.tensor(2.0).log())
    assert torch.allclose(twice.pool(vectors, "mean")[0], vectors[1])


def test_attention_of_several_heads_is_averaged_over_mentions():
    attention = torch.rand(6, 2, 7, dtype=torch.float64)
    found = MEMBERS.pool(attention, "mean")
    assert found.shape == (3, 2, 7)
    assert torch.allclose(found[0], (attention[5] + attention[0]) / 2)
    none = torch.zeros(0, dtype=torch.int64)
    assert Entities(none, none, none).pool(attention[:0], "mean").shape == (0, 2, 7)
