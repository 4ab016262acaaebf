"""Reads UIMA CAS, as INCEpTION exports it, in XMI and JSON by the library `dkpro-cassis`."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modeling_docre.documents import DocumentError

from .markup import Link, MarkedText, Span, Words, content_of
from .prodigy import words_by_sentence

OTHER_LAYERS = "annotations of layers that hold neither mentions nor relations (left out)"
EMPTY = "annotations of no character (left out)"
UNLABELLED = "relations without a label (left out)"
NO_MENTION = "relations that do not connect two mentions (left out)"
SLOTS = "links in slots of a mention (left out; draw them as relations)"

TYPE_SYSTEM = "TypeSystem.xml"

_CORE = "de.tudarmstadt.ukp.dkpro.core.api."
_SENTENCE, _TOKEN = f"{_CORE}segmentation.type.Sentence", f"{_CORE}segmentation.type.Token"
_NAMED_ENTITY, _METADATA = f"{_CORE}ner.type.NamedEntity", f"{_CORE}metadata.type.DocumentMetaData"
_OWN_TYPES = ("uima.", "de.tudarmstadt.ukp.", "org.dkpro.")
"""Types of the tools themselves; all others are layers of the user."""

_GENERIC = frozenset({_NAMED_ENTITY, "custom.Span", "custom.Relation"})
"""Layers whose name says nothing about what is marked."""

_LABELS = ("value", "label", "type", "category", "relation")
"""Features that hold a label, the likeliest first."""

_RANGES = frozenset({"uima.cas.String"})


def read_cas(path: Path, name: str, counts: Counter[str]) -> Iterator[MarkedText]:
    """The document of a CAS: named entities and own span layers, relation layers, and coreference chains.

    A mention's type is its feature `value` or `label`, else its first feature with a text, else the name of its layer.
    `identifier` is its concept id. Sentences and tokens are those of the tool. Offsets are UTF-16 units in the file,
    which the library counts in characters.

    Args:
        path: JSON CAS; XMI with its `TypeSystem.xml` in the same folder; or the ZIP of both that INCEpTION exports.
        name: the document's id, if the CAS does not name it.
        counts: what is left out is added here.

    Raises:
        ImportError: the library is not installed.
        DocumentError: the type system is not there, or the library cannot read the file.
    """
    cas = _load(path)
    text = cas.sofa_string
    if not text:
        raise DocumentError(path.name, "sofaString", text, "the CAS holds no text; export it with its document")
    titles = [item.documentTitle for item in _select(cas, _METADATA) if getattr(item, "documentTitle", None)]
    marked = MarkedText(titles[0] if titles else name, text, offsets="characters", words=_words(cas, text, name))
    relations = []
    for item in cas.select_all_annotations():
        kind = item.type
        if kind.get_feature("Governor") is not None and kind.get_feature("Dependent") is not None:
            relations += [] if kind.name.startswith(_OWN_TYPES) else [item]
        elif kind.get_feature("next") is not None:
            continue  # a link of a chain
        elif kind.name == _NAMED_ENTITY or not kind.name.startswith(_OWN_TYPES):
            _add_mention(marked, item, counts)
        elif not kind.name.startswith(("uima.tcas.Doc", f"{_CORE}segmentation", f"{_CORE}metadata")):
            counts[OTHER_LAYERS] += 1
    for chain in cas.select_all_fs():
        if chain.type.get_feature("first") is not None:
            marked.chains.append(list(_chain(marked, chain)))
    for relation in relations:
        _add_relation(marked, relation, counts)
    yield marked


def _load(path: Path) -> Any:
    try:
        import cassis
    except ImportError as error:
        raise ImportError(
            f"{path} is a UIMA CAS; reading it takes `pip install modeling-docre[annotations]`"
        ) from error
    content = content_of(path)
    types = _types_beside(path)
    if content[:2] == b"PK":
        content, types = _unzipped(content, path.name)
    is_xml = content.lstrip()[:1] == b"<"
    if is_xml and types is None:
        fix = f"put the {TYPE_SYSTEM} that was exported with it into its folder, or give the ZIP of both"
        raise DocumentError(path.name, "type system", None, fix)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the library only warns of offsets that divide a character
            if not is_xml:
                return cassis.load_cas_from_json(content.decode("utf-8-sig"))
            return cassis.load_cas_from_xmi(io.BytesIO(content), cassis.load_typesystem(io.BytesIO(types or b"")))
    # The library lets errors of its parsers and of dictionaries through.
    except Exception as error:
        fix = f"export it again as UIMA CAS XMI 1.0 or JSON; dkpro-cassis says: {type(error).__name__}: {error}"
        raise DocumentError(path.name, "CAS", path.name, fix) from error


def _types_beside(path: Path) -> bytes | None:
    return (path.parent / TYPE_SYSTEM).read_bytes() if (path.parent / TYPE_SYSTEM).is_file() else None


def _unzipped(content: bytes, file: str) -> tuple[bytes, bytes | None]:
    """The CAS and the type system of a ZIP."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            found = [item for item in names if item.endswith((".xmi", ".json"))]
            if len(found) != 1:
                raise DocumentError(
                    file, "ZIP", names, "give a ZIP with one .xmi or .json file, or unpack it into a folder"
                )
            types = [item for item in names if item.rpartition("/")[2] == TYPE_SYSTEM]
            return archive.read(found[0]), archive.read(types[0]) if types else None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise DocumentError(file, "ZIP", file, f"the archive is broken ({error}); export it again") from error


