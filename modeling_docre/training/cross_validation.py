"""Cross-validation: `docre train RECIPE --folds [--option ...]` trains and scores a system on every fold of a corpus.

Each fold is a training in a process of its own; the folds are the configurations `fold_...` of the corpus. Each has a
folder in `--output_dir`, which also gets `folds.json`: the test scores of each fold, their mean and their sample
standard deviation. A fold whose test scores are there is not done again, and an interrupted one goes on from its last
checkpoint; other arguments need another folder.
"""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from dataset_scripts.building.loading import builders
from modeling_docre.hub.files import write_whole

from .saving import last_checkpoint

logger = logging.getLogger(__name__)

PREFIX = "fold_"
LEVELS = ("mention", "entity", "macro_entity", "relation", "macro_relation", "relation_untyped")
PARTS = ("precision", "recall", "f1")
ARGUMENTS = "arguments.json"
"""File in a fold's folder with the arguments that it was made with."""


def folds_of(corpus: str | None) -> list[str]:
    """Names of the configurations of a corpus that are folds, in their order.

    Raises:
        ValueError: it has none, or there is no such corpus.
    """
    found = dict(builders())
    configs = [item.name for item in found[corpus].BUILDER_CONFIGS] if corpus in found else []
    folds = [name for name in configs if name.startswith(PREFIX)]
    if not folds:
        known = [name for name, builder in found.items() if builder.BUILDER_CONFIGS[0].name.startswith(PREFIX)]
        problem = f"--corpus {corpus} has no folds" if corpus else "--folds needs a --corpus"
        raise ValueError(f"{problem}; corpora with folds: {', '.join(sorted(known))}")
    return folds


def run_fold(fold: str, arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """The test scores of a fold, after training on it if they are not there yet.

    Raises:
        CalledProcessError: the training failed.
        FileNotFoundError: it left no test scores.
        ValueError: the folder holds this fold of other arguments.
    """
    scores = folder / "test" / "scores.json"
    _claim(folder, arguments)
    if not scores.exists():
        command = [sys.executable, "-m", "modeling_docre.training.run", *arguments]
        command += ["--folds", "false", "--corpus_config", fold, "--output_dir", str(folder)]
        if last_checkpoint(str(folder)):
            command += ["--resume_from_checkpoint", "last"]
        subprocess.run(command, check=True)
    if not scores.exists():
        raise FileNotFoundError(f"{fold} has no {scores}; name the test part with --test_split")
    return json.loads(scores.read_text(encoding="utf-8"))


def _claim(folder: Path, arguments: Sequence[str]) -> None:
    """Write down which arguments a folder's fold is made with; refuse if it was others."""
    file, wanted = folder / ARGUMENTS, list(arguments)
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else wanted
    if known != wanted:
        raise ValueError(
            f"{folder} holds a fold made with `{shlex.join(known)}`, not with `{shlex.join(wanted)}`; give the same "
            "arguments to go on, or another --output_dir"
        )
    write_whole(file, json.dumps(wanted) + "\n")


def summarise(folds: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and sample standard deviation (0 for a single fold) of each score, by its name."""
    names = [f"{level}_{part}" for level in LEVELS for part in PARTS]
    columns = {name: [scores[name] for scores in folds.values()] for name in names}
    return {
        name: {"mean": mean(values), "standard_deviation": stdev(values) if len(values) > 1 else 0.0}
        for name, values in columns.items()
    }


def table(summary: Mapping[str, Mapping[str, float]]) -> str:
    """Mean and standard deviation of precision, recall and F1 of each level, in percent."""
    lines = [f"{'':18}{'precision':>16}{'recall':>16}{'F1':>16}"]
    for level in LEVELS:
        cells = [summary[f"{level}_{part}"] for part in PARTS]
        text = (f"{100 * cell['mean']:.2f} ± {100 * cell['standard_deviation']:.2f}" for cell in cells)
        lines.append(f"{level.replace('_', ' '):18}{''.join(f'{item:>16}' for item in text)}")
    return "\n".join(lines)


def cross_validate(arguments: Sequence[str], corpus: str | None, folder: Path) -> None:
    """Do each fold of a corpus, write `folds.json` and log the table.

    Args:
        arguments: the recipe and flags of all folds.
        corpus: the corpus that they name.
        folder: the output folder that they name.

    Raises:
        ValueError: the corpus has no folds, or the folder holds folds of other arguments.
        CalledProcessError: a training failed.
        FileNotFoundError: a fold left no test scores.
    """
    folds = {fold: run_fold(fold, arguments, folder / fold) for fold in folds_of(corpus)}
    summary = summarise(folds)
    write_whole(folder / "folds.json", json.dumps({"summary": summary, "folds": folds}, indent=1) + "\n")
    logger.info("%d folds, mean ± standard deviation, in percent:\n%s", len(folds), table(summary))
