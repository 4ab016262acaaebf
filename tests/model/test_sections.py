"""Long documents in sections: what each of them holds, and what becomes of their results."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines import build, close, decisive_atlop, decisive_jerex
from strategies import documents
from tiny import TINY, tiny_spert

from modeling_docre import DocRelationExtractionPipeline, Document, DocumentError, Entity, Mention, Predictor, Relation
from modeling_docre.documents import Candidate, MentionPair, Sections
from modeling_docre.features import relation_pairs
from modeling_docre.merging import LocalEntity, Spelling, same_things
from modeling_docre.sections import SectionedDocument
from modeling_docre.text import document_from_text

LINES = [
    "Anna Berg was born in Berlin.",
    "She works at the Institute.",
    "Tom met Anna in Berlin.",
    "The Institute is old.",
    "Tom and Anna Berg work there.",
    "Berlin is large.",
]
LONG = " ".join(LINES * 5)


@pytest.fixture(scope="module")
def extract() -> DocRelationExtractionPipeline:
    """A model that finds entities and relations itself."""
    return build(decisive_jerex())


@pytest.fixture(scope="module")
def atlop() -> DocRelationExtractionPipeline:
    """A model that finds relations between given entities, with evidence."""
    return build(decisive_atlop())


def ranges(cut: SectionedDocument) -> list[list[tuple[int, int, int]]]:
    """Sentence, first word and end of each piece of each section."""
    return [[piece[:3] for piece in section.pieces] for section in cut.sections]


def sentences(*lengths: int) -> Document:
    """A document of sentences of so many words."""
    return Document("d", tuple(tuple(f"w{s}.{w}" for w in range(length)) for s, length in enumerate(lengths)))


def test_sections_are_sentences_and_neighbours_share_some():
    cut = SectionedDocument.cut(sentences(4, 4, 2, 4, 4), 10, given=False)
    assert ranges(cut) == [[(0, 0, 4), (1, 0, 4), (2, 0, 2)], [(2, 0, 2), (3, 0, 4), (4, 0, 4)]]
    assert [piece.context for piece in cut.sections[0].pieces] == [6, 2, 0], "nothing is missing before the first"
    assert cut.sections[1].document.sentences[0] == ("w2.0", "w2.1")
    apart = SectionedDocument.cut(sentences(4, 4, 2, 4, 4), 10, given=False, overlapping=False)
    assert ranges(apart)[1] == [(3, 0, 4), (4, 0, 4)]


def test_a_sentence_that_is_too_long_is_cut_around_given_mentions():
    entity = Entity("PER", (Mention(0, 1, 6), Mention(1, 0, 1)))
    document = replace(sentences(12, 3), entities=(entity,))
    cut = SectionedDocument.cut(document, 5, given=True)
    assert ranges(cut)[0] == [(0, 0, 1)] and ranges(cut)[1] == [(0, 1, 6)], "a mention of five words stays whole"
    assert cut.sections[1].document.entities[0].mentions == (Mention(0, 0, 5),)
    assert ranges(cut)[-1][-1] == (1, 0, 3)


def test_a_paragraph_stays_together():
    nine, sixteen = f"{LINES[3]} {LINES[5]}", " ".join([LINES[5]] * 4)  # words
    document = document_from_text("\n\n".join([nine, nine, sixteen]), "d")
    cut = SectionedDocument.cut(document, 12, given=False)
    assert [[number for number, *_ in section] for section in ranges(cut)] == [[0, 1], [2, 3], [4, 5, 6], [7]]


@settings(max_examples=60, deadline=None)
@given(documents(max_sentences=8, all_fields=True), st.integers(1, 20), st.booleans())
def test_no_word_mention_or_pair_is_lost(document: Document, words: int, overlapping: bool) -> None:
    if not document.sentences:
        return
    cut = SectionedDocument.cut(document, words, True, overlapping)
    covered = {(n, word) for section in ranges(cut) for n, start, end in section for word in range(start, end)}
    assert covered == {(n, word) for n, sentence in enumerate(document.sentences) for word in range(len(sentence))}
    assert [section[-1] for section in ranges(cut)] == sorted(section[-1] for section in ranges(cut))
    mentions, asked = set(), set()
    for section in cut.sections:
        assert section.document.sentence_starts[-1] <= words or len(section.pieces) == 1 or not section.document
        for place, entity in zip(section.places, section.document.entities, strict=True):
            for position, mention in zip(place.mentions, entity.mentions, strict=True):
                assert section.document.mention_words(mention) == document.mention_words(
                    document.entities[place.entity].mentions[position or 0]
                )
                mentions.add((place.entity, position))
        numbers = [place.entity for place in section.places]
        asked |= {(numbers[head], numbers[tail]) for head, tail in relation_pairs(section.document).tolist()}
    assert mentions == {(n, m) for n, entity in enumerate(document.entities) for m in range(len(entity.mentions))}
    result = cut.unite([replace(section.document, relations=()) for section in cut.sections])
    every = set(map(tuple, relation_pairs(document).tolist()))
    assert asked <= every and result.sections.unscored_pairs == len(every - asked)
    assert Document.from_dict(result.to_dict()) == result and result.entities == document.entities


def named(kind: str, *texts: str) -> LocalEntity:
    return LocalEntity(kind, None, None, tuple(Spelling(text, 1, 0) for text in texts))


def groups(*rows: tuple[int, LocalEntity], linked: Any = ()) -> list[int]:
    """A number for each entity, in the order of the groups' first entities."""
    found = same_things([entity for _, entity in rows], [text for text, _ in rows], linked)
    return [list(dict.fromkeys(found)).index(group) for group in found]


