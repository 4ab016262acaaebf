"""Recipes of memory-enhanced JEREX: what the release sets per corpus, pre-training with fine-tuning, two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from samples import ANNA, OTTO

from modeling_docre import MemoryJerexConfig, MemoryJerexModel, write_docred
from modeling_docre.training import run

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = {  # encoder, corpus, its config, training split, epochs, warm-up; size table, its width, positions
    "docred_joint": ("bert-base-cased", "docred_joint", None, "train", 20, 0.4, 30, 25, 700),
    "re_docred": ("bert-base-cased", "re_docred", None, "train", 20, 0.4, 30, 25, 700),
    "cdr": ("allenai/scibert_scivocab_cased", "cdr", "joint", "train", 20, 0.5, 60, 75, 1000),
    "docred_distant": ("bert-base-cased", "docred", None, "train_distant", 1, 1.0, 35, 45, 750),
}
LARGER = {"long_input", "extended_positions", "size_rows", "meta_size"}


def _recipe(name: str) -> str:
    return str(REPOSITORY / "recipes" / f"memory_jerex_{name}.yaml")


def test_recipes_hold_what_the_release_sets_per_corpus() -> None:
    for name in RECIPES:
        model, data, training, options = run.parse_arguments([_recipe(name), "--use_cpu"])
        config = MemoryJerexConfig(entity_types=["a"], relation_types=["b"], **options)
        said = (model.encoder, data.corpus, data.corpus_config, data.train_split)
        said = (*said, training.num_train_epochs, training.memory_warmup_ratio)
        assert (*said, config.size_rows, config.meta_size, config.extended_positions) == RECIPES[name]
        assert config.long_input == "extend" and options.keys() <= LARGER, "all else is a default"
        assert (training.learning_rate, training.per_device_train_batch_size) == (5e-5, 2)
        assert (training.weight_decay, training.warmup_steps, training.max_grad_norm) == (0.01, 0.1, 1.0)
        assert not training.adam_bias_correction and training.load_best_model_at_end
        assert training.metric_for_best_model == "eval_relation_f1"


def test_fine_tuning_follows_pre_training(tmp_path: Path, encoder: str) -> None:
    """The two commands of the recipes' page, on a small corpus."""
    small = ["--corpus", "sample", "--train_split", "train", "--validation_split", "none", "--eval_strategy", "no"]
    small += ["--load_best_model_at_end", "false", "--max_train_documents", "4", "--save_strategy", "no", "--use_cpu"]
    first, second = tmp_path / "first", tmp_path / "second"
    run.main([_recipe("docred_distant"), *small, "--encoder", encoder, "--output_dir", str(first)])
    config = MemoryJerexModel.from_pretrained(first).config
    widths = {"meta_size": 45, "size_rows": 35, "extended_positions": 750, "long_input": "extend"}
    assert {name: getattr(config, name) for name in widths} == widths and not config.memory_reading
    joint = [_recipe("docred_joint"), *small, "--test_split", "validation[:2]", "--num_train_epochs", "2"]
    run.main([*joint, "--init_from", str(first), "--output_dir", str(second)])
    config = MemoryJerexModel.from_pretrained(second).config
    assert {name: getattr(config, name) for name in widths} == widths and config.memory_reading


@pytest.mark.slow
def test_two_processes_train_a_model_that_does_not_read_yet(tmp_path: Path, encoder: str) -> None:
    """Readers have no gradient then, and with gradient checkpointing each process has to expect that, too."""
    write_docred([ANNA, OTTO, replace(ANNA, id="c"), replace(OTTO, id="d")], tmp_path / "train.json")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", "train.py"]
    command += ["--system", "memory_jerex", "--encoder", encoder, "--train_file", str(tmp_path / "train.json")]
    command += ["--output_dir", str(tmp_path / "out"), "--use_cpu", "--gradient_checkpointing", "true"]
    command += ["--per_device_train_batch_size", "1", "--num_train_epochs", "2", "--memory_warmup_ratio", "0.5"]
    command += ["--eval_strategy", "no", "--load_best_model_at_end", "false", "--window_overlap", "16"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert json.loads((tmp_path / "out" / "config.json").read_text())["memory_reading"]
