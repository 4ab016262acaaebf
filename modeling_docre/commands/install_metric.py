"""`docre install-metric`: the metric for programs that do not import this package."""

from __future__ import annotations

import warnings


def install_metric() -> None:
    """Install the metric for evaluate.load.

    evaluate.load("docre_f1") then finds it in programs that do not import this package. Once per machine and version
    of the package is enough. Prints where the metric is.

    \b
    Example:
      docre install-metric
    """
    from modeling_docre.hub import metric

    with warnings.catch_warnings(record=True) as problems:
        warnings.simplefilter("always")
        place = metric.install_metric()
    if place is None:
        raise OSError(str(problems[-1].message))
    print(place)
