"""Configurations: the papers' defaults, the round trip through JSON, and what is refused."""

from __future__ import annotations

import json

import pytest
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config
from transformers import AutoConfig, BertConfig, RobertaConfig

from modeling_docre.configuration_docre import DocREConfig, JerexConfig

UNSORTED = ["zebra", "ant", "Mouse", "bee"]


def saved_and_loaded(config: JerexConfig, folder) -> JerexConfig:
    config.save_pretrained(folder)
    return JerexConfig.from_pretrained(folder)


def test_defaults_are_those_of_the_paper_and_its_release():
    config = JerexConfig()
    assert (config.mention_threshold, config.coreference_threshold, config.relation_threshold) == (0.85, 0.85, 0.6)
    assert JerexConfig(relation_head="global").relation_threshold == 0.55
    assert (config.max_span_size, config.meta_size, config.dropout) == (10, 25, 0.1)
    assert (config.size_rows, config.edit_distance_rows) == (30, 300)
    assert (config.word_distance_rows, config.sentence_distance_rows) == (700, 50)
    weights = (config.mention_weight, config.coreference_weight, config.entity_weight, config.relation_weight)
    assert weights == (1.0, 1.0, 0.25, 1.0)
    assert (config.task, config.relation_head, config.pairing) == ("joint", "multi_instance", "all")
    assert (config.coref_symmetrise, config.edit_distance_text, config.long_input) == ("upper", "tokens", "windows")
    assert config.entity_repr and config.localized_context
    assert (config.extended_positions, config.extra_position_std) == (700, 0.02)
    assert config.encoder_config.model_type == "bert"


def test_a_threshold_of_zero_is_a_threshold():
    assert JerexConfig(relation_threshold=0.0).relation_threshold == 0.0


@pytest.mark.parametrize("config_class", [DocREConfig, JerexConfig])
def test_a_configuration_without_arguments_survives_the_file(config_class, tmp_path):
    config_class().save_pretrained(tmp_path)
    loaded = config_class.from_pretrained(tmp_path).to_dict()
    assert loaded.pop("auto_map") == {"AutoConfig": f"configuration_docre.{config_class.__name__}"}
    assert loaded == config_class().to_dict()


def test_the_order_of_labels_survives_the_file(tmp_path):
    labels = {"P9": "nine", "P1": "one"}
    config = JerexConfig(
        encoder_config=tiny_encoder_config(),
        entity_types=UNSORTED,
        relation_types=["P9", "P10", "P1"],
        relation_labels=labels,
        symmetric_relations=["P9", "P1"],
        window_overlap=16,
        mention_threshold=0.5,
    )
    loaded = saved_and_loaded(config, tmp_path)
    assert loaded.entity_types == UNSORTED
    assert loaded.relation_types == ["P9", "P10", "P1"]
    assert loaded.relation_labels == labels
    assert loaded.symmetric_relations == ["P9", "P1"]
    assert loaded.encoder_config.to_dict() == config.encoder_config.to_dict()
    assert isinstance(loaded.encoder_config, BertConfig)
    assert loaded.to_dict() == config.to_dict()


def test_auto_config_finds_the_class(tmp_path):
    import modeling_docre  # noqa: F401

    JerexConfig(entity_types=["b", "a"]).save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is JerexConfig


def test_an_encoder_may_be_given_as_a_dict():
    config = JerexConfig(encoder_config={"model_type": "roberta", "hidden_size": 8, "num_attention_heads": 2})
    assert isinstance(config.encoder_config, RobertaConfig) and config.encoder_config.hidden_size == 8


def test_the_file_names_no_folder_of_this_machine(tmp_path):
    from tiny import tiny_encoder

    from modeling_docre.modeling_jerex import JerexModel

    tiny_encoder().save_pretrained(tmp_path / "encoder")
    model = JerexModel.from_encoder(
        str(tmp_path / "encoder"), entity_types=ENTITY_TYPES, relation_types=RELATION_TYPES, window_overlap=16
    )
    model.save_pretrained(tmp_path / "model")
    assert str(tmp_path) not in (tmp_path / "model" / "config.json").read_text()


def test_an_unknown_option_is_refused_by_name():
    with pytest.raises(ValueError, match=r"JerexConfig has no option 'mention_treshold'.*mention_threshold"):
        JerexConfig(mention_treshold=0.5)


