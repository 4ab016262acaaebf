"""PubTator files and the documents made of them: blocks, offsets, concepts, words cut at mentions, broken files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_scripts.readers.abstracts import (
    COMPOSITE,
    CORRECTED,
    OTHER_TYPES,
    UNGROUNDED,
    AbstractReader,
)
from modeling_docre.annotations.pubtator import Abstract, Annotation, read_pubtator
from modeling_docre.annotations.report import REPEATED_IDS, count_table
from modeling_docre.documents import Document, DocumentError

TYPES = ["Chemical", "Disease"]
BLOCK = """7|t|Lithium and tremor.
7|a|Tremor was seen. It ended.
7	0	7	Lithium	Chemical	D008094
7	12	18	tremor	Disease	D014202
7	20	26	Tremor	Disease	D014202
7	CID	D008094	D014202
"""


def _lines(text: str) -> Iterator[str]:
    return iter(text.splitlines(keepends=True))


def _blocks(text: str) -> list[Abstract]:
    return list(read_pubtator(_lines(text), "abstracts.txt"))


def _abstract(title: str, abstract: str | None, *mentions: tuple[str, str, str]) -> Abstract:
    """An abstract whose mentions are given as (text, type, concept), each at its first place behind the last one's."""
    made = Abstract("7", title, abstract)
    place = 0
    for text, kind, concept in mentions:
        start = made.text.index(text, place)
        made.annotations.append(Annotation(start, start + len(text), text, kind, concept))
        place = start
    return made


def _read(abstract: Abstract, **options: bool) -> Document:
    return AbstractReader(TYPES, dict.fromkeys(TYPES, "|"), **options).read(abstract)


def _words(document: Document) -> list[list[str]]:
    return [[document.mention_words(mention) for mention in entity.mentions] for entity in document.entities]


# files


def test_a_block() -> None:
    [block] = _blocks(BLOCK)
    assert (block.id, block.title, block.abstract) == ("7", "Lithium and tremor.", "Tremor was seen. It ended.")
    assert block.annotations[1] == Annotation(12, 18, "tremor", "Disease", "D014202")
    assert block.relations == [("CID", "D008094", "D014202")]
    assert all(block.text[a.start : a.end] == a.text for a in block.annotations)


def test_empty_lines_are_not_needed_between_blocks() -> None:
    second = BLOCK.replace("7|", "8|").replace("7\t", "8\t")
    together, apart = _blocks(BLOCK + second), _blocks("\n\n" + BLOCK + "\n\n\n" + second + "\n")
    assert together == apart and [block.id for block in together] == ["7", "8"]


def test_windows_line_ends() -> None:
    assert _blocks(BLOCK.replace("\n", "\r\n")) == _blocks(BLOCK)


def test_the_text_may_hold_the_separators() -> None:
    [block] = _blocks("7|t|a|b|t|c\n7|a|x\ty | z\n7\t0\t3\ta|b\tChemical\tD000001|D000002\tone|two\n")
    assert (block.title, block.abstract) == ("a|b|t|c", "x\ty | z")
    assert block.annotations == [Annotation(0, 3, "a|b", "Chemical", "D000001|D000002")]


def test_without_abstract_and_annotations(subtests: pytest.Subtests) -> None:
    for text, abstract in [("7|t|Title\n", None), ("7|t|Title\n7|a|\n", "")]:
        with subtests.test(text=text, abstract=abstract):
            [block] = _blocks(text)
            assert block.abstract == abstract and not block.annotations and not block.relations
            document = _read(block)
            assert document.sentences == (("Title",),) and document.text == "Title" and document.entities == ()


def test_a_broken_file_is_named_with_its_line(subtests: pytest.Subtests) -> None:
    cases = [
        (BLOCK[:-4], ["'7'", "line 6 of abstracts.txt", "CID", "fetch it again"]),
        (BLOCK[: BLOCK.index(" ended")], ["'7'", "line 2", "may be cut"]),
        (BLOCK[: BLOCK.index("mor\tDis")] + "\n", ["'7'", "line 4", "tre", "separated by tabs"]),
        (BLOCK[BLOCK.index("7|a") :], ["line 1 of abstracts.txt", "7|a|Tremor", "id|t|title"]),
        (BLOCK + "8\t0\t7\tLithium\tChemical\tD008094\n", ["'7'", "line 7", "a block of its own"]),
        (BLOCK + "7|a|Again.\n", ["'7'", "line 7", "one abstract"]),
        (BLOCK + "7\tx\t7\tLithium\tChemical\tD008094\n", ["'7'", "line 7", "separated by tabs"]),
        ("Title\n", ["line 1 of abstracts.txt", "'Title'"]),
        ("7|t|No line end", ["line 1 of abstracts.txt", "line break"]),
    ]
    for text, parts in cases:
        with subtests.test(text=text, parts=parts):
            with pytest.raises(DocumentError) as caught:
                _blocks(text)
            assert all(part in str(caught.value) for part in parts), caught.value


