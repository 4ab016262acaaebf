"""Files of JSON records, read one record at a time: an array or one record per line, plain or gzip."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from modeling_docre.documents import DocumentError

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def iter_records(source: str | PathLike[str] | BinaryIO | Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """The records of a file, one at a time, so that a corpus of any size needs the memory of one chunk of text.

    Args:
        source: a file with a JSON array or with one record per line (its content decides, plain or gzip), an open
            binary file, or the records themselves.

    Raises:
        DocumentError: the text is neither a JSON array of objects nor one JSON object per line, is not in UTF-8, or
            its compressed form is broken.
    """
    if isinstance(source, str | PathLike):
        with open(source, "rb") as handle:
            yield from _records(handle, Path(source).name)
    elif hasattr(source, "read"):
        yield from _records(cast(BinaryIO, source), "the file")
    else:
        yield from cast(Iterable[Mapping[str, Any]], source)


def _records(handle: BinaryIO, name: str) -> Iterator[Any]:
    # Downloaded files lose their ending in the cache, so the content decides what they are.
    buffered = cast(io.BufferedReader, handle if hasattr(handle, "peek") else io.BufferedReader(cast(Any, handle)))
    compressed = buffered.peek(2)[:2] == _GZIP_MAGIC
    plain = gzip.GzipFile(fileobj=buffered) if compressed else buffered
    text = _JsonText(io.TextIOWrapper(cast(BinaryIO, plain), encoding="utf-8-sig"))
    number = 0
    try:
        for record in text.array() if text.peek() == "[" else text.lines():
            yield record
            number += 1
    except json.JSONDecodeError as error:
        found = error.doc[max(0, error.pos - 40) : error.pos + 40]
        fix = f"give a JSON array of documents or one document per line ({error.msg})"
        raise DocumentError(f"number {number + 1} of {name}", "JSON text", found, fix) from error
    except UnicodeDecodeError as error:
        broken = bytes(error.object[max(0, error.start - 20) : error.end + 20])
        raise DocumentError(f"after number {number} of {name}", "text", broken, "save the file as UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        fix = f"the compressed file is broken or ends too early ({error}); get it again"
        raise DocumentError(f"after number {number} of {name}", "gzip data", name, fix) from error


class _JsonText:
    """A text of JSON values that is read chunk by chunk."""

    def __init__(self, text: TextIO):
        self._text, self._buffer, self._position = text, "", 0
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not white space; empty at the end of the text."""
        while True:
            while self._position < len(self._buffer):
                if not self._buffer[self._position].isspace():
                    return self._buffer[self._position]
                self._position += 1
            if not self._refill(_CHUNK):
                return ""

    def array(self) -> Iterator[Any]:
        self._take("[")
        if self.peek() != "]":
            yield self._value()
            while self.peek() == ",":
                self._take(",")
                yield self._value()
        self._take("]")
        if self.peek():
            raise self._error("the array ends here, but text follows")

    def lines(self) -> Iterator[Any]:
        while self.peek():
            end = self._buffer.find("\n", self._position)
            while end < 0 and self._refill(_CHUNK):
                end = self._buffer.find("\n", self._position)
            end = len(self._buffer) if end < 0 else end
            line, self._position = self._buffer[self._position : end], end
            if not line.startswith("{"):
                raise json.JSONDecodeError("expected '{'", line, 0)
            yield json.loads(line)

    def _value(self) -> Any:
        # An object cannot look complete before it is; a number could, where a chunk ends.
        if self.peek() != "{":
            raise self._error("expected '{'")
        size = _CHUNK
        while True:
            try:
                value, self._position = self._decoder.raw_decode(self._buffer, self._position)
                return value
            except json.JSONDecodeError:
                # Twice the size each time, so that a broken file is not parsed again for every chunk.
                if not self._refill(size):
                    raise
                size *= 2

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise self._error(f"expected {character!r}")
        self._position += 1

    def _refill(self, size: int) -> bool:
        more = self._text.read(size)
        if more:
            self._buffer, self._position = self._buffer[self._position :] + more, 0
        return bool(more)

    def _error(self, message: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(message, self._buffer, self._position)
