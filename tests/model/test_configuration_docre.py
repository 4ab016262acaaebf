"""Configurations: the papers' defaults, the round trip through JSON, and what is refused."""

from __future__ import annotations

import json

import pytest
from huggingface_hub.dataclasses import strict
from samples import build
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_encoder_config, tiny_tokenizer
from transformers import AutoConfig, BertConfig, RobertaConfig

from modeling_docre import SYSTEMS
from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.configuration_docre import DocREConfig, RelationCut, Traits
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.features import Featurizer
from modeling_docre.model_inputs import given_example


@strict
class SeventhConfig(DocREConfig):
    """A system that differs from all others in what it tells the shared files, and in nothing else."""

    model_type = "docre-seventh"

    @property
    def traits(self) -> Traits:
        return Traits(
            stages=("relation",),
            given="entities",
            relation_cut=RelationCut(float(self.relation_temperature), strict=True),
            special_tokens=True,
            reads_sentences=True,
            entity_markers="star_per_mention",
            reads_entity_types=False,
        )


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


def test_every_configuration_without_arguments_survives_the_file(tmp_path):
    for config_class in (DocREConfig, SeventhConfig, *(model.config_class for model in SYSTEMS.values())):
        folder = tmp_path / config_class.__name__
        config_class().save_pretrained(folder)
        loaded = config_class.from_pretrained(folder)
        assert loaded.traits == config_class().traits
        options = loaded.to_dict()
        assert options.pop("auto_map") == {
            "AutoConfig": f"{config_class.__module__.rpartition('.')[2]}.{config_class.__name__}"
        }
        assert options == config_class().to_dict()
        assert not {"traits", *Traits._fields} & options.keys() - {"entity_markers"}  # an option where one may choose


def test_a_seventh_system_tells_the_shared_files_by_its_traits_alone():
    config = SeventhConfig(encoder_config=tiny_encoder_config(), relation_types=RELATION_TYPES, window_overlap=16)
    document = build("d", ["anna works", "in ulm"], [("any type", [(0, 0, 1)]), ("PER", [(1, 1, 2)])], [])
    featurizer = Featurizer(tiny_tokenizer(), config)
    features = featurizer([document])[0]
    assert len(features.text_lengths) == 2 and features.special_lengths == (1, 1)
    assert list(features.input_ids).count(featurizer.marker) == 4
    example = given_example(features, config, featurizer)
    assert example.entity_types is None and example.relations[0].tolist() == [[0, 1], [1, 0]]
    config.relation_temperature = 0.5  # traits follow the options
    assert config.traits.relation_cut == RelationCut(0.5, strict=True)


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
        ({"entity_types": ["PER", "LOC", "PER"]}, "entity_types has the duplicate label 'PER'"),
        ({"relation_types": ["a", "b", "a"]}, "relation_types has the duplicate label 'a'"),
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
    assert JerexConfig().traits.stages == JerexConfig(task="pipeline").traits.stages == everything
    for task in everything:
        assert JerexConfig(task=task).traits.stages == (task,)
        assert JerexConfig(task=task).traits.entities_given == (task == "relation")
    needs = {task: JerexConfig(task=task).traits.given for task in ("joint", "pipeline", *everything)}
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


# --- ATLOP --------------------------------------------------------------------------------------------------------


