"""What each annotation tool's form has beside mentions and relations: kept, changed or left out, and counted."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import annotation_files
import pytest
import spacy
from annotation_files import Made
from annotation_reading import TEXT, facts, names, read, written
from spacy.tokens import DocBin, Span

from modeling_docre.annotations import (
    bioc_collection,
    brat,
    cas,
    clusters,
    doc_bin,
    document_file,
    prodigy,
    pubtator,
    table,
    training_json,
)
from modeling_docre.annotations.clusters import ReadingSettings
from modeling_docre.annotations.document_file import read_annotations
from modeling_docre.documents import DocumentError

MADE = Made(
    TEXT, [("PER", [(0, 4), (22, 25)]), ("LOC", [(17, 20)]), ("LOC", [(35, 48)])], [(0, 1, "born"), (0, 2, "works")]
)


def standoff(folder: Path, *lines: str, text: str = TEXT) -> Path:
    (folder / "a.txt").write_bytes(text.encode())
    (folder / "a.ann").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / "a.ann"


def test_brat(tmp_path: Path) -> None:
    lines = (
        "T1\tPER 0 4\tAnna",
        "T2\tLOC 17 20\tUlm",
        "T3\tPER 22 25\tShe",
        "T4\tLOC 35 38;44 48\tNew City",
        "T5\tBirth 9 13\tborn",
        "E1\tBirth:T5 Who:T1",
        "R1\tborn Arg1:T3 Arg2:T2",
        "R2\tworks Who:T1 Where:T4",
        "R3\tborn Arg1:T1 Arg2:T2",
        "R4\tknows Arg1:T1 Arg2:T3",
        "R5\tcauses Arg1:E1 Arg2:T2",
        "*\tEquiv T1 T3",
        "A1\tNegated T4",
        "N1\tReference T2 Wikidata:Q3012\tUlm",
        "#1\tAnnotatorNotes T2\ta town",
    )
    document, counts = read(standoff(tmp_path, *lines))
    assert document.id == "a" and names(document) == [["Anna", "She"], ["Ulm"], ["New York City"]]
    assert [entity.id for entity in document.entities] == [None, "Wikidata:Q3012", None]
    assert facts(document) == [("Anna", "born", "Ulm"), ("Anna", "works", "New York City")]
    for what in (brat.DISCONTINUOUS, brat.EVENTS, brat.ATTRIBUTES, brat.NOTES, clusters.REPEATED, clusters.SELF):
        assert counts[what] == 1, what
    assert counts[clusters.OF_DROPPED] == counts[clusters.MERGED_MENTIONS] == 1


def test_brats_fragments_around_a_line_break_are_one_range(tmp_path: Path) -> None:
    path = standoff(tmp_path, "T1\tLOC 7 10;11 15\tNew York", text="He saw New\nYork.")
    document, counts = read(path)
    assert names(document) == [["New\nYork"]] and not counts[brat.DISCONTINUOUS]


def test_brats_files_belong_together(tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_text("")
    with pytest.raises(FileNotFoundError, match=r"a\.ann has no a\.txt beside it"):
        read_annotations(tmp_path)
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").write_text(TEXT)
    (tmp_path / "annotation.conf").write_text("[entities]\nPER\n")
    documents, counts = read_annotations(tmp_path)
    assert [document.id for document in documents] == ["a"] and counts[document_file.UNANNOTATED] == 1
    assert counts["files *.conf of unknown form (left out)"] == 1


def test_lines_that_brat_does_not_write_are_named(tmp_path: Path) -> None:
    for line, fix in (
        ("T1\tPER 0\tAnna", "give a mention as T1"),
        ("T1 PER 0 4 Anna", "give a mention as T1"),
        ("R1\tborn Arg1:T1", "give a relation as R1"),
        ("*\tEquiv T1", "give an equivalence"),
        ("N1\tReference T1", "give a normalization"),
        ("X1\tPER 0 4\tAnna", "begin each line with T, R"),
    ):
        with pytest.raises(DocumentError, match=rf"'a': line 2 of a\.ann.*{fix}"):
            read(standoff(tmp_path, "T1\tPER 0 4\tAnna", line))
    with pytest.raises(DocumentError, match=r"R1 in line 2 of a\.ann is 'T9'; no mention of the document has this id"):
        read(standoff(tmp_path, "T1\tPER 0 4\tAnna", "R1\tborn Arg1:T1 Arg2:T9"))
    with pytest.raises(DocumentError, match=r"T1 in line 2 of a\.ann is 'T1'; another mention of the document has"):
        read(standoff(tmp_path, "T1\tPER 0 4\tAnna", "T1\tLOC 17 20\tUlm"))


def test_doccano_without_relations(tmp_path: Path) -> None:
    for key in ("label", "labels"):
        document, counts = read(written(tmp_path, {"id": 1, "text": TEXT, key: [[0, 4, "PER"]], "Comments": ["?"]}))
        assert (document.id, names(document)) == ("1", [["Anna"]])
        assert counts["comments of annotators (left out)"] == 1
    with pytest.raises(DocumentError, match=r"label\[0\] is 'news'; give a list \[start, end, type\]"):
        read(written(tmp_path, {"id": 1, "text": TEXT, "label": ["news"]}))


def test_prodigy_by_tokens(tmp_path: Path) -> None:
    """A relation of `rel.manual` may name the token alone; its tokens are the words."""
    tokens = [
        {"text": TEXT[a:b], "start": a, "end": b, "id": n} for n, (a, b) in enumerate(annotation_files.tokens_of(TEXT))
    ]
    spans = [
        {"start": 0, "end": 4, "label": "PER"},
        {"start": 35, "end": 49, "token_start": 7, "token_end": 9, "label": "LOC"},
    ]
    relations = [
        {"head": 0, "child": 9, "label": "works"},
        {"head": 0, "child": 2, "label": "x"},
        {"head": 0, "child": 9, "label": None},
    ]
    record = {"text": TEXT, "tokens": tokens, "spans": spans, "relations": relations, "_task_hash": 1}
    path = written(tmp_path, record | {"answer": "accept"}, record | {"answer": "reject"})
    document, counts = read(path)
    assert document.sentences[0] == ("Anna", "was", "born", "in", "Ulm.") and len(document.sentences) == 2
    assert facts(document) == [("Anna", "works", "New York City.")]
    assert counts[prodigy.REFUSED] == counts[prodigy.UNLABELLED] == counts[clusters.UNTYPED] == 1
    spans.append({"start": 0, "end": 4, "label": "ROLE"})
    document, _ = read(written(tmp_path, record | {"relations": []}))
    assert [entity.type for entity in document.entities] == ["PER", "ROLE", "LOC"]
    with pytest.raises(DocumentError, match=r"relations\[0\]\.child is 99; the example has 11 tokens, numbered from 0"):
        read(written(tmp_path, record | {"relations": [{"head": 0, "child": 99, "label": "x"}]}))


ABSTRACT = """7|t|Lithium and tremor
7|a|Tremor was seen.
7\t0\t7\tLithium\tChemical\tD008094
7\t12\t18\ttremor\tDisease\tD014202
7\t19\t25\tTremor\tDisease\tD014202|D001480
7\t30\t34\tseen\tMutation\tc|SUB|G|35|A
7\tCID\tD008094\tD014202
7\tCID\tD008094\tD999999
"""


def test_pubtator(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ABSTRACT, encoding="utf-8")
    (tmp_path / "b.gz").write_bytes(gzip.compress(ABSTRACT.encode()))
    for path in (tmp_path / "a.txt", tmp_path / "b.gz"):
        document, counts = read(path)
        assert document.id == "7" and document.sentences[0] == ("Lithium", "and", "tremor")
        assert names(document) == [["Lithium"], ["tremor", "Tremor"], ["Tremor"], ["seen"]]
        assert document.entities[3].id == "c|SUB|G|35|A" and facts(document) == [("Lithium", "CID", "tremor")]
        assert counts[pubtator.SEVERAL] == counts[pubtator.UNMENTIONED] == 1
    (tmp_path / "a.txt").write_text(ABSTRACT.replace("\t12\t18", "\t11\t17"), encoding="utf-8")
    with pytest.raises(DocumentError, match=r"'7': annotations\[1\] \(start, end\).*the document has ' tremo' there"):
        read(tmp_path / "a.txt")


def test_bioc(tmp_path: Path) -> None:
    """Passages stand at their offsets; relations may name concepts instead of mentions; roles give the direction."""
    collection = annotation_files.bioc_collection(MADE)
    [document] = collection.documents
    document.relations[0].nodes.reverse()
    document.relations[1].nodes, document.relations[1].infons = (
        [],
        {**{"type": "works", "entity1": "MESH:D100", "entity2": "MESH:D102"}},
    )
    document.passages[0].offset = 3
    for annotation in document.passages[0].annotations:
        annotation.locations[0].offset += 3
    import bioc

    broken = bioc.BioCAnnotation()
    broken.id, broken.text, broken.infons = "T9", "New City", {"type": "LOC"}
    broken.locations = [bioc.BioCLocation(38, 3), bioc.BioCLocation(47, 4)]
    document.passages[0].add_annotation(broken)
    path = tmp_path / "a.xml"
    with path.open("w", encoding="utf-8") as handle:
        bioc.biocxml.dump(collection, handle)
    read_document, counts = read(path)
    assert read_document.id == "7" and read_document.text == f"\n\n\n{TEXT}"
    assert facts(read_document) == [("Anna", "born", "Ulm"), ("Anna", "works", "New York City")]
    assert counts[brat.DISCONTINUOUS] == 1
    document.relations[0].nodes.pop()
    with path.open("w", encoding="utf-8") as handle:
        bioc.biocxml.dump(collection, handle)
    assert read(path)[1][bioc_collection.NOT_BINARY] == 1


def test_bioc_of_one_document_per_line(tmp_path: Path) -> None:
    from bioc import biocjson

    whole = json.loads(biocjson.dumps(annotation_files.bioc_collection(MADE)))
    path = annotation_files.write_json_lines(tmp_path / "a.jsonl", [whole["documents"][0], whole["documents"][0]])
    documents, counts = read_annotations(path)
    assert [document.id for document in documents] == ["7", "7 #2"]
    assert counts[document_file.REPEATED_TEXTS] == counts[document_file.REPEATED_IDS] == 1


def test_cas_as_inception_exports_it(tmp_path: Path) -> None:
    """A ZIP; own layers; labels that are missing; a chain that covers a pronoun without an entity."""
    made = Made(TEXT, [("PER", [(0, 4)]), ("LOC", [(17, 20)])], [(0, 1, "born")])
    content = annotation_files.cas_of(made)
    types = content.typesystem
    person = types.create_type("webanno.custom.Person")
    content.add(person(begin=35, end=48))
    entity, metadata = (
        types.get_type("de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity"),
        types.create_type(cas._METADATA),
    )
    types.create_feature(metadata, "documentTitle", "uima.cas.String")
    lemma = types.create_type("de.tudarmstadt.ukp.dkpro.core.api.segmentation.type.Lemma")
    pos = types.create_type("de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS")
    anna, ulm = content.select(entity.name)
    ulm.identifier = "http://www.wikidata.org/entity/Q3012"
    content.add_all([metadata(begin=0, end=5, documentTitle="anna.txt"), lemma(begin=0, end=4), pos(begin=0, end=4)])
    content.add_all([entity(begin=5, end=5, value="PER"), entity(begin=9, end=13)])
    relation = types.get_type("custom.Relation")
    content.add_all([relation(begin=0, end=4, Governor=anna, Dependent=ulm)])
    link_type = types.get_type("de.tudarmstadt.ukp.dkpro.core.api.coref.type.CoreferenceLink")
    last = link_type(begin=22, end=25)
    first = link_type(begin=0, end=4, next=last)
    chain = types.get_type("de.tudarmstadt.ukp.dkpro.core.api.coref.type.CoreferenceChain")
    content.add_all([first, last, chain(first=first)])
    content.to_xmi(tmp_path / "a.xmi")
    types.to_xml(tmp_path / "TypeSystem.xml")
    with zipfile.ZipFile(tmp_path / "anna.zip", "w") as archive:
        for name in ("a.xmi", "TypeSystem.xml"):
            archive.write(tmp_path / name, name)
    for path in (tmp_path / "a.xmi", tmp_path / "anna.zip"):
        document, counts = read(path)
        assert document.id == "anna.txt" and names(document) == [["Anna", "She"], ["Ulm"], ["New York City"]]
        assert [entity.type for entity in document.entities] == ["PER", "LOC", "Person"]
        assert document.entities[1].id == "http://www.wikidata.org/entity/Q3012"
        assert facts(document) == [("Anna", "born", "Ulm")]
        assert counts[cas.EMPTY] == counts[cas.UNLABELLED] == counts[clusters.UNTYPED] == counts[cas.OTHER_LAYERS] == 1
    (tmp_path / "TypeSystem.xml").unlink()
    with pytest.raises(DocumentError, match=r"'a\.xmi': type system is None; put the TypeSystem\.xml"):
        read(tmp_path / "a.xmi")


def test_spacys_doc_bin(tmp_path: Path) -> None:
    doc = spacy.blank("en")(TEXT)
    doc.ents = [Span(doc, 0, 1, label="PER", kb_id="Q1"), Span(doc, 4, 5, label="LOC")]
    doc.spans["places"] = [doc[4:5], doc[9:12]]
    doc.user_data.update(
        {("._.", "rel", None, None): {(0, 4): {"born": 0.9, "died": 0.2}}, ("._.", "x", None, None): 1}
    )
    bare = spacy.blank("en")("Nobody.")
    DocBin(docs=[doc, bare], store_user_data=True).to_disk(tmp_path / "a.spacy")
    [document, _], counts = read_annotations(tmp_path / "a.spacy")
    assert names(document) == [["Anna"], ["Ulm"], ["Ulm"], ["New York City"]]
    assert [entity.type for entity in document.entities] == ["PER", "LOC", "places", "places"]
    assert document.entities[0].id == "Q1" and facts(document) == [("Anna", "born", "Ulm")]
    assert counts[doc_bin.NO_RELATIONS] == counts[doc_bin.OTHER_ATTRIBUTES] == 1


def test_spert_and_dygie(tmp_path: Path) -> None:
    made = Made("Anna lives in Ulm .", [("PER", [(0, 4)]), ("LOC", [(14, 17)])], [(0, 1, "lives")])
    document, _ = read(annotation_files.spert(tmp_path, made))
    assert (document.id, facts(document)) == ("7", [("Anna", "lives", "Ulm")])
    record = {
        "doc_key": "one",
        "sentences": [["Anna", "sings", "."], ["She", "lives", "in", "Ulm"]],
        "ner": [[[0, 0, "PER"]], [[6, 6, "LOC"]]],
        "relations": [[], [[3, 3, 6, 6, "lives"]]],
        "clusters": [[[0, 0], [3, 3]]],
        "events": [[[[1, "Sing"]]], []],
        "predicted_ner": [[], []],
    }
    document, counts = read(annotation_files.write_json_lines(tmp_path / "a.jsonl", [record]))
    assert names(document) == [["Anna", "She"], ["Ulm"]] and facts(document) == [("Anna", "lives", "Ulm")]
    assert counts[training_json.EVENTS] == counts[training_json.PREDICTED] == 1
    record["ner"] = [[[2, 3, "PER"]]]
    with pytest.raises(DocumentError, match=r"ner\[0\]\[0\] \(start, end\) is \(2, 4\); sentence 0 ends at word 3"):
        read(annotation_files.write_json_lines(tmp_path / "a.jsonl", [record]))


def test_tables(tmp_path: Path) -> None:
    """Rows of a text are one document, and a name's place inside a longer name is not the name."""
    text = '"Ann sings in New York. New York Opera loves ""Ann""."'
    rows = [f"{text},Ann,New York,sings in", f"{text},New York Opera,Ann,loves", f"{text},Ann,New York Opera,"]
    (tmp_path / "a.csv").write_text("\n".join(["text,head,tail,relation", *rows]), encoding="utf-8")
    document, counts = read(tmp_path / "a.csv")
    assert names(document) == [["Ann", "Ann"], ["New York"], ["New York Opera"]]
    assert facts(document) == [("Ann", "sings in", "New York"), ("New York Opera", "loves", "Ann")]
    assert counts[table.UNRELATED] == 1 and {entity.type for entity in document.entities} == {table.ENTITY_TYPE}
    header = "id\ttext\thead\thead_type\ttail\ttail_type\trelation"
    (tmp_path / "a.tsv").write_text(f"{header}\nx\tAnn in Ulm\tAnn\tPER\tUlm\tLOC\tin\n", encoding="utf-8")
    document, _ = read(tmp_path / "a.tsv")
    assert document.id == "x" and [entity.type for entity in document.entities] == ["PER", "LOC"]
    for row, message in (
        ("x\tAnn in Ulm\tBob\tPER\tUlm\tLOC\tin", r"'x': line 2, head is 'Bob'; the text does not have this name"),
        ("x\tAnn in Ulm\tAnn\tPER\tUlm", r"'a\.tsv': line 2.*give a value for each of the 7 columns"),
        ("x\tAnn in Ulm\t\tPER\tUlm\tLOC\tin", r"line 2, head is ''"),
    ):
        (tmp_path / "a.tsv").write_text(f"{header}\n{row}\n", encoding="utf-8")
        with pytest.raises(DocumentError, match=message):
            read(tmp_path / "a.tsv")
    for columns, message in (
        ("text,head,relation", "text, head, tail and relation are needed"),
        ("text,head,tail,relation,Text", "column is 'text'; two columns have this name"),
    ):
        (tmp_path / "a.csv").write_text(f"{columns}\n", encoding="utf-8")
        with pytest.raises(DocumentError, match=message):
            read(tmp_path / "a.csv")


