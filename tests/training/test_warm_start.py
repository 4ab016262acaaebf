"""Starting from trained weights: the mean of several checkpoints, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from samples import ANNA, OTTO, build
from tiny import tiny_jerex, tiny_memory_jerex

from modeling_docre import JerexModel, MemoryJerexModel
from modeling_docre.configuration_atlop import AtlopConfig
from modeling_docre.training.warm_start import check_known_types, warm_start


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


@pytest.mark.parametrize("count", [1, 2, 5])
def test_weights_are_the_mean(count, tmp_path):
    models = [_shaken(seed) for seed in range(count)]
    found = warm_start(JerexModel, _saved(tmp_path, *models), {}).state_dict()
    for key, value in found.items():
        values = [model.state_dict()[key] for model in models]
        assert value.dtype == values[0].dtype
        torch.testing.assert_close(value, sum(item.double() for item in values).div(count).to(value.dtype))
    if count == 1:
        assert all(torch.equal(value, models[0].state_dict()[key]) for key, value in found.items())


def test_options_replace_what_is_saved(tmp_path):
    names = _saved(tmp_path, _shaken(1, relation_threshold=0.3), _shaken(2, relation_threshold=0.4))
    with pytest.raises(ValueError, match=r"checkpoint-0 .*checkpoint-1: relation_threshold differs, 0.3 and 0.4"):
        warm_start(JerexModel, names, {})
    assert warm_start(JerexModel, names, {"relation_threshold": 0.5}).config.relation_threshold == 0.5


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


def test_types_that_a_trained_model_does_not_know_are_told(caplog):
    odd = build("odd", ["a b"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 1, 2)])], [(0, 1, "eats")])
    other = build("other", ["a"], [("FOOD", [(0, 0, 1)])])
    config = tiny_jerex().config
    check_known_types(config, [ANNA, OTTO])
    check_known_types(AtlopConfig(relation_types=["eats"]), [odd])  # an empty list of entity types admits any
    assert not caplog.text
    check_known_types(config, [ANNA, odd, other])
    assert "the entity_types ['FOOD']; all of them" in caplog.text
    assert "the relation_types ['eats']; all of them" in caplog.text
    for document, name in ((odd, "'eats'"), (other, "'FOOD'")):
        with pytest.raises(ValueError, match=name):
            check_known_types(config, [document])
