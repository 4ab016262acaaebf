"""The configuration of KMGRE: the paper's defaults, the growing threshold, the file, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tiny import RELATION_TYPES, tiny_encoder_config
from transformers import AutoConfig

from modeling_docre import KmgreConfig
from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.configuration_docre import RelationCut
from modeling_docre.configuration_given_entities import GivenEntitiesConfig
from modeling_docre.modeling_kmgre import KmgreModel
from modeling_docre.training.arguments import DocRETrainingArguments


def test_defaults_are_those_of_the_paper():
    """For Revisit-DocRED; where the paper names none, those of ATLOP and of the usual reading of its equations."""
    config = KmgreConfig()
    assert (config.xi, config.tau_max, config.tau_base) == (0.15, 0.5, 0.999)
    assert (config.gamma, config.alpha, config.focal_alpha) == (2.0, 0.3, "constant")
    assert (config.key_classifier, config.fusion, config.shared_encoder) == (True, "logsumexp", False)
    assert (config.head_norm, config.estep_pairs) == ("norm_then_mean", "all")
    assert (config.entity_markers, config.long_input, config.window_overlap) == ("star_per_token", "windows", 0)
    assert (config.relation_threshold, config.top_k) == (0.5, 0)
    assert (config.expectation_updates, config.tau) == (0, 0.0)


def test_training_defaults_are_those_of_the_paper():
    defaults = KmgreModel.training_defaults
    arguments = DocRETrainingArguments("unused", use_cpu=True, **defaults)
    assert (arguments.learning_rate, arguments.head_learning_rate) == (5e-5, None)
    assert (arguments.weight_decay, arguments.warmup_steps, arguments.lr_scheduler_type) == (1e-5, 0.06, "linear")
    assert (arguments.per_device_train_batch_size, arguments.max_grad_norm) == (4, 1.0)
    assert (arguments.warmup_epochs, arguments.alternate, arguments.negatives_relation) == (3, "epoch", -1)
    # The relation extractor learns in 30 epochs, the first three of which train both networks.
    assert arguments.num_train_epochs == 3 + 2 * (30 - 3)


def test_what_shared_files_read_is_that_of_given_entities():
    config = KmgreConfig(relation_types=RELATION_TYPES)
    assert isinstance(config, GivenEntitiesConfig) and issubclass(AtlopConfig, GivenEntitiesConfig)
    traits = config.traits
    assert (traits.stages, traits.given, traits.entities_given) == (("relation",), "entities", True)
    assert not traits.reads_entity_types and traits.special_tokens and not traits.fits_thresholds
    assert traits.mention_attention and traits.entity_markers == config.entity_markers
    assert traits.relation_cut == RelationCut(0.5, strict=True, top_k=0)
    assert KmgreConfig(relation_threshold=0.7, top_k=2).traits.relation_cut == RelationCut(0.7, strict=True, top_k=2)


def test_what_given_entities_share_can_be_made_alone():
    config = GivenEntitiesConfig(entity_markers="none", relation_threshold=0, top_k=3)
    assert (config.entity_markers, config.traits.relation_cut) == ("none", RelationCut(0, strict=True, top_k=3))
    assert config.traits.mention_attention and config.window_overlap == 0
    assert config.model_type not in {KmgreConfig.model_type, AtlopConfig.model_type}
    with pytest.raises(Exception, match="has no option 'xi'"):
        GivenEntitiesConfig(xi=0.1)


OTHERS: dict[str, Any] = {
    "key_classifier": True,
    "fusion": "label_assignment",
    "shared_encoder": True,
    "head_norm": "sum_then_norm",
    "xi": 0.1,
    "tau_max": 0.75,
    "tau_base": 0.99,
    "expectation_updates": 321,
    "gamma": 1,
    "alpha": 0.9,
    "focal_alpha": "balanced",
    "estep_pairs": "related",
    "entity_markers": "star_per_mention",
    "relation_threshold": 0.4,
    "top_k": 4,
}


def test_the_configuration_survives_the_file(tmp_path):
    config = KmgreConfig(encoder_config=tiny_encoder_config(), relation_types=["P9", "P10", "P1"], **OTHERS)
    config.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is KmgreConfig
    loaded = KmgreConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict() and loaded.relation_types == ["P9", "P10", "P1"]
    assert {name: getattr(loaded, name) for name in OTHERS} == OTHERS
    assert loaded.tau == config.tau == pytest.approx(0.75 * (1 - 0.99**321))
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["expectation_updates"] == 321 and content["model_type"] == "docre-kmgre"
    assert not {"tau", "warmup_epochs", "alternate"} & content.keys()
    (tmp_path / "config.json").write_text(json.dumps(content | {"warmup_epochs": 3}))
    with pytest.raises(ValueError, match="KmgreConfig has no option 'warmup_epochs'"):
        KmgreConfig.from_pretrained(tmp_path)


def test_a_configuration_without_arguments_survives_the_file(tmp_path):
    KmgreConfig().save_pretrained(tmp_path)
    loaded = KmgreConfig.from_pretrained(tmp_path).to_dict()
    assert loaded.pop("auto_map") == {"AutoConfig": "configuration_kmgre.KmgreConfig"}
    assert loaded == KmgreConfig().to_dict()


WRONG: list[tuple[dict[str, Any], str]] = [
    *[
        ({name: value}, f"{name} is {value}; give a number from 0 to 1")
        for name in ("xi", "tau_max", "tau_base", "alpha")
        for value in (-0.1, 1.1, float("nan"))
    ],
    ({"gamma": -1}, "gamma is -1; give a number from 0 on"),
    ({"gamma": float("nan")}, "gamma is nan; give a number from 0 on"),
    ({"expectation_updates": -1}, "expectation_updates is -1; give a number from 0 on"),
    ({"relation_threshold": 1.5}, "relation_threshold is 1.5; give a number from 0 to 1"),
    ({"relation_threshold": float("nan")}, "relation_threshold is nan; give a number from 0 to 1"),
    ({"top_k": -1}, "top_k is -1; give a whole number from 1 on, or 0"),
    ({"shared_encoder": True, "key_classifier": False}, "shared_encoder is True and key_classifier is False"),
    ({"window_overlap": 512}, "window_overlap is 512"),
    ({"relation_types": ["a", "b", "a"]}, "relation_types has the duplicate label 'a'"),
    ({"tau": 0.5}, "KmgreConfig has no option 'tau'.*tau_max"),
    ({"pair_size": 768}, "KmgreConfig has no option 'pair_size'"),
    ({"warmup_epochs": 3}, "KmgreConfig has no option 'warmup_epochs'"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=str)
def test_wrong_options_are_one_clear_error(options, message):
    with pytest.raises(Exception, match=message) as caught:
        KmgreConfig(**{"relation_types": RELATION_TYPES, **options})
    assert len(str(caught.value).splitlines()) <= 2  # the check that found it, and what it found


@pytest.mark.parametrize("options", [{"xi": 2.0}, {"top_k": -2}, {"shared_encoder": True}], ids=str)
def test_options_that_replace_those_of_a_file_are_checked(options, tmp_path):
    KmgreConfig(relation_types=RELATION_TYPES, key_classifier=False).save_pretrained(tmp_path)
    with pytest.raises(Exception, match=next(iter(options))):
        KmgreConfig.from_pretrained(tmp_path, **options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key_classifier", 1),
        ("fusion", "max"),
        ("shared_encoder", "yes"),
        ("head_norm", "mean"),
        ("xi", "0.15"),
        ("tau_max", None),
        ("expectation_updates", 0.5),
        ("expectation_updates", "3"),
        ("gamma", "2"),
        ("focal_alpha", "usual"),
        ("estep_pairs", "some"),
        ("entity_markers", "star"),
        ("top_k", 2.5),
    ],
)
def test_values_of_the_wrong_type_are_refused(name, value):
    with pytest.raises(Exception, match=name):
        KmgreConfig(**{name: value})
    config = KmgreConfig()
    with pytest.raises(Exception, match=name):
        setattr(config, name, value)


def test_the_threshold_follows_the_count():
    """Training counts in the configuration; nothing else has to be told."""
    config, caps = KmgreConfig(), []
    for updates in (0, 1, 2, 1000, 10_000):
        config.expectation_updates = updates
        caps.append(config.tau)
    assert caps[0] == 0 and caps[1:3] == pytest.approx([0.0005, 0.0009995])
    assert caps == sorted(set(caps)) and caps[-1] < 0.5
