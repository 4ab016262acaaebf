"""The document encoder against each window encoded on its own, and each architecture at its claimed length."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from encoder_configs import ENCODERS
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder, tiny_encoder_config
from transformers import AutoModel, T5Config

from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.encoder import DocumentEncoder, window_layout, window_starts
from modeling_docre.hub.start import extend_positions
from modeling_docre.modeling_jerex import JerexModel

# T5 has relative positions without a limit.
UNLIMITED = T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, is_encoder_decoder=False)


LABELS = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES, "window_overlap": 8}


def config_of(encoder_config, **options) -> JerexConfig:
    return JerexConfig(**{"encoder_config": encoder_config, **LABELS, **options})


def tiny_document_encoder(window_overlap: int = 16) -> DocumentEncoder:
    encoder = DocumentEncoder(config_of(tiny_encoder_config(), window_overlap=window_overlap))
    encoder.adopt(copy.deepcopy(tiny_encoder()))
    return encoder.eval()


def merged_by_hand(model, ids: torch.Tensor, starts: list[int], window: int) -> torch.Tensor:
    """Each window on its own, without padding; covered positions are averaged over the windows that cover them."""
    total = torch.zeros(len(ids), model.config.hidden_size)
    count = torch.zeros(len(ids))
    for start in starts:
        part = ids[start : start + window]
        total[start : start + window] += model(part[None]).last_hidden_state[0]
        count[start : start + window] += 1
    assert (count > 0).all()
    return total / count[:, None]


@given(st.integers(1, 3000), st.integers(1, 600), st.data())
@settings(max_examples=300, deadline=None)
def test_windows_cover_everything_with_the_fewest_windows(length, window, data):
    overlap = data.draw(st.integers(0, window - 1))
    if (length - overlap) / (window - overlap) > 2000:
        return
    starts = window_starts(length, window, overlap)
    assert starts[0] == 0
    assert starts[-1] == max(length - window, 0)
    for start, following in itertools.pairwise(starts):
        assert start < following <= start + window - overlap
    fewer = len(starts) - 1
    assert fewer == 0 or fewer * window - (fewer - 1) * overlap < length or (fewer == 1 and length > window)
    gaps = [following - start for start, following in itertools.pairwise(starts)]
    assert not gaps or max(gaps) - min(gaps) <= 1


@given(st.integers(1, 600), st.data())
@settings(max_examples=100, deadline=None)
def test_two_windows_lie_at_both_ends(window, data):
    overlap = data.draw(st.integers(0, window - 1))
    length = data.draw(st.integers(window + 1, 2 * window - overlap)) if overlap < window - 1 else window + 1
    assert window_starts(length, window, overlap) == [0, length - window]


def test_window_starts_of_600_subwords():
    # ATLOP's window B starts at 89 because its first position holds [CLS]; without special tokens that is 88.
    assert window_starts(600, 512, 128) == [0, 88]
    assert window_starts(512, 512, 128) == [0]
    assert window_starts(513, 512, 128) == [0, 1]
    assert window_starts(0, 512, 128) == [0]
    assert window_starts(5000, None) == [0]


@pytest.mark.parametrize("overlap", [-1, 64, 100])
def test_an_overlap_outside_the_window_is_refused(overlap):
    with pytest.raises(ValueError, match=rf"window_overlap is {overlap}; give a number from 0 to 63"):
        window_starts(100, 64, overlap)


def test_the_layout_of_600_subwords_averages_what_both_windows_hold():
    layout = window_layout([600], 512, 128, torch.device("cpu"))
    assert layout.rows.shape == (2, 512) and layout.mask.all()
    assert layout.rows[0].tolist() == list(range(512))
    assert layout.rows[1].tolist() == list(range(88, 600))
    assert layout.coverage.tolist() == [1] * 88 + [2] * 424 + [1] * 88


def test_the_layout_of_several_documents_shifts_each_by_those_before():
    layout = window_layout([3, 5, 4], 4, 1, torch.device("cpu"))
    assert layout.rows.tolist() == [[0, 1, 2, 0], [3, 4, 5, 6], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert layout.mask.tolist() == [[True, True, True, False], *[[True] * 4] * 3]
    assert layout.coverage.tolist() == [1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("overlap", [0, 16, 63])
@pytest.mark.parametrize("lengths", [[10], [64], [65], [100, 3, 64, 70], [1, 200]])
@torch.no_grad()
def test_encoding_equals_each_window_on_its_own(lengths, overlap):
    if overlap == 63 and max(lengths) > 100:
        lengths = [80]
    encoder = tiny_document_encoder(overlap)
    documents = [torch.randint(5, 90, (length,)) for length in lengths]
    found = encoder(torch.cat(documents), torch.tensor(lengths)).hidden
    expected = [merged_by_hand(encoder.model, ids, window_starts(len(ids), 64, overlap), 64) for ids in documents]
    assert torch.allclose(found, torch.cat(expected), atol=1e-5)


def test_gradients_flow_through_the_merge():
    encoder = tiny_document_encoder()
    encoder.model.requires_grad_(True)
    ids = torch.randint(5, 90, (90,))
    embedding = encoder.model.embeddings.word_embeddings.weight
    gradients = []
    for hidden in (encoder(ids, torch.tensor([90])).hidden, merged_by_hand(encoder.model, ids, [0, 26], 64)):
        encoder.model.zero_grad()
        (hidden * torch.linspace(-1, 1, hidden.numel()).view_as(hidden)).sum().backward()
        gradients.append(embedding.grad.clone())
    encoder.model.zero_grad()
    assert torch.allclose(*gradients, atol=1e-4)
    assert gradients[0].any()


@torch.no_grad()
def test_documents_without_subwords_take_no_room():
    encoder = tiny_document_encoder()
    ids = torch.randint(5, 90, (12,))
    alone = encoder(ids, torch.tensor([7, 5])).hidden
    assert torch.allclose(encoder(ids, torch.tensor([0, 7, 0, 0, 5, 0])).hidden, alone, atol=1e-6)
    assert encoder(ids[:0], torch.tensor([0, 0])).hidden.shape == (0, 32)
    assert encoder(ids[:0], torch.zeros(0, dtype=torch.int64)).hidden.shape == (0, 32)


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_every_encoder_reads_its_claimed_length_and_windows_beyond(name):
    config = config_of(ENCODERS[name], window_overlap=8)
    assert config.encoder_positions == 40
    encoder = JerexModel(config).eval().encoders[0]
    lengths = [40, 7, 90]
    documents = [torch.randint(3, 50, (length,)) for length in lengths]
    found = encoder(torch.cat(documents), torch.tensor(lengths)).hidden
    expected = [merged_by_hand(encoder.model, ids, window_starts(len(ids), 40, 8), 40) for ids in documents]
    assert torch.isfinite(found).all()
    assert torch.allclose(found, torch.cat(expected), atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "mpnet", "electra", "distilbert", "albert"])
def test_the_claimed_length_is_the_longest_possible(name):
    config = config_of(ENCODERS[name])
    model = AutoModel.from_config(config.encoder_config)
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, config.encoder_positions + 1), 5))


@torch.no_grad()
def test_an_encoder_without_a_limit_reads_documents_whole():
    from transformers import T5EncoderModel

    assert config_of(UNLIMITED).encoder_positions is None
    encoder = DocumentEncoder.__new__(DocumentEncoder)
    torch.nn.Module.__init__(encoder)
    encoder.window, encoder.overlap, encoder.pad_token_id, encoder.letter_case = None, 128, 0, False
    encoder.adopt(T5EncoderModel(UNLIMITED).eval())
    ids = torch.randint(3, 50, (700,))
    assert torch.allclose(
        encoder(ids, torch.tensor([700])).hidden, encoder.model(ids[None]).last_hidden_state[0], atol=1e-5
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_the_default_attention_is_the_one_that_the_encoder_chooses(name):
    config = config_of(ENCODERS[name])
    chosen = AutoModel.from_config(ENCODERS[name]).config._attn_implementation
    encoder = JerexModel(config).encoders[0]
    assert encoder.model.config._attn_implementation == chosen
    warm = JerexModel.from_encoder(AutoModel.from_config(ENCODERS[name]), **LABELS)
    assert warm.encoders[0].model.config._attn_implementation == chosen


def test_the_pooler_is_dropped():
    for name in ("bert", "roberta", "albert"):
        encoder = DocumentEncoder(config_of(ENCODERS[name]))
        assert not [key for key in encoder.state_dict() if "pooler" in key]


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "electra", "distilbert", "albert", "mpnet"])
@torch.no_grad()
def test_an_extended_table_reads_longer_documents(name):
    source = AutoModel.from_config(ENCODERS[name])
    model = JerexModel.from_encoder(
        source, **LABELS, long_input="extend", extended_positions=70, extra_position_std=0.5
    )
    assert model.config.encoder_positions == 70
    encoder = model.encoders[0]
    assert encoder.window == 70
    ids = torch.randint(3, 50, (70,))
    long = encoder(ids, torch.tensor([70])).hidden
    assert torch.isfinite(long).all()
    short = encoder(ids[:40], torch.tensor([40])).hidden
    assert torch.allclose(short, source.eval()(ids[None, :40]).last_hidden_state[0])
    table = {key: value for key, value in model.state_dict().items() if "position_embeddings" in key}
    (weight,) = table.values()
    old = next(value for key, value in source.state_dict().items() if "position_embeddings" in key)
    assert torch.equal(weight[: len(old)], old)
    assert weight[len(old) :].std().item() == pytest.approx(0.5, rel=0.2)
    with pytest.raises((IndexError, RuntimeError)):
        encoder.model(torch.randint(3, 50, (1, 71)))


@pytest.mark.parametrize("name", ["modernbert", "deberta-v2", "deberta-v2, relative only"])
def test_an_encoder_with_relative_positions_cannot_be_extended(name):
    with pytest.raises(ValueError, match=r'long_input="windows"'):
        JerexModel.from_encoder(AutoModel.from_config(ENCODERS[name]), **LABELS, long_input="extend")


def test_a_table_that_is_large_enough_stays():
    model = AutoModel.from_config(ENCODERS["bert"])
    before = model.embeddings.position_embeddings.weight
    extend_positions(model, 20, 0.02)
    assert model.embeddings.position_embeddings.weight is before
    assert model.config.max_position_embeddings == 40


def test_cached_buffers_grow_with_the_table():
    model = AutoModel.from_config(ENCODERS["bert"])
    extend_positions(model, 50, 0.02)
    assert torch.equal(model.embeddings.position_ids, torch.arange(50)[None])
    assert model.embeddings.token_type_ids.shape == (1, 50)
    assert "embeddings.position_ids" not in model.state_dict()
