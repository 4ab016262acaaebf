"""`docre train` and `docre recipes`: runs a training or a cross-validation; lists the bundled recipes."""

from __future__ import annotations

import typer

UNTOUCHED = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""Settings of a command that passes its arguments on unchanged; `add_help_option` must be off as well."""


def train(context: typer.Context) -> None:
    """Train a system by a recipe and score it.

    A recipe is a YAML file or the name of a bundled recipe (see docre recipes). Flags override its options. With
    --folds, train and score on every fold of a corpus. All options: docre train --help.

    \b
    Example:
      docre train jerex_sample --output_dir outputs/my_model
    """
    from modeling_docre.training.run import main

    main(context.args)


def recipes() -> None:
    """List the bundled recipes.

    \b
    Example:
      docre recipes
    """
    from modeling_docre.hub.resources import bundled_recipes

    purposes = bundled_recipes()
    width = max(map(len, purposes), default=0)
    for name, purpose in purposes.items():
        print(f"{name:{width}}  {purpose}")
