"""Writes documents in the forms of annotation tools, after their documentation, for tests that read them back."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Made(NamedTuple):
    """A text with entities, each a type with its half-open character ranges, and relations (head, tail, type)."""

    text: str
    entities: list[tuple[str, list[tuple[int, int]]]]
    relations: list[tuple[int, int, str]]

    @property
    def mentions(self) -> list[tuple[int, str, int, int]]:
        """Entity number, type, start and end of every mention."""
        return [(number, kind, a, b) for number, (kind, ranges) in enumerate(self.entities) for a, b in ranges]

    def first(self, entity: int) -> int:
        """The number of an entity's first mention among all mentions."""
        return sum(len(ranges) for _, ranges in self.entities[:entity])

    def chains(self) -> list[list[int]]:
        """The numbers of the mentions of each entity that has several."""
        groups = [[self.first(n) + k for k in range(len(ranges))] for n, (_, ranges) in enumerate(self.entities)]
        return [group for group in groups if len(group) > 1]


def utf16(text: str, place: int) -> int:
    return len(text[:place].encode("utf-16-le")) // 2


def write_json_lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records), encoding="utf-8")
    return path


def brat(folder: Path, made: Made) -> Path:
    lines = [
        f"T{n}\t{kind} {a} {b}\t{made.text[a:b].replace(chr(10), ' ')}"
        for n, (_, kind, a, b) in enumerate(made.mentions)
    ]
    lines += [f"R{n}\t{t} Arg1:T{made.first(h)} Arg2:T{made.first(q)}" for n, (h, q, t) in enumerate(made.relations)]
    lines += ["*\tEquiv " + " ".join(f"T{n}" for n in group) for group in made.chains()]
    (folder / "one.txt").write_bytes(made.text.encode())
    (folder / "one.ann").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "one.ann"


def label_studio(folder: Path, made: Made) -> Path:
    regions = [
        {
            **{"id": f"r{n}", "type": "labels", "from_name": "label", "to_name": "text"},
            "value": {"start": a, "end": b, "text": made.text[a:b], "labels": [kind]},
        }
        for n, (_, kind, a, b) in enumerate(made.mentions)
    ]
    links = [(made.first(h), made.first(q), t) for h, q, t in made.relations]
    links += [(group[0], other, "coref") for group in made.chains() for other in group[1:]]
    relations = [
        {"type": "relation", "from_id": f"r{h}", "to_id": f"r{q}", "direction": "right", "labels": [t]}
        for h, q, t in links
    ]
    annotation = {"id": 5, "result": regions + relations, "was_cancelled": False, "ground_truth": False}
    path = folder / "export.json"
    task = {"id": 1, "data": {"text": made.text}, "annotations": [annotation], "predictions": []}
    path.write_text(json.dumps([task]), encoding="utf-8")
    return path


def doccano(folder: Path, made: Made) -> Path:
    entities = [
        {"id": 10 + n, "label": kind, "start_offset": a, "end_offset": b}
        for n, (_, kind, a, b) in enumerate(made.mentions)
    ]
    links = [(made.first(h), made.first(q), t) for h, q, t in made.relations]
    links += [(group[0], other, "coreference") for group in made.chains() for other in group[1:]]
    relations = [{"id": n, "from_id": 10 + h, "to_id": 10 + q, "type": t} for n, (h, q, t) in enumerate(links)]
    record = {"id": 1, "text": made.text, "entities": entities, "relations": relations, "Comments": []}
    return write_json_lines(folder / "all.jsonl", [record])


def tokens_of(text: str) -> list[tuple[int, int]]:
    """The words of a text as a tool that only knows blanks cuts them."""
    ranges, place = [], 0
    for word in text.split():
        start = text.index(word, place)
        place = start + len(word)
        ranges.append((start, place))
    return ranges


