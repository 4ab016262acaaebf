"""`docre extract`: extracts the graphs of texts as tables, JSON or a picture."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from modeling_docre.annotations.sources import (
    IN_FOLDERS,
    Source,
    files_of,
    is_one_text,
    left_out,
    looks_like_a_file,
    read_sources,
    read_text,
)
from modeling_docre.documents import DocumentError
from modeling_docre.graphs.printable import printable

from .files import check_not_read, check_output, write_output
from .process import (
    FAILURE,
    Backend,
    Dtype,
    Threshold,
    UsageError,
    complain,
    describe,
    threshold_of,
    without_progress_bars,
)

Graph = dict[str, Any]

DOCUMENTS_AT_ONCE = 32
"""Documents that are extracted, and lost by an interruption, together."""


class Format(StrEnum):
    """How graphs are printed."""

    TABLE = "table"
    JSON = "json"
    LINES = "jsonl"


def extract(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="The text, in quotes; or files and folders, as for --file."),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE...",
            help="Texts (.txt), records (.jsonl, .json), folders of .txt and .jsonl, patterns, - for standard input. "
            "Further names may follow, and the option may be repeated.",
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
    threshold: Threshold = None,
    relations: Annotated[
        list[str] | None, typer.Option(metavar="TYPE", help="A relation type to keep; may be repeated.")
    ] = None,
    dtype: Dtype = None,
    backend: Backend = None,
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
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write results to this .jsonl or .jsonl.gz as they are made.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the file of --out after an interruption.")
    ] = False,
) -> None:
    """Extract entities and relations from texts.

    One text gives one graph. Several files or records give their graphs in order, as a list in JSON. A record is a
    document or a text, {"id": ..., "text": ..., "entities": ...}, of which only "text" is required. Each needs its own
    id; a text is named by its file, a record without an id by file and line. Of several documents those that fail are
    reported, and the exit code is 1.

    \b
    Examples:
      docre extract "Mira Halloran was born in Galway, Ireland."
      docre extract --file letters/*.txt --format jsonl
      docre extract letters --out graphs.jsonl --resume
    """
    least = threshold_of(threshold)
    sources, single = _inputs(words or [], file or [], out)
    if not single and (entities or picture):
        hint = "; records have their own" if entities else ""
        raise UsageError(f"{'--entities' if entities else '--picture'} needs a single text{hint}")
    for option, written in (("--json", json_file), ("--picture", picture), ("--out", out)):
        _check_output(option, written, file or [])
    _check_long_run(out, resume, json_file or picture or format is not Format.TABLE)
    if entities:
        known = _read_json(entities)
        sources = (source._replace(entities=known) for source in sources)
    options = {"threshold": least, "relations": relations or None, "dtype": dtype, "backend": backend}
    failures = Failures(single)
    load = partial(_load, model, options)
    if out:
        _extend(out, resume, sources, load, {"model": model or "bundled", **options}, failures)
    else:
        _print(sources, load, failures, format, json_file, picture)
    failures.end()


class Failures:
    """Reports documents that fail, and goes on; the failure of a single text is the command's.

    Args:
        single: whether there is only one text.
    """

    def __init__(self, single: bool):
        self.single, self.count = single, 0

    def add(self, error: Exception) -> None:
        """Report the failure of a document.

        Raises:
            Exception: the error, if there is only one text.
        """
        if self.single:
            raise error
        self.count += 1
        complain(describe(error))

    def end(self) -> None:
        """End the command.

        Raises:
            typer.Exit: a document failed.
        """
        if self.count:
            complain(f"{self.count} {'document' if self.count == 1 else 'documents'} failed")
            raise typer.Exit(FAILURE)


def _print(
    sources: Iterator[Source],
    load: Callable[[], Any],
    failures: Failures,
    format: Format,
    json_file: Path | None,
    picture: Path | None,
) -> None:
    graphs = []
    for graph in chain.from_iterable(_graphs(sources, load, failures)):
        if json_file or picture or format is Format.JSON:
            graphs.append(graph)
        _show(graph, format, failures.single)
    if format is Format.JSON:
        print(_as_json(graphs, failures.single))
    if json_file:
        lines = json_file.suffix == ".jsonl"
        write_output(json_file, _as_lines(graphs) if lines else _as_json(graphs, failures.single))
    if picture:
        _draw(picture, graphs[0])


def _extend(
    out: Path,
    resume: bool,
    sources: Iterator[Source],
    load: Callable[[], Any],
    settings: dict[str, Any],
    failures: Failures,
) -> None:
    """Extract into a file what it does not have yet; it is begun when the model has been loaded."""
    from tqdm import tqdm

    from modeling_docre.annotations.growing_file import GrowingFile
    from modeling_docre.hub.loading import COMPUTED, weights_digest

    file = GrowingFile(out)
    if file.settings is not None and not resume:
        raise UsageError(f"{out} was begun by an earlier run; go on with --resume, or name another file")
    extract = load()
    stated = {name: value for name, value in settings.items() if value is not None}
    finished = file.begin({**COMPUTED, **stated, "weights": weights_digest(extract.model, settings["backend"])})
    failures.single = False  # the file appears whether or not a document fails
    with tqdm(initial=len(finished), unit=" documents", disable=None) as bar:
        for graphs in _graphs(sources, lambda: extract, failures, finished):
            file.append(graphs)
            bar.update(len(graphs))
    file.finish()


def _check_output(option: str, file: Path | None, inputs: Sequence[str]) -> None:
    """Refuse to write over what is read, a file called `-`, or where nothing can be written."""
    if file == Path("-"):
        raise UsageError(f"{option} needs the name of a file; for standard output give --format json")
    if file and option == "--picture" and file.suffix.lower() != ".svg":
        raise UsageError(f"--picture {file} would hold SVG; end its name in .svg")
    if file:
        check_not_read(option, file, inputs)
        check_output(file)


def _check_long_run(out: Path | None, resume: bool, shown: object) -> None:
    if out and shown:
        raise UsageError("--out writes JSON Lines and prints nothing; leave out --format, --json and --picture")
    if resume and not out:
        raise UsageError("--resume needs the file of an earlier run; name it by --out")


def _inputs(words: Sequence[str], names: Sequence[str], out: Path | None) -> tuple[Iterator[Source], bool]:
    """The inputs, without the results that an earlier run wrote to `out`, and whether they are a single text."""
    named = bool(words) and all(map(os.path.exists, words))
    if not names and words and words != ["-"] and not named:
        if len(words) > 1:
            raise UsageError("the text must be one argument; put it in quotes")
        if looks_like_a_file(words[0]):
            raise UsageError(f"there is no file {words[0]}; to extract from these characters, give them by --file -")
        if out:
            fix = "name files by --file, or write the graph of a text by --json"
            raise UsageError(f"--out is for files, and there is no folder {words[0]!r}; {fix}")
        return iter([Source(words[0])]), True
    if not names and not words and sys.stdin.isatty():
        raise UsageError("no text; give one in quotes, or files by --file")
    results = os.path.realpath(out) if out else None
    given = [*names, *words] or ["-"]
    if names and (texts := [word for word in words if word != "-" and not os.path.exists(word) and " " in word]):
        raise UsageError(f"give a text or --file, not both; there is no file {texts[0]!r}")
    files = [file for file in files_of(given) if os.path.realpath(file) != results]
    folders = [name for name in given if os.path.isdir(name)]
    for name in folders:
        if counts := left_out(name):
            kinds = ", ".join(f"{count} {ending}" for ending, count in counts.most_common())
            complain(f"{name}: not read: {kinds}; of a folder only {', '.join(IN_FOLDERS)} are")
    single = len(files) == 1 and is_one_text(files[0]) and not folders
    return _sources(files), single


def _sources(files: Iterable[str]) -> Iterator[Source]:
    """The inputs in files; an id that occurred before is an error, and a file without any is noticed."""
    met: dict[str, str] = {}
    for file in files:
        number = 0
        for number, source in enumerate(read_sources(file), 1):
            if source.id in met and source.error is None:
                fix = f"duplicate id, which {met[source.id]} has already; give each document its own"
                source = Source(None, None, error=DocumentError(f"number {number} of {file}", "id", source.id, fix))
            elif source.id is not None:
                met[source.id] = file
            yield source
        if number == 0:
            complain(f"{file} holds no documents")


def _graphs(
    sources: Iterator[Source], load: Callable[[], Any], failures: Failures, finished: Collection[str] = ()
) -> Iterator[list[Graph]]:
    """Yield the graphs of the inputs in order, some at a time, without those that are finished."""
    rest: Iterator[Source] = (source for source in sources if source.id not in finished)
    first = list(islice(rest, 1))
    if failures.single and first and first[0].error:  # reported before the model is loaded
        failures.add(first[0].error)
    if not first:
        return
    extract, rest = load(), chain(first, rest)
    while here := list(islice(rest, DOCUMENTS_AT_ONCE)):
        results = extract(here)
        for result in results:
            if result.error:
                failures.add(result.error)
        if graphs := [result.graph for result in results if result.graph is not None]:
            yield graphs


def _load(model: str | None, options: dict[str, Any]) -> Any:
    """What extracts by a model."""
    from modeling_docre.hub.resources import default_model
    from modeling_docre.scale.extractor import Extractor

    name = model or default_model()
    if name is None:
        raise UsageError("this checkout has no bundled model; name one by --model")
    with without_progress_bars():
        return Extractor(name, **options)


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
