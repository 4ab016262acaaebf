"""Documents in, predicted documents out: order, batches, what is given, and documents of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANNA, ODD_DOCUMENTS, OTTO, build
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_jerex, tiny_tokenizer

from metrics.docre_f1.scores import compute_scores
from modeling_docre.documents import Document, DocumentError
from modeling_docre.predictor import Predictor, to_device
from modeling_docre.segments import token_batches

HALF = {"mention_threshold": 0.5, "coreference_threshold": 0.5, "relation_threshold": 0.5, "max_span_size": 2}
LONG = build("long", ["anna abcdefgh lives in berlin ."] * 5, [("PER", [(0, 0, 1)]), ("LOC", [(4, 4, 5)])])
MODELS = {}


def predictor(given_what: str | None = None, **options) -> Predictor:
    """A predictor whose random model finds something."""
    key = (given_what, *sorted(options.items()))
    if key not in MODELS:
        model = tiny_jerex(**{**HALF, **options})
        generator = torch.Generator().manual_seed(3)
        for name, parameter in model.named_parameters():
            if "encoders" not in name:
                parameter.data += torch.randn(parameter.shape, generator=generator) * 0.1
        MODELS[key] = Predictor(model, tiny_tokenizer(), given_what)
    return MODELS[key]


def shape(document: Document):
    """What a document says, without scores."""
    entities = [(entity.type, [(m.sentence, m.start, m.end) for m in entity.mentions]) for entity in document.entities]
    return document.id, entities, sorted((r.head, r.tail, r.type) for r in document.relations)


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 120))
@settings(max_examples=100, deadline=None)
def test_batches_hold_every_document_once_within_the_limit(lengths, limit):
    batches = list(token_batches(lengths, limit))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[position] for position in batch)
        assert longest * len(batch) <= limit or len(batch) == 1
    in_order = [lengths[position] for batch in batches for position in batch]
    assert in_order == sorted(lengths, reverse=True)


def test_predictions_come_in_the_order_of_the_input_whatever_the_batches():
    corpus = [OTTO, LONG, ANNA, *ODD_DOCUMENTS]
    one_by_one = [predictor().predict([document])[0] for document in corpus]
    assert sum(len(document.relations) for document in one_by_one) > 5
    for limit in (1, 100, 10_000):
        found = predictor().predict(corpus, max_tokens=limit)
        assert [shape(document) for document in found] == [shape(document) for document in one_by_one]
        for left, right in zip(found, one_by_one, strict=True):
            by_relation = {(r.head, r.tail, r.type): r.score for r in right.relations}
            for relation in left.relations:
                assert relation.score == pytest.approx(
                    by_relation[relation.head, relation.tail, relation.type], abs=1e-5
                )


def test_nothing_in_nothing_out():
    assert predictor().predict([]) == []


def test_documents_may_come_as_dicts():
    assert shape(predictor().predict([ANNA.to_dict()])[0]) == shape(predictor().predict([ANNA])[0])


def test_gold_of_the_input_is_not_read_unless_given():
    bare = Document(ANNA.id, ANNA.sentences)
    assert predictor().predict([ANNA]) == predictor().predict([bare])


def test_given_entities_are_kept_and_only_relations_are_predicted():
    for found in (
        predictor(task="relation").predict([ANNA, OTTO]),
        predictor("entities").predict([ANNA, OTTO]),
        predictor().predict([ANNA, OTTO], given="entities"),
    ):
        assert [document.entities for document in found] == [ANNA.entities, OTTO.entities]
        assert all(relation.score >= 0.5 for document in found for relation in document.relations)


def test_given_clusters_are_typed():
    (found,) = predictor("clusters", task="entity").predict([ANNA])
    assert [entity.mentions for entity in found.entities] == [entity.mentions for entity in ANNA.entities]
    assert all(entity.type in ENTITY_TYPES and 0 < entity.score < 1 for entity in found.entities)


def test_given_mentions_are_clustered_and_none_is_lost():
    (found,) = predictor("mentions", task="coreference").predict([ANNA])
    spans = {(m.sentence, m.start, m.end) for entity in ANNA.entities for m in entity.mentions}
    clustered = [(m.sentence, m.start, m.end) for entity in found.entities for m in entity.mentions]
    assert sorted(clustered) == sorted(spans)


def test_a_mention_model_lists_mentions():
    (found,) = predictor(task="mention").predict([ANNA])
    assert found.entities and all(len(e.mentions) == 1 and e.mentions[0].score >= 0.5 for e in found.entities)


@pytest.mark.parametrize(("task", "needs"), [("coreference", "mentions"), ("entity", "clusters")])
def test_a_single_stage_reads_what_it_needs_by_default(task, needs):
    assert predictor(task=task).predict([ANNA, OTTO]) == predictor(needs, task=task).predict([ANNA, OTTO])


def test_the_threshold_of_a_call_replaces_that_of_the_configuration():
    everything = predictor("entities").predict([ANNA], relation_threshold=0.0)[0]
    assert len(everything.relations) == 12 * len(RELATION_TYPES)
    assert not predictor("entities").predict([ANNA], relation_threshold=1.0)[0].relations
    assert predictor("entities").config.relation_threshold == 0.5


def test_prediction_puts_the_model_into_evaluation_mode():
    model = tiny_jerex(**HALF)
    model.train()
    first = Predictor(model, tiny_tokenizer()).predict([ANNA])
    assert not model.training and first == Predictor(model, tiny_tokenizer()).predict([ANNA])


def test_tensors_inside_dicts_move_and_the_rest_stays():
    moved = to_device({"a": torch.zeros(2), "b": {"c": torch.ones(1)}, "d": ["x"]}, torch.device("meta"))
    assert moved["a"].device.type == moved["b"]["c"].device.type == "meta" and moved["d"] == ["x"]


def test_a_document_that_is_too_long_is_named():
    with pytest.raises(DocumentError, match=r"'long'.*length in subwords"):
        predictor(long_input="error").predict([ANNA, LONG])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"relation_head": "global"},
        {"task": "pipeline"},
        {"coref_symmetrise": "mean"},
        {"coref_symmetrise": "max_distance"},
        {"edit_distance_text": "decoded"},
        {"pairing": "intra_sentence_or_closest"},
        {"task": "relation"},
        {"task": "mention"},
    ],
    ids=str,
)
def test_odd_documents_are_predicted(options):
    corpus = [*ODD_DOCUMENTS, LONG]
    for found, document in zip(predictor(**options).predict(corpus), corpus, strict=True):
        assert found.sentences == document.sentences
        assert Document.from_dict(found.to_dict()) == found


def test_every_extreme_of_the_thresholds_runs():
    none = predictor(mention_threshold=1.0).predict([ANNA, OTTO])
    assert [document.entities for document in none] == [(), ()]
    everything = predictor(mention_threshold=0.0, coreference_threshold=0.0).predict([OTTO])[0]
    assert len(everything.entities) == 1 and not everything.relations
    singletons = predictor(mention_threshold=0.0, coreference_threshold=1.0, max_span_size=1).predict([OTTO])[0]
    assert len(singletons.entities) == sum(map(len, OTTO.sentences))


@given(st.lists(documents(ENTITY_TYPES, RELATION_TYPES, all_fields=True), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_random_documents_are_predicted_and_scored(corpus):
    corpus = [Document.from_dict({**document.to_dict(), "id": str(n)}) for n, document in enumerate(corpus)]
    for options in ({}, {"task": "relation"}):
        found = predictor(**options).predict(corpus)
        for document in found:
            assert Document.from_dict(document.to_dict()) == document
        given_entities = options.get("task") == "relation"
        scores = compute_scores(found, corpus, entities_given=given_entities)
        assert 0 <= scores["relation_f1"] <= 1
        assert compute_scores(corpus, corpus, entities_given=given_entities)["relation_f1"] in (0, 1)


def test_arguments_without_such_a_value_are_refused():
    with pytest.raises(ValueError, match="given is 'nope'; give \"entities\""):
        Predictor(predictor().model, tiny_tokenizer(), "nope")
    for options, message in (
        ({"given": "nope"}, "given is 'nope'"),
        ({"relation_threshold": 2}, "relation_threshold is 2; give a number from 0 to 1"),
        ({"relation_threshold": "nice"}, "threshold is 'nice'"),
        ({"max_tokens": 0}, "max_tokens is 0; give a whole number from 1 on"),
        ({"max_tokens": "5"}, "max_tokens is '5'"),
        ({"signatures": np.zeros((1, 3))}, "signatures is array"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor().predict([ANNA], **options)
