"""Losses against loops: sums over types, means over samples, and nothing to learn from nothing."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling_docre.layers import adaptive_threshold_loss, binary_loss, class_loss
from modeling_docre.stage_key_pairs import focal_loss


def bce(logit: float, label: float) -> float:
    probability = 1 / (1 + math.exp(-logit))
    return -(label * math.log(probability) + (1 - label) * math.log(1 - probability))


def test_binary_loss_is_the_mean_over_samples():
    logits, labels = torch.randn(7), torch.randint(0, 2, (7,)).float()
    expected = sum(bce(a, b) for a, b in zip(logits.tolist(), labels.tolist(), strict=True)) / 7
    assert binary_loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_types_are_summed_not_averaged():
    logits, labels = torch.randn(4, 5), torch.randint(0, 2, (4, 5)).float()
    expected = sum(bce(a, b) for a, b in zip(logits.view(-1).tolist(), labels.view(-1).tolist(), strict=True)) / 4
    assert binary_loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)


def test_class_loss_is_the_mean_cross_entropy():
    logits, labels = torch.randn(6, 3), torch.tensor([0, 2, 1, 1, 0, 2])
    rows = zip(logits.tolist(), labels.tolist(), strict=True)
    expected = sum(math.log(sum(map(math.exp, row))) - row[label] for row, label in rows) / 6
    assert class_loss(logits, labels).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(0,), (0, 5)])
def test_no_samples_give_a_loss_of_zero_with_a_gradient(shape):
    logits = torch.zeros(shape, requires_grad=True)
    loss = binary_loss(logits, torch.zeros(shape))
    loss.backward()
    assert loss.item() == 0 and logits.grad.shape == shape


def test_no_classes_to_tell_give_zero_with_a_gradient():
    weight = torch.randn(3, 4, requires_grad=True)
    loss = class_loss(torch.zeros(0, 3) @ weight, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0 and not weight.grad.any()


def test_half_precision_logits_do_not_overflow():
    logits = torch.full((300, 96), 60.0, dtype=torch.float16)
    assert binary_loss(logits, torch.zeros(300, 96)).item() == pytest.approx(60 * 96, rel=1e-4)


# --- the adaptive threshold ----------------------------------------------------------------------------------------


def literal_threshold_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """ATLOP's release: 1e30 is subtracted outside of the set before the log-softmax; the threshold class first."""
    zeros = torch.zeros(len(logits), 1, dtype=logits.dtype)
    gold, threshold = torch.cat([zeros, labels], 1), torch.cat([zeros + 1, torch.zeros_like(labels)], 1)
    above = (logits - (1 - (gold + threshold)) * 1e30).log_softmax(1)
    below = (logits - gold * 1e30).log_softmax(1)
    return (-(above * gold).sum(1) - (below * threshold).sum(1)).mean()


@pytest.mark.parametrize(
    ("logits", "gold", "expected"),
    [
        ([0.0, 1.0, -1.0, 2.0], {1, 3}, 1.815212 + 0.313262),
        ([0.0, 1.0, -1.0, 2.0], {1, 3}, 2.128474),
        ([0.0, 1.0, -1.0, 2.0], set(), 2.440190),
        ([0.5, 1.0, -1.0, 2.0], {1, 2, 3}, 5.485546),
    ],
)
def test_adaptive_threshold_loss_of_known_pairs(logits, gold, expected):
    labels = torch.tensor([[float(number in gold) for number in (1, 2, 3)]])
    assert adaptive_threshold_loss(torch.tensor([logits]), labels).item() == pytest.approx(expected, abs=2e-6)


