"""What the relation stage is trained on: noise, masks, a teacher's thresholds, evidence, incomplete documents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from samples import ANNA, OTTO, batch, featurize
from tiny import RELATION_TYPES, tiny_atlop, tiny_jerex, tiny_joint, tiny_tokenizer

from modeling_docre.documents import Completeness, Document, Relation, SoftRelation
from modeling_docre.training.arguments import DocRETrainingArguments, SamplingArguments
from modeling_docre.training.relation_samples import RelationSamples, entity_groups, relation_samples
from modeling_docre.training.sampling import TrainingExamples, training_example, training_examples

BORN, WORKS, SEAT = range(3)
CONFIG = tiny_joint().config
PARTLY = replace(
    ANNA,
    complete=Completeness(relations=False),
    # One relation by people, one that a model added; soft scores of these and of others.
    relations=(
        Relation(0, 1, "born", origin="human", evidence=(0,)),
        Relation(0, 2, "works", origin="model", score=0.6, sentence_weights=(0.25, 0.5, 0.25)),
    ),
    soft_relations=(
        SoftRelation(0, 1, "born", 0.1),
        SoftRelation(0, 1, "works", 0.5),
        SoftRelation(0, 2, "works", 0.6),
        SoftRelation(3, 2, "seat", 0.9),
        SoftRelation(3, 2, "a type that only the teacher knows", 0.99),
    ),
)


def samples(
    document: Document, noise: float = 0.0, seed: int = 0, model: Any = None, **options: Any
) -> RelationSamples:
    config = CONFIG if model is None else model.config
    generator, arguments = np.random.default_rng(seed), SamplingArguments(negatives_relation=-1, **options)
    groups = entity_groups(document, noise, generator)
    return relation_samples(document, config, arguments, generator, groups.origin, incomplete=True)


def cells(found: RelationSamples, table: np.ndarray) -> set[tuple[int, int, int]]:
    """(head, tail, type) of what is set in a table [pairs, types]."""
    return {(*found.pairs[row].tolist(), int(kind)) for row, kind in np.argwhere(table)}


# --- noise ------------------------------------------------------------------------------------------------------------


def test_damaged_entities_lose_a_mention_or_fall_in_two_and_keep_their_labels() -> None:
    seen = set()
    gold = {(item.head, item.tail, RELATION_TYPES.index(item.type)) for item in ANNA.relations}
    for seed in range(60):
        groups = entity_groups(ANNA, 1.0, np.random.default_rng(seed))
        assert groups.origin[:4].tolist() == [0, 1, 2, 3]
        owners = [owner for owner, entity in enumerate(ANNA.entities) for _ in entity.mentions]
        for mentions, origin in zip(groups.mentions, groups.origin.tolist(), strict=True):
            assert len(mentions) and {owners[mention] for mention in mentions} == {origin}
        kept = np.concatenate(groups.mentions)
        assert len(set(kept.tolist())) == len(kept)
        for entity in (0, 2):  # those of two mentions: one is lost, or stands in a part of its own
            parts = [len(m) for m, origin in zip(groups.mentions, groups.origin, strict=True) if origin == entity]
            assert parts in ([1], [1, 1])
        seen.add(len(groups.mentions))

        found = samples(ANNA, 1.0, seed)
        ends = groups.origin[found.pairs]
        assert (ends[:, 0] != ends[:, 1]).all(), "the parts of one entity are no pair"
        count = len(groups.origin)
        own = sum(int((groups.origin == entity).sum() ** 2) for entity in range(4))
        assert len({tuple(pair) for pair in found.pairs.tolist()}) == len(found.pairs) == count**2 - own
        for (head, tail), labels in zip(ends.tolist(), found.labels, strict=True):
            assert {(head, tail, kind) for kind in np.flatnonzero(labels).tolist()} == {
                item for item in gold if item[:2] == (head, tail)
            }
    assert seen == {4, 5, 6}


def test_without_noise_nothing_is_drawn_and_entities_of_one_mention_stay() -> None:
    generator = np.random.default_rng(0)
    groups = entity_groups(ANNA, 0.0, generator)
    assert generator.random() == np.random.default_rng(0).random()
    assert [len(mentions) for mentions in groups.mentions] == [2, 1, 2, 1]
    shares = [len(entity_groups(OTTO, 0.3, np.random.default_rng(seed)).mentions[0]) for seed in range(300)]
    assert 0.2 < sum(size < 2 for size in shares) / 300 < 0.4


def test_the_other_stages_keep_gold_under_noise() -> None:
    options: dict[str, Any] = {"negatives_relation": -1, "negatives_mention": 5}
    whole, noisy = (batch([ANNA, OTTO], CONFIG, entity_noise=noise, **options) for noise in (0.0, 1.0))
    gold = int(whole["span_labels"].sum())
    assert int(noisy["span_labels"].sum()) == gold == 10
    for name in ("entities", "coreference"):
        assert whole[name].keys() == noisy[name].keys()
    assert whole["entities"]["members"].tolist() == noisy["entities"]["members"].tolist()
    assert whole["entity_types"].tolist() == noisy["entity_types"].tolist()
    labels = whole["coreference"]["labels"]
    positive = whole["coreference"]["pairs"][labels == 1]
    assert noisy["coreference"]["pairs"][noisy["coreference"]["labels"] == 1].tolist() == positive.tolist()
    assert "members" not in whole["relations"] and "members" in noisy["relations"]


def test_noise_is_for_the_system_that_relates_damaged_entities() -> None:
    for model in (tiny_atlop(), tiny_jerex()):
        training = DocRETrainingArguments("unused", use_cpu=True, entity_noise=0.1)
        with pytest.raises(ValueError, match=f"entity_noise .*{type(model).__name__} needs it to be 0"):
            training_examples(model, tiny_tokenizer(), [ANNA], training)


# --- incomplete labels ------------------------------------------------------------------------------------------------


def test_labels_are_those_of_the_document_unless_a_threshold_is_given() -> None:
    found = samples(PARTLY)
    assert cells(found, found.labels) == {(0, 1, BORN), (0, 2, WORKS)}
    assert not found.incomplete.masked.any() and not found.incomplete.complete.any() and found.incomplete.taught.all()


def test_a_teachers_threshold_replaces_the_models_labels_and_people_win() -> None:
    for least, expected in (
        (0.55, {(0, 1, BORN), (0, 2, WORKS), (3, 2, SEAT)}),
        (0.7, {(0, 1, BORN), (3, 2, SEAT)}),
        (0.95, {(0, 1, BORN)}),
    ):
        found = samples(PARTLY, teacher_positive=least)
        assert cells(found, found.labels) == expected


def test_masks_are_likely_types_without_a_label() -> None:
    found = samples(PARTLY, teacher_positive=0.7, teacher_mask=0.1)
    assert cells(found, found.incomplete.masked) == {(0, 1, WORKS), (0, 2, WORKS)}
    found = samples(PARTLY, teacher_positive=0.7, teacher_mask=0.55)
    assert cells(found, found.incomplete.masked) == {(0, 2, WORKS)}
    # Scores that are not stored count as 0.
    assert found.incomplete.soft.sum() == pytest.approx(0.1 + 0.5 + 0.6 + 0.9, rel=1e-6)


def test_where_people_labelled_everything_a_teacher_neither_adds_nor_masks() -> None:
    complete = replace(PARTLY, complete=Completeness(), relations=PARTLY.relations[:1])
    found = samples(complete, teacher_positive=0.5, teacher_mask=0.01)
    assert cells(found, found.labels) == {(0, 1, BORN)}
    assert not found.incomplete.masked.any() and found.incomplete.complete.all()
    assert found.incomplete.taught.all() and found.incomplete.soft.any()


def test_documents_without_a_teacher_are_not_taught() -> None:
    examples = TrainingExamples(featurize([PARTLY, OTTO], CONFIG), CONFIG, SamplingArguments(), 0)
    assert examples.incomplete and examples[0].incomplete.taught.all()
    assert not examples[1].incomplete.taught.any() and examples[1].incomplete.complete.all()
    plain = TrainingExamples(featurize([OTTO, ANNA], CONFIG), CONFIG, SamplingArguments(), 0)
    assert not plain.incomplete and plain[0].incomplete is None
    jerex = tiny_jerex().config
    assert not TrainingExamples(featurize([PARTLY], jerex), jerex, SamplingArguments(), 0).incomplete


def test_unlabelled_mentions_are_neither_negative_spans_nor_negative_coreference_pairs() -> None:
    silver = replace(ANNA, complete=Completeness(mentions=False, relations=False))
    arguments = SamplingArguments()
    [features] = featurize([silver], CONFIG)
    example = training_example(features, CONFIG, arguments, np.random.default_rng(0))
    assert example.span_labels.tolist() == [1.0] * 6 and len(example.word_ranges) == 6
    pairs, _, labels = example.coreference
    assert labels.tolist() == [1.0] * 4 == [1.0] * len(pairs)
    [features] = featurize([replace(silver, complete=Completeness(relations=False))], CONFIG)
    example = training_example(features, CONFIG, arguments, np.random.default_rng(0))
    assert example.span_labels.min() == 0 and example.coreference[2].min() == 0


# --- evidence ---------------------------------------------------------------------------------------------------------


def shares(found: RelationSamples) -> dict[tuple[int, int], dict[int, float]]:
    table: dict[tuple[int, int], dict[int, float]] = {}
    rows = zip(found.evidence.pairs, found.evidence.sentences, found.evidence.shares, strict=True)
    for row, sentence, share in rows:
        table.setdefault(tuple(found.pairs[row].tolist()), {})[int(sentence)] = float(share)
    return table


def test_evidence_is_uniform_where_people_name_it_and_a_teachers_weights_else() -> None:
    assert shares(samples(PARTLY)) == {(0, 1): {0: 1.0}, (0, 2): {0: 0.25, 1: 0.5, 2: 0.25}}
    # Both, for one relation: people win.
    both = replace(PARTLY, relations=(replace(PARTLY.relations[0], sentence_weights=(0.0, 1.0, 0.0)),))
    assert shares(samples(both)) == {(0, 1): {0: 1.0}}


def test_evidence_of_several_types_is_the_mean_of_their_distributions() -> None:
    relations = (
        Relation(0, 1, "born", evidence=(0,)),
        Relation(0, 1, "works", evidence=(0, 1)),
        Relation(0, 1, "seat", evidence=()),
        Relation(0, 2, "born"),
    )
    assert shares(samples(replace(ANNA, relations=relations))) == {(0, 1): {0: 0.75, 1: 0.25}}


def test_pairs_that_a_higher_threshold_takes_away_have_no_evidence() -> None:
    assert shares(samples(PARTLY, teacher_positive=0.7)) == {(0, 1): {0: 1.0}}


def test_systems_without_evidence_guidance_get_none() -> None:
    assert samples(PARTLY, model=tiny_joint(evidence_weight=0.0)).evidence is None
    assert samples(PARTLY, model=tiny_joint(attended_context=False)).evidence is None
    assert samples(PARTLY, model=tiny_atlop()).evidence is None