def test_equal_names_become_one_entity_on_request(tmp_path: Path) -> None:
    path = standoff(tmp_path, "T1\tLOC 0 3\tUlm", "T2\tLOC 8 11\tULM", "T3\tORG 16 19\tUlm", text="Ulm and ULM and Ulm")
    assert names(read(path)[0]) == [["Ulm"], ["ULM"], ["Ulm"]]
    assert names(read(path, ReadingSettings(cluster="names"))[0]) == [["Ulm", "ULM"], ["Ulm"]]


def test_what_means_the_same_entity_can_be_said(tmp_path: Path) -> None:
    lines = ("T1\tPER 0 4\tAnna", "T2\tPER 22 25\tShe", "R1\t{} Arg1:T1 Arg2:T2")
    for kind, types, merged in (
        ("COREF", None, True),
        ("same_as", None, True),
        ("Coreference-Link", None, True),
        ("born", None, False),
        ("is", ("is",), True),
        ("coref", ("is",), False),
    ):
        document, counts = read(
            standoff(tmp_path, *(line.format(kind) for line in lines)), ReadingSettings(coreference=types)
        )
        assert (len(document.entities) == 1) == merged, kind
        assert counts[clusters.MERGED_LINKS] == merged


def test_offsets_are_checked_against_what_the_file_quotes(tmp_path: Path) -> None:
    text = "😀 Zoë and Anna\r\nlive in Ulm."
    for offsets, fix in (
        ("6 9", r"the text has 'and' there, but the file says 'Anna'; correct the offsets; 'Anna' stands at 10"),
        ("12 16", r"fit if they count UTF-16 units|correct the offsets"),
        ("14 18", r"fit if they count bytes"),
        ("0 99", r"give a range in the text, in characters 0 <= start < end <= 28"),
        ("1 2", r"' ' holds no word"),
    ):
        with pytest.raises(DocumentError, match=rf"'a': T1 in line 1 of a\.ann \(start, end\).*{fix}"):
            read(standoff(tmp_path, f"T1\tPER {offsets}\tAnna", text=text))
    path = standoff(tmp_path, "T1\tPER 11 15\tAnna", text=text)
    with pytest.raises(DocumentError, match=r"they count UTF-16 units: convert with --offsets utf-16"):
        read(path)
    assert names(read(path, ReadingSettings(offsets="utf-16"))[0]) == [["Anna"]]
    path = standoff(tmp_path, "T1\tPER 10 14\tAnna", text=text)
    with pytest.raises(DocumentError, match=r"they count characters: convert with --offsets characters"):
        read(path, ReadingSettings(offsets="utf-16"))
    with pytest.raises(DocumentError, match=r"the offsets fit if a line break is one character"):
        read(standoff(tmp_path, "T1\tPER 23 26\tUlm", text=text))
    with pytest.raises(DocumentError, match=r"<= 28; correct the offsets$"):
        read(standoff(tmp_path, "T1\tPER 3 3\t", text=text))
    with pytest.raises(DocumentError, match=r"<= 4; correct the offsets; 'Anna' stands at 0$"):
        read(standoff(tmp_path, "T1\tPER 0 90\tAnna", text="Anna"))
    with pytest.raises(DocumentError, match=r"the offsets fit without the byte order mark at the start of the text"):
        read(standoff(tmp_path, "T1\tPER 2 5\tZoë", text=f"\ufeff{text}"))