def prodigy(folder: Path, made: Made) -> Path:
    tokens = tokens_of(made.text)

    def span(mention: int) -> dict[str, Any]:
        _, kind, a, b = made.mentions[mention]
        inside = [n for n, (start, end) in enumerate(tokens) if start < b and a < end]
        return {"start": a, "end": b, "token_start": inside[0], "token_end": inside[-1], "label": kind}

    links = [(made.first(h), made.first(q), t) for h, q, t in made.relations]
    links += [(group[0], other, "COREF") for group in made.chains() for other in group[1:]]
    record = {
        "text": made.text,
        "_input_hash": 1,
        "_task_hash": 2,
        "tokens": [
            {"text": made.text[a:b], "start": a, "end": b, "id": n, "ws": True} for n, (a, b) in enumerate(tokens)
        ],
        "spans": [span(number) for number in range(len(made.mentions))],
        "relations": [
            {
                **{"head": span(h)["token_end"], "child": span(q)["token_end"], "label": t},
                **{"head_span": span(h), "child_span": span(q)},
            }
            for h, q, t in links
        ],
        "answer": "accept",
    }
    return write_json_lines(folder / "prodigy.jsonl", [record])


def pubtator(folder: Path, made: Made) -> Path:
    title, _, abstract = made.text.partition("\n")
    lines = [f"7|t|{title}", f"7|a|{abstract}"]
    lines += [f"7\t{a}\t{b}\t{made.text[a:b]}\t{kind}\tD{100 + entity}" for entity, kind, a, b in made.mentions]
    lines += [f"7\t{t}\tD{100 + h}\tD{100 + q}" for h, q, t in made.relations]
    (folder / "one.pubtator").write_bytes("".join(f"{line}\n" for line in lines).encode())
    return folder / "one.pubtator"


def bioc_collection(made: Made) -> Any:
    import bioc

    collection, document, passage = bioc.BioCCollection(), bioc.BioCDocument(), bioc.BioCPassage()
    document.id, passage.offset, passage.text = "7", 0, made.text
    for number, (entity, kind, a, b) in enumerate(made.mentions):
        annotation = bioc.BioCAnnotation()
        annotation.id, annotation.text = f"T{number}", made.text[a:b]
        annotation.infons = {"type": kind, "identifier": f"MESH:D{100 + entity}"}
        annotation.add_location(bioc.BioCLocation(a, b - a))
        passage.add_annotation(annotation)
    for number, (h, q, t) in enumerate(made.relations):
        relation = bioc.BioCRelation()
        relation.id, relation.infons = f"R{number}", {"type": t}
        relation.add_node(bioc.BioCNode(f"T{made.first(h)}", "Arg1"))
        relation.add_node(bioc.BioCNode(f"T{made.first(q)}", "Arg2"))
        document.add_relation(relation)
    document.add_passage(passage)
    collection.add_document(document)
    return collection


def bioc_xml(folder: Path, made: Made) -> Path:
    from bioc import biocxml

    with (folder / "one.xml").open("w", encoding="utf-8") as handle:
        biocxml.dump(bioc_collection(made), handle)
    return folder / "one.xml"


def bioc_json(folder: Path, made: Made) -> Path:
    from bioc import biocjson

    (folder / "one.json").write_text(biocjson.dumps(bioc_collection(made)), encoding="utf-8")
    return folder / "one.json"


def cas_of(made: Made) -> Any:
    """A CAS with INCEpTION's named entities, a relation layer of the user, and a coreference layer."""
    import cassis

    types = cassis.TypeSystem()
    core = "de.tudarmstadt.ukp.dkpro.core.api."
    sentence, token = (types.create_type(f"{core}segmentation.type.{name}") for name in ("Sentence", "Token"))
    entity = types.create_type(f"{core}ner.type.NamedEntity")
    for name in ("value", "identifier"):
        types.create_feature(entity, name, "uima.cas.String")
    relation = types.create_type("custom.Relation")
    types.create_feature(relation, "label", "uima.cas.String")
    for name in ("Governor", "Dependent"):
        types.create_feature(relation, name, entity)
    link = types.create_type(f"{core}coref.type.CoreferenceLink")
    types.create_feature(link, "next", link)
    chain = types.create_type(f"{core}coref.type.CoreferenceChain", "uima.cas.AnnotationBase")
    types.create_feature(chain, "first", link)
    cas = cassis.Cas(types)
    cas.sofa_string = made.text
    cas.sofa_mime = "text/plain"
    if made.text.strip():
        cas.add(sentence(begin=0, end=len(made.text)))
    cas.add_all([token(begin=a, end=b) for a, b in tokens_of(made.text)])
    mentions = [entity(begin=a, end=b, value=kind) for _, kind, a, b in made.mentions]
    cas.add_all(mentions)
    for h, q, t in made.relations:
        head, tail = mentions[made.first(h)], mentions[made.first(q)]
        cas.add(relation(begin=tail.begin, end=tail.end, Governor=head, Dependent=tail, label=t))
    for group in made.chains():
        following = None
        for number in reversed(group):
            _, _, a, b = made.mentions[number]
            following = link(begin=a, end=b, next=following)
            cas.add(following)
        cas.add(chain(first=following))
    return cas


