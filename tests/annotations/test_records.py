"""Files of JSON records that are broken below the JSON."""

from __future__ import annotations

import gzip
from pathlib import Path

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