@settings(max_examples=60, deadline=None)
@given(st.integers(1, len(BLOCK) - 1))
def test_a_cut_inside_a_line_is_never_silent(length: int) -> None:
    if BLOCK[:length].endswith("\n"):
        assert len(_blocks(BLOCK[:length])) == 1
    else:
        with pytest.raises(DocumentError):
            _blocks(BLOCK[:length])


# concepts


def test_a_document_of_a_block() -> None:
    [block] = _blocks(BLOCK)
    document = _read(block)
    assert document.sentences == (
        ("Lithium", "and", "tremor", "."),
        ("Tremor", "was", "seen", "."),
        ("It", "ended", "."),
    )
    assert [(e.id, e.type) for e in document.entities] == [("D008094", "Chemical"), ("D014202", "Disease")]
    assert _words(document) == [["Lithium"], ["tremor", "Tremor"]]
    assert document.text == "Lithium and tremor.\nTremor was seen. It ended."
    assert document.relations == () and document.candidates is None
    mention = document.entities[1].mentions[1]
    assert (mention.sentence, mention.char_start, mention.char_end, mention.name) == (1, 20, 26, None)


def test_offsets_of_all_words_point_into_the_text() -> None:
    document = _read(_abstract("A 5 mg/kg dose", "of [3H]-naloxone (8 nM)?", ("naloxone", "Chemical", "D1")))
    assert document.token_offsets is not None and document.text is not None
    for sentence, offsets in zip(document.sentences, document.token_offsets, strict=True):
        assert [document.text[start:end] for start, end in offsets] == list(sentence)


def test_the_title_is_a_sentence_even_without_a_full_stop() -> None:
    document = _read(_abstract("Lithium and tremor", "It is seen."))
    assert [" ".join(sentence) for sentence in document.sentences] == ["Lithium and tremor", "It is seen ."]


def test_entities_stand_in_the_order_of_the_text_whatever_the_rows_order() -> None:
    abstract = _abstract("b a b", None, ("b", "Disease", "D2"), ("a", "Chemical", "D1"), ("b", "Disease", "D2"))
    forwards = _read(abstract)
    abstract.annotations.reverse()
    assert _read(abstract) == forwards
    assert [entity.id for entity in forwards.entities] == ["D2", "D1"]


def test_a_mention_that_cuts_a_word() -> None:
    document = _read(_abstract("Prelithiumpost works.", None, ("lithium", "Chemical", "D1")))
    assert document.sentences == (("Pre", "lithium", "post", "works", "."),)
    assert _words(document) == [["lithium"]]


def test_a_mention_across_a_sentence_border(subtests: pytest.Subtests) -> None:
    for title in ["Seen. St. Anthony's fire. Rare.", "Of St. Anthony's fire"]:
        with subtests.test(title=title):
            document = _read(_abstract(title, "End.", ("St. Anthony's fire", "Disease", "D1")))
            [[mention]] = [entity.mentions for entity in document.entities]
            assert document.mention_text(mention) == "St. Anthony's fire"
            assert document.mention_words(mention) == "St. Anthony 's fire"


def test_a_mention_across_title_and_abstract() -> None:
    abstract = Abstract("7", "Renal", "failure is rare.", [Annotation(0, 13, "Renal failure", "Disease", "D1")])
    document = _read(abstract)
    assert _words(document) == [["Renal failure"]]
    assert document.sentences == (("Renal", "failure", "is", "rare", "."),)


def test_a_mention_of_several_concepts_is_one_of_each() -> None:
    reader = AbstractReader(TYPES, {"Disease": "|"})
    abstract = _abstract("sensory and motor loss", None, ("sensory and motor loss", "Disease", "D1|D2|D2|-1"))
    document = reader.read(abstract)
    assert [(entity.id, len(entity.mentions)) for entity in document.entities] == [("D1", 1), ("D2", 2)]
    assert _words(document) == [["sensory and motor loss"], ["sensory and motor loss"] * 2]
    assert (reader.counts[COMPOSITE], reader.counts[UNGROUNDED]) == (1, 0)