def test_defaults_of_atlop_are_those_of_the_paper():
    """ATLOP section 6.1 and its release for DocRED with BERT."""
    config = AtlopConfig()
    assert (config.entity_markers, config.mention_pool, config.localized_context) == (
        "star_per_token",
        "logsumexp",
        True,
    )
    assert (config.pair_size, config.bilinear_groups, config.pair_size // config.bilinear_groups) == (768, 12, 64)
    assert (config.loss, config.threshold, config.relation_threshold, config.top_k) == ("at", "adaptive", 0.5, 4)
    assert (config.relation_thresholds, config.long_input, config.window_overlap) == ([], "windows", 0)
    traits = config.traits
    assert (traits.stages, traits.given, traits.entities_given) == (("relation",), "entities", True)
    assert not traits.reads_entity_types and traits.special_tokens and not traits.fits_thresholds
    assert traits.mention_attention and not AtlopConfig(localized_context=False).traits.mention_attention
    for markers in ("star_per_token", "star_per_mention", "none"):
        assert AtlopConfig(entity_markers=markers).entity_markers == markers


def bce(threshold: str, **options) -> AtlopConfig:
    return AtlopConfig(loss="bce", threshold=threshold, relation_types=RELATION_TYPES, **options)


def test_the_cut_follows_the_kind_of_threshold():
    adaptive = AtlopConfig(relation_types=RELATION_TYPES, top_k=2, relation_threshold=0.7)
    assert adaptive.traits.relation_cut == RelationCut(0.7, strict=True, top_k=2)
    # The number of types is limited only where the threshold class takes part.
    assert bce("global", relation_threshold=0.3).traits.relation_cut == RelationCut(0.3, strict=True, top_k=0)
    chosen = bce("per_class", relation_thresholds=[0.2, 0.4, 0.9])
    assert chosen.traits.relation_cut == RelationCut([0.2, 0.4, 0.9], strict=True, top_k=0)
    assert bce("per_class", relation_threshold=0.3).traits.relation_cut.threshold == [0.3, 0.3, 0.3]
    assert [bce(kind).traits.fits_thresholds for kind in ("adaptive", "global", "per_class")] == [False, True, True]
    # JEREX keeps a score that equals its threshold, and all types of a pair.
    assert JerexConfig(relation_threshold=0.3).traits.relation_cut == RelationCut(0.3, strict=False, top_k=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bilinear_groups": 7}, "bilinear_groups is 7; give a divisor of pair_size, which is 768"),
        ({"bilinear_groups": 0}, "bilinear_groups is 0; give a divisor"),
        ({"bilinear_groups": -12}, "bilinear_groups is -12; give a divisor"),
        ({"pair_size": 100}, "bilinear_groups is 12; give a divisor of pair_size, which is 100"),
        ({"pair_size": 0}, "pair_size, which is 0"),
        ({"top_k": -1}, "top_k is -1; give a whole number from 1 on, or 0"),
        ({"threshold": "global"}, 'threshold is "global", and the adaptive-threshold loss .* set `loss="bce"`'),
        ({"threshold": "per_class"}, 'threshold is "per_class", and the adaptive-threshold loss'),
        (
            {"loss": "bce", "threshold": "per_class", "relation_thresholds": [0.5, 0.5]},
            "relation_thresholds has 2 values for 3 relation types; give one per type",
        ),
        ({"relation_thresholds": [0.5] * 4}, "relation_thresholds has 4 values for 3 relation types"),
        ({"relation_thresholds": [0.5, 1.5, 0.5]}, "relation_thresholds has 1.5; give numbers from 0 to 1"),
        ({"relation_thresholds": [0.5, float("nan"), 0.5]}, "relation_thresholds has nan"),
        ({"relation_threshold": -0.1}, "relation_threshold is -0.1; give a number from 0 to 1"),
        ({"window_overlap": 512}, "window_overlap is 512"),
        ({"relation_types": ["a", "b", "a"]}, "relation_types has the duplicate label 'a'"),
        ({"max_span_size": 10}, "AtlopConfig has no option 'max_span_size'.*top_k"),
        ({"entity_marker": "none"}, "AtlopConfig has no option 'entity_marker'.*entity_markers"),
    ],
    ids=str,
)
def test_wrong_options_of_atlop_are_one_clear_error(options, message):
    with pytest.raises(Exception, match=message) as caught:
        AtlopConfig(**{"relation_types": RELATION_TYPES, **options})
    assert len(str(caught.value).splitlines()) <= 2  # the check that found it, and what it found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("entity_markers", "star"),
        ("mention_pool", "sum"),
        ("loss", "ce"),
        ("threshold", "fixed"),
        ("top_k", 2.5),
        ("top_k", None),
        ("bilinear_groups", "12"),
        ("localized_context", 1),
        ("relation_threshold", "0.5"),
        ("relation_thresholds", 0.5),
        ("relation_thresholds", ["0.5"]),
    ],
)
def test_values_of_the_wrong_type_are_refused_by_atlop(name, value):
    with pytest.raises(Exception, match=name):
        AtlopConfig(**{name: value})
    config = AtlopConfig()
    with pytest.raises(Exception, match=name):
        setattr(config, name, value)


def test_fitted_thresholds_survive_the_file_in_the_order_of_the_types(tmp_path):
    config = bce(
        "per_class",
        encoder_config=tiny_encoder_config(),
        relation_thresholds=[0.9, 0.1, 0.4],
        entity_markers="star_per_mention",
        mention_pool="mean",
        localized_context=False,
        bilinear_groups=1,
        pair_size=5,
        top_k=0,
    )
    config.save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is AtlopConfig
    loaded = AtlopConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert (loaded.relation_types, loaded.relation_thresholds) == (RELATION_TYPES, [0.9, 0.1, 0.4])
    assert loaded.traits.relation_cut == config.traits.relation_cut
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"negatives_relation": -1}))
    with pytest.raises(ValueError, match="AtlopConfig has no option 'negatives_relation'"):
        AtlopConfig.from_pretrained(tmp_path)


def test_a_threshold_of_each_class_is_its_own_list():
    first, second = bce("per_class"), bce("per_class")
    first.relation_thresholds[0] = 0.9
    assert second.relation_thresholds == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("options", [{"threshold": "global"}, {"top_k": -2}, {"bilinear_groups": 7}], ids=str)
def test_options_that_replace_those_of_a_file_are_checked(options, tmp_path):
    AtlopConfig(relation_types=RELATION_TYPES).save_pretrained(tmp_path)
    with pytest.raises(Exception, match=next(iter(options))):
        AtlopConfig.from_pretrained(tmp_path, **options)


def test_a_threshold_per_class_may_replace_that_of_a_file(tmp_path):
    AtlopConfig(relation_types=RELATION_TYPES).save_pretrained(tmp_path)
    loaded = AtlopConfig.from_pretrained(tmp_path, loss="bce", threshold="per_class")
    assert loaded.relation_thresholds == [0.5, 0.5, 0.5]
