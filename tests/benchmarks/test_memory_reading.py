"""The table of what memories read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from literal_memory import spread_memory_jerex
from samples import ANNA
from tiny import tiny_tokenizer

from benchmarks import memory_reading
from modeling_docre import Predictor
from modeling_docre.segments import range_max


def test_the_weights_of_a_slot_are_one_per_document_and_scale_what_it_reads():
    model = spread_memory_jerex()
    predictor = Predictor(model, tiny_tokenizer())
    features = predictor.featurizer([ANNA])[0]
    found = memory_reading.token_weights(predictor, features)
    assert list(found) == ["entity", "relation"]
    for weights in found.values():
        torch.testing.assert_close(weights.sum(0), torch.ones(weights.shape[1]))
    by_word = memory_reading.word_weights(features, found["relation"])
    for (start, end), row in zip(features.word_ranges, by_word, strict=True):
        np.testing.assert_allclose(row, found["relation"][start:end].sum(0).numpy(), atol=1e-6)
    # The hidden states that the stages see are the encoder's, scaled by these weights.
    states = model.encoders[0](torch.from_numpy(features.input_ids), torch.tensor([len(features.input_ids)])).hidden
    scale = (1 + sum(weights.sum(1) for weights in found.values())) / 3
    seen = []
    model.mention_classifier.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    model.config.mention_read = "off"
    example = predictor.example(features)
    predictor.run([features])
    ranges = predictor.collator([example])["spans"]["subword_range"]
    torch.testing.assert_close(seen[0], range_max(states * scale[:, None], ranges), rtol=1e-4, atol=1e-5)


def test_a_model_that_does_not_read_tokens_is_refused():
    level = "reads no memory at the token level"
    reasons = [({"read_levels": "mentions"}, level), ({"memory_read": False}, level)]
    for options, reason in [*reasons, ({"memory_reading": False}, "best epoch came before the end of the warm-up")]:
        predictor = Predictor(spread_memory_jerex(**options), tiny_tokenizer())
        with pytest.raises(ValueError, match=reason):
            memory_reading.token_weights(predictor, predictor.featurizer([ANNA])[0])


def test_the_table_has_a_row_per_entity_type_and_stated_relation(tmp_path, capsys):
    model = spread_memory_jerex()
    model.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "documents.jsonl"
    file.write_text(json.dumps(ANNA.to_dict()) + "\n")
    memory_reading.main(["--checkpoint", str(tmp_path), "--data", str(file), "--top", "2"])
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    stated = {relation.type for relation in ANNA.relations}
    slots = [line[1] for line in lines[2:]]
    assert slots[: len(model.config.entity_types)] == list(model.config.entity_types)
    assert len(slots) == len(model.config.entity_types) + len(stated)
    words = {word for sentence in ANNA.sentences for word in sentence}
    for line in lines[2:]:
        assert float(line[2]) >= 1 and all(item.split()[0] in words for item in line[3].rstrip(" |").split(", "))
