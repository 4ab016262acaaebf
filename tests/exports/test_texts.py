"""Documents for spaCy, brat and displaCy, read back."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import spacy
from exported import texts
from samples import ODD_DOCUMENTS
from spacy.tokens import DocBin

from modeling_docre.documents import Document, DocumentError
from modeling_docre.exports.brat import LONGEST_NAME, file_name, to_brat
from modeling_docre.exports.displacy import to_displacy, to_displacy_page
from modeling_docre.exports.docbin import to_docbin

DOCUMENTS = [*texts(), *(document for document in ODD_DOCUMENTS if document.id != "blank words")]


def document_of(doc: spacy.tokens.Doc) -> Document:
    """A document from what spaCy read."""
    words, data = [token.text for token in doc], dict(doc.user_data["docre"])
    data["sentences"] = [[words.pop(0) for _ in range(length)] for length in data["sentences"]]
    assert not words
    return Document.from_dict(data)


def test_docbin_is_read_back_by_spacy():
    read = list(DocBin().from_bytes(to_docbin(DOCUMENTS)).get_docs(spacy.blank("en").vocab))
    assert [document_of(doc) for doc in read] == DOCUMENTS
    for document, doc in zip(DOCUMENTS, read, strict=True):
        assert [len(sentence) for sentence in doc.sents] == [len(words) for words in document.sentences if words]
        mentions = [
            (*document.span(mention), entity.type, entity.id or "")
            for entity in document.entities
            for mention in entity.mentions
        ]
        assert [(span.start, span.end, span.label_, span.kb_id_) for span in doc.spans["docre"]] == mentions
        for number, entity in enumerate(document.entities):
            cluster = [(span.start, span.end) for span in doc.spans[f"coref_clusters_{number}"]]
            assert cluster == [document.span(mention) for mention in entity.mentions]


def test_docbin_holds_relations_where_spacy_users_look():
    doc = next(DocBin().from_bytes(to_docbin(texts())).get_docs(spacy.blank("en").vocab))
    spacy.tokens.Doc.set_extension("rel", default={}, force=True)
    try:
        assert doc._.rel == {(0, 12): {"P19": 0.625}, (12, 0): {"Coref": 1.0}}
    finally:
        spacy.tokens.Doc.remove_extension("rel")
    assert "\u201cAda\u201d to <friends>, was" in doc.text  # blanks as in the text


def test_spacy_knows_no_empty_words():
    blank = next(document for document in ODD_DOCUMENTS if document.id == "blank words")
    with pytest.raises(DocumentError, match="document 'blank words': sentences is ''; drop empty words"):
        to_docbin([blank])


def read_brat(text: str, annotations: str) -> tuple[dict, dict, list, dict]:
    """Mentions, relations, equivalences and notes, by the rules of brat's standoff, strictly."""
    mentions, relations, equal, notes, references = {}, {}, [], {}, {}
    for line in annotations.split("\n")[:-1]:
        if match := re.fullmatch(r"(T\d+)\t([\w-]+) (\d+ \d+(?:;\d+ \d+)*)\t(.+)", line):
            pieces = [tuple(map(int, piece.split())) for piece in match[3].split(";")]
            assert " ".join(text[start:end] for start, end in pieces) == match[4]
            mentions[match[1]] = match[2], pieces[0][0], pieces[-1][1]
        elif match := re.fullmatch(r"(R\d+)\t([\w-]+) Arg1:(T\d+) Arg2:(T\d+)", line):
            relations[match[1]] = match[2], match[3], match[4]
        elif match := re.fullmatch(r"\*\tCoref((?: T\d+){2,})", line):
            equal.append(match[1].split())
        elif match := re.fullmatch(r"N\d+\tReference (T\d+) (\S+):(\S+)\t(.+)", line):
            references[match[1]] = match[2], match[3]
        else:
            match = re.fullmatch(r"#\d+\tAnnotatorNotes ([TR]\d+)\t(.+)", line)
            notes[match[1]] = json.loads(match[2])
    ids = re.findall(r"^([TRN#]\d+)\t", annotations, re.MULTILINE)
    assert len(ids) == len(set(ids))
    assert all(notes[mention]["id"].endswith(reference[1]) for mention, reference in references.items())
    return mentions, relations, equal, notes


