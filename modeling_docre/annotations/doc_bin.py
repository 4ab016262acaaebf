"""Reads spaCy's DocBin: entities, span groups, and relations where a custom attribute has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import spacy

from modeling_docre.documents import DocumentError

from .markup import Link, MarkedText, Span
from .prodigy import words_by_sentence

NO_RELATIONS = "documents without relations (no part of the format; the attribute `rel` has none)"
OTHER_ATTRIBUTES = "values of custom attributes other than `rel` (left out)"

_CLUSTERS = "coref_clusters"
_RELATIONS = "rel"
_LEAST_SCORE = 0.5


def read_doc_bin(path: Path, name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The documents of a DocBin with spaCy's words, and its sentences where it has some.

    Mentions are `doc.ents` and the spans of `doc.spans`; a span without a label has the name of its group as type. Each
    group `coref_clusters…` is one entity. `kb_id_`, else `id_`, is the concept id. Relations are read from the custom
    attribute `rel`, `{(first word of head, first word of tail): {type: score}}`, from a score of 0.5 on.

    Args:
        path: the file.
        name: name of documents without a `title` in their user data; each has its number behind it.
        counts: what is left out is added here.

    Raises:
        DocumentError: spaCy cannot read the file.
    """
    from spacy.tokens import DocBin

    try:
        docs = list(DocBin().from_bytes(path.read_bytes()).get_docs(spacy.blank("xx").vocab))
    # The library lets errors of zlib, msgpack and of its own through.
    except Exception as error:
        fix = f"this is no DocBin of spaCy's `to_disk`, or it is cut off ({type(error).__name__}: {error})"
        raise DocumentError(path.name, "DocBin", path.name, fix) from error
    for number, doc in enumerate(docs, 1):
        title = doc.user_data.get("title")
        yield _marked(doc, title if isinstance(title, str) and title else f"{name} {number}", counts)


def _marked(doc: Any, name: str, counts: Counter[str]) -> MarkedText:
    words = [(token.idx, token.idx + len(token)) for token in doc if not token.is_space]
    marked = MarkedText(name, doc.text, words=words_by_sentence(doc.text, name, words))
    if doc.has_annotation("SENT_START"):
        own = [[(t.idx, t.idx + len(t)) for t in sentence if not t.is_space] for sentence in doc.sents]
        marked.words = [sentence for sentence in own if sentence]
    for span in doc.ents:
        _add(marked, span, span.label_)
    for group, spans in doc.spans.items():
        clustered = group.startswith(_CLUSTERS)
        keys = [_add(marked, span, span.label_ or (None if clustered else group)) for span in spans]
        if clustered:
            marked.chains.append(list(keys))
    relations = doc.user_data.get(("._.", _RELATIONS, None, None)) or {}
    counts[NO_RELATIONS] += not relations
    others = [key for key in doc.user_data if isinstance(key, tuple) and key[0] == "._." and key[1] != _RELATIONS]
    counts[OTHER_ATTRIBUTES] += len(others)
    _add_relations(marked, doc, relations)
    return marked


def _add(marked: MarkedText, span: Any, kind: str | None) -> tuple[int, int, str | None]:
    """Add a span unless one of its type is there; one without a type joins the typed one of its range."""
    start, end = span.start_char, span.end_char
    for other in marked.spans:
        if (other.start, other.end) == (start, end) and kind in (None, other.type):
            return start, end, other.type
    concept = span.kb_id_ or span.id_
    marked.spans.append(
        Span((start, end, kind), start, end, kind, span.text, (concept,) if concept else (), f"span {span.text!r}")
    )
    return start, end, kind


def _add_relations(marked: MarkedText, doc: Any, relations: Any) -> None:
    if not isinstance(relations, Mapping):
        raise DocumentError(marked.id, "rel", relations, "give a dict {(head word, tail word): {type: score}}")
    first = {}
    for span in reversed(marked.spans):
        first[doc.char_span(span.start, span.end, alignment_mode="expand").start] = span.key
    for pair, scores in relations.items():
        where = f"rel[{pair!r}]"
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(scores, Mapping):
            raise DocumentError(marked.id, where, scores, "give {(head word, tail word): {type: score}}")
        for kind, score in scores.items():
            if score >= _LEAST_SCORE:
                head, tail = (first.get(word, f"word {word}") for word in pair)
                marked.links.append(Link(head, tail, kind, where))