def test_brat_lines_about_unknown_mentions_are_refused(tmp_path: Path) -> None:
    for line in ("*\tEquiv T1 T9", "N1\tReference T9 Wikidata:Q1\tAnna"):
        path = standoff(tmp_path, "T1\tPER 0 4\tAnna", line, text="Anna")
        with pytest.raises(DocumentError, match=r"line 2 of a\.ann is 'T9'; no annotation of the file has this id"):
            read(path)


def test_words_are_cut_and_sentences_joined_at_mentions(tmp_path: Path) -> None:
    path = standoff(tmp_path, "T1\tX 0 3\tPro", "T2\tX 14 20\tit. So", text="ProGerman saw it. So did we.")
    document, counts = read(path)
    assert document.sentences[0][:2] == ("Pro", "German") and len(document.sentences) == 1
    assert counts[clusters.CUT] == counts[clusters.JOINED] == 1


def test_mixed_types_and_ids_are_counted(tmp_path: Path) -> None:
    lines = (
        "T1\tPER 0 4\tAnna",
        "T2\tPRONOUN 22 25\tShe",
        "*\tEquiv T1 T2",
        "N1\tReference T1 A:1\t",
        "N2\tReference T2 B:2\t",
    )
    document, counts = read(standoff(tmp_path, *lines))
    [entity] = document.entities
    assert (entity.type, entity.id, [mention.type for mention in entity.mentions]) == ("PER", "A:1", [None, "PRONOUN"])
    assert counts[clusters.MIXED] == counts[clusters.SEVERAL_IDS] == 1


