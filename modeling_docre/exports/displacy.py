"""Documents for displaCy: data for `displacy.render(style="span", manual=True)`, and a page made of them."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from modeling_docre.documents import Document


def to_displacy(document: Document) -> dict[str, Any]:
    """The words and mentions of a document; mentions may overlap.

    Returns:
        `text`, `title`, `tokens`, and `spans` with half-open `start_token` and `end_token`, the entity type as `label`
        and the number of the entity as `kb_id`. Relations are left out: displaCy draws arcs between words only.
    """
    words = [word for sentence in document.sentences for word in sentence]
    spans = []
    for number, entity in enumerate(document.entities):
        for mention in entity.mentions:
            start, end = document.span(mention)
            span = {"start_token": start, "end_token": end, "label": entity.type, "kb_id": str(number), "kb_url": "#"}
            spans.append(span)
    text = " ".join(words) if document.text is None else document.text
    return {"text": text, "title": document.id, "tokens": words, "spans": spans}


def to_displacy_page(documents: Iterable[Document]) -> str:
    """A page of texts with their mentions underlined and labelled, drawn by displaCy."""
    from spacy import displacy

    return displacy.render([_escaped(to_displacy(document)) for document in documents], "span", page=True, manual=True)


def _escaped(data: dict[str, Any]) -> dict[str, Any]:
    """Data whose title and labels, which displaCy takes as markup, stand for themselves."""
    spans = [span | {"label": escape(span["label"])} for span in data["spans"]]
    return data | {"title": escape(data["title"]), "spans": spans}
