"""Key mention pairs: pseudo labels and selection against loops, ties, and entity pairs of any size."""

from __future__ import annotations

from decimal import Decimal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_kmgre import literal_assignment, literal_keys

from modeling_docre.configuration_kmgre import KmgreConfig
from modeling_docre.stage_key_pairs import TOLERANCE, assign_labels, select_key_pairs

HIGHEST = 60.0


def as_logits(scores: torch.Tensor) -> torch.Tensor:
    """Finite logits of probabilities, 0 and 1 included."""
    return scores.logit().clamp(-HIGHEST, HIGHEST)


SIZES = st.lists(st.integers(1, 6), max_size=5)
SEEDS = st.integers(0, 10**6)


def selected(scores: list[float], xi: float, tau: float) -> list[int]:
    """The key mention pairs of one entity pair."""
    values, owners = as_logits(torch.tensor(scores)), torch.zeros(len(scores), dtype=torch.int64)
    return select_key_pairs(values, owners, 1, xi, tau).nonzero().flatten().tolist()


def test_known_selections():
    """Golden values; nineteen pairs of .4 and one of 0 have the threshold min(.44, .5), which none of them reaches.

    The threshold is then the highest probability, so that ALL nineteen are kept, not only the first one of them: a
    choice between equals would hang on the order of the mentions.
    """
    assert selected([0.9, 0.2, 0.1], 0.15, 0.5) == [0]
    assert selected([0.4] * 19 + [0.0], 0.15, 0.5) == list(range(19))
    assert selected([0.3], 0.15, 0.5) == [0]
    assert selected([0.9, 0.8, 0.6], 0.1, 0.5) == [0, 1, 2]


def test_the_cap_grows_with_the_updates_of_the_expectation_step():
    cap = {updates: KmgreConfig(expectation_updates=updates).tau for updates in (0, 100, 693, 2302, 4603)}
    assert cap[0] == 0
    assert cap[693] == pytest.approx(0.25005, abs=5e-6)
    assert [cap[updates] for updates in (100, 2302, 4603)] == pytest.approx([0.048, 0.45, 0.495], abs=5e-4)
    assert KmgreConfig(expectation_updates=693, tau_max=1.0).tau == pytest.approx(0.5001, abs=5e-5)
    assert KmgreConfig(expectation_updates=1, tau_base=0.0).tau == 0.5
    assert KmgreConfig(expectation_updates=1, tau_base=1.0).tau == 0.0
    assert KmgreConfig(expectation_updates=2**24).tau == 0.5


def test_without_a_cap_all_are_kept_even_the_impossible():
    assert selected([0.0, 1.0, 0.5, 0.0], 0.15, 0.0) == [0, 1, 2, 3]


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 0.7, 0.9, 1e-30, 0.0, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 49])
@pytest.mark.parametrize("tau", [0.0, 0.25, 0.5, 1.0])
def test_equal_probabilities_are_all_kept(value, count, tau):
    """Their mean may come out a little above them."""
    assert selected([value] * count, 0.15, tau) == list(range(count))


def test_without_relaxation_the_mean_decides_and_with_all_of_it_the_highest():
    assert selected([0.1, 0.2, 0.6], 0.0, 1.0) == [2]
    assert selected([0.1, 0.35, 0.6], 0.0, 1.0) == [1, 2]
    assert selected([0.5, 0.6, 0.6], 1.0, 1.0) == [1, 2]


def test_the_relaxation_is_a_share_of_the_range_not_of_the_highest():
    assert selected([0.5, 0.8, 0.7], 0.1, 1.0) == [1, 2]  # mean .667, range .3
    assert selected([0.5, 0.8, 0.7], 0.12, 1.0) == [1]


