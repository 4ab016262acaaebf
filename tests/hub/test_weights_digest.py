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
    for name, content in (("config.json", "{ }"), ("model.safetensors", "w"), ("model.safetensors", "v")):
        (folders[0] / name).write_text(content, encoding="utf-8")
        seen.append(weights_digest(str(folders[0])))
    (folders[0] / "README.md").write_text("a card changes nothing", encoding="utf-8")
    assert len(set(seen)) == len(seen) == 4 and weights_digest(str(folders[0])) == seen[-1]
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        weights_digest(str(tmp_path))
