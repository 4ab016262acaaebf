"""Reads BioC in XML and JSON by the library `bioc`: passages, annotations and relations."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modeling_docre.documents import DocumentError

from .brat import DISCONTINUOUS
from .markup import Link, MarkedText, Span, content_of, decoded, typed
from .pubtator import add_mention, link_concepts

NOT_BINARY = "relations of other than two mentions (left out)"

_ID_KEYS = ("identifier", "mesh", "omim", "ncbi gene", "ncbigene", "ncbi taxonomy", "cellosaurus", "concept_id", "id")
_HEADS = frozenset({"head", "arg1", "subject", "source", "agent", "cause", "chemical"})
_TAILS = frozenset({"tail", "arg2", "object", "target", "theme", "disease"})
_ENDS = (("entity1", "entity2"), ("role1", "role2"), ("chemical", "disease"), ("arg1", "arg2"))
"""Keys under which a relation without nodes names its two concepts."""


def read_bioc(path: Path, name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The documents of a collection; the text of each is its passages at their offsets.

    Args:
        path: a file in BioC XML or JSON (a collection, a document, or a document per line), plain or gzip.
        name: name of documents without an id.
        counts: what is changed or left out is added here.

    Raises:
        ImportError: the library is not installed.
        DocumentError: the library cannot read the file, or passages overlap.
    """
    content = decoded(content_of(path), path.name, "text").removeprefix("\ufeff")
    for number, document in enumerate(_documents(content, path.name), 1):
        yield _marked(document, document.id or f"{name} {number}", counts)


def _documents(content: str, file: str) -> list[Any]:
    try:
        from bioc import biocjson, biocxml
        from bioc.biocjson.decoder import parse_doc
    except ImportError as error:
        raise ImportError(f"{file} is BioC; reading it takes `pip install modeling-docre[annotations]`") from error
    try:
        if content.lstrip().startswith("<"):
            return biocxml.loads(content).documents
        if '"documents"' in content.partition('"passages"')[0]:
            return biocjson.loads(content).documents
        return [parse_doc(record) for record in _records(content)]
    # The library lets each parser's own errors through.
    except Exception as error:
        reason = f"key {error} is missing" if isinstance(error, KeyError) else str(error)
        fix = f"give BioC as its DTD or JSON form has it; the library bioc says: {reason}"
        raise DocumentError(file, "BioC", content[:60], fix) from error


def _records(content: str) -> list[Any]:
    try:
        records = json.loads(content)
    except json.JSONDecodeError:
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    return records if isinstance(records, list) else [records]


def _marked(document: Any, name: str, counts: Counter[str]) -> MarkedText:
    marked = MarkedText(name, "", sections=[])
    parts = [document, *(part for passage in document.passages for part in (passage, *passage.sentences))]
    for passage in document.passages:
        for piece in [passage] if passage.text else passage.sentences:
            _add_text(marked, piece.offset, typed(name, "passage.text", piece.text or "", str, "a string"))
    for part in parts:
        for annotation in part.annotations:
            _add_annotation(marked, annotation, counts)
    for part in parts:
        for relation in part.relations:
            _add_relation(marked, relation, counts)
    return marked


def _add_text(marked: MarkedText, offset: Any, text: str) -> None:
    """Put a passage at its offset; line breaks fill what lies between passages."""
    before = marked.text or ""
    if typed(marked.id, "passage.offset", offset, int, "a whole number") < len(before):
        fix = f"passages must follow each other; the one before ends at {len(before)}"
        raise DocumentError(marked.id, "passage.offset", offset, fix)
    if offset > len(before) + 10_000_000:
        raise DocumentError(
            marked.id, "passage.offset", offset, "correct the offset; no text stands between the passages"
        )
    marked.text = before + "\n" * (offset - len(before)) + text
    marked.sections = [*(marked.sections or ()), (offset, offset + len(text))]


def _add_annotation(marked: MarkedText, annotation: Any, counts: Counter[str]) -> None:
    where = f"annotation {annotation.id}"
    typed(marked.id, f"{where}.id", annotation.id, (str, int), "a string")
    places = annotation.locations
    for number in (number for place in places for number in (place.offset, place.length)):
        typed(marked.id, f"{where}.location", number, int, "offset and length as whole numbers")
    ranges = sorted((place.offset, place.offset + place.length) for place in places)
    if not ranges:
        raise DocumentError(marked.id, f"{where}.location", None, "give each annotation its offset and length")
    gaps = [(marked.text or "")[a:b] for (_, a), (b, _) in itertools.pairwise(ranges)]
    quote = typed(marked.id, f"{where}.text", annotation.text or "", str, "a string") or None
    if any(gap.strip() for gap in gaps):
        counts[DISCONTINUOUS] += 1
        quote = None
    infons = _infons(marked.id, where, annotation)
    concept = next((infons[key] for key in _ID_KEYS if infons.get(key)), "")
    kind = infons.get("type")
    span = Span(annotation.id, ranges[0][0], max(end for _, end in ranges), kind and str(kind), quote, where=where)
    if any(span.key == other.key for other in marked.spans):
        span = replace(span, key=(span.key, len(marked.spans)))  # ids may repeat across passages; the first counts
    add_mention(marked, span, str(concept), counts)


def _add_relation(marked: MarkedText, relation: Any, counts: Counter[str]) -> None:
    """A relation between the mentions of its nodes, or between the concepts that its infons name."""
    where = f"relation {relation.id}"
    infons = _infons(marked.id, where, relation)
    kind = str(infons.get("type") or infons.get("relation") or "")
    if not kind:
        raise DocumentError(marked.id, f"{where}.type", None, "give each relation an infon `type`")
    for head, tail in _ENDS if not relation.nodes else ():
        if infons.get(head) and infons.get(tail):
            link_concepts(marked, kind, _identifier(infons[head]), _identifier(infons[tail]), where, counts)
            return
    if len(relation.nodes) != 2:
        counts[NOT_BINARY] += 1
        return
    for value in (value for node in relation.nodes for value in (node.refid, node.role)):
        typed(marked.id, f"{where}.node", value, str, "refid and role as strings")
    first, second = relation.nodes
    if first.role.lower() in _TAILS or second.role.lower() in _HEADS:
        first, second = second, first
    marked.links.append(Link(first.refid, second.refid, kind, where))


def _infons(name: str, where: str, part: Any) -> dict[str, Any]:
    """The infons of an annotation or relation by their keys in lower case."""
    infons = typed(name, f"{where}.infons", part.infons, Mapping, "an object with strings")
    return {str(key).lower(): value for key, value in infons.items()}


def _identifier(end: Any) -> str:
    return str(end.get("identifier", "")) if isinstance(end, Mapping) else str(end)
