"""Documents for spaCy: a `Doc` with spans and relations, and many of them as a `DocBin`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from modeling_docre.documents import Document, DocumentError, Entity, Mention

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span
    from spacy.vocab import Vocab

SPANS_KEY = "docre"
"""Key of the mentions in `doc.spans`, and of the document in `doc.user_data`."""


def to_docbin(documents: Iterable[Document]) -> bytes:
    """The documents as a `DocBin` with user data, as `.spacy` files hold it.

    Raises:
        DocumentError: see `to_doc`.
    """
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    vocab = Vocab()
    return DocBin(docs=[to_doc(document, vocab) for document in documents], store_user_data=True).to_bytes()


def to_doc(document: Document, vocab: Vocab) -> Doc:
    """A document's words, sentences, mentions and relations.

    - `doc.spans["docre"]` has a span per mention: its label is the entity type, its `kb_id_` the entity's concept id.
    - `doc.spans["coref_clusters_N"]` has the mentions of entity N, as spaCy's coreference component writes them.
    - `doc._.rel`, if that extension is registered, has relations by the first words of both entities' first mentions,
      `{(head, tail): {type: score}}`; a relation without a score has 1.
    - `doc.user_data["docre"]` is the document's dict, in which `sentences` are only their lengths. It holds what the
      others have no place for: evidence, mention pairs, scores, the original text.

    Raises:
        DocumentError: a word is empty, which spaCy does not know.
    """
    from spacy.tokens import Doc, SpanGroup

    words = [word for sentence in document.sentences for word in sentence]
    if "" in words:
        raise DocumentError(document.id, "sentences", "", "drop empty words; spaCy does not know them")
    starts = set(document.sentence_starts)
    doc = Doc(vocab, words, list(_blanks(document)), sent_starts=[number in starts for number in range(len(words))])
    user_data: dict[Any, Any] = {("._.", "rel", None, None): _relations(document), "title": document.id}
    user_data[SPANS_KEY] = document.to_dict() | {"sentences": list(map(len, document.sentences))}
    doc.user_data = user_data
    spans = [[_span(document, doc, entity, mention) for mention in entity.mentions] for entity in document.entities]
    doc.spans[SPANS_KEY] = SpanGroup(doc, name=SPANS_KEY, spans=list(chain.from_iterable(spans)))
    for number, cluster in enumerate(spans):
        doc.spans[f"coref_clusters_{number}"] = SpanGroup(doc, name=f"coref_clusters_{number}", spans=cluster)
    return doc


def _blanks(document: Document) -> Iterator[bool]:
    """Whether a blank follows each word."""
    if document.text is None or document.token_offsets is None:
        yield from (True for sentence in document.sentences for _ in sentence)
        return
    ends = [end for sentence in document.token_offsets for _, end in sentence]
    yield from (document.text[end : end + 1].isspace() for end in ends)


def _span(document: Document, doc: Doc, entity: Entity, mention: Mention) -> Span:
    from spacy.tokens import Span

    start, end = document.span(mention)
    return Span(doc, start, end, label=entity.type, kb_id=entity.id or "")


def _relations(document: Document) -> dict[tuple[int, int], dict[str, float]]:
    """Scores by the first words of head and tail."""
    firsts = [document.span(entity.mentions[0])[0] for entity in document.entities]
    scores: dict[tuple[int, int], dict[str, float]] = {}
    for relation in document.relations:
        pair = scores.setdefault((firsts[relation.head], firsts[relation.tail]), {})
        pair[relation.type] = 1.0 if relation.score is None else relation.score
    return scores
