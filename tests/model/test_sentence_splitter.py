"""Sentence borders: those of the default rules, of a spaCy pipeline, of a function, and of a spaCy `Doc`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy
from pipelines import ENTITIES, TEXTS, build, decisive_jerex

from modeling_docre import DocRelationExtractionPipeline, DocumentError
from modeling_docre.text import document_from_spacy, document_from_text


@pytest.fixture(scope="module")
def extract() -> DocRelationExtractionPipeline:
    return build(decisive_jerex())


def halves(text: str) -> list[tuple[int, int]]:
    """A splitter at semicolons."""
    return [match.span() for match in re.finditer(r"[^;]+;?", text)]


def semicolons(**options: Any) -> spacy.Language:
    """A spaCy pipeline with sentences that end at semicolons, and words at blanks only."""
    language = spacy.blank("en")
    language.add_pipe("sentencizer", config={"punct_chars": [";"]})
    language.tokenizer = spacy.tokenizer.Tokenizer(language.vocab, suffix_search=re.compile(";$").search)
    return language


def lines(text: str, language: str = "en", splitter: Any = None) -> list[str]:
    """The sentences of a text, each as it stands there."""
    offsets = document_from_text(text, "a", language, splitter).token_offsets or ()
    return [text[words[0][0] : words[-1][1]] for words in offsets]


def test_abbreviations_and_numbers_end_no_sentence() -> None:
    for sentence in (
        "See Fig. 3 and Figs. 4, 5 (No. 7, vol. 2, pp. 3).",
        "John Sr. goes home.",
        "The pv. tabaci strain is of B. tabaci.",
        "Article 5. 1. applies.",
        "So did Smith et al. in 1990, Kumar et al., 2006, and the others, etc., by mail.",
        "Capt. Jones and Lt. Miller climbed Mt. Everest.",
    ):
        assert lines(f"It is so. {sentence} It was so.") == ["It is so.", sentence, "It was so."]


def test_what_follows_an_end_still_begins_a_sentence() -> None:
    for text in (
        "He was the senior, so to say Sr.|He left.",
        "They wrote to Smith et al.|The answer came.",
        "He translates by MT.|It is quick.",
        "It was in 1938.|12 people came.",
        "it is so.|it was so.",
        'He left.|"Go," she said.|(It was late.)|("Too late.")|He said "no."|She left.',
        "A title with vol.\n\n|3 people came.",
    ):
        assert lines(text.replace("|", "" if "\n" in text else " ")) == [part.strip() for part in text.split("|")]


def test_abbreviations_are_those_of_english_alone() -> None:
    assert lines("Dijo que no. 7 personas.", "es") == ["Dijo que no.", "7 personas."]
    assert lines('Er ging. "Komm", sagte sie.', "de") == ["Er ging.", '"Komm", sagte sie.']


def test_a_spacy_pipeline_gives_its_sentences_and_its_words() -> None:
    document = document_from_text("\ufeffDon't go. Stay; he said", "a", "en", semicolons())
    assert document.sentences == (("Don't", "go.", "Stay", ";"), ("he", "said"))
    assert document.token_offsets[1] == ((17, 19), (20, 24)) and document.text[0] == "\ufeff"
    with pytest.raises(DocumentError, match=r"'a': sentences of the spaCy Doc is None; add a component .*sentencizer"):
        document_from_text("One. Two.", "a", "en", spacy.blank("en"))
    assert document_from_text("", "a", "en", semicolons()).sentences == ()


def test_a_function_gives_the_sentences_and_the_language_the_words() -> None:
    document = document_from_text("\ufeffDon't go.\n\nStay; he said", "a", "en", halves)
    assert document.sentences == (("Do", "n't", "go", ".", "Stay", ";"), ("he", "said"))
    assert lines("wordword", splitter=lambda text: [(0, 4), (4, 8)]) == ["word", "word"]
    assert lines(" One. Two. ", splitter=lambda text: ([1, 5], [5, 5], [6, 10])) == ["One.", "Two."]
    assert document_from_text(" ", "a", "en", lambda text: []).sentences == ()


def test_a_function_that_leaves_something_out_is_one_clear_error() -> None:
    fix = r"give ascending \(start, end\) in characters that hold all from character"
    for ranges, shown in (
        ([(5, 9)], r"\(5, 9\)"),
        ([(0, 5), (4, 9)], r"\(4, 9\)"),
        ([(0, 10)], r"\(0, 10\)"),
        ([(4, 0)], r"\(4, 0\)"),
        ([(-1, 9)], r"\(-1, 9\)"),
        ([(0.0, 9)], r"\(0\.0, 9\)"),
        (["One.", "Two."], "'One.'"),
        ([(0, 4, 9)], r"\(0, 4, 9\)"),
    ):
        with pytest.raises(DocumentError, match=rf"'a': next sentence of sentence_splitter is {shown}; {fix}"):
            document_from_text("One. Two.", "a", "en", lambda text, ranges=ranges: ranges)
    for ranges, end, rest in (([], 0, "One. Two."), ([(0, 4)], 4, "Two."), ([(0, 3)], 3, ". Two.")):
        message = (
            rf"'a': end of the last sentence of sentence_splitter is {end}; this leaves out the text from '{rest}' on"
        )
        with pytest.raises(DocumentError, match=message):
            document_from_text("One. Two.", "a", "en", lambda text, ranges=ranges: ranges)
    for nothing in (None, 5):
        with pytest.raises(DocumentError, match=rf"'a': result of sentence_splitter is {nothing}; give a list of"):
            document_from_text("One. Two.", "a", "en", lambda text, nothing=nothing: nothing)


def test_an_error_of_a_function_tells_the_document(extract: Any) -> None:
    def failing(text: str) -> Iterator[tuple[int, int]]:
        yield 0, 4
        raise LookupError("no rule")

    for splitter in (failing, lambda text: 1 / 0):
        with pytest.raises((LookupError, ZeroDivisionError)) as raised:
            extract({"id": "a letter", "text": TEXTS[0]}, sentence_splitter=splitter)
        assert raised.value.__notes__ == ["sentence_splitter raised this for document 'a letter'"]


def test_a_call_of_the_pipeline_takes_a_splitter_and_stores_none(extract: Any, tmp_path: Path) -> None:
    text = "Anna Berg; she was born in Berlin. She works."
    usual = extract(text)
    for splitter in (halves, semicolons()):
        wanted = document_from_text(text, "text-0", "en", splitter).to_dict()["sentences"]
        assert len(wanted) == 2 and wanted != usual["sentences"]
        for inputs in (text, {"text": text}, {"text": text, "entities": []}):
            assert extract(inputs, sentence_splitter=splitter)["sentences"] == wanted
        assert build(extract.model, sentence_splitter=splitter)([text])[0]["sentences"] == wanted
    assert extract([["a", ";", "b"]], sentence_splitter=halves)["sentences"] == [["a", ";", "b"]]
    assert extract(text) == usual
    for wrong in ("en_core_web_sm", 3):
        with pytest.raises(ValueError, match=f"sentence_splitter is {wrong!r}; give a loaded spaCy pipeline"):
            extract(text, sentence_splitter=wrong)
    build(extract.model, sentence_splitter=halves).save_pretrained(tmp_path)
    assert "splitter" not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_a_spacy_doc_is_taken_with_its_words_sentences_and_offsets(extract: Any) -> None:
    text = "Anna Berg; she was  born in Berlin."
    parsed = semicolons()(text)
    result = extract(parsed)
    assert result["sentences"] == [["Anna", "Berg", ";"], ["she", "was", "born", "in", "Berlin."]]
    assert result["text"] == text and result["token_offsets"][1][2] == [20, 24] and result["id"] == "text-0"
    assert {**result, "id": "a"} == extract(document_from_spacy(parsed, "a"))
    both = extract([parsed, TEXTS[1]], batch_size=2)
    assert both[0]["sentences"] == result["sentences"] and both[1]["text"] == TEXTS[1]
    assert next(extract(iter([parsed]))) == result
    berlin = [{"type": "LOC", "mentions": [{"char_start": 28, "char_end": 34}]}]
    assert extract(parsed, entities=berlin)["entities"][0]["mentions"][0]["name"] == "Berlin"
    words, spaces, starts = ["Anna", "left", "."], [True, False, True], [True, False, False]
    by_hand = extract(spacy.tokens.Doc(parsed.vocab, words, spaces, sent_starts=starts))
    assert by_hand["sentences"] == [words] and by_hand["text"] == "Anna left. "
    with pytest.raises(DocumentError, match="'text-0': sentences of the spaCy Doc is None"):
        extract(spacy.blank("en")(text))
    relate = build(decisive_jerex(task="relation"))
    with pytest.raises(DocumentError, match="'text-0': entities is None; give the entities to relate"):
        relate(parsed)
    assert len(relate(semicolons()(TEXTS[0]), entities=ENTITIES)["entities"]) == 3
