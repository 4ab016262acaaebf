"""`docre convert` and `docre split`: brings annotations in, and divides documents into training and test data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from .files import check_output, write_output
from .process import UsageError

SPLITS = ("train", "validation", "test")


def convert(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A file, or a folder with all files below it.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File of the documents, .jsonl.")],
    form: Annotated[
        str, typer.Option("--from", metavar="FORMAT", help="The format; by default each file's content tells it.")
    ] = "auto",
    offsets: Annotated[
        str, typer.Option(help="What offsets count where the format does not say: characters or utf-16.")
    ] = "characters",
    cluster: Annotated[
        str,
        typer.Option(
            help="Which mentions become one entity: links (coreference links and equal concept ids) or names (also "
            "equal names in a document)."
        ),
    ] = "links",
    coreference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TYPE",
            help='Link type that means "the same entity"; may be repeated. By default coref, coreference, sameAs, '
            "equiv and the like.",
        ),
    ] = None,
    language: Annotated[str, typer.Option(help="spaCy code of the language, to cut texts into words.")] = "en",
) -> None:
    """Convert annotations into documents of the package.

    Reads brat, Label Studio, doccano, Prodigy, INCEpTION, PubTator, BioC, SpERT, DyGIE++, spaCy's DocBin, DocRED's JSON
    and tables. Prints what was read, merged, changed and left out.

    \b
    Example:
      docre convert annotated/ --out corpus.jsonl
    """
    from modeling_docre.annotations.clusters import ReadingSettings
    from modeling_docre.annotations.document_file import read_annotations
    from modeling_docre.annotations.report import count_table

    _check_ending("--out", out)
    if out.exists() and (out.resolve() == source.resolve() or source.resolve() in out.resolve().parents):
        raise UsageError(f"--out {out} is among the files that are read; give another name")
    check_output(out)
    settings = ReadingSettings(offsets, cluster, None if coreference is None else tuple(coreference), language)
    documents, counts = read_annotations(source, settings, form)
    print(count_table(counts))
    if not documents:
        raise ValueError(f"{source} holds no annotated document, so {out} is not written")
    _write(out, documents)


def split(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Documents in any format that docre convert reads.")],
    ratios: Annotated[
        tuple[int, int, int],
        typer.Option(metavar="TRAIN VALIDATION TEST", help="Shares of the three files; 0 leaves one out."),
    ] = (80, 10, 10),
    seed: Annotated[int, typer.Option(help="Seed of the random order.")] = 42,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of the files; by default that of FILE.")
    ] = None,
) -> None:
    """Divide documents into train.jsonl, validation.jsonl and test.jsonl.

    Documents with the same text stay together. The order depends on the ids and the seed alone.

    \b
    Example:
      docre split corpus.jsonl --ratios 80 10 10 --seed 42
    """
    from modeling_docre.annotations.document_file import read_annotations

    if min(ratios) < 0 or not ratios[0]:
        raise UsageError(f"--ratios is {' '.join(map(str, ratios))}; give shares from 0 on, the first above 0")
    folder = out or (file if file.is_dir() else file.parent)
    for target in (folder / f"{name}.jsonl" for name in SPLITS):
        if target.exists() and {target.resolve(), *target.resolve().parents} & {file.resolve()}:
            raise UsageError(f"{target} is among the files that are read; name another folder by --out")
    documents, _ = read_annotations(file)
    parts = dict(zip(SPLITS, _divided(documents, ratios, seed), strict=True))
    for name, part in parts.items():
        if part:
            _write(folder / f"{name}.jsonl", part)
    print(_table(parts))


def _check_ending(option: str, file: Path) -> None:
    if file.suffix != ".jsonl":
        raise UsageError(f"{option} {file} holds a document per line; end its name in .jsonl")


def _write(file: Path, documents: Sequence[Any]) -> None:
    write_output(file, "\n".join(json.dumps(document.to_dict(), ensure_ascii=False) for document in documents))


def _divided(documents: Sequence[Any], ratios: Sequence[int], seed: int) -> list[list[Any]]:
    """The documents of each part in random order; every part with a share gets at least one text."""
    from dataset_scripts.building.random_order import draw_key

    by_text: dict[Any, list[Any]] = {}
    for document in sorted(documents, key=lambda document: draw_key(document.id, seed)):
        by_text.setdefault(document.sentences, []).append(document)
    groups = list(by_text.values())
    needed = sum(ratio > 0 for ratio in ratios)
    if len(groups) < needed:
        raise ValueError(f"{len(groups)} different texts cannot make {needed} parts; leave one out by a share of 0")
    held_out = [max(1, round(len(groups) * ratio / sum(ratios))) if ratio else 0 for ratio in ratios[1:]]
    while sum(held_out) >= len(groups):
        held_out[held_out.index(max(held_out))] -= 1
    train = len(groups) - sum(held_out)
    borders = [0, train, train + held_out[0], len(groups)]
    return [[document for group in groups[start:end] for document in group] for start, end in pairwise(borders)]


def _table(parts: dict[str, list[Any]]) -> str:
    """How many documents and relations each part has, and the relation types that training does not see."""
    counts = {
        name: Counter(relation.type for document in documents for relation in document.relations)
        for name, documents in parts.items()
    }
    lines = [f"{'':<12}{'documents':>11}{'relations':>11}{'types':>7}"]
    lines += [
        f"{name:<12}{len(parts[name]):>11,}{sum(types.values()):>11,}{len(types):>7}" for name, types in counts.items()
    ]
    unseen = sorted({kind for types in counts.values() for kind in types} - counts["train"].keys())
    if unseen:
        lines.append(f"not in train: {', '.join(unseen)}; annotate more documents, or try another --seed")
    return "\n".join(lines)
