"""Matches predictions to references by id, and makes the checks that need both."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .document_reader import check_evidence, check_pair, check_span, read_document, reject
from .scored_document import ScoredDocument


class Pair(NamedTuple):
    """A prediction with its reference.

    `reference` is None for a prediction with an unknown id; `missing` marks an empty prediction that replaces a missing
    one.
    """

    prediction: ScoredDocument
    reference: ScoredDocument | None
    missing: bool

    def changed(self, change: Callable[[ScoredDocument], ScoredDocument]) -> Pair:
        """The pair with the same change made to both documents."""
        reference = None if self.reference is None else change(self.reference)
        return self._replace(prediction=change(self.prediction), reference=reference)


def pair_documents(predictions: Iterable[Any], references: Iterable[Any], entities_given: bool) -> list[Pair]:
    """Match predictions to references by id: first the references in order, then predictions with an unknown id.

    Args:
        predictions: Document dicts, their JSON texts, or objects with `to_dict()`.
        references: documents in the same forms.
        entities_given: whether predicted relations point to the reference's entities instead of predicted ones.

    Raises:
        ValueError: a document breaks the format, an id is duplicate on one side, a prediction's sentences, offsets or
            entities do not fit its reference, or there are predictions but no reference.
    """
    gold = _by_id(read_references(references), "references")
    predicted = _by_id((read_document(item, predicted=True) for item in predictions), "predictions")
    if predicted and not gold:
        raise ValueError(f"references are empty, but there are {len(predicted)} predictions; pass the gold documents")
    pairs = []
    for name, reference in gold.items():
        prediction = predicted.pop(name, None)
        empty = ScoredDocument(name, None, (), (), 0)
        pairs.append(Pair(prediction or empty, reference, missing=prediction is None))
    pairs += [Pair(prediction, None, missing=False) for prediction in predicted.values()]
    for pair in pairs:
        _check(pair, entities_given)
    return pairs


def read_references(documents: Iterable[Any]) -> list[ScoredDocument]:
    """Check and read gold documents once for any number of evaluations.

    Args:
        documents: Document dicts, their JSON texts, or objects with `to_dict()`.

    Raises:
        ValueError: a document breaks the format.
    """
    return [read_document(item, predicted=False) for item in documents]


def _by_id(documents: Iterable[ScoredDocument], side: str) -> dict[str, ScoredDocument]:
    by_id: dict[str, ScoredDocument] = {}
    for document in documents:
        if document.id in by_id:
            reject(document.id, "id", document.id, f"duplicate id among the {side}; give each document once")
        by_id[document.id] = document
    return by_id


def _check(pair: Pair, entities_given: bool) -> None:
    """Raise unless the prediction fits its reference and its relations point to existing entities."""
    prediction, reference, _ = pair
    if reference is not None:
        _check_offsets(prediction, reference)
    if not entities_given:
        if prediction.relations and not prediction.entities:
            fix = "list the predicted entities, or pass entities_given=True if relations point to the reference's"
            reject(prediction.id, "entities", [], fix)
    elif reference is not None:
        _check_given_entities(prediction, reference)
        for number, relation in enumerate(prediction.relations):
            check_pair(prediction.id, f"predicted relations[{number}]", relation, len(reference.entities))


def _check_offsets(prediction: ScoredDocument, reference: ScoredDocument) -> None:
    lengths = reference.sentence_lengths or ()
    if prediction.sentence_lengths not in (None, lengths):
        fix = f"the reference has {lengths} words per sentence; predict on the reference's words"
        reject(prediction.id, "sentences (number of words)", prediction.sentence_lengths, fix)
    for number, entity in enumerate(prediction.entities):
        for span in entity.spans:
            check_span(prediction.id, f"predicted entities[{number}]", span, lengths)
    for number, relation in enumerate(prediction.relations):
        check_evidence(prediction.id, f"predicted relations[{number}]", relation, len(lengths))


def _check_given_entities(prediction: ScoredDocument, reference: ScoredDocument) -> None:
    if not prediction.entities:
        return
    if len(prediction.entities) != len(reference.entities):
        fix = f"with entities_given=True list the reference's {len(reference.entities)} entities in order, or none"
        reject(prediction.id, "number of predicted entities", len(prediction.entities), fix)
    for number, (entity, given) in enumerate(zip(prediction.entities, reference.entities, strict=True)):
        if entity.spans and entity.spans != given.spans:
            fix = f"with entities_given=True it must be the reference's entity, {sorted(given.spans)}"
            reject(prediction.id, f"predicted entities[{number}]", sorted(entity.spans), fix)
