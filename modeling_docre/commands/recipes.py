"""`docre recipes`: lists the bundled recipes."""

from __future__ import annotations


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
