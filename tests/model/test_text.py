"""Raw text becomes words and sentences with exact offsets, and marked entities land on exactly their characters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import documents

from modeling_docre.documents import Document, DocumentError, Entity, Mention
from modeling_docre.given_entities import place_entities
from modeling_docre.text import _splitter, document_from_spacy, document_from_text

TEXT = "Anna Berg-Lee was born in Berlin. She works there."
RAW_TEXT = st.text(st.sampled_from("aB. \n\t!?日é\u200b’-"), max_size=40) | st.text(max_size=40)


def marked(*spans: tuple[int, int], kind: str = "PER") -> list[dict[str, Any]]:
    """One entity with a mention per character range."""
    return [{"type": kind, "mentions": [{"char_start": start, "char_end": end} for start, end in spans]}]


def check_offsets(document: Document) -> None:
    """Each word is its slice of the text, the words ascend, and no visible character lies outside of them."""
    offsets = [span for sentence in document.token_offsets for span in sentence]
    words = [word for sentence in document.sentences for word in sentence]
    assert words == [document.text[start:end] for start, end in offsets]
    borders = [0, *(border for span in offsets for border in span), len(document.text)]
    assert borders == sorted(borders)
    gaps = [document.text[end:start] for end, start in zip(borders[::2], borders[1::2], strict=True)]
    assert not "".join(gaps).strip()


def test_a_byte_order_mark_belongs_to_no_word() -> None:
    document, plain = (document_from_text(f"{mark}Anna came. She left.", "a") for mark in ("\ufeff", ""))
    assert document.sentences == plain.sentences and document.token_offsets[0][0] == (1, 5)


def test_new_words_do_not_stay_and_threads_change_nothing() -> None:
    texts = [f"Die {' '.join(f'wort{number}x{place}' for place in range(10))} ist's. Ja." for number in range(2000)]
    alone = [document_from_text(text, "a", "de") for text in texts[:50]]
    with ThreadPoolExecutor(4) as pool:
        documents = list(pool.map(lambda text: document_from_text(text, "a", "de"), texts))
    assert documents[:50] == alone and all(map(check_words, texts, documents))
    assert len(_splitter("de").vocab.strings) < 5000


def check_words(text: str, document: Document) -> bool:
    return document.sentences == ((*text.removesuffix(". Ja.").split(), "."), ("Ja", "."))


def test_half_of_a_surrogate_pair_is_named() -> None:
    with pytest.raises(DocumentError, match=r"'a': text is .*character 5 is half of a surrogate pair"):
        document_from_text("Anna \ud83d came", "a")
    with pytest.raises(DocumentError, match=r"sentences\[1\] is"):
        Document("a", (("fine",), ("b\udce9",)))


def test_words_and_sentences() -> None:
    document = document_from_text("Anna can't come.  She is ill!\nBye", "a")
    assert document.sentences == (("Anna", "ca", "n't", "come", "."), ("She", "is", "ill", "!"), ("Bye",))
    assert document.token_offsets[1][0] == (18, 21)
    assert document.id == "a"


def test_words_have_what_the_rules_ask_of_them() -> None:
    text = "Er sagte: „Komm.“ Sie ging (nie!) fort.  Dann war es\u2028vorbei … !"
    whole = spacy.blank("de")
    whole.add_pipe("sentencizer")
    assert document_from_text(text, "x", "de").sentences == document_from_spacy(whole(text), "x").sentences


@pytest.mark.parametrize("break_", ["\n\n", "\n \n", "\r\n\r\n", "\n\n\n"])
def test_an_empty_line_ends_a_sentence(break_: str) -> None:
    assert document_from_text(f"A Title{break_}Text", "a").sentences == (("A", "Title"), ("Text",))


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\n  "])
def test_a_line_break_does_not_end_a_sentence(break_: str) -> None:
    assert document_from_text(f"a wrapped{break_}line", "a").sentences == (("a", "wrapped", "line"),)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\u3000"])
def test_text_without_words(text: str) -> None:
    document = document_from_text(text, "a")
    assert (document.text, document.sentences, document.token_offsets) == (text, (), ())


def test_languages() -> None:
    assert document_from_text("dell'anno", "a", "it").sentences == (("dell'", "anno"),)
    with pytest.raises(
        ValueError, match=r"language 'zz' into words; give one of its codes, such as 'en' \(`language` of"
    ):
        document_from_text("a", "a", "zz")


@given(RAW_TEXT)
@settings(deadline=None, max_examples=60)
def test_offsets_of_any_text(text: str) -> None:
    check_offsets(document_from_text(text, "a"))


def test_mentions_in_characters() -> None:
    document = place_entities(document_from_text(TEXT, "a"), marked((0, 4), (34, 37)))
    assert document.sentences == document_from_text(TEXT, "a").sentences
    first, second = document.entities[0].mentions
    assert (first.sentence, first.start, first.end) == (0, 0, 1)
    assert (second.sentence, second.start, second.end, second.char_start, second.char_end) == (1, 0, 1, 34, 37)


def test_a_mention_splits_the_words_it_cuts() -> None:
    document = place_entities(document_from_text(TEXT, "a"), marked((7, 9), (27, 31)))
    assert document.sentences[0] == ("Anna", "Be", "rg", "-", "Lee", "was", "born", "in", "B", "erli", "n", ".")
    assert [document.mention_words(mention) for mention in document.entities[0].mentions] == ["rg", "erli"]
    check_offsets(document)


def test_a_mention_merges_the_sentences_it_spans() -> None:
    text = "One. Two. Three. Four."
    document = place_entities(document_from_text(text, "a"), marked((5, 15), (17, 21)))
    assert document.sentences == (("One", "."), ("Two", ".", "Three", "."), ("Four", "."))
    assert [mention.sentence for mention in document.entities[0].mentions] == [1, 2]
    assert document.mention_text(document.entities[0].mentions[0]) == "Two. Three"


def test_blanks_around_a_mention_merge_nothing() -> None:
    document = place_entities(document_from_text("One. Two.", "a"), marked((4, 8)))
    assert document.sentences == (("One", "."), ("Two", "."))
    assert document.mention_text(document.entities[0].mentions[0]) == " Two"


def test_word_mentions_move_with_the_cut() -> None:
    entities = [
        {"type": "PER", "mentions": [{"sentence": 1, "start": 0, "end": 1}]},
        {"type": "LOC", "mentions": [{"char_start": 28, "char_end": 36}]},
    ]
    document = place_entities(document_from_text(TEXT, "a"), entities)
    assert len(document.sentences) == 1
    person, place = (entity.mentions[0] for entity in document.entities)
    assert document.mention_words(place) == "rlin . Sh"
    assert document.mention_words(person) == "Sh e"
    assert document.mention_text(person) == "She"


def test_entities_of_a_result_can_be_given_again() -> None:
    document = place_entities(document_from_text(TEXT, "a"), marked((1, 3), (27, 36)))
    again = place_entities(document_from_text(TEXT, "a"), document.to_dict()["entities"])
    assert again == document
    assert place_entities(document_from_text(TEXT, "a"), document.entities) == document


def test_mentions_in_words_without_a_text() -> None:
    document = Document("a", (("Anna", "slept"), (), ("She", "snored")))
    placed = place_entities(document, [Entity("PER", (Mention(0, 0, 1), Mention(2, 0, 2)))])
    assert placed.sentences == document.sentences
    assert placed.entities == (Entity("PER", (Mention(0, 0, 1), Mention(2, 0, 2))),)


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ({"type": "PER"}, "entities is .*give a list of entities"),
        (["Anna"], r"entities\[0\] is 'Anna'"),
        ([[]], r"entities\[0\] is \[\]"),
        ([{"mentions": [{"char_start": 0, "char_end": 4}]}], r'entities\[0\] .*"type"'),
        ([{"type": "PER", "mentions": []}], "at least one"),
        ([{"type": "PER", "mentions": [5]}], r"entities\[0\]\.mentions\[0\] is 5"),
        ([{"type": "PER", "mentions": [{}]}], r"mentions\[0\] .*is \(None, None, None\); give char_start"),
        ([{"type": "PER", "mentions": [{"char_start": 0}]}], r"is \(0, None\)"),
        ([{"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 99}]}], r"is \(0, 0, 99\).*end <= 9"),
        ([{"type": "PER", "mentions": [{"sentence": 2, "start": 0, "end": 1}]}], "the document has sentences 0 to 1$"),
        ([{"type": "PER", "mentions": [{"sentence": 0, "start": -1, "end": 1}]}], r"\(0, -1, 1\)"),
        ([{"type": "PER", "mentions": [{"char_start": 0, "char_end": 4, "charend": 5}]}], "charend"),
        (marked((0, 4)) + marked((40, 51)), r"entities\[1\]\.mentions\[0\] .*is \(40, 51\).*char_end <= 50"),
        (marked((4, 4)), r"is \(4, 4\)"),
        (marked((-3, 4)), r"is \(-3, 4\)"),
        (marked((True, 4)), r"is \(True, 4\)"),
        (marked((4, 5)), "' ' holds no word"),
        (
            [{"type": "PER", "mentions": [{"char_start": 0, "char_end": 3, "name": "Anna"}]}],
            r"is \(0, 3\); this is .*the mention's name is 'Anna'",
        ),
    ],
)
def test_wrong_entities(entities: Any, message: str) -> None:
    with pytest.raises(DocumentError, match=message) as error:
        place_entities(document_from_text(TEXT, "a"), entities)
    assert error.value.document_id == "a"


def test_characters_need_a_text_in_order() -> None:
    with pytest.raises(DocumentError, match="no token_offsets into a text; give sentence, start and end"):
        place_entities(Document("a", (("Anna",),)), marked((0, 4)))
    both = [Entity("PER", (Mention(0, 1, 2, char_start=2, char_end=3),))]
    assert place_entities(Document("a", (("b", "a"),), text="b a"), both).entities == tuple(both)
    swapped = Document("a", (("b", "a"),), text="a b", token_offsets=(((2, 3), (0, 1)),))
    with pytest.raises(DocumentError, match=r"token_offsets is \(3, 0\); words must ascend"):
        place_entities(swapped, marked((0, 1)))


@given(st.data(), RAW_TEXT.filter(str.strip))
@settings(deadline=None, max_examples=60)
def test_any_marked_range_is_found_again(data: st.DataObject, text: str) -> None:
    """Whatever is marked, its words are the marked characters, and no other text is lost."""
    positions = st.integers(0, len(text))
    spans = data.draw(st.lists(st.tuples(positions, positions), min_size=1, max_size=4))
    original = document_from_text(text, "a")
    visible = {place for line in original.token_offsets for span in line for place in range(*span)}
    spans = [(min(span), max(span)) for span in spans if visible & set(range(min(span), max(span)))]
    if not spans:
        return
    document = place_entities(original, marked(*spans))
    check_offsets(document)
    for (start, end), mention in zip(spans, document.entities[0].mentions, strict=True):
        assert document.mention_text(mention) == text[start:end]
        words = document.sentences[mention.sentence][mention.start : mention.end]
        assert "".join(words) == "".join(text[place] for place in range(start, end) if place in visible)


@given(documents(all_fields=True))
@settings(deadline=None, max_examples=60)
def test_own_entities_keep_their_places(document: Document) -> None:
    """The entities of any document, given again in words, change nothing but what was unknown."""
    entities = [
        {
            "type": entity.type,
            "mentions": [{"sentence": m.sentence, "start": m.start, "end": m.end} for m in entity.mentions],
        }
        for entity in document.entities
    ]
    placed = place_entities(document, entities)
    assert (placed.sentences, placed.text, placed.token_offsets) == (
        document.sentences,
        document.text,
        document.token_offsets,
    )
    assert [[placed.span(m) for m in entity.mentions] for entity in placed.entities] == [
        [document.span(m) for m in entity.mentions] for entity in document.entities
    ]
