"""A graph as RDF: facts, and for each of them where it was stated (PROV)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modeling_docre.graphs.elements import Edge, Node, Support

from .extra import extra_graph
from .graph import Graph

if TYPE_CHECKING:
    import rdflib

BASE = "urn:docre:"
"""What IRIs of nodes, types and documents begin with."""

TERMS = "urn:docre:terms#"
"""What the properties and classes of this package begin with."""

WIKIDATA = "http://www.wikidata.org/prop/direct/"
SYNTAXES = {"turtle": "turtle", "ntriples": "nt", "jsonld": "json-ld"}
"""Names of the syntaxes, and what rdflib calls them."""

PREFIXES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "dcterms": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "wdt": WIKIDATA,
    "docre": TERMS,
}
_PROPERTY = re.compile(r"P[1-9]\d*")


def to_rdf(graph: Graph, base: str = BASE, wikidata: bool = True) -> rdflib.Graph:
    """Triples of a graph (extra `graph`).

    Each node is a resource with its type, labels and identifiers. Each edge is a triple, and a statement about it
    (`rdf:Statement`) carries its score. The statement is derived (`prov:wasDerivedFrom`) from what each document says;
    that is derived from the document and from sentences, which are quoted (`prov:wasQuotedFrom`) from the document.

    Args:
        graph: nodes and edges.
        base: what the IRIs of nodes, types, relations and documents begin with; a part of a name that an IRI cannot
            hold is percent-encoded.
        wikidata: relation types such as `P19` are properties of Wikidata, as in DocRED.
    """
    return _Writer(base, wikidata).write(graph)


def serialize(graph: Graph, syntax: str = "turtle", base: str = BASE) -> str:
    """The triples of a graph as text.

    Args:
        graph: nodes and edges.
        syntax: a key of `SYNTAXES`.
        base: see `to_rdf`.
    """
    options: dict[str, Any] = {"context": PREFIXES} if syntax == "jsonld" else {}
    return to_rdf(graph, base).serialize(format=SYNTAXES[syntax], **options)


class _Writer:
    """Adds what a graph says to an `rdflib.Graph`."""

    def __init__(self, base: str, wikidata: bool):
        with extra_graph():
            import rdflib

        self.base, self.wikidata, self.triples = base, wikidata, rdflib.Graph(bind_namespaces="none")
        self.iri, self.literal = rdflib.URIRef, rdflib.Literal
        for prefix, namespace in PREFIXES.items():
            self.triples.bind(prefix, namespace)

    def write(self, graph: Graph) -> rdflib.Graph:
        for node in graph.nodes:
            self.node(node)
        for edge in graph.edges:
            self.edge(edge)
        return self.triples

    def node(self, node: Node) -> None:
        this, kind = self.named("entity", node.id), self.named("type", node.type)
        self.link(this, "rdf:type", kind)
        self.describe(kind, "rdfs:label", node.type)
        self.describe(this, "rdfs:label", node.name)
        self.describe(this, "skos:altLabel", *node.aliases)
        self.describe(this, "dcterms:identifier", *node.concept_ids)
        self.figures(this, node, "documents", "mentions", "score")
        for member in node.members:
            place = self.named("member", member.document_id, str(member.entity))
            self.link(this, "docre:member", place)
            self.link(place, "prov:wasDerivedFrom", self.document(member.document_id))
            self.figures(place, member, "entity")

    def edge(self, edge: Edge) -> None:
        head, tail, relation = (
            self.named("entity", edge.head),
            self.named("entity", edge.tail),
            self.relation(edge.type),
        )
        this = self.named("statement", edge.head, edge.type, edge.tail)
        self.triples.add((head, relation, tail))
        self.describe(relation, "rdfs:label", edge.label)
        self.link(this, "rdf:type", self.term("rdf:Statement"))
        self.link(this, "rdf:subject", head)
        self.link(this, "rdf:predicate", relation)
        self.link(this, "rdf:object", tail)
        self.figures(this, edge, "score", "documents", "first_seen", "last_seen")
        for number, support in enumerate(edge.support):
            source = self.iri(f"{this}/{number}")
            self.link(this, "prov:wasDerivedFrom", source)
            self.support(source, support)

    def support(self, this: rdflib.URIRef, support: Support) -> None:
        document = self.document(support.document_id)
        self.link(this, "prov:wasDerivedFrom", document)
        self.figures(this, support, "head", "tail", "score", "date")
        for number, evidence in enumerate(support.evidence):
            sentence = self.iri(f"{this}/{number}")
            self.link(this, "prov:wasDerivedFrom", sentence)
            self.link(sentence, "rdf:type", self.term("docre:Sentence"))
            self.link(sentence, "prov:wasQuotedFrom", document)
            self.describe(sentence, "prov:value", evidence.text)
            self.figures(sentence, evidence, "sentence", "char_start", "char_end", "score")

    def document(self, name: str) -> rdflib.URIRef:
        this = self.named("document", name)
        self.link(this, "rdf:type", self.term("docre:Document"))
        self.describe(this, "dcterms:identifier", name)
        return this

    def link(self, subject: rdflib.URIRef, predicate: str, target: rdflib.URIRef) -> None:
        """Add a triple between two resources."""
        self.triples.add((subject, self.term(predicate), target))

    def describe(self, subject: rdflib.URIRef, predicate: str, *values: str | int | float) -> None:
        """Add a triple per value; rdflib would round a `double` to seven digits, a `decimal` stays exact."""
        for value in values:
            exact = Decimal(repr(value)) if isinstance(value, float) else value
            self.triples.add((subject, self.term(predicate), self.literal(exact)))

    def figures(self, subject: rdflib.URIRef, element: Any, *names: str) -> None:
        """Add the named attributes of an element, except for absent ones."""
        for name in names:
            if (value := getattr(element, name)) is not None:
                self.describe(subject, f"docre:{name}", value)

    def term(self, name: str) -> rdflib.URIRef:
        """The IRI of a prefixed name."""
        prefix, _, local = name.partition(":")
        return self.iri(PREFIXES[prefix] + local)

    def relation(self, kind: str) -> rdflib.URIRef:
        """The property of a relation type."""
        known = self.wikidata and _PROPERTY.fullmatch(kind)
        return self.iri(WIKIDATA + kind) if known else self.named("relation", kind)

    def named(self, *parts: str) -> rdflib.URIRef:
        """The IRI of a thing, whatever characters its name has."""
        return self.iri(self.base + "/".join(quote(part, safe="") for part in parts))
