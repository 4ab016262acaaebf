"""Localized context pooling against the formula of each pair, and evidence against all sets of sentences."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from modeling_docre import stage_key_pairs
from modeling_docre import stage_localized_context as localized_context
from modeling_docre.stage_key_pairs import pool_pairs
from modeling_docre.stage_localized_context import (
    AttendedText,
    blocks,
    find_evidence,
    pool_block,
    unordered_pairs,
    weigh_sentences,
)

HEADS, HIDDEN = 3, 5
DOCUMENTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=4)
BLOCK_SIZES = st.sampled_from([1, 7, 20, 60, 2**23])
HEAD_NORMS = ["norm_then_mean", "norm_then_sum", "sum_then_norm"]


def attended(documents: list[tuple[int, int]], seed: int = 0) -> AttendedText:
    """Random text of documents from (subwords, entities); attention is zero beyond the end of a document."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([length for length, _ in documents])
    owners = torch.arange(len(documents)).repeat_interleave(torch.tensor([count for _, count in documents]))
    attention = torch.rand(len(owners), HEADS, int(lengths.max()), generator=generator).double()
    inside = torch.arange(int(lengths.max())) < lengths[owners][:, None]  # [entities, longest]
    attention = attention * inside[:, None]
    attention = attention / attention.sum(2, keepdim=True)
    hidden = torch.randn(int(lengths.sum()), HIDDEN, generator=generator).double()
    sentences = torch.cat([_sentences(length, generator) for length in lengths.tolist()])
    return AttendedText(hidden, attention, lengths, owners, sentences)


def _sentences(length: int, generator: torch.Generator) -> torch.Tensor:
    """Ascending sentence numbers between two tokens that are in none (one or two of them in short documents)."""
    steps = torch.randint(0, 2, (length,), generator=generator)
    sentences = steps.cumsum(0) - steps[0]
    sentences[0] = sentences[-1] = -1
    return sentences


def all_pairs(text: AttendedText, seed: int, share: float) -> torch.Tensor:
    """Some of the ordered pairs within documents, in any order."""
    owners = text.documents.tolist()
    pairs = [pair for pair in permutations(range(len(owners)), 2) if owners[pair[0]] == owners[pair[1]]]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pairs), generator=generator)[: round(share * len(pairs))]
    return torch.tensor(pairs, dtype=torch.int64).view(-1, 2)[order]


def literal_weights(text: AttendedText, head: int, tail: int) -> tuple[torch.Tensor, int]:
    """The weights of a pair over the subwords of its document, and where the document begins."""
    document = int(text.documents[head])
    length = int(text.document_lengths[document])
    product = torch.stack([text.attention[head, n, :length] * text.attention[tail, n, :length] for n in range(HEADS)])
    mean = product.sum(0) / HEADS
    return mean / (mean.sum() + 1e-5), int(text.document_lengths[:document].sum())


def contexts(text: AttendedText, pairs: torch.Tensor) -> torch.Tensor:
    """The contexts of ordered pairs, block by block."""
    unordered, index = unordered_pairs(pairs)
    parts = [pool_block(text, unordered, block)[0] for block in blocks(text, unordered)]
    return torch.cat([*parts, text.hidden[:0]])[index]


@given(DOCUMENTS, st.integers(0, 10**6), st.floats(0, 1), BLOCK_SIZES)
@settings(max_examples=120, deadline=None)
def test_contexts_are_those_of_each_pair_whatever_the_blocks(documents, seed, share, block_size):
    text = attended(documents, seed)
    pairs = all_pairs(text, seed, share)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localized_context, "BLOCK_WEIGHTS", block_size)
        found = contexts(text, pairs)
    assert found.shape == (len(pairs), HIDDEN)
    for (head, tail), context in zip(pairs.tolist(), found, strict=True):
        weights, start = literal_weights(text, head, tail)
        assert torch.allclose(context, weights @ text.hidden[start : start + len(weights)], atol=1e-12)


def test_both_orders_of_a_pair_share_the_context():
    text = attended([(9, 4)])
    pairs = torch.tensor([[0, 3], [3, 0], [1, 2], [2, 1]])
    found = contexts(text, pairs)
    assert torch.equal(found[0], found[1]) and torch.equal(found[2], found[3])
    assert not torch.allclose(found[0], found[2], atol=1e-3)


