"""Window merge of long documents against ATLOP's release, written out position by position."""

from __future__ import annotations

import copy

import pytest
import torch
from encoder_configs import EAGER, FUSED
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_encoding import Window, eager_twin, encode_literally, literal_windows, merge_windows
from tiny import RELATION_TYPES, tiny_encoder
from transformers import AutoModel, BertConfig, BertModel

from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.encoder import DocumentEncoder, window_layout
from modeling_docre.encoder_attention import AttendedEncoder

LIMIT = 64
SPECIALS = torch.tensor([1, 1])
BOUNDARIES = [2, 3, 62, 63, 64, 65, 66, 67, 100, 123, 124, 125, 126, 127, 128, 129, 186, 187, 188, 189, 190, 250, 320]


def run(encoder, ids, lengths, queries, specials=SPECIALS):
    """Hidden states, and attention rows of some positions."""
    hidden, attention = encoder(ids, lengths, specials)
    return hidden, attention(queries)


def encoder_of(model) -> DocumentEncoder:
    """The encoder as ATLOP has it, in float64, with attention that is far from uniform."""
    model = copy.deepcopy(model).double().eval()
    for name, value in model.named_parameters():
        if value.dim() == 2 and "embedding" not in name:
            value.data *= 4
    encoder = AttendedEncoder(AtlopConfig(encoder_config=copy.deepcopy(model.config), relation_types=RELATION_TYPES))
    encoder.adopt(model)
    return encoder.eval()


@pytest.fixture(scope="module")
def encoder() -> DocumentEncoder:
    return encoder_of(tiny_encoder())


def document(length: int) -> torch.Tensor:
    return torch.randint(5, 90, (length,), generator=torch.Generator().manual_seed(length))


def encode_all(encoder: DocumentEncoder, ids: torch.Tensor, specials: torch.Tensor = SPECIALS):
    """Hidden states [length, hidden] and the attention of every position, [heads, length, length]."""
    hidden, attention = run(encoder, ids, torch.tensor([len(ids)]), torch.arange(len(ids)), specials)
    return hidden, attention.transpose(0, 1)


def two_windows(length: int, limit: int, before: int, after: int) -> list[Window]:
    """The release's rule: A is the first positions and the end tokens, B the start tokens and the last positions."""
    first = [*range(limit - after), *range(length - after, length)]
    second = [*range(before), *range(length - (limit - before), length)]
    return [Window(first, set(range(limit - after, limit))), Window(second, set(range(before)))]


