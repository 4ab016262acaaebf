"""Makes `evaluate.load("docre_f1")` work for programs that never import this package.

`python -m modeling_docre.hub.setup_metric` writes the metric into the cache of modules where `evaluate` looks for a
bare name, and prints the folder. Once per machine and version of the package is enough.
"""

from __future__ import annotations

import sys

from .metric import install_metric


def main() -> None:
    """Install the metric and print where; the exit status is 1 where it could not be written."""
    installed = install_metric()
    if installed is None:
        sys.exit(1)
    print(installed)


if __name__ == "__main__":
    main()
