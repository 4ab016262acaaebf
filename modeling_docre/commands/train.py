"""`docre train`: a training run, or a cross-validation."""

from __future__ import annotations

import typer

UNTOUCHED = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""Settings of a command that hands its arguments on as they are; `add_help_option` has to be off as well."""


def train(context: typer.Context) -> None:
    """Train a system by a recipe and score it.

    A recipe is the name of a bundled one (see docre recipes) or a YAML file; its options are flags as well, and flags
    win. With --folds, train and score on every fold of a corpus. All options: docre train --help.

    \b
    Example:
      docre train jerex_sample --output_dir outputs/my_model
    """
    from modeling_docre.training.run import main

    main(context.args)
