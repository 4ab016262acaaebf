"""The configuration of memory-enhanced JEREX: the paper's defaults, what is read, the file, and what is refused."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config
from transformers import AutoConfig

from modeling_docre import JerexConfig, MemoryJerexConfig, MemoryJerexModel
from modeling_docre.training.arguments import DocRETrainingArguments

OWN = {item.name for item in fields(MemoryJerexConfig)} - {item.name for item in fields(JerexConfig)}


def test_defaults_are_those_of_the_paper_and_its_release():
    config = MemoryJerexConfig()
    assert (config.memory_read, config.read_levels, config.mention_read) == (True, "tokens+mentions", "candidates")
    assert (config.entity_memory, config.relation_memory, config.read_grad) == (True, True, True)
    assert (config.similarity, config.cosine_scale, config.slot_size) == ("bilinear", 30.0, None)
    assert config.read_similarity == "bilinear"
    assert config.memory_reading is True  # what is not in training reads
    assert config.model_type == "docre-memory-jerex"


def test_all_other_defaults_are_those_of_jerex():
    """But for the least score of a relation, which is that of multi-instance classification for both classifiers."""
    plain, memory = JerexConfig().to_dict(), MemoryJerexConfig().to_dict()
    assert memory.keys() - plain.keys() == OWN
    assert {name for name in plain if plain[name] != memory[name]} == {"model_type"}
    for head in ("multi_instance", "global"):
        assert MemoryJerexConfig(relation_head=head).relation_threshold == 0.6
        assert MemoryJerexConfig(relation_head=head, relation_threshold=0.0).relation_threshold == 0.0


def test_training_defaults_are_those_of_the_release():
    arguments = DocRETrainingArguments("unused", use_cpu=True, **MemoryJerexModel.training_defaults)
    assert (arguments.per_device_train_batch_size, arguments.adam_bias_correction) == (2, False)
    assert (arguments.learning_rate, arguments.weight_decay, arguments.max_grad_norm) == (5e-5, 0.01, 1.0)
    assert (arguments.num_train_epochs, arguments.warmup_steps, arguments.lr_scheduler_type) == (20, 0.1, "linear")
    assert arguments.memory_warmup_ratio == 0.4
    assert arguments.negatives_mention == arguments.negatives_coreference == arguments.negatives_relation == 200
    assert DocRETrainingArguments("unused", use_cpu=True).adam_bias_correction  # of the other systems


def test_what_shared_files_read_is_that_of_a_joint_model():
    config = MemoryJerexConfig()
    assert config.traits.stages == ("mention", "coreference", "entity", "relation")
    assert (config.traits.given, config.traits.entities_given, config.traits.reads_entity_types) == (None, False, True)


BOTH = ("tokens", "mentions")
READ: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, BOTH),
    ({"read_levels": "tokens"}, ("tokens",)),
    ({"read_levels": "mentions"}, ("mentions",)),
    ({"read_levels": "none"}, ()),
    ({"memory_read": False}, ()),
    ({"mention_read": "kept_only"}, BOTH),
    ({"mention_read": "off"}, ("tokens",)),
    ({"mention_read": "off", "read_levels": "tokens"}, ("tokens",)),
    ({"mention_read": "off", "read_levels": "mentions"}, ()),
    ({"mention_read": "kept_only", "read_levels": "tokens"}, ("tokens",)),
    ({"entity_memory": False}, BOTH),
    ({"relation_memory": False}, BOTH),
    ({"entity_memory": False, "relation_memory": False}, ()),
    ({"memory_reading": False}, BOTH),  # not now, but later
    ({"read_grad": False}, BOTH),
]


@pytest.mark.parametrize(("options", "levels"), READ, ids=str)
def test_levels_at_which_there_is_something_to_read(options, levels):
    assert MemoryJerexConfig(**options).traits.memory_levels == levels


OTHERS: dict[str, Any] = {
    "memory_read": False,
    "read_levels": "mentions",
    "mention_read": "kept_only",
    "entity_memory": False,
    "relation_memory": False,
    "read_grad": False,
    "memory_reading": False,
    "similarity": "cosine",
    "cosine_scale": 12,
    "read_similarity": "cosine",
    "slot_size": 64,
}


def test_the_configuration_survives_the_file(tmp_path):
    assert OTHERS.keys() == OWN
    config = MemoryJerexConfig(
        encoder_config=tiny_encoder_config(),
        window_overlap=16,
        entity_types=["b", "a"],
        relation_types=["P9", "P10", "P1"],
        relation_head="global",
        **OTHERS,
    )
    config.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is MemoryJerexConfig
    loaded = MemoryJerexConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert (loaded.entity_types, loaded.relation_types) == (["b", "a"], ["P9", "P10", "P1"])
    assert {name: getattr(loaded, name) for name in OTHERS} == OTHERS
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["memory_reading"] is False and content["model_type"] == "docre-memory-jerex"
    assert not {"memory_warmup_ratio", "adam_bias_correction"} & content.keys()
    (tmp_path / "config.json").write_text(json.dumps(content | {"memory_warmup_ratio": 0.4}))
    with pytest.raises(ValueError, match="MemoryJerexConfig has no option 'memory_warmup_ratio'"):
        MemoryJerexConfig.from_pretrained(tmp_path)


def test_a_configuration_without_arguments_survives_the_file(tmp_path):
    MemoryJerexConfig().save_pretrained(tmp_path)
    loaded = MemoryJerexConfig.from_pretrained(tmp_path).to_dict()
    assert loaded.pop("auto_map") == {"AutoConfig": "configuration_memory_jerex.MemoryJerexConfig"}
    assert loaded == MemoryJerexConfig().to_dict()


TASKS = ("pipeline", "mention", "coreference", "entity", "relation")
WRONG: list[tuple[dict[str, Any], str]] = [
    *[({"slot_size": value}, f"slot_size is {value}; give a whole number from 1 on, or None") for value in (0, -5)],
    *[
        ({"cosine_scale": value}, f"cosine_scale is {value}; give a number above 0")
        for value in (0, -1.0, float("nan"))
    ],
    ({"cosine_scale": float("inf")}, "cosine_scale is inf; give"),
    *[({"task": task}, f'task is "{task}"; the memories join .* give "joint", or use JEREX') for task in TASKS],
    ({"relation_threshold": 1.5}, "relation_threshold is 1.5; give a number from 0 to 1"),
    ({"relation_threshold": float("nan")}, "relation_threshold is nan; give a number from 0 to 1"),
    ({"dropout": 2}, "dropout is 2; give a number from 0 to 1"),
    ({"window_overlap": 512}, "window_overlap is 512"),
    ({"relation_types": ["a", "b", "a"]}, "relation_types has the duplicate label 'a'"),
    ({"memory_warmup_ratio": 0.4}, "MemoryJerexConfig has no option 'memory_warmup_ratio'.*memory_read"),
    ({"use_entity_memory": True}, "MemoryJerexConfig has no option 'use_entity_memory'.*entity_memory"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_wrong_options_are_one_clear_error(options, message):
    with pytest.raises(Exception, match=message) as caught:
        MemoryJerexConfig(**options)
    assert len(str(caught.value).splitlines()) <= 2  # the check that found it, and what it found


@pytest.mark.parametrize("options", [{"slot_size": 0}, {"cosine_scale": -1}, {"task": "relation"}], ids=str)
def test_options_that_replace_those_of_a_file_are_checked(options, tmp_path):
    MemoryJerexConfig(entity_types=ENTITY_TYPES, relation_types=RELATION_TYPES).save_pretrained(tmp_path)
    with pytest.raises(Exception, match=next(iter(options))):
        MemoryJerexConfig.from_pretrained(tmp_path, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory_read", "yes"),
        ("read_levels", "mentions+tokens"),
        ("read_levels", None),
        ("mention_read", "kept"),
        ("mention_read", False),
        ("entity_memory", 1),
        ("relation_memory", None),
        ("read_grad", "true"),
        ("memory_reading", 0),
        ("similarity", "dot"),
        ("read_similarity", "norm"),
        ("cosine_scale", "30"),
        ("cosine_scale", None),
        ("slot_size", 2.5),
        ("slot_size", "768"),
    ],
)
def test_values_of_the_wrong_type_are_refused(name, value):
    with pytest.raises(Exception, match=name):
        MemoryJerexConfig(**{name: value})
    config = MemoryJerexConfig()
    with pytest.raises(Exception, match=name):
        setattr(config, name, value)
