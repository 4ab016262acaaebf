"""Reads Label Studio's exports JSON and JSON-MIN: regions of a text and relations between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modeling_docre.documents import DocumentError

from .markup import Link, MarkedText, Span, key_of, range_of, rows_of, same_text, typed

NOT_ANNOTATED = "tasks without an annotation (left out)"
FURTHER = "annotations of further annotators (left out; the first, or the ground truth, is taken)"
PREDICTIONS = "predictions of a model (left out)"
OTHER_RESULTS = "results that are neither regions nor relations (left out)"
SEVERAL_LABELS = "mentions with several labels (the first counts)"
UNLABELLED = "relations without a label (left out)"
NO_RELATIONS = "tasks in JSON-MIN, which holds no relations (export JSON instead)"

_REGIONS = ("labels", "hypertextlabels")


def read_task(record: Mapping[str, Any], name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The text of a task with the regions and relations of its annotation.

    Args:
        record: a task of the export JSON or JSON-MIN.
        name: the document's id.
        counts: what is changed or left out is added here.

    Raises:
        DocumentError: a key is missing or has a wrong type, or the text that was annotated cannot be told.
    """
    if "data" not in record:
        yield _minimal(record, name, counts)
        return
    counts[PREDICTIONS] += len(rows_of(name, record, "predictions", Mapping, "an object"))
    annotations = rows_of(
        name, record, "annotations" if "annotations" in record else "completions", Mapping, "an object"
    )
    finished = [item for item in annotations if not item.get("was_cancelled")]
    finished.sort(key=lambda item: not item.get("ground_truth"))
    if not finished:
        counts[NOT_ANNOTATED] += 1
        return
    counts[FURTHER] += len(finished) - 1
    results = rows_of(name, finished[0], "result", Mapping, "an object")
    marked = MarkedText(name)
    for number, result in enumerate(results):
        _add(marked, result, f"result[{number}]", counts)
    data = typed(name, "data", record["data"], Mapping, "an object with the text")
    yield _with_text(marked, _text(name, data, marked.spans))


def _add(marked: MarkedText, result: Mapping[str, Any], where: str, counts: Counter[str]) -> None:
    if result.get("type") == "relation":
        _add_relation(marked, result, where, counts)
    elif result.get("type") in _REGIONS:
        value = typed(marked.id, f"{where}.value", result.get("value"), Mapping, "an object with start and end")
        labels = value.get(result["type"])
        span = _region(marked.id, key_of(marked.id, where, result, "id"), value, labels, where, counts)
        if any((span.key, span.start, span.end) == (other.key, other.start, other.end) for other in marked.spans):
            counts[SEVERAL_LABELS] += 1  # two <Labels> that mark one region
        else:
            marked.spans.append(span)
    else:
        counts[OTHER_RESULTS] += 1


def _region(name: str, key: Any, value: Mapping[str, Any], labels: Any, where: str, counts: Counter[str]) -> Span:
    if isinstance(value.get("start"), str):
        fix = "this region lies in HTML, whose text the export does not hold; annotate it as plain <Text>"
        raise DocumentError(name, f"{where}.value.start", value["start"], fix)
    start, end = range_of(name, f"{where}.value", value, "start", "end")
    labels = typed(name, f"{where}.labels", labels or [], list, "a list of labels")
    counts[SEVERAL_LABELS] += len(labels) > 1
    kind = typed(name, f"{where}.labels[0]", labels[0], str, "a string") if labels else None
    # The browser writes a line break in a marked text as a backslash and an n.
    quote = value["text"].replace("\\n", "\n") if isinstance(value.get("text"), str) else None
    return Span(key, start, end, kind, quote, where=where)


def _add_relation(marked: MarkedText, result: Mapping[str, Any], where: str, counts: Counter[str]) -> None:
    """A relation leads from `from_id` to `to_id`; its direction may be reversed or both ways."""
    head, tail = (key_of(marked.id, where, result, end) for end in ("from_id", "to_id"))
    direction = result.get("direction") or "right"
    if direction not in ("right", "left", "bi"):
        raise DocumentError(marked.id, f"{where}.direction", direction, 'give "right", "left" or "bi"')
    labels = typed(marked.id, f"{where}.labels", result.get("labels") or [], list, "a list of labels")
    counts[UNLABELLED] += not labels
    for number, label in enumerate(labels):
        typed(marked.id, f"{where}.labels[{number}]", label, str, "a string")
        if direction in ("right", "bi"):
            marked.links.append(Link(head, tail, label, where))
        if direction in ("left", "bi"):
            marked.links.append(Link(tail, head, label, where))


def _text(name: str, data: Mapping[str, Any], spans: list[Span]) -> str:
    """The annotated text: `data.text`, the only text of the task, or the only one that has the marked words."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if isinstance(texts.get("text"), str):
        return texts["text"]
    fitting = [key for key, text in texts.items() if len(texts) == 1 or all(_fits(text, span) for span in spans)]
    if len(fitting) != 1:
        fix = "the text that was annotated cannot be told; call it `text`, or leave the others out of the task"
        raise DocumentError(name, "data", sorted(texts), fix)
    return texts[fitting[0]]


def _fits(text: str, span: Span) -> bool:
    quote = _with_breaks(text, span).quote
    return quote is not None and same_text(text[span.start : span.end], quote)


def _with_text(marked: MarkedText, text: str) -> MarkedText:
    marked.text, marked.spans = text, [_with_breaks(text, span) for span in marked.spans]
    return marked


def _with_breaks(text: str, span: Span) -> Span:
    """The span with the line breaks of its quote, which the tool lost when an annotation was updated (until 1.4)."""
    actual = text[span.start : span.end]
    lost = span.quote is not None and "\n" in actual and "".join(actual.split()) == "".join(span.quote.split())
    return replace(span, quote=actual) if lost else span


def _minimal(record: Mapping[str, Any], name: str, counts: Counter[str]) -> MarkedText:
    """A task in JSON-MIN, whose regions lie in a list under the name of its control tag."""
    counts[NO_RELATIONS] += 1
    marked = MarkedText(name)
    for key, rows in record.items():
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "start" in row for row in rows):
            continue
        for number, row in enumerate(rows):
            where = f"{key}[{number}]"
            labels = next((row[kind] for kind in _REGIONS if kind in row), None)
            marked.spans.append(_region(name, where, row, labels, where, counts))
    texts = {key: record[key] for key in record if key not in ("id", "annotator", "created_at", "updated_at")}
    return _with_text(marked, _text(name, texts, marked.spans))
