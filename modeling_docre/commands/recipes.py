"""`docre recipes`: the bundled recipes."""

from __future__ import annotations


def recipes() -> None:
    """List the bundled recipes.

    \b
    Example:
      docre recipes
    """
    from modeling_docre.hub.resources import bundled_recipes

    known = bundled_recipes()
    width = max(map(len, known), default=0)
    for name, purpose in known.items():
        print(f"{name:{width}}  {purpose}")
