"""The pipeline `doc-relation-extraction`: text, words or documents in, graphs of entities and relations out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from dataclasses import replace
from itertools import groupby, islice, repeat, zip_longest
from numbers import Integral, Real
from typing import Any

from huggingface_hub import CommitInfo
from transformers import AutoModel, Pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import logging

from .configuration_limits import check_signatures
from .document_parsing import closest_first
from .documents import Document, DocumentError, Entity, Mention, Relation
from .given_entities import given_entities, warn_of_cuts
from .predictor import Predictor
from .text import document_from_record, document_from_text, place_entities

TASK = "doc-relation-extraction"
BATCHES_PER_BUFFER = 32
INPUTS_WITH_PROGRESS = 20
_MISSING = object()


class DocRelationExtractionPipeline(Pipeline):
    """Extracts entities and the relations between them from documents.

    ```python
    extract = pipeline("doc-relation-extraction", model="user/model")
    graph = extract("Ada Lovelace was born in London. She worked with Charles Babbage.")
    ```

    One input is

    - a string: raw text, cut into sentences and words by rules of the model's language;
    - a list of sentences, each a list of words: a document that is cut already;
    - a `Document` or its dict form;
    - `{"text": str, "id": str}`: raw text with the id that its result carries, by default `text-0`, `text-1`, ...; with
      `entities` and `relations` as results have them it is a document.

    Several inputs are a list or tuple of such inputs, in any mixture: a list of strings is several texts, a list of
    lists of strings ONE document in words, a list of those several. Any other iterable (a generator, a dataset, a
    column of it) is read lazily, and its results come from a generator.

    Each input gives one dict in the format of `Document.to_dict`: `entities` with type, score and mentions (word and
    character offsets, the mention's text as `name`, score), and `relations` with head, tail, type, readable label,
    score and, from models that classify mention pairs, the mention pairs that carried the relation (`mention_pairs`
    with their weight and their character ranges, from KMGRE with the probability that the pair is key and that of the
    relation by this pair alone) and their sentences (`evidence`, `evidence_scores`). Character offsets need a text;
    documents in words have none.

    Arguments of a call; all but `progress` may also be given at construction, none is stored in the model:

    - `threshold`: least score of a relation, from 0 to 1, instead of the configuration's; or the name of one of its
      `named_thresholds`: `"precise"`, `"balanced"` or `"everything"`.
    - `relations`: the relation types to keep, by their name or readable label.
    - `signatures`: triples [relation type, type of the head, type of the tail] that may hold, instead of those of the
      configuration (`"stored"`, the default); None lets every type hold between all.
    - `entities`: what is known about the entities, so that only the relations are extracted. A list of
      `{"type": str, "mentions": [{"char_start": int, "char_end": int}, ...]}` (or `sentence`, `start`, `end` in
      words) for one input, a list of such lists for several; or True, for the entities of the `Document`
      itself. Models that find no entities need it; given a `Document`, they use its entities by default. A flat list as
      of tools that find names, `{"start": int, "end": int, "label": str}` (or `entity_group`, `entity`) in characters,
      gives each mention an entity of its own. Models that do not read the types take any type or none.
    - `entity_type_map`: the model's names of entity types by those of `entities`, where they differ.
    - `offsets`: what `char_start`, `char_end` and flat offsets of given entities count: `"characters"` of Python, or
      `"utf-16"` units as browsers, Java and C# do. Results count characters.
    - `batch_size`: documents per pass of the model, 1 if not given. Larger batches are formed of neighbours in length
      out of a buffer of 32 batches; results keep the order of the input.
      There are no worker processes (`num_workers`): the model takes far longer than the preparation of its input.
    - `progress`: whether a progress bar is shown; by default for lists of more than 20 inputs in a terminal.

    Raises:
        DocumentError: a document or an entity is not valid, or the model needs entities and the input has none.
        ValueError: an argument has no such value.
        TypeError: an input is none of the above.
    """

    _load_tokenizer = True
    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        _check_workers(self._num_workers)
        if self.tokenizer is None:
            raise ValueError("the pipeline has no tokenizer; give that of the model's encoder as `tokenizer`")
        self._predictor = Predictor(self.model, self.tokenizer)
        self.model.pipeline_class = type(self)

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
        entity_type_map: Mapping[str, str] | None = None,
        offsets: str | None = None,
        num_workers: int | None = None,
        signatures: Any = _MISSING,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Check the arguments and give each to its step."""
        if unknown:
            raise TypeError(
                f"the pipeline has no argument {next(iter(unknown))!r}; a call takes threshold, relations, entities, "
                "entity_type_map, offsets, signatures, batch_size and progress"
            )
        _check_workers(num_workers)
        threshold = self.model.config.named_threshold(threshold)
        if threshold is not None and not (_is_number(threshold) and 0 <= threshold <= 1):
            raise ValueError(f"threshold is {threshold!r}; give a number from 0 to 1")
        if offsets not in (None, "characters", "utf-16"):
            raise ValueError(f'offsets is {offsets!r}; give "characters" or "utf-16"')
        if not isinstance(entity_type_map, Mapping | None):
            raise ValueError(f"entity_type_map is {_shorten(entity_type_map)}; give a dict of types by other names")
        chosen = None if relations is None else self._known_types(relations)
        if signatures is not _MISSING and signatures is not None and signatures != "stored":
            check_signatures(signatures, self.model.config.relation_types, self.model.config.entity_types)
        reading = {"entities": entities, "types": entity_type_map, "offsets": offsets}
        forward = {} if threshold is None else {"threshold": float(threshold)}
        forward |= {} if signatures is _MISSING else {"signatures": signatures}
        chosen_types = {} if chosen is None else {"relations": chosen}
        return {name: value for name, value in reading.items() if value is not None}, forward, chosen_types

    def _known_types(self, names: Iterable[str]) -> frozenset[str]:
        """The relation types to keep, each of which the model knows."""
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise ValueError(f"relations is {names!r}; give a list of relation types")
        config, names = self.model.config, list(names)
        labelled = [(kind, config.relation_labels.get(kind)) for kind in config.relation_types]
        for name in names:
            if not any(name in both for both in labelled):
                known = closest_first(name, (f"{kind} ({label})" if label else kind for kind, label in labelled))
                raise ValueError(f"relations has {name!r}, which the model does not know; it knows {', '.join(known)}")
        return frozenset(kind for kind, label in labelled if {kind, label} & set(names))

    def __call__(
        self, inputs: Any, *, batch_size: int | None = None, progress: bool | None = None, **parameters: Any
    ) -> dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]]:
        """Extract the graph of one input or of several; see the class for inputs and arguments."""
        batch_size = next(size for size in (batch_size, self._batch_size, 1) if size is not None)
        if not isinstance(batch_size, Integral) or isinstance(batch_size, bool) or batch_size < 1:
            raise ValueError(f"batch_size is {batch_size!r}; give a whole number from 1 on")
        stored = self._preprocess_params, self._forward_params, self._postprocess_params
        steps = [{**old, **new} for old, new in zip(stored, self._sanitize_parameters(**parameters), strict=True)]
        entities = steps[0].pop("entities", None)
        if _is_one_input(inputs):
            return next(self._stream([(inputs, entities)], 1, steps))
        results = self._stream(_with_entities(_items(inputs), entities), int(batch_size), steps)
        listed = isinstance(inputs, list | tuple)
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
            prepared = [
                self.preprocess(item, entities=entities, number=number, **preprocess)
                for number, (item, entities) in buffer
            ]
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
        """Push model, tokenizer, code, card and licence as one commit.

        Args:
            repo_id: the repository, "name" or "organisation/name".
            **options: as for the model's `push_to_hub`.
        """
        push = type(self.model).hub_push
        return push(self, repo_id, **options) if push else super().push_to_hub(repo_id, **options)

    def preprocess(
        self,
        input_: Any,
        entities: Any = None,
        number: int = 0,
        types: Mapping[str, str] | None = None,
        offsets: str = "characters",
    ) -> dict[str, Any]:
        """One input as `features` and `given`, what is known about it ("entities" or None).

        Args:
            input_: text, words, a `Document` or its dict form.
            entities: the entities of this input, or True for those of the document.
            number: position of the input, from which text and words get their id.
            types: the model's names of entity types by the user's.
            offsets: what offsets into a text count.
        """

        def read(document_id: str, text: str | None, items: Any) -> Any:
            return given_entities(document_id, text, items, offsets, types, self.model.config.traits.reads_entity_types)

        document, bare = self._document(input_, f"text-{number}", read)
        if entities is None or entities is False:
            entities = self.model.config.traits.entities_given
            if entities and bare:
                fix = (
                    "this model finds relations between entities that you give: pass "
                    'entities=[{"type": ..., "mentions": [{"char_start": ..., "char_end": ...}]}], or a Document with '
                    "entities"
                )
                raise DocumentError(document.id, "entities", None, fix)
        elif entities is True and bare:
            fix = "True takes those of a Document; for text and words give a list of them"
            raise DocumentError(document.id, "entities", True, fix)
        elif entities is not True:
            read_entities = read(document.id, document.text, entities)
            document, entities = warn_of_cuts(document, place_entities(document, read_entities)), True
        return {"features": self.predictor.featurizer([document])[0], "given": "entities" if entities else None}

    def _document(self, input_: Any, identifier: str, read: Callable[..., Any]) -> tuple[Document, bool]:
        """One input as a document, and whether it came without a place for entities; `read` reads those of a text."""
        if isinstance(input_, Mapping) and "sentences" in input_:
            input_ = Document.from_dict(input_)
        if isinstance(input_, Document):
            return replace(input_, entities=tuple(read(input_.id, None, input_.entities))), False
        if isinstance(input_, Mapping):
            if isinstance(text := input_.get("text"), str) and (entities := input_.get("entities")):
                input_ = {**input_, "entities": read(input_.get("id") or identifier, text, entities)}
            document = document_from_record(input_, identifier, self.model.config.language)
            return document, "entities" not in input_
        if isinstance(input_, str):
            return document_from_text(str(input_), identifier, self.model.config.language), True
        if _is_words(input_):
            return Document(identifier, tuple(tuple(sentence) for sentence in input_)), True
        raise TypeError(
            f"input {identifier} is {_shorten(input_)}; give a string, a list of sentences that are lists of words, a "
            "Document or its dict form"
        )

    def _forward(
        self, model_inputs: list[dict[str, Any]], threshold: float | None = None, signatures: Any = "stored"
    ) -> list[Document]:
        """Predicted documents of a batch of inputs about which the same is known."""
        features = [item["features"] for item in model_inputs]
        return self.predictor.predict_batch(features, model_inputs[0]["given"], threshold, signatures)

    def postprocess(self, model_outputs: Document, relations: frozenset[str] | None = None) -> dict[str, Any]:
        """A predicted document as a dict, with the text of each mention and only the relation types to keep."""
        kept = tuple(
            _placed(model_outputs, item)
            for item in model_outputs.relations
            if relations is None or item.type in relations
        )
        entities = tuple(_named(model_outputs, entity) for entity in model_outputs.entities)
        return replace(model_outputs, entities=entities, relations=kept).to_dict()


