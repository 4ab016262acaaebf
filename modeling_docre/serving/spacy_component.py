"""The spaCy component `docre`: entities and relations of a `Doc`, in spaCy's own spans."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from spacy.pipeline import EntityLinker
from spacy.tokens import Doc, Span
from spacy.util import minibatch
from transformers import pipeline

import modeling_docre.hub.registration  # noqa: F401 (makes the task and the systems known)
from modeling_docre.documents import Document
from modeling_docre.hub.loading import model_named
from modeling_docre.pipeline_docre import TASK, DocRelationExtractionPipeline
from modeling_docre.text import document_from_text

SPANS = "docre"
"""The key of the mentions in `doc.spans`."""


class DocEntity(NamedTuple):
    """An entity in a `Doc`: its type, its mentions, and its score from 0 to 1 or None."""

    label: str
    mentions: tuple[Span, ...]
    score: float | None


class DocRelation(NamedTuple):
    """A relation between two entities of a `Doc`.

    `label` is the relation type, `name` its readable name, `score` from 0 to 1, and `evidence` the sentences that state
    it.
    """

    head: DocEntity
    label: str
    tail: DocEntity
    name: str
    score: float | None
    evidence: tuple[Span, ...]


class DocREComponent:
    """Reads a `Doc` in its own tokens, and writes entities and relations into it.

    `doc.spans["docre"]` gets a span per mention, with the entity's type as label and the entity's number as id.
    `doc._.docre_graph` is the pipeline's result, `doc._.docre_entities` and `doc._.docre_relations` are lists of
    `DocEntity` and `DocRelation`. White space between tokens is no word of the result's `sentences`.

    The graph of a `Doc` without a name has the id `doc-0`, in a stream by its place in its batch. To put the graphs of
    several calls into one, name each `Doc` before the component reads it: `doc = nlp.make_doc(text)`, then
    `doc._.docre_id = "letter 7"` and `nlp(doc)`. `doc.user_data["id"]` names it, too.

    The model is loaded when the first document arrives. `nlp.to_disk` writes it into the folder of the pipeline, so
    that `spacy.load` needs no connection; with `exclude=["docre"]` only its name is kept.

    Args:
        name: name of the component.
        model: folder or name on the Hub of any system; None for the bundled model.
        threshold: least score of a relation, from 0 to 1, or the name of one that the model has stored, instead of the
            model's own.
        entities: `"model"`: the model finds them; `"spacy"`: those of `doc.ents`, between which the model finds
            relations. Those with the same `kb_id_` are one entity; without one (or with "NIL"), those of the same text
            and type are.
        entity_type_map: the model's types by spaCy's; entities of a type that is mapped to None are left out.
        sentences: `"spacy"`: those of the `Doc`; `"model"`: by the rules of the model's language; `"auto"`: those of
            the `Doc` where it has any, else by the rules.
        batch_size: documents per pass of the model.

    Raises:
        ValueError: `threshold` or `batch_size` is outside its range; when documents arrive: the model needs entities
            that are not given, or the `Doc` lacks entities or sentences that were asked for.
        OSError: when the first document arrives, the model cannot be loaded.
        modeling_docre.DocumentError: the model does not know an entity's type.
    """

    def __init__(
        self,
        name: str = "docre",
        model: str | None = None,
        threshold: float | str | None = None,
        entities: str = "model",
        entity_type_map: Mapping[str, str | None] | None = None,
        sentences: str = "auto",
        batch_size: int = 8,
    ):
        if isinstance(threshold, int | float) and not 0 <= threshold <= 1:
            raise ValueError(f"threshold of the component {name!r} is {threshold}; give a number from 0 to 1")
        if batch_size < 1:
            raise ValueError(f"batch_size of the component {name!r} is {batch_size}; give a whole number from 1 on")
        self.name, self.model, self.threshold, self.batch_size = name, model, threshold, batch_size
        self.entities, self.entity_type_map, self.sentences = entities, dict(entity_type_map or {}), sentences
        self._extract: DocRelationExtractionPipeline | None = None

    @property
    def extract(self) -> DocRelationExtractionPipeline:
        """The pipeline that does the work; the first reading loads the model."""
        if self._extract is None:
            self._load(self.model)
        assert self._extract is not None
        return self._extract

    def _load(self, model: str | None) -> None:
        if model is None:
            extract = pipeline(TASK)
        else:
            with model_named(model):
                extract = pipeline(TASK, model=model)
        if extract.model.config.traits.entities_given and self.entities == "model":
            raise ValueError(
                f"the model of the component {self.name!r} finds relations between entities that are given; set "
                'entities="spacy" and put what finds entities before the component'
            )
        self._extract = extract

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one document."""
        return self._annotate([doc])[0]

    def pipe(self, stream: Iterable[Doc], batch_size: int = 256) -> Iterator[Doc]:
        """Annotate documents as they come.

        Args:
            stream: documents.
            batch_size: documents read ahead; those of similar length share a pass of the model.
        """
        for docs in minibatch(stream, batch_size):
            yield from self._annotate(docs)

    def _annotate(self, docs: list[Doc]) -> list[Doc]:
        language = self.extract.model.config.language
        documents = [self._document(doc, _name(doc, f"doc-{number}"), language) for number, doc in enumerate(docs)]
        known: dict[str, Any] = {}
        if self.entities == "spacy":
            types = {name: kind for name, kind in self.entity_type_map.items() if kind is not None}
            known = {"entities": [self._given(doc) for doc in docs], "entity_type_map": types}
        graphs: Any = self.extract(  # an iterator may have an id twice, as documents of one source have
            iter(documents), threshold=self.threshold, batch_size=self.batch_size, progress=False, **known
        )
        for doc, graph in zip(docs, graphs, strict=True):
            doc._.docre_graph = graph
            doc.spans[SPANS] = [
                _span(doc, mention, entity["type"], number)
                for number, entity in enumerate(graph["entities"])
                for mention in entity["mentions"]
            ]
        return docs

    def _document(self, doc: Doc, identifier: str, language: str) -> Document:
        """The tokens of a document, those of white space left out, in sentences."""
        annotated = doc.has_annotation("SENT_START")
        if self.sentences == "spacy" and not annotated:
            raise ValueError(
                f"the component {self.name!r} is to read spaCy's sentences, and the document {_beginning(doc)} has "
                'none; put a parser, "senter" or "sentencizer" before it, or set sentences="auto"'
            )
        if self.sentences == "model" or not annotated:
            cut = document_from_text(doc.text, identifier, language).token_offsets or ()
            starts = [words[0][0] for words in cut]
        else:
            starts = [sentence.start_char for sentence in doc.sents]
        sentences: dict[int, list[tuple[int, int]]] = {}
        for token in doc:
            if not token.is_space:
                place = token.idx, token.idx + len(token)
                sentences.setdefault(bisect_right(starts, token.idx), []).append(place)
        text, offsets = doc.text, tuple(map(tuple, sentences.values()))
        words = tuple(tuple(text[start:end] for start, end in places) for places in offsets)
        return Document(identifier, words, text=text, token_offsets=offsets)

    def _given(self, doc: Doc) -> list[dict[str, Any]]:
        """The entities that spaCy found, as the pipeline takes them."""
        if not doc.has_annotation("ENT_IOB"):
            raise ValueError(
                f"the component {self.name!r} is to read spaCy's entities, and nothing has looked for any in the "
                f'document {_beginning(doc)}; put "ner" or an "entity_ruler" before it, or set entities="model"'
            )
        clusters: dict[tuple[str, str], list[dict[str, int]]] = {}
        for span in doc.ents:
            if self.entity_type_map.get(span.label_, span.label_) is not None:
                place = {"char_start": span.start_char, "char_end": span.end_char}
                concept = "" if span.kb_id_ == EntityLinker.NIL else span.kb_id_
                clusters.setdefault((span.label_, concept or span.text), []).append(place)
        return [{"type": kind, "mentions": mentions} for (kind, _), mentions in clusters.items()]

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the model with its tokenizer and code into a folder."""
        self.extract.save_pretrained(path)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> DocREComponent:
        """Load the model from a folder; where it holds none, the model is the one that the configuration names."""
        if (Path(path) / "config.json").is_file():
            self._load(str(path))
        return self


def _name(doc: Doc, place: str) -> str:
    """The id that a document was given, or the one of its place."""
    names = doc._.docre_id, doc.user_data.get("id"), place
    return str(next(name for name in names if name not in (None, "")))


def _beginning(doc: Doc) -> str:
    return repr(doc.text if len(doc.text) <= 40 else f"{doc.text[:37]}...")


def _span(doc: Doc, place: Mapping[str, Any], label: str, entity: int) -> Span:
    span = doc.char_span(place["char_start"], place["char_end"], label=label, span_id=str(entity))
    return cast(Span, span)  # the words of the result are tokens of the document


def _entities(doc: Doc) -> list[DocEntity]:
    graph = doc._.docre_graph or {"entities": []}
    return [
        DocEntity(
            entity["type"],
            tuple(_span(doc, mention, entity["type"], number) for mention in entity["mentions"]),
            entity.get("score"),
        )
        for number, entity in enumerate(graph["entities"])
    ]


def _relations(doc: Doc) -> list[DocRelation]:
    graph, entities = doc._.docre_graph or {"relations": []}, _entities(doc)

    def sentence(number: int) -> Span:
        words = graph["token_offsets"][number]
        return cast(Span, doc.char_span(words[0][0], words[-1][1]))

    return [
        DocRelation(
            entities[item["head"]],
            item["type"],
            entities[item["tail"]],
            item.get("label") or item["type"],
            item.get("score"),
            tuple(map(sentence, item.get("evidence") or ())),
        )
        for item in graph["relations"]
    ]


Doc.set_extension("docre_id", default=None, force=True)
Doc.set_extension("docre_graph", default=None, force=True)
Doc.set_extension("docre_entities", getter=_entities, force=True)
Doc.set_extension("docre_relations", getter=_relations, force=True)
