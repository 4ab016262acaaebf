"""The pipeline `doc-relation-extraction`: text, words or documents in, graphs of entities and relations out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import replace
from itertools import chain, groupby, islice, repeat, zip_longest
from typing import Any

from huggingface_hub import CommitInfo
from transformers import AutoModel, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import logging

from .configuration_limits import closest
from .decoding import without_overlaps
from .document_parsing import is_position, is_share
from .documents import Document, DocumentError, Relation
from .encoder import advise_on_precision
from .given_entities import give_entities, rename_types
from .predictor import Predictor
from .sections import SectionedDocument
from .text import Splitter, document_from_record, document_from_spacy, document_from_text

TASK = "doc-relation-extraction"
BATCHES_PER_BUFFER = 32
INPUTS_WITH_PROGRESS = 20
WHOLE_WORDS = 1000  # up to here a whole is read in seconds; beyond, time grows with the square of the length
SECTION_WORDS = 300  # hardly any document that models learn from has more
_MISSING = object()


class DocRelationExtractionPipeline(Pipeline):
    """Extracts entities and the relations between them from documents.

    ```python
    extract = pipeline("doc-relation-extraction", model="user/model")
    graph = extract("Ada Lovelace was born in London. She worked with Charles Babbage.")
    ```

    One input is a string or `{"text": str, "id": str}`; a list of sentences, each a list of words; a spaCy `Doc` with
    sentence borders; a `Document` or its dict form, also `{"text": str, "entities": [...], "relations": [...]}`.

    Several inputs are a list or tuple of them, in any mixture: a list of strings is several texts, a list of lists of
    strings ONE document in words. Any other iterable is read lazily, and its results come from a generator. Each input
    gives one dict in the format of `Document.to_dict`, with the mention's text as `name`; see docs/result.md. An input
    without an id is called by its position, `text-0`; no two of a list may have the same id.

    Arguments of a call; all but `progress` may also be given at construction, none is stored in the model:

    - `threshold`: least score of a relation, from 0 to 1, or the name of one of the model's `named_thresholds`.
    - `relations`: the relation types to keep, by their name or readable label.
    - `signatures`: triples [relation type or its label, type of the head, type of the tail] that may hold; `"stored"`
      (the default) for those of the configuration, None for any.
    - `entities`: given entities as for `give_entities`, a list of such lists for several inputs, or True for those of
      the input itself, the default of a text that has some and of models that find none. Only relations are extracted
      then. False to find them in any case.
    - `entity_type_map`: the model's names of entity types by those of `entities`, where they differ; None leaves the
      entities of a type out, and the result counts the others.
    - `offsets`: what offsets of given entities count, `"characters"` or `"utf-16"`; results count characters.
    - `mentions`: which of the found mentions that share words stay; `"all"` (the default) or a rule of
      `without_overlaps`.
    - `sentence_splitter`: what cuts raw text into sentences, as for `document_from_text`.
    - `section_words`: a document of more words is read in overlapping sections of at most so many. By default, "auto",
      one of more than 1,000 words is read in sections of 300; None reads any as a whole.
    - `batch_size`: documents or sections per pass of the model, 1 if not given; neighbours in length share a pass.
    - `progress`: whether a progress bar is shown; by default for more than 20 inputs or sections in a terminal.

    Raises:
        DocumentError: a document or an entity is not valid, or the model needs entities and the input has none.
        ValueError: an argument has no such value.
        TypeError: an input is none of the above.
    """

    _load_tokenizer = True
    _load_processor = _load_image_processor = _load_video_processor = _load_feature_extractor = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._sanitize_parameters(num_workers=self._num_workers)
        if self.tokenizer is None:
            raise ValueError("the pipeline has no tokenizer; give that of the model's encoder as `tokenizer`")
        self._predictor = Predictor(self.model, self.tokenizer)
        self._predictor.signatures(self._forward_params.get("signatures", "stored"))
        self.model.pipeline_class = type(self)
        advise_on_precision(self.model)

    @property
    def predictor(self) -> Predictor:
        """The present model and tokenizer at work; both may be replaced."""
        known = self._predictor
        if known.model is not self.model or known.featurizer.tokenizer is not self.tokenizer:
            self._predictor = Predictor(self.model, self.tokenizer)
        return self._predictor

    def _sanitize_parameters(
        self,
        threshold: Any = None,
        relations: Iterable[str] | None = None,
        entities: Any = None,
        entity_type_map: Mapping[str, str | None] | None = None,
        offsets: str | None = None,
        num_workers: int | None = None,
        signatures: Any = _MISSING,
        mentions: str | None = None,
        sentence_splitter: Splitter | None = None,
        section_words: Any = _MISSING,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Check the arguments and give each to its step."""
        if unknown:
            known = (
                "threshold, relations, entities, entity_type_map, offsets, signatures, mentions, sentence_splitter, "
            )
            known += "section_words, batch_size and progress"
            raise TypeError(f"the pipeline has no argument {next(iter(unknown))!r}; a call takes {known}")
        threshold = self.model.config.named_threshold(threshold)
        cuts = section_words in (None, _MISSING, "auto") or (is_position(section_words) and section_words > 0)
        listed = isinstance(relations, Iterable | None) and not isinstance(relations, str)
        splits = sentence_splitter is None or callable(sentence_splitter)
        choices = (None, "all") if self.model.config.traits.entities_given else (None, "all", "flat", "longest")
        splitters = "give a loaded spaCy pipeline, or a function from a text to the (start, end) of its sentences"
        workers = "leave it out, for documents are prepared in the calling process, and set batch_size for speed"
        for name, value, valid, fix in (
            ("num_workers", num_workers, not num_workers, workers),
            ("threshold", threshold, threshold is None or is_share(threshold), "give a number from 0 to 1"),
            ("relations", relations, listed, "give a list of relation types"),
            ("entity_type_map", entity_type_map, isinstance(entity_type_map, Mapping | None), "give a dict of types"),
            ("offsets", offsets, offsets in (None, "characters", "utf-16"), 'give "characters" or "utf-16"'),
            ("mentions", mentions, mentions in choices, f"give one of {', '.join(map(repr, choices[1:]))}"),
            ("sentence_splitter", sentence_splitter, splits, splitters),
            ("section_words", section_words, cuts, 'give a whole number from 1 on, "auto" or None'),
        ):
            if not valid:
                raise ValueError(f"{name} is {_shorten(value)}; {fix}")
        sizes = {} if section_words is _MISSING else {"section_words": section_words}
        stated = {} if signatures is _MISSING else {"signatures": signatures}
        return (
            _given(entities=entities, types=entity_type_map, offsets=offsets, sentence_splitter=sentence_splitter)
            | sizes,
            _given(threshold=threshold, mentions=mentions) | stated,
            _given(relations=None if relations is None else self._known_types(relations)),
        )

    def _known_types(self, names: Iterable[str]) -> frozenset[str]:
        """The relation types to keep, each of which the model knows."""
        config, names = self.model.config, list(names)
        for name in names:
            if not config.types_named(name):
                known = closest(name, config.relation_types, config.relation_labels)
                raise ValueError(f"relations has {name!r}, which the model does not know; it knows {known}")
        return frozenset(kind for name in names for kind in config.types_named(name))

    def __call__(
        self, inputs: Any, *, batch_size: int | None = None, progress: bool | None = None, **parameters: Any
    ) -> dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]]:
        """Extract the graph of one input or of several; see the class for inputs and arguments."""
        batch_size = next(size for size in (batch_size, self._batch_size, 1) if size is not None)
        if not is_position(batch_size) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; give a whole number from 1 on")
        stored = self._preprocess_params, self._forward_params, self._postprocess_params
        steps = [{**old, **new} for old, new in zip(stored, self._sanitize_parameters(**parameters), strict=True)]
        entities = steps[0].pop("entities", None)
        steps[1] |= {"batch_size": int(batch_size), "progress": progress}
        if _is_one_input(inputs):
            return next(self._stream([(inputs, entities)], 1, steps))
        listed = isinstance(inputs, list | tuple)
        _check_ids(inputs if listed else ())
        results = self._stream(_with_entities(_items(inputs), entities), int(batch_size), steps)
        if progress is None:
            progress = listed and len(inputs) > INPUTS_WITH_PROGRESS and sys.stderr.isatty()
        if progress:
            results = iter(logging.tqdm(results, total=len(inputs) if isinstance(inputs, Sized) else None, unit="text"))
        return list(results) if listed else results

    def _stream(
        self, inputs: Iterable[tuple[Any, Any]], batch_size: int, steps: list[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """Results in the order of the inputs, buffer by buffer; inputs of similar length share a batch."""
        preprocess, forward, postprocess = steps
        numbered = enumerate(inputs)
        while buffer := list(islice(numbered, 1 if batch_size == 1 else batch_size * BATCHES_PER_BUFFER)):
            prepared = [self.preprocess(item, known, number, **preprocess) for number, (item, known) in buffer]
            documents: dict[int, Document] = {}
            for batch in _batches(prepared, batch_size):
                output = self.forward([prepared[position] for position in batch], **forward)
                documents |= zip(batch, output, strict=True)
            yield from (self.postprocess(documents[position], **postprocess) for position in range(len(prepared)))

    def save_pretrained(self, save_directory: str | os.PathLike, **options: Any) -> None:
        """Save the model with its code and that of the pipeline, and the tokenizer; options as for both of them."""
        self.model.save_pretrained(save_directory, **options)
        self.tokenizer.save_pretrained(save_directory, **options)

    def push_to_hub(self, repo_id: str, **options: Any) -> CommitInfo:
        """Push model, tokenizer, code, card and licence in one commit; options as for the model's `push_to_hub`."""
        push = type(self.model).hub_push
        return push(self, repo_id, **options) if push else super().push_to_hub(repo_id, **options)

    def preprocess(
        self,
        input_: Any,
        entities: Any = None,
        number: int = 0,
        sentence_splitter: Splitter | None = None,
        section_words: Any = "auto",
        **reading: Any,
    ) -> dict[str, Any]:
        """Input `number` as `features` of each of its `sections`, which are None if it is read as a whole.

        What is `given` about it is "entities" or None; see the class.
        """
        traits = self.model.config.traits
        reading["typed"] = traits.reads_entity_types
        document, own = self._document(input_, f"text-{number}", sentence_splitter, reading)
        default = traits.entities_given or (own is True and entities is None)
        known = default if entities is None or entities is False else entities
        if known is True and own is None:
            form = '[{"type": ..., "mentions": [{"char_start": ..., "char_end": ...}]}]'
            fix = (
                f"give the entities to relate: pass entities={form} (--entities in a command), or a Document with them"
            )
            raise DocumentError(document.id, "entities", entities or None, fix)
        if not isinstance(known, bool):
            document = give_entities(document, known, **reading)
        given = None if known is False else "entities"
        most, size = (WHOLE_WORDS, SECTION_WORDS) if section_words == "auto" else (section_words, section_words)
        sections = None
        if most is not None and document.sentence_starts[-1] > most:
            sections = SectionedDocument.cut(document, size, bool(given), not traits.reads_sentences)
        parts = [section.document for section in sections.sections] if sections else [document]
        features = self.predictor.featurizer(parts)
        self.predictor.featurizer.warn_of_script(features[0])
        return {"features": features, "given": given, "sections": sections}

    def _document(
        self, input_: Any, identifier: str, splitter: Splitter | None, reading: Mapping[str, Any]
    ) -> tuple[Document, bool | None]:
        """One input as a document, and whether its own entities are asked about by default; None without any."""
        language = self.model.config.language
        if isinstance(input_, str):
            return document_from_text(str(input_), identifier, language, splitter), None
        if _is_spacy(input_):
            return document_from_spacy(input_, identifier), None
        types = reading.get("types", {})
        if isinstance(input_, Mapping):
            # What the map leaves out goes afterwards: the record's relations and candidates count all of its entities.
            document = document_from_record(input_, identifier, language, splitter, **{**reading, "types": None})
            marked = None if input_.get("entities") is None else True
            return rename_types(document, types) if types else document, False if "sentences" in input_ else marked
        if isinstance(input_, Document):
            return rename_types(input_, types) if types else input_, False
        if _is_words(input_):
            return Document(identifier, tuple(tuple(sentence) for sentence in input_)), None
        fix = "give a string, a list of sentences that are lists of words, a Document or its dict form, or a spaCy Doc"
        raise TypeError(f"input {identifier} is {_shorten(input_)}; {fix}")

    def _forward(
        self,
        model_inputs: list[dict[str, Any]],
        threshold: float | None = None,
        signatures: Any = "stored",
        mentions: str = "all",
        batch_size: int = 1,
        progress: bool | None = None,
    ) -> list[Document]:
        """Predicted documents of a batch of inputs about which the same is known; sections go by `batch_size`."""
        parts, given = [part for item in model_inputs for part in item["features"]], model_inputs[0]["given"]
        cut = any(item["sections"] for item in model_inputs)
        size = batch_size if cut else len(parts)
        batches: Any = [parts[start : start + size] for start in range(0, len(parts), size)]
        if cut and (len(parts) > INPUTS_WITH_PROGRESS and sys.stderr.isatty() if progress is None else progress):
            batches = logging.tqdm(batches, unit="section", unit_scale=size, leave=False)
        results = chain.from_iterable(self.predictor.predict_batch(b, given, threshold, signatures) for b in batches)
        documents = [self._united(item, list(islice(results, len(item["features"])))) for item in model_inputs]
        return documents if given or mentions == "all" else [without_overlaps(item, mentions) for item in documents]

    def _united(self, item: dict[str, Any], results: list[Document]) -> Document:
        """The result of an input, from those of its sections if it has any."""
        sections, by_names = item["sections"], "coreference" in self.model.config.traits.stages
        return sections.unite(results, by_names) if sections else results[0]

    def postprocess(self, model_outputs: Document, relations: frozenset[str] | None = None) -> dict[str, Any]:
        """A predicted document as a dict, with the text of each mention and only the relation types to keep."""
        document, named = model_outputs, []
        for entity in document.entities:
            names = (document.mention_text(item) if item.name is None else item.name for item in entity.mentions)
            mentions = (replace(item, name=name) for item, name in zip(entity.mentions, names, strict=True))
            named.append(replace(entity, mentions=tuple(mentions)))
        kept = (item for item in document.relations if relations is None or item.type in relations)
        placed = tuple(_placed(document, item) for item in kept)
        return replace(document, entities=tuple(named), relations=placed).to_dict()


def _placed(document: Document, relation: Relation) -> Relation:
    """The relation with the character ranges of its mention pairs, where the mentions have them."""
    if not relation.mention_pairs:
        return relation
    heads, tails = (document.entities[end].mentions for end in (relation.head, relation.tail))
    placed = []
    for pair in relation.mention_pairs:
        head, tail = heads[pair.head_mention], tails[pair.tail_mention]
        placed.append(replace(pair, head_offsets=head.char_range, tail_offsets=tail.char_range))
    return replace(relation, mention_pairs=tuple(placed))


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _is_words(value: Any) -> bool:
    """Whether a value is a document in words: a list of lists of strings."""
    return isinstance(value, list | tuple) and all(
        isinstance(sentence, list | tuple) and all(isinstance(word, str) for word in sentence) for sentence in value
    )


def _is_spacy(value: Any) -> bool:
    """Whether a value is a `Doc` of whatever spaCy made it."""
    return all(hasattr(type(value), name) for name in ("has_annotation", "sents", "text_with_ws"))


def _is_one_input(value: Any) -> bool:
    # An empty list holds no input; as an item of a list it is a document without sentences.
    return isinstance(value, str | Mapping | Document) or _is_spacy(value) or (_is_words(value) and len(value) > 0)


def _items(inputs: Any) -> Iterator[Any]:
    """The items of several inputs; a torch dataset may have positions and a length only."""
    if isinstance(inputs, bytes | bytearray | memoryview):
        raise TypeError(f"the input is {_shorten(inputs)}; decode the bytes to a string first")
    if hasattr(inputs, "columns"):
        raise TypeError("the input is a table; give the column with the texts")
    if not isinstance(inputs, Iterable) and isinstance(inputs, Sized) and hasattr(inputs, "__getitem__"):
        return (inputs[position] for position in range(len(inputs)))
    if not isinstance(inputs, Iterable):
        raise TypeError(f"the input is {_shorten(inputs)}; give a string, a document, or a list or iterable of them")
    return iter(inputs)


def _check_ids(inputs: Iterable[Any]) -> None:
    """Refuse two inputs of one id, be it given or that of a position."""
    met: dict[str, int] = {}
    for number, item in enumerate(inputs):
        name = str((item.get("id") if isinstance(item, Mapping) else getattr(item, "id", None)) or f"text-{number}")
        if met.setdefault(name, number) != number:
            raise DocumentError(name, "id", name, f"inputs {met[name]} and {number} have this id; give each its own")


def _with_entities(inputs: Iterator[Any], entities: Any) -> Iterator[tuple[Any, Any]]:
    """Each of several inputs with its own entities."""
    if entities is None or isinstance(entities, bool):
        yield from zip(inputs, repeat(entities), strict=False)
        return
    if isinstance(entities, str | Mapping) or not isinstance(entities, Iterable):
        raise ValueError(f"entities is {_shorten(entities)}; for several inputs give a list of entities for each")
    for number, pair in enumerate(zip_longest(inputs, entities, fillvalue=_MISSING)):
        if pair[0] is _MISSING:
            raise ValueError(f"entities has more lists than inputs, {number}; give one list of entities for each input")
        if not isinstance(pair[1], list | tuple | bool | None):
            found = "no list" if pair[1] is _MISSING else _shorten(pair[1])
            raise ValueError(f"entities has {found} for input text-{number}; give one list of entities for each input")
        yield pair


def _batches(prepared: list[dict[str, Any]], batch_size: int) -> Iterator[list[int]]:
    """Positions of inputs about which the same is known, neighbours in length together."""
    given = [item["given"] is not None for item in prepared]
    order = sorted(range(len(prepared)), key=lambda n: (given[n], -length_of(prepared[n])))
    for _, group in groupby(order, key=given.__getitem__):
        while batch := list(islice(group, batch_size)):
            yield batch


def length_of(prepared: Mapping[str, Any]) -> int:
    """Subwords of a prepared input, those of all its sections."""
    return sum(len(part.input_ids) for part in prepared["features"])


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def register(default_model: str | None = None) -> None:
    """Make the task known to `pipeline`, with a default model's folder if given; the last copy of this file wins."""
    known = PIPELINE_REGISTRY.supported_tasks.pop(TASK, {})
    default = {"model": (default_model, None)} if default_model else known.get("default")
    pipeline = DocRelationExtractionPipeline
    PIPELINE_REGISTRY.register_pipeline(TASK, pipeline, pt_model=AutoModel, default=default, type="text")


register()
