"""The command line `docre`: one file per command, and each command imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from . import convert, evaluate, export, extract, extract_corpus, graph, hub, label, process, report, train

app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"max_content_width": 100})
app.command()(extract.extract)
app.command()(extract_corpus.extract_corpus)
app.command(context_settings=train.UNTOUCHED, add_help_option=False)(train.train)
app.command(context_settings=evaluate.SETTINGS)(evaluate.evaluate)
app.command()(convert.convert)
app.command()(convert.split)
app.add_typer(graph.app, name="graph")
app.command()(label.label)
app.command()(report.report)
app.command()(export.export)
app.command()(hub.push)
app.command()(hub.card)
app.command()(hub.install_metric)
app.command()(train.recipes)


@app.callback(invoke_without_command=True)
def docre(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error arose.")] = False,
) -> None:
    """Document-level relation extraction: from text to a graph of entities and relations.

    \b
    Example:
      docre extract "Mira Halloran was born in Galway, Ireland."
    """
    if version:
        from modeling_docre import __version__

        print(f"modeling-docre {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit code.

    Args:
        arguments: the words after the program's name; by default those of the process.

    Raises:
        SystemExit: always.
    """
    command = typer.main.get_command(app)
    sys.exit(process.run(command, sys.argv[1:] if arguments is None else arguments))
