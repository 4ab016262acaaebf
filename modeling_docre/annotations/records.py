"""Reads files of JSON records one record at a time: an array or one record per line, plain or gzip."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from modeling_docre.documents import DocumentError

RECORD_CHARACTERS = 2**26
"""Most characters of a record and the white space before it: a small compressed file can unpack to any size."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_BROKEN_BYTES = re.compile("[\udc80-\udcff]")
"""The characters that `surrogateescape` puts in place of bytes that are not UTF-8."""

_NOT_SPACE = re.compile(r"\S")


def iter_records(source: str | PathLike[str] | BinaryIO | Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """Yield the records of a file one at a time, so that a corpus of any size needs the memory of one record.

    Args:
        source: a file with a JSON array or with one record per line (its content decides, plain or gzip), an open
            binary file, or the records themselves.

    Raises:
        DocumentError: the text is neither a JSON array of objects nor one JSON object per line, is not in UTF-8, has an
            unreasonably long or deep record or number, or is broken gzip; the message names the record.
        IsADirectoryError: the file is a folder.
    """
    if isinstance(source, str | PathLike) or hasattr(source, "read"):
        for record in records_and_errors(cast("str | PathLike[str] | BinaryIO", source)):
            if isinstance(record, DocumentError):
                raise record
            yield record
    else:
        yield from cast(Iterable[Mapping[str, Any]], source)


def records_and_errors(source: str | PathLike[str] | BinaryIO, name: str | None = None) -> Iterator[Any]:
    """Yield the records of a file; in the place of one that cannot be read stands its `DocumentError`.

    The lines after a broken line are read. Nothing is read after a broken record of an array, or broken gzip.

    Args:
        source: a file or an open binary file, as for `iter_records`.
        name: what messages call it, by default the file's name without its folder.

    Raises:
        IsADirectoryError: the file is a folder.
    """
    if not isinstance(source, str | PathLike):
        yield from _records(source, name or "the file")
        return
    if Path(source).is_dir():
        raise IsADirectoryError(f"{source} is a folder; name a file in it")
    with open(source, "rb") as handle:
        yield from _records(handle, name or Path(source).name)


def _records(handle: BinaryIO, name: str) -> Iterator[Any]:
    # Downloaded files lose their ending in the cache, so the content decides what they are.
    buffered = cast(io.BufferedReader, handle if hasattr(handle, "peek") else io.BufferedReader(cast(Any, handle)))
    compressed = buffered.peek(2)[:2] == _GZIP_MAGIC
    plain = gzip.GzipFile(fileobj=buffered) if compressed else buffered
    text = _JsonText(io.TextIOWrapper(cast(BinaryIO, plain), encoding="utf-8-sig", errors="surrogateescape"))
    number, more = 0, True
    while more:
        more = False
        try:
            for record in text.array() if number == 0 and text.peek() == "[" else text.lines(first=number == 0):
                yield record
                number += 1
        except json.JSONDecodeError as error:
            yield _syntax_error(error, number + 1, name)
            more = text.line_is_read()
        except _Unreadable as error:
            yield DocumentError(f"number {number + 1} of {name}", error.field, error.value, error.fix)
            more = text.line_is_read()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            fix = f"the compressed file is broken or ends too early ({error}); get it again"
            yield DocumentError(f"after number {number} of {name}", "gzip data", name, fix)
        number += 1


def _syntax_error(error: json.JSONDecodeError, number: int, name: str) -> DocumentError:
    excerpt = error.doc[max(0, error.pos - 40) : error.pos + 40]
    fix = f"give a JSON array of documents or one document per line ({error.msg.removesuffix(' at')})"
    if _BROKEN_BYTES.search(excerpt):
        return DocumentError(f"number {number} of {name}", "text", _as_bytes(excerpt), "save the file as UTF-8")
    return DocumentError(f"number {number} of {name}", "JSON text", excerpt, fix)


def _as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


class _Unreadable(Exception):
    """A record that is not a syntax error but cannot be read: the field, its value, and the fix."""

    def __init__(self, field: str, value: Any, fix: str):
        super().__init__(fix)
        self.field, self.value, self.fix = field, value, fix


def _check_size(characters: int, text: str) -> None:
    if characters > RECORD_CHARACTERS:
        fix = f"a record has at most {RECORD_CHARACTERS:,} characters; split it, or check that this is the right file"
        raise _Unreadable("record", text[:40], fix)


def _decoded(decode: Callable[..., Any], text: str, *position: int) -> Any:
    """Decode JSON; errors other than those of syntax become `_Unreadable`."""
    start = position[0] if position else 0
    try:
        return decode(text, *position)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        fix = "it is nested too deeply for a document; give Document dicts or DocRED's JSON"
        raise _Unreadable("record", text[start : start + 40], fix) from error
    except ValueError as error:
        fix = f"it has a number too long to be an offset or a score ({error})"
        raise _Unreadable("record", text[start : start + 40], fix) from error


def _check_bytes(record: str) -> None:
    if not record.isascii() and (broken := _BROKEN_BYTES.search(record)):
        excerpt = record[max(0, broken.start() - 20) : broken.end() + 20]
        raise _Unreadable("text", _as_bytes(excerpt), "save the file as UTF-8")


class _JsonText:
    """A text of JSON values, read chunk by chunk."""

    def __init__(self, text: TextIO):
        self._text, self._buffer, self._position = text, "", 0
        self._decoder, self._in_array = json.JSONDecoder(), False

    def peek(self) -> str:
        """The next character that is not white space; empty at the end of the text."""
        skipped = 0
        while True:
            if following := _NOT_SPACE.search(self._buffer, self._position):
                self._position = following.start()
                return self._buffer[self._position]
            skipped += len(self._buffer) - self._position
            _check_size(skipped, self._buffer)
            self._position = len(self._buffer)
            if not self._refill(_CHUNK):
                return ""

    def array(self) -> Iterator[Any]:
        self._in_array = True
        self._take("[")
        if self.peek() != "]":
            yield self._value()
            while self.peek() == ",":
                self._take(",")
                yield self._value()
        self._take("]")
        if self.peek():
            raise self._error("the array ends here, but text follows")

    def lines(self, first: bool) -> Iterator[Any]:
        """The records of the lines that follow; after an error it can be called again, if `line_is_read`.

        Args:
            first: whether the next line is the first of the file.
        """
        while self.peek():
            line = self._line()
            if not line.startswith("{"):
                raise json.JSONDecodeError("expected '{'", line, 0)
            try:
                _check_bytes(line)
                yield _decoded(json.loads, line)
            except json.JSONDecodeError:
                following = _NOT_SPACE.search(self._buffer, self._position)
                if not first or (following and following[0] == "{"):
                    raise
                self._position -= len(line)  # the single record of a file may be indented over many lines
                yield self._value()
            first = False

    def line_is_read(self) -> bool:
        """Whether the text continues at the end of a line; in an array it does not."""
        return not self._in_array and self._buffer[self._position : self._position + 1] in ("", "\n")

    def _line(self) -> str:
        end, size = self._buffer.find("\n", self._position), _CHUNK
        while end < 0 and self._refill(size):
            _check_size(len(self._buffer), self._buffer)
            end = self._buffer.find("\n", self._position)
            size *= 2  # a long line is not searched again for every chunk
        end = len(self._buffer) if end < 0 else end
        line, self._position = self._buffer[self._position : end], end
        return line

    def _value(self) -> Any:
        # An object cannot look complete before it is; a number at the end of a chunk could.
        if self.peek() != "{":
            raise self._error("expected '{'")
        size = _CHUNK
        while True:
            try:
                value, end = _decoded(self._decoder.raw_decode, self._buffer, self._position)
            except json.JSONDecodeError:
                _check_size(len(self._buffer) - self._position, self._buffer[self._position :])
                # Doubling keeps a broken file from being parsed again for every chunk.
                if not self._refill(size):
                    raise
                size *= 2
            else:
                _check_bytes(self._buffer[self._position : end])
                self._position = end
                return value

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise self._error(f"expected {character!r}")
        self._position += 1

    def _refill(self, size: int) -> bool:
        chunk = self._text.read(size)
        if chunk:
            self._buffer, self._position = self._buffer[self._position :] + chunk, 0
        return bool(chunk)

    def _error(self, message: str) -> json.JSONDecodeError:
        return json.JSONDecodeError(message, self._buffer, self._position)


def unique_id(name: str, taken: set[str]) -> str:
    """The first of `name`, `name #2`, `name #3`, … that is not in `taken`; it is added there."""
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name} #{number}"
    taken.add(unique)
    return unique
