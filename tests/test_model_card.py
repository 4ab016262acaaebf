"""Tests of modeling_docre/model_card.py."""

from __future__ import annotations

import yaml
from huggingface_hub import ModelCard
from tiny import tiny_atlop, tiny_jerex

from modeling_docre.model_card import render_card, write_card

SCORES = {f"{level}_{part}": 0.125 for level in ("mention", "relation") for part in ("precision", "recall", "f1")}


def test_the_card_says_what_the_model_is_and_how_it_scored(tmp_path):
    model = tiny_jerex(relation_threshold=0.35)
    write_card(
        tmp_path, model, corpus="sample", split="validation", scores=SCORES | {"documents": 12}, command="run it"
    )
    text = (tmp_path / "README.md").read_text()
    assert "Eberts and Ulges, EACL 2021" in text
    assert "| mention | 12.5 | 12.5 | 12.5 |" in text and "| relation | 12.5" in text and "| entity |" not in text
    assert "12 held-out documents (validation)" in text and "`run it`" in text
    assert "relation_threshold 0.35" in text
    for name in model.config.entity_types:
        assert name in text


def test_the_card_of_a_model_for_given_entities_shows_how_to_give_them():
    scores = SCORES | {f"{level}_f1": 0.25 for level in ("ign", "intra")} | {"ign_precision": 0.5, "documents": 3}
    text = render_card(tiny_atlop(), scores=scores | {"intra_precision": 0.5, "intra_recall": 0.5})
    assert "Zhou et al., AAAI 2021" in text and "entities=[" in text and "candidate span" not in text
    assert "| ign | 50.0 | 12.5 | 25.0 |" in text and "| mention |" not in text
    code = text.split("```python")[1].split("```")[0]
    compile(code, "card", "exec")


def test_the_cards_metadata_is_what_the_hub_reads():
    card = ModelCard(render_card(tiny_jerex(), base_model="user/encoder"))
    assert card.data.library_name == "transformers"
    assert card.data.base_model == "user/encoder"
    assert "relation-extraction" in card.data.tags
    assert yaml.safe_load(card.data.to_yaml())["language"] == "en"


def test_a_model_without_scores_is_said_to_have_none():
    assert "Not scored." in render_card(tiny_jerex())
