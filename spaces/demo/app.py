"""A demo of a model: texts in, their entities and relations out. `python app.py MODEL`, or `DOCRE_MODEL=MODEL`.

Without a name it shows the model that `model.json` beside this file names, else the bundled model.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from corpus import SEPARATOR, free_name, read_file, read_texts, show
from downloads import Extracted, alone, choices, note, write
from marks import BY_NAME, Marks, in_characters, span_of
from transformers import pipeline
from views import Thresholds, at_least, counted, hint, page

import modeling_docre
from modeling_docre import DocRelationExtractionPipeline
from modeling_docre.graphs.corpus_graph import CorpusGraph
from modeling_docre.hub.resources import default_model

FOLDER = Path(__file__).parent
EXAMPLES = json.loads((FOLDER / "examples.json").read_text(encoding="utf-8"))
FILE_TYPES = [".txt", ".pdf"]
MAX_CHARACTERS = 20_000
MAX_DOCUMENTS = 50
TEXTS = {example["text"]: example["entities"] for example in EXAMPLES["texts"]}
LABELS = [example["label"] for example in EXAMPLES["texts"]]
DAY = 86_400  # seconds after which files for download go
NO_TEXT = "There is no text; write some, or take an example."
NO_MARKS = Marks()
QUIETLY: dict[str, Any] = {"api_name": False, "show_progress": "hidden", "trigger_mode": "always_last"}
EXTRACTING: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "trigger_mode": "always_last"}
ONE_BY_ONE: dict[str, Any] = QUIETLY | {"concurrency_id": "marks", "concurrency_limit": 1}
"""How events run; those of the marks wait for each other, since each begins where the last one ended."""

# The default theme's own colours have too little contrast for small letters and for white ones.
THEME = gr.themes.Default(primary_hue="blue").set(
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_hover_dark="*primary_700",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
)

# What is selected in a text box is known to the browser only.
SELECTION = """(...inputs) => {
  const box = document.querySelector("#text textarea");
  return [box.value, box.selectionStart, box.selectionEnd, ...inputs.slice(3)];
}"""
REMOVAL = """element.addEventListener("click", event => {
  const button = event.target.closest("[data-remove]");
  if (button) trigger("remove", {place: button.dataset.remove});
});"""

Result = dict[str, Any]
"""A document as the pipeline returns it."""


class Demo:
    """What the page does."""

    def __init__(self, extract: DocRelationExtractionPipeline):
        self.extract = extract
        self.needs_entities = extract.model.config.traits.entities_given
        self.thresholds = Thresholds(extract.model.config)

    def one(self, text: str, marks: Marks, least: float, kind: str) -> tuple[Any, ...]:
        """Extract from one text; a problem with the input becomes one message in place of the graph."""
        try:
            result = self._result(text, "text", marks.moved(text))
        except ValueError as error:
            return None, gr.Column(visible=False), hint(str(error)), None, None
        return result, gr.Column(visible=True), *self.show_one(result, least, kind)

    def show_one(self, result: Result | None, least: float, kind: str) -> Any:
        """The page of a result, the result itself and a file of it, of the relations that score high enough."""
        if result is None:
            return gr.skip()
        kept = self._kept(result, least)
        return page(kept), kept, _file(alone(kept), kind)

    def file_of_one(self, result: Result | None, least: float, kind: str) -> Any:
        """A file of a result."""
        return _file(alone(self._kept(result, least)), kind) if result else gr.skip()

    def several(
        self,
        texts: str,
        files: Sequence[str] | None,
        least: float,
        how: str,
        kind: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 (where Gradio looks for it)
    ) -> tuple[Any, ...]:
        """Extract from several documents."""
        try:
            named = read_texts(texts, files or ())
            if len(named) > MAX_DOCUMENTS:
                raise ValueError(f"There are {len(named)} documents; this demo reads up to {MAX_DOCUMENTS}.")
            if not named:
                raise ValueError(NO_TEXT)
            steps = progress.tqdm(list(named.items()), desc="Extracting", unit="documents")
            results = [self._result(text, name) for name, text in steps]
        except ValueError as error:
            return [], gr.Column(visible=False), hint(str(error)), None
        return results, gr.Column(visible=True), *self.show_several(results, least, how, kind, request)

    def add(
        self, result: Result, results: list[Result], least: float, how: str, kind: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Add a result to those of several documents."""
        name = free_name("text 1", [other["id"] for other in results])
        results = [*results, {**result, "id": name}]
        shown = self.show_several(results, least, how, kind, request)
        return gr.Tabs(selected="several"), results, gr.Column(visible=True), *shown

    def show_several(self, results: Sequence[Result], least: float, how: str, kind: str, request: gr.Request) -> Any:
        """The page of the merged graph, and a file of it."""
        if not results:
            return gr.skip()
        extracted = self._merged(results, least, how)
        theme = request.query_params.get("__theme")  # in which a page of the Hub shows a Space
        scheme = theme if theme in ("light", "dark") else "light dark"
        return show(extracted.graph, scheme), _file(extracted, kind)

    def file_of_several(self, results: Sequence[Result], least: float, how: str, kind: str) -> Any:
        """A file of the merged graph."""
        return _file(self._merged(results, least, how), kind) if results else gr.skip()

    def _result(self, text: str, name: str, marks: Marks = NO_MARKS) -> Result:
        """What the model finds in a text, with all relations that the slider can show."""
        if not text.strip():
            raise ValueError(NO_TEXT)
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"The {name} has {len(text)} characters; this demo reads up to {MAX_CHARACTERS}.")
        if self.needs_entities and not marks.entities:
            raise ValueError("This model relates entities that you mark; select words in the text and mark them.")
        return self.extract(
            {"text": text, "id": name}, entities=marks.given() or None, threshold=self.thresholds.lowest
        )

    def _kept(self, result: Result, least: float) -> Result:
        score = self.thresholds.exact(least)
        return result if score is None else at_least(result, score)

    def _merged(self, results: Sequence[Result], least: float, how: str) -> Extracted:
        kept = [self._kept(result, least) for result in results]
        return Extracted(kept, CorpusGraph.of(kept, merge=how))


