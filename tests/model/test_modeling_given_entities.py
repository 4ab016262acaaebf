"""Marked mentions as the encoder reads them: vectors and attention by marker, or over the mention's subwords."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from literal_encoding import eager_twin, encode_literally
from literal_kmgre import DOCUMENTS, exact_kmgre
from samples import ANNA, ODD_DOCUMENTS, OTTO, batch, featurize

from modeling_docre.candidates import Spans, Text
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.features import mention_table
from modeling_docre.modeling_given_entities import read

MARKERS = ["star_per_token", "star_per_mention", "none"]


def encoder_and_text(documents: Any, entity_markers: str) -> tuple[Any, Text, Any]:
    model = exact_kmgre(entity_markers=entity_markers)
    given = batch(documents, model.config, "entities")
    text = Text(given["input_ids"], given["document_lengths"], Spans(**given["spans"]), given["special_lengths"])
    return model.relation_extractor.encoder, text, model.config


@pytest.mark.parametrize("entity_markers", MARKERS)
@torch.no_grad()
def test_mentions_are_their_opening_markers_or_the_means_of_their_subwords(entity_markers):
    encoder, text, config = encoder_and_text(DOCUMENTS, entity_markers)
    reading, eager, mention, start = read(encoder, text), eager_twin(encoder.model), 0, 0
    for features in featurize(DOCUMENTS, config):
        ids = torch.from_numpy(features.input_ids)
        hidden, attention = encode_literally(eager, ids, 64)
        assert torch.allclose(reading.hidden[start : start + len(ids)], hidden, atol=1e-10)
        ranges = mention_table(features.document)[0]
        for word, (first, stop) in zip(ranges[:, 0], features.subword_ranges(ranges).tolist(), strict=True):
            if entity_markers == "none":
                assert first == features.word_ranges[word, 0]
            else:
                assert stop == first + 1 <= features.word_ranges[word, 0]
            assert torch.allclose(reading.mentions[mention], hidden[first:stop].mean(0), atol=1e-10)
            row = attention[:, first:stop].mean(1)  # [heads, subwords]
            assert torch.allclose(reading.attention[mention, :, : len(ids)], row, atol=1e-10)
            assert not reading.attention[mention, :, len(ids) :].any()
            mention += 1
        start += len(ids)
    assert (mention, start) == (len(reading.mentions), len(reading.hidden))
    assert not torch.allclose(reading.mentions[0], reading.mentions[1], atol=0.1)


@torch.no_grad()
def test_mentions_of_several_subwords_differ_from_their_first_one():
    encoder, text, _ = encoder_and_text([ANNA], "none")
    reading, ranges = read(encoder, text), text.spans.subword_range
    longer = ranges[:, 1] > ranges[:, 0] + 1
    assert longer.any()
    assert not torch.isclose(reading.mentions[longer], reading.hidden[ranges[longer, 0]], atol=0.05).all(1).any()


@torch.no_grad()
def test_attention_comes_only_from_an_encoder_that_gives_it():
    encoder, text, config = encoder_and_text([ANNA, OTTO], "star_per_token")
    silent = DocumentEncoder(config).double().eval()
    silent.load_state_dict(encoder.state_dict())
    with_it, without = read(encoder, text), read(silent, text)
    assert with_it.attention.shape == (10, 4, int(text.document_lengths.max())) and without.attention is None
    assert torch.allclose(with_it.attention.sum(2), torch.ones(10, 4).double())
    assert torch.allclose(with_it.mentions, without.mentions) and torch.allclose(with_it.hidden, without.hidden)


@pytest.mark.parametrize("entity_markers", MARKERS)
def test_documents_without_mentions_are_read(entity_markers):
    bare = [document for document in ODD_DOCUMENTS if not document.entities]
    encoder, text, _ = encoder_and_text(bare, entity_markers)
    reading = read(encoder, text)
    assert reading.hidden.shape == (len(text.input_ids), 32) and reading.mentions.shape == (0, 32)
    assert reading.attention.shape[:2] == (0, 4)
    encoder, text, _ = encoder_and_text([*bare, ANNA, bare[0]], entity_markers)
    alone_encoder, alone, _ = encoder_and_text([ANNA], entity_markers)
    expected = read(alone_encoder, alone)
    assert torch.allclose(read(encoder, text).mentions, expected.mentions, atol=1e-10)
    assert torch.allclose(read(encoder, text).attention, expected.attention, atol=1e-10)


def test_gradients_reach_the_encoder_through_vectors_and_through_attention():
    encoder, text, _ = encoder_and_text([ANNA], "star_per_token")
    query = encoder.model.encoder.layer[-1].attention.self.query.weight
    for values in ("mentions", "attention"):
        encoder.zero_grad()
        found = getattr(read(encoder, text), values)
        (found * torch.linspace(0, 1, found.numel()).view_as(found)).sum().backward()
        assert query.grad.abs().max() > 1e-6, values
        assert encoder.model.embeddings.word_embeddings.weight.grad.any(), values