@given(DOCUMENTS, st.integers(0, 10**6), st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_unordered_pairs_are_each_pair_once(documents, seed, share):
    text = attended(documents, seed)
    pairs = all_pairs(text, seed, share)
    pairs = torch.cat([pairs, pairs[:2]])  # some twice
    unordered, index = unordered_pairs(pairs)
    expected = sorted({(min(pair), max(pair)) for pair in pairs.tolist()})
    assert [tuple(pair) for pair in unordered.tolist()] == expected
    assert unordered[index].tolist() == pairs.sort(1).values.tolist()


@given(DOCUMENTS, st.integers(0, 10**6), BLOCK_SIZES)
@settings(max_examples=80, deadline=None)
def test_blocks_cut_all_pairs_within_their_bounds(documents, seed, block_size):
    text = attended(documents, seed)
    unordered, _ = unordered_pairs(all_pairs(text, seed, 0.7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localized_context, "BLOCK_WEIGHTS", block_size)
        found = blocks(text, unordered)
    rows = [row for block in found for row in range(block.rows.start, block.rows.stop)]
    assert rows == list(range(len(unordered)))
    for block in found:
        pairs = unordered[block.rows]
        assert ((pairs[:, 0] >= block.firsts.start) & (pairs[:, 0] < block.firsts.stop)).all()
        assert ((pairs >= block.seconds.start) & (pairs < block.seconds.stop)).all()
        size = (block.subwords.stop - block.subwords.start) * (block.seconds.stop - block.seconds.start)
        firsts = block.firsts.stop - block.firsts.start
        assert firsts == 1 or firsts * size <= block_size


def test_nobody_attends_to_a_common_place():
    """Without common attention the denominator keeps the context at zero."""
    text = attended([(4, 2)])
    attention = torch.zeros(2, HEADS, 4).double()
    attention[0, :, 0] = attention[1, :, 3] = 1
    assert not contexts(text._replace(attention=attention), torch.tensor([[0, 1]])).any()


def test_gradients_reach_hidden_states_and_attention():
    text = attended([(6, 3), (4, 2)])
    pairs, pull = torch.tensor([[0, 1], [2, 0], [1, 0], [4, 3]]), torch.randn(4, HIDDEN).double()
    leaves = [value.clone().requires_grad_() for value in (text.hidden, text.attention) * 2]
    (contexts(text._replace(hidden=leaves[0], attention=leaves[1]), pairs) * pull).sum().backward()
    twin, expected = text._replace(hidden=leaves[2], attention=leaves[3]), []
    for head, tail in pairs.tolist():
        weights, start = literal_weights(twin, head, tail)
        expected.append(weights @ twin.hidden[start : start + len(weights)])
    (torch.stack(expected) * pull).sum().backward()
    assert torch.allclose(leaves[0].grad, leaves[2].grad, atol=1e-12)
    assert torch.allclose(leaves[1].grad, leaves[3].grad, atol=1e-12)


class Watch(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.largest = max(self.largest, value.numel())
        return result


def test_no_tensor_of_pairs_by_heads_or_by_width_over_the_subwords_is_made():
    entities, heads, length, width = 20, 12, 100, 64
    attention = torch.rand(entities, heads, length)
    text = AttendedText(
        torch.randn(length, width), attention, torch.tensor([length]), torch.zeros(entities, dtype=torch.int64), None
    )
    pairs = torch.tensor(list(combinations(range(entities), 2)))
    with Watch() as watch:
        contexts(text, pairs)
    assert watch.largest <= entities**2 * length < len(pairs) * heads * length < len(pairs) * width * length


# --- single heads --------------------------------------------------------------------------------------------------


def literal_context(text: AttendedText, head: int, tail: int, head_norm: str) -> torch.Tensor:
    """The context [hidden] of a pair, each head normalised by itself or their mean."""
    if head_norm == "sum_then_norm":
        weights, start = literal_weights(text, head, tail)
    else:
        _, start = literal_weights(text, head, tail)
        length = int(text.document_lengths[text.documents[head]])
        weights = torch.zeros(length).double()
        for number in range(HEADS):
            product = text.attention[head, number, :length] * text.attention[tail, number, :length]
            weights = weights + product / (product.sum() + 1e-5)
        if head_norm == "norm_then_mean":
            weights = weights / HEADS
    return weights @ text.hidden[start : start + len(weights)]


@pytest.mark.parametrize("head_norm", HEAD_NORMS)
@given(DOCUMENTS, st.integers(0, 10**6), st.floats(0, 1), BLOCK_SIZES)
@settings(max_examples=60, deadline=None)
def test_pooled_pairs_are_the_formula_of_each_head_whatever_the_blocks(head_norm, documents, seed, share, block_size):
    text = attended(documents, seed)
    pairs, _ = unordered_pairs(all_pairs(text, seed, share))
    leaves = [value.clone().requires_grad_() for value in (text.hidden, text.attention) * 2]
    generator = torch.Generator().manual_seed(seed)
    pull = torch.randn(len(pairs), HIDDEN, generator=generator).double()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localized_context, "BLOCK_WEIGHTS", block_size)
        with torch.no_grad():
            plain = pool_pairs(text, pairs, head_norm)
        found = pool_pairs(text._replace(hidden=leaves[0], attention=leaves[1]), pairs, head_norm)
        sum_of_all = (found * pull).sum() + 0 * leaves[0].sum() + 0 * leaves[1].sum()
        sum_of_all.backward()
    twin = text._replace(hidden=leaves[2], attention=leaves[3])
    expected = [literal_context(twin, head, tail, head_norm) for head, tail in pairs.tolist()]
    literal = torch.stack(expected) if expected else torch.zeros(0, HIDDEN).double()
    ((literal * pull).sum() + 0 * leaves[2].sum() + 0 * leaves[3].sum()).backward()
    assert found.shape == plain.shape == (len(pairs), HIDDEN)
    assert torch.allclose(found, literal, atol=1e-12) and torch.allclose(plain, literal, atol=1e-12)
    assert torch.allclose(leaves[0].grad, leaves[2].grad, atol=1e-11)
    assert torch.allclose(leaves[1].grad, leaves[3].grad, atol=1e-11)


def test_the_ways_to_join_heads_differ_and_the_sum_is_their_number_of_means():
    text = attended([(9, 4)])
    pairs = torch.tensor(list(combinations(range(4), 2)))
    mean, total, joined = (pool_pairs(text, pairs, head_norm) for head_norm in HEAD_NORMS)
    assert torch.allclose(total, HEADS * mean, atol=1e-12)
    assert not torch.allclose(mean, joined, atol=1e-3)


@pytest.mark.parametrize("head_norm", HEAD_NORMS)
def test_several_blocks_are_pooled_again_in_the_backward_pass_and_keep_nothing(head_norm, monkeypatch):
    text, kept = attended([(40, 12)]), []
    text = text._replace(hidden=text.hidden.requires_grad_(), attention=text.attention.requires_grad_())
    pairs, pool, calls = torch.tensor(list(combinations(range(12), 2))), stage_key_pairs._pool_block, []
    monkeypatch.setattr(stage_key_pairs, "_pool_block", lambda *given: calls.append(0) or pool(*given))
    for limit, again in ((2**23, False), (3 * 12 * 40 * HEADS, True)):
        monkeypatch.setattr(localized_context, "BLOCK_WEIGHTS", limit)
        calls.clear()
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda v, sizes=sizes: sizes.append(v.numel()) or v, lambda v: v):
            contexts = pool_pairs(text, pairs, head_norm)
        kept.append(sum(sizes))
        forward = len(calls)
        contexts.sum().backward()
        assert (forward > 1) == again and len(calls) == forward * (1 + again)
        calls.clear()
        with torch.no_grad():
            pool_pairs(text, pairs, head_norm)
        assert len(calls) == forward
    assert kept[1] < len(pairs) < len(pairs) * 40 <= kept[0]


@given(DOCUMENTS, st.integers(0, 10**6), BLOCK_SIZES, st.sampled_from([1, HEADS]))
@settings(max_examples=60, deadline=None)
def test_blocks_count_the_weights_of_every_head(documents, seed, block_size, depth):
    text = attended(documents, seed)
    unordered, _ = unordered_pairs(all_pairs(text, seed, 0.7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localized_context, "BLOCK_WEIGHTS", block_size)
        found = blocks(text, unordered, depth)
    rows = [row for block in found for row in range(block.rows.start, block.rows.stop)]
    assert rows == list(range(len(unordered)))
    for block in found:
        length, firsts = block.subwords.stop - block.subwords.start, block.firsts.stop - block.firsts.start
        seconds = block.seconds.stop - block.seconds.start
        assert firsts == 1 or firsts * seconds * length * depth <= block_size


@pytest.mark.parametrize(("mentions", "limit", "learning"), [(185, 2**23, False), (60, 2**20, True)])
@pytest.mark.parametrize("head_norm", ["norm_then_mean", "sum_then_norm"])
def test_the_memory_of_all_mention_pairs_of_a_long_document_is_bounded(
    mentions, limit, learning, head_norm, monkeypatch
):
    """185 mentions have 34,040 ordered pairs, as many as any document of DWIE; a step that learns has fewer here."""
    heads, length, types = 12, 1024, 97
    monkeypatch.setattr(localized_context, "BLOCK_WEIGHTS", limit)
    text = AttendedText(
        torch.randn(length, types).requires_grad_(learning),
        torch.rand(mentions, heads, length).requires_grad_(learning),
        torch.tensor([length]),
        torch.zeros(mentions, dtype=torch.int64),
    )
    pairs = torch.tensor(list(combinations(range(mentions), 2)))
    with Watch() as watch:
        contexts = pool_pairs(text, pairs, head_norm)
        if learning:
            contexts.sum().backward()
    assert contexts.shape == (len(pairs), types)
    assert watch.largest <= limit < len(pairs) * heads * length


# --- evidence ------------------------------------------------------------------------------------------------------


@given(DOCUMENTS, st.integers(0, 10**6), BLOCK_SIZES)
@settings(max_examples=120, deadline=None)
def test_evidence_is_the_fewest_sentences_with_more_than_half_of_the_weight(documents, seed, block_size):
    text = attended(documents, seed)
    unordered, _ = unordered_pairs(all_pairs(text, seed, 1.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(localized_context, "BLOCK_WEIGHTS", block_size)
        pooled = [(block, pool_block(text, unordered, block)[1]) for block in blocks(text, unordered)]
        parts = [weigh_sentences(text, block, weights) for block, weights in pooled]
    pair, sentence, weight = (values.tolist() for values in find_evidence(torch.cat(parts), 0.5)) if parts else [[]] * 3
    assert pair == sorted(pair)
    for number, (head, tail) in enumerate(unordered.tolist()):
        found = [(s, w) for p, s, w in zip(pair, sentence, weight, strict=True) if p == number]
        weights, start = literal_weights(text, head, tail)
        shares: dict[int, float] = {}
        for place, value in enumerate(weights.tolist()):
            if (owner := int(text.sentences[start + place])) >= 0:
                shares[owner] = shares.get(owner, 0.0) + value
        assert {s for s, _ in found} == fewest(shares)
        assert [w for _, w in found] == sorted((w for _, w in found), reverse=True)
        for owner, value in found:
            assert value == pytest.approx(shares[owner] / sum(shares.values()), rel=1e-9)


def fewest(shares: dict[int, float]) -> set[int]:
    """The smallest set of sentences with more than half of the weight; of equally small ones the heaviest."""
    for size in range(1, len(shares) + 1):
        best = max(combinations(shares, size), key=lambda chosen: sum(shares[owner] for owner in chosen))
        if sum(shares[owner] for owner in best) > sum(shares.values()) / 2:
            return set(best)
    return set()


def test_a_pair_that_attends_to_start_and_end_tokens_only_has_no_evidence():
    text = attended([(4, 2)])._replace(sentences=torch.tensor([-1, 0, 0, -1]))
    attention = torch.zeros(2, HEADS, 4).double()
    attention[:, :, 0] = 1
    text = text._replace(attention=attention)
    [block] = blocks(text, torch.tensor([[0, 1]]))
    evidence = find_evidence(weigh_sentences(text, block, pool_block(text, torch.tensor([[0, 1]]), block)[1]), 0.5)
    assert [len(values) for values in evidence] == [0, 0, 0]


def test_a_half_is_not_more_than_half():
    text = attended([(4, 2)])._replace(sentences=torch.tensor([-1, 0, 1, -1]))
    attention = torch.full((2, HEADS, 4), 0.25).double()
    text = text._replace(attention=attention)
    [block] = blocks(text, torch.tensor([[0, 1]]))
    weights = weigh_sentences(text, block, pool_block(text, torch.tensor([[0, 1]]), block)[1])
    pair, sentence, _ = find_evidence(weights, 0.5)
    assert sentence.tolist() == [0, 1] and pair.tolist() == [0, 0]
