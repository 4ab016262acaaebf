"""Alignment of words and subwords, labels, and documents that are refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from samples import ANNA, ODD_DOCUMENTS, build, featurize
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config, tiny_jerex, tiny_tokenizer
from tokenizers import Tokenizer as TokenizerBackend
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.configuration_kmgre import KmgreConfig
from modeling_docre.configuration_spert import SpertConfig
from modeling_docre.documents import Candidate, DocumentError
from modeling_docre.features import Featurizer, entity_type_ids, mention_table, relation_pairs
from modeling_docre.training.relation_samples import relation_matrix


def config(**options) -> JerexConfig:
    return JerexConfig(**{"encoder_config": tiny_encoder_config(), "window_overlap": 16, **options})


@given(documents())
@settings(max_examples=60, deadline=None)
def test_every_word_has_the_subwords_of_its_own_tokenization(document):
    (features,) = featurize([document], config())
    tokenizer = tiny_tokenizer()
    words = [word for sentence in document.sentences for word in sentence]
    assert features.word_ranges.shape == (len(words), 2)
    position = 0
    for word, (start, end) in zip(words, features.word_ranges.tolist(), strict=True):
        ids = tokenizer(word, add_special_tokens=False)["input_ids"] or [tokenizer.unk_token_id]
        assert start == position and features.input_ids[start:end].tolist() == ids
        position = end
    assert position == len(features.input_ids)
    assert features.input_ids.dtype == features.word_ranges.dtype == np.int64
    assert features.markers is None and features.special_lengths == (0, 0)


def test_no_special_tokens_and_one_unknown_token_per_blank_word():
    (features,) = featurize([build("x", ["the of"])], config())
    assert len(features.input_ids) == 2
    unknown = tiny_tokenizer().unk_token_id
    (features,) = featurize([next(d for d in ODD_DOCUMENTS if d.id == "blank words")], config())
    assert features.input_ids.tolist()[:2] == [unknown, unknown]
    assert features.word_ranges.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_batches_of_documents_do_not_influence_each_other():
    together = featurize([*ODD_DOCUMENTS, ANNA], config())
    for document, features in zip([*ODD_DOCUMENTS, ANNA], together, strict=True):
        (alone,) = featurize([document], config())
        assert np.array_equal(alone.input_ids, features.input_ids)
        assert features.document is document


def test_documents_may_come_as_dicts():
    (features,) = Featurizer(tiny_tokenizer(), config())([ANNA.to_dict()])
    assert features.document == ANNA


def test_a_space_before_each_word_is_an_option():
    seen = []

    def spy(words, **options):
        seen.extend(words)
        return {"input_ids": [[7] for _ in words]}

    class Tokenizer:
        unk_token_id, mask_token_id, pad_token_id = 1, None, None
        __call__ = staticmethod(spy)

    for prefix in (False, True):
        Featurizer(Tokenizer(), config(add_prefix_space=prefix))([build("x", ["a b"])])
    assert seen == ["a", "b", " a", " b"]


def byte_level(add_prefix_space: bool) -> PreTrainedTokenizerFast:
    """Letters, and two words that occur with a space before them."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["wa", "was", "Ġwas", "Ġa"]
    vocab = {piece: number for number, piece in enumerate([*alphabet, *words])}
    merges = [("w", "a"), ("wa", "s"), ("Ġ", "was"), ("Ġ", "a")]
    inner = TokenizerBackend(models.BPE(vocab, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def test_byte_level_vocabularies_see_the_space_before_a_word(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    model = tiny_jerex()
    for _ in range(2):
        (features,) = Featurizer(byte_level(False), model.config)([build("x", ["was"])])
        assert byte_level(False).convert_ids_to_tokens(features.input_ids.tolist()) == ["Ġwas"]
    assert model.config.add_prefix_space is True and model.config.to_dict()["add_prefix_space"] is True
    assert [message for message in caplog.messages if "add_prefix_space" in message] == caplog.messages[:1]
    for tokenizer, options in (
        (tiny_tokenizer(), {}),
        (byte_level(True), {}),
        (byte_level(False), {"add_prefix_space": False}),
    ):
        told = config(**options)
        Featurizer(tokenizer, told)
        assert told.add_prefix_space is False
    for make in (AtlopConfig, KmgreConfig):  # as in ATLOP's release
        assert make().add_prefix_space is False


@pytest.mark.parametrize(("unknown", "mask", "pad", "expected"), [(3, 4, 5, 3), (None, 4, 5, 4), (None, None, 5, 5)])
def test_the_filler_of_words_without_subwords(unknown, mask, pad, expected):
    class Tokenizer:
        unk_token_id, mask_token_id, pad_token_id = unknown, mask, pad

        def __call__(self, words, **options):
            return {"input_ids": [[] for _ in words]}

    (features,) = Featurizer(Tokenizer(), config(add_prefix_space=False))([build("x", ["a"])])
    assert features.input_ids.tolist() == [expected]


def test_subword_ranges_and_texts_of_spans():
    (features,) = featurize([build("x", ["ab the", "xyz"])], config())
    assert features.word_ranges.tolist() == [[0, 2], [2, 3], [3, 6]]
    assert features.sentence_starts.tolist() == [0, 3, 6]
    assert features.subword_sentences.tolist() == [0, 0, 0, 1, 1, 1]
    spans = np.array([[0, 2], [2, 3], [1, 3]])
    assert features.subword_ranges(spans).tolist() == [[0, 3], [3, 6], [2, 6]]
    assert list(features.span_texts(spans)) == ["ab the", "xyz", "the xyz"]
    assert features.subword_ranges(np.zeros((0, 2), dtype=np.int64)).shape == (0, 2)


def test_decoded_texts_show_what_the_tokenizer_reads():
    featurizer = Featurizer(tiny_tokenizer(), config(edit_distance_text="decoded"))
    (features,) = featurizer([build("x", ["Ab 日 the ."])])
    spans = np.array([[0, 1], [0, 2], [1, 2], [2, 4]])
    assert list(featurizer.decoded_texts(features, spans)) == ["ab", "ab [UNK]", "[UNK]", "the."]
    assert not featurizer.decoded_texts(features, spans[:0])


def test_mentions_entity_by_entity():
    ranges, sentences = mention_table(ANNA)
    assert ranges.tolist() == [[0, 2], [7, 8], [5, 6], [10, 11], [12, 13], [17, 18]]
    assert sentences.tolist() == [0, 1, 0, 1, 2, 2]
    ranges, sentences = mention_table(build("x", ["a"]))
    assert ranges.shape == (0, 2) and sentences.shape == (0,) and ranges.dtype == sentences.dtype == np.int64


def test_relations_as_a_matrix():
    matrix = relation_matrix(ANNA, RELATION_TYPES)
    assert matrix.shape == (4, 4, 3)
    assert np.argwhere(matrix).tolist() == [[0, 1, 0], [0, 2, 0], [0, 2, 1], [3, 2, 2]]


def test_entity_types_as_numbers():
    assert entity_type_ids(ANNA, ENTITY_TYPES).tolist() == [0, 1, 1, 2]
    assert entity_type_ids(build("x", []), ENTITY_TYPES).dtype == np.int64


def test_unknown_labels_are_refused_by_document_field_and_value():
    with pytest.raises(
        DocumentError, match=r"'anna': entities\[3\].type is 'ORG'; .* types PER, LOC; rename it \(.*entity_types"
    ):
        entity_type_ids(ANNA, ["PER", "LOC"])
    with pytest.raises(
        DocumentError, match=r"'anna': relations\[3\].type is 'seat'; .*; rename it, drop it, .*relation_types"
    ):
        relation_matrix(ANNA, ["born", "works"])


def test_a_long_document_is_refused_where_the_configuration_says_so():
    longer, fitting = build("the long one", ["a " * 64 + "b"]), build("fits", [" ".join("a" * 64)])
    featurize([longer, fitting], config(long_input="windows"))
    featurize([fitting], config(long_input="error"))
    with pytest.raises(DocumentError, match=r"'the long one': length in subwords is 65; .*64 positions.*windows"):
        featurize([longer], config(long_input="error"))
    with pytest.raises(DocumentError, match=r"'the long one'.*extended_positions >= 65"):
        featurize([longer], config(long_input="extend"))


def test_pairs_that_are_asked_about_are_all_in_row_major_order():
    assert [tuple(pair) for pair in relation_pairs(ANNA).tolist()] == list(permutations(range(4), 2))
    for document in ODD_DOCUMENTS[:4]:
        assert relation_pairs(document).shape == (0, 2) and relation_pairs(document).dtype == np.int64


def test_candidates_are_asked_about_once_each_in_their_order_but_for_those_that_are_not_scored():
    pairs = [(3, 2, True), (0, 1, True), (2, 0, False), (3, 2, True), (1, 0, True), (0, 3, False), (0, 3, True)]
    document = replace(ANNA, candidates=tuple(Candidate(head, tail, scored) for head, tail, scored in pairs))
    assert relation_pairs(document).tolist() == [[3, 2], [0, 1], [1, 0], [0, 3]]


@pytest.mark.parametrize("candidates", [(), (Candidate(0, 1, False),)])
def test_without_a_candidate_that_is_scored_nothing_is_asked(candidates):
    found = relation_pairs(replace(ANNA, candidates=candidates))
    assert found.shape == (0, 2) and found.dtype == np.int64


@given(documents())
@settings(max_examples=60, deadline=None)
def test_sentences_that_are_read_by_themselves_have_start_and_end_tokens_each(document):
    options = {"encoder_config": tiny_encoder_config(), "window_overlap": 16}
    (features,), tokenizer = featurize([document], SpertConfig(**options)), tiny_tokenizer()
    (plain,) = featurize([document], JerexConfig(**options))
    assert len(features.text_lengths) == len(document.sentences) and features.text_lengths.sum() == len(
        features.input_ids
    )
    pieces = [plain.input_ids[start:end].tolist() for start, end in plain.word_ranges.tolist()]
    assert [features.input_ids[start:end].tolist() for start, end in features.word_ranges.tolist()] == pieces
    expected, words = [], iter(pieces)
    for sentence in document.sentences:
        expected += [tokenizer.cls_token_id, *(i for _ in sentence for i in next(words)), tokenizer.sep_token_id]
    assert features.input_ids.tolist() == expected
    assert plain.text_lengths.tolist() == [len(plain.input_ids)]
