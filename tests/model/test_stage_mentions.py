"""The mention classifier against the formula, and the threshold."""

from __future__ import annotations

import pytest
import torch

from modeling_docre.stage_mentions import MentionClassifier, select_mentions


def test_logits_are_a_network_on_vector_and_size():
    classifier = MentionClassifier(6, 3, size_rows=5, dropout=0.1).double().eval()
    vectors, sizes = torch.randn(4, 6, dtype=torch.float64), torch.tensor([1, 4, 5, 40])
    hidden, output = classifier.classifier.hidden, classifier.classifier.output
    for row in range(4):
        size = classifier.size_embedding.weight[min(int(sizes[row]), 4)]
        first = (hidden.weight @ torch.cat([vectors[row], size]) + hidden.bias).clamp(min=0)
        expected = output.weight @ first + output.bias
        assert classifier(vectors, sizes)[row].item() == pytest.approx(expected.item(), abs=1e-12)


def test_no_spans_have_no_logits():
    classifier = MentionClassifier(6, 3, 5, 0.1)
    assert classifier(torch.zeros(0, 6), torch.zeros(0, dtype=torch.int64)).shape == (0,)


def test_a_score_equal_to_the_threshold_is_kept():
    logits = torch.tensor([0.0, -1e-3, 5.0, -5.0])
    assert select_mentions(logits, 0.5).tolist() == [0, 2]
    assert select_mentions(logits, 0.0).tolist() == [0, 1, 2, 3]
    assert select_mentions(logits[:0], 0.5).tolist() == []


def test_half_precision_logits_are_compared_in_full_precision():
    # In half precision the sigmoid of both would round to the same number.
    logits = torch.tensor([1.7344, 1.7354], dtype=torch.float16)
    scores = torch.sigmoid(logits.float())
    threshold = float(scores.mean())
    assert select_mentions(logits, threshold).tolist() == [1]
