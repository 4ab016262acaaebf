"""The bundled sample corpus: each line is valid, split as raw text is split, and annotated by the stated guidelines."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from modeling_docre.documents import Document, Relation

FOLDER = Path(__file__).resolve().parents[2] / "dataset_scripts" / "sample_data"
SPLITS = ("train", "validation")
ENTITY_TYPES = ("PER", "ORG", "LOC", "TIME", "MISC")
RELATION_TYPES = {
    "P17": ("country", "LOC", "LOC"),
    "P19": ("place of birth", "PER", "LOC"),
    "P50": ("author", "MISC", "PER"),
    "P69": ("educated at", "PER", "ORG"),
    "P108": ("employer", "PER", "ORG"),
    "P112": ("founded by", "ORG", "PER"),
    "P159": ("headquarters location", "ORG", "LOC"),
    "P569": ("date of birth", "PER", "TIME"),
}
ADJECTIVE = re.compile(
    r"American|Australian|Austrian|Belgian|Bulgarian|Canadian|Chilean|Colombian|Croatian|Cuban|Czech|"
    r"Danish|Dutch|Estonian|Ethiopian|Finnish|Greek|Hungarian|Icelandic|Indian|Indonesian|Japanese|"
    r"Latvian|Mexican|Nigerian|Norwegian|Polish|Portuguese|Scottish|Senegalese|Slovenian|Swedish|"
    r"Swiss|Tanzanian|Thai"
)


def read_lines(split: str) -> list[str]:
    return (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()


CORPUS = {split: [Document.from_dict(json.loads(line)) for line in read_lines(split)] for split in SPLITS}
DOCUMENTS = [document for split in SPLITS for document in CORPUS[split]]


def mention_ranges(document: Document) -> list[tuple[int, int]]:
    """Character ranges of all mentions, in the order of the text."""
    return sorted((m.char_start, m.char_end) for entity in document.entities for m in entity.mentions)


def is_cross_sentence(document: Document, relation: Relation) -> bool:
    """Whether no sentence holds a mention of the head and a mention of the tail at once."""
    head, tail = ({m.sentence for m in document.entities[e].mentions} for e in (relation.head, relation.tail))
    return not head & tail


def names(documents: list[Document], entity_type: str) -> set[str]:
    """First mentions of all entities of a type, as they stand in the text."""
    return {d.mention_text(e.mentions[0]) for d in documents for e in d.entities if e.type == entity_type}


def count(documents: list[Document]) -> dict[str, int]:
    """The figures of the table in the corpus's README, for one split."""
    entities = [entity for document in documents for entity in document.entities]
    pairs = [(document, relation) for document in documents for relation in document.relations]
    entity_types = Counter(entity.type for entity in entities)
    relation_types = Counter(relation.type for _, relation in pairs)
    return {
        "documents": len(documents),
        "sentences": sum(len(document.sentences) for document in documents),
        "words": sum(document.sentence_starts[-1] for document in documents),
        "mentions": sum(len(entity.mentions) for entity in entities),
        "entities": len(entities),
        **{f"entities {name}": entity_types[name] for name in ENTITY_TYPES},
        "relations": len(pairs),
        **{f"relations {name} {RELATION_TYPES[name][0]}": relation_types[name] for name in RELATION_TYPES},
        "relations across sentences": sum(is_cross_sentence(*pair) for pair in pairs),
    }


def counts_table() -> str:
    columns = {split: count(CORPUS[split]) for split in SPLITS}
    rows = [f"| {name} | {columns['train'][name]} | {columns['validation'][name]} |" for name in columns["train"]]
    return "\n".join(["| | train | validation |", "|---|---:|---:|", *rows])


def test_lines_are_the_canonical_form_of_their_documents():
    for split in SPLITS:
        for line, document in zip(read_lines(split), CORPUS[split], strict=True):
            assert line == json.dumps(document.to_dict(), ensure_ascii=False), document.id


def test_splits_are_large_enough_and_share_no_document():
    ids = [document.id for document in DOCUMENTS]
    assert len(ids) >= 40
    assert len(ids) == len(set(ids))
    assert len({document.text for document in DOCUMENTS}) == len(ids)


def test_people_organisations_and_works_of_validation_are_unseen():
    for entity_type in ("PER", "ORG", "MISC"):
        assert not names(CORPUS["train"], entity_type) & names(CORPUS["validation"], entity_type)


def test_names_vary():
    assert len(names(DOCUMENTS, "PER")) >= 120
    assert len(names(DOCUMENTS, "ORG")) >= 90
    assert len(names(DOCUMENTS, "LOC")) >= 80


