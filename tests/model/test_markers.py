"""Markers, start and end tokens, and where words, sentences and mentions lie between them."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from samples import ANNA, ODD_DOCUMENTS, build
from strategies import documents
from tiny import RELATION_TYPES, tiny_encoder_config, tiny_tokenizer, vocabulary
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, RobertaTokenizer

from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.documents import Document
from modeling_docre.features import Features, Featurizer, mention_table

STYLES = ["star_per_token", "star_per_mention", "none"]


def featurize(document: Document, style: str, tokenizer: PreTrainedTokenizerBase | None = None) -> Features:
    config = AtlopConfig(encoder_config=tiny_encoder_config(), relation_types=RELATION_TYPES, entity_markers=style)
    (features,) = Featurizer(tokenizer or tiny_tokenizer(), config)([document])
    return features


def read(features: Features) -> str:
    return " ".join(tiny_tokenizer().convert_ids_to_tokens(features.input_ids.tolist()))


def spans(*entities: tuple[str, list[tuple[int, int]]]) -> Document:
    """A sentence `a b c d` with entities from (type, word spans)."""
    return build("x", ["a b c d"], [(kind, [(0, *span) for span in mentions]) for kind, mentions in entities])


@pytest.mark.parametrize(
    ("document", "per_token", "per_mention"),
    [
        (spans(("PER", [(1, 3)])), "a * b c * d", "a * b c * d"),
        (spans(("PER", [(1, 2)])), "a * b * c d", "a * b * c d"),
        (spans(("PER", [(0, 4)])), "* a b c d *", "* a b c d *"),
        (spans(("PER", [(0, 2)]), ("LOC", [(2, 4)])), "* a b * * c d *", "* a b * * c d *"),
        (spans(("PER", [(0, 4)]), ("LOC", [(1, 3)])), "* a * b c * d *", "* a * b c * d *"),
        (spans(("PER", [(0, 3)]), ("LOC", [(0, 1)])), "* a * b c * d", "* * a * b c * d"),
        (spans(("PER", [(0, 3)]), ("LOC", [(2, 3)])), "* a b * c * d", "* a b * c * * d"),
        (spans(("PER", [(0, 3)]), ("LOC", [(1, 4)])), "* a * b c * d *", "* a * b c * d *"),
        (spans(("PER", [(1, 2), (1, 2)])), "a * b * c d", "a * b * c d"),
        (spans(("PER", [(1, 2)]), ("PER", [(1, 2)])), "a * b * c d", "a * b * c d"),
        (spans(("PER", [(1, 2)]), ("LOC", [(1, 2)])), "a * b * c d", "a * * b * * c d"),
        (spans(), "a b c d", "a b c d"),
    ],
)
def test_markers_around_mentions(document, per_token, per_mention):
    assert read(featurize(document, "star_per_token")) == f"[CLS] {per_token} [SEP]"
    assert read(featurize(document, "star_per_mention")) == f"[CLS] {per_mention} [SEP]"
    assert read(featurize(document, "none")) == "[CLS] a b c d [SEP]"


def test_mentions_that_share_a_start_share_the_first_marker():
    document = spans(("PER", [(0, 3)]), ("LOC", [(0, 1)]), ("LOC", [(2, 3)]))
    for style, expected in (("star_per_token", [1, 1, 5]), ("star_per_mention", [1, 1, 6])):
        features = featurize(document, style)
        found = features.subword_ranges(mention_table(document)[0])
        assert found.tolist() == [[position, position + 1] for position in expected]


def test_a_star_of_the_text_is_no_marker():
    document = build("x", ["* a *"], [("PER", [(0, 1, 3)])])
    features = featurize(document, "star_per_token")
    assert read(features) == "[CLS] * * a * * [SEP]"
    assert features.markers.tolist() == [-1, 2, -1]
    assert features.word_ranges.tolist() == [[1, 2], [3, 4], [4, 5]]


def literal_input(document: Document, style: str) -> tuple[list[int], list[list[int]], list[int], dict[int, int]]:
    """Ids, word ranges, sentences and first marker by starting word, one word after the other."""
    tokenizer = tiny_tokenizer()
    mentions = {(*document.span(m), entity.type) for entity in document.entities for m in entity.mentions}
    starts, ends = Counter(start for start, _, _ in mentions), Counter(end - 1 for _, end, _ in mentions)
    if style == "star_per_token":
        starts, ends = Counter(set(starts)), Counter(set(ends))
    if style == "none":
        starts, ends = Counter(), Counter()
    star, word = tokenizer.convert_tokens_to_ids("*"), 0
    ids, ranges, sentences, first = [tokenizer.cls_token_id], [], [-1], {}
    for number, words in enumerate(document.sentences):
        for text in words:
            if starts[word]:
                first[word] = len(ids)
            ids += [star] * starts[word]
            begin = len(ids)
            ids += tokenizer(text, add_special_tokens=False)["input_ids"] or [tokenizer.unk_token_id]
            ranges.append([begin, len(ids)])
            ids += [star] * ends[word]
            sentences += [number] * (len(ids) - len(sentences))
            word += 1
    return [*ids, tokenizer.sep_token_id], ranges, [*sentences, -1], first


@pytest.mark.parametrize("style", STYLES)
@given(document=documents())
@settings(max_examples=60, deadline=None)
def test_every_field_is_that_of_a_walk_through_the_words(style, document):
    features = featurize(document, style)
    ids, ranges, sentences, first = literal_input(document, style)
    assert features.input_ids.tolist() == ids and features.input_ids.dtype == np.int64
    assert features.word_ranges.tolist() == ranges
    assert features.subword_sentences.tolist() == sentences
    assert features.special_lengths == (1, 1)
    sizes = [sentences.count(number) for number in range(len(document.sentences))]
    assert features.sentence_starts.tolist() == list(accumulate(sizes, initial=1))
    mentions = mention_table(document)[0]
    found = features.subword_ranges(mentions).tolist()
    if style == "none":
        assert features.markers is None
        assert found == [[ranges[start][0], ranges[end - 1][1]] for start, end in mentions.tolist()]
    else:
        assert features.markers.tolist() == [first.get(word, -1) for word in range(len(ranges))]
        assert found == [[first[start], first[start] + 1] for start, _ in mentions.tolist()]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("document", [*ODD_DOCUMENTS, ANNA], ids=lambda document: document.id)
def test_odd_documents_have_sentences_and_markers(document, style):
    features = featurize(document, style)
    assert len(features.sentence_starts) == len(document.sentences) + 1
    assert all(start <= end for start, end in pairwise(features.sentence_starts.tolist()))
    assert len(features.subword_sentences) == len(features.input_ids) >= 2
    star = tiny_tokenizer().convert_tokens_to_ids("*")
    ranges = features.subword_ranges(mention_table(document)[0])
    assert style == "none" or (features.input_ids[ranges[:, 0]] == star).all()
    assert ranges.shape[1] == 2 and (ranges[:, 1] > ranges[:, 0]).all()


# --- tokenizers ----------------------------------------------------------------------------------------------------


def byte_level_tokenizer() -> PreTrainedTokenizerBase:
    """As RoBERTa's: bytes, a few merges, `<s>` and `</s>`."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *alphabet, "an", "anna", "na"]
    merges = [("a", "n"), ("n", "a"), ("an", "na")]
    return RobertaTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=merges)


