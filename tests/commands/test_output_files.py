"""Text files: their encoding, and that they are replaced as a whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from modeling_docre.annotations.sources import read_text
from modeling_docre.commands.files import check_output, write_output


def test_a_file_is_written_into_new_folders(tmp_path):
    file = tmp_path / "new" / "folder" / "file.txt"
    write_output(file, "Łódź")
    write_output(file, "Kraków")
    assert file.read_bytes() == "Kraków\n".encode()
    assert list(file.parent.iterdir()) == [file]


def test_after_an_error_the_former_file_is_untouched(tmp_path, monkeypatch):
    file = tmp_path / "graph.json"
    write_output(file, "former")

    def fill_the_disk(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_output(file, "new")
    assert caught.value.filename == str(file)
    assert file.read_text(encoding="utf-8") == "former\n" and list(tmp_path.iterdir()) == [file]


def test_links_and_devices_stay_what_they_are(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(file)
    write_output(link, "x")
    assert link.is_symlink() and file.read_text(encoding="utf-8") == "x\n"
    write_output(os.devnull, "x")
    assert not os.path.isfile(os.devnull)
    with pytest.raises(IsADirectoryError) as caught:
        write_output(tmp_path, "x")
    assert caught.value.filename == str(tmp_path)


def test_what_cannot_be_written_is_known_before(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    check_output(tmp_path / "new" / "graph.json")
    check_output(tmp_path / "file")
    check_output(os.devnull)
    for name, message in (("", "Is a directory"), ("file/x.json", "Not a directory"), ("file/x/y.json", "Not a")):
        with pytest.raises(OSError, match=message) as caught:
            check_output(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)


def test_texts_are_read_as_utf8_or_not_at_all(tmp_path):
    file = tmp_path / "text.txt"
    file.write_bytes(b"\xef\xbb\xbfZo\xc3\xab")
    assert read_text(file) == "Zoë"
    file.write_bytes(b"Zo\xeb")
    with pytest.raises(ValueError, match=r"text.txt is not in UTF-8 .*save it in that encoding"):
        read_text(file)
