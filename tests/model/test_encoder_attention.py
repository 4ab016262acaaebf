"""Attention rows against the attention matrices of unfused encoders, and what fused ones leave undone."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from encoder_configs import EAGER, FUSED, LONGFORMER, SMALL
from literal_encoding import eager_twin, encode_literally
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModel, BertConfig, BertModel, FNetConfig

from modeling_docre.candidates import Spans, Text
from modeling_docre.encoder_attention import NOTING_SDPA, prepare_attention_rows, run_keeping_attention
from modeling_docre.modeling_atlop import AtlopModel
from modeling_docre.modeling_given_entities import read

WINDOWS, POSITIONS = torch.tensor([0, 0, 0, 2]), torch.tensor([5, 0, 5, 3])


def run_with_rows(model, ids, mask, windows, positions):
    """Hidden states, and attention rows of some positions."""
    hidden, rows_of = run_keeping_attention(model, ids, mask)
    return hidden, rows_of(windows, positions)


def build(config: Any, seed: int = 0) -> Any:
    """A random encoder in float64 whose attention is far from uniform."""
    torch.manual_seed(seed)
    model = AutoModel.from_config(copy.deepcopy(config)).double().eval()
    for name, value in model.named_parameters():
        if value.dim() == 2 and "embedding" not in name:
            value.data *= 10
    prepare_attention_rows(model)
    return model


def batch(padded: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Three windows of 20 subwords; padded, the last two are shorter."""
    ids = torch.randint(3, 50, (3, 20))
    if not padded:
        return ids, None
    mask = torch.ones_like(ids)
    mask[1, 12:], mask[2, 7:] = 0, 0
    return ids, mask


