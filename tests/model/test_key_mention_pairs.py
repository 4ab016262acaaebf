"""The report on key mention pairs and evidence sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny import tiny_kmgre, tiny_tokenizer

from benchmarks import key_mention_pairs
from benchmarks.workload import SAMPLE, label_lists, read_documents
from modeling_docre import Predictor

DOCUMENTS = [document for document in read_documents(SAMPLE) if any(item.evidence for item in document.relations)]


def model_for(documents, **options):
    model = tiny_kmgre(**label_lists(documents), expectation_updates=1000, **options)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(3)
    return model


def test_agreement_counts_all_mention_pairs_together():
    gold = [np.array([True, False, False]), np.array([True, True])]
    chosen = [np.array([True, True, False]), np.array([True, False])]
    assert key_mention_pairs.agreement(chosen, gold) == pytest.approx((3 / 5, 2 / 3, 2 / 3))


def test_area_is_the_mean_over_relations_with_both_kinds():
    gold = [np.array([True, False, False]), np.array([True, False]), np.array([True, True])]
    scores = [np.array([0.5, 0.4, 0.5]), np.array([0.1, 0.2]), np.array([0.1, 0.2])]
    assert key_mention_pairs.mean_auc(scores, gold) == pytest.approx((0.75 + 0.0) / 2)
    assert np.isnan(key_mention_pairs.mean_auc(scores[2:], gold[2:]))


def test_each_gold_relation_with_several_mention_pairs_is_counted():
    model = model_for(DOCUMENTS)
    predictor = Predictor(model, tiny_tokenizer())
    several = False
    for document in DOCUMENTS[:8]:
        found = list(key_mention_pairs.choices(model, predictor, document))
        sizes = [len(entity.mentions) for entity in document.entities]
        asked = [item for item in document.relations if item.evidence and sizes[item.head] * sizes[item.tail] > 1]
        assert len(found) == len(asked)
        for choice, relation in zip(found, asked, strict=True):
            ends = [document.entities[relation.head].mentions, document.entities[relation.tail].mentions]
            inside = [
                {head.sentence, tail.sentence} <= set(relation.evidence or ()) for head in ends[0] for tail in ends[1]
            ]
            assert choice.in_evidence.tolist() == inside
            assert (choice.labelled == (choice.relation_scores >= choice.relation_scores.mean() - 1e-6)).all()
            assert choice.selected[choice.key_scores.argmax()]
            several |= not choice.selected.all()
    assert several


def test_selected_are_those_that_decide_at_inference():
    model = model_for(DOCUMENTS, relation_threshold=0.0)
    predictor = Predictor(model, tiny_tokenizer())
    document = next(item for item in DOCUMENTS if list(key_mention_pairs.choices(model, predictor, item)))
    output, _ = predictor.run(predictor.featurizer([document]))
    rows = zip(output.mention_pair_owner.tolist(), output.mention_pair_weight.any(1).tolist(), strict=True)
    by_pair = {pair: [] for pair in map(tuple, output.pairs.tolist())}
    for owner, used in rows:
        by_pair[tuple(output.pairs[owner].tolist())].append(used)
    asked = [item for item in document.relations if item.evidence and len(by_pair[item.head, item.tail]) > 1]
    found = list(key_mention_pairs.choices(model, predictor, document))
    assert [choice.selected.tolist() for choice in found] == [by_pair[item.head, item.tail] for item in asked]


def test_what_cannot_be_examined_is_refused(tmp_path):
    tiny_kmgre(**label_lists(DOCUMENTS), key_classifier=False).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="without a key instance classifier"):
        key_mention_pairs.main([str(tmp_path), "--data", str(SAMPLE)])
    tiny_kmgre(**label_lists(DOCUMENTS)).save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    file = tmp_path / "documents.jsonl"
    file.write_text(json.dumps({"id": "a", "sentences": [["Anna", "slept"]], "entities": [], "relations": []}))
    with pytest.raises(ValueError, match="no relation with evidence"):
        key_mention_pairs.main([str(tmp_path), "--data", str(file)])


def test_the_table_has_three_rows_per_checkpoint(tmp_path, capsys):
    for name in ("a", "b"):
        model_for(DOCUMENTS).save_pretrained(tmp_path / name)
        tiny_tokenizer().save_pretrained(tmp_path / name)
    key_mention_pairs.main([str(tmp_path / "a"), str(tmp_path / "b"), "--data", str(SAMPLE)])
    lines = capsys.readouterr().out.splitlines()[2:]
    assert len(lines) == 8
    for name, head, row in (("a", lines[0], lines[1]), ("b", lines[4], lines[5])):
        assert head.startswith(f"| {name}, ")
        assert [cell.strip() for cell in row.split("|")[2:4]] == ["all", "100.0"]