@torch.no_grad()
def test_600_subwords_in_512_positions():
    torch.manual_seed(0)
    config = BertConfig(vocab_size=90, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    encoder, ids = encoder_of(BertModel(config)), document(600)
    layout = window_layout([600], 512, 0, torch.device("cpu"), (1, 1))
    assert layout.rows.shape == (2, 512) and layout.mask.all()
    assert layout.rows[0].tolist() == [*range(511), 599]
    assert layout.rows[1].tolist() == [0, *range(89, 600)]
    assert layout.coverage.tolist() == [1] * 89 + [2] * 422 + [1] * 89

    eager = eager_twin(encoder.model)
    a = eager(torch.cat([ids[:511], ids[-1:]])[None], output_attentions=True)
    b = eager(torch.cat([ids[:1], ids[89:]])[None], output_attentions=True)
    hidden, attention = encode_all(encoder, ids)
    states_a, states_b = a.last_hidden_state[0], b.last_hidden_state[0]
    assert torch.allclose(hidden[:89], states_a[:89], atol=1e-10)
    assert torch.allclose(hidden[89:511], (states_a[89:511] + states_b[1:423]) / 2, atol=1e-10)
    assert torch.allclose(hidden[511:], states_b[423:], atol=1e-10)
    expected = torch.zeros(2, 600, 600).double()
    expected[:, :511, :511] += a.attentions[-1][0, :, :511, :511]
    expected[:, 89:, 89:] += b.attentions[-1][0, :, 1:, 1:]
    expected /= expected.sum(-1, keepdim=True) + 1e-10
    assert torch.allclose(attention, expected, atol=1e-10)
    assert torch.allclose(attention.sum(2), torch.ones(2, 600).double(), atol=1e-9)


@pytest.mark.parametrize("length", BOUNDARIES)
@torch.no_grad()
def test_lengths_around_every_boundary(encoder, length):
    ids = document(length)
    hidden, attention = encode_all(encoder, ids)
    expected_hidden, expected = encode_literally(eager_twin(encoder.model), ids, LIMIT)
    assert torch.allclose(hidden, expected_hidden, atol=1e-10)
    assert torch.allclose(attention, expected, atol=1e-10)
    assert torch.allclose(attention.sum(2), torch.ones(attention.shape[:2]).double(), atol=1e-8)
    assert hidden.abs().amax(1).min() > 0.1
    # Within one window every position sees every other; across windows some do not.
    unseen = (attention == 0).any()
    assert unseen == (length > LIMIT)


@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 2), (2, 1), (0, 1), (1, 0), (0, 0)])
@torch.no_grad()
def test_two_windows_are_those_of_the_release(encoder, before, after):
    eager, specials = eager_twin(encoder.model), torch.tensor([before, after])
    longest = 2 * LIMIT - before - after
    for length in (LIMIT + 1, LIMIT + 2, 90, longest - 1, longest):
        ids = document(length)
        hidden, attention = encode_all(encoder, ids, specials)
        expected_hidden, expected = merge_windows(eager, ids, two_windows(length, LIMIT, before, after))
        assert torch.allclose(hidden, expected_hidden, atol=1e-10)
        assert torch.allclose(attention, expected, atol=1e-10)
    assert len(window_layout([longest], LIMIT, 0, torch.device("cpu"), (before, after)).rows) == 2
    assert len(window_layout([longest + 1], LIMIT, 0, torch.device("cpu"), (before, after)).rows) == 3