def literal(model: Any, ids: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of all real subwords, and the rows: each window alone and without padding."""
    lengths = [ids.shape[1]] * len(ids) if mask is None else mask.sum(1).tolist()
    outputs = [model(row[None, :length], output_attentions=True) for row, length in zip(ids, lengths, strict=True)]
    rows = [outputs[window].attentions[-1][0, :, position] for window, position in zip(WINDOWS, POSITIONS, strict=True)]
    padded = [torch.nn.functional.pad(row, (0, ids.shape[1] - row.shape[1])) for row in rows]
    return torch.cat([output.last_hidden_state[0] for output in outputs]), torch.stack(padded)


def ours(model: Any, ids: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """The same by the rows of a batch."""
    hidden, rows = run_with_rows(model, ids, mask, WINDOWS, POSITIONS)
    return hidden.flatten(0, 1) if mask is None else hidden[mask.bool()], rows


def assert_rows_of(model: Any, padded: bool) -> None:
    ids, mask = batch(padded)
    hidden, rows = ours(model, ids, mask)
    expected_hidden, expected = literal(eager_twin(model), ids, mask)
    assert rows.dtype == torch.float64 and rows.shape == (4, 2, 20)
    # Some encoders soft-max in float32 whatever they are asked for.
    assert torch.allclose(rows, expected, atol=1e-6)
    assert torch.allclose(hidden, expected_hidden, atol=1e-5)
    assert torch.allclose(rows.sum(2), torch.ones(4, 2).double(), atol=1e-6)
    assert rows.std(2)[0].min() > 1e-3, "attention that is nearly uniform compares nothing"
    if padded:
        assert not rows[3, :, 7:].any()


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", FUSED)
@torch.no_grad()
def test_rows_of_fused_encoders_are_those_of_unfused_ones(name, padded):
    model = build(FUSED[name])
    assert model.config._attn_implementation == NOTING_SDPA
    assert_rows_of(model, padded)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("name", EAGER)
@torch.no_grad()
def test_encoders_without_the_interface_run_unfused(name, padded):
    model = build(EAGER[name])
    assert model.config._attn_implementation == "eager"
    assert_rows_of(model, padded)


@torch.no_grad()
def test_markers_in_mpnet_attend_as_unfused_attention_says():
    """What ATLOP reads of an encoder that runs unfused, in documents of one window and of two."""
    twin = AutoModel.from_config(copy.deepcopy(EAGER["mpnet"]), attn_implementation="eager").double().eval()
    for name, value in twin.named_parameters():
        if value.dim() == 2 and "embedding" not in name:
            value.data *= 10
    model = AtlopModel.from_encoder(twin, relation_types=["r"], pair_size=8, bilinear_groups=2).double()
    assert model.encoder.model.config._attn_implementation == "eager"
    lengths, markers = torch.tensor([18, 30, 55]), torch.tensor([3, 18 + 7, 18 + 20, 48 + 5, 48 + 51])
    ids = torch.randint(3, 50, (int(lengths.sum()),))
    document = torch.tensor([0, 1, 1, 2, 2])
    spans = Spans(torch.stack([markers, markers + 1], 1), torch.zeros(5, 2).long(), torch.zeros(5).long(), document)
    reading = read(model.encoder, Text(ids, lengths, spans, torch.tensor([1, 1])))
    for row, marker in enumerate(markers.tolist()):
        number = int(document[row])
        start = int(lengths[:number].sum())
        text = ids[start : start + int(lengths[number])]
        hidden, attention = encode_literally(twin, text, 40)
        assert torch.allclose(reading.mentions[row], hidden[marker - start], atol=1e-5)
        assert torch.allclose(reading.attention[row, :, : len(text)], attention[:, marker - start], atol=1e-6)
        assert not reading.attention[row, :, len(text) :].any()


@torch.no_grad()
def test_local_attention_sees_no_further_than_its_window():
    model, (ids, _) = build(FUSED["modernbert, last layer local"]), batch(False)
    rows = run_with_rows(model, ids, None, torch.tensor([1]), torch.tensor([10]))[1]
    assert rows[0, 0, 6:15].all() and not rows[0, :, :6].any() and not rows[0, :, 15:].any()


@torch.no_grad()
def test_a_decoder_sees_nothing_behind_a_position_with_and_without_padding():
    model, (ids, mask) = build(FUSED["llama, looks back only"]), batch(True)
    for given in (None, mask):
        rows = run_with_rows(model, ids, given, WINDOWS, POSITIONS)[1]
        assert not rows[0, :, 6:].any() and rows[1, :, 0].eq(1).all() and not rows[3, :, 4:].any()


@torch.no_grad()
def test_unfused_attention_stays_where_it_is_asked_for():
    model = AutoModel.from_config(copy.deepcopy(FUSED["bert"]), attn_implementation="eager").double().eval()
    prepare_attention_rows(model)
    assert model.config._attn_implementation == "eager"
    assert torch.allclose(run_with_rows(model, *batch(False), WINDOWS, POSITIONS)[1].sum(2), torch.ones(4, 2).double())


def test_preparing_twice_changes_nothing():
    model = build(FUSED["bert"])
    prepare_attention_rows(model)
    assert model.config._attn_implementation == NOTING_SDPA


@pytest.mark.parametrize("chosen", ["flash_attention_2", "flex_attention"])
def test_attention_without_rows_is_refused(chosen):
    model = AutoModel.from_config(copy.deepcopy(FUSED["bert"]))
    model.config._attn_implementation = chosen
    with pytest.raises(ValueError, match=f'attn_implementation is "{chosen}".*use "sdpa" or "eager"'):
        prepare_attention_rows(model)


@pytest.mark.parametrize("config", [LONGFORMER, FNetConfig(**{k: v for k, v in SMALL.items() if "heads" not in k})])
@torch.no_grad()
def test_an_encoder_whose_attention_is_no_matrix_over_the_input_is_refused(config):
    model = AutoModel.from_config(copy.deepcopy(config)).eval()
    prepare_attention_rows(model)
    with pytest.raises(ValueError, match=f"{type(model).__name__}.*localized_context"):
        run_with_rows(model, *batch(True), WINDOWS, POSITIONS)


# --- what is never made --------------------------------------------------------------------------------------------


class Watch(TorchDispatchMode):
    """Notes the largest floating-point tensor that any operation makes."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                self.largest = max(self.largest, value.numel())
        return result


@pytest.mark.parametrize("padded", [False, True])
@torch.no_grad()
def test_no_attention_matrix_is_made(padded, monkeypatch):
    length = 400
    config = BertConfig(**SMALL, max_position_embeddings=length)
    model = AutoModel.from_config(config).eval()
    prepare_attention_rows(model)
    asked = []
    monkeypatch.setattr(BertModel, "forward", _noting_options(BertModel.forward, asked))
    ids = torch.randint(3, 50, (2, length))
    mask = torch.ones_like(ids) if padded else None
    if padded:
        mask[1, 300:] = 0
    windows, positions = torch.tensor([0, 1, 1]), torch.tensor([7, 3, 299])
    with Watch() as fused:
        rows = run_with_rows(model, ids, mask, windows, positions)[1]
    # The widest layer; with padding torch spells the mask out, once for all heads.
    assert fused.largest <= max(2 * 24 * length, 2 * length**2 * padded)
    assert not any(options.get("output_attentions") for options in asked)
    with Watch() as unfused:
        matrices = eager_twin(model)(ids, attention_mask=mask, output_attentions=True).attentions
    assert unfused.largest >= 2 * 2 * length**2
    assert torch.allclose(rows, matrices[-1][windows, :, positions], atol=1e-6)


def _noting_options(forward: Any, asked: list[dict[str, Any]]) -> Any:
    def noting(self: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(options)
        return forward(self, *arguments, **options)

    return noting


@pytest.mark.parametrize("name", ["bert", "deberta-v2"])
@torch.no_grad()
def test_no_positions_have_no_rows(name):
    model, (ids, _) = build({**FUSED, **EAGER}[name]), batch(False)
    none = torch.zeros(0, dtype=torch.int64)
    hidden, rows = run_with_rows(model, ids, None, none, none)
    assert rows.shape == (0, 2, 20)
    assert torch.allclose(hidden, eager_twin(model)(ids).last_hidden_state, atol=1e-9)


@torch.no_grad()
def test_rows_are_full_precision_under_autocast():
    model, (ids, mask) = build(FUSED["bert"]).float(), batch(True)
    expected = run_with_rows(model, ids, mask, WINDOWS, POSITIONS)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rows = run_with_rows(model, ids, mask, WINDOWS, POSITIONS)[1]
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.sum(2), torch.ones(4, 2), atol=1e-6)
    assert torch.allclose(rows, expected, atol=0.1)
    assert run_with_rows(model.bfloat16(), ids, mask, WINDOWS, POSITIONS)[1].dtype == torch.float32


# --- models and threads do not mix ---------------------------------------------------------------------------------


@torch.no_grad()
def test_two_models_in_two_threads_do_not_mix():
    ids, mask = batch(True)
    models = [build(FUSED["bert"], 1), build(FUSED["bert"], 2), build(FUSED["albert"], 3)]
    expected = [run_with_rows(model, ids, mask, WINDOWS, POSITIONS)[1] for model in models]
    assert not torch.allclose(expected[0], expected[1], atol=1e-2)
    barrier, wrong = threading.Barrier(len(models)), []

    def work(model: Any, wanted: torch.Tensor) -> None:
        barrier.wait()
        for _ in range(60):
            with torch.no_grad():
                if not torch.allclose(run_with_rows(model, ids, mask, WINDOWS, POSITIONS)[1], wanted, atol=1e-9):
                    wrong.append(model)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(models, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- training ------------------------------------------------------------------------------------------------------


def without_dropout(config: Any) -> Any:
    return copy.deepcopy(config).__class__(
        **{**config.to_dict(), "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    )


def gradients(model: Any, hidden: torch.Tensor, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients of a fixed random function of the rows, and a little of the hidden states."""
    torch.manual_seed(5)
    loss = (rows * torch.randn_like(rows)).sum() + 1e-3 * (hidden * torch.randn_like(hidden)).sum()
    names, values = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, values, allow_unused=True)
    return {name: value for name, value in zip(names, found, strict=True) if value is not None}


@pytest.mark.parametrize("name", ["bert", "modernbert, last layer local", "llama, looks back only"])
@pytest.mark.parametrize("padded", [False, True])
def test_gradients_equal_those_of_unfused_attention(name, padded):
    model, (ids, mask) = build(FUSED[name]), batch(padded)
    twin = eager_twin(model)
    wanted = gradients(twin, *literal(twin, ids, mask))
    found = gradients(model, *ours(model, ids, mask))
    assert found.keys() == wanted.keys()
    largest = max(value.abs().max().item() for value in wanted.values())
    for key, value in wanted.items():
        assert torch.allclose(found[key], value, atol=1e-6 * largest), key


def test_rows_alone_reach_query_and_key_of_the_last_layer():
    model, (ids, _) = build(FUSED["bert"]), batch(False)
    rows = run_with_rows(model, ids, None, WINDOWS, POSITIONS)[1]
    (rows * torch.randn_like(rows)).sum().backward()
    layer = model.encoder.layer[-1].attention.self
    assert layer.query.weight.grad.abs().max() > 1e-6 and layer.key.weight.grad.abs().max() > 1e-6
    assert layer.value.weight.grad is None


def checkpointing(model):
    """The function that turns gradient checkpointing on, by its name in this version of transformers."""
    return getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_gradient_checkpointing_changes_no_gradient(name):
    torch.manual_seed(0)
    model = AutoModel.from_config(without_dropout(FUSED[name])).double().train()
    prepare_attention_rows(model)
    ids, mask = batch(True)
    wanted = gradients(model, *run_with_rows(model, ids, mask, WINDOWS, POSITIONS))
    checkpointing(model)()
    hidden, rows = run_with_rows(model, ids, mask, WINDOWS, POSITIONS)
    torch.manual_seed(5)
    ((rows * torch.randn_like(rows)).sum() + 1e-3 * (hidden * torch.randn_like(hidden)).sum()).backward()
    for key, value in model.named_parameters():
        if key in wanted:
            assert torch.allclose(value.grad, wanted[key], atol=1e-10), key


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_gradient_checkpointing_that_would_lose_gradients_is_refused():
    model, (ids, mask) = build(FUSED["bert"]).train(), batch(True)
    checkpointing(model)({"use_reentrant": True})
    with pytest.raises(ValueError, match="use_reentrant=False"):
        run_with_rows(model, ids, mask, WINDOWS, POSITIONS)
    with torch.no_grad():
        run_with_rows(model, ids, mask, WINDOWS, POSITIONS)


@pytest.mark.parametrize("name", ["bert", "deberta-v2"])
def test_rows_have_the_dropout_of_the_attention_in_training(name):
    config = copy.deepcopy({**FUSED, **EAGER}[name])
    config.hidden_dropout_prob, config.attention_probs_dropout_prob = 0.0, 0.25
    config.num_hidden_layers = 1  # so that the last layer's input has no dropout
    model, (ids, mask) = build(config), batch(True)
    with torch.no_grad():
        expected = run_with_rows(model, ids, mask, WINDOWS, POSITIONS)[1]
        again = run_with_rows(model, ids, mask, WINDOWS, POSITIONS)[1]
        model.train()
        drawn = torch.stack([run_with_rows(model, ids, mask, WINDOWS, POSITIONS)[1] for _ in range(300)])
    assert torch.equal(expected, again)
    kept = drawn != 0
    assert torch.allclose(drawn[kept], (expected / 0.75).expand_as(drawn)[kept], atol=1e-9)
    assert 0.73 < kept[:, :3].float().mean() < 0.77
    assert not torch.equal(kept[0], kept[1])