def _select(cas: Any, kind: str) -> list[Any]:
    return list(cas.select(kind)) if cas.typesystem.contains_type(kind) else []


def _words(cas: Any, text: str, name: str) -> Words | None:
    """The tokens by sentences; None where the CAS has no tokens."""
    tokens = sorted((t.begin, t.end) for t in _select(cas, _TOKEN) if t.begin < t.end and text[t.begin : t.end].strip())
    sentences = sorted((item.begin, item.end) for item in _select(cas, _SENTENCE))
    if not tokens:
        return None
    if not sentences:
        return words_by_sentence(text, name, tokens)
    starts = {start for start, _ in sentences}
    groups: list[list[tuple[int, int]]] = []
    previous = -1
    for start, end in tokens:
        if not groups or any(previous < border <= start for border in starts):
            groups.append([])
        groups[-1].append((start, end))
        previous = start
    return groups


def _label(item: Any) -> str | None:
    """The label of an annotation or a relation."""
    names = [feature.name for feature in item.type.all_features if feature.rangeType.name in _RANGES]
    ordered = [label for label in _LABELS if label in names]
    ordered += [name for name in names if name not in (*ordered, "identifier", "sofa")]
    for name in ordered:
        if isinstance(item.get(name), str) and item.get(name).strip():
            return item.get(name).strip()
    return None if item.type.name in _GENERIC else item.type.short_name


def _add_mention(marked: MarkedText, item: Any, counts: Counter[str]) -> None:
    counts[SLOTS] += sum(_slots(item))
    if item.begin >= item.end:
        counts[EMPTY] += 1
        marked.dropped.add(item.xmiID)
        return
    has_id = item.type.get_feature("identifier") is not None and item.identifier
    concepts = (str(item.identifier),) if has_id else ()
    where = f"{item.type.short_name} {item.xmiID}"
    marked.spans.append(Span(item.xmiID, item.begin, item.end, _label(item), concepts=concepts, where=where))


def _slots(item: Any) -> Iterator[int]:
    """How many links each slot of a mention has."""
    for feature in item.type.all_features:
        elements = getattr(getattr(item, feature.name, None), "elements", None) or ()
        yield sum(getattr(element, "target", None) is not None for element in elements)


def _chain(marked: MarkedText, chain: Any) -> Iterator[Any]:
    """The mentions of a chain; a link that no mention covers exactly is a mention without a type."""
    link, seen = chain.first, set()
    while link is not None and link.xmiID not in seen:
        seen.add(link.xmiID)
        same = [span.key for span in marked.spans if (span.start, span.end) == (link.begin, link.end)]
        if not same and link.begin < link.end:
            same = [("chain", link.xmiID)]
            marked.spans.append(Span(same[0], link.begin, link.end, None, where=f"link {link.xmiID}"))
        yield from same
        link = link.next


def _add_relation(marked: MarkedText, item: Any, counts: Counter[str]) -> None:
    """A relation leads from its feature `Governor`, where the user began to draw it, to `Dependent`."""
    keys = {span.key for span in marked.spans} | marked.dropped
    ends = [getattr(end, "xmiID", None) for end in (item.Governor, item.Dependent)]
    label = _label(item)
    counts[NO_MENTION] += not keys.issuperset(ends)
    if keys.issuperset(ends) and label is None:
        counts[UNLABELLED] += 1
    elif keys.issuperset(ends):
        marked.links.append(Link(ends[0], ends[1], label or "", f"{item.type.short_name} {item.xmiID}"))
