"""Says how to install the libraries that only some formats need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra_graph() -> Iterator[None]:
    """Turn a failed import of a library of the extra `graph` into an error that says how to install it.

    Raises:
        ImportError: the library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        fix = "install it by pip install 'modeling-docre[graph]'"
        raise ImportError(f"this format needs {error.name}; {fix}", name=error.name) from error
