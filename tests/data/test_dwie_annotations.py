"""DWIE's annotation files: what is read, which relations are kept, and the message for each bad input."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import product
from typing import Any

import pytest
from news_articles import article, mention

from dataset_scripts.building.concept_pairs import UNMENTIONED
from dataset_scripts.readers.dwie_annotations import (
    REPEATED_ROWS,
    SELF_ROWS,
    Article,
    ConceptMention,
    kept_relations,
    read_article,
)
from modeling_docre.documents import DocumentError

TYPES = ("entity person", "entity location", "entity")
# content: Ann saw Ulm.
GOOD = article("DW_1", "[0:Ann] saw [1:Ulm].", TYPES, [(0, "based_in0", 1)])


def _read(record: Any) -> Article:
    return read_article(json.dumps(record).encode(), "file.json")


def _changed(key: str, number: int | None, **values: Any) -> dict[str, Any]:
    """The good article with other values in a row of a list, or without a key where the value is `...`."""
    record = json.loads(json.dumps(GOOD))
    place = record if number is None else record[key][number]
    for name, value in values.items():
        place[name] = value
        if value is ...:
            del place[name]
    return record


def test_what_is_read() -> None:
    assert _read(GOOD) == Article(
        "DW_1",
        "train",
        "Ann saw Ulm.",
        (ConceptMention(0, 3, 0), ConceptMention(8, 11, 1)),
        {0: ("type::entity", "type::person"), 1: ("type::entity", "type::location"), 2: ("type::entity",)},
        ((0, "based_in0", 1),),
    )


def test_line_ends_and_byte_order_mark_do_not_matter(subtests: pytest.Subtests) -> None:
    for indent, ending, mark in product([None, 2], ["\n", "\r\n"], [b"", b"\xef\xbb\xbf"]):
        with subtests.test(indent=indent, ending=ending, mark=mark):
            text = json.dumps(GOOD, indent=indent).replace("\n", ending) + ending
            assert read_article(mark + text.encode(), "file.json") == _read(GOOD)


def test_offsets_count_characters_of_the_content_as_it_is() -> None:
    record = article("DW_1", "Ä😀\r\n\r\n[0:Zoë] left.", TYPES)
    raw = json.dumps(record, ensure_ascii=False).encode()
    found = read_article(raw, "file.json")
    assert found == _read(record)
    [place] = found.mentions
    assert (place.start, found.text[place.start : place.end]) == (6, "Zoë")


def test_a_concept_number_is_no_position() -> None:
    record = _changed("concepts", 0, concept=17)
    record["mentions"][0]["concept"] = record["relations"][0]["s"] = 17
    found = _read(record)
    assert list(found.concepts) == [17, 1, 2] and found.relations == ((17, "based_in0", 1),)


def test_a_concept_without_tags(subtests: pytest.Subtests) -> None:
    for tags in [None, ..., []]:
        with subtests.test(tags=tags):
            assert _read(_changed("concepts", 2, tags=tags)).concepts[2] == ()


def test_a_number_as_id() -> None:
    assert _read(_changed("id", None, id=42)).id == "42"


def test_a_file_without_mentions_needs_no_text(subtests: pytest.Subtests) -> None:
    for content in [None, "", ...]:
        with subtests.test(content=content):
            found = _read(_changed("content", None, content=content, mentions=[]))
            assert (found.text, found.mentions, len(found.concepts)) == ("", (), 3)


def test_kept_relations() -> None:
    rows = [
        (0, "in0", 1),  # kept
        (0, "in0-x", 1),  # another type: kept
        (0, "in0", 1),  # the first one again
        (1, "in0", 0),  # the other direction: kept
        (1, "vs", 1),  # of a concept to itself
        (1, "vs", 1),  # the same again
        (0, "in0", 2),  # to a concept without a mention
        (2, "in0", 0),  # from one
        (2, "in0", 0),  # the same again
        (2, "vs", 2),  # of a concept without a mention to itself
    ]
    counts: Counter[str] = Counter()
    found = kept_relations(_read(article("DW_1", "[0:Ann] saw [1:Ulm].", TYPES, rows)), counts)
    assert found == [(0, "in0", 1), (0, "in0-x", 1), (1, "in0", 0)]
    assert counts == {REPEATED_ROWS: 3, SELF_ROWS: 2, UNMENTIONED: 2}


def test_a_text_that_was_not_fetched(subtests: pytest.Subtests) -> None:
    for content in [None, "", ...]:
        with (
            subtests.test(content=content),
            pytest.raises(DocumentError, match=r"document 'DW_1': content is (None|''); fetch .*dwie_download\.py"),
        ):
            _read(_changed("content", None, content=content))


def test_a_mention_of_other_text_is_shown_with_both() -> None:
    with pytest.raises(DocumentError) as caught:
        _read(_changed("mentions", 1, begin=7))
    message = str(caught.value)
    assert message.startswith("document 'DW_1': mentions[1] (begin, end) is (7, 11); ")
    assert "' Ulm'" in message and "'Ulm'" in message and "dwie_download.py" in message


def test_a_mention_outside_the_text(subtests: pytest.Subtests) -> None:
    for span in [(8, 13), (-4, 3), (8, 8), (11, 8)]:
        with subtests.test(span=span):
            expected = (
                rf"mentions\[1\] \(begin, end\) is \({span[0]}, {span[1]}\); the mention is 'Ulm'; .*<= 12, the length"
            )
            with pytest.raises(DocumentError, match=expected):
                _read(_changed("mentions", 1, begin=span[0], end=span[1]))


def test_each_bad_value_is_named(subtests: pytest.Subtests) -> None:
    cases = [
        ("id", None, {"id": ...}, "document 'file.json': id is None; give the name"),
        ("id", None, {"id": ""}, "document 'file.json': id is ''; give the name"),
        ("id", None, {"id": True}, "document 'file.json': id is True; give the name"),
        ("content", None, {"content": ["Ann"]}, "content is ['Ann']; give the text as a string"),
        ("tags", None, {"tags": ...}, "tags is None; the key is missing; give the list of document tags"),
        ("tags", None, {"tags": "train"}, "tags is 'train'; give the list of document tags"),
        ("tags", None, {"tags": ["all", 1]}, "tags[1] is 1; give a string"),
        ("tags", None, {"tags": ["all"]}, "tags is ['all']; give either 'train' or 'test'"),
        ("tags", None, {"tags": ["train", "test"]}, "tags is ['train', 'test']; give either 'train' or 'test'"),
        ("mentions", None, {"mentions": ...}, "mentions is None; the key is missing; give a list of objects"),
        ("mentions", None, {"mentions": {}}, "mentions is {}; give a list of objects"),
        ("mentions", None, {"mentions": [[0, 3]]}, "mentions[0] is [0, 3]; give an object"),
        ("mentions", 1, {"begin": ...}, "mentions[1].begin is None; the key is missing; give a number of characters"),
        ("mentions", 1, {"end": "11"}, "mentions[1].end is '11'; give a number of characters of `content`"),
        ("mentions", 1, {"begin": True}, "mentions[1].begin is True; give a number of characters"),
        ("mentions", 1, {"text": None}, "mentions[1].text is None; give the text of the mention"),
        ("mentions", 1, {"concept": None}, "mentions[1].concept is None; give the number of a concept"),
        ("mentions", 1, {"concept": 3}, "mentions[1].concept is 3; the article has no concept of this number"),
        ("concepts", None, {"concepts": ...}, "concepts is None; the key is missing; give a list of objects"),
        ("concepts", 1, {"concept": ...}, "concepts[1].concept is None; the key is missing; give the number"),
        ("concepts", 1, {"concept": 0}, "concepts[1].concept is 0; another concept has this number"),
        ("concepts", 1, {"tags": "type::person"}, "concepts[1].tags is 'type::person'; give a list of tags"),
        ("concepts", 1, {"tags": [None]}, "concepts[1].tags[0] is None; give a string"),
        ("relations", None, {"relations": ...}, "relations is None; the key is missing; give a list of objects"),
        ("relations", 0, {"s": "0"}, "relations[0].s is '0'; give the number of a concept"),
        ("relations", 0, {"o": 9}, "relations[0].o is 9; the article has no concept of this number"),
        ("relations", 0, {"p": ...}, "relations[0].p is None; the key is missing; give the relation type"),
        ("relations", 0, {"p": ""}, "relations[0].p is ''; give the relation type"),
    ]
    for key, number, values, found in cases:
        with subtests.test(key=key, found=found):
            expected = found if found.startswith("document") else f"document 'DW_1': {found}"
            with pytest.raises(DocumentError, match=f"^{re.escape(expected)}"):
                _read(_changed(key, number, **values))


def test_text_that_is_no_json_object(subtests: pytest.Subtests) -> None:
    cases = [
        (b'{"id": "DW_1", ', r"document 'file\.json': JSON text is b'.*give one JSON object in UTF-8 \(Expecting"),
        (b"", r"document 'file\.json': JSON text is b''; give one JSON object"),
        (b'{"id": "D\xfc"}', r"document 'file\.json': JSON text is .*UTF-8 \('utf-8' codec"),
        (b"[]", r"document 'file\.json': JSON text is \[\]; give one JSON object"),
    ]
    for content, found in cases:
        with subtests.test(content=content, found=found), pytest.raises(DocumentError, match=found):
            read_article(content, "file.json")


def test_mentions_may_overlap_and_share_a_span() -> None:
    record = _changed("mentions", None, mentions=[mention(0, "Ann", 0), mention(0, "Ann saw", 1), mention(0, "Ann", 2)])
    assert [(m.start, m.end, m.concept) for m in _read(record).mentions] == [(0, 3, 0), (0, 7, 1), (0, 3, 2)]