def test_an_unknown_option_in_a_file_is_refused(tmp_path):
    JerexConfig().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"negatives_mention": 10}))
    with pytest.raises(ValueError, match="has no option 'negatives_mention'"):
        JerexConfig.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_span_size", "10"),
        ("max_span_size", 2.5),
        ("dropout", "0.1"),
        ("mention_threshold", "0.85"),
        ("entity_types", "PER"),
        ("relation_types", [1, 2]),
        ("relation_labels", ["P1"]),
        ("entity_repr", "yes"),
        ("task", "joined"),
        ("relation_head", "mrc"),
        ("pairing", None),
        ("long_input", "truncate"),
        ("coref_symmetrise", "min"),
        ("edit_distance_text", "words"),
        ("language", None),
    ],
)
def test_values_of_the_wrong_type_are_refused(name, value):
    with pytest.raises(Exception, match=name):
        JerexConfig(**{name: value})
    config = JerexConfig()
    with pytest.raises(Exception, match=name):
        setattr(config, name, value)


@pytest.mark.parametrize("name", ["mention_threshold", "coreference_threshold", "relation_threshold"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_thresholds_are_probabilities(name, value):
    with pytest.raises(Exception, match=f"{name} is"):
        JerexConfig(**{name: value})


@pytest.mark.parametrize("value", [0, 1])
def test_whole_numbers_pass_where_a_number_is_asked_for(value, tmp_path):
    config = JerexConfig(mention_threshold=value, relation_threshold=value, entity_weight=value)
    assert config.mention_threshold == config.relation_threshold == config.entity_weight == value
    assert saved_and_loaded(config, tmp_path).mention_threshold == value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entity_types": ["PER", "LOC", "PER"]}, "entity_types names 'PER' twice"),
        ({"relation_types": ["a", "b", "a"]}, "relation_types names 'a' twice"),
        ({"relation_types": ["a"], "symmetric_relations": ["b"]}, "symmetric_relations names 'b'"),
        ({"relation_types": ["a"], "relation_labels": {"b": "x"}}, "relation_labels names 'b'"),
    ],
)
def test_labels_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(Exception, match=message):
        JerexConfig(**options)


@pytest.mark.parametrize("as_dict", [True, False])
def test_an_encoder_that_brings_code_of_its_own_is_refused(as_dict):
    code = {"AutoModel": "evil.EvilModel"}
    encoder = {"model_type": "bert", "auto_map": code} if as_dict else BertConfig(auto_map=code)
    with pytest.raises(Exception, match="auto_map"):
        JerexConfig(encoder_config=encoder)


def test_an_encoder_that_brings_code_of_its_own_is_refused_in_a_file(tmp_path):
    JerexConfig().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    content["encoder_config"]["auto_map"] = {"AutoModel": "evil.EvilModel"}
    path.write_text(json.dumps(content))
    with pytest.raises(Exception, match="auto_map"):
        JerexConfig.from_pretrained(tmp_path)


def test_stages_follow_the_task():
    everything = ("mention", "coreference", "entity", "relation")
    assert JerexConfig().stages == JerexConfig(task="pipeline").stages == everything
    for task in everything:
        assert JerexConfig(task=task).stages == (task,)
        assert JerexConfig(task=task).entities_given == (task == "relation")
    needs = {task: JerexConfig(task=task).given for task in ("joint", "pipeline", *everything)}
    assert needs == {
        "joint": None,
        "pipeline": None,
        "mention": None,
        "coreference": "mentions",
        "entity": "clusters",
        "relation": "entities",
    }


def test_label_lists_are_not_shared_between_configurations():
    first, second = JerexConfig(), JerexConfig()
    first.entity_types.append("PER")
    first.relation_labels["a"] = "b"
    assert second.entity_types == [] and second.relation_labels == {}


def test_bounds_of_whole_numbers():
    for name in ("max_span_size", "meta_size", "size_rows", "edit_distance_rows", "word_distance_rows"):
        with pytest.raises(Exception, match=name):
            JerexConfig(**{name: 0})
    with pytest.raises(Exception, match="dropout"):
        JerexConfig(dropout=1.5)
    with pytest.raises(Exception, match="window_overlap"):
        JerexConfig(window_overlap=-1)
    with pytest.raises(Exception, match="window_overlap"):
        JerexConfig(encoder_config=tiny_encoder_config(), window_overlap=64)
