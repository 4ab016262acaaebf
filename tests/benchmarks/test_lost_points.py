"""The table of lost points: one more stage is gold in each row, and the later ones stay the model's own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pipelines import build, decisive_jerex
from samples import ANNA, OTTO
from tiny import tiny_atlop, tiny_joint, tiny_spert, tiny_tokenizer
from training import write_jsonl

from benchmarks import lost_points
from benchmarks.lost_points import SUBSTITUTIONS, divided, division_table, substituted_scores, table
from modeling_docre import Predictor

DOCUMENTS = [ANNA, OTTO]


def test_one_stage_more_is_gold_in_each_row_and_the_later_ones_are_predicted():
    for model in (decisive_jerex(relation_threshold=0.3), tiny_joint(relation_threshold=0.3)):
        predictor = Predictor(model, tiny_tokenizer())
        rows = dict(substituted_scores(predictor, DOCUMENTS))
        assert list(rows) == list(SUBSTITUTIONS)
        gold = [
            {level for level in ("mention", "cluster", "entity") if row[f"{level}_f1"] == 1} for row in rows.values()
        ]
        assert gold == [set(), {"mention"}, {"mention", "cluster"}, {"mention", "cluster", "entity"}], type(model)


def test_the_command_prints_the_table_and_refuses_other_systems(tmp_path, capsys):
    file = write_jsonl(tmp_path / "documents.jsonl", DOCUMENTS)
    build(decisive_jerex(named_thresholds=[["everything", 0.0]])).save_pretrained(tmp_path / "model")
    lost_points.main([str(tmp_path / "model"), "--data", file, "--documents", "1", "--threshold", "everything"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:6]] == [f"| {name}" for name in SUBSTITUTIONS]
    assert lines[6] == "" and lines[7].startswith("| gold | both entities found |") and len(lines) == 10
    last = lines[5].split(" | ")
    assert last[1:4] == ["100.0"] * 3 and float(last[5]) == 100, "every pair has every type"
    person = ANNA.entities[0].type
    kept = decisive_jerex(named_thresholds=[["everything", 0.0]], signatures=[["born", person, person]])
    build(kept).save_pretrained(tmp_path / "signed")
    recalls = []
    for flags in ([], ["--no_signatures"]):
        lost_points.main(
            [str(tmp_path / "signed"), "--data", file, "--documents", "1", "--threshold", "everything", *flags]
        )
        recalls.append(float(capsys.readouterr().out.splitlines()[5].split(" | ")[5]))
    assert recalls[0] < 100 and recalls[1] == 100
    for name, model in (("atlop", tiny_atlop()), ("spert", tiny_spert()), ("types", decisive_jerex(task="entity"))):
        build(model).save_pretrained(tmp_path / name)
        with pytest.raises(SystemExit):
            lost_points.main([str(tmp_path / name), "--data", file])
        assert "does not do all of mentions" in capsys.readouterr().err


def test_gains_are_differences_of_relation_f1():
    names = lost_points.LEVELS
    rows = [(name, dict.fromkeys(names, value)) for name, value in (("nothing", 0.25), ("mentions", 0.375))]
    assert table(rows).splitlines()[2:] == [
        "| nothing | 25.0 | 25.0 | 25.0 | 25.0 | 25.0 | 25.0 |  |",
        "| mentions | 37.5 | 37.5 | 37.5 | 37.5 | 37.5 | 37.5 | +12.5 |",
    ]


def test_relations_are_divided_by_whether_their_entities_are_right():
    (first, second, *_), relations = ANNA.entities, ANNA.relations
    moved = replace(second, type="other")
    entities = (first, moved, *ANNA.entities[2:])
    astray = sum(1 in (relation.head, relation.tail) for relation in relations)
    assert 0 < astray < len(relations)
    false = replace(next(relation for relation in relations if 1 not in (relation.head, relation.tail)), type="false")
    predicted = replace(ANNA, entities=entities, relations=(*relations, false))
    right = len(relations) - astray
    counts = divided([predicted, OTTO], [ANNA, OTTO])
    both = len(OTTO.relations)
    assert counts == (len(relations) + both, right + both, right + both, 1, astray)
    assert division_table(counts).endswith(f"| {100 * counts.right / (counts.right + 1):.1f} / 100.0 |")
