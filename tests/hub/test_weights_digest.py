"""What tells the weights of a model from later ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from modeling_docre.hub.loading import weights_digest


def test_a_digest_tells_weights_and_commits_from_others(tmp_path: Path) -> None:
    commits = ["a" * 40, "b" * 40]
    folders = [tmp_path / "model", *(tmp_path / "models--org--name" / "snapshots" / commit for commit in commits)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}", encoding="utf-8")
    assert [weights_digest(str(folder)) for folder in folders[1:]] == [commit[:16] for commit in commits]
    seen = [weights_digest(str(folders[0]))]
    (folders[0] / "onnx").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "vocab.txt"):
        (folders[0] / name).write_text(f"a new {name}", encoding="utf-8")
        seen.append(weights_digest(str(folders[0])))
    for name in ("README.md", "onnx/encoder.onnx"):  # a card changes nothing, an exported encoder nothing in torch
        (folders[0] / name).write_text("new", encoding="utf-8")
        assert weights_digest(str(folders[0])) == weights_digest(str(folders[0]), "torch") == seen[-1]
    seen.append(weights_digest(str(folders[0]), "onnx"))
    assert len(set(seen)) == len(seen) == 6
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        weights_digest(str(tmp_path))
