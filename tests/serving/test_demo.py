"""The demo Space: what it shows of a graph, its marks, documents and files."""

from __future__ import annotations

import io
import json
import re
import sys
from html import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import pytest
from graphs import TEXT, graph, mention
from pipelines import build, decisive_jerex

from modeling_docre.documents import Document
from modeling_docre.exports.formats import DOCUMENT_FORMATS, FOLDERS, GRAPH_FORMATS, NAMES, SUFFIXES
from modeling_docre.exports.page import to_page
from modeling_docre.given_entities import give_entities
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.text import document_from_text

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "spaces" / "demo"
sys.path.insert(0, str(DEMO))

import corpus  # noqa: E402
import downloads  # noqa: E402
import views  # noqa: E402
from marks import NEW, Marks, in_characters, span_of  # noqa: E402


def test_the_text_is_whole_and_every_mention_is_marked():
    html = views.highlighted(graph())
    marks = re.findall(r'<mark [^>]*data-entity="(\d)">(.*?)</mark>', html)
    assert [(int(entity), re.sub("<sup>.*?</sup>", "", text)) for entity, text in marks] == [
        (1, "Ada"),
        (0, " Lovelace"),
        (0, "Ada"),
        (2, "London"),
    ]
    assert "&lt;b&gt; &amp; " in html and "<br><span" in html
    plain = re.sub("<sup>.*?</sup>", "", html).replace("<br>", "\n")
    assert ElementTree.fromstring(f"<r>{plain}</r>").find("div") is not None
    sentences = [item for item in ElementTree.fromstring(plain).iter("span") if item.get("data-sentence")]
    assert ["".join(item.itertext()) for item in sentences] == ["Ada Lovelace <b> & Ada", "was born in London."]
    assert "".join(ElementTree.fromstring(f"<r>{plain}</r>").itertext()) == TEXT
    assert re.findall(r"<sup>&thinsp;(.*?)</sup>", html) == ["1", "0", "0", "2"]
    same = graph()
    assert "no entities" in views.legend(graph(entities=[]))
    same["entities"][1]["mentions"] = [mention(0, 12)]
    assert "<sup>&thinsp;0,1</sup>" in views.highlighted(same), "a mention of two entities has both numbers"


def test_relations_are_rows_with_the_surest_first():
    rows = views.relation_rows(graph())
    assert [row[:4] for row in rows] == [
        ["London [2]", "P1", "Ada Lovelace [0]", 0.75],
        ["Ada Lovelace [0]", "place of birth", "London [2]", 0.5],
        ["Ada Lovelace [0]", "home", "London [2]", None],
    ]
    assert rows[0][4] == "1, 2"
    assert all(len(row) == len(views.COLUMNS) for row in rows)
    table = ElementTree.fromstring(views.relation_table(graph()))
    cells = [["".join(cell.itertext()) for cell in row.iter("td")] for row in table.find("tbody")]
    assert cells[0] == ["London [2]", "P1", "Ada Lovelace [0]", "0.75", "1, 2"] and cells[2][3] == ""
    assert "No relation scores" in views.relation_table(graph(relations=[]))
    assert views.relation_table(graph(relations=[], entities=[])) == ""


def test_pointing_at_a_relation_marks_its_sentences_and_entities():
    page = views.page(graph())
    rows = re.findall(r'<tr role="row" tabindex="0" data-relation="(\d)">', page)
    assert rows == ["0", "1", "2"] and "3 entities, 3 relations" in page
    for number, relation in enumerate(sorted(graph()["relations"], key=lambda item: -(item["score"] or 0))):
        rules = [
            line for line in page.splitlines() if f'[data-relation="{number}"]' in line and line.startswith(".docre")
        ]
        assert all(f'mark[data-entity="{relation[end]}"]' in rules[0] for end in ("head", "tail"))
        assert all(f'[data-sentence="{sentence}"]' in rules[1] for sentence in relation["evidence"])
    assert "&lt;script&gt;" in views.hint("<script>")
    assert views.picture(graph(entities=[])) == "" and views.counted(1, "entity") == "1 entity"


