"""The interchange format: what is valid, what each error says, and that the dict form loses nothing."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from strategies import documents

from modeling_docre.documents import (
    Candidate,
    Completeness,
    Document,
    DocumentError,
    Entity,
    Mention,
    Relation,
    as_documents,
)

VALID: dict[str, Any] = {
    "id": "Marie Curie",
    "sentences": [["Marie", "Curie", "lived", "in", "Paris", "."], ["She", "won", "it", "."]],
    "entities": [
        {"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 2}, {"sentence": 1, "start": 0, "end": 1}]},
        {"type": "LOC", "mentions": [{"sentence": 0, "start": 4, "end": 5, "char_start": 21, "char_end": 26}]},
    ],
    "relations": [
        {
            "head": 0,
            "tail": 1,
            "type": "P551",
            "label": "residence",
            "evidence": [0],
            "mention_pairs": [{"head_mention": 1, "tail_mention": 0, "score": 0.5}],
            "origin": "human",
            "sentence_weights": [0.9, 0.1],
        }
    ],
    "text": "Marie Curie lived in Paris. She won it.",
    "token_offsets": [
        [[0, 5], [6, 11], [12, 17], [18, 20], [21, 26], [26, 27]],
        [[28, 31], [32, 35], [36, 38], [38, 39]],
    ],
    "candidates": [{"head": 1, "tail": 0, "scored": False, "cross": True}],
    "complete": {"mentions": True, "relations": False},
    "soft_relations": [{"head": 0, "tail": 1, "type": "P19", "score": 0.07}],
    "sections": {"sentences": [[0, 1], [0, 2]], "unscored_pairs": 1},
}
REMOVE = object()


def _named(path: str, value: Any) -> str:
    return f"{path} removed" if value is REMOVE else f"{path}={value!r}"


def _changed(path: str, value: Any) -> dict[str, Any]:
    """A copy of VALID with the item at `path` (keys and positions joined by dots) replaced or removed."""
    data = copy.deepcopy(VALID)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = data
    for part in parents:
        place = place[part]
    if value is REMOVE:
        del place[last]
    else:
        place[last] = value
    return data


# path to change, new value, field of the error, value of the error, words of the fix
BROKEN = [
    ("id", "", "id", "", "non-empty string"),
    ("id", 7, "id", 7, "give a string"),
    ("id", REMOVE, "id", None, "required"),
    ("sentences", REMOVE, "sentences", None, "required"),
    ("sentences", "a b", "sentences", "a b", "give a list"),
    ("sentences.0.1", 3, "sentences[0][1]", 3, "give a string"),
    ("sents", [], "document.sents", [], "drop this key; known are id, sentences"),
    ("text", REMOVE, "text", None, "give the text that token_offsets point into"),
    ("token_offsets.1", [[28, 31]], "token_offsets", [6, 1], "one offset pair per word: [6, 4] per sentence"),
    ("token_offsets.1.3", [38, 40], "token_offsets[1]", [38, 40], "0 <= start <= end <= 39"),
    ("token_offsets.1.3", [39, 38], "token_offsets[1]", [39, 38], "0 <= start <= end <= 39"),
    ("token_offsets.1.3", [-1, 38], "token_offsets[1]", [-1, 38], "0 <= start <= end <= 39"),
    ("token_offsets.1.3", [1, 2, 3], "token_offsets[1][3]", [1, 2, 3], "give a list of 2"),
    ("entities.0", ["PER"], "entities[0]", ["PER"], "give a dict"),
    ("entities.0.type", REMOVE, "entities[0].type", None, "required"),
    ("entities.0.name", "x", "entities[0].name", "x", "drop this key; known are type, mentions, id, score"),
    ("entities.1.mentions", [], "entities[1].mentions", [], "at least one mention or drop it"),
    ("entities.1.score", "high", "entities[1].score", "high", "give a number"),
    ("entities.1.mentions.0.sentence", 2, "entities[1].mentions[0].sentence", 2, "sentences 0 to 1"),
    ("entities.1.mentions.0.sentence", -1, "entities[1].mentions[0].sentence", -1, "sentences 0 to 1"),
    ("entities.1.mentions.0.start", 4.0, "entities[1].mentions[0].start", 4.0, "give a whole number"),
    ("entities.1.mentions.0.start", True, "entities[1].mentions[0].start", True, "give a whole number"),
    ("entities.1.mentions.0.end", 7, "entities[1].mentions[0] (start, end)", (4, 7), "start < end <= 6"),
    ("entities.1.mentions.0.end", 4, "entities[1].mentions[0] (start, end)", (4, 4), "length of sentence 0"),
    ("entities.1.mentions.0.start", -1, "entities[1].mentions[0] (start, end)", (-1, 5), "0 <= start"),
    ("entities.1.mentions.0.char_end", 40, "entities[1].mentions[0] (char_start, char_end)", (21, 40), "text (39)"),
    ("entities.1.mentions.0.char_end", 21, "entities[1].mentions[0] (char_start, char_end)", (21, 21), "text (39)"),
    ("entities.1.mentions.0.char_end", None, "entities[1].mentions[0] (char_start, char_end)", (21, None), "text (39)"),
    ("entities.1.mentions.0.char_start", None, "entities[1].mentions[0] (char_start, char_end)", (None, 26), "(39)"),
    ("relations.0.head", 2, "relations[0].head", 2, "entities 0 to 1"),
    ("entities", [], "relations[0].head", 0, "the document has no entities"),
    ("relations.0.tail", -1, "relations[0].tail", -1, "entities 0 to 1"),
    ("relations.0.tail", 0, "relations[0] (head, tail)", (0, 0), "two different entities"),
    ("relations.0.type", None, "relations[0].type", None, "required"),
    ("relations.0.evidence", [2], "relations[0].evidence", 2, "sentences 0 to 1"),
    ("relations.0.evidence", 0, "relations[0].evidence", 0, "give a list"),
    ("relations.0.mention_pairs.0.head_mention", 2, "relations[0].mention_pairs.head_mention", 2, "mentions 0 to 1"),
    ("relations.0.mention_pairs.0.tail_mention", 1, "relations[0].mention_pairs.tail_mention", 1, "mentions 0 to 0"),
    (
        "relations.0.mention_pairs.0.head_offsets",
        [9, 2],
        "relations[0].mention_pairs.head_offsets (start, end)",
        (9, 2),
        "0 <= start",
    ),
    ("relations.0.mention_pairs.0.tail_offsets", [1], "relations[0].mention_pairs[0].tail_offsets", [1], "list of 2"),
    ("candidates.0.head", 5, "candidates[0].head", 5, "entities 0 to 1"),
    ("candidates.0.head", 0, "candidates[0] (head, tail)", (0, 0), "two different entities"),
    ("candidates.0.scored", 1, "candidates[0].scored", 1, "true or false"),
    ("sentences", [], "token_offsets", [6, 4], "one offset pair per word"),
    ("entities.1.score", float("inf"), "entities[1].score", float("inf"), "give a finite number"),
    (
        "relations.0.mention_pairs.0.score",
        -float("inf"),
        "relations[0].mention_pairs[0].score",
        -float("inf"),
        "finite",
    ),
    ("relations.0.origin", "crowd", "relations[0].origin", "crowd", 'give "human" or "model"'),
    (
        "relations.0.sentence_weights",
        [1.0],
        "relations[0].sentence_weights",
        [1.0],
        "one weight per sentence, 2 in all",
    ),
    ("relations.0.sentence_weights.1", 1.5, "relations[0].sentence_weights", 1.5, "a number from 0 to 1"),
    ("complete.relations", "no", "complete.relations", "no", "give true or false"),
    ("complete.entities", True, "complete.entities", True, "drop this key; known are mentions, relations"),
    ("soft_relations.0.score", 1.2, "soft_relations[0].score", 1.2, "a number from 0 to 1"),
    ("soft_relations.0.score", REMOVE, "soft_relations[0].score", None, "required"),
    ("soft_relations.0.tail", 0, "soft_relations[0] (head, tail)", (0, 0), "two different entities"),
    ("sections.sentences.1.1", 3, "sections.sentences[1]", (0, 3), "give 0 <= start < end <= 2, the sentences"),
    ("sections.sentences.0.1", 0, "sections.sentences[0]", (0, 0), "give 0 <= start < end <= 2, the sentences"),
    ("sections.unscored_pairs", 0.5, "sections.unscored_pairs", 0.5, "a whole number"),
]


@pytest.mark.parametrize(("path", "value", "field", "shown", "fix"), BROKEN, ids=[_named(*item[:2]) for item in BROKEN])
def test_error_names_document_field_value_and_fix(path: str, value: Any, field: str, shown: Any, fix: str) -> None:
    data = _changed(path, value)
    with pytest.raises(DocumentError) as caught:
        Document.from_dict(data)
    error = caught.value
    assert (error.document_id, error.field, error.value) == (data.get("id"), field, shown)
    assert fix in error.fix
    assert str(error) == f"document {data.get('id')!r}: {field} is {shown!r}; {error.fix}"


@pytest.mark.parametrize("data", [None, [], "Marie Curie", 3])
def test_a_document_must_be_a_dict(data: Any) -> None:
    with pytest.raises(DocumentError, match=r"document is .*; give a dict"):
        Document.from_dict(data)


def test_character_offsets_need_a_text() -> None:
    entity = Entity("PER", (Mention(0, 0, 1, char_start=0, char_end=1),))
    with pytest.raises(DocumentError, match=r"document 'd': entities\[0\].mentions\[0\] \(char_start, char_end\)"):
        Document("d", (("A",),), (entity,))


@pytest.mark.parametrize(
    "fields",
    [{"relations": (Relation(0, 0, "P17"),)}, {"candidates": (Candidate(0, 0),)}, {"id": ""}],
)
def test_construction_is_checked_as_well(fields: dict[str, Any]) -> None:
    entity = Entity("PER", (Mention(0, 0, 1),))
    with pytest.raises(DocumentError):
        Document(**({"id": "d", "sentences": (("A",),), "entities": (entity,)} | fields))


def test_a_document_without_sentences_has_none_to_choose_from() -> None:
    entity = {"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 1}]}
    with pytest.raises(DocumentError, match="sentence is 0; the document has no sentences"):
        Document.from_dict({"id": "d", "sentences": [], "entities": [entity]})


def test_what_is_not_stated_is_complete() -> None:
    stated = Document.from_dict({"id": "d", "sentences": [["A"]], "complete": {"relations": False}}).complete
    assert stated == Completeness(mentions=True, relations=False)
    assert Document.from_dict({"id": "d", "sentences": [["A"]]}).complete is None


def test_long_values_are_shortened_in_the_message() -> None:
    error = DocumentError("d", "text", "x" * 1000, "shorten it")
    assert len(str(error)) < 170 and "..." in str(error) and error.value == "x" * 1000


def test_values_beyond_reason_are_no_crash() -> None:
    deep: Any = []
    for _ in range(3000):
        deep = [deep]
    for field, value, message in (
        ("text", deep, "text is a value of type list that is too large to show; give a string"),
        ("text", 10**5000, "text is a value of type int that is too large to show; give a string"),
        ("relations.0.score", 10**400, r"relations\[0\]\.score is 1000.*\.\.\.; give a finite number"),
    ):
        with pytest.raises(DocumentError, match=message):
            Document.from_dict(_changed(field, value))


def test_error_survives_pickling() -> None:
    error = DocumentError("Marie Curie", "entities[0].type", 3, "give a string")
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is DocumentError and str(copied) == str(error)
    parts = ("Marie Curie", "entities[0].type", 3, "give a string")
    assert (copied.document_id, copied.field, copied.value, copied.fix) == parts
    assert isinstance(copied, ValueError)


def test_words_spans_and_text() -> None:
    document = Document.from_dict(VALID)
    person, place = document.entities
    assert document.sentence_starts == (0, 6, 10)
    assert [document.span(mention) for mention in person.mentions] == [(0, 2), (6, 7)]
    assert document.mention_words(person.mentions[0]) == "Marie Curie"
    assert document.mention_text(person.mentions[0]) == "Marie Curie"
    assert document.mention_text(place.mentions[0]) == "Paris"
    shifted = copy.deepcopy(VALID)
    shifted["entities"][1]["mentions"][0] |= {"char_start": 18, "char_end": 26}
    document = Document.from_dict(shifted)
    assert document.mention_text(document.entities[1].mentions[0]) == "in Paris"
    assert document.mention_words(document.entities[1].mentions[0]) == "Paris"


def test_absent_and_none_are_alike() -> None:
    bare = Document.from_dict(
        {"id": "d", "sentences": [["A", "B"]], "text": None, "entities": None, "candidates": None}
    )
    assert bare == Document.from_dict({"id": "d", "sentences": [["A", "B"]]}) == Document("d", (("A", "B"),))
    assert bare.to_dict() == {"id": "d", "sentences": [["A", "B"]], "entities": [], "relations": []}


def test_dict_form_is_the_one_documented() -> None:
    assert Document.from_dict(VALID).to_dict() == VALID


def test_as_documents_takes_both_forms() -> None:
    document = Document.from_dict(VALID)
    assert as_documents([document, VALID]) == [document, document]
    assert as_documents([document])[0] is document


@settings(max_examples=150, deadline=None)
@given(documents(all_fields=True))
def test_dict_form_loses_nothing(document: Document) -> None:
    data = document.to_dict()
    assert Document.from_dict(data) == document
    assert Document.from_dict(json.loads(json.dumps(data))) == document
    assert pickle.loads(pickle.dumps(document)) == document
    for entity in document.entities:
        for mention in entity.mentions:
            start, end = document.span(mention)
            flat = [word for sentence in document.sentences for word in sentence]
            assert " ".join(flat[start:end]).strip() == document.mention_words(mention)
