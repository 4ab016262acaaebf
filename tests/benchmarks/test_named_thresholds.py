"""A model's scores at its own threshold and at the named ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from samples import build
from tiny import save_tiny

from benchmarks.named_thresholds import interval, main
from metrics.docre_f1.scores import compute_scores


def test_each_threshold_is_a_row_and_the_first_documents_can_be_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_tiny(tmp_path / "model", mention_threshold=0.0, max_span_size=1, named_thresholds=[["balanced", 0.4]])
    entities = [("PER", [(0, 0, 1)]), ("LOC", [(0, 2, 3)])]
    documents = [build(f"d{n}", ["anna in berlin"], entities, [(0, 1, "born")]) for n in range(3)]
    file = tmp_path / "gold.jsonl"
    file.write_text("\n".join(json.dumps(document.to_dict()) for document in documents), encoding="utf-8")
    main([str(model), "--data", str(file), "--skip", "1"])
    printed = capsys.readouterr().out
    assert "on 2 documents." in printed
    rows = re.findall(r"^\| (its own|balanced) \| ([\d.]+) \|", printed, re.MULTILINE)
    assert [name for name, _ in rows] == ["its own", "balanced"] and rows[1][1] == "0.400"
    with pytest.raises(SystemExit):
        main([str(model), "--data", str(file), "--skip", "3"])


def test_documents_alike_leave_no_interval() -> None:
    gold = [build(f"d{n}", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "born")]) for n in range(4)]
    rows = list(compute_scores(gold, gold, per_document=True)["per_document"].values())
    assert interval(rows, "relation_f1") == (1.0, 1.0)
    wrong = [build(f"d{n}", ["a b"], [("PER", [(0, 0, 1)])]) for n in range(4)]
    mixed = [*rows[:2], *list(compute_scores(wrong, gold, per_document=True)["per_document"].values())[2:]]
    low, high = interval(mixed, "relation_f1")
    assert 0 <= low < 2 / 3 < high <= 1
