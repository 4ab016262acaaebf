"""`docre evaluate`: the scores of a trained model."""

from __future__ import annotations

import json

import pytest
from commands import fails, works
from tiny import save_tiny

DOCUMENT = {
    "sentences": [["Ada", "lives", "in", "London", "."]],
    "entities": [
        {"type": kind, "mentions": [{"sentence": 0, "start": start, "end": start + 1}]}
        for kind, start in (("PER", 0), ("LOC", 3))
    ],
    "relations": [{"head": 0, "tail": 1, "type": "born"}],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("model"), mention_threshold=0.0, max_span_size=1))


@pytest.fixture
def files(tmp_path):
    """Three annotated documents in two files."""
    for name, ids in (("a.json", ("1",)), ("b.json", ("2", "3"))):
        rows = [{"id": number, **DOCUMENT} for number in ids]
        (tmp_path / name).write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path / "a.json", tmp_path / "b.json"


def test_the_scores_of_all_files_are_printed_and_written(model, files, capsys, tmp_path):
    options = ["--file", files[0], "--file", files[1], "--json", tmp_path / "scores.json", "--by_word_count"]
    table = works(capsys, "evaluate", model, *options, "--use_cpu")
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert scores["mention_recall"] == 1.0
    assert f"{100 * scores['relation_f1']:10.2f}" in table and "precision" in table


def test_what_goes_wrong_is_one_line(model, files, capsys, tmp_path):
    bare = tmp_path / "bare.json"
    bare.write_text(json.dumps([{"id": "x", "sentences": [["x"]]}]), encoding="utf-8")
    fails(capsys, "name the documents", "evaluate", model, code=2)
    fails(capsys, "--data-dir needs a --corpus", "evaluate", model, "--file", files[0], "--data-dir", "x", code=2)
    fails(capsys, "none does not exist", "evaluate", tmp_path / "none", "--file", files[0])
    fails(capsys, "Is a directory", "evaluate", tmp_path / "none", "--file", files[0], "--json", tmp_path)
    fails(capsys, "absent.json does not exist", "evaluate", model, "--file", tmp_path / "absent.json")
    foreign = tmp_path / "foreign.json"
    foreign.write_text(json.dumps([{"id": "x", **DOCUMENT, "relations": [{"head": 0, "tail": 1, "type": "eats"}]}]))
    message = f"the model {model} knows none of the relation types of the documents, such as 'eats'; it knows "
    fails(capsys, message, "evaluate", model, "--file", foreign, "--use_cpu")
    fails(capsys, "no document has a relation", "evaluate", model, "--file", bare, "--use_cpu")