def test_the_slider_keeps_what_scores_high_enough():
    kept = views.at_least(graph(), 0.6)
    assert [relation["type"] for relation in kept["relations"]] == ["P1", "P2"], "without a score there is no less"
    assert len(graph()["relations"]) == 3 and kept["entities"] == graph()["entities"]
    lines = views.as_csv(graph()).splitlines()
    assert lines[0] == "head,relation,tail,score,evidence"
    assert lines[1] == 'London [2],P1,Ada Lovelace [0],0.75,"1, 2"' and len(lines) == 4


MARKED = "Ada Lovelace met Ada. 😀 Adam was in London."


def spans(marks: Marks) -> list[tuple[str, list[str]]]:
    """Each entity's type and the texts of its mentions."""
    return [(entity.type, [marks.text[slice(*span)] for span in entity.spans]) for entity in marks.entities]


def test_marks_of_one_name_are_one_entity_unless_said_otherwise():
    marks = Marks(MARKED).add((0, 12), "PER").add((17, 21), "PER", entity=0)
    assert spans(marks) == [("PER", ["Ada Lovelace", "Ada."])] and marks.add((0, 3), "PER").entities[1].spans == (
        (0, 3),
    )
    marks = Marks(MARKED).add((16, 20), "PER", everywhere=True)
    assert spans(marks) == [("PER", ["Ada", "Ada"])], "blanks do not count, and Adam is another word"
    assert spans(Marks(MARKED).add((17, 20), "PER").add((0, 3), "PER")) == [("PER", ["Ada", "Ada"])]
    apart = Marks(MARKED).add((17, 20), "PER").add((0, 3), "PER", NEW)
    assert spans(apart) == [("PER", ["Ada"]), ("PER", ["Ada"])] == spans(apart.add((0, 12), "LOC").remove((0, 12)))
    assert len(Marks(MARKED).add((17, 20), "PER").add((0, 3), "ORG").entities) == 2, "another type is another entity"
    assert spans(Marks(MARKED).add((0, 12), "PER").add((17, 20), "PER", 0, everywhere=True)) == [
        ("PER", ["Ada Lovelace", "Ada"])
    ], "what is marked stays what it is"
    for span, message in (((12, 13), "Nothing is selected"), ((5, 5), "Nothing"), ((0, 3), "marked here already")):
        with pytest.raises(ValueError, match=message):
            Marks(MARKED).add((0, 3), "PER").add(span, "LOC")


def test_marks_follow_the_text_and_are_shown():
    marks = Marks.of_names(MARKED, [("PER", ["Ada", "Ada Lovelace"]), ("LOC", ["London"])])
    assert spans(marks) == [("PER", ["Ada Lovelace", "Ada"]), ("LOC", ["London"])]
    assert spans(marks.moved("Oh, " + MARKED)) == spans(marks) == spans(marks.moved(MARKED + "!"))
    assert spans(marks.moved(MARKED.replace("met Ada", "met Bob"))) == [("PER", ["Ada Lovelace"]), ("LOC", ["London"])]
    assert marks.moved("x").entities == () == marks.moved("").entities and marks.moved("").text == ""
    place = MARKED.index("London")
    units = len(MARKED[:place].encode("utf-16-le")) // 2
    assert units == place + 1 and in_characters(MARKED, units) == place
    assert marks.given()[1] == {"type": "LOC", "mentions": [{"char_start": place, "char_end": place + 6}]}
    assert marks.choices()[2:] == [("Ada Lovelace [0] · PER", 0), ("London [1] · LOC", 1)]
    inside = Marks.of_names("the University of Basel in Basel", [("LOC", ["Basel"]), ("ORG", ["University of Basel"])])
    assert spans(inside) == [("LOC", ["Basel"]), ("ORG", ["University of Basel"])]
    page = ElementTree.fromstring(re.sub("&thinsp;", "", marks.html()))
    buttons = list(page.iter("button"))
    assert [button.get("aria-label") for button in buttons] == [
        "Remove the mention Ada Lovelace at character 0",
        "Remove the mention Ada at character 17",
        f"Remove the mention London at character {place}",
    ]
    assert span_of(buttons[2].get("data-remove")) == (place, place + 6)
    assert "&lt;b&gt;" in Marks("<b>").add((0, 3), "<i>").html("<u>") and "No entity" in Marks().html()