def test_entities_of_sections_are_one_by_names_acronyms_and_shared_mentions():
    treaty, nato = named("ORG", "North Atlantic Treaty Organization"), named("ORG", "NATO")
    assert groups((0, treaty), (1, nato), (2, named("LOC", "NATO"))) == [0, 0, 1], "initials; types differ"
    assert groups((0, treaty), (1, nato), (1, treaty)) == [0, 1, 0], "a text that has both keeps them apart"
    both = named("ORG", "North Atlantic Treaty Organization", "North Atlantic Treaty Organization", "Alliance")
    assert groups((0, both), (1, named("ORG", "Alliance"))) == [0, 0]
    berg, anna, eva = named("PER", "Anna Berg"), named("PER", "Anna"), named("PER", "Eva Berg")
    assert groups((0, berg), (1, anna), (2, anna), (3, eva)) == [0, 0, 0, 1], "single words for one person"
    assert groups((0, berg), (1, named("PER", "Berg")), (2, eva)) == [0, 1, 2], "or for one of two"
    pronouns = [(n, named("PER", text)) for n, text in enumerate(("He", "he", "He", "I", "I"))]
    assert groups(*pronouns) == [0, 1, 2, 3, 4]
    year = named("TIME", "1905")
    assert groups((0, year), (1, year), (2, year), linked=[(0, 1)]) == [0, 0, 1]
    norway, oslo = named("LOC", "Norway"), named("LOC", "Oslo")
    assert groups((0, norway), (0, oslo), (1, norway), linked=[(1, 2)]) == [0, 1, 0], "two things in a text stay two"


def test_results_of_sections_become_one():
    """Three sentences with a section for each two of them."""
    words = (("Ada", "met", "Tom"), ("Ada", "saw", "Rome"), ("Rome", "saw", "Tom"))
    cut = SectionedDocument.cut(Document("d", words), 6, given=False)
    assert ranges(cut) == [[(0, 0, 3), (1, 0, 3)], [(2, 0, 3)]]
    cut = SectionedDocument.cut(Document("d", words), 15, given=False)
    cut = replace(cut, sections=(_section(cut, 0, 2), _section(cut, 1, 3)))
    first = replace(
        cut.sections[0].document,
        entities=(
            Entity("PER", (Mention(0, 0, 1), Mention(1, 0, 1)), score=0.5),
            Entity("LOC", (Mention(1, 2, 3),), score=0.25),
        ),
        relations=(
            Relation(
                0, 1, "in", "is in", 0.5, (0, 1), (0.25, 0.75), (MentionPair(1, 0, 0.75), MentionPair(0, 0, 0.25))
            ),
        ),
    )
    second = replace(
        cut.sections[1].document,
        entities=(
            Entity("ORG", (Mention(0, 2, 3), Mention(1, 0, 1)), score=0.75),
            Entity("PER", (Mention(0, 0, 1),), score=0.25),
        ),
        relations=(
            Relation(1, 0, "in", "is in", 0.75, (0,), (1.0,), (MentionPair(0, 0, 0.5), MentionPair(0, 1, 0.5))),
        ),
    )
    assert cut.unite([first, second]) == Document(
        "d",
        words,
        (
            Entity("PER", (Mention(0, 0, 1), Mention(1, 0, 1)), score=0.5),
            Entity("LOC", (Mention(1, 2, 3), Mention(2, 0, 1)), score=0.75),
        ),
        (
            Relation(
                *(0, 1, "in", "is in", 0.75, (0, 1), (0.25, 1.0)),
                (MentionPair(1, 0, 0.75), MentionPair(1, 1, 0.5), MentionPair(0, 0, 0.25)),
            ),
        ),
        sections=Sections(((0, 2), (1, 3))),
    )


