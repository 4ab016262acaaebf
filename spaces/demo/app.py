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
from typing import Any

import gradio as gr
from transformers import pipeline
from views import COLUMNS, highlighted, legend, read_entities, relation_rows

import modeling_docre
from modeling_docre import DocRelationExtractionPipeline
from modeling_docre.graphs.picture import draw_graph
from modeling_docre.hub.resources import default_model

MAX_CHARACTERS = 20_000
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

WIDTHS = ["19%", "15%", "19%", "9%", "38%"]

Result = tuple[str, str, list[list[Any]], str, dict[str, Any]]


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
    with gr.Blocks(title=f"{system}: entities and relations") as page:
        gr.Markdown(
            f"# From a document to its entities and relations\n{system}, model `{name}`: reads {reads}, knows "
            f"{len(config.relation_types)} relation type{'s' if len(config.relation_types) != 1 else ''}."
        )
        text = gr.Textbox(label="Text", lines=6, max_lines=20, placeholder="Some sentences about people and places")
        entities = gr.Textbox(
            label="Entities",
            lines=5,
            visible=config.traits.entities_given,
            info="One a line: `type: name; other name`. Every place of these names in the text is a mention.",
        )
        least = gr.Slider(
            0,
            1,
            _shown(threshold),
            step=0.01,
            label="Least score of a relation",
            visible=isinstance(threshold, Real),  # types with thresholds of their own have no common one
        )
        button = gr.Button("Extract", variant="primary")
        gr.Examples(EXAMPLES if config.traits.entities_given else [row[:1] for row in EXAMPLES], [text, entities])
        marked, known = gr.HTML(label="Mentions", padding=True), gr.HTML(label="Entities", padding=True)
        table = gr.Dataframe(
            headers=list(COLUMNS), column_widths=WIDTHS, label="Relations", wrap=True, interactive=False
        )
        picture = gr.HTML(label="Graph", padding=True)
        with gr.Accordion("The result as the pipeline returns it", open=False):
            whole = gr.JSON()
        answer = _answer(extract)
        outputs = [marked, known, table, picture, whole]
        gr.on([button.click, text.submit], answer, [text, entities, least], outputs, api_name="extract")
    return page


def _shown(threshold: Any) -> float:
    """A model's relation threshold as the slider has it."""
    return round(float(threshold), 2) if isinstance(threshold, Real) else 0.5


def _answer(extract: DocRelationExtractionPipeline) -> Callable[[str, str, float], Result]:
    """What a click does; a problem with the input becomes one message on the page."""
    threshold = extract.model.config.traits.relation_cut.threshold

    def answer(text: str, entities: str, least: float) -> Result:
        try:
            if not text.strip():
                raise ValueError("There is no text; write some, or take an example.")
            if len(text) > MAX_CHARACTERS:
                raise ValueError(f"The text has {len(text)} characters; this demo reads up to {MAX_CHARACTERS}.")
            given = None
            if extract.model.config.traits.entities_given:
                given = read_entities(entities, text)
                if not given:
                    raise ValueError("This model relates entities that you give; write them down, one a line.")
            # Left where it was, the slider stands for the model's own threshold, which may be a finer number.
            graph = extract(text, entities=given, threshold=None if least == _shown(threshold) else least)
        except ValueError as error:
            raise gr.Error(str(error), duration=None, print_exception=False) from error
        return highlighted(graph), legend(graph), relation_rows(graph), draw_graph(graph), graph

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
