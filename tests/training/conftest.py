"""What many runs of training need: a tiny encoder and two files of documents."""

from __future__ import annotations

import pytest
from tiny import tiny_encoder, tiny_tokenizer
from training import FIVE, write_jsonl

from modeling_docre import write_docred


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    tiny_encoder().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags of a training and a validation file; the one in DocRED's JSON, the other as Document dicts."""
    folder = tmp_path_factory.mktemp("files")
    write_docred(FIVE, folder / "train.json")
    validation = write_jsonl(folder / "validation.jsonl", FIVE[:3])
    return ["--train_file", str(folder / "train.json"), "--validation_file", validation]
