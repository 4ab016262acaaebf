"""Files of annotation tools are read as what was annotated: drawn documents, written in each form and read back."""

from __future__ import annotations

import tempfile
from pathlib import Path

import annotation_files
from annotation_files import WRITERS, Made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeling_docre.annotations.document_file import read_annotations, recognise
from modeling_docre.documents import Document
from modeling_docre.exports.brat import to_brat
from modeling_docre.exports.docbin import to_docbin

SAMPLE = Path(__file__).resolve().parents[2] / "dataset_scripts" / "sample_data" / "train.jsonl"

WORDS = st.text(st.sampled_from("abcZÄéß李😀."), min_size=1, max_size=4).filter(lambda word: word.strip("."))


@st.composite
def made_documents(draw: st.DrawFn) -> Made:
    """Words with blanks between them, a line break behind the first ones; each entity has words of its own."""
    words = draw(st.lists(WORDS, min_size=3, max_size=9))
    text = f"{words[0]}\n{' '.join(words[1:])}"
    places = annotation_files.tokens_of(text)
    owners = draw(st.lists(st.sampled_from([None, 0, 1, 2]), min_size=len(places), max_size=len(places)))
    kinds = draw(st.lists(st.sampled_from(["PER", "LOC"]), min_size=3, max_size=3))
    groups = [[place for place, own in zip(places, owners, strict=True) if own == owner] for owner in (0, 1, 2)]
    entities = sorted((ranges, kind) for ranges, kind in zip(groups, kinds, strict=True) if ranges)
    pairs = [(h, q) for h in range(len(entities)) for q in range(len(entities)) if h != q]
    kind = st.sampled_from(["born", "works"])
    facts = draw(st.sets(st.tuples(st.sampled_from(pairs), kind), max_size=3)) if pairs else set()
    return Made(text, [(kind, ranges) for ranges, kind in entities], [(h, q, t) for (h, q), t in sorted(facts)])


def made_of(document: Document) -> Made:
    """What a document says, in the form of the drawn ones."""
    entities = [
        (entity.type, [(m.char_start or 0, m.char_end or 0) for m in entity.mentions]) for entity in document.entities
    ]
    relations = sorted((relation.head, relation.tail, relation.type) for relation in document.relations)
    return Made(document.text or "", entities, relations)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made_documents())
def test_what_was_annotated_is_read(made: Made) -> None:
    for name, write in WRITERS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder), made)
            if name == "spacy" and not made.relations:
                continue
            assert recognise(path) == name.split()[0] or name == "doccano"
            [document], _ = read_annotations(path)
            if name in ("dygie",):
                document = in_characters(document, made.text)
            assert made_of(document) == made, name


def in_characters(document: Document, text: str) -> Document:
    """A document of words alone with the offsets that its words have in a text."""
    tokens = annotation_files.tokens_of(text)
    assert [text[a:b] for a, b in tokens] == [word for sentence in document.sentences for word in sentence]
    record = document.to_dict() | {"text": text}
    for entity in record["entities"]:
        for mention in entity["mentions"]:
            start, end = mention["start"], mention["end"]
            mention["char_start"], mention["char_end"] = tokens[start][0], tokens[end - 1][1]
    return Document.from_dict(record)


def names_and_facts(document: Document) -> tuple[list[tuple[str, list[str]]], set[tuple[int, int, str]]]:
    """Entities by the words of their mentions, in text order, and the relations between them."""
    places = [min(document.span(mention) for mention in entity.mentions) for entity in document.entities]
    order = sorted(range(len(places)), key=places.__getitem__)
    entities = [document.entities[number] for number in order]
    names = [
        (entity.type, [document.mention_words(item) for item in sorted(entity.mentions, key=document.span)])
        for entity in entities
    ]
    return names, {(order.index(item.head), order.index(item.tail), item.type) for item in document.relations}


def test_what_the_package_exports_for_other_tools_is_read_back(tmp_path: Path) -> None:
    documents, _ = read_annotations(SAMPLE)
    documents = documents[:6]
    (tmp_path / "brat").mkdir()
    for name, content in to_brat(documents).items():
        (tmp_path / "brat" / name).write_bytes(content.encode())
    (tmp_path / "documents.spacy").write_bytes(to_docbin(documents))
    for path in (tmp_path / "brat", tmp_path / "documents.spacy"):
        again, _ = read_annotations(path)
        assert {item.id: names_and_facts(item) for item in again} == {
            item.id: names_and_facts(item) for item in documents
        }
