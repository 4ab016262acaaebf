"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import re
from typing import Any

import modeling_docre

project = "modeling_docre"
author = "The authors of modeling_docre"
project_copyright = "The authors of modeling_docre, Apache-2.0"
release = version = modeling_docre.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"modeling_docre {release}"

# Docstrings are written in Markdown: one backtick is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_use_rtype = False

_FENCE = re.compile(r"^(\s*)```(\w*)\s*$")


def fences_to_directives(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Turn the fenced code of a docstring into the directive that reStructuredText has for it."""
    output, indent = [], None
    for line in lines:
        fence = _FENCE.match(line)
        if fence and indent is None:
            indent = fence[1]
            output += [f"{indent}.. code-block:: {fence[2] or 'text'}", ""]
        elif fence:
            indent = None
        else:
            output.append(line if indent is None else f"    {line}")
    lines[:] = output


def without_long_signature(
    app: Any, what: str, name: str, item: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Leave out the arguments of a configuration, which its text lists and which the base class has dozens of."""
    return ("(**options)", None) if what == "class" and name.endswith("Config") else None


def setup(app: Any) -> None:
    """Register both hooks."""
    app.connect("autodoc-process-docstring", fences_to_directives, priority=100)
    app.connect("autodoc-process-signature", without_long_signature)