def test_brat_is_read_back():
    files = to_brat(DOCUMENTS)
    assert len(files) == 2 * len(DOCUMENTS) + 2
    shown = dict(line.split(" | ") for line in files["visual.conf"].split("\n") if " | " in line)
    for document in DOCUMENTS:
        name = file_name(document.id)
        text = files[f"{name}.txt"]
        assert document.text is None or text == document.text
        mentions, relations, equal, notes = read_brat(text, files[f"{name}.ann"])
        clusters = iter(equal)
        numbers = iter(mentions)
        owner: dict[str, int] = {}
        for number, entity in enumerate(document.entities):
            cluster = [next(numbers) for _ in entity.mentions]
            owner |= dict.fromkeys(cluster, number)
            assert len(cluster) == 1 or next(clusters) == cluster
            known = notes.get(cluster[0], {})
            assert (known.get("id"), known.get("score")) == (entity.id, entity.score)
            for identity, mention in zip(cluster, entity.mentions, strict=True):
                kind, start, end = mentions[identity]
                assert shown[kind] == entity.type
                assert text[start:end].split() == document.mention_text(mention).split()
        assert next(clusters, None) is None and next(numbers, None) is None
        for relation, (identity, (kind, head, tail)) in zip(document.relations, relations.items(), strict=True):
            assert (owner[head], owner[tail]) == (relation.head, relation.tail)
            assert shown[kind] in (relation.type, "place of birth")
            known = notes.get(identity, {})
            assert (known.get("score"), known.get("label")) == (relation.score, relation.label)
            assert known.get("evidence") == (relation.evidence and list(relation.evidence))


def test_brat_connects_the_mention_pair_with_the_highest_score():
    document = texts()[0]
    _, relations, _, _ = read_brat(document.text, to_brat([document])[f"{file_name(document.id)}.ann"])
    assert [arguments for _, *arguments in relations.values()] == [["T3", "T6"], ["T1", "T5"], ["T5", "T1"]]


def test_brat_lists_each_type_once_under_a_name_of_its_own():
    lines = to_brat(texts())["annotation.conf"].split("\n")
    sections = [lines.index(f"[{name}]") for name in ("entities", "relations", "events", "attributes")]
    assert sections == sorted(sections)
    entities = [line for line in lines[sections[0] + 1 : sections[1]] if line]
    assert sorted(entities) == ["LOC", "LOC-", "LOC_", "PER", "first_name"]
    relations = [line.split(" ")[0] for line in lines[sections[1] + 1 : sections[2]] if line]
    assert relations == ["Coref", "Coref_2", "P19", "on"]


def test_brat_files_have_names_that_any_system_takes():
    names = [file_name(name) for name in ("a/b", "..", "C:\\x", "é", "A" * 400, "A" * 400 + "b", "a b")]
    assert len(set(names)) == len(names) and max(map(len, names)) == LONGEST_NAME
    assert names[:4] == ["a%2Fb", "%2E.", "C%3A%5Cx", "%C3%A9"] and names[-1] == "a b"
    with pytest.raises(DocumentError, match="duplicate id"):
        to_brat([texts()[1]] * 2)
    blank = replace(texts()[1], sentences=(("\u2003",) * 4, (), ("It", "lies", "on", "the", "Aare", ".")))
    with pytest.raises(DocumentError, match=r"entities\[0\].mentions\[0\] is .*; brat needs a visible character"):
        to_brat([blank])


class Labels(HTMLParser):
    """The texts of a page, and the tags that it has."""

    def __init__(self, page: str):
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts += data.split()


def test_displacy_draws_the_mentions():
    document = texts()[0]
    data = to_displacy(document)
    spans = [(span["start_token"], span["end_token"], span["label"], span["kb_id"]) for span in data["spans"]]
    assert spans[:2] == [(0, 2, "PER", "0"), (4, 5, "PER", "0")] and spans[-1] == (16, 17, "LOC", "2")
    assert data["tokens"] == [token for sentence in document.sentences for token in sentence]
    entities = (replace(document.entities[0], type="<i>'PER'"), *document.entities[1:])
    odd = replace(document, id="<script>&", entities=entities)
    page = Labels(to_displacy_page([odd]))
    assert page.texts.count("<i>'PER'") == 3 and "<script>&" in page.texts and "<friends>" in page.texts
    assert not page.tags & {"script", "i", "friends"}
    assert "<html" in to_displacy_page([])
