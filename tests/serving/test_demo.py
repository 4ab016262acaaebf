"""The demo Space: what it shows of a graph, and the page itself in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from graphs import TEXT, graph, mention
from pipelines import build, decisive_atlop, decisive_jerex

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO = REPOSITORY / "spaces" / "demo"
sys.path.insert(0, str(DEMO))

import views  # noqa: E402


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
    rows = re.findall(r'<tr tabindex="0" data-relation="(\d)">', page)
    assert rows == ["0", "1", "2"]
    for number, relation in enumerate(sorted(graph()["relations"], key=lambda item: -(item["score"] or 0))):
        rules = [
            line for line in page.splitlines() if f'[data-relation="{number}"]' in line and line.startswith(".docre")
        ]
        assert all(f'mark[data-entity="{relation[end]}"]' in rules[0] for end in ("head", "tail"))
        assert all(f'[data-sentence="{sentence}"]' in rules[1] for sentence in relation["evidence"])
    assert "&lt;script&gt;" in views.hint("<script>")


def test_the_slider_keeps_what_scores_high_enough_and_files_hold_it():
    kept = views.at_least(graph(), 0.6)
    assert [relation["type"] for relation in kept["relations"]] == ["P1", "P2"], "without a score there is no less"
    assert len(graph()["relations"]) == 3 and kept["entities"] == graph()["entities"]
    lines = views.as_csv(graph()).splitlines()
    assert lines[0] == "head,relation,tail,score,evidence"
    assert lines[1] == 'London [2],P1,Ada Lovelace [0],0.75,"1, 2"' and len(lines) == 4


def test_entities_are_read_from_lines():
    text = "Ada Lovelace met Ada. Adam was in London."
    found = views.read_entities("PER: Ada; Ada Lovelace\n\n LOC : London ", text)
    assert [[text[m["char_start"] : m["char_end"]] for m in entity["mentions"]] for entity in found] == [
        ["Ada Lovelace", "Ada"],
        ["London"],
    ]
    assert [entity["type"] for entity in found] == ["PER", "LOC"]
    for lines, message in (("London", "not of the form"), (": London", "not of the form"), ("LOC: Lond", "'Lond'")):
        with pytest.raises(ValueError, match=message):
            views.read_entities(lines, text)


def test_a_click_gives_a_page_and_files_and_the_slider_filters_them(tmp_path):
    pytest.importorskip("gradio")
    import app

    model = decisive_jerex(relation_threshold=0.123)
    extract = build(model)
    assert app.build(extract, "tiny").blocks
    text = "Anna Berg was born in Berlin. She works at the Institute."
    expected, calls = extract(text), []
    run = extract._forward
    extract._forward = lambda *inputs, **options: calls.append(1) or run(*inputs, **options)
    full, page, whole, json_file, csv_file = app._answer(extract)(text, "", 0.12)
    assert whole["relations"] == expected["relations"] != full["relations"], "the slider's place means the threshold"
    assert json.loads(Path(json_file).read_text(encoding="utf-8")) == whole and "data-relation" in page
    assert len(Path(csv_file).read_text(encoding="utf-8").splitlines()) == 1 + len(whole["relations"])
    high = app._show(0.123)(full, 0.999)[2]
    assert high["relations"] == [item for item in full["relations"] if item["score"] >= 0.999] != full["relations"]
    assert len(calls) == 1, "the slider extracts nothing"
    for empty, message in ((" ", "There is no text"), ("a" * 20_001, "reads up to 20000")):
        result = app._answer(extract)(empty, "", 0.5)
        assert message in result[1] and result[0] is result[2] is result[3] is None
    assert "extract the graph of a text first" in app._show(0.5)(None, 0.5)[1]
    (tmp_path / "text.txt").write_text("Zoë\n", encoding="utf-8")
    assert app.read_file(str(tmp_path / "text.txt")) == "Zoë\n"


def chromium() -> str:
    """The path of a Chromium."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no Chromium is installed; set CHROMIUM to the path of one"
    return path


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def wait_for(url: str, process: subprocess.Popen, seconds: int = 240) -> None:
    for _ in range(seconds):
        assert process.poll() is None, process.stdout.read()
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator:
    """A browser, and a function that opens the demo of a model in it."""
    from playwright.sync_api import sync_playwright

    running = []

    def opened(model, tab):
        folder = tmp_path_factory.mktemp("model")
        build(model).save_pretrained(folder)
        port = free_port()
        kept = os.environ | {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "DOCRE_MODEL": str(folder)}
        kept["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, str(DEMO / "app.py"), "--port", str(port)]
        running.append(subprocess.Popen(command, env=kept, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        wait_for(f"http://127.0.0.1:{port}", running[-1])
        tab.set_default_timeout(120_000)
        tab.goto(f"http://127.0.0.1:{port}")
        return tab

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            yield lambda model: opened(model, browser.new_page())
        finally:
            browser.close()
            for process in running:
                process.terminate()
                process.wait()


@pytest.mark.browser
def test_a_text_becomes_a_graph_in_the_browser(page, tmp_path):
    model = decisive_jerex(relation_threshold=0.0)
    tab = page(model)
    text = "Anna Berg was born in Berlin. She works at the Institute."
    expected = build(model)(text)
    assert len(expected["entities"]) > 1 and expected["relations"], "the test needs something to show"
    tab.get_by_role("textbox", name="Text", exact=True).fill(text)
    tab.get_by_role("button", name="Extract").click()
    tab.locator("svg[aria-label=graph]").wait_for()
    marked = tab.locator(".highlighted")
    numbers = {number for ended in marked.locator("sup").all_inner_texts() for number in ended.strip().split(",")}
    assert numbers == {str(number) for number in range(len(expected["entities"]))}
    assert tab.locator("svg[aria-label=graph] rect").count() == len(expected["entities"])
    for cell in views.relation_rows(expected)[0][:3]:
        tab.locator("table.relations").get_by_text(cell, exact=True).first.wait_for()
    evidence = tab.locator("[data-sentence]").first
    plain = evidence.evaluate("item => getComputedStyle(item).backgroundColor")
    tab.locator("tr[data-relation]").first.focus()
    number = expected["relations"][0]["evidence"][0] if expected["relations"][0].get("evidence") else None
    assert number is None or evidence.evaluate("item => getComputedStyle(item).backgroundColor") != plain
    tab.set_viewport_size({"width": 390, "height": 844})
    widths = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] == widths[1], "nothing sticks out of a phone's page"
    tab.screenshot(path=tmp_path / "phone.png", full_page=True)
    tab.get_by_role("textbox", name="Text", exact=True).fill("   ")
    tab.get_by_role("button", name="Extract").click()
    tab.get_by_text("There is no text; write some, or take an example.").wait_for()
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 10_000


@pytest.mark.browser
def test_entities_are_asked_for_where_the_model_needs_them(page):
    tab = page(decisive_atlop(relation_threshold=0.0))
    tab.get_by_role("textbox", name="Text", exact=True).fill("Tom met Anna.")
    tab.get_by_role("textbox", name="Entities").fill("PER: Tom\nPER: Bob")
    tab.get_by_role("button", name="Extract").click()
    tab.get_by_text("the entity name 'Bob' does not stand in the text").wait_for()
    tab.get_by_role("textbox", name="Entities").fill("PER: Tom\nPER: Anna")
    tab.get_by_role("button", name="Extract").click()
    tab.locator("svg[aria-label=graph]").wait_for()
    assert tab.locator(".highlighted mark").all_inner_texts()[0].startswith("Tom")