@given(st.lists(st.integers(0, 300), min_size=1, max_size=5), st.integers(6, 80), st.integers(0, 2), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_no_position_is_uncovered_and_each_window_is_whole(texts, limit, before, after):
    lengths = [text + before + after for text in texts]
    if not sum(lengths):
        return
    layout = window_layout(lengths, limit, 0, torch.device("cpu"), (before, after))
    expected, offset = [], 0
    for length in lengths:
        expected += [(offset, window) for window in literal_windows(length, limit, before, after)]
        offset += length
    assert len(layout.rows) == len(expected)
    for row, mask, kept, (start, window) in zip(layout.rows, layout.mask, layout.kept, expected, strict=True):
        assert (row[mask] - start).tolist() == window.positions
        slots = [slot for slot in range(len(window.positions)) if slot not in window.artificial]
        assert kept.nonzero().squeeze(1).tolist() == slots
    covered = torch.bincount(layout.rows[layout.kept], minlength=offset)
    assert (covered > 0).all() and len(covered) == offset
    assert layout.coverage is None or layout.coverage.tolist() == covered.tolist()
    assert (layout.coverage is None) == (max(lengths) <= limit)


@pytest.mark.parametrize("lengths", [[10, 64, 2], [5, 126, 64, 2, 300], [65, 64], [2, 2], [200, 127, 3]])
@torch.no_grad()
def test_documents_in_a_batch_are_the_documents_alone(encoder, lengths):
    documents = [document(length) for length in lengths]
    ends = torch.tensor(lengths).cumsum(0)
    queries = torch.cat([torch.randint(end - length, end, (4,)) for end, length in zip(ends, lengths, strict=True)])
    queries = queries[torch.randperm(len(queries))]  # in any order, some twice
    hidden, attention = run(encoder, torch.cat(documents), torch.tensor(lengths), queries)
    assert attention.shape == (len(queries), 4, max(lengths))
    for ids, end in zip(documents, ends.tolist(), strict=True):
        start = end - len(ids)
        alone_hidden, alone = encode_all(encoder, ids)
        assert torch.allclose(hidden[start:end], alone_hidden, atol=1e-10)
        for query, rows in zip(queries.tolist(), attention, strict=True):
            if start <= query < end:
                assert torch.allclose(rows[:, : len(ids)], alone[:, query - start], atol=1e-10)
                assert not rows[:, len(ids) :].any()


@torch.no_grad()
def test_a_document_of_start_and_end_token_alone(encoder):
    ids = torch.tensor([2, 3])
    hidden, attention = encode_all(encoder, ids)
    expected_hidden, expected = encode_literally(eager_twin(encoder.model), ids, LIMIT)
    assert torch.allclose(hidden, expected_hidden, atol=1e-10) and torch.allclose(attention, expected, atol=1e-10)
    nobody = torch.zeros(0, dtype=torch.int64)
    for lengths in ([2, 2], [2, 100]):
        hidden, attention = run(encoder, document(sum(lengths)), torch.tensor(lengths), nobody)
        assert hidden.shape == (sum(lengths), 32) and attention.shape == (0, 4, max(lengths))


@torch.no_grad()
def test_nothing_at_all_has_no_attention_either(encoder):
    nobody = torch.zeros(0, dtype=torch.int64)
    hidden, attention = run(encoder, nobody, torch.tensor([0, 0]), nobody, None)
    assert hidden.shape == (0, 32) and len(attention) == 0


@pytest.mark.parametrize("name", ["roberta", "distilbert", "modernbert, last layer local", "deberta-v2", "mpnet"])
@torch.no_grad()
def test_other_encoders_merge_the_same_way(name):
    torch.manual_seed(3)
    encoder = encoder_of(AutoModel.from_config(copy.deepcopy({**FUSED, **EAGER}[name])))
    eager, lengths = eager_twin(encoder.model), [100, 12, 70]
    documents = [torch.randint(3, 50, (length,)) for length in lengths]
    queries = torch.tensor([0, 50, 99, 100, 111, 112, 150, 181])
    hidden, attention = run(encoder, torch.cat(documents), torch.tensor(lengths), queries)
    literal = [encode_literally(eager, ids, 40) for ids in documents]
    assert torch.allclose(hidden, torch.cat([states for states, _ in literal]), atol=1e-5)
    for query, rows in zip(queries.tolist(), attention, strict=True):
        number = 0 if query < 100 else 1 if query < 112 else 2
        position = query - [0, 100, 112][number]
        assert torch.allclose(rows[:, : lengths[number]], literal[number][1][:, position], atol=1e-6)


def test_gradients_flow_through_the_merged_attention(encoder):
    ids, queries = document(150), torch.tensor([3, 70, 149])
    torch.manual_seed(1)
    weights = torch.randn(3, 4, 150).double()
    model = copy.deepcopy(encoder)
    eager = eager_twin(model.model)
    (run(model, ids, torch.tensor([150]), queries)[1] * weights).sum().backward()
    (encode_literally(eager, ids, LIMIT)[1][:, queries].transpose(0, 1) * weights).sum().backward()
    for (name, ours), literal in zip(model.model.named_parameters(), eager.parameters(), strict=True):
        assert (ours.grad is None) == (literal.grad is None), name
        if ours.grad is not None:
            assert torch.allclose(ours.grad, literal.grad, atol=1e-9), name
    assert model.model.encoder.layer[-1].attention.self.query.weight.grad.abs().max() > 1e-6


@torch.no_grad()
def test_hidden_states_alone_are_those_with_attention(encoder):
    ids, lengths = document(230), torch.tensor([30, 200])
    config = AtlopConfig(encoder_config=copy.deepcopy(encoder.model.config), relation_types=RELATION_TYPES)
    silent = DocumentEncoder(config)
    silent.double().eval().load_state_dict(encoder.state_dict())
    alone = silent(ids, lengths, SPECIALS)
    assert alone.attention is None
    queries = torch.tensor([0, 229])
    assert torch.allclose(alone.hidden, run(encoder, ids, lengths, queries)[0], atol=1e-12)
