"""Batches: each document's part, cut out again, is the example it came from."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANNA, ODD_DOCUMENTS, OTTO, batch, featurize
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config

from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.configuration_spert import SpertConfig
from modeling_docre.training.arguments import SamplingArguments
from modeling_docre.training.sampling import training_example
from modeling_docre.training.training_inputs import TrainingCollator

CONFIG = JerexConfig(
    encoder_config=tiny_encoder_config(), window_overlap=16, entity_types=ENTITY_TYPES, relation_types=RELATION_TYPES
)


def check_parts(batch, examples) -> None:
    """Compare every field with the examples' arrays, indices shifted back."""
    spans = entities = subwords = pairs = relations = 0
    for number, example in enumerate(examples):
        ids = example.features.input_ids
        assert batch["input_ids"][subwords : subwords + len(ids)].tolist() == ids.tolist()
        assert batch["document_lengths"][number] == len(ids)
        rows = slice(spans, spans + len(example.word_ranges))
        fields = batch["spans"]
        expected = example.features.subword_ranges(example.word_ranges) + subwords
        assert fields["subword_range"][rows].tolist() == expected.tolist()
        assert fields["word_range"][rows].tolist() == example.word_ranges.tolist()
        assert fields["sentence"][rows].tolist() == example.sentences.tolist()
        assert fields["document"][rows].tolist() == [number] * len(example.word_ranges)
        assert batch["span_labels"][rows].tolist() == example.span_labels.tolist()
        rows = slice(pairs, pairs + len(example.coreference[0]))
        assert (batch["coreference"]["pairs"][rows] - spans).tolist() == example.coreference[0].tolist()
        assert batch["coreference"]["distances"][rows].tolist() == example.coreference[1].tolist()
        assert batch["coreference"]["labels"][rows].tolist() == example.coreference[2].tolist()
        rows = slice(entities, entities + len(example.sizes))
        assert batch["entities"]["sizes"][rows].tolist() == example.sizes.tolist()
        assert batch["entities"]["document"][rows].tolist() == [number] * len(example.sizes)
        assert batch["entity_types"][rows].tolist() == example.entity_types.tolist()
        rows = slice(relations, relations + len(example.relations[0]))
        assert (batch["relations"]["pairs"][rows] - entities).tolist() == example.relations[0].tolist()
        assert batch["relations"]["labels"][rows].tolist() == example.relations[1].tolist()
        spans, subwords = spans + len(example.word_ranges), subwords + len(ids)
        pairs, relations = pairs + len(example.coreference[0]), relations + len(example.relations[0])
        entities += len(example.sizes)
    members = [m + start for m, start in zip([e.members for e in examples], span_starts(examples), strict=True)]
    assert batch["entities"]["members"].tolist() == np.concatenate(members).tolist()
    assert (len(batch["input_ids"]), len(batch["span_labels"])) == (subwords, spans)
    assert (len(batch["coreference"]["pairs"]), len(batch["relations"]["pairs"])) == (pairs, relations)


def span_starts(examples) -> list[int]:
    return [sum(len(e.word_ranges) for e in examples[:number]) for number in range(len(examples))]


