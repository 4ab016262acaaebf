"""Variants of ATLOP, their sizes, and their construction, saving and loading."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from encoder_configs import SMALL
from samples import ANNA, ODD_DOCUMENTS, OTTO, batch, build
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_atlop, tiny_encoder, tiny_encoder_config
from transformers import AutoModel, BertConfig

from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.modeling_atlop import AtlopModel

DOCUMENTS = [ANNA, *ODD_DOCUMENTS, OTTO]
ABLATIONS = {
    "atlop": {},
    "global threshold": {"loss": "bce", "threshold": "global"},
    "threshold per class": {"loss": "bce", "threshold": "per_class", "relation_thresholds": [0.3, 0.6, 0.5]},
    "adaptive threshold, not trained": {"loss": "bce"},
    "without localized context": {"localized_context": False},
    "marked per mention": {"entity_markers": "star_per_mention"},
    "without markers": {"entity_markers": "none"},
    "full bilinear": {"bilinear_groups": 1},
    "mean": {"mention_pool": "mean"},
    "max": {"mention_pool": "max"},
    "one class": {"top_k": 1},
    "no limit": {"top_k": 0},
}
SHARED_START = build(
    "nested", ["anna b is of bern"], [("PER", [(0, 0, 2), (0, 4, 5)]), ("ORG", [(0, 0, 1)])], [(0, 1, "seat")]
)


def test_every_ablation_trains_a_step_and_is_another_function():
    seen: dict[str, tuple] = {}
    for name, options in ABLATIONS.items():
        model = tiny_atlop(seed=3, **options)
        training = batch([ANNA, SHARED_START], model.config, negatives_relation=-1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(**training).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert math.isfinite(losses[-1]) and losses[-1] < losses[0], name
        with torch.no_grad():
            logits = model(**batch([ANNA, SHARED_START], model.config, "entities")).relation_logits
        cut = model.config.traits.relation_cut
        seen[name] = (*[round(value, 4) for value in logits.flatten().tolist()], str(cut))
    for first, second in combinations(seen, 2):
        assert seen[first] != seen[second], (first, second)


@pytest.mark.parametrize(
    ("hidden", "types", "heads"), [(768, 96, 7_128_673), (768, 1, 2_459_138), (1024, 96, 7_915_105)]
)
def test_parameters_of_the_heads(hidden, types, heads):
    encoder = BertConfig(**{**SMALL, "hidden_size": hidden, "num_hidden_layers": 1, "max_position_embeddings": 8})
    config = AtlopConfig(encoder_config=encoder, relation_types=[f"P{number}" for number in range(types)])
    model = AtlopModel(config)
    own = {name: value for name, value in model.named_parameters() if not name.startswith("encoder.")}
    assert sum(value.numel() for value in own.values()) == heads
    assert own["bilinear.linear.weight"].shape == (1 + types, 49_152)
    without = AtlopModel(AtlopConfig(**{**config.to_dict(), "localized_context": False}))
    difference = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in without.parameters())
    assert difference == 2 * 768 * hidden


def assert_heads_initialised(model: Any) -> None:
    """Uniform up to one over the root of the inputs, as torch's linear layers and the release."""
    for layer in (model.head_extractor, model.tail_extractor, model.bilinear.linear):
        bound = layer.in_features**-0.5
        for value in (layer.weight, layer.bias):
            assert torch.isfinite(value).all() and 0 < value.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_a_warm_start_leaves_nothing_uninitialised():
    model = tiny_atlop()
    assert_heads_initialised(model)
    assert not model.training and all(value.device.type == "cpu" for value in model.parameters())
    source = {name: value for name, value in tiny_encoder().state_dict().items() if "pooler" not in name}
    found = model.encoder.model.state_dict()
    assert found.keys() == source.keys() and all(torch.equal(found[name], value) for name, value in source.items())
    assert tiny_encoder().config._attn_implementation == "sdpa", "the source keeps its attention"
    assert len({id(value) for value in model.parameters()} | {id(v) for v in tiny_encoder().parameters()}) == len(
        list(model.parameters())
    ) + len(list(tiny_encoder().parameters()))


