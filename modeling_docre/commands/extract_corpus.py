"""`docre extract-corpus`: extracts the graphs of any number of documents by Ray, on one machine or many."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from modeling_docre.graphs.similarity import Merge

from .process import FAILURE, Backend, Dtype, Threshold, UsageError, complain, threshold_of


def extract_corpus(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Texts (.txt), records (.jsonl, .json), tables (.parquet), folders of them, or patterns; with --split "
            "a dataset of the Hub.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the results.")],
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub name of a trained model; by default the bundled one.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="INPUT is a dataset of the Hub; its split to read.")] = None,
    threshold: Threshold = None,
    relations: Annotated[
        list[str] | None, typer.Option(metavar="TYPE", help="A relation type to keep; may be repeated.")
    ] = None,
    dtype: Dtype = None,
    backend: Backend = None,
    actors: Annotated[
        int | None,
        typer.Option(
            min=1, help="Models at work; by default one per GPU, without a GPU one per --cores-per-actor cores."
        ),
    ] = None,
    gpus_per_actor: Annotated[
        float | None, typer.Option(min=0, help="GPUs of each, or the part of one; by default 1 where there are GPUs.")
    ] = None,
    cores_per_actor: Annotated[
        int | None, typer.Option(min=1, help="Cores of each; by default 1 with a GPU, 2 without.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Subwords per batch.")] = 2048,
    block_size: Annotated[
        int, typer.Option(min=1, help="Documents that an interruption loses together, and that a file holds.")
    ] = 128,
    graph: Annotated[
        Merge | None,
        typer.Option(help="Also merge all results into one graph, in the folder's graph/; how entities are merged."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Address of a running Ray cluster; by default Ray runs on this machine.")
    ] = None,
) -> None:
    """Extract the graphs of a corpus of any size by Ray.

    The folder gets Parquet files with a row per document in documents/. A document that fails becomes a row with its
    error. Call the command again to resume an interrupted run, or to add documents. It needs the extra `ray`.

    \b
    Examples:
      docre extract-corpus letters news.jsonl --out graphs
      docre extract-corpus "crawl/*.parquet" --out graphs --actors 8 --address auto
    """
    least = threshold_of(threshold)
    extraction = _extraction()
    result = extraction.extract_corpus(
        _documents(words, split),
        _model(model),
        out,
        actors=actors,
        gpus_per_actor=gpus_per_actor,
        cores_per_actor=cores_per_actor,
        address=address,
        block_size=block_size,
        threshold=least,
        relations=relations or None,
        dtype=dtype,
        backend=backend,
        max_tokens=max_tokens,
    )
    print(f"{result.documents} documents in {result.folder}")
    if graph and result.documents:
        from modeling_docre.scale.graph_extraction import extract_graph

        merged = extract_graph(out, merge=graph, address=address)
        print(f"{merged.nodes} nodes and {merged.edges} edges in {merged.folder}")
    if result.failed:
        complain(f"{result.failed} of {result.documents} documents failed (see the column error); {result.error}")
        raise typer.Exit(FAILURE)


def _extraction() -> Any:
    try:
        from modeling_docre.scale import corpus_extraction
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ImportError("extract-corpus needs Ray; install it by pip install 'modeling-docre[ray]'") from error
    return corpus_extraction


def _model(name: str | None) -> str:
    from modeling_docre.hub.resources import default_model

    if (model := name or default_model()) is None:
        raise UsageError("this checkout has no bundled model; name one by --model")
    return model


def _documents(words: list[str], split: str | None) -> Any:
    if split is None:
        return words
    if len(words) > 1:
        raise UsageError("--split reads one dataset of the Hub; give one name")
    from datasets import load_dataset

    return load_dataset(words[0], split=split)
