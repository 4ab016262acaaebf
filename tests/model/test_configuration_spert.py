"""The configuration of SpERT: the paper's defaults, the file, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import RELATION_TYPES, tiny_encoder_config
from transformers import AutoConfig

from modeling_docre import SpertConfig
from modeling_docre.configuration_docre import RelationCut
from modeling_docre.modeling_spert import SpertModel
from modeling_docre.training.arguments import DocRETrainingArguments


def test_defaults_are_those_of_the_paper():
    config = SpertConfig()
    assert (config.context, config.span_pooling, config.pool_mask) == ("localized", "max", "minus_inf")
    assert (config.relation_negatives, config.pretraining) == ("strong", "full")
    assert (config.relation_threshold, config.max_span_size, config.dropout) == (0.4, 10, 0.1)
    assert (config.meta_size, config.size_rows) == (25, 100)


def test_training_defaults_are_those_of_the_paper():
    arguments = DocRETrainingArguments("unused", use_cpu=True, **SpertModel.training_defaults)
    assert (arguments.negatives_mention, arguments.negatives_relation) == (100, 100)
    assert (arguments.per_device_train_batch_size, arguments.num_train_epochs, arguments.learning_rate) == (2, 20, 5e-5)
    assert (arguments.weight_decay, arguments.warmup_steps, arguments.lr_scheduler_type) == (0.01, 0.1, "linear")
    assert (arguments.max_grad_norm, arguments.adam_bias_correction) == (1.0, False)
    assert not arguments.exclude_reverse_symmetric_negatives
    assert not arguments.load_best_model_at_end, "the last epoch's model is the paper's"


def test_what_shared_files_read():
    traits = SpertConfig(relation_types=RELATION_TYPES).traits
    assert (traits.stages, traits.given, traits.entities_given) == (("span", "relation"), None, False)
    assert traits.reads_sentences and traits.special_tokens and not traits.reads_entity_types
    assert (traits.entity_markers, traits.mention_attention, traits.fits_thresholds) == ("none", False, False)
    assert SpertConfig(relation_threshold=0.7).traits.relation_cut == RelationCut(0.7)


def test_the_file_keeps_every_option(tmp_path: Path):
    options = {
        "context": "cls",
        "span_pooling": "mean",
        "pool_mask": "zero",
        "relation_negatives": "weak",
        "relation_threshold": 0.3,
        "max_span_size": 4,
        "meta_size": 5,
        "size_rows": 6,
        "dropout": 0.2,
        "pretraining": "all_random",
        "symmetric_relations": ["works"],
    }
    SpertConfig(
        encoder_config=tiny_encoder_config(), window_overlap=16, relation_types=RELATION_TYPES, **options
    ).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "docre-spert"
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(loaded, SpertConfig)
    assert {name: getattr(loaded, name) for name in options} == options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": "none"}, "context"),
        ({"span_pooling": "min"}, "span_pooling"),
        ({"pool_mask": 0}, "pool_mask"),
        ({"relation_negatives": "all"}, "relation_negatives"),
        ({"pretraining": "none"}, "pretraining"),
        ({"max_span_size": 0}, "max_span_size is 0; give a whole number from 1 on"),
        ({"meta_size": 0}, "meta_size is 0"),
        ({"size_rows": -1}, "size_rows is -1"),
        ({"relation_threshold": 1.5}, "relation_threshold is 1.5; give a number from 0 to 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"mention_threshold": 0.5}, "no option 'mention_threshold'"),
        ({"symmetric_relations": ["x"], "relation_types": ["y"]}, "symmetric_relations names 'x'"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str):
    with pytest.raises(Exception, match=message):
        SpertConfig(**options)