def test_every_relation_type_is_frequent():
    for split, minimum in {"train": 40, "validation": 8}.items():
        counts = Counter(relation.type for document in CORPUS[split] for relation in document.relations)
        assert counts.keys() == RELATION_TYPES.keys(), split
        assert min(counts.values()) >= minimum, (split, counts)


def test_a_third_of_the_relations_cross_sentences():
    for split, documents in CORPUS.items():
        crossing = [is_cross_sentence(document, relation) for document in documents for relation in document.relations]
        assert sum(crossing) / len(crossing) >= 1 / 3, split


def test_readme_table_is_current():
    table = counts_table()
    print(f"\n{table}")
    assert table in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def splitter():
    spacy = pytest.importorskip("spacy")
    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    return language


def test_words_and_sentences_are_those_of_the_splitter(splitter):
    for document in DOCUMENTS:
        sentences = [[word for word in sentence if not word.is_space] for sentence in splitter(document.text).sents]
        assert [[word.text for word in sentence] for sentence in sentences] == [list(s) for s in document.sentences], (
            document.id
        )
        offsets = [[(word.idx, word.idx + len(word)) for word in sentence] for sentence in sentences]
        assert offsets == [list(sentence) for sentence in document.token_offsets], document.id


def test_offsets_cut_the_words_from_the_text():
    for document in DOCUMENTS:
        for words, offsets in zip(document.sentences, document.token_offsets, strict=True):
            assert [document.text[start:end] for start, end in offsets] == list(words), document.id


def test_sizes_are_those_of_a_paragraph():
    for document in DOCUMENTS:
        assert 4 <= len(document.sentences) <= 7, document.id
        assert 50 <= len(document.text.split()) <= 110, document.id


def test_mentions_read_the_same_by_words_and_by_characters():
    for document in DOCUMENTS:
        for entity in document.entities:
            for mention in entity.mentions:
                by_words = document.mention_words(mention).replace(" ", "")
                assert document.text[mention.char_start : mention.char_end].replace(" ", "") == by_words, document.id
                assert document.token_offsets[mention.sentence][mention.start][0] == mention.char_start, document.id
                assert document.token_offsets[mention.sentence][mention.end - 1][1] == mention.char_end, document.id


def test_mentions_do_not_overlap():
    for document in DOCUMENTS:
        ranges = mention_ranges(document)
        assert all(end <= start for (_, end), (start, _) in pairwise(ranges)), document.id


def test_types_labels_and_signatures_are_the_listed_ones():
    for document in DOCUMENTS:
        assert {entity.type for entity in document.entities} <= set(ENTITY_TYPES), document.id
        for relation in document.relations:
            head, tail = document.entities[relation.head].type, document.entities[relation.tail].type
            assert (relation.label, head, tail) == RELATION_TYPES[relation.type], document.id


def test_relations_are_listed_once():
    for document in DOCUMENTS:
        facts = [(relation.head, relation.tail, relation.type) for relation in document.relations]
        assert len(facts) == len(set(facts)), document.id


def test_evidence_names_both_arguments():
    for document in DOCUMENTS:
        for relation in document.relations:
            evidence = set(relation.evidence)
            assert list(relation.evidence) == sorted(evidence), document.id
            for entity in (relation.head, relation.tail):
                assert evidence & {mention.sentence for mention in document.entities[entity].mentions}, document.id
            assert (len(evidence) > 1) == is_cross_sentence(document, relation), document.id


def test_every_occurrence_of_an_annotated_name_is_annotated():
    for document in DOCUMENTS:
        ranges = mention_ranges(document)
        for name in {document.text[start:end] for start, end in ranges}:
            for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", document.text):
                covered = any(start <= found.start() and found.end() <= end for start, end in ranges)
                assert covered, (document.id, name, found.span())


def test_no_name_or_date_is_left_out():
    """Outside of mentions, a word with a capital or a digit begins the sentence, is "Dr." or tells a nationality."""
    for document in DOCUMENTS:
        annotated = {position for start, end in mention_ranges(document) for position in range(start, end)}
        for words, offsets in zip(document.sentences, document.token_offsets, strict=True):
            for number, (word, (start, _)) in enumerate(zip(words, offsets, strict=True)):
                if start in annotated or not (word[0].isupper() or word[0].isdigit()):
                    continue
                assert number == 0 or word == "Dr." or ADJECTIVE.fullmatch(word), (document.id, word, start)


def test_a_mention_string_belongs_to_one_entity():
    for document in DOCUMENTS:
        owners: dict[str, int] = {}
        for number, entity in enumerate(document.entities):
            for mention in entity.mentions:
                assert owners.setdefault(document.mention_text(mention), number) == number, document.id
