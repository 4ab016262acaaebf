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
