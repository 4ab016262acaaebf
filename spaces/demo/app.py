"""A demo of a model: text in, its entities and relations out. `python app.py MODEL`, or `DOCRE_MODEL=MODEL`.

Without a name it shows the model that `model.json` beside this file names, else the bundled model.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from numbers import Real
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gradio as gr
from transformers import pipeline
from views import as_csv, at_least, hint, page, read_entities

import modeling_docre
from modeling_docre import DocRelationExtractionPipeline
from modeling_docre.hub.resources import default_model

MAX_CHARACTERS = 20_000
LEAST = 0.05  # relations that score less are not even kept for the slider
EXAMPLES = [
    [
        "Mira Halloran was born in Galway, Ireland. In 2011 Halloran published The Salt Compass, a novel about the "
        "harbour of Galway. She studied at Trinity College in Dublin.",
        "PER: Mira Halloran; Halloran\nLOC: Galway\nLOC: Ireland\nMISC: The Salt Compass\nTIME: 2011\n"
        "ORG: Trinity College\nLOC: Dublin",
    ],
    [
        "The Northern Rail Museum was founded in 1974 by Peter Voss in Leeds, England. Voss, a retired engineer of "
        "British Rail, led the museum until 1990.",
        "ORG: Northern Rail Museum; museum\nTIME: 1974\nPER: Peter Voss; Voss\nLOC: Leeds\nLOC: England\n"
        "ORG: British Rail\nTIME: 1990",
    ],
]

Result = tuple[dict[str, Any] | None, str, dict[str, Any] | None, str | None, str | None]
"""All of a graph, what the page shows of it, the same as JSON, and files of it as JSON and CSV."""


def build(extract: DocRelationExtractionPipeline, name: str) -> gr.Blocks:
    """The page of a model.

    Args:
        extract: the pipeline.
        name: how the model is called.
    """
    config = extract.model.config
    threshold = config.traits.relation_cut.threshold
    system = extract.model.title or config.model_type
    reads = "text and entities" if config.traits.entities_given else "text"
    with gr.Blocks(title=f"{system}: entities and relations") as blocks:
        gr.Markdown(
            f"# From a document to its entities and relations\n{system}, model `{name}`: reads {reads}, knows "
            f"{len(config.relation_types)} relation type{'s' if len(config.relation_types) != 1 else ''}."
        )
        text = gr.Textbox(label="Text", lines=6, max_lines=20, placeholder="Some sentences about people and places")
        file = gr.File(label="or a file: txt, PDF", file_types=[".txt", ".pdf"], height=140)
        entities = gr.Textbox(
            label="Entities",
            lines=5,
            visible=config.traits.entities_given,
            info="One a line: `type: name; other name`. Every place of these names in the text is a mention.",
        )
        button = gr.Button("Extract", variant="primary")
        gr.Examples(EXAMPLES if config.traits.entities_given else [row[:1] for row in EXAMPLES], [text, entities])
        least = gr.Slider(
            min(LEAST, _shown(threshold)),
            1,
            _shown(threshold),
            step=0.01,
            label="Least score of a relation",
            visible=isinstance(threshold, Real),  # types with thresholds of their own have no common one
        )
        graph, shown = gr.State(), gr.HTML(label="Entities and relations", padding=True)
        with gr.Row():
            as_json, table = gr.DownloadButton("Download JSON"), gr.DownloadButton("Download CSV")
        with gr.Accordion("The result as the pipeline returns it", open=False):
            whole = gr.JSON()
        answer, show = _answer(extract), _show(threshold)
        outputs = [graph, shown, whole, as_json, table]
        gr.on([button.click, text.submit], answer, [text, entities, least], outputs, api_name="extract")
        least.release(show, [graph, least], outputs, api_name=False)
        file.upload(read_file, file, text, api_name=False)
    return blocks


def read_file(path: str) -> str:
    """The text of an uploaded file."""
    if path.lower().endswith(".pdf"):
        from pypdf import PdfReader

        return "\n\n".join(page.extract_text() for page in PdfReader(path).pages)
    return Path(path).read_text(encoding="utf-8-sig", errors="replace")


def _shown(threshold: Any) -> float:
    """A model's relation threshold as the slider has it."""
    return round(float(threshold), 2) if isinstance(threshold, Real) else 0.5


def _show(threshold: Any) -> Callable[[dict[str, Any] | None, float], Result]:
    """What the slider does: the relations of the last extraction that score high enough."""

    def show(graph: dict[str, Any] | None, least: float) -> Result:
        if graph is None:
            return None, hint("There is nothing to show; extract the graph of a text first."), None, None, None
        kept = graph
        if isinstance(threshold, Real):
            # Left where it was, the slider stands for the model's own threshold, which may be a finer number.
            kept = at_least(graph, float(threshold) if least == _shown(threshold) else least)
        content = json.dumps(kept, ensure_ascii=False, indent=1)
        return graph, page(kept), kept, _file("graph.json", content), _file("relations.csv", as_csv(kept))

    return show


def _file(name: str, content: str) -> str:
    """The path of a new file to download."""
    path = Path(mkdtemp(prefix="docre-")) / name
    path.write_text(content, encoding="utf-8")
    return str(path)


def _answer(extract: DocRelationExtractionPipeline) -> Callable[[str, str, float], Result]:
    """What a click does; a problem with the input becomes one message in place of the graph."""
    traits = extract.model.config.traits
    threshold = traits.relation_cut.threshold
    show = _show(threshold)

    def answer(text: str, entities: str, least: float) -> Result:
        try:
            if not text.strip():
                raise ValueError("There is no text; write some, or take an example.")
            if len(text) > MAX_CHARACTERS:
                raise ValueError(f"The text has {len(text)} characters; this demo reads up to {MAX_CHARACTERS}.")
            given = None
            if traits.entities_given:
                given = read_entities(entities, text)
                if not given:
                    raise ValueError("This model relates entities that you give; write them down, one a line.")
            low = min(LEAST, threshold) if isinstance(threshold, Real) else None
            return show(extract(text, entities=given, threshold=low), least)
        except ValueError as error:
            return None, hint(str(error)), None, None, None

    return answer


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
    build(extract, name).launch(server_port=options.port)


if __name__ == "__main__":
    main()
