"""Starting from trained weights: the mean of several checkpoints, new types, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from samples import ANNA, OTTO, build
from tiny import tiny_atlop, tiny_jerex, tiny_kmgre, tiny_memory_jerex, tiny_spert
from training import trainer

from modeling_docre import JerexModel, MemoryJerexModel
from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.training.warm_start import check_known_types, warm_start, with_types


def _shaken(seed: int, **options):
    """A tiny JEREX whose weights are all unlike those of another seed."""
    model = tiny_jerex(**options)
    torch.manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value))
    return model


def _saved(tmp_path: Path, *models) -> list[str]:
    names = [str(tmp_path / f"checkpoint-{number}") for number in range(len(models))]
    for name, model in zip(names, models, strict=True):
        model.save_pretrained(name)
    return names


def test_weights_are_the_mean(tmp_path):
    models = [_shaken(seed) for seed in range(5)]
    names = _saved(tmp_path, *models)
    for count in (1, 2, 5):
        found = warm_start(JerexModel, names[:count], {}).state_dict()
        for key, value in found.items():
            values = [model.state_dict()[key] for model in models[:count]]
            assert value.dtype == values[0].dtype
            torch.testing.assert_close(value, sum(item.double() for item in values).div(count).to(value.dtype))
        if count == 1:
            assert all(torch.equal(value, models[0].state_dict()[key]) for key, value in found.items())


def test_options_replace_what_is_saved(tmp_path):
    names = _saved(tmp_path, _shaken(1, relation_threshold=0.3), _shaken(2, relation_threshold=0.4))
    with pytest.raises(ValueError, match=r"checkpoint-0 .*checkpoint-1: relation_threshold differs, 0.3 and 0.4"):
        warm_start(JerexModel, names, {})
    assert warm_start(JerexModel, names, {"relation_threshold": 0.5}).config.relation_threshold == 0.5


def test_signatures_may_differ_and_those_of_the_first_count(tmp_path):
    first, second = [["born", "PER", "LOC"]], [["born", "PER", "PER"]]
    names = _saved(tmp_path, _shaken(1, signatures=first), _shaken(2, signatures=second))
    assert warm_start(JerexModel, names, {}).config.signatures == first
    many = _saved(tmp_path / "labels", _shaken(1), _shaken(2, relation_labels={"born": "x" * 10_000}))
    with pytest.raises(ValueError, match="relation_labels differs") as raised:
        warm_start(JerexModel, many, {})
    assert len(str(raised.value)) < 1_000


def test_a_model_that_reads_and_one_that_does_not_have_no_mean(tmp_path):
    names = _saved(tmp_path, tiny_memory_jerex(memory_reading=True), tiny_memory_jerex(memory_reading=False))
    with pytest.raises(ValueError, match="memory_reading differs, True and False"):
        warm_start(MemoryJerexModel, names, {})


def test_each_model_has_to_be_of_the_system(tmp_path):
    names = _saved(tmp_path, tiny_jerex(), tiny_memory_jerex())
    with pytest.raises(ValueError, match=r"checkpoint-1 is a 'docre-memory-jerex' model, --system jerex is"):
        warm_start(JerexModel, names, {})


def test_options_that_change_shapes_are_refused(tmp_path):
    names = _saved(tmp_path, tiny_jerex(), tiny_jerex())
    with pytest.raises(ValueError, match=r"was trained with meta_size 25; with --meta_size 9 .* leave out"):
        warm_start(JerexModel, names, {"meta_size": 9})


def test_letter_case_can_be_learned_later_but_not_given_up(tmp_path):
    plain = _saved(tmp_path / "plain", _shaken(1), _shaken(2))
    [cased] = _saved(tmp_path / "cased", _shaken(1, letter_case=True))
    for names in (plain[:1], plain):
        seeing = warm_start(JerexModel, names, {"letter_case": True})
        tables = [value for key, value in seeing.state_dict().items() if key.endswith("cases.weight")]
        assert tables and not torch.cat(tables).any(), "as long as nothing is learned, case changes nothing"
    assert warm_start(JerexModel, [cased], {}).config.letter_case
    with pytest.raises(ValueError, match=r"cased/checkpoint-0 has learned to see letter case; leave out"):
        warm_start(JerexModel, [cased], {"letter_case": False})


def test_types_that_a_trained_model_does_not_know_are_told(caplog):
    odd = build("odd", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "eats")])
    other = build("other", ["a"], [("FOOD", [(0, 0, 1)])])
    config = tiny_jerex().config
    check_known_types(config, [ANNA, OTTO])
    check_known_types(AtlopConfig(relation_types=["eats"]), [odd])  # an empty list of entity types admits any
    assert not caplog.text
    check_known_types(config, [ANNA, odd, other])
    assert "the model does not know the entity_types ['FOOD']; all of them" in caplog.text
    assert "the relation_types ['eats']; all of them" in caplog.text
    for document, message in (
        (odd, "the model outputs/x knows none of the relation types of the documents, such as 'eats'; it knows seat, "),
        (
            other,
            "knows none of the entity types of the documents, such as 'FOOD'; it knows .*; rename the types of the",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            check_known_types(config, [document], "the model outputs/x")


# --- new types ----------------------------------------------------------------------------------------------------

NEW = {
    "entity_types": ["FOOD", "PER"],
    "relation_types": ["eats", "works", "likes"],
    "relation_labels": {"eats": "takes in", "works": "another label"},
    "symmetric_relations": ["likes", "works"],
}
MODELS = [
    tiny_jerex(),
    tiny_jerex(relation_head="global", task="pipeline"),
    tiny_memory_jerex(memory_reading=False),
    tiny_memory_jerex(memory_reading=False, relation_head="global", similarity="cosine"),
    tiny_atlop(),
    tiny_atlop(loss="bce", threshold="per_class", relation_thresholds=[0.1, 0.2, 0.3]),
    tiny_kmgre(),
    tiny_spert(),
]


def _outputs(model, folder: Path) -> dict[str, torch.Tensor]:
    """What a model makes of gold entities beside sampled negatives."""
    running = trainer(model, folder, [ANNA, OTTO])
    batch = running.data_collator([running.train_dataset[number] for number in range(2)])
    with torch.no_grad():
        output = model.eval()(**batch)
    # SpERT's score of being a mention is that of being of any type.
    left_out = {"mention_logits"} if output.span_logits is not None else set()
    return {name: value for name, value in output.items() if name.endswith("_logits") and name not in left_out}


def test_new_types_join_those_that_a_trained_model_knows(tmp_path, caplog):
    caplog.set_level("INFO")
    for model in MODELS:
        caplog.clear()
        larger, name = with_types(model, NEW), type(model).__name__
        config = larger.config
        assert type(larger) is type(model) and not larger.training
        assert config.entity_types == ["PER", "LOC", "ORG", "FOOD"], name
        assert config.relation_types == ["born", "works", "seat", "eats", "likes"], name
        assert config.relation_labels == {"eats": "takes in"} and config.symmetric_relations == ["likes"], name
        if getattr(config, "threshold", None) == "per_class":
            assert config.relation_thresholds == [0.1, 0.2, 0.3, 0.5, 0.5]
        assert "new entity types FOOD" in caplog.text and "new relation types eats, likes" in caplog.text
        before, after = (_outputs(item, tmp_path) for item in (model, larger))
        assert before.keys() == after.keys() and "relation_logits" in before
        for key, value in before.items():
            known = after[key][:, : value.shape[1]] if value.dim() == 2 else after[key]
            torch.testing.assert_close(known, value, msg=f"{name} {key}")
        grown = {key for key, value in larger.state_dict().items() if value.shape != model.state_dict()[key].shape}
        new_rows = [larger.state_dict()[key][-1] for key in grown if key.endswith("weight")]
        assert new_rows and all(row.abs().sum() > 0 for row in new_rows), name
        larger.save_pretrained(tmp_path / "larger")
        type(model).from_pretrained(tmp_path / "larger")


def test_a_model_that_knows_all_types_or_reads_none_stays_as_it_is():
    model = tiny_jerex()
    assert with_types(model, {"entity_types": ["LOC"], "relation_types": ["seat", "born"]}) is model
    model = tiny_atlop(entity_types=[])  # admits any type
    assert with_types(model, {"entity_types": ["FOOD"], "relation_types": []}) is model