@given(st.integers(1, 8), st.integers(1, 6), st.floats(0, 1), st.floats(0.1, 30), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_adaptive_threshold_loss_is_the_masked_softmax(pairs, types, share, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(pairs, 1 + types, generator=generator) * scale
    labels = (torch.rand(pairs, types, generator=generator) < share).float()
    found = adaptive_threshold_loss(leaf := logits.clone().requires_grad_(), labels)
    found.backward()
    literal = literal_threshold_loss(exact := logits.double().requires_grad_(), labels.double())
    literal.backward()
    assert found.item() == pytest.approx(literal.item(), rel=1e-5, abs=1e-5)
    assert torch.allclose(leaf.grad.double(), exact.grad, atol=1e-5)


def test_pairs_of_several_documents_weigh_the_same():
    logits, labels = torch.randn(5, 4), torch.randint(0, 2, (5, 3)).float()
    alone = [adaptive_threshold_loss(logits[n : n + 1], labels[n : n + 1]).item() for n in range(5)]
    assert adaptive_threshold_loss(logits, labels).item() == pytest.approx(sum(alone) / 5, rel=1e-5)


def test_no_pairs_give_an_adaptive_threshold_loss_of_zero_with_a_gradient():
    weight = torch.randn(3, 4, requires_grad=True)
    loss = adaptive_threshold_loss(torch.zeros(0, 3) @ weight, torch.zeros(0, 3))
    loss.backward()
    assert loss.item() == 0 and weight.grad is not None and not weight.grad.any()


@pytest.mark.parametrize("gold", [0.0, 1.0])
def test_no_gold_types_and_all_types_gold(gold):
    logits = torch.randn(6, 5, requires_grad=True)
    loss = adaptive_threshold_loss(logits, torch.full((6, 4), gold))
    loss.backward()
    threshold, types = logits.detach()[:, :1], logits.detach()[:, 1:]
    everything = torch.logsumexp(logits.detach(), 1, keepdim=True)
    expected = (everything - types).sum(1) if gold else (everything - threshold).sum(1)
    assert loss.item() == pytest.approx(expected.mean().item(), rel=1e-5)
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().min() > 0


def test_the_loss_touches_neither_logits_nor_labels():
    logits, labels = torch.randn(4, 4), torch.randint(0, 2, (4, 3)).float()
    before = logits.clone(), labels.clone()
    adaptive_threshold_loss(logits, labels)
    assert torch.equal(logits, before[0]) and torch.equal(labels, before[1])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_logits_give_a_finite_float32_loss(kind):
    logits = (torch.randn(200, 97) * 200).to(kind).requires_grad_()
    labels = (torch.rand(200, 96) < 0.1).to(kind)
    loss = adaptive_threshold_loss(logits, labels)
    loss.backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    exact = literal_threshold_loss(logits.detach().double(), labels.double())
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_large_logits_lose_no_digits():
    """With many gold types the loss is a small difference of large sums."""
    logits = torch.full((1, 97), 5000.0) + torch.linspace(0, 1, 97)
    labels = torch.ones(1, 96)
    exact = literal_threshold_loss(logits.double(), labels.double()).item()
    assert adaptive_threshold_loss(logits, labels).item() == pytest.approx(exact, rel=1e-4)


# --- the focal loss ------------------------------------------------------------------------------------------------


def literal_focal_loss(logits: list[float], labels: list[bool], gamma: float, alpha: float, balanced: bool) -> float:
    """KMGRE equations 10 and 11, sample by sample; balanced as in the paper that the loss is from."""
    total = 0.0
    for logit, label in zip(logits, labels, strict=True):
        probability = 1 / (1 + math.exp(-logit if label else logit))
        weight = 1 - alpha if balanced and not label else alpha
        total -= weight * (1 - probability) ** gamma * math.log(probability)
    return total / len(logits)


@pytest.mark.parametrize(("probability", "expected"), [(0.9, 0.000316), (0.5, 0.051986), (0.1, 0.559528)])
def test_focal_loss_of_known_probabilities(probability, expected):
    logit = torch.logit(torch.tensor([probability]))
    assert focal_loss(logit, torch.tensor([True]), 2.0, 0.3).item() == pytest.approx(expected, abs=6e-7)
    assert focal_loss(-logit, torch.tensor([False]), 2.0, 0.3).item() == pytest.approx(expected, abs=6e-7)
    other = focal_loss(-logit, torch.tensor([False]), 2.0, 0.3, balanced=True).item()
    assert other == pytest.approx(expected * 7 / 3, rel=2e-3)


@given(
    st.lists(st.tuples(st.floats(-12, 12), st.booleans()), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
    st.floats(0, 1),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_focal_loss_is_the_mean_over_samples(samples, gamma, alpha, balanced):
    logits, labels = (list(column) for column in zip(*samples, strict=True))
    found = focal_loss(torch.tensor(logits), torch.tensor(labels), gamma, alpha, balanced)
    expected = literal_focal_loss(logits, labels, gamma, alpha, balanced)
    assert found.item() == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_the_gradient_of_the_focal_loss_is_that_of_the_formula():
    logits = torch.linspace(-6, 6, 13).double().requires_grad_()
    twin, labels = logits.detach().clone().requires_grad_(), torch.arange(13) % 2 == 0
    focal_loss(logits, labels, 2.0, 0.3, balanced=True).backward()
    probability = torch.where(labels, twin.sigmoid(), 1 - twin.sigmoid())
    weights = torch.where(labels, 0.3, 0.7)
    (-weights * (1 - probability) ** 2 * probability.log()).mean().backward()
    assert torch.allclose(logits.grad, twin.grad, rtol=1e-5, atol=1e-8) and twin.grad.any()


def test_without_focus_the_focal_loss_is_weighted_cross_entropy():
    logits, labels = torch.randn(9), torch.rand(9) < 0.5
    expected = 0.3 * binary_loss(logits, labels.float()).item()
    assert focal_loss(logits, labels, 0.0, 0.3).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sure_decisions_keep_the_focal_loss_finite(kind, gamma):
    logits = torch.tensor([60000.0, -60000.0, 200.0, -200.0, 0.0], dtype=kind, requires_grad=True)
    for labels in (torch.tensor([True, False, True, False, True]), torch.tensor([False, True, False, True, True])):
        loss = focal_loss(logits, labels, gamma, 0.3)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.dtype == torch.float32 and torch.isfinite(loss) and torch.isfinite(gradient).all()
    # Where all is wrong, what is most wrong has the full weight.
    assert loss.item() == pytest.approx(
        (2 * 0.3 * (logits[0].item() + 200) + 0.3 * 0.5**gamma * math.log(2)) / 5, rel=1e-4
    )


def test_no_samples_give_a_focal_loss_of_zero_with_a_gradient():
    weight = torch.randn(3, requires_grad=True)
    loss = focal_loss(torch.zeros(0, 3) @ weight, torch.zeros(0, dtype=torch.bool), 2.0, 0.3)
    loss.backward()
    assert loss.item() == 0 and weight.grad is not None and not weight.grad.any()
