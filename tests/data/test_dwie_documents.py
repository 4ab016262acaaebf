"""Documents from DWIE's articles: mentions in words, sentences merged under them, names as the text has them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from news_articles import article, mention

from dataset_scripts.readers.dwie_annotations import Article, read_article
from dataset_scripts.readers.dwie_documents import OTHER_TYPE_TAGS, UNTYPED, WITHOUT_TYPE_TAG, ArticleReader
from modeling_docre.documents import Document


def _article(marked: str, types: list[str], *more: dict[str, Any], **fields: Any) -> Article:
    record = article("d", marked, types, **fields)
    record["mentions"] += more
    return read_article(json.dumps(record).encode(), "d.json")


def _document(marked: str, types: list[str] | None = None, *more: dict[str, Any]) -> Document:
    document = ArticleReader(["person"], {}).read(_article(marked, types or ["person"] * 4, *more))
    assert document is not None
    return document


def _words(document: Document) -> list[list[tuple[str, str | None]]]:
    """Words and names of each entity's mentions."""
    return [[(document.mention_words(m), m.name) for m in entity.mentions] for entity in document.entities]


def test_a_mention_across_a_sentence_border() -> None:
    document = _document("[0:Who? Me] was a film. [1:Ann] saw it.")
    assert [" ".join(sentence) for sentence in document.sentences] == ["Who ? Me was a film .", "Ann saw it ."]
    assert _words(document) == [[("Who ? Me", "Who? Me")], [("Ann", None)]]
    assert _document("Who? [0:Me] was a film.").sentences[0] == ("Who", "?")


def test_a_mention_that_cuts_a_word() -> None:
    document = _document("The [0:US]made car of [1:Ann], pre[2:EU].")
    assert document.sentences == (("The", "US", "made", "car", "of", "Ann", ",", "pre", "EU", "."),)
    assert _words(document) == [[("US", None)], [("Ann", None)], [("EU", None)]]
    assert document.token_offsets is not None and document.token_offsets[0][1:3] == ((4, 6), (6, 10))


def test_mentions_that_overlap() -> None:
    # Angela Merkel of Germany left
    document = _document(
        "[0:Angela Merkel] of Germany left.",
        None,
        mention(7, "Merkel of Germany", 1),
        mention(17, "Germany", 2),
        mention(17, "Germany", 3),
        mention(10, "kel of Ger", 0),
    )
    assert document.sentences == (("Angela", "Mer", "kel", "of", "Ger", "many", "left", "."),)
    assert _words(document) == [
        [("Angela Mer kel", "Angela Merkel"), ("kel of Ger", None)],
        [("Mer kel of Ger many", "Merkel of Germany")],
        [("Ger many", "Germany")],
        [("Ger many", "Germany")],
    ]
    for entity in document.entities:
        for found in entity.mentions:
            assert document.mention_text(found) == (found.name or document.mention_words(found))


def test_the_order_is_that_of_the_text() -> None:
    # in the file: Ulm (concept 1), the second Ann, the first Ann (both concept 0)
    more = [mention(8, "Ulm", 1), mention(13, "Ann", 0), mention(0, "Ann", 0)]
    document = _document("Ann saw Ulm. Ann left.", None, *more)
    assert [entity.id for entity in document.entities] == ["0", "1"]
    assert [(m.sentence, m.start, m.char_start) for m in document.entities[0].mentions] == [(0, 0, 0), (1, 0, 13)]


def test_names_are_the_strings_of_the_text() -> None:
    document = _document("[0:Merkel's] car and [1:Rio\nde  Janeiro].")
    assert _words(document) == [[("Merkel 's", "Merkel's")], [("Rio de Janeiro", "Rio\nde  Janeiro")]]


def test_a_long_article_stays_whole() -> None:
    document = _document(" ".join(f"Then came [0:Ann] to place {number}." for number in range(400)))
    assert len(document.entities[0].mentions) == len(document.sentences) == 400


def test_the_type_is_the_first_of_the_priority_list(subtests: pytest.Subtests) -> None:
    cases = [
        ("person", "person"),
        ("entity politician person", "person"),
        ("location person", "location"),  # the first of the list below
        ("entity", "entity"),
        ("footer skip", UNTYPED),
        ("Person", UNTYPED),
        ("", UNTYPED),
    ]
    for tags, found in cases:
        with subtests.test(tags=tags, found=found):
            reader = ArticleReader(["location", "person", "entity"], {})
            document = reader.read(_article("[0:Ann] left.", [tags]))
            assert document is not None and [entity.type for entity in document.entities] == [found]
            missed = {OTHER_TYPE_TAGS if tags else WITHOUT_TYPE_TAG: 1} if found == UNTYPED else {}
            assert {
                name: reader.counts[name] for name in (OTHER_TYPE_TAGS, WITHOUT_TYPE_TAG) if reader.counts[name]
            } == missed


def test_labels_and_counts() -> None:
    reader = ArticleReader(["person"], {"vs": "plays against"})
    rows = [(0, "vs", 1), (1, "vs", 0), (0, "won_vs", 1)]
    document = reader.read(_article("[1:Ann] beat [0:Eve].", ["person"] * 3, relations=rows))
    assert document is not None
    # concept 1 comes first in the text
    assert [(r.head, r.type, r.tail, r.label) for r in document.relations] == [
        (1, "vs", 0, "plays against"),
        (0, "vs", 1, "plays against"),
        (1, "won_vs", 0, None),
    ]
    assert reader.read(_article("Nobody came.", ["person"])) is None
    counted = {name: number for name, number in reader.counts.items() if number}
    assert counted == {
        "documents": 2,
        "concepts": 4,
        "mentions": 2,
        "relation rows": 3,
        "documents without a mention (dropped)": 1,
        "concepts without a mention (dropped)": 2,
    }
