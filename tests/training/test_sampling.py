"""What is sampled: every positive, only true negatives, the quotas, and the same draw every time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANNA, ODD_DOCUMENTS, OTTO, build, featurize
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config, tiny_tokenizer
from torch.utils.data import DataLoader

from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.documents import Candidate, Document, DocumentError
from modeling_docre.features import Featurizer
from modeling_docre.model_inputs import Example, candidate_example, given_example
from modeling_docre.training.arguments import SamplingArguments
from modeling_docre.training.sampling import TrainingExamples, training_example

SETTINGS = settings(max_examples=60, deadline=None)
RANDOM_DOCUMENTS = documents(ENTITY_TYPES, RELATION_TYPES)


def config(**options) -> JerexConfig:
    labels = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES}
    return JerexConfig(**{"encoder_config": tiny_encoder_config(), "window_overlap": 16, **labels, **options})


def sample(document, seed: int = 0, options=None, **arguments) -> Example:
    (features,) = featurize([document], config())
    generator = np.random.default_rng(seed)
    return training_example(features, config(**options or {}), SamplingArguments(**arguments), generator)


def gold_spans(document) -> list[tuple[int, int]]:
    return [document.span(mention) for entity in document.entities for mention in entity.mentions]


def arrays_of(example: Example) -> list[np.ndarray]:
    parts = [example.word_ranges, example.sentences, example.span_labels, *example.coreference, *example.relations]
    return [*parts, example.members, example.sizes, example.entity_types]


def equal(left: Example, right: Example) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(arrays_of(left), arrays_of(right), strict=True))


@given(RANDOM_DOCUMENTS)
@SETTINGS
def test_spans_are_all_gold_mentions_then_negatives_inside_sentences(document):
    example = sample(document)
    gold = gold_spans(document)
    spans = [tuple(span) for span in example.word_ranges.tolist()]
    assert spans[: len(gold)] == gold
    assert example.span_labels.tolist() == [1.0] * len(gold) + [0.0] * (len(spans) - len(gold))
    negatives = spans[len(gold) :]
    assert len(set(negatives)) == len(negatives) <= 200
    assert not set(negatives) & set(gold)
    for (start, end), sentence in zip(spans, example.sentences.tolist(), strict=True):
        first, last = document.sentence_starts[sentence : sentence + 2]
        assert first <= start < end <= last
    assert all(end - start <= 10 for start, end in negatives)


def test_duplicated_mentions_are_counted_each_time():
    document = next(d for d in ODD_DOCUMENTS if d.id == "a duplicated mention")
    example = sample(document)
    assert example.word_ranges[:3].tolist() == [[0, 1]] * 3 and example.span_labels[:3].tolist() == [1, 1, 1]
    pairs, distances, labels = example.coreference
    positives = {tuple(pair) for pair, label in zip(pairs.tolist(), labels, strict=True) if label}
    assert positives == {(0, 1), (1, 0)} and not distances.any()


def test_mentions_longer_than_any_candidate_are_positives():
    document = next(d for d in ODD_DOCUMENTS if d.id == "a long mention")
    example = sample(document)
    assert example.word_ranges[0].tolist() == [0, 13] and example.span_labels[0] == 1


def quota_document(inside_words: int = 8, sentence_length: int = 60):
    """One mention of `inside_words` words: 8 words hold 35 spans besides it; the sentence has hundreds of others."""
    return build("quota", ["a " * (sentence_length - 1) + "b"], [("PER", [(0, 0, inside_words)])])


def count_inside(example: Example, gold: tuple[int, int]) -> tuple[int, int]:
    negatives = example.word_ranges[example.span_labels == 0].tolist()
    inside = sum(gold[0] <= start and end <= gold[1] for start, end in negatives)
    return inside, len(negatives) - inside


def test_thirty_spans_inside_mentions_leave_170_for_the_others():
    mentions = [(0, 0, 4), (0, 10, 14), (0, 20, 23)]  # 9 + 9 + 5 spans inside
    document = build("thirty", ["a " * 59 + "b"], [("PER", mentions), ("LOC", [(0, 40, 43), (0, 50, 52)])])  # 5 + 2
    gold = gold_spans(document)
    negatives = sample(document, negatives_mention=200).word_ranges[len(gold) :].tolist()
    inside = sum(any(a <= start and end <= b for a, b in gold) for start, end in negatives)
    assert (inside, len(negatives) - inside) == (30, 170)


def test_spans_inside_mentions_fill_at_most_their_share():
    assert count_inside(sample(quota_document(), negatives_mention=200), (0, 8)) == (35, 165)
    assert count_inside(sample(quota_document(), negatives_mention=40), (0, 8)) == (20, 20)
    assert count_inside(sample(quota_document(), negatives_mention=41), (0, 8)) == (20, 21)
    none_inside = sample(quota_document(), negatives_mention=40, negatives_inside_ratio=0.0)
    assert count_inside(none_inside, (0, 8)) == (0, 40)
    all_inside = sample(quota_document(), negatives_mention=30, negatives_inside_ratio=1.0)
    assert count_inside(all_inside, (0, 8)) == (30, 0)


def test_a_share_that_others_leave_is_not_filled_from_inside():
    document = build("all inside", ["a " * 9 + "b"], [("PER", [(0, 0, 10)])])
    assert count_inside(sample(document, negatives_mention=40), (0, 10)) == (20, 0)


def test_partial_overlap_is_not_inside():
    document = build("overlap", ["a b c d"], [("PER", [(0, 0, 2)])])
    example = sample(document, negatives_mention=200, negatives_inside_ratio=0.0)
    negatives = {tuple(span) for span in example.word_ranges[1:].tolist()}
    assert negatives == {(2, 3), (3, 4), (1, 3), (2, 4), (0, 3), (1, 4), (0, 4)}


@given(RANDOM_DOCUMENTS)
@SETTINGS
def test_coreference_pairs_are_all_positives_in_both_orders_and_some_negatives(document):
    owners = [number for number, entity in enumerate(document.entities) for _ in entity.mentions]
    mentions = range(len(owners))
    positives = {(i, j) for i in mentions for j in mentions if i != j and owners[i] == owners[j]}
    pairs, distances, labels = sample(document, negatives_coreference=5).coreference
    found = [tuple(pair) for pair in pairs.tolist()]
    assert pairs.shape == (len(found), 2)
    assert len(set(found)) == len(found) == len(labels) == len(distances)
    assert {pair for pair, label in zip(found, labels, strict=True) if label} == positives
    negatives = [pair for pair, label in zip(found, labels, strict=True) if not label]
    different = len(owners) * (len(owners) - 1) - len(positives)
    assert len(negatives) == min(5, different)
    assert all(owners[i] != owners[j] for i, j in negatives)


def test_coreference_negatives_come_in_both_orders():
    drawn = Counter()
    for seed in range(40):
        pairs, _, labels = sample(OTTO, seed, negatives_coreference=1).coreference
        drawn[tuple(pairs[labels == 0][0] < pairs[labels == 0][0][::-1])] += 1
    assert min(drawn.values()) > 5 and len(drawn) == 2


def test_distances_compare_the_words_of_mentions():
    pairs, distances, _ = sample(OTTO).coreference
    texts = ["otto k", "he", "bern", "bern"]
    by_pair = {tuple(pair): distance for pair, distance in zip(pairs.tolist(), distances.tolist(), strict=True)}
    assert by_pair[2, 3] == 0 and by_pair[0, 1] == by_pair[1, 0] == 6
    assert len(texts) * 3 == len(by_pair)


@given(RANDOM_DOCUMENTS)
@SETTINGS
def test_relation_samples_are_all_related_pairs_with_all_types_and_some_unrelated(document):
    gold: dict[tuple[int, int], set[str]] = {}
    for relation in document.relations:
        gold.setdefault((relation.head, relation.tail), set()).add(relation.type)
    pairs, labels = sample(document, negatives_relation=3).relations
    assert labels.shape == (len(pairs), len(RELATION_TYPES)) and pairs.shape == (len(pairs), 2)
    found = {
        tuple(pair): {name for name, label in zip(RELATION_TYPES, row, strict=True) if label}
        for pair, row in zip(pairs.tolist(), labels, strict=True)
    }
    assert len(found) == len(pairs)
    assert {pair: types for pair, types in found.items() if types} == gold
    count = len(document.entities)
    assert sum(not types for types in found.values()) == min(3, count * (count - 1) - len(gold))
    assert all(head != tail for head, tail in found)


def test_all_unrelated_pairs_on_request():
    pairs, labels = sample(ANNA, negatives_relation=-1).relations
    assert len(pairs) == 12 and (labels.sum(1) == 0).sum() == 9
    pairs, labels = sample(ANNA, negatives_relation=0).relations
    assert len(pairs) == 3 and labels.sum() == 4


@given(RANDOM_DOCUMENTS)
@SETTINGS
def test_entities_are_the_gold_clusters(document):
    example = sample(document)
    assert example.members.tolist() == list(range(sum(len(entity.mentions) for entity in document.entities)))
    assert example.sizes.tolist() == [len(entity.mentions) for entity in document.entities]
    assert [ENTITY_TYPES[kind] for kind in example.entity_types] == [entity.type for entity in document.entities]


def test_odd_documents_have_samples_of_the_right_shape():
    for document in ODD_DOCUMENTS:
        example = sample(document)
        assert example.word_ranges.shape == (len(example.sentences), 2)
        assert example.coreference[0].shape[1] == example.relations[0].shape[1] == 2
        for array in arrays_of(example):
            assert array.dtype in (np.int64, np.float32)


def test_stages_that_are_not_there_draw_nothing():
    for task, present in (
        ("mention", "span_labels"),
        ("coreference", "coreference"),
        ("relation", "relations"),
        ("entity", "entity_types"),
    ):
        example = sample(ANNA, options={"task": task})
        filled = {
            name
            for name in ("span_labels", "coreference", "relations", "entity_types")
            if getattr(example, name) is not None
        }
        assert filled == ({present, "entity_types"} if task == "relation" else {present})


def test_a_draw_depends_on_seed_epoch_and_document_only():
    features = featurize([ANNA, OTTO, quota_document()], config())
    few = SamplingArguments(5, 3, 2)

    def draws(seed, epoch, order=range(3)) -> list[Example]:
        examples = TrainingExamples(features, config(), few, seed)
        examples.set_epoch(epoch)
        drawn = {index: examples[index] for index in order}
        return [drawn[index] for index in range(3)]

    first = draws(1, 2)
    for again in (draws(1, 2), draws(1, 2, order=(2, 0, 1))):
        assert all(equal(a, b) for a, b in zip(first, again, strict=True))
    for other in (draws(2, 2), draws(1, 3)):
        assert not any(equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_draw_what_the_main_process_draws_in_every_epoch(persistent):
    features = featurize([ANNA, OTTO, quota_document(), ANNA], config())
    examples = TrainingExamples(features, config(), SamplingArguments(5, 3, 2), seed=7)
    loader = DataLoader(
        examples, batch_size=None, num_workers=2, persistent_workers=persistent, multiprocessing_context="fork"
    )
    drawn = []
    for epoch in range(2):
        examples.set_epoch(epoch)
        expected = [examples[index] for index in range(4)]
        drawn.append(list(loader))
        assert all(equal(a, b) for a, b in zip(expected, drawn[-1], strict=True))
    assert not any(equal(a, b) for a, b in zip(*drawn, strict=True))


@pytest.mark.slow
def test_negatives_are_drawn_uniformly():
    document = build("uniform", ["a b c"], [("PER", [(0, 0, 1)])])
    counts = Counter(
        tuple(span)
        for seed in range(400)
        for span in sample(document, seed, negatives_mention=1, negatives_inside_ratio=0).word_ranges[1:].tolist()
    )
    assert len(counts) == 5 and all(50 < count < 115 for count in counts.values())


def test_unknown_labels_are_refused_before_training():
    with pytest.raises(DocumentError, match=r"'anna'.*'ORG'"):
        sample(ANNA, options={"entity_types": ["PER", "LOC"]})
    with pytest.raises(DocumentError, match=r"'anna'.*'seat'"):
        sample(ANNA, options={"relation_types": ["born", "works"]})


def test_inference_compares_the_texts_that_the_option_says():
    for mode in ["tokens", "decoded"]:
        options = config(edit_distance_text=mode)
        featurizer = Featurizer(tiny_tokenizer(), options)
        (features,) = featurizer([build("x", ["Ab ."], [("PER", [(0, 0, 2)])])])
        expected = ["Ab", ".", "Ab ."] if mode == "tokens" else ["ab", ".", "ab."]
        assert list(candidate_example(features, options, featurizer).span_texts) == expected
        assert list(given_example(features, options, featurizer, "mentions").span_texts) == expected[-1:]


@given(RANDOM_DOCUMENTS)
@SETTINGS
def test_given_mentions_stand_in_the_order_of_candidates_without_repeats(document):
    featurizer = Featurizer(tiny_tokenizer(), config(max_span_size=12))
    (features,) = featurizer([document])
    given_spans = given_example(features, config(), featurizer, "mentions")
    gold = set(gold_spans(document))
    candidates = candidate_example(features, config(max_span_size=12), featurizer)
    rows = [number for number, span in enumerate(candidates.word_ranges.tolist()) if tuple(span) in gold]
    kept = [number for number, text in enumerate(given_spans.span_texts) if text]  # blanks alone are no candidate
    assert given_spans.word_ranges[kept].tolist() == candidates.word_ranges[rows].tolist()
    assert given_spans.sentences[kept].tolist() == candidates.sentences[rows].tolist()
    assert [given_spans.span_texts[row] for row in kept] == [candidates.span_texts[row] for row in rows]
    assert len(given_spans.word_ranges) == len(gold)


def test_given_entities_are_those_of_training():
    for given_what in ["entities", "clusters"]:
        featurizer = Featurizer(tiny_tokenizer(), config())
        (features,) = featurizer([ANNA])
        example, training = given_example(features, config(), featurizer, given_what), sample(ANNA, negatives_mention=0)
        assert np.array_equal(example.word_ranges, training.word_ranges)
        assert np.array_equal(example.members, training.members) and np.array_equal(example.sizes, training.sizes)
        assert (example.entity_types is None) == (given_what == "clusters")


# --- a model whose entities are given ------------------------------------------------------------------------------

ATLOP = AtlopConfig(encoder_config=tiny_encoder_config(), entity_types=ENTITY_TYPES, relation_types=RELATION_TYPES)


@st.composite
def with_candidates(draw: st.DrawFn) -> Document:
    """A document whose corpus asks about all pairs, or about some, also of no entity at all."""
    document = draw(RANDOM_DOCUMENTS)
    count = len(document.entities)
    if count < 2 or draw(st.booleans()):
        return document
    pair = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1])
    pairs = draw(st.lists(st.tuples(pair, st.booleans()), max_size=8))
    return replace(document, candidates=tuple(Candidate(*pair, scored) for pair, scored in pairs))


def atlop_examples(document: Document, negatives: int = -1) -> tuple[Example, Example]:
    """What training and what inference ask about a document with its gold entities."""
    featurizer = Featurizer(tiny_tokenizer(), ATLOP)
    (features,) = featurizer([document])
    generator = np.random.default_rng(0)
    training = training_example(features, ATLOP, SamplingArguments(negatives_relation=negatives), generator)
    return training, given_example(features, ATLOP, featurizer)


@given(with_candidates())
@SETTINGS
def test_training_and_inference_ask_about_the_same_pairs_of_given_entities(document):
    training, inference = atlop_examples(document)
    asked = [tuple(pair) for pair in inference.relations[0].tolist()]
    trained = [tuple(pair) for pair in training.relations[0].tolist()]
    assert len(set(asked)) == len(asked) and sorted(trained) == sorted(asked)
    if document.candidates is not None:
        assert set(asked) == {(item.head, item.tail) for item in document.candidates if item.scored}
    gold = {(relation.head, relation.tail, relation.type) for relation in document.relations}
    for pair, row in zip(trained, training.relations[1], strict=True):
        assert [bool(label) for label in row] == [(*pair, name) in gold for name in RELATION_TYPES]
    assert inference.relations[1] is None
    for name in ("word_ranges", "members", "sizes"):
        assert np.array_equal(getattr(training, name), getattr(inference, name))


def test_negatives_come_from_the_candidates_only():
    pairs = [(0, 1), (1, 0), (2, 3), (3, 2)]  # related are (0, 1) and (3, 2); (0, 2) is no candidate
    document = replace(ANNA, candidates=tuple(Candidate(*pair) for pair in pairs))
    training, _ = atlop_examples(document, negatives=1)
    found = [tuple(pair) for pair in training.relations[0].tolist()]
    assert set(found[:2]) == {(0, 1), (3, 2)} and found[2] in {(1, 0), (2, 3)} and len(found) == 3


def test_a_model_that_finds_its_entities_does_not_read_candidates():
    document = replace(ANNA, candidates=(Candidate(0, 1),))
    assert len(sample(document, negatives_relation=-1).relations[0]) == 12


def test_given_entities_draw_no_spans_and_no_coreference_and_tell_sentences_at_inference():
    training, inference = atlop_examples(ANNA)
    for example in (training, inference):
        assert example.span_labels is None and example.span_texts is None
        assert example.entity_types is None, "its types enter no score"
        assert example.word_ranges.tolist() == [list(span) for span in gold_spans(ANNA)]
    assert training.coreference is None and training.subword_sentences is None
    assert inference.subword_sentences.tolist() == inference.features.subword_sentences.tolist()


def test_types_that_enter_no_score_are_free_listed_or_not():
    free = AtlopConfig(encoder_config=tiny_encoder_config(), relation_types=RELATION_TYPES)
    odd = build("odd", ["a b"], [("FOOD", [(0, 0, 1)]), ("PER", [(0, 1, 2)])])
    (features,) = Featurizer(tiny_tokenizer(), free)([odd])
    assert len(given_example(features, free, Featurizer(tiny_tokenizer(), free)).relations[0]) == 2
    assert len(atlop_examples(odd)[0].relations[0]) == 2