@given(st.lists(documents(ENTITY_TYPES, RELATION_TYPES), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_each_part_of_a_batch_is_its_example(corpus):
    examples = [
        training_example(features, CONFIG, SamplingArguments(6, 4, 3), np.random.default_rng(0))
        for features in featurize(corpus, CONFIG)
    ]
    check_parts(TrainingCollator()(examples), examples)


def test_types_of_tensors_are_the_same_whatever_is_empty():
    kinds = {}
    for corpus in ([ANNA, OTTO], ODD_DOCUMENTS[:1], ODD_DOCUMENTS[:3], [*ODD_DOCUMENTS, ANNA]):
        for kind in ("training", "candidates", "entities", "clusters", "mentions"):
            flat = dict(flatten(batch(corpus, CONFIG, kind)))
            for name, value in flat.items():
                if isinstance(value, torch.Tensor):
                    kinds.setdefault(name, (value.dtype, value.shape[1:]))
                    assert kinds[name] == (value.dtype, value.shape[1:]), name
    assert kinds["relations.labels"][0] == kinds["coreference.labels"][0] == torch.float32
    assert kinds["input_ids"][0] == kinds["entities.members"][0] == torch.int64


def flatten(values, prefix=""):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_texts_stand_beside_their_spans_also_next_to_empty_documents():
    for mode in ("tokens", "decoded"):
        config = JerexConfig(**{**CONFIG.to_dict(), "edit_distance_text": mode})
        made = batch([ODD_DOCUMENTS[0], OTTO, ODD_DOCUMENTS[1], ANNA], config, "candidates")
        assert len(made["span_texts"]) == len(made["spans"]["document"])
        document, (start, end) = made["spans"]["document"][-1], made["spans"]["word_range"][-1].tolist()
        words = [word for sentence in ANNA.sentences for word in sentence]
        assert document == 3 and made["span_texts"][-1].replace(" ", "") == "".join(words[start:end])


def test_no_batch_key_is_named_like_a_field_that_the_trainer_gathers():
    made = batch([ANNA], CONFIG)
    assert not {"labels", "label", "label_ids"} & set(made)


ATLOP = AtlopConfig(encoder_config=tiny_encoder_config(), entity_types=ENTITY_TYPES, relation_types=RELATION_TYPES)


@given(
    st.lists(documents(ENTITY_TYPES, RELATION_TYPES), min_size=1, max_size=4), st.sampled_from(["training", "entities"])
)
@settings(max_examples=40, deadline=None)
def test_a_batch_of_given_entities_is_the_documents_end_to_end(corpus, kind):
    made = batch(corpus, ATLOP, kind, negatives_relation=-1)
    alone = [batch([document], ATLOP, kind, negatives_relation=-1) for document in corpus]
    lengths = [len(part["input_ids"]) for part in alone]
    assert made["document_lengths"].tolist() == lengths
    assert made["special_lengths"].tolist() == [1, 1]
    assert torch.equal(made["input_ids"], torch.cat([part["input_ids"] for part in alone]))
    starts = np.cumsum([0, *lengths]).tolist()
    ranges = [part["spans"]["subword_range"] + start for part, start in zip(alone, starts, strict=False)]
    assert torch.equal(made["spans"]["subword_range"], torch.cat(ranges))
    counts = np.cumsum([0, *(len(part["entities"]["sizes"]) for part in alone)]).tolist()
    pairs = [part["relations"]["pairs"] + start for part, start in zip(alone, counts, strict=False)]
    assert torch.equal(made["relations"]["pairs"], torch.cat(pairs))
    assert ("labels" in made["relations"]) == (kind == "training")
    assert ("subword_sentences" in made) == (kind == "entities")
    if kind == "entities":
        sentences = torch.cat([part["subword_sentences"] for part in alone])
        assert torch.equal(made["subword_sentences"], sentences) and len(sentences) == len(made["input_ids"])
    assert not {"span_labels", "span_texts", "coreference", "entity_types"} & set(made)


def test_markers_stand_at_the_positions_of_the_mentions():
    made = batch([OTTO, ODD_DOCUMENTS[0], ANNA], ATLOP, "entities")
    start, end = made["spans"]["subword_range"].unbind(1)
    assert torch.equal(end, start + 1)
    assert len(set(made["input_ids"][start].tolist())) == 1
    assert start[4:].min() > made["document_lengths"][:2].sum()


def test_types_of_tensors_of_given_entities_are_the_same_whatever_is_empty():
    kinds = {}
    for corpus in ([ANNA, OTTO], ODD_DOCUMENTS[:1], ODD_DOCUMENTS[:3], ODD_DOCUMENTS[2:4], [*ODD_DOCUMENTS, ANNA]):
        for kind in ("training", "entities"):
            for name, value in flatten(batch(corpus, ATLOP, kind)):
                assert kinds.setdefault(name, (value.dtype, value.shape[1:])) == (value.dtype, value.shape[1:]), name
    assert kinds["relations.labels"] == (torch.float32, (3,)) and kinds["relations.pairs"] == (torch.int64, (2,))
    assert kinds["subword_sentences"] == kinds["special_lengths"] == (torch.int64, ())


def test_sentences_that_are_read_by_themselves_are_the_texts_of_a_batch():
    options = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES, "window_overlap": 16}
    config = SpertConfig(encoder_config=tiny_encoder_config(), **options)
    corpus = [ANNA, ODD_DOCUMENTS[0], OTTO, ODD_DOCUMENTS[7]]
    inputs, features = batch(corpus, config, negatives_mention=3), featurize(corpus, config)
    assert inputs["document_lengths"].tolist() == [n for item in features for n in item.text_lengths.tolist()]
    assert len(inputs["document_lengths"]) == 3 + 0 + 2 + 3 and inputs["special_lengths"].tolist() == [1, 1]
    assert inputs["document_lengths"].sum() == len(inputs["input_ids"])
    assert inputs["span_labels"].dtype == torch.int64 and "entity_types" not in inputs
    assert inputs["spans"]["document"].unique().tolist() == [0, 2, 3]
