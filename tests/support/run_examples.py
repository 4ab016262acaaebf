"""Runs the examples of pages in one process: `python run_examples.py WORK.json RESULTS.json`, in a folder of its own.

`WORK.json` has the pages in order, with their examples. Python is run as it stands, the
examples of a page in one namespace. Commands are called as functions; long trainings and corpora that are not there are
taken as far as the reading of their arguments.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import transformers

REPOSITORY = Path(__file__).resolve().parents[2]
_pipeline = transformers.pipeline


@cache
def bundled_model() -> Any:
    """The pipeline of the bundled model, loaded once for all pages."""
    return _pipeline("doc-relation-extraction")


def pipeline(task: str, **options: Any) -> Any:
    """`transformers.pipeline`, but that the bundled model is loaded once."""
    return _pipeline(task, **options) if options else bundled_model()


def run_example(example: dict[str, Any], names: dict[str, Any]) -> str:
    """What an example prints; `names` are those that earlier ones of its page have left."""
    if example["language"] == "python":
        return run_python(example["code"], example["place"], names)
    return run_commands(example["commands"])


def run_python(code: str, place: str, names: dict[str, Any]) -> str:
    """What a block prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, place, "exec"), names)
    return printed.getvalue()


def run_commands(commands: Sequence[Sequence[str]]) -> str:
    """What the commands of a block print."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for words in commands:
            run_command(list(words))
    return printed.getvalue()


def run_command(words: list[str]) -> None:
    """Do what a command does, or check what it says.

    Raises:
        ValueError: there is no way to check such a command.
    """
    match words:
        case ["docre", *arguments] | ["python", "-m", "modeling_docre", *arguments]:
            docre(arguments)
        case ["python", "train.py", *arguments]:
            parse_training(arguments)
        case ["python", "-m", module, *arguments] if module.startswith("dataset_scripts."):
            export_corpus(module, arguments)
        case ["python", "benchmarks/train_series.py", series, *arguments]:
            assert (REPOSITORY / "benchmarks" / "series" / f"{series}.yaml").is_file(), f"no series {series}"
            check_options("benchmarks/train_series.py", arguments)
        case ["python", script, *arguments] if script.startswith("benchmarks/"):
            check_options(script, arguments)
        case ["make", target, *_]:
            makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target}"
        case _:
            raise ValueError(f"no way to check `{' '.join(words)}`; add one, or a reason why it is not run")


def docre(arguments: list[str]) -> None:
    """A command of the command line; trainings are parsed."""
    if arguments[:1] == ["train"] and "--help" not in arguments:
        parse_training(arguments[1:])
    else:
        succeed(import_module("modeling_docre.__main__").main, arguments)


def parse_training(arguments: list[str]) -> None:
    """Read a recipe and the options of a training."""
    import_module("modeling_docre.training.run").parse_arguments(arguments)


def export_corpus(module: str, arguments: list[str]) -> None:
    """Export a bundled corpus; of others, read the arguments."""
    name = module.removeprefix("dataset_scripts.")
    builder = dict(import_module("dataset_scripts.building.loading").builders())[name]
    export = import_module("dataset_scripts.building.export")
    if name == "sample":
        export.main(builder, arguments)
    else:
        export._parser(builder).parse_args(arguments)


def check_options(script: str, arguments: list[str]) -> None:
    """Each option of a script is among those that its help lists."""
    mine, sys.argv = sys.argv, [script, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        succeed(runpy.run_path, str(REPOSITORY / script), None, "__main__")
    sys.argv = mine
    for option in arguments:
        assert not option.startswith("--") or option in printed.getvalue(), f"{script} has no option {option}"


def succeed(function: Any, *arguments: Any) -> None:
    """Call a function that may end the process, and accept success alone."""
    with contextlib.redirect_stderr(io.StringIO()) as complaints:
        try:
            status = function(*arguments)
        except SystemExit as end:
            status = end.code
    if isinstance(status, int | str) and status:
        raise RuntimeError(f"ended with {status!r}: {complaints.getvalue()[-2000:]}")


def main() -> None:
    """Run everything and write for each example what it printed, or how it failed."""
    work_file, results_file = map(Path, sys.argv[1:])  # an example may set arguments of its own
    work = json.loads(work_file.read_text(encoding="utf-8"))
    transformers.pipeline = pipeline
    results: dict[str, dict[str, str]] = {}
    for examples in work:
        names: dict[str, Any] = {"__name__": "__main__"}
        for example in examples:
            try:
                python = example["language"] == "python"
                printed = (
                    run_python(example["code"], example["place"], names)
                    if python
                    else run_commands(example["commands"])
                )
                results[example["place"]] = {"printed": printed}
            except Exception:
                results[example["place"]] = {"failed": traceback.format_exc(limit=-4)}
    results_file.write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