def cas_xmi(folder: Path, made: Made) -> Path:
    cas = cas_of(made)
    cas.to_xmi(folder / "one.xmi")
    cas.typesystem.to_xml(folder / "TypeSystem.xml")
    return folder / "one.xmi"


def cas_json(folder: Path, made: Made) -> Path:
    cas_of(made).to_json(folder / "one.json")
    return folder / "one.json"


def spacy_doc_bin(folder: Path, made: Made) -> Path:
    import spacy
    from spacy.tokens import DocBin, SpanGroup

    doc = spacy.blank("en")(made.text)
    spans = [doc.char_span(a, b, label=kind, alignment_mode="expand") for _, kind, a, b in made.mentions]
    doc.spans["sc"] = SpanGroup(doc, spans=spans)
    for number, group in enumerate(made.chains()):
        doc.spans[f"coref_clusters_{number}"] = [doc[spans[n].start : spans[n].end] for n in group]
    relations: dict[Any, dict[str, float]] = {}
    for h, q, t in made.relations:
        relations.setdefault((spans[made.first(h)].start, spans[made.first(q)].start), {})[t] = 1.0
    doc.user_data["._.", "rel", None, None] = relations
    DocBin(docs=[doc], store_user_data=True).to_disk(folder / "one.spacy")
    return folder / "one.spacy"


def table(folder: Path, made: Made) -> Path:
    """Only relations have rows, so an entity without one is lost, and so are mentions by another name."""
    with (folder / "one.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["text", "head", "head_type", "tail", "tail_type", "relation"])
        for h, q, t in made.relations:
            values = [made.text]
            for number in (h, q):
                kind, [(a, b), *_] = made.entities[number]
                values += [made.text[a:b], kind]
            writer.writerow([*values, t])
    return folder / "one.csv"


def spert(folder: Path, made: Made) -> Path:
    tokens = tokens_of(made.text)
    first = {range_: n for n, range_ in enumerate(tokens)}
    record = {
        "tokens": [made.text[a:b] for a, b in tokens],
        "entities": [{"type": kind, "start": first[a, b], "end": first[a, b] + 1} for _, kind, a, b in made.mentions],
        "relations": [{"type": t, "head": made.first(h), "tail": made.first(q)} for h, q, t in made.relations],
        "orig_id": 7,
    }
    (folder / "spert.json").write_text(json.dumps([record]), encoding="utf-8")
    return folder / "spert.json"


def dygie(folder: Path, made: Made) -> Path:
    tokens = tokens_of(made.text)
    first = {range_: n for n, range_ in enumerate(tokens)}
    places = [first[a, b] for _, _, a, b in made.mentions]
    record = {
        "doc_key": "one",
        "dataset": "own",
        "sentences": [[made.text[a:b] for a, b in tokens]],
        "ner": [[[n, n, kind] for n, (_, kind, _, _) in zip(places, made.mentions, strict=True)]],
        "relations": [[[*[places[made.first(h)]] * 2, *[places[made.first(q)]] * 2, t] for h, q, t in made.relations]],
        "clusters": [[[places[n], places[n]] for n in group] for group in made.chains()],
    }
    return write_json_lines(folder / "dygie.jsonl", [record])


WRITERS: dict[str, Callable[[Path, Made], Path]] = {
    "brat": brat,
    "label-studio": label_studio,
    "doccano": doccano,
    "prodigy": prodigy,
    "pubtator": pubtator,
    "bioc xml": bioc_xml,
    "bioc json": bioc_json,
    "cas xmi": cas_xmi,
    "cas json": cas_json,
    "spacy": spacy_doc_bin,
    "dygie": dygie,
}
"""Forms that keep texts, entities with all their mentions, and relations."""