def flat(sizes: list[int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities and owners in any order, some probabilities equal."""
    generator = torch.Generator().manual_seed(seed)
    owners = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes, dtype=torch.int64))
    scores = torch.rand(len(owners), generator=generator).double()
    scores = torch.where(torch.rand(len(owners), generator=generator) < 0.3, scores.round(decimals=1), scores)
    order = torch.randperm(len(owners), generator=generator)
    return scores[order], owners[order]


@given(SIZES, SEEDS, st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_selection_is_the_equations_for_each_entity_pair(sizes, seed, xi, tau):
    scores, owners = flat(sizes, seed)
    found = select_key_pairs(as_logits(scores), owners, len(sizes), xi, tau)
    assert found.dtype == torch.bool and found.shape == owners.shape
    for owner in range(len(sizes)):
        mine = owners == owner
        wanted = literal_keys(scores[mine].tolist(), xi, tau)
        # A probability that lies on the threshold itself, but for rounding, is key.
        values = scores[mine]
        highest, lowest = values.max().item(), values.min().item()
        border = min(values.mean().item() + xi * (highest - lowest), tau, highest)
        for probability, key, expected in zip(values.tolist(), found[mine].tolist(), wanted, strict=True):
            assert key == expected or (key and abs(probability - border) < TOLERANCE)
        assert found[mine].any()


@given(SIZES, SEEDS, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_a_higher_cap_keeps_no_more_and_the_most_probable_always(sizes, seed, xi, one, other):
    scores, owners = flat(sizes, seed)
    low, high = (select_key_pairs(as_logits(scores), owners, len(sizes), xi, tau) for tau in sorted((one, other)))
    assert not (high & ~low).any()
    for owner in range(len(sizes)):
        mine = owners == owner
        assert high[mine][scores[mine] == scores[mine].max()].all()


def test_an_entity_pair_without_mention_pairs_disturbs_no_other():
    scores, owners = torch.tensor([0.9, 0.1, 0.2]), torch.tensor([2, 2, 0])
    assert select_key_pairs(as_logits(scores), owners, 4, 0.15, 0.5).tolist() == [True, False, True]
    assert select_key_pairs(as_logits(scores[:0]), owners[:0], 4, 0.15, 0.5).tolist() == []
    assert select_key_pairs(as_logits(scores[:0]), owners[:0], 0, 0.15, 0.5).tolist() == []


# --- pseudo labels -------------------------------------------------------------------------------------------------


@given(SIZES, SEEDS, st.integers(1, 4), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_assigned_types_are_the_equation_for_each_entity_pair(sizes, seed, types, share):
    generator = torch.Generator().manual_seed(seed)
    _, owners = flat(sizes, seed)
    scores = torch.rand(len(owners), types, generator=generator).double()
    labels = (torch.rand(len(sizes), types, generator=generator) < share).float()
    found = assign_labels(as_logits(scores), labels, owners)
    assert found.dtype == torch.bool and found.shape == scores.shape
    for owner, gold in enumerate(labels.tolist()):
        mine = owners == owner
        assert found[mine].tolist() == literal_assignment(scores[mine].tolist(), gold)
        assert found[mine].any(0).tolist() == labels[owner].bool().tolist()  # each gold type has someone who states it


def test_known_labels():
    scores = torch.tensor([[0.9, 0.1, 0.5], [0.1, 0.3, 0.5], [0.2, 0.2, 0.5], [0.7, 0.7, 0.1]])
    owners = torch.tensor([0, 0, 0, 1])
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    wanted = [[True, False, False], [False, True, False], [False, True, False], [False, False, True]]
    assert assign_labels(as_logits(scores), labels, owners).tolist() == wanted
    assert not assign_labels(as_logits(scores), torch.zeros(2, 3), owners).any()


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 0.7, 1e-30, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 49])
def test_equal_scores_all_have_the_type(value, count):
    """Their mean may come out a little above them; a mention pair alone always has it."""
    scores = torch.full((count, 1), value)
    assert assign_labels(as_logits(scores), torch.ones(1, 1), torch.zeros(count, dtype=torch.int64)).all()


def test_the_tolerance_is_small():
    assert TOLERANCE == 4e-6
    owners = torch.zeros(3, dtype=torch.int64)
    for step, wanted in ((2e-6, [False, True, True]), (0.8e-6, [True, True, True])):
        scores = torch.tensor([[0.5], [0.5 + 2 * step], [0.5 + step]]).double()
        assert assign_labels(as_logits(scores), torch.ones(1, 1), owners).flatten().tolist() == wanted


def test_mention_pairs_are_told_apart_where_their_probabilities_round_to_0_or_1():
    """Logits of one entity pair, and those at or above the mean probability by exact arithmetic."""
    owners = torch.zeros(3, dtype=torch.int64)
    for logits in ([-20.0, -15.0, -14.5], [-40.0, -38.0, -37.5], [15.0, 18.0, 40.0], [-15.0, -15.1, -15.2]):
        exact = [1 / (1 + (-Decimal(logit)).exp()) for logit in logits]
        wanted = [probability >= sum(exact) / 3 for probability in exact]
        assert 0 < sum(wanted) < 3
        column = torch.tensor(logits)[:, None]
        assert assign_labels(column, torch.ones(1, 1), owners).flatten().tolist() == wanted
        assert select_key_pairs(column[:, 0], owners, 1, 0.0, 1.0).tolist() == wanted


@pytest.mark.parametrize("noise", [[0.0, 1e-8, 2e-8], [2e-8, 0.0, 1e-8]])
def test_rounding_does_not_choose_between_equal_mention_pairs(noise):
    scores = [0.4 + part for part in noise]
    values, owners = torch.tensor(scores).double(), torch.zeros(3, dtype=torch.int64)
    assert select_key_pairs(as_logits(values), owners, 1, 0.15, 0.5).all()
    assert selected([0.4, 0.4 + 4e-6, 0.4 + 4e-6], 0.15, 0.5) == [1, 2]


def test_no_mention_pairs_have_no_labels():
    nothing = torch.zeros(0, dtype=torch.int64)
    assert assign_labels(torch.zeros(0, 3), torch.ones(2, 3), nothing).shape == (0, 3)
    assert assign_labels(torch.zeros(0, 3), torch.zeros(0, 3), nothing).shape == (0, 3)
