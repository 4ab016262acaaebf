"""The metric's page on the Hub: scores predicted documents against gold documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import evaluate
import gradio as gr

FOLDER = Path(__file__).resolve().parent
GOLD = [
    {
        "id": "lovelace",
        "sentences": [["Ada", "Lovelace", "was", "born", "in", "London", "."]],
        "entities": [
            {"type": "PER", "mentions": [{"sentence": 0, "start": 0, "end": 2}]},
            {"type": "LOC", "mentions": [{"sentence": 0, "start": 5, "end": 6}]},
        ],
        "relations": [{"head": 0, "tail": 1, "type": "place of birth"}],
    }
]
PREDICTED = [GOLD[0] | {"relations": [{"head": 1, "tail": 0, "type": "place of birth"}]}]

metric = evaluate.load(str(FOLDER / "docre_f1.py"))


def read(side: str, text: str) -> list[dict[str, Any]]:
    """The documents of a text: a JSON list, or one JSON object per line.

    Raises:
        ValueError: the text is neither; the message names the side.
    """
    try:
        if text.lstrip().startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f"{side}: not a JSON list of documents, nor one JSON object per line ({error})") from error


def score(predictions: str, references: str, entities_given: bool) -> dict[str, Any]:
    """Scores in percent; a problem with the documents becomes one message on the page."""
    try:
        predicted, gold = read("predictions", predictions), read("references", references)
        if not gold:
            raise ValueError("references: no documents; give at least one")
        scores = metric.compute(predictions=predicted, references=gold, entities_given=entities_given)
    except ValueError as error:
        raise gr.Error(str(error), duration=None, print_exception=False) from error
    return {name: round(100 * value, 2) if isinstance(value, float) else value for name, value in scores.items()}


def build() -> gr.Blocks:
    """The page: two texts, the scores, and the metric's own description."""
    with gr.Blocks(title="docre_f1") as page:
        gr.Markdown("# docre_f1\nScores of document-level relation extraction, in percent.")
        with gr.Row():
            predictions = gr.Code(json.dumps(PREDICTED, indent=1), language="json", label="Predictions", max_lines=25)
            references = gr.Code(json.dumps(GOLD, indent=1), language="json", label="References", max_lines=25)
        entities_given = gr.Checkbox(label="Entities are given: predicted relations point to the reference's entities")
        button = gr.Button("Score", variant="primary")
        scores = gr.JSON(label="Scores")
        button.click(score, [predictions, references, entities_given], scores, api_name="score")
        gr.Markdown((FOLDER / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2])
    return page


if __name__ == "__main__":
    build().launch()
