"""The first steps of a newcomer, each in a process of its own: train, score, extract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_train_by_a_bundled_recipe_then_evaluate_and_extract(tmp_path):
    def docre(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "modeling_docre", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    docre("train", "jerex_sample", "--max_steps", "2", "--tune", "false", "--output_dir", "model")
    table = docre("evaluate", "model", "--corpus", "sample", "--json", "scores.json")
    trained = json.loads((tmp_path / "model" / "validation" / "scores.json").read_text(encoding="utf-8"))
    scored = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    same = [name for name in trained if name.endswith(("_f1", "_recall", "_precision"))]
    assert same and {name: scored[name] for name in same} == {name: trained[name] for name in same}
    assert f"{100 * trained['relation_f1']:10.2f}" in table
    text = REPOSITORY / "recipes" / "unseen_text.txt"
    assert json.loads(docre("extract", "--model", "model", "--file", text, "--format", "json"))["sentences"]