def _file(extracted: Extracted, kind: str) -> dict[str, Any]:
    """What makes the button give a file, which it names; a message if the format cannot hold what was extracted."""
    try:
        path = write(extracted, kind)
    except ValueError as error:
        gr.Warning(f"No file in this format: {error}")
        return gr.update(value=None, label="Download")
    return gr.update(value=path, label=f"Download {Path(path).name}")


def build(extract: DocRelationExtractionPipeline, name: str) -> gr.Blocks:
    """The page of a model.

    Args:
        extract: the pipeline.
        name: how the model is called.
    """
    config, demo = extract.model.config, Demo(extract)
    system = extract.model.title or config.model_type
    reads = "text and entities" if demo.needs_entities else "text"
    types = counted(len(config.relation_types), "relation type")
    with gr.Blocks(title=f"{system}: entities and relations", delete_cache=(DAY, DAY)) as blocks:
        gr.Markdown(
            f"# From a document to its entities and relations\n{system}, model `{name}`: reads {reads}, knows {types}."
        )
        with gr.Tabs() as tabs:
            with gr.Tab("One text"):
                result, add = _one_text(demo)
            with gr.Tab("Several documents", id="several"):
                _several_documents(demo, tabs, result, add)
    return blocks


def _one_text(demo: Demo) -> tuple[gr.State, gr.Button]:
    """The tab of a single text; its result, and the button that adds it to several documents."""
    with gr.Row():
        text = gr.Textbox(
            label="Text", lines=7, max_lines=20, scale=3, elem_id="text", placeholder="Some sentences about people"
        )
        file = gr.File(
            label="or a file: txt, PDF", file_types=FILE_TYPES, height=190, scale=1, min_width=200, elem_classes="drop"
        )
    file.upload(_read, file, text, api_name=False)
    examples = gr.Examples([[text] for text in TEXTS], text, example_labels=LABELS)
    marks = _marks(demo, text, examples)
    button = gr.Button("Extract", variant="primary")
    least, result = _slider(demo.thresholds), gr.State()
    shown = gr.HTML(padding=True, apply_default_css=False)
    with gr.Column(visible=False) as found:
        kind, download = _downloads(several=False)
        add = gr.Button("Add to the documents")
        with gr.Accordion("The result as the pipeline returns it", open=False):
            whole = gr.JSON()
    inputs, shows = [text, marks, least, kind], [shown, whole, download]
    clicks, outputs = [button.click, text.submit], [result, found, *shows]
    gr.on(clicks, demo.one, inputs, outputs, api_name="extract", **EXTRACTING)
    least.change(demo.show_one, [result, least, kind], shows, **QUIETLY)
    kind.change(demo.file_of_one, [result, least, kind], download, **QUIETLY)
    return result, add


