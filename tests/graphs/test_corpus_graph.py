"""One graph of many documents: what is merged, what supports an edge, and that no order matters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from named_documents import named_document
from strategies import documents as random_documents

from modeling_docre import CorpusGraph, Document, DocumentError, Entity, Mention, Relation
from modeling_docre.graphs.elements import Edge, Evidence, Member, Node, Support


def graph_of(*rows: tuple[str, ...], **options) -> CorpusGraph:
    """The graph of documents `d0`, `d1`, … with these entities."""
    return CorpusGraph.of((named_document(f"d{number}", *row) for number, row in enumerate(rows)), **options)


def groups(graph: CorpusGraph) -> set[str]:
    """The merged entities as `document#entity`, one text per node of several entities."""
    texts = (" ".join(f"{m.document_id}#{m.entity}" for m in node.members) for node in graph.nodes)
    return {text for text in texts if " " in text}


def test_an_edge_is_traced_to_its_sentences():
    first = named_document("a", "PER: Ada Byron", "LOC: London", relations=[(0, 1, "P19")], text=True)
    second = replace(
        named_document("b", "LOC: London", "PER: Ada Byron", text=True),
        relations=(Relation(1, 0, "P19", "place of birth", 0.75, evidence=(1, 0), evidence_scores=(0.5, 0.25)),),
    )
    graph = CorpusGraph()
    graph.add([first.to_dict()], date="2024-05-01")
    graph.add([second], date={"b": "2023-01-31"})
    assert graph.nodes == (
        Node("a#0", "Ada Byron", "PER", ("Ada Byron",), (), 2, 2, None, (Member("a", 0), Member("b", 1))),
        Node("a#1", "London", "LOC", ("London",), (), 2, 2, None, (Member("a", 1), Member("b", 0))),
    )
    evidence = Evidence(0, "so Ada Byron .", 0, 14), Evidence(0, "so London .", 0, 11, 0.25)
    support = (
        Support("a", 0, 1, None, (evidence[0],), "2024-05-01"),
        Support("b", 1, 0, 0.75, (evidence[1], Evidence(1, "so Ada Byron .", 12, 26, 0.5)), "2023-01-31"),
    )
    edge = Edge("a#0", "a#1", "P19", "place of birth", 0.75, 2, "2023-01-31", "2024-05-01", support)
    assert graph.edges == (edge,) and graph.document_ids == ("a", "b")
    for item, document in zip(support, (first, second), strict=True):
        assert all(document.text[e.char_start : e.char_end] == e.text for e in item.evidence)


def test_without_evidence_an_edge_leads_to_the_sentences_that_mention_its_entities():
    words = (("Ada",), ("Ada", "in", "Rome"), ("Rome",))
    ada, rome = Entity("PER", (Mention(0, 0, 1), Mention(1, 0, 1))), Entity("LOC", (Mention(1, 2, 3), Mention(2, 0, 1)))
    document = Document("d", words, (ada, rome), (Relation(0, 1, "in", evidence=()),))
    apart = replace(
        document, entities=(replace(ada, mentions=ada.mentions[:1]), replace(rome, mentions=rome.mentions[1:]))
    )
    for item, sentences in ((document, [1]), (apart, [0, 2])):
        (edge,) = CorpusGraph.of([item]).edges
        assert [evidence.sentence for evidence in edge.support[0].evidence] == sentences
        assert edge.label == "in" and edge.support[0].evidence[0].char_start is None


def test_names_are_one_thing_if_documents_use_them_for_one_entity():
    rows = [("Disease: seizures | convulsions",), ("Disease: seizure",), ("Disease: convulsion",)]
    assert groups(graph_of(*rows)) == {"d0#0 d1#0 d2#0"}
    assert groups(graph_of(*rows, ("Disease: seizures", "Disease: convulsions"))) == {"d0#0 d2#0 d3#1", "d1#0 d3#0"}
    (node,) = graph_of(*rows).nodes
    assert node.name == "convulsion" and node.aliases == ("convulsion", "convulsions", "seizure", "seizures")
    assert node.documents == 3 and node.mentions == 4


def test_an_abbreviation_belongs_to_the_name_that_most_documents_give_it():
    rows = [("ORG: American Broadcasting Company | ABC",), ("ORG: ABC",), ("ORG: American Broadcasting Company",)]
    assert groups(graph_of(*rows)) == {"d0#0 d1#0 d2#0"}
    more = [(f"ORG: {name} Broadcasting | ABC",) for name in ("Australian", "Asahi")]
    assert groups(graph_of(*rows, *more)) == {"d0#0 d2#0"}, "no name has half of its uses"
    assert groups(graph_of(("ORG: NATO",), ("ORG: NATO",))) == {"d0#0 d1#0"}


def test_a_second_name_of_many_things_merges_none_of_them():
    rows = [(f"ORG: {letter}lberta Works | the company",) for letter in "ABCDEFGHIJKL"]
    assert groups(graph_of(*rows, ("ORG: the company",))) == set()


def test_known_ids_stand_above_names():
    rows = [("Disease=D1: fits",), ("Disease=D1: seizures",), ("Disease=D2: fits",), ("Disease: seizures",)]
    graph = graph_of(*rows, ("Disease: fits",))
    assert groups(graph) == {"d0#0 d1#0 d3#0"}, "fits may be D1 or D2"
    assert [node.concept_ids for node in graph.nodes] == [("D1",), ("D2",), ()]
    linked = graph_of(("Disease=D1: fits | turns",), ("Disease=D2: turns | fits",), ("Disease: fits",))
    assert groups(linked) == set(), "different ids are never one node"
    assert groups(graph_of(*rows, merge="off")) == set()


def test_a_chain_of_aliases_ends():
    rows = [
        *[("MISC: alpha",)] * 9,
        ("MISC: alpha | beta one",),
        *[("MISC: beta one",)] * 4,
        ("MISC: beta one | gamma",),
        *[("MISC: gamma",)] * 7,
    ]
    nodes = graph_of(*rows).nodes
    assert sorted(node.documents for node in nodes) == [7, 15], "one of eight documents says so, at second hand"


def test_similar_spellings_merge_if_asked():
    rows = [("PER: Fyodor Dostoevsky",), ("PER: Fyodor Dostoyevsky",)]
    assert groups(graph_of(*rows)) == set()
    assert groups(graph_of(*rows, merge="similar", threshold=0.9)) == {"d0#0 d1#0"}
    assert groups(
        graph_of(*rows, ("PER: Fyodor Dostoevsky", "PER: Fyodor Dostoyevsky"), merge="similar", threshold=0.9)
    ) == {
        "d0#0 d2#0",
        "d1#0 d2#1",
    }, "a document keeps them apart"


def test_an_id_is_added_once_and_nothing_is_added_by_halves():
    graph = graph_of(("LOC: Oslo",))
    rejected = [
        ([named_document("x", "LOC: Rome"), named_document("d0", "LOC: Rome")], None, "'d0'.*the graph has it already"),
        ([named_document("x", "LOC: Rome")] * 2, None, "'x'.*two of these documents have it"),
        ([named_document("x", "LOC: Rome")], "1. May", "'x'.*date is '1. May'; give an ISO date"),
        ([named_document("x", "LOC: Rome"), {"id": "y"}], None, "'y'.*sentences"),
    ]
    for documents, date, message in rejected:
        with pytest.raises(DocumentError, match=message):
            graph.add(documents, date)
        assert graph.document_ids == ("d0",) and len(graph.nodes) == 1
    with pytest.raises(DocumentError, match=r"'x'.*no such document"):
        graph.remove("x")
    for threshold in (2, "high"):
        with pytest.raises(ValueError, match=f"threshold is {threshold!r}; give a number"):
            CorpusGraph(threshold=threshold)  # type: ignore[arg-type]
    one = named_document("x", "LOC: Rome")
    for single in (one, one.to_dict(), "Rome", None):
        with pytest.raises(TypeError, match=r"give a list of documents, also of one: \[document\]"):
            graph.add(single)


NAMES = ("seizure", "seizures", "fits", "fit of rage", "convulsive fit", "convulsiv fit", "ABC", "ABD", "Anna", "12")
ENTITIES = st.builds(
    lambda kind, concept, names: f"{kind}{concept}: {' | '.join(names)}",
    st.sampled_from(["MISC", "PER", "NUM"]),
    st.sampled_from(["", "", "", "=X1", "=X2"]),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
)
CORPUS = st.lists(st.lists(ENTITIES, max_size=3), max_size=12)


@settings(max_examples=80, deadline=None)
@given(CORPUS, st.sampled_from(["exact", "similar", "off"]), st.data())
def test_no_order_matters(rows, merge, data):
    documents = [
        named_document(f"d{number}", *row, relations=[(0, 1, "r"), (1, 0, "s")] if len(row) > 1 else ())
        for number, row in enumerate(rows)
    ]
    whole = CorpusGraph.of(documents, merge=merge, threshold=0.9)
    graph = CorpusGraph(merge=merge, threshold=0.9)
    kept = data.draw(st.sets(st.integers(0, len(rows))), label="never removed")
    for number in data.draw(st.permutations(range(len(rows))), label="order"):
        graph.add([documents[number]])
        if number not in kept:
            assert len(graph.nodes) <= sum(map(len, rows))
            graph.remove(documents[number].id)
            assert documents[number].id not in graph.document_ids
    graph.add(document for number, document in enumerate(documents) if number not in kept)
    assert graph.nodes == whole.nodes and graph.edges == whole.edges


@settings(max_examples=15, deadline=None)
@given(st.lists(random_documents(all_fields=True), max_size=5, unique_by=lambda document: document.id))
def test_every_entity_and_relation_is_in_the_graph_once(documents):
    graph = CorpusGraph.of(documents)
    members = [(m.document_id, m.entity) for node in graph.nodes for m in node.members]
    assert sorted(members) == sorted((d.id, n) for d in documents for n in range(len(d.entities)))
    support = [(s.document_id, s.head, s.tail, edge.type) for edge in graph.edges for s in edge.support]
    assert sorted(support) == sorted((d.id, r.head, r.tail, r.type) for d in documents for r in d.relations)
    of = {(m.document_id, m.entity): node.id for node in graph.nodes for m in node.members}
    for edge in graph.edges:
        assert {(of[s.document_id, s.head], of[s.document_id, s.tail]) for s in edge.support} == {
            (edge.head, edge.tail)
        }
        assert all(s.evidence for s in edge.support)
    for document in documents:
        graph.remove(document.id)
    assert graph.nodes == graph.edges == graph.document_ids == ()
    assert not graph._blocks._places and not graph._blocks._groups and not graph._members, "nothing is left behind"
