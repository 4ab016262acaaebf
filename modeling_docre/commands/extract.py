"""Extract the graph of a text: `python -m modeling_docre.commands.extract [TEXT] [--model MODEL]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from transformers import pipeline

from modeling_docre.graphs.picture import draw_graph
from modeling_docre.graphs.table import format_graph
from modeling_docre.hub.resources import default_model
from modeling_docre.pipeline_docre import TASK


def main(arguments: Sequence[str] | None = None) -> None:
    """Read a text, run the pipeline on it and print the graph as a table, as JSON, or both; write it, draw it."""
    parser = argparse.ArgumentParser(prog="python -m modeling_docre.commands.extract", description=__doc__)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("text", nargs="?", help="the text; absent, it is read from --file or from standard input")
    source.add_argument("--file", type=Path, help="a text file")
    parser.add_argument("--model", help="folder or Hub name of a trained model (default: the one that comes along)")
    parser.add_argument(
        "--entities",
        type=Path,
        help='JSON file with the text\'s entities: [{"type": ..., "mentions": [{"char_start": ..., "char_end": ...}]}]',
    )
    parser.add_argument("--threshold", type=float, help="least score of a relation, instead of the model's own")
    parser.add_argument("--format", choices=("table", "json", "both"), default="table", help="what is printed")
    parser.add_argument("--json", type=Path, help="file that the graph is written to as JSON")
    parser.add_argument("--picture", type=Path, help="file that the graph is drawn to as SVG")
    options = parser.parse_args(arguments)
    if options.model is None and default_model() is None:
        parser.error("no model comes along with this checkout; name one by --model")
    try:
        _extract(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))


def _extract(options: argparse.Namespace) -> None:
    text = options.text
    if text is None:
        text = _read(options.file) if options.file else sys.stdin.read()
    entities = None
    if options.entities:
        try:
            entities = json.loads(_read(options.entities))
        except json.JSONDecodeError as error:
            raise ValueError(f"{options.entities} holds no JSON: {error}") from error
    name = options.model or default_model()
    try:
        extract = pipeline(TASK, model=name)
    except OSError as error:
        raise OSError(f"the model {name} cannot be loaded: {error}") from error
    graph = extract(text, threshold=options.threshold, entities=entities)
    whole = json.dumps(graph, ensure_ascii=False, indent=1)
    if options.format != "json":
        print(format_graph(graph))
    if options.format != "table":
        print(whole)
    if options.json:
        _write(options.json, whole)
    if options.picture:
        _write(options.picture, draw_graph(graph))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not in UTF-8 ({error}); save it in that encoding") from error


def _write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{content}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