def test_a_cold_start_leaves_nothing_uninitialised():
    torch.manual_seed(0)
    model = AtlopModel(
        AtlopConfig(
            encoder_config=tiny_encoder_config(), relation_types=RELATION_TYPES, pair_size=24, bilinear_groups=3
        )
    )
    assert_heads_initialised(model)
    for name, value in model.encoder.model.named_parameters():
        assert torch.isfinite(value).all(), name
        if value.dim() == 2 and value.numel() > 500:
            assert 0.015 < value.std() < 0.025, name


def test_heads_that_a_file_does_not_hold_are_initialised(tmp_path, monkeypatch):
    """Models are built without memory for their weights; what the file lacks must be drawn, not left as it lies."""
    model = tiny_atlop()
    kept = {name: value for name, value in model.state_dict().items() if name.startswith("encoder.")}
    model.save_pretrained(tmp_path, state_dict=kept)
    make = torch.empty_like

    def poisoned(*arguments: Any, **options: Any) -> torch.Tensor:
        made = make(*arguments, **options)
        return made.fill_(float("nan")) if made.is_floating_point() and made.device.type != "meta" else made

    monkeypatch.setattr(torch, "empty_like", poisoned)
    loaded = AtlopModel.from_pretrained(tmp_path)
    assert_heads_initialised(loaded)
    found = loaded.state_dict()
    assert all(torch.equal(found[name], value) for name, value in kept.items())


@pytest.mark.parametrize("options", [{}, {"localized_context": False}, {"entity_markers": "none"}], ids=str)
@torch.no_grad()
def test_saving_and_loading_keep_scores(options, tmp_path):
    model = tiny_atlop(**options)
    given = batch(DOCUMENTS, model.config, "entities")
    wanted = model(**given).relation_logits
    model.save_pretrained(tmp_path)
    assert "sdpa" not in (tmp_path / "config.json").read_text()
    for loaded in (AtlopModel.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert (
            type(loaded) is AtlopModel
            and loaded.config.to_diff_dict() == AtlopConfig.from_pretrained(tmp_path).to_diff_dict()
        )
        assert torch.equal(loaded(**given).relation_logits, wanted)
    eager = AtlopModel.from_pretrained(tmp_path, attn_implementation="eager")
    assert eager.encoder.model.config._attn_implementation == "eager"
    assert torch.allclose(eager(**given).relation_logits, wanted, atol=1e-5)


@torch.no_grad()
def test_types_of_entities_enter_no_score_and_need_not_be_listed():
    model = tiny_atlop()
    free = tiny_atlop(entity_types=[])
    retyped = replace(ANNA, entities=tuple(replace(entity, type="FOOD") for entity in ANNA.entities))
    found = free(**batch([retyped], free.config, "entities"))
    assert torch.equal(found.relation_logits, model(**batch([ANNA], model.config, "entities")).relation_logits)


def test_no_relation_types_are_refused():
    with pytest.raises(ValueError, match="relation_types is empty"):
        AtlopModel(AtlopConfig(encoder_config=tiny_encoder_config(), entity_types=ENTITY_TYPES))


@pytest.mark.parametrize("documents", [DOCUMENTS, ODD_DOCUMENTS[:3]])
def test_mixed_precision_trains_with_a_float32_loss(documents):
    model = tiny_atlop().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**batch(documents, model.config, negatives_relation=-1))
    output.loss.backward()
    assert output.loss.dtype == output.relation_logits.dtype == torch.float32
    assert all(value.grad is None or torch.isfinite(value.grad).all() for value in model.parameters())
    exact_loss = tiny_atlop()(**batch(documents, model.config, negatives_relation=-1)).loss.item()
    assert output.loss.item() == pytest.approx(exact_loss, rel=0.1)
