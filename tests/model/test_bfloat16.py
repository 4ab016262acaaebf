"""All systems in bfloat16: decisions in float32, results close to those of float32, advice about the processor."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from pipelines import ENTITIES, TEXTS, build, finding
from tiny import TINY, tiny_jerex
from transformers import pipeline

from modeling_docre import encoder as module

LOGITS = ("mention_logits", "coreference_logits", "span_logits", "entity_type_logits", "relation_logits")


def load(folder: Path, **options: Any) -> Any:
    return pipeline("doc-relation-extraction", model=str(folder), device="cpu", model_kwargs=options)


@pytest.mark.parametrize("system", TINY)
def test_every_system_runs_in_bfloat16(system: str, tmp_path: Path) -> None:
    build(finding(TINY[system]())).save_pretrained(tmp_path)
    whole, half = load(tmp_path), load(tmp_path, dtype="bfloat16")
    assert whole.model.dtype == torch.float32 and half.model.dtype == torch.bfloat16
    scores = [
        {
            (r["head"], r["tail"], r["type"]): r["score"]
            for r in pipe(TEXTS[0], entities=ENTITIES, threshold=0.0)["relations"]
        }
        for pipe in (whole, half)
    ]
    assert len(scores[0]) >= 12 and scores[1] == pytest.approx(scores[0], abs=0.02)
    predictor = half.predictor
    output, _ = predictor.run(half.preprocess(TEXTS[0], ENTITIES)["features"], "entities")
    found = {name: output[name] for name in LOGITS if output.get(name) is not None}
    assert "relation_logits" in found
    assert half(f"{TEXTS[0]} {TEXTS[2]}", entities=ENTITIES, threshold=0.0)["relations"], "read in windows"
    if not half.model.config.traits.entities_given:
        assert len(half([TEXTS[1], "", TEXTS[4]], batch_size=3)) == 3
        output, _ = predictor.run(half.preprocess(TEXTS[1])["features"])
        made = {f"alone, {name}": output[name] for name in LOGITS if output.get(name) is not None}
        found |= {name: values for name, values in made.items() if values.numel()}
        assert len(found) > 2
    for name, values in found.items():
        assert values.dtype == torch.float32, name
        assert values.isfinite().any() and not values.isnan().any(), name
        assert not torch.equal(values, values.bfloat16().float()), f"{name} is rounded"


@pytest.mark.parametrize(
    ("emulated", "dtype", "level"),
    [
        (True, torch.bfloat16, logging.WARNING),
        (True, torch.float32, None),
        (False, torch.float32, logging.INFO),
        (False, torch.bfloat16, None),
    ],
)
def test_a_pipeline_says_what_the_processor_does_with_bfloat16(
    emulated: bool,
    dtype: torch.dtype,
    level: int | None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: not emulated)
    monkeypatch.setattr(module.logger, "propagate", True)
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    model = tiny_jerex().to(dtype)
    with caplog.at_level(logging.INFO, logger=module.logger.name):
        build(model)
    said = [record for record in caplog.records if "bfloat16" in record.getMessage()]
    assert [record.levelno for record in said] == ([] if level is None else [level])


def test_without_its_library_a_processor_counts_as_one_that_emulates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    for library in (True, False):
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: library)  # noqa: B023
        assert module.emulates_bfloat16() is not library
