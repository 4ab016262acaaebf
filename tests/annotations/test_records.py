"""Files of JSON records that are broken below the JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from modeling_docre.annotations import records as record_files
from modeling_docre.documents import DocumentError


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path, record = tmp_path / "broken.json", b'{"title": "x"}\n'
    whole = gzip.compress(record * 9)
    for content, fix in (
        (record + '{"title": "Zo\u00eb"}'.encode("latin-1"), "save the file as UTF-8"),
        (whole[:-12], "broken or ends too early"),
        (whole[:12] + b"\0\0\0\0" + whole[16:], "broken or ends too early"),
    ):
        path.write_bytes(content)
        with pytest.raises(DocumentError, match=rf"of broken\.json.*{fix}"):
            list(record_files.iter_records(path))


def records_of(path: Path, content: str | bytes) -> list[Any]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(record_files.iter_records(path))


def test_bytes_in_another_encoding_name_their_record(tmp_path: Path) -> None:
    """Not only the chunk of text that they lie in."""
    good, broken = b'{"a": "Zo\xc3\xab"}', b'{"a": "Zo\xeb"}'
    for content in (b"\n".join([good, good, broken, good]), b"[" + b",\n".join([good, good, broken, good]) + b"]"):
        with pytest.raises(DocumentError, match=r"number 3 of x\.json.*xeb.*save the file as UTF-8"):
            records_of(tmp_path / "x.json", content)
    with pytest.raises(DocumentError, match=r"number 1 of x\.json.*save the file as UTF-8"):
        records_of(tmp_path / "x.json", '{"a": "b"}'.encode("utf-16"))


def test_unreasonably_large_records_are_named(tmp_path: Path) -> None:
    first = '{"a": 1}'
    deep, digits = '{"a": ' + "[" * 200_000, '{"a": ' + "9" * 5000 + "}"
    for broken, fix in ((deep, "nested too deeply"), (digits, "a number too long")):
        for content in (f"{first}\n{broken}\n", f"[{first}, {broken}]"):
            with pytest.raises(DocumentError, match=rf"number 2 of x\.json.*{fix}"):
                records_of(tmp_path / "x.json", content)


def test_a_small_file_cannot_hold_a_record_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_files, "RECORD_CHARACTERS", 2**21)
    blanks, letters = " " * 2**23, "x" * 2**23
    for content in (f'[{{"a": 1}}, {blanks}{{}}]', f'{{"a": 1}}\n{blanks}', f'{{"a": 1}}\n{{"a": "{letters}"}}'):
        with pytest.raises(DocumentError, match=r"number 2 of x\.json.*at most 2,097,152 characters"):
            records_of(tmp_path / "x.json", gzip.compress(content.encode()))


def test_a_record_of_many_lines_may_stand_alone(tmp_path: Path) -> None:
    assert records_of(tmp_path / "x.json", json.dumps({"a": [1, 2]}, indent=1)) == [{"a": [1, 2]}]


def test_what_follows_a_broken_line_is_read(tmp_path: Path) -> None:
    path, good = tmp_path / "x.jsonl", b'{"a": 1}'
    latin, deep, cut = b'{"a": "Zo\xeb"}', b'{"a": ' + b"[" * 200_000, b'{"a": "b'
    for lines in ([cut, good, b"x", b"", good], [good, latin, deep, b"[1]", good], [latin, good], [good, good, cut]):
        path.write_bytes(b"\n".join(lines))
        whole = [line == good for line in lines if line]
        assert [record == {"a": 1} for record in record_files.records_and_errors(path)] == whole
    for content in (b"[" + b",\n".join([good, cut, good]) + b"]", b'{"a":\n{"b": [\n}', gzip.compress(good * 9)[:-12]):
        path.write_bytes(content)
        *_, last = record_files.records_and_errors(path)
        assert isinstance(last, DocumentError), "where the next record begins is unknown"


def test_a_folder_is_called_a_folder(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        list(record_files.iter_records(tmp_path))
