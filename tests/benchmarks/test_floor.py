"""What the benchmarks count, against formulas by hand; which batches they compare; where the pipeline's time goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pipelines import TEXTS, build, decisive_jerex
from tiny import tiny_jerex, tiny_tokenizer

from benchmarks import batches, end_to_end, floor
from benchmarks.contenders import Contender, JerexContender
from modeling_docre import Document, Entity, Mention, Predictor

DOCUMENT = Document("short", (("Anna", "met", "Tom", "."),), (Entity("PER", (Mention(0, 0, 1),)),))
LAYERS, WIDTH, INNER = 2, 32, 64


def test_the_encoder_is_counted_with_its_attention():
    predictor = Predictor(tiny_jerex(), tiny_tokenizer())
    contender = Contender("bare", predictor.model.encoders[0], predictor.featurizer)
    prepared = contender.prepare([[DOCUMENT]])
    length = len(prepared[0][0].input_ids)
    layers = 2 * length * (4 * WIDTH**2 + 2 * WIDTH * INNER)
    attention = 2 * 2 * length**2 * WIDTH
    flops, moved = floor.count(contender, "inference", prepared)
    assert flops == LAYERS * (layers + attention)
    assert moved > 4 * sum(weight.numel() for name, weight in contender.module.named_parameters() if "layer" in name)


@pytest.mark.parametrize("task", ["inference", "training"])
def test_the_stages_add_up(task):
    contender = JerexContender("JEREX", model := tiny_jerex(), Predictor(model, tiny_tokenizer()))
    prepared = contender.prepare([[DOCUMENT]])
    stages = floor.stage_counts(contender, task, prepared)
    assert sum(value[0] for value in stages.values()) == floor.count(contender, task, prepared)[0]
    assert stages["mention classifier"][0] > 0


def test_views_move_nothing():
    with floor.Counter() as counter:
        values = torch.zeros(4)
        before = counter.bytes
        values.view(2, 2)
        assert counter.bytes == before
        _ = values + 1
        assert counter.bytes == before + 2 * values.nbytes


def test_batches_keep_to_their_budget_and_hold_each_document_once():
    lengths = [5, 9, 3, 30, 2, 2, 8]
    plans = batches.plans(lengths, [10, 20])
    assert list(plans) == [batches.ONE, "10, sorted", "10, as they come", "20, sorted", "20, as they come"]
    for name, made in plans.items():
        assert sorted(position for batch in made for position in batch) == list(range(len(lengths)))
        budget = 1 if name == batches.ONE else int(name.split(",")[0])
        assert all(len(batch) == 1 or max(lengths[n] for n in batch) * len(batch) <= budget for batch in made)
    assert plans["20, as they come"] == [[0, 1], [2], [3], [4, 5], [6]]


def test_each_step_of_the_pipeline_has_its_time():
    extract = build(decisive_jerex())
    calls = iter(np.arange(100_000, dtype=np.float64))
    seconds = end_to_end.step_seconds(extract, TEXTS[:2], 1, lambda: next(calls))
    assert all(value > 0 for value in seconds.values())
    share = seconds[end_to_end.ENCODER] / sum(seconds.values())
    assert f"{share:.2f} of its speed" in end_to_end.markdown(seconds, 2)
    assert "forward" not in vars(extract.model)
