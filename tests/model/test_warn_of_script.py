"""A model says once that a text is in a script that its encoder does not read."""

from __future__ import annotations

import logging

import pytest
from transformers import AutoConfig, AutoTokenizer

from modeling_docre import features as module
from modeling_docre.features import Featurizer
from modeling_docre.hub.resources import default_model
from modeling_docre.text import document_from_text

ENGLISH = (
    "Jürgen Weiß, born in Łódź, met Zoë Müller-Lüdenscheidt at the Café Élysée in Åre; 42 % of naïve façades remained."
)


def test_strange_scripts_are_noticed_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = default_model()
    tokenizer, config = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder)
    featurizer = Featurizer(tokenizer, config)

    def said(text: str, language: str = "en") -> int:
        caplog.clear()
        [features] = featurizer([document_from_text(text, "strange", "en")])
        with caplog.at_level(logging.WARNING):
            config.language = language
            featurizer.warn_of_script(features)
        return len([record for record in caplog.records if "'strange'" in record.getMessage()])

    for text in (
        ENGLISH,
        "",
        "...",
        "Ann",
        "Das Wetter in München ist größtenteils schön.",
        "The word 東京 means Tokyo.",
    ):
        assert said(text) == 0, text
    for text in ("ولد أحمد منصور في القاهرة.", "Анна родилась в Москве.", "李明出生于上海。他工作。", "มหาวิทยาลัย"):
        monkeypatch.setattr(module, "_WARNED_OF_SCRIPT", module.Event())
        assert said(text, "zh") == 0
        assert said(text) == 1, text
        assert "means little" in caplog.text and "reads the language 'en'" in caplog.text
        assert said(text) == 0, "once is enough"