def test_a_folder_of_several_forms_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    annotation_files.brat(tmp_path / "sub", MADE)
    annotation_files.doccano(tmp_path, MADE)
    (tmp_path / "README.md").write_text("# ours", encoding="utf-8")
    (tmp_path / "labels.json").write_text('{"P17": "country"}', encoding="utf-8")
    documents, counts = read_annotations(tmp_path)
    assert [document.id for document in documents] == ["1", "sub/one"]
    assert counts["files in the form of brat"] == counts["files in the form of doccano"] == 1
    assert counts["documents"] == 2 and counts["mentions"] == 8
    assert counts["files *.md of unknown form (left out)"] == counts["files *.json of unknown form (left out)"] == 1


def test_a_file_of_no_known_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Just a text.", encoding="utf-8")
    with pytest.raises(
        DocumentError, match=r"'a\.txt': form is 'Just a text\.'; no known format begins so; known are prodigy"
    ):
        read_annotations(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="there is no format 'xml'"):
        read_annotations(tmp_path / "a.txt", form="xml")
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        read_annotations(tmp_path / "absent")
    for wrong in ({"offsets": "bytes"}, {"cluster": "all"}):
        with pytest.raises(ValueError, match=r"is '(bytes|all)'; give 'characters|is 'all'; give 'links'"):
            ReadingSettings(**wrong)