def test_texts_come_from_lines_and_files(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffZoë\r\n", encoding="utf-8")
    (tmp_path / "pdf.pdf").write_bytes(a_pdf("Ada was born in London."))
    files = [str(tmp_path / name) for name in ("a.txt", "pdf.pdf", "a.txt")]
    texts = corpus.read_texts("One.\n---\n\n-----\nTwo - three\n", files)
    assert list(texts) == ["text 1", "text 2", "a.txt", "pdf.pdf", "a.txt (2)"]
    assert list(texts.values())[:3] == ["One.", "Two - three", "Zoë\n"]
    assert "Ada was born in London." in texts["pdf.pdf"]
    for name, content, message in (
        ("latin.txt", "Zoë".encode("latin-1"), "latin.txt is not plain text in UTF-8"),
        ("broken.PDF", b"no pdf", "broken.PDF cannot be read as a PDF"),
        ("scan.pdf", a_pdf(""), "scan.pdf holds no text"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            corpus.read_file(str(tmp_path / name))


def a_pdf(text: str) -> bytes:
    """A PDF of one page with a line of text."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    page = writer.add_blank_page(400, 200)
    names = {"Type": "Font", "Subtype": "Type1", "BaseFont": "Helvetica"}
    font = DictionaryObject({NameObject(f"/{key}"): NameObject(f"/{value}") for key, value in names.items()})
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(stream)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def test_what_became_one_is_listed_and_the_graph_lies_in_a_frame():
    results = [document_about("Ada Lovelace", "Ada", "London"), document_about("Ada Lovelace", "London")]
    results = [Document.from_dict(result | {"id": f"d{number}"}) for number, result in enumerate(results)]
    page = corpus.show(CorpusGraph.of(results), "dark")
    frame = ElementTree.fromstring(page).find("iframe")
    assert frame.get("title") == "Graph of 2 documents" and frame.get("sandbox") == "allow-scripts"
    assert f'srcdoc="{escape(to_page(CorpusGraph.of(results), "Graph of 2 documents", "dark"))}"' in page
    rows = [["".join(cell.itertext()) for cell in row.iter("td")] for row in ElementTree.fromstring(page).iter("tr")]
    assert rows[1:] == [["Ada Lovelace", "PER", "Ada", "d0, d1"]], "a person of one word is merged with nobody"
    assert "No two documents" in corpus.merges(CorpusGraph.of(results[1:]).nodes)


def document_about(*names: str) -> dict[str, Any]:
    """A document of names, of which the first two are one entity if there are three."""
    text = " met ".join(names) + "."
    places = [(text.rindex(name), text.rindex(name) + len(name)) for name in names]
    given = [places[:-1], places[-1:]]
    entities = [{"type": "PER", "mentions": [{"char_start": a, "char_end": b} for a, b in some]} for some in given]
    return give_entities(document_from_text(text, "d", "en"), entities).to_dict() | {
        "relations": [{"head": 0, "tail": 1, "type": "P1", "label": "met", "score": 0.5, "evidence": [0]}]
    }


def test_each_format_is_written_and_what_is_not_installed_is_named(monkeypatch):
    result = document_about("Ada Lovelace", "Ada", "London")
    offered = [name for _, name in downloads.choices()]
    assert set(NAMES) <= set(offered) and {"json", "table", "svg"} <= set(offered) and downloads.note() is None
    extracted = downloads.Extracted([result, result | {"id": "e"}], CorpusGraph.of([result, result | {"id": "e"}]))
    for _, name in downloads.choices():
        assert Path(downloads.write(downloads.alone(result), name)).stat().st_size > 0
    for _, name in downloads.choices(several=True):
        file = Path(downloads.write(extracted, name))
        if name in FOLDERS:
            given = extracted.documents() if name in DOCUMENT_FORMATS else extracted.graph
            with ZipFile(file) as archive:
                members = {member: archive.read(member).decode() for member in archive.namelist()}
            assert members == (DOCUMENT_FORMATS | GRAPH_FORMATS)[name](given) and file.name == f"{name}.zip"
        elif name in ("jsonl", "graphml", "html"):
            assert file.read_bytes().decode() == GRAPH_FORMATS[name](extracted.graph)
        assert SUFFIXES.get(file.suffix, name) == name or name in ("documents", "displacy")
    lines = Path(downloads.write(extracted, "documents")).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == extracted.results
    monkeypatch.setattr(downloads, "find_spec", lambda name: None)
    assert set(offered) - {name for _, name in downloads.choices()} == set(downloads.NEEDED)
    assert downloads.note() == "RDF and Ladybug: install `modeling-docre[graph]`"


def test_a_click_gives_a_page_and_files_and_the_slider_filters_them():
    pytest.importorskip("gradio")
    import app

    model = decisive_jerex(relation_threshold=0.123, named_thresholds=[["precise", 0.987], ["everything", 0.031]])
    extract = build(model)
    assert app.build(extract, "tiny").blocks
    demo = app.Demo(extract)
    assert (demo.thresholds.lowest, demo.thresholds.exact(0.99), demo.thresholds.exact(0.5)) == (0.031, 0.987, 0.5)
    text = "Anna Berg was born in Berlin. She works at the Institute."
    expected, calls = extract(text), []
    run = extract._forward
    extract._forward = lambda *inputs, **options: calls.append(1) or run(*inputs, **options)
    full, _, page, whole, file = demo.one(text, Marks(), 0.12, "json")
    assert whole["relations"] == expected["relations"] != full["relations"], "the slider's place means the threshold"
    assert json.loads(content(file)) == whole and "data-relation" in page and file["label"] == "Download graph.json"
    high = demo.show_one(full, 0.99, "json")[1]
    assert high["relations"] == [item for item in full["relations"] if item["score"] >= 0.987] != full["relations"]
    low, most = (json.loads(content(demo.file_of_one(full, least, "json"))) for least in (0.99, 0.03))
    assert low == high and most["relations"] == full["relations"]
    assert len(calls) == 1, "the slider extracts nothing"
    assert demo.show_one(None, 0.5, "json") == app.gr.skip() == demo.show_several([], 0.5, "exact", "documents", None)
    for empty, message in ((" ", "There is no text"), ("a" * 20_001, "reads up to 20000")):
        result = demo.one(empty, Marks(), 0.5, "json")
        assert message in result[2] and result[0] is result[3] is result[4] is None
    given = demo.one(text, Marks(text).add((0, 9), "PER").add((22, 28), "LOC"), 0, "json")[0]
    assert [entity["mentions"][0]["name"] for entity in given["entities"]] == ["Anna Berg", "Berlin"]


def content(update: dict[str, Any]) -> str:
    """The content of the file that a button gives."""
    return Path(update["value"]).read_text(encoding="utf-8")


def test_documents_are_merged_and_filtered_without_another_extraction(tmp_path):
    pytest.importorskip("gradio")
    import app

    extract = build(decisive_jerex(relation_threshold=0.0))
    demo, request = app.Demo(extract), SimpleNamespace(query_params={"__theme": "dark"})
    text = "Anna Berg was born in Berlin. She works at the Institute."
    settings = (0.0, "exact", "documents", request)
    results, _, page, file = demo.several(f"{text}\n---\n{text}", None, *settings)
    assert [result["id"] for result in results] == ["text 1", "text 2"]
    graph = CorpusGraph.of(results)
    assert page == corpus.show(graph, "dark") and any(node.documents == 2 for node in graph.nodes)
    assert len(content(file).splitlines()) == 2
    extract._forward = None
    apart = demo.show_several(results, 1, "off", "documents", request)[0]
    assert "Graph of 2 documents" in apart and "No two documents" in apart
    none = json.loads(content(demo.file_of_several(results, 1, "off", "documents")).splitlines()[0])
    assert none["relations"] == [relation for relation in results[0]["relations"] if relation["score"] >= 1]
    _, more, _, page, _ = demo.add(results[0], results, *settings)
    assert [result["id"] for result in more] == ["text 1", "text 2", "text 1 (2)"] and "Graph of 3 documents" in page
    (tmp_path / "no.pdf").write_bytes(b"no")
    for texts, files, message in (
        ("", None, "There is no text"),
        ("---", [str(tmp_path / "no.pdf")], "cannot be read as a PDF"),
        ("a\n---\n" * 51, None, "There are 51 documents"),
    ):
        assert message in demo.several(texts, files, *settings)[2]