def test_a_cut_sentence_carries_no_more_than_the_whole_decision():
    words = ("Ada", "saw", "Rome", "again", "today")
    cut = SectionedDocument.cut(Document("d", (words,)), 4, given=False)
    relation = Relation(0, 1, "in", "is in", 0.5, (0, 2), (1.0, 1.0), (MentionPair(0, 0, 1.0),))
    entities = Entity("PER", (Mention(0, 0, 1),)), Entity("LOC", (Mention(2, 0, 1),))
    found = replace(cut.sections[0].document, entities=entities, relations=(relation,))
    [united] = cut.unite([found, *(section.document for section in cut.sections[1:])]).relations
    assert (united.evidence, united.evidence_scores) == ((0,), (1.0,))


def _section(cut: SectionedDocument, first: int, stop: int) -> Any:
    [whole] = cut.sections
    pieces = [piece._replace(context=3.0 * (piece.sentence != 1)) for piece in whole.pieces[first:stop]]
    return replace(whole, document=Document("d", cut.whole.sentences[first:stop]), pieces=pieces)


def test_one_section_gives_the_result_of_the_document(extract: DocRelationExtractionPipeline) -> None:
    document = document_from_text(LONG, "d")
    cut = SectionedDocument.cut(document, document.sentence_starts[-1], given=False)
    [plain] = extract.predictor.predict([document])
    [section] = extract.predictor.predict([item.document for item in cut.sections])
    united = cut.unite([section], by_names=False)
    assert united.sections == Sections(((0, len(LINES) * 5),))
    assert close(replace(united, sections=None).to_dict()["relations"], plain.to_dict()["relations"])
    assert [entity.type for entity in united.entities] == [entity.type for entity in plain.entities]
    for one, other in zip(united.entities, plain.entities, strict=True):
        assert sorted(map(str, one.mentions)) == sorted(map(str, other.mentions))


def test_short_documents_are_read_as_before(extract: DocRelationExtractionPipeline) -> None:
    """And a long one by default in sections of 300 words."""
    for text in (LINES[0], "", LONG):
        whole = extract(text, section_words=None)
        for section_words in ("auto", max(sum(map(len, whole["sentences"])), 1)):
            result = extract(text, section_words=section_words)
            assert "sections" not in result and result == whole
    texts = [LINES[0], LONG, *LINES]
    assert extract(texts, batch_size=3, section_words=None) == extract(texts, batch_size=3)
    for times, sizes in ((333, [333]), (334, [100, 100, 100, 94])):
        parts = extract.preprocess("Tom left. " * times)["features"]
        assert [len(part.document.sentences) for part in parts] == sizes


def test_every_system_reads_a_long_text_in_sections() -> None:
    known = [{"type": "PER", "mentions": [{"char_start": 0, "char_end": 9}]}]
    text = " ".join(LINES * 2)
    at = text.rindex("Institute")
    known.append({"type": "ORG", "mentions": [{"char_start": at, "char_end": at + 9}]})
    for name, model in TINY.items():
        pipe = build(model())
        given = known if pipe.model.config.traits.entities_given else None
        result = pipe(text, entities=given, section_words=20)
        read = Document.from_dict(result)
        assert len(read.sections.sentences) > 3 and read.to_dict() == result, name
        assert read.sections.unscored_pairs == (2 if given else None)
        for entity in result["entities"]:
            assert all(text[m["char_start"] : m["char_end"]] == m["name"] for m in entity["mentions"])


def test_a_model_that_reads_sentences_finds_the_same() -> None:
    pipe = build(tiny_spert(seed=3))
    whole, cut = (pipe(" ".join(LINES[:4]), section_words=size) for size in (None, 12))
    assert cut["sections"] == {"sentences": [[0, 1], [1, 3], [3, 4]]}
    assert whole["entities"] and whole["relations"] and close(whole["entities"], cut["entities"])

    def facts(result: Any) -> list[Any]:
        return sorted((item["head"], item["tail"], item["type"]) for item in result["relations"])

    assert facts(whole) == facts(cut)