def _marks(demo: Demo, text: gr.Textbox, examples: gr.Examples) -> gr.State:
    """What marks entities in the text: select some words, choose their type and entity, mark them."""
    types, marks = list(demo.extract.model.config.entity_types), gr.State(NO_MARKS)
    start, end = gr.Number(visible=False), gr.Number(visible=False)
    with gr.Accordion("Entities that you mark", open=demo.needs_entities):
        with gr.Row(elem_classes="aligned"):
            kind = gr.Dropdown(
                types, value=next(iter(types), ""), label="Type", allow_custom_value=not types, min_width=110
            )
            entity = gr.Dropdown(NO_MARKS.choices(), label="Entity", min_width=200)
            button = gr.Button("Mark the selected words", min_width=200)
        everywhere = gr.Checkbox(True, label="Mark these words wherever they stand", container=False)
        shown = gr.HTML(NO_MARKS.html(), js_on_load=REMOVAL, apply_default_css=False)
    outputs = [marks, entity, shown]
    inputs = [text, start, end, kind, entity, everywhere, marks]
    button.click(_mark, inputs, outputs, js=SELECTION, **ONE_BY_ONE)
    shown.remove(_unmark, marks, outputs, **ONE_BY_ONE)
    text.change(_follow, [text, marks], outputs, **ONE_BY_ONE)
    if demo.needs_entities:
        examples.load_input_event.then(_take, text, outputs, **ONE_BY_ONE)
    return marks


def _several_documents(demo: Demo, tabs: gr.Tabs, result: gr.State, add: gr.Button) -> None:
    """The tab of several documents."""
    example = EXAMPLES["documents"]
    with gr.Row(visible=not demo.needs_entities):
        texts = gr.Textbox(label="Texts", info=f"Between two texts, a line {SEPARATOR}", lines=9, max_lines=20, scale=3)
        files = gr.File(
            label="or files: txt, PDF",
            file_count="multiple",
            file_types=FILE_TYPES,
            height=220,
            scale=1,
            min_width=200,
            elem_classes="drop",
        )
    if demo.needs_entities:
        gr.Markdown("Extract one text after the other, and add each to the documents.")
    how = gr.Radio(
        [("equal names", "exact"), ("similar names, too", "similar"), ("nothing", "off")],
        value="exact",
        label="What becomes one entity",
    )
    button = gr.Button("Extract all", variant="primary", visible=not demo.needs_entities)
    if not demo.needs_entities:
        separated = f"\n{SEPARATOR}\n".join(example["texts"])
        gr.Examples([[separated]], texts, example_labels=[example["label"]])
    least, results = _slider(demo.thresholds), gr.State([])
    shown = gr.HTML(padding=True, apply_default_css=False)
    with gr.Column(visible=False) as found:
        kind, download = _downloads(several=True)
    shows, settings = [shown, download], [least, how, kind]
    outputs = [results, found, *shows]
    button.click(demo.several, [texts, files, *settings], outputs, api_name=False, **EXTRACTING)
    add.click(demo.add, [result, results, *settings], [tabs, *outputs], api_name=False)
    gr.on([least.change, how.change], demo.show_several, [results, *settings], shows, **QUIETLY)
    kind.change(demo.file_of_several, [results, *settings], download, **QUIETLY)


