"""Losses against loops: sums over types, means over samples, and nothing to learn from nothing."""

from __future__ import annotations

import math

import pytest
import torch

from modeling_docre.losses import binary_loss, class_loss


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