def test_only_types_with_a_separator_are_split() -> None:
    reader = AbstractReader(["Gene", "SNP"], {"Gene": ";|"})
    abstract = _abstract("ERK1/2 V600E", None, ("ERK1/2", "Gene", "5595;5594"), ("V600E", "SNP", "p.V600E;RS#:1"))
    assert [entity.id for entity in reader.read(abstract).entities] == ["5595", "5594", "p.V600E;RS#:1"]


def test_one_id_of_two_types_is_two_entities() -> None:
    abstract = _abstract("a b", None, ("a", "Chemical", "9606"), ("b", "Disease", "9606"))
    assert [(entity.type, entity.id) for entity in _read(abstract).entities] == [
        ("Chemical", "9606"),
        ("Disease", "9606"),
    ]


def test_a_mention_without_a_concept_is_counted(subtests: pytest.Subtests) -> None:
    for concept in ["-1", "-", "", "-1|-1"]:
        with subtests.test(concept=concept):
            reader = AbstractReader(TYPES, {"Chemical": "|"})
            document = reader.read(_abstract("[3H]-naloxone", None, ("[3H]-naloxone", "Chemical", concept)))
            assert document.entities == () and reader.counts[UNGROUNDED] == 1


def test_the_table_of_counts() -> None:
    table = count_table({"documents": 1200, COMPOSITE: 0, "rows": 3})
    assert table.splitlines() == ["documents       1,200", "rows                3"]


def test_malformed_ids_are_kept_or_corrected() -> None:
    abstract = _abstract(
        "a b c", None, ("a", "Chemical", "D003000"), ("b", "Chemical", "D003000f"), ("c", "Disease", "C12")
    )
    assert [entity.id for entity in _read(abstract).entities] == ["D003000", "D003000f", "C12"]
    reader = AbstractReader(TYPES, {}, clean_ids=True)
    assert [entity.id for entity in reader.read(abstract).entities] == ["D003000", "C12"]
    assert reader.counts[CORRECTED] == 1


def test_unknown_types_are_refused_or_left_out() -> None:
    abstract = _abstract("rats", None, ("rats", "Species", "10116"))
    with pytest.raises(DocumentError, match=r"'7': annotations\[0\]\.type is 'Species'; .*Chemical, Disease"):
        _read(abstract)
    reader = AbstractReader(TYPES, {}, drop_types=True)
    assert reader.read(abstract).entities == () and reader.counts[OTHER_TYPES] == 1


def test_ids_are_made_unique() -> None:
    reader = AbstractReader(TYPES, {})
    given = ["7", "7", "8 #2", "8", "8", "7"]
    assert [reader.read(Abstract(name, "Title")).id for name in given] == ["7", "7 #2", "8 #2", "8", "8 #3", "7 #3"]
    assert reader.counts[REPEATED_IDS] == 3


def test_wrong_offsets_are_named(subtests: pytest.Subtests) -> None:
    for span, found in [((1, 8), "ithium "), ((0, 6), "Lithiu"), ((90, 97), "''"), ((7, 7), "''"), ((9, 2), "''")]:
        with subtests.test(span=span, found=found):
            abstract = Abstract("7", "Lithium and tremor.", None, [Annotation(*span, "Lithium", "Chemical", "D1")])
            with pytest.raises(DocumentError) as caught:
                _read(abstract)
            parts = [
                "document '7'",
                "annotations[0] (start, end)",
                str(span),
                found,
                "'Lithium'",
                "correct the half-open character offsets",
            ]
            assert all(part in str(caught.value) for part in parts), caught.value


def test_odd_characters_stay_one_for_one(subtests: pytest.Subtests) -> None:
    for odd in ["“Lithium”", "β\u00a0blocker", "α–methyl—dopa", "l’effet", "\u2009naloxone", "𝛼-dopa"]:
        with subtests.test(odd=odd):
            abstract = _abstract(
                f"On {odd} in rats", "“Quoted” text.", (odd, "Chemical", "D1"), ("Quoted", "Disease", "D2")
            )
            document = _read(abstract)
            assert document.text == abstract.text
            assert [document.mention_text(entity.mentions[0]) for entity in document.entities] == [odd, "Quoted"]
            assert "".join(word for sentence in document.sentences for word in sentence) == "".join(
                abstract.text.split()
            )
