"""Where DWIE's files may lie, and files that cannot be read."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from datasets.exceptions import DatasetGenerationError
from news_articles import CORPUS, CUP, MERKEL, RAIN, article, dwie_splits, ids_of, mention, write_articles

from dataset_scripts.dwie import Dwie
from modeling_docre.documents import DocumentError


def _in_zip(folder: Path, archive: Path, inside: str) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w") as opened:
        for path in sorted(folder.glob("*.json"), reverse=True):
            opened.write(path, f"{inside}{path.name}")
            opened.writestr(f"__MACOSX/{inside}._{path.name}", b"\x00\x05")
    return archive


def _folder_itself(folder: Path, place: Path) -> Path:
    return folder


def _below(folder: Path, place: Path) -> Path:
    (place / "annos_with_content").mkdir(parents=True)
    for path in folder.iterdir():
        (place / "annos_with_content" / path.name).write_bytes(path.read_bytes())
    return place


def _repository(folder: Path, place: Path) -> Path:
    _below(folder, place / "data")
    (place / "package.json").write_text("{}")
    return place


def _zip_in_folder(folder: Path, place: Path) -> Path:
    return _in_zip(folder, place / "annos_with_content.zip", "").parent


def _zip_itself(folder: Path, place: Path) -> Path:
    return _in_zip(folder, place / "mine.zip", "dwie/")


def _zip_of_the_repository(folder: Path, place: Path) -> Path:
    archive = _in_zip(folder, place / "DWIE-master.zip", "DWIE-master/data/annos_with_content/")
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("DWIE-master/data/annos/DW_1.json", "{}")
        opened.writestr("DWIE-master/README.md", "DWIE")
    return archive


def test_places(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for number, place in enumerate(
        [_folder_itself, _below, _repository, _zip_in_folder, _zip_itself, _zip_of_the_repository]
    ):
        with subtests.test(place=place):
            case_path = tmp_path / str(number)
            case_path.mkdir()
            folder = write_articles(case_path / "files", CORPUS)
            (folder / "._DW_1.json").write_bytes(b"\x00\x05")
            expected = dwie_splits(case_path / "a", folder, validation_size=1)
            found = dwie_splits(case_path / "b", place(folder, case_path / "place"), validation_size=1)
            assert found == expected and sum(map(len, found.values())) == 3


def test_without_files_the_error_says_what_to_fetch(tmp_path: Path) -> None:
    (tmp_path / "data" / "annos").mkdir(parents=True)
    (tmp_path / "rel_info.json").write_text("{}")
    for data_dir in (None, tmp_path, tmp_path / "data", tmp_path / "gone"):
        with pytest.raises(FileNotFoundError) as caught:
            Dwie(str(tmp_path / "cache"), data_dir=data_dir).download_and_prepare()
        parts = ["dwie: ", "github.com/klimzaporojets/DWIE", "dwie_download.py", "data/annos_with_content", "data_dir"]
        parts += [] if data_dir is None else [str(data_dir)]
        assert all(part in str(caught.value) for part in parts), caught.value


def test_files_without_text_are_refused(tmp_path: Path) -> None:
    bare = [{key: value for key, value in record.items() if key != "content"} for record in CORPUS]
    with pytest.raises(DocumentError, match=r"document 'DW_1': content is None; fetch the text with .*dwie_download"):
        Dwie(str(tmp_path), data_dir=write_articles(tmp_path / "annos", bare)).download_and_prepare()


def test_two_files_with_one_id_are_refused(tmp_path: Path) -> None:
    folder = write_articles(tmp_path / "dwie", CORPUS)
    (folder / "copy.json").write_text(json.dumps(RAIN))
    with pytest.raises(DocumentError, match=r"id is 'DW_2'; (copy|DW_2)\.json has it, too; remove one of the two"):
        Dwie(str(tmp_path / "cache"), data_dir=folder).download_and_prepare()


def test_a_broken_document_is_named(tmp_path: Path) -> None:
    # Only cutting words and sentences shows that a mention holds no word.
    odd = RAIN | {"mentions": [*RAIN["mentions"], mention(2, " ", 0)]}
    folder = write_articles(tmp_path / "dwie", [MERKEL, odd, CUP])
    with pytest.raises(DatasetGenerationError) as caught:
        Dwie(str(tmp_path / "cache"), data_dir=folder, validation_size=1).download_and_prepare()
    assert isinstance(caught.value.__cause__, DocumentError)
    assert "document 'DW_2'" in str(caught.value.__cause__) and "holds no word" in str(caught.value.__cause__)


def test_a_broken_zip_is_named(tmp_path: Path) -> None:
    archive = _in_zip(write_articles(tmp_path / "files", CORPUS), tmp_path / "annos_with_content.zip", "")
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"annos_with_content\.zip cannot be read to its end .* again"):
        Dwie(str(tmp_path / "cache"), data_dir=archive).download_and_prepare()


@pytest.mark.parametrize("zipped", [False, True])
def test_a_changed_file_is_read_again(zipped: bool, tmp_path: Path) -> None:
    folder = write_articles(tmp_path / "dwie", CORPUS)
    for split in ("train", "test"):
        write_articles(folder, [RAIN | {"tags": [split]}, article("DW_8", "[0:Ann] left.", [""])])
        place = _in_zip(folder, tmp_path / "all.zip", "") if zipped else folder
        found = ids_of(dwie_splits(tmp_path, place, validation_size=1))
        assert ("DW_2" in found["test"]) == (split == "test")