def test_given_entities_are_those_of_the_whole(atlop: DocRelationExtractionPipeline) -> None:
    document = document_from_text(LONG, "d")
    spans = {"PER": [(0, 0, 2), (7, 0, 1)], "LOC": [(0, 5, 6), (8, 4, 5)], "ORG": [(9, 1, 2)], "PLACE": [(29, 0, 1)]}
    entities = tuple(Entity(kind, tuple(Mention(*span) for span in own)) for kind, own in spans.items())
    document = replace(document, entities=entities)
    result = Document.from_dict(atlop(document, section_words=30, threshold=0.0))
    assert [entity.type for entity in result.entities] == list(spans)
    cut = SectionedDocument.cut(document, 30, given=True)
    parts = [section.document for section in cut.sections]
    predicted = Predictor(atlop.model, atlop.tokenizer).predict(parts, relation_threshold=0)
    together: dict[Any, list[Any]] = {}
    for section, part in zip(cut.sections, predicted, strict=True):
        for item in part.relations:
            ends = section.places[item.head].entity, section.places[item.tail].entity
            sections = [section.pieces[number].sentence for number in item.evidence or ()]
            together.setdefault((*ends, item.type), []).append((item.score, set(sections)))
    assert len(result.relations) == len(together)
    for item in result.relations:
        said = together[item.head, item.tail, item.type]
        assert item.score == pytest.approx(max(score for score, _ in said), abs=1e-5)
        assert set(item.evidence or ()) == set().union(*(own for _, own in said))
    apart = 12 - len({key[:2] for key in together})
    assert result.sections == Sections(result.sections.sentences, apart) and 6 <= apart < 12
    asked = replace(document, candidates=(Candidate(0, 1), Candidate(0, 3), Candidate(3, 2, scored=False)))
    few = Document.from_dict(atlop(asked, section_words=30, threshold=0.0))
    assert {(item.head, item.tail) for item in few.relations} == {(0, 1)} and few.sections.unscored_pairs == 1


def test_a_text_four_times_as_long_takes_four_times_the_calls_of_one_size(extract: Any, monkeypatch: Any) -> None:
    calls: list[tuple[int, int]] = []
    run = extract.predictor.run
    monkeypatch.setattr(
        extract.predictor,
        "run",
        lambda features, *rest: (
            calls.append((len(features), sum(len(f.input_ids) for f in features))) or run(features, *rest)
        ),
    )
    counts = []
    for times in (1, 4):
        calls.clear()
        extract(" ".join([LONG] * times), section_words=40)
        counts.append(len(calls))
        assert {documents for documents, _ in calls} == {1}
        limit = max(subwords for _, subwords in calls)
    assert counts[0] > 3 and counts[1] <= 4 * counts[0] + 3 and limit < 300
    calls.clear()
    texts = [LINES[0], LONG, LONG]
    results = extract(texts, section_words=40, batch_size=4)
    assert max(documents for documents, _ in calls) == 4, "sections of all inputs share batches"
    assert [close({**extract(text, section_words=40), "id": f"text-{n}"}, results[n]) for n, text in enumerate(texts)]


def test_a_result_that_is_read_again_tells_of_its_own_reading(extract: DocRelationExtractionPipeline) -> None:
    result = extract(LONG, section_words=40)
    assert "sections" not in extract(result, section_words=None)
    with pytest.raises(DocumentError, match=r"sections\.sentences\[0\] is \(0, 99\); give 0 <= start < end <= 30"):
        Document.from_dict({**result, "sections": {"sentences": [[0, 99]]}})
    for wrong in (0, -1, 2.5, True, "all"):
        with pytest.raises(ValueError, match=r'section_words is .*; give a whole number from 1 on, "auto" or None'):
            extract(LONG, section_words=wrong)


def test_progress_of_a_long_text(extract: DocRelationExtractionPipeline, capsys: Any) -> None:
    extract(LONG, section_words=40)
    extract(LINES[0], progress=True)
    assert "section" not in capsys.readouterr().err
    extract(LONG, section_words=40, progress=True)
    assert "section" in capsys.readouterr().err


def test_an_interruption_ends_a_long_text(extract: Any, monkeypatch: Any) -> None:
    calls: list[int] = []

    def interrupted(*_: Any) -> Any:
        calls.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(extract.predictor, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(LONG, section_words=40, progress=True)
    assert calls == [1]


def test_borders_of_sections_do_not_leave_gaps():
    cut = SectionedDocument.cut(sentences(*[3] * 50), 30, given=False)
    for one, other in pairwise(ranges(cut)):
        assert other[0][0] in {number for number, *_ in one}
    assert sum(len(section.pieces) for section in cut.sections) < 1.4 * 50
