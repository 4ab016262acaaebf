"""`docre extract`: extracts the graphs of texts as tables, JSON or a picture."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from modeling_docre.documents import DocumentError
from modeling_docre.graphs.printable import printable

from .files import check_output, read_text, write_output
from .process import UsageError, check_probability, without_progress_bars
from .sources import Source, files_of, is_one_text, read_sources

Graph = dict[str, Any]


class Format(StrEnum):
    """How graphs are printed."""

    TABLE = "table"
    JSON = "json"
    LINES = "jsonl"


def extract(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="The text, in quotes; - for standard input."),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE...",
            help="Texts (.txt), records (.jsonl, .json), a folder of them, a pattern, or - for standard input. Further "
            "names may follow, and the option may be repeated.",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub name of a trained model; by default the bundled one.")
    ] = None,
    entities: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="JSON file with the entities of the text, for models that relate given entities: "
            '[{"type": ..., "mentions": [{"char_start": ..., "char_end": ...}]}].',
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|NAME",
            help="Least score of a relation, from 0 to 1, instead of the model's own, or one of the model's names: "
            "precise, balanced, everything.",
        ),
    ] = None,
    relations: Annotated[
        list[str] | None, typer.Option(metavar="TYPE", help="A relation type to keep; may be repeated.")
    ] = None,
    format: Annotated[
        Format, typer.Option(help="What to print: a table, JSON, or JSON Lines with one graph per line.")
    ] = Format.TABLE,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the result as JSON, or as JSON Lines if named .jsonl."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the graph of a single text as SVG.")
    ] = None,
) -> None:
    """Extract entities and relations from texts.

    One text gives one graph. Several files or records give their graphs in order, as a list in JSON. A record is a
    document or a text, {"id": ..., "text": ..., "entities": ...}, of which only "text" is required.

    \b
    Examples:
      docre extract "Mira Halloran was born in Galway, Ireland."
      docre extract --file letters/*.txt --format jsonl
    """
    least = _number(threshold)
    sources, single = _inputs(words or [], file or [])
    for option, written in (("--json", json_file), ("--picture", picture)):
        _check_output(option, written, file or [])
    if not single and (entities or picture):
        hint = "; records have their own" if entities else ""
        raise UsageError(f"{'--entities' if entities else '--picture'} needs a single text{hint}")
    if entities:
        known = _read_json(entities)
        sources = (source._replace(entities=known) for source in sources)
    graphs = []
    for graph in _graphs(sources, model, threshold=least, relations=relations or None):
        graphs.append(graph)
        _show(graph, format, single)
    if format is Format.JSON:
        print(_as_json(graphs, single))
    if json_file:
        write_output(json_file, _as_lines(graphs) if json_file.suffix == ".jsonl" else _as_json(graphs, single))
    if picture:
        _draw(picture, graphs[0])


def _number(threshold: str | None) -> float | str | None:
    """A threshold as a number; a name stays, for the model to look up."""
    try:
        value = float(threshold or "")
    except ValueError:
        return threshold
    check_probability("--threshold", value)
    return value


def _check_output(option: str, file: Path | None, inputs: Sequence[str]) -> None:
    """Refuse to write over what is read, a file called `-`, or where nothing can be written."""
    if file == Path("-"):
        raise UsageError(f"{option} needs the name of a file; for standard output give --format json")
    if file and file.exists() and any(os.path.exists(name) and file.samefile(name) for name in inputs):
        raise UsageError(f"{option} {file} is what is read; give another name")
    if file:
        check_output(file)


def _inputs(words: Sequence[str], names: Sequence[str]) -> tuple[Iterator[Source], bool]:
    """The inputs, and whether they are a single text."""
    if not names and words and words != ["-"]:
        if len(words) > 1:
            raise UsageError("the text must be one argument; put it in quotes")
        if os.path.isfile(words[0]):
            raise UsageError(f"{words[0]} is a file; read it by --file {words[0]}")
        return iter([Source(words[0])]), True
    if not names and not words and sys.stdin.isatty():
        raise UsageError("no text; give one in quotes, or files by --file")
    files = files_of([*names, *words] or ["-"])
    return (source for file in files for source in read_sources(file)), len(files) == 1 and is_one_text(files[0])


def _graphs(sources: Iterator[Source], model: str | None, **options: Any) -> Iterator[Graph]:
    """Yield the graph of each input in order."""
    first = list(islice(sources, 1))  # a bad first input is reported before the model is loaded
    pipeline = _load(model)
    for source in chain(first, sources):
        try:
            graph = pipeline(source.content, entities=source.entities, **options)
        except DocumentError as error:
            raise DocumentError(source.id or error.document_id, error.field, error.value, error.fix) from error
        yield graph if source.id is None else {**graph, "id": source.id}


def _load(model: str | None) -> Any:
    """The pipeline of a model."""
    from transformers import pipeline

    import modeling_docre.hub.registration  # noqa: F401 (registers the systems)
    from modeling_docre.hub.loading import model_named
    from modeling_docre.hub.resources import default_model
    from modeling_docre.pipeline_docre import TASK

    name = model or default_model()
    if name is None:
        raise UsageError("this checkout has no bundled model; name one by --model")
    with model_named(name), without_progress_bars():
        return pipeline(TASK, model=name)


def _show(graph: Graph, format: Format, single: bool) -> None:
    """Print a graph as a line or table; JSON is printed after the last graph."""
    from modeling_docre.graphs.table import format_graph

    if format is Format.LINES:
        print(_as_lines([graph]), flush=True)
    elif format is Format.TABLE:
        heading = "" if single else f"{printable(graph['id'])}\n"
        print(f"{heading}{format_graph(graph)}" + ("" if single else "\n"), flush=True)


def _as_lines(graphs: Sequence[Graph]) -> str:
    return "\n".join(json.dumps(graph, ensure_ascii=False) for graph in graphs)


def _as_json(graphs: Sequence[Graph], single: bool) -> str:
    return json.dumps(graphs[0] if single else graphs, ensure_ascii=False, indent=1)


def _draw(file: Path, graph: Graph) -> None:
    from modeling_docre.graphs.picture import draw_graph

    write_output(file, draw_graph(graph))


def _read_json(file: str) -> Any:
    try:
        return json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