def _named(document: Document, entity: Entity) -> Entity:
    """The entity with the text of each mention as its name, where it has none."""

    def name(mention: Mention) -> Mention:
        return mention if mention.name is not None else replace(mention, name=document.mention_text(mention))

    return replace(entity, mentions=tuple(map(name, entity.mentions)))


def _placed(document: Document, relation: Relation) -> Relation:
    """The relation with the character ranges of its mention pairs, where the mentions have them."""
    if not relation.mention_pairs:
        return relation

    def offsets(entity: int, number: int) -> tuple[int, int] | None:
        mention = document.entities[entity].mentions[number]
        if mention.char_start is None or mention.char_end is None:
            return None
        return mention.char_start, mention.char_end

    pairs = (
        replace(
            pair,
            head_offsets=offsets(relation.head, pair.head_mention),
            tail_offsets=offsets(relation.tail, pair.tail_mention),
        )
        for pair in relation.mention_pairs
    )
    return replace(relation, mention_pairs=tuple(pairs))


def _check_workers(number: int | None) -> None:
    if number:
        raise ValueError(
            f"num_workers is {number!r}; the pipeline prepares documents in the calling process, so leave it out, and "
            "set batch_size for speed"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_words(value: Any) -> bool:
    """Whether a value is a document in words: a list of lists of strings."""
    return isinstance(value, list | tuple) and all(
        isinstance(sentence, list | tuple) and all(isinstance(word, str) for word in sentence) for sentence in value
    )


def _is_one_input(value: Any) -> bool:
    # An empty list holds no input; as an item of a list it is a document without sentences.
    return isinstance(value, str | Mapping | Document) or (_is_words(value) and len(value) > 0)


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


def _with_entities(inputs: Iterator[Any], entities: Any) -> Iterator[tuple[Any, Any]]:
    """Each of several inputs with its own entities."""
    if entities is None or isinstance(entities, bool):
        return zip(inputs, repeat(entities), strict=False)
    if isinstance(entities, str | Mapping) or not isinstance(entities, Iterable):
        raise ValueError(f"entities is {_shorten(entities)}; for several inputs give a list of entities for each")
    return _aligned(inputs, entities)


def _aligned(inputs: Iterator[Any], entities: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for number, pair in enumerate(zip_longest(inputs, entities, fillvalue=_MISSING)):
        if pair[0] is _MISSING or pair[1] is _MISSING:
            short = "inputs" if pair[0] is _MISSING else "lists of entities"
            raise ValueError(f"there are only {number} {short}; give one list of entities for each input")
        yield pair


def _batches(prepared: list[dict[str, Any]], batch_size: int) -> Iterator[list[int]]:
    """Positions of inputs about which the same is known, neighbours in length together."""

    def known(position: int) -> bool:
        return prepared[position]["given"] is not None

    order = sorted(
        range(len(prepared)), key=lambda number: (known(number), -len(prepared[number]["features"].input_ids))
    )
    for _, group in groupby(order, key=known):
        positions = list(group)
        for start in range(0, len(positions), batch_size):
            yield positions[start : start + batch_size]


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def register(default_model: str | None = None) -> None:
    """Make the task known to `pipeline`; of several copies of this file in a process the last one wins.

    Args:
        default_model: folder of the model that is used where none is named; None leaves the one that is known.
    """
    known = PIPELINE_REGISTRY.supported_tasks.pop(TASK, {})
    default = {"model": (default_model, None)} if default_model else known.get("default")
    PIPELINE_REGISTRY.register_pipeline(
        TASK, DocRelationExtractionPipeline, pt_model=AutoModel, default=default, type="text"
    )


register()
