"""Pipelines over tiny models whose scores are spread out, texts with entities to ask about, and fresh processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tiny import tiny_atlop, tiny_jerex, tiny_tokenizer
from transformers import pipeline

from modeling_docre import DocRelationExtractionPipeline

TEXTS = [
    "Anna Berg was born in Berlin. She works at the Institute.",
    "Tom met Anna.",
    "Berlin is the seat of the Institute. Tom and Anna work there. Anna was born in Berlin in 1980, Tom was not.",
    "",
    "The Institute is old.",
]
ENTITIES = [
    {"type": "PER", "mentions": [{"char_start": 0, "char_end": 9}, {"char_start": 30, "char_end": 33}]},
    {"type": "LOC", "mentions": [{"char_start": 22, "char_end": 28}]},
    {"type": "ORG", "mentions": [{"char_start": 47, "char_end": 56}]},
]
PAIRS = 6  # ordered pairs of three entities


def decisive_jerex(**options: Any) -> Any:
    """A random model whose scores are spread out, so that it finds some mentions and not all."""
    model = tiny_jerex(**{"seed": 2, **options})
    heads = (model.mention_classifier, model.coreference_scorer, model.entity_classifier, model.relation_classifier)
    return _spread(model, 20, *filter(None, heads))


def decisive_atlop(**options: Any) -> Any:
    """A random model whose scores are spread out, so that some relations hold and others do not."""
    model = tiny_atlop(**{"seed": 2, **options})
    return _spread(model, 60, model.bilinear)


def _spread(model: Any, factor: float, *heads: torch.nn.Module) -> Any:
    with torch.no_grad():
        for module in (module for head in heads for module in head.modules()):
            if isinstance(module, torch.nn.Linear):
                module.weight.mul_(factor)
    return model


def build(model: Any, **options: Any) -> DocRelationExtractionPipeline:
    return pipeline("doc-relation-extraction", model=model, tokenizer=tiny_tokenizer(), device="cpu", **options)


def finding(model: Any) -> Any:
    """A model that takes every span for a mention, if it looks for mentions."""
    if hasattr(model.config, "mention_threshold"):
        model.config.mention_threshold = 0.0
    return model


def close(first: Any, second: Any) -> bool:
    """Whether two results agree up to rounding."""
    if isinstance(first, float) and isinstance(second, float):
        return abs(first - second) < 1e-5
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(close(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(close, first, second))
    return first == second


def spans(result: dict[str, Any]) -> list[list[str]]:
    return [[mention["name"] for mention in entity["mentions"]] for entity in result["entities"]]


WITHOUT_PACKAGE = """
import json, sys
sys.modules["modeling_docre"] = None  # importing the package fails from here on
from transformers import AutoModel, pipeline
folder, calls = sys.argv[1], json.loads(sys.argv[2])
configs, pipes, results, copies = {}, {}, {}, {}
for name in calls:
    config = AutoModel.from_pretrained(f"{folder}/{name}/best", trust_remote_code=True).config
    configs[name] = [config.model_type, getattr(config, "relation_head", None)]
for name, task in zip(calls, ("doc-relation-extraction", None)):
    pipes[name] = pipeline(task, model=f"{folder}/{name}/best", trust_remote_code=True, device="cpu")
for name, (text, entities) in calls.items():
    results[name] = pipes[name](text, entities=entities)
    pipes[name].save_pretrained(f"{folder}/{name}/copy")
    copy = pipeline("doc-relation-extraction", model=f"{folder}/{name}/copy", trust_remote_code=True, device="cpu")
    copies[name] = copy([text], entities=entities and [entities], batch_size=2)[0]
loaded = sorted(name for name, module in sys.modules.items() if module and name.startswith("modeling_docre"))
print(json.dumps({"configs": configs, "results": results, "copies": copies, "loaded": loaded}))
"""


def run_without_package(folder: Path, calls: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    """Load models where the package cannot be imported, in one process, and ask each about a text.

    Args:
        folder: holds a saved pipeline in `<name>/best` for each name.
        calls: text and entities by name.

    Returns:
        By name the model type and the relation head (`configs`), the answer (`results`) and that of a pipeline that
        was saved and loaded again (`copies`); the package's modules that were imported after all (`loaded`).
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"HF_HOME": str(folder / "hf"), "HF_MODULES_CACHE": str(folder / "modules"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-c", WITHOUT_PACKAGE, str(folder), json.dumps(calls)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
