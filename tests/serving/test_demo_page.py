"""The page of the demo Space in a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import chromium
from pipelines import build, decisive_atlop, decisive_jerex

from modeling_docre.graphs.corpus_graph import CorpusGraph

DEMO = Path(__file__).resolve().parents[2] / "spaces" / "demo"
sys.path.insert(0, str(DEMO))

import views  # noqa: E402


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=120_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def demo(browser, tmp_path, monkeypatch) -> Iterator:
    """A function that serves the demo of a model as its `main` does, and opens it in a new tab."""
    gradio = pytest.importorskip("gradio")
    import app

    launch, served = gradio.Blocks.launch, []

    def launched(blocks, **options):
        served.append(blocks)
        return launch(blocks, prevent_thread_lock=True, quiet=True, **options)

    def opened(model, **options):
        build(model).save_pretrained(tmp_path / "model")
        app.main([str(tmp_path / "model")])
        tab = browser.new_page(**options)
        tab.set_default_timeout(120_000)
        tab.goto(served[-1].local_url)
        return tab

    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setattr(gradio.Blocks, "launch", launched)
    monkeypatch.setattr(gradio.networking, "url_ok", lambda url: True)  # gives up early on a busy machine
    yield opened
    for blocks in served:
        blocks.close()


def click(tab, name: str) -> None:
    tab.get_by_role("button", name=name, exact=True).click()


def has_no_overhang(tab) -> bool:
    """Whether nothing sticks out of a page on a side."""
    widths = tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    return widths[0] == widths[1]


def choose(tab, label: str, option: str) -> None:
    """Choose an option of a drop-down list by the keyboard."""
    listed = tab.get_by_label(label, exact=True).locator("visible=true")
    listed.fill(option)
    tab.get_by_role("option", name=option).first.wait_for()
    listed.press("Enter")


@pytest.mark.browser
def test_a_text_becomes_a_graph_in_the_browser(demo, tmp_path):
    from playwright.sync_api import expect

    model = decisive_jerex(relation_threshold=0.0, named_thresholds=[["precise", 1.0]])
    tab = demo(model, color_scheme="dark")
    text = "Anna Berg was born in Berlin. She works at the Institute."
    expected = build(model)(text)
    assert len(expected["entities"]) > 1 and expected["relations"], "the test needs something to show"
    tab.get_by_role("textbox", name="Text", exact=True).fill(text)
    click(tab, "Extract")
    picture = tab.locator("svg[aria-label=graph]")
    picture.wait_for()
    marked = tab.locator(".highlighted")
    numbers = {number for ended in marked.locator("sup").all_inner_texts() for number in ended.strip().split(",")}
    assert numbers == {str(number) for number in range(len(expected["entities"]))}
    assert picture.locator("rect").count() == len(expected["entities"])
    for cell in views.relation_rows(expected)[0][:3]:
        tab.locator("table.relations").get_by_text(cell, exact=True).first.wait_for()
    evidence = tab.locator("[data-sentence]").first
    style = "item => getComputedStyle(item)"
    plain = evidence.evaluate(f"{style}.backgroundColor")
    tab.locator("tr[data-relation]").first.focus()
    number = expected["relations"][0]["evidence"][0] if expected["relations"][0].get("evidence") else None
    assert number is None or evidence.evaluate(f"{style}.backgroundColor") != plain
    ground = picture.evaluate(f"{style}.backgroundColor")
    label = picture.locator("text[stroke]").first.evaluate(f"{style}.fill")
    assert ground == "rgb(20, 23, 27)" and label == "rgb(227, 230, 234)", "light letters on a dark ground"
    for kind, name in (("brat", "brat.zip"), ("GraphML", "graph.graphml")):
        choose(tab, "Format", kind)
        with tab.expect_download() as loaded:
            click(tab, f"Download {name}")
        assert loaded.value.suggested_filename == name
    tab.set_viewport_size({"width": 390, "height": 844})
    assert has_no_overhang(tab)
    tab.get_by_role("slider", name="Least score of a relation").locator("visible=true").press("End")
    expect(tab.locator("tr[data-relation]")).to_have_count(sum(item["score"] >= 1 for item in expected["relations"]))
    tab.get_by_role("textbox", name="Text", exact=True).fill("   ")
    click(tab, "Extract")
    tab.get_by_text("There is no text; write some, or take an example.").wait_for()
    assert tab.get_by_text("Error", exact=True).count() == 0 and picture.count() == 0
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 10_000


@pytest.mark.browser
def test_entities_are_marked_where_the_model_needs_them(demo):
    from playwright.sync_api import expect

    tab = demo(decisive_atlop(relation_threshold=0.0), viewport={"width": 390, "height": 844}, has_touch=True)
    text = tab.get_by_role("textbox", name="Text", exact=True)
    text.fill("Tom met Anna. Tom left.")
    click(tab, "Extract")
    tab.get_by_text("This model relates entities that you mark").wait_for()
    click(tab, "Mark the selected words")
    tab.get_by_text("Nothing is selected").wait_for()
    text.press("Control+Home")
    for _ in "Tom":
        text.press("Shift+ArrowRight")
    marks = tab.locator("[data-remove]")
    tab.get_by_role("button", name="Mark the selected words").press("Enter")
    expect(marks).to_have_count(2)
    select(text, "Anna")
    choose(tab, "Type", "LOC")
    tab.get_by_role("button", name="Mark the selected words").tap()
    expect(marks).to_have_count(3)
    assert tab.locator(".marks .entity").all_inner_texts() == ["Tom [0] · PER", "Anna [1] · LOC"]
    select(text, "left")
    choose(tab, "Entity", "Anna [1] · LOC")
    click(tab, "Mark the selected words")
    expect(marks).to_have_count(4)
    tab.get_by_role("button", name="Remove the mention Tom at character 14").press("Enter")
    expect(marks).to_have_count(3)
    text.fill("Oh, Tom met Anna. Tom left.")
    tab.get_by_role("button", name="Remove the mention Tom at character 4").wait_for()
    click(tab, "Extract")
    tab.locator("svg[aria-label=graph]").wait_for()
    shown = tab.locator(".docre:not(.marks) .highlighted mark").evaluate_all(
        "all => all.map(one => one.firstChild.data)"
    )
    assert shown == ["Tom", "Anna", "left"] and has_no_overhang(tab)
    click(tab, "Add to the documents")
    tab.frame_locator("iframe[title='Graph of 1 document']").get_by_text("2 entities").wait_for()
    tab.get_by_role("tab", name="One text").click()
    tab.get_by_text("A politician", exact=True).click()
    expect(marks).to_have_count(8)


def select(text, words: str) -> None:
    """Select words in a text box, as a pointer does."""
    text.evaluate(
        "(box, words) => { box.focus(); const at = box.value.indexOf(words);"
        " box.setSelectionRange(at, at + words.length); }",
        words,
    )


@pytest.mark.browser
def test_documents_become_one_graph_in_the_browser(demo, tmp_path):
    from playwright.sync_api import expect

    text = "Anna Berg was born in Berlin. She works at the Institute."
    results = [
        build(decisive_jerex(relation_threshold=0.0))({"text": text, "id": name}) for name in ("text 1", "more.txt")
    ]
    graph = CorpusGraph.of(results)
    tab = demo(decisive_jerex(relation_threshold=0.0), viewport={"width": 390, "height": 844})
    tab.goto(f"{tab.url}?__theme=dark")
    tab.get_by_role("tab", name="Several documents").click()
    tab.get_by_role("textbox", name="Texts").fill(text)
    (tmp_path / "more.txt").write_text(text, encoding="utf-8")
    tab.locator("input[type=file][multiple]").set_input_files(tmp_path / "more.txt")
    tab.get_by_text("more.txt").first.wait_for()
    click(tab, "Extract all")
    frame = tab.frame_locator("iframe[title='Graph of 2 documents']")
    size = f"{views.counted(len(graph.nodes), 'entity')}, {views.counted(len(graph.edges), 'relation')}"
    expect(frame.locator("#size")).to_have_text(size)
    ground = frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    assert ground == "rgb(20, 23, 27)", "the page in the page is dark where that is, whatever the system says"
    joined = sum(node.documents > 1 or len(node.aliases) > 1 for node in graph.nodes)
    expect(tab.locator("table.merges tbody tr")).to_have_count(joined)
    assert joined and has_no_overhang(tab)
    tab.get_by_role("slider", name="Least score of a relation").locator("visible=true").press("End")
    expect(frame.locator("#size")).not_to_have_text(size)
    tab.get_by_label("nothing").check()
    tab.get_by_text("No two documents name the same entity.").wait_for()
