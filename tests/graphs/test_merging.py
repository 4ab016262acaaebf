"""Names in basic form, and whether two entities are one thing."""

from __future__ import annotations

import pytest
from named_documents import named_document

from modeling_docre.documents import Document, Entity, Mention
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.merging import LocalEntity, is_short, local_entities, own_names


def entity(description: str) -> LocalEntity:
    return local_entities(named_document("d", description))[0]


def one(first: str, second: str, **options) -> bool:
    both = named_document("a", first), named_document("b", second)
    results = {len(CorpusGraph.of(documents, **options).nodes) == 1 for documents in (both, both[::-1])}
    assert len(results) == 1, "the order matters"
    return results.pop()


SAME = [
    ("seizures", "Seizure"),
    ("beta-blocker", "Beta blockers"),
    ("TNF-α", "TNF alpha"),
    ("COX-2 inhibitor", "COX2 inhibitors"),
    ("Parkinson's disease", "Parkinson disease"),
    ("haemorrhage", "hemorrhage"),
    ("tumour", "tumors"),
    ("psychoses", "psychosis"),
    ("the Netherlands", "Netherlands"),
    ("Malmö", "Malmo"),
    ("cocaine hydrochloride", "cocaine"),
    ("cyclosporin", "cyclosporine"),
    ("東京", "東京"),
]
OTHER = [
    ("hepatitis A", "hepatitis"),
    ("interleukin 1 2", "interleukin 12"),
    ("University of Washington", "Washington University"),
    ("hypertension", "hypotension"),
    ("magnesium sulfate", "magnesium"),
    ("World War I", "World War II"),
]


def test_spellings_of_one_name_and_names_that_only_look_alike():
    for first, second in SAME:
        assert one(f"MISC: {first}", f"MISC: {second}"), (first, second)
        assert not one(f"MISC: {first}", f"ORG: {second}"), "types differ"
        assert not one(f"MISC: {first}", f"MISC: {second}", merge="off")
    for first, second in OTHER:
        assert not one(f"MISC: {first}", f"MISC: {second}", merge="similar"), (first, second)


def test_known_ids_decide_where_both_have_one():
    assert one("Disease=D1: fits", "Disease=D1: seizures")
    assert not one("Disease=D1: seizures", "Disease=D2: seizures")
    assert one("Disease=D1: seizures", "Disease: seizures")
    assert not one("Disease=9606: human", "Species=9606: human"), "an id belongs to a type"


def test_numbers_times_and_single_words_for_a_person_are_no_names():
    for name in ("NUM: five men", "TIME: 4 May 1905", "DATE: May", "MISC: 747", "PER: Maria", "PER: Dr. | Maria"):
        assert not one(name, name), name
    assert one("PER: Maria | Maria Curie", "PER: Curie | Maria Curie")
    assert not one("PER: Maria | Maria Curie", "PER: Maria | Maria Callas")
    assert one("TIME=T1: 1905", "TIME=T1: in 1905"), "ids stand above names"


def test_similar_names_differ_in_the_spelling_of_one_long_word():
    pairs = [("cisplatin", "cisplatinum"), ("Fyodor Dostoevsky", "Fyodor Dostoyevsky")]
    for first, second in pairs:
        assert not one(f"MISC: {first}", f"MISC: {second}")
        assert one(f"MISC: {first}", f"MISC: {second}", merge="similar", threshold=0.9)
    assert not one("MISC: cisplatin", "MISC: cisplatinum", merge="similar", threshold=0.91), "18 of 20 letters are 0.9"
    assert not one("MISC: type 10 tremor", "MISC: type 11 tremor", merge="similar", threshold=0.5)
    assert not one("PER: Anna Karenina", "PER: Hannah Karenina", merge="similar", threshold=0.5)


def test_the_main_name_is_the_most_frequent_full_one():
    assert next(iter(own_names(entity("ORG: NATO | NATO | Atlantic Alliance")))).key == "atlanticallianc"
    assert next(iter(own_names(entity("ORG: NATO")))).short
    assert [is_short(name) for name in ("NATO", "5-HT", "K", "us", "UNESCO", "Oslo", "A B")] == [True] * 4 + [False] * 3


def test_a_mention_of_two_entities_names_neither():
    words = (("renal", "and", "liver", "damage"), ("renal", "damage"))
    both, own = Mention(0, 0, 4), Mention(1, 0, 2)
    document = Document("d", words, (Entity("Disease", (both, own)), Entity("Disease", (both,))))
    first, second = local_entities(document)
    assert [name.key for name in own_names(first)] == ["renaldamag"[:5] + "damage"] and not own_names(second)
    assert [(item.text, item.mentions, item.shared) for item in second.spellings] == [("renal and liver damage", 1, 1)]
    repeated = Document("d", words, (Entity("Disease", (own, own)),))
    assert own_names(local_entities(repeated)[0]), "twice in one entity is not shared"


def test_options_are_checked():
    with pytest.raises(ValueError, match="merge is 'fuzzy'; give one of 'exact', 'similar', 'off'"):
        one("MISC: a", "MISC: b", merge="fuzzy")
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            one("MISC: a", "MISC: b", threshold=threshold)
