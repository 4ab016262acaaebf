"""`docre graph`: merges the results of many documents into one graph, exports it, shows what is in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modeling_docre.annotations.growing_file import ENDINGS
from modeling_docre.annotations.sources import files_of
from modeling_docre.graphs.printable import printable

from .files import check_not_read, check_output, write_output
from .process import UsageError

if TYPE_CHECKING:
    from modeling_docre.documents import Document
    from modeling_docre.exports.graph import Graph

app = typer.Typer(help="One graph of many documents: build it, export it, look at it.", no_args_is_help=True)


class Merge(StrEnum):
    """When entities of different documents are one."""

    EXACT = "exact"
    SIMILAR = "similar"
    OFF = "off"


class Format(StrEnum):
    """What a graph is exported to."""

    JSONL = "jsonl"
    CSV = "csv"
    NEO4J = "neo4j"
    GRAPHML = "graphml"
    TURTLE = "turtle"
    NTRIPLES = "ntriples"
    JSONLD = "jsonld"
    HTML = "html"
    LADYBUG = "ladybug"
    DOCBIN = "docbin"
    BRAT = "brat"
    DISPLACY = "displacy"


Results = Annotated[
    list[str],
    typer.Argument(
        metavar="RESULTS...",
        help="Results of `docre extract` or `docre extract-corpus`, or documents as `docre convert` reads them.",
    ),
]
Inputs = Annotated[
    list[str],
    typer.Argument(metavar="RESULTS_OR_FOLDER...", help="Results as for `graph build`, or the folder of a graph."),
]


@app.command()
def build(
    results: Results,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The graph as Parquet files.")],
    merge: Annotated[
        Merge, typer.Option(help="Join entities of several documents by equal names, by similar ones, or not.")
    ] = Merge.EXACT,
    db: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a new ladybug database, which answers Cypher.")
    ] = None,
) -> None:
    """Merge the results of many documents into one graph.

    \b
    Example:
      docre graph build results.jsonl --out graph --db graph.db
    """
    from modeling_docre.graphs.corpus_graph import CorpusGraph

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    if db:
        _check_new(db, "--db")
    graph = CorpusGraph.of(_documents(results), merge=merge.value)
    graph.save(out)
    if db:
        _write_database(graph, db)
    print(f"{_size(graph)} in {out}" + (f" and {db}" if db else ""))


@app.command()
def export(
    inputs: Inputs,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file; a folder for csv, neo4j and brat.")],
    to: Annotated[
        Format | None, typer.Option(help="The format; by default the one that the file's ending names.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Keep so many entities, those that most documents mention.")
    ] = None,
) -> None:
    """Export results, or a graph that `docre graph build` wrote.

    Results are exported side by side: nothing is merged.

    \b
    Examples:
      docre graph export graph --out graph.html
      docre graph export results.jsonl --to neo4j --out neo4j
    """
    from modeling_docre.exports.formats import DATABASE, DOCUMENT_FORMATS, FOLDERS, GRAPH_FORMATS
    from modeling_docre.exports.page import to_page

    name = to.value if to else _format_of(out)
    if name in DOCUMENT_FORMATS and (top or _is_graph(inputs)):
        wanted = "results of `docre extract`, not a graph" if _is_graph(inputs) else "whole documents, without --top"
        raise UsageError(f"{name} takes {wanted}")
    check_not_read("--out", out, inputs if _is_graph(inputs) else _all_files(inputs))
    if name == DATABASE:
        _check_new(out, "--out")
    elif name not in FOLDERS:
        check_output(out)
    if name in DOCUMENT_FORMATS:
        _write(out, DOCUMENT_FORMATS[name](_documents(inputs)))
        return
    graph = _graph(inputs, top)
    if name == DATABASE:
        _write_database(graph, out)
    else:
        _write(out, to_page(graph, out.stem) if name == "html" else GRAPH_FORMATS[name](graph))


@app.command()
def show(
    inputs: Inputs,
    top: Annotated[int, typer.Option(min=1, help="How many entities and relations.")] = 10,
) -> None:
    """Print the entities that most documents mention, and the relations that most documents state."""
    from modeling_docre.graphs.table import aligned

    graph = _graph(inputs)
    names = {node.id: _short(node.name) for node in graph.nodes}
    nodes = sorted(graph.nodes, key=lambda node: (-node.documents, -node.mentions, node.id))[:top]
    edges = sorted(graph.edges, key=lambda edge: (-edge.documents, -(edge.score or 0), edge.head, edge.tail))[:top]
    print(f"{_size(graph)}\n")
    rows = [[names[node.id], _short(node.type), str(node.documents), str(node.mentions)] for node in nodes]
    print("\n".join(aligned(["entity", "type", "documents", "mentions"], rows)))
    rows = [
        [names[edge.head], _short(edge.label), names[edge.tail], str(edge.documents), _score(edge.score)]
        for edge in edges
    ]
    print("\n" + "\n".join(aligned(["head", "relation", "tail", "documents", "score"], rows)))


def _documents(names: Sequence[str]) -> list[Document]:
    """The documents of all files, whose ids must differ."""
    from modeling_docre.documents import DocumentError

    if _is_graph(names):
        raise UsageError(f"{names[0]} is a graph already; give the results that it was built from, and the new ones")
    documents: dict[str, Document] = {}
    for file in _all_files(names):
        for document in _read(file):
            if document.id in documents:
                fix = f"{file} has an id that an earlier document has; give each document its own"
                raise DocumentError(document.id, "id", document.id, fix)
            documents[document.id] = document
    return list(documents.values())


def _all_files(names: Sequence[str]) -> list[str]:
    return [file for name in names for file in _files_of(name)]


def _files_of(name: str) -> list[str]:
    """The files of a name; a folder of annotations stays whole, for its files may belong together."""
    if not os.path.isdir(name):
        return files_of([name])
    tables = [*Path(name, "documents").glob("*.parquet"), *Path(name).glob("*.parquet")]
    return sorted(map(str, tables or (file for file in Path(name).rglob("*") if file.name.endswith(ENDINGS)))) or [name]


def _read(file: str) -> Iterable[Document]:
    """The documents of a file or a folder of annotations; those that failed are left out."""
    from modeling_docre.annotations.document_file import read_annotations
    from modeling_docre.documents import Document

    if not file.endswith(".parquet"):
        return read_annotations(file)[0]
    from pyarrow.parquet import read_table

    rows = read_table(file).to_pylist()
    return [Document.from_dict(row) for row in rows if row.pop("error", None) is None]


def _is_graph(names: Sequence[str]) -> bool:
    from modeling_docre.graphs.graph_files import is_graph

    graphs = [name for name in names if is_graph(name)]
    if graphs and len(names) > 1:
        raise UsageError(f"{graphs[0]} is a graph; give it alone")
    return bool(graphs)


def _graph(names: Sequence[str], top: int | None = None) -> Graph:
    """The graph in a folder, or that of results side by side; only the most mentioned nodes of it if so asked."""
    from modeling_docre.exports.graph import PlainGraph, graph_of, most_mentioned

    if _is_graph(names):
        from modeling_docre.graphs.graph_files import read_elements

        graph: Graph = PlainGraph(*read_elements(names[0]))
    else:
        graph = graph_of(*_documents(names))
    return most_mentioned(graph, top) if top else graph


def _format_of(file: Path) -> str:
    from modeling_docre.exports.formats import NAMES, SUFFIXES

    if file.suffix not in SUFFIXES:
        raise UsageError(f"{file} names no format; give --to with one of {', '.join(NAMES)}")
    return SUFFIXES[file.suffix]


def _check_new(file: Path, option: str) -> None:
    """Check that a database can be written, before the work whose result it will hold."""
    from modeling_docre.exports.extra import extra_graph

    if file.exists():
        raise UsageError(f"{option} {file} exists; give the name of a new database")
    with extra_graph():
        import ladybug  # noqa: F401
    check_output(file)


def _write(out: Path, content: str | bytes | dict[str, str]) -> None:
    """Write a file or a folder of files, completely or not at all."""
    from modeling_docre.hub.files import replacing_files, write_whole

    if isinstance(content, str):
        write_output(out, content.removesuffix("\n"))
    elif isinstance(content, bytes):
        write_whole(os.path.realpath(out), content)
    else:
        if out.is_dir() and (others := {file.name for file in out.iterdir()} - content.keys()):
            raise UsageError(f"--out {out} holds other files, such as {min(others)}; name a new folder")
        with replacing_files(out, stale=(), last=list(content)[-1]) as draft:
            for name, text in content.items():
                (draft / name).write_bytes(text.encode())


def _write_database(graph: Graph, file: Path) -> None:
    """Write a database beside its place and move it there when it is complete."""
    from tempfile import TemporaryDirectory

    from modeling_docre.exports.database import save_database

    with TemporaryDirectory(dir=file.resolve().parent, prefix=".writing-") as folder:
        draft = Path(folder) / file.name
        save_database(graph, draft)
        os.replace(draft, file)


def _size(graph: Graph) -> str:
    counts = ((len(graph.nodes), "entity", "entities"), (len(graph.edges), "relation", "relations"))
    return ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in counts)


def _short(text: str) -> str:
    return shorten(printable(text), 40, placeholder=" …")


def _score(score: Any) -> str:
    return "" if score is None else f"{score:.2f}"