def word_level_tokenizer(template: str | None) -> PreTrainedTokenizerBase:
    """A few whole words, with the start and end tokens of a template."""
    pieces = {piece: number for number, piece in enumerate(["[UNK]", "<s>", "</s>", "a", "b", "c", "d", "*"])}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if template:
        specials = [(piece, pieces[piece]) for piece in ("<s>", "</s>")]
        tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=specials)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]")


def test_a_byte_level_tokenizer_marks_with_its_star():
    tokenizer = byte_level_tokenizer()
    document = build("x", ["anna 日 b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])])
    features = featurize(document, "star_per_token", tokenizer)
    pieces = tokenizer.convert_ids_to_tokens(features.input_ids.tolist())
    assert pieces == ["<s>", "*", "anna", "*", "*", *tokenizer.tokenize("日"), "*", "b", "</s>"]
    assert features.word_ranges.tolist() == [[2, 3], [5, 8], [9, 10]]
    assert features.markers.tolist() == [1, 4, -1] and features.special_lengths == (1, 1)
    assert tokenizer.decode(features.input_ids[5:8]) == "日"


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        ("$A </s>", [], [2]),
        ("<s> $A", [1], []),
        ("<s> $A </s> </s>", [1], [2, 2]),
        ("<s> </s> $A </s>", [1, 2], [2]),
        (None, [], []),
    ],
)
def test_start_and_end_tokens_are_those_of_the_tokenizer(template, before, after):
    features = featurize(spans(("PER", [(1, 3)])), "star_per_token", word_level_tokenizer(template))
    assert features.input_ids.tolist() == [*before, 3, 7, 4, 5, 7, 6, *after]
    assert features.special_lengths == (len(before), len(after))
    assert features.subword_sentences.tolist() == [-1] * len(before) + [0] * 6 + [-1] * len(after)
    assert features.markers.tolist() == [-1, len(before) + 1, -1, -1]
    empty = featurize(build("empty", []), "star_per_token", word_level_tokenizer(template))
    assert empty.input_ids.tolist() == [*before, *after]


@pytest.mark.parametrize("style", ["star_per_token", "star_per_mention"])
def test_a_tokenizer_without_the_marker_is_refused(style):
    pieces = [piece for piece in vocabulary() if piece not in ("*", "##*")]
    tokenizer = BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, do_lower_case=True)
    tokenizer.name_or_path = "some/encoder"
    with pytest.raises(ValueError, match=r"'some/encoder' has no piece for the marker '\*'.*entity_markers=\"none\""):
        featurize(ANNA, style, tokenizer)
    assert featurize(ANNA, "none", tokenizer).markers is None
