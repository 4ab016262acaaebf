"""Construction from an encoder, initialisation, saving and loading."""

from __future__ import annotations

import copy

import pytest
import torch
from samples import ANNA, OTTO, batch
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder, tiny_encoder_config, tiny_jerex
from transformers import AutoModel, BertForMaskedLM, RobertaConfig, RobertaModel

from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.modeling_jerex import JerexModel

LABELS = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES, "window_overlap": 16}
VARIANTS = [{}, {"relation_head": "global"}, {"task": "pipeline"}, {"task": "relation"}, {"task": "coreference"}]
each_variant = pytest.mark.parametrize("options", VARIANTS, ids=str)


def assert_initialised(model: JerexModel) -> None:
    """Encoder and heads hold what their initialisers draw: normal weights of 0.02, zero biases, unit norms."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        assert value.device.type == "cpu" and torch.isfinite(value).all(), name
        if "LayerNorm.weight" in name:
            assert torch.equal(value, torch.ones_like(value)), name
        elif name.endswith("bias"):
            assert not value.any(), name
        elif value.numel() > 500 and value.is_floating_point():
            assert 0.015 < value.std() < 0.025 and value.mean().abs() < 0.005, name
            assert value.abs().max() < 0.13, name
        elif value.is_floating_point():
            assert 0 < value.abs().max() < 0.13, name


def test_a_new_model_is_float32_whatever_the_default():
    torch.set_default_dtype(torch.float64)
    try:
        model = tiny_jerex()
    finally:
        torch.set_default_dtype(torch.float32)
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def poisoned(monkeypatch) -> None:
    """Let uninitialised memory be not-a-number, so that a forgotten parameter shows."""
    make = torch.empty_like

    def empty_like(*arguments, **options):
        made = make(*arguments, **options)
        return made.fill_(float("nan")) if made.is_floating_point() and made.device.type != "meta" else made

    monkeypatch.setattr(torch, "empty_like", empty_like)


def source_state() -> dict[str, torch.Tensor]:
    return {name: value for name, value in tiny_encoder().state_dict().items() if "pooler" not in name}


def assert_encoders_equal_source(model: JerexModel, count: int) -> None:
    encoders = [module for module in model.modules() if isinstance(module, DocumentEncoder)]
    assert len(encoders) == count
    for encoder in encoders:
        found = encoder.model.state_dict()
        assert found.keys() == source_state().keys()
        assert all(torch.equal(found[name], value) for name, value in source_state().items())


@each_variant
def test_a_warm_start_leaves_no_parameter_uninitialised(options):
    assert_initialised(tiny_jerex(**options))


@each_variant
def test_a_cold_start_leaves_no_parameter_uninitialised(options):
    assert_initialised(JerexModel(JerexConfig(encoder_config=tiny_encoder_config(), **LABELS, **options)))


@each_variant
def test_a_warm_start_keeps_the_encoder(options):
    assert_encoders_equal_source(tiny_jerex(**options), 4 if options.get("task") == "pipeline" else 1)


def test_encoders_of_a_pipeline_share_nothing_with_each_other_or_the_source():
    model = tiny_jerex(task="pipeline")
    pointers = [p.data_ptr() for encoder in model.encoders for p in encoder.parameters()]
    pointers += [p.data_ptr() for p in tiny_encoder().parameters()]
    assert len(set(pointers)) == len(pointers)


def test_the_source_encoder_stays_as_it_is():
    before = copy.deepcopy(tiny_encoder().config.to_dict())
    tiny_jerex(long_input="extend", extended_positions=100)
    assert tiny_encoder().config.to_dict() == before
    assert tiny_encoder().embeddings.position_embeddings.num_embeddings == 64
    assert tiny_encoder().pooler is not None


def test_a_folder_serves_as_encoder(tmp_path):
    tiny_encoder().save_pretrained(tmp_path)
    model = JerexModel.from_encoder(str(tmp_path), **LABELS)
    assert_encoders_equal_source(model, 1)
    assert not model.training and not model.encoders[0].model.training


def test_a_checkpoint_with_another_head_serves_as_encoder(tmp_path):
    masked = BertForMaskedLM(tiny_encoder_config())
    masked.bert.load_state_dict({name: value for name, value in source_state().items()})
    masked.save_pretrained(tmp_path)
    assert_encoders_equal_source(JerexModel.from_encoder(str(tmp_path), **LABELS), 1)


def test_a_half_precision_checkpoint_is_read_in_full_precision(tmp_path):
    copy.deepcopy(tiny_encoder()).half().save_pretrained(tmp_path)
    model = JerexModel.from_encoder(str(tmp_path), **LABELS)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    model.save_pretrained(tmp_path / "model")
    assert JerexModel.from_pretrained(tmp_path / "model").dtype == torch.float32


def test_a_half_precision_encoder_object_becomes_full_precision(tmp_path):
    model = JerexModel.from_encoder(copy.deepcopy(tiny_encoder()).half(), **LABELS)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    model.save_pretrained(tmp_path)
    assert {value.dtype for value in JerexModel.from_pretrained(tmp_path).parameters()} == {torch.float32}
    assert "float16" not in (tmp_path / "config.json").read_text()


def test_heads_differ_from_model_to_model_unless_seeded():
    first, second = tiny_jerex(seed=1), tiny_jerex(seed=2)
    assert not torch.equal(
        first.relation_classifier.type_embedding.weight, second.relation_classifier.type_embedding.weight
    )
    again = tiny_jerex(seed=1).state_dict()
    assert all(torch.equal(again[name], value) for name, value in first.state_dict().items())


@each_variant
def test_saved_and_loaded_models_give_the_same_scores(options, tmp_path, monkeypatch):
    model = tiny_jerex(**options)
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.05
    model.save_pretrained(tmp_path)
    poisoned(monkeypatch)
    for loaded in (JerexModel.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is JerexModel and not loaded.training
        state = loaded.state_dict()
        assert state.keys() == model.state_dict().keys()
        assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
        made = batch([ANNA, OTTO], model.config, "training", negatives_mention=5)
        with torch.no_grad():
            ours, theirs = model(**made), loaded(**made)
        for name, value in ours.items():
            if isinstance(value, torch.Tensor):
                assert torch.allclose(value, theirs[name], atol=1e-6, rtol=0), name


def test_an_enlarged_position_table_survives_the_file(tmp_path, monkeypatch):
    model = tiny_jerex(long_input="extend", extended_positions=90)
    model.save_pretrained(tmp_path)
    poisoned(monkeypatch)
    loaded = JerexModel.from_pretrained(tmp_path)
    assert loaded.config.encoder_positions == loaded.encoders[0].window == 90
    ids, lengths = torch.randint(5, 90, (90,)), torch.tensor([90])
    with torch.no_grad():
        assert torch.equal(loaded.encoders[0](ids, lengths).hidden, model.encoders[0](ids, lengths).hidden)
    for name, buffer in model.named_buffers():
        assert torch.equal(dict(loaded.named_buffers())[name], buffer), name


def test_more_positions_than_the_file_holds_are_refused(tmp_path):
    tiny_jerex(long_input="extend", extended_positions=90).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"extended_positions is 100, .* table has 90 positions"):
        JerexModel.from_pretrained(tmp_path, extended_positions=100)


def test_an_enlarged_table_of_an_encoder_that_counts_from_the_padding_index(tmp_path):
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24}
    encoder = RobertaModel(RobertaConfig(vocab_size=120, max_position_embeddings=34, pad_token_id=1, **small))
    model = JerexModel.from_encoder(encoder, **LABELS, long_input="extend", extended_positions=50)
    assert model.config.encoder_config.max_position_embeddings == 52
    model.save_pretrained(tmp_path)
    loaded = JerexModel.from_pretrained(tmp_path)
    ids = torch.randint(5, 90, (50,))
    with torch.no_grad():
        assert torch.equal(
            loaded.encoders[0](ids, torch.tensor([50])).hidden, model.encoders[0](ids, torch.tensor([50])).hidden
        )


def test_training_an_extended_model_reaches_the_new_rows():
    model = tiny_jerex(long_input="extend", extended_positions=90, task="mention")
    ids = torch.randint(5, 90, (90,))
    model.encoders[0](ids, torch.tensor([90])).hidden.square().sum().backward()
    gradient = model.encoders[0].model.embeddings.position_embeddings.weight.grad
    assert gradient[64:].abs().sum(1).min() > 0


def test_two_models_of_one_configuration_do_not_mix(tmp_path):
    config = JerexConfig(encoder_config=tiny_encoder_config(), **LABELS)
    first, second = JerexModel(config), JerexModel(config)
    first.encoders[0].model.config._attn_implementation = "eager"
    assert second.encoders[0].model.config._attn_implementation == "sdpa"
    assert config.encoder_config is not first.encoders[0].model.config
    ids = torch.randint(5, 90, (20,))
    first.eval(), second.eval()
    before = second.encoders[0](ids, torch.tensor([20])).hidden
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    assert torch.equal(second.encoders[0](ids, torch.tensor([20])).hidden, before)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_an_attention_implementation_asked_for_reaches_the_encoder(attention, tmp_path):
    tiny_jerex().save_pretrained(tmp_path)
    model = JerexModel.from_pretrained(tmp_path, attn_implementation=attention)
    assert {encoder.model.config._attn_implementation for encoder in model.encoders} == {attention}
    assert attention not in (tmp_path / "config.json").read_text()


def test_both_attention_implementations_give_the_same_hidden_states(tmp_path):
    tiny_jerex().save_pretrained(tmp_path)
    ids, lengths = torch.randint(5, 90, (130,)), torch.tensor([100, 30])
    states = [
        JerexModel.from_pretrained(tmp_path, attn_implementation=attention).encoders[0](ids, lengths).hidden
        for attention in ("eager", "sdpa")
    ]
    assert torch.allclose(*states, atol=1e-5)


def test_gradient_checkpointing_changes_no_gradient():
    gradients = []
    for checkpointing in (False, True):
        model = tiny_jerex(dropout=0.0)
        for encoder in model.encoders:
            for module in encoder.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = 0.0
        if checkpointing:
            model.gradient_checkpointing_enable()
        model.train()
        model(**batch([ANNA], model.config)).loss.backward()
        gradients.append(model.encoders[0].model.embeddings.word_embeddings.weight.grad)
    assert torch.allclose(*gradients, atol=1e-6) and gradients[0].any()


@pytest.mark.parametrize("labels", ["entity_types", "relation_types"])
def test_a_model_without_labels_is_refused(labels):
    with pytest.raises(ValueError, match=f"{labels} is empty"):
        JerexModel.from_encoder(tiny_encoder(), **{**LABELS, labels: []})


def test_an_unknown_option_is_refused():
    with pytest.raises(ValueError, match="no option 'relation_treshold'"):
        JerexModel.from_encoder(tiny_encoder(), **LABELS, relation_treshold=0.5)


def test_half_precision_halves_the_file_and_rounds_the_weights(tmp_path) -> None:
    model = tiny_jerex()
    model.save_pretrained(tmp_path / "whole")
    model.config.weights_dtype = "float16"
    model.save_pretrained(tmp_path / "half")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    loaded = AutoModel.from_pretrained(tmp_path / "half")
    assert {value.dtype for value in loaded.state_dict().values() if value.is_floating_point()} == {torch.float32}
    for name, value in model.state_dict().items():
        rounded = value.half().float() if value.is_floating_point() else value
        assert torch.equal(loaded.state_dict()[name], rounded), name
    loaded.save_pretrained(tmp_path / "again")
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("half", "again")]
    assert files[0] == files[1], "saved once more it is the same checkpoint"
