"""RDF, read back by rdflib in three syntaxes."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import pytest
from exported import odd_graph
from rdflib import RDF, RDFS, Graph, Literal, URIRef
from rdflib.compare import isomorphic, to_isomorphic
from rdflib.namespace import DCTERMS, PROV, SKOS

from modeling_docre.exports.graph import PlainGraph
from modeling_docre.exports.rdf import SYNTAXES, TERMS, serialize, to_rdf
from modeling_docre.graphs.elements import Edge, Evidence, Member, Node, Support

GRAPH = odd_graph()
WDT = "http://www.wikidata.org/prop/direct/"


def number(value: Literal | None) -> int | float | str | None:
    """The value of a literal; decimals are floating-point numbers here."""
    python = None if value is None else value.toPython()
    return python if python is None or isinstance(python, int | str) else float(python)


def of(triples: Graph, subject: URIRef, name: str):
    return number(triples.value(subject, URIRef(TERMS + name)))


def name_of(iri: URIRef) -> str:
    return unquote(str(iri).rsplit("/", 1)[1])


def document_of(triples: Graph, subject: URIRef) -> str:
    sources = [source for source in triples.objects(subject, PROV.wasDerivedFrom) if is_a(triples, source, "Document")]
    assert len(sources) == 1
    return str(triples.value(sources[0], DCTERMS.identifier))


def is_a(triples: Graph, subject: URIRef, kind: str) -> bool:
    return (subject, RDF.type, URIRef(TERMS + kind)) in triples


def node_of(triples: Graph, iri: URIRef) -> Node:
    places = triples.objects(iri, URIRef(f"{TERMS}member"))
    members = [Member(document_of(triples, place), of(triples, place, "entity")) for place in places]
    figures = [of(triples, iri, name) for name in ("documents", "mentions", "score")]
    name, kind = triples.value(iri, RDFS.label), triples.value(iri, RDF.type)
    assert str(triples.value(kind, RDFS.label)) == name_of(kind)
    aliases = sorted(map(str, triples.objects(iri, SKOS.altLabel)))
    concepts = sorted(map(str, triples.objects(iri, DCTERMS.identifier)))
    return Node(name_of(iri), str(name), name_of(kind), tuple(aliases), tuple(concepts), *figures, frozenset(members))


def evidence_of(triples: Graph, iri: URIRef) -> Evidence:
    text = str(triples.value(iri, PROV.value))
    figures = [of(triples, iri, name) for name in ("char_start", "char_end", "score")]
    return Evidence(of(triples, iri, "sentence"), text, *figures)


def edge_of(triples: Graph, iri: URIRef) -> Edge:
    head, relation, tail = (triples.value(iri, part) for part in (RDF.subject, RDF.predicate, RDF.object))
    assert (head, relation, tail) in triples
    support = set()
    for source in triples.objects(iri, PROV.wasDerivedFrom):
        quotes = [item for item in triples.objects(source, PROV.wasDerivedFrom) if is_a(triples, item, "Sentence")]
        figures = [of(triples, source, name) for name in ("head", "tail", "score")]
        evidence = frozenset(evidence_of(triples, item) for item in quotes)
        support.add(Support(document_of(triples, source), *figures, evidence, of(triples, source, "date")))
    figures = [of(triples, iri, name) for name in ("score", "documents", "first_seen", "last_seen")]
    label = str(triples.value(relation, RDFS.label))
    return Edge(name_of(head), name_of(tail), name_of(relation), label, *figures, frozenset(support))


def as_sets(graph: PlainGraph) -> tuple[set, set]:
    """A graph without the order of what RDF does not order."""
    nodes = {
        replace(
            node,
            aliases=tuple(sorted(node.aliases)),
            concept_ids=tuple(sorted(node.concept_ids)),
            members=frozenset(node.members),
        )
        for node in graph.nodes
    }
    edges = set()
    for edge in graph.edges:
        support = frozenset(replace(item, evidence=frozenset(item.evidence)) for item in edge.support)
        edges.add(replace(edge, support=support))
    return nodes, edges


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_each_syntax_is_read_back(syntax):
    triples = Graph().parse(data=serialize(GRAPH, syntax), format=SYNTAXES[syntax])
    assert isomorphic(triples, to_rdf(GRAPH)) and len(to_isomorphic(triples)) > 60
    entities = {iri for iri in triples.subjects(URIRef(f"{TERMS}mentions"))}
    nodes = {node_of(triples, iri) for iri in entities}
    edges = {edge_of(triples, iri) for iri in triples.subjects(RDF.type, RDF.Statement)}
    assert (nodes, edges) == as_sets(GRAPH)
    assert len(Graph().parse(data=serialize(PlainGraph(), syntax), format=SYNTAXES[syntax])) == 0


def test_codes_are_properties_of_wikidata_and_other_types_are_our_own():
    triples = to_rdf(GRAPH)
    predicates = {str(predicate) for predicate in triples.predicates() if "P1" in str(predicate)}
    assert predicates == {f"{WDT}P19", "urn:docre:relation/P1%20%3Codd%3E%20%22type%22"}
    own = {str(predicate) for predicate in to_rdf(GRAPH, "https://example.org/", wikidata=False).predicates()}
    assert "https://example.org/relation/P19" in own and f"{WDT}P19" not in own


def test_iris_are_safe_whatever_the_names_hold():
    for triple in to_rdf(GRAPH):
        for term in triple:
            assert not isinstance(term, URIRef) or not set(' <>"{}|\\^`\n') & set(str(term)), term
