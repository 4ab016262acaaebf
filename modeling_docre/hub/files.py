"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it there, so that what was there before stays until then.

    A link of that name is replaced by the file; what it pointed to is left alone.

    Args:
        file: the file; its folder exists.
        content: bytes, or text that is written in UTF-8.

    Raises:
        OSError: it cannot be written; the error names the file.
    """
    draft = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(file)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
    finally:
        draft.unlink(missing_ok=True)
