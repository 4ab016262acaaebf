"""`docre install-metric`: installs the metric for programs that do not import this package."""

from __future__ import annotations

import warnings


def install_metric() -> None:
    """Install the metric for evaluate.load.

    Programs that do not import this package can then call evaluate.load("docre_f1"). Once per machine and version of
    the package is enough. Prints the metric's folder.

    \b
    Example:
      docre install-metric
    """
    from modeling_docre.hub import metric

    with warnings.catch_warnings(record=True) as problems:
        warnings.simplefilter("always")
        folder = metric.install_metric()
    if folder is None:
        raise OSError(str(problems[-1].message))
    print(folder)