def _slider(thresholds: Thresholds) -> gr.Slider:
    """The least score of a relation, and a button for each threshold that the model knows by name."""
    own = 0.5 if thresholds.own is None else round(thresholds.own, 2)
    with gr.Row(visible=thresholds.own is not None, elem_classes="aligned"):
        lowest = round(thresholds.lowest or 0, 2)
        least = gr.Slider(lowest, 1, own, step=0.01, label="Least score of a relation", scale=3, min_width=260)
        with gr.Row(scale=2, visible=bool(thresholds.named)):
            for name, value in thresholds.named.items():
                gr.Button(name, size="md", min_width=90).click(partial(float, round(value, 2)), None, least, **QUIETLY)
    return least


def _downloads(several: bool) -> tuple[gr.Dropdown, gr.DownloadButton]:
    """A choice of formats, and the button that gives the file."""
    formats = choices(several)
    with gr.Row(elem_classes="aligned"):
        kind = gr.Dropdown(formats, value=formats[0][1], label="Format", info=note(), scale=3, min_width=260)
        download = gr.DownloadButton("Download", scale=1, min_width=120)
    return kind, download


def _read(path: str) -> Any:
    """The text of a file; a message if it cannot be read."""
    try:
        return read_file(path)
    except ValueError as error:
        gr.Warning(str(error))
        return gr.skip()


Marking = tuple[Marks, gr.Dropdown, str]
"""The marks, what a new one may belong to, and how they are shown."""


def _shown(marks: Marks, problem: str = "") -> Marking:
    return marks, gr.Dropdown(marks.choices(), value=BY_NAME), marks.html(problem)


def _mark(text: str, start: int, end: int, kind: str, entity: str | int, everywhere: bool, marks: Marks) -> Marking:
    """Mark what is selected; the browser gives its place in UTF-16 units."""
    marks, span = marks.moved(text), (in_characters(text, int(start)), in_characters(text, int(end)))
    try:
        return _shown(marks.add(span, kind, entity, everywhere))
    except ValueError as error:
        return _shown(marks, str(error))


def _unmark(marks: Marks, event: gr.EventData) -> Marking:
    return _shown(marks.remove(span_of(event.place)))


def _take(text: str) -> Marking:
    """The marks of an example."""
    return _shown(Marks.of_names(text, TEXTS[text]))


def _follow(text: str, marks: Marks) -> Any:
    """Take the marks along when the text is edited."""
    return _shown(marks.moved(text)) if marks.entities and marks.text != text else gr.skip()


def named_model() -> dict[str, str | None]:
    """`model` and `revision` as the file of a pushed Space names them; none in a checkout."""
    file = Path(__file__).with_name("model.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the model and serve its page."""
    named = {"model": os.environ["DOCRE_MODEL"]} if os.environ.get("DOCRE_MODEL") else named_model()
    revision = os.environ.get("DOCRE_REVISION") or named.get("revision")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default=named.get("model"), help="folder or name on the Hub")
    parser.add_argument("--revision", default=revision, help="commit of the model to load")
    parser.add_argument("--port", type=int, help="where the page is served (default: the first free one from 7860 on)")
    options = parser.parse_args(arguments)
    model = options.model or default_model()
    if model is None:
        parser.error("no model is named; give its folder or its name on the Hub, or set DOCRE_MODEL")
    extract = pipeline("doc-relation-extraction", model=model, revision=options.revision)
    print(f"modeling-docre {modeling_docre.__version__}, {model}")
    name = os.path.basename(os.path.normpath(model)) if os.path.isdir(model) else model
    build(extract, name).launch(server_port=options.port, theme=THEME, css_paths=FOLDER / "style.css")


if __name__ == "__main__":
    main()
