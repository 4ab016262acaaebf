"""Memory-enhanced JEREX: its sizes, and how it is made, saved and loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from literal_jerex import spread
from literal_memory import SWITCHES, assert_same_output, spread_memory_jerex
from pipelines import ENTITIES, TEXTS, close, run_without_package
from pipelines import build as build_pipeline
from samples import ANNA, OTTO, batch
from test_modeling_docre import poisoned, source_state
from test_modeling_jerex import count
from tiny import (
    RELATION_TYPES,
    tiny_encoder,
    tiny_encoder_config,
    tiny_jerex,
    tiny_memory_jerex,
    tiny_tokenizer,
)
from transformers import AutoModel, BertConfig

from modeling_docre import JerexModel, MemoryJerexConfig, MemoryJerexModel, Predictor
from modeling_docre.modeling_memory_jerex import MemoryReader, SimilarityClassifier
from modeling_docre.training import run

REPOSITORY = Path(__file__).resolve().parents[2]


# --- sizes --------------------------------------------------------------------------------------------------------


def sized(**options: Any) -> MemoryJerexModel:
    """A model of the size of bert-base-cased with 700 positions and DocRED's labels, without memory."""
    config = MemoryJerexConfig(
        encoder_config=BertConfig(vocab_size=28996, max_position_embeddings=700),
        entity_types=[f"E{number}" for number in range(6)],
        relation_types=[f"P{number}" for number in range(96)],
        **options,
    )
    with torch.device("meta"):
        return MemoryJerexModel(config)


ENCODER = 107_719_680 + 188 * 768


def heads(**options: Any) -> int:
    return count(sized(**options)) - ENCODER


def test_parameter_counts_of_the_paper():
    model = sized()
    assert count(model.encoders) == ENCODER
    assert count(model.mention_classifier) == 611_311 and count(model.coreference_scorer) == 1_207_885
    assert count(model.entity_classifier) == 6 * 768 + 768 * 768
    assert count(model.readers) == 4 * 768 * 768
    unused = 6 * 25  # the release's multi-instance classifier keeps JEREX's table of types, which nothing reads
    assert heads() + unused == 10_213_904 and count(model) + unused == 118_077_968
    assert heads(relation_head="global") == 7_796_540 and count(sized(relation_head="global")) == 115_660_604


@pytest.mark.parametrize(
    ("options", "fewer"),
    [
        ({"memory_read": False}, 4 * 768 * 768),
        ({"read_levels": "none"}, 4 * 768 * 768),
        ({"read_levels": "tokens"}, 2 * 768 * 768),
        ({"read_levels": "mentions"}, 2 * 768 * 768),
        ({"mention_read": "off"}, 2 * 768 * 768),
        ({"mention_read": "kept_only"}, 0),
        ({"entity_memory": False}, 2 * 768 * 768),
        ({"relation_memory": False}, 2 * 768 * 768),
        ({"entity_memory": False, "relation_memory": False}, 4 * 768 * 768),
        ({"memory_reading": False}, 0),
        ({"similarity": "cosine"}, 0),
        # Slots, both matrices that write, the four that read, and the types' part of the relation classifier.
        ({"slot_size": 700}, 68 * (6 + 96 + 2 * 768 + 4 * 768 + 2 * 768)),
    ],
    ids=str,
)
def test_switches_take_parameters_away(options, fewer):
    assert heads() - heads(**options) == fewer


# --- a warm start -------------------------------------------------------------------------------------------------

MANY = {
    "entity_types": [f"E{number}" for number in range(40)],
    "relation_types": [f"P{number}" for number in range(50)],
    "window_overlap": 16,
}


def assert_normal(model: MemoryJerexModel, *names: str) -> None:
    """Memories, readers and the matrices that write hold N(0, 0.02), each its own draw; biases are zero."""
    parts = {name: value for name, value in model.named_parameters() if not name.startswith("encoders.")}
    new = {name: value for name, value in parts.items() if any(part in name for part in ("memory", "write", "readers"))}
    assert len(new) == 8
    for name, value in parts.items():
        if name.endswith("bias"):
            assert not value.any(), name
        elif name in new or not names:
            assert value.std().item() == pytest.approx(0.02, rel=0.3 if value.numel() < 100 else 0.1), name
            assert value.mean().abs() < 0.02 * 4 / value.numel() ** 0.5 and value.abs().max() < 0.12, name
    assert len({value.flatten()[0].item() for value in new.values()}) == 8


@pytest.mark.parametrize("options", [{}, {"relation_head": "global", "slot_size": 20}], ids=str)
def test_a_start_leaves_no_parameter_uninitialised(options):
    torch.manual_seed(0)
    warm = MemoryJerexModel.from_encoder(tiny_encoder(), **MANY, **options)
    cold = MemoryJerexModel(MemoryJerexConfig(encoder_config=tiny_encoder_config(), **MANY, **options))
    for model in (warm, cold):
        assert_normal(model)
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    found = warm.encoders[0].model.state_dict()
    assert found.keys() == source_state().keys()
    assert all(torch.equal(found[name], value) for name, value in source_state().items())


def test_the_spread_of_new_weights_is_that_of_the_encoder():
    encoder = tiny_encoder_config()
    encoder.initializer_range = 0.5
    model = MemoryJerexModel(MemoryJerexConfig(encoder_config=encoder, **MANY))
    for module in model.modules():
        if isinstance(module, SimilarityClassifier | MemoryReader):
            assert all(0.4 < value.std() < 0.6 for value in module.parameters())


def perturbed(**options: Any) -> MemoryJerexModel:
    model = tiny_memory_jerex(**options)
    for parameter in model.parameters():
        parameter.data += torch.randn_like(parameter) * 0.05
    return model


@pytest.mark.parametrize("options", [*SWITCHES, {"memory_reading": False, "relation_head": "global"}], ids=str)
def test_saved_and_loaded_models_give_the_same_scores(options, tmp_path, monkeypatch):
    model = perturbed(**options)
    model.save_pretrained(tmp_path)
    poisoned(monkeypatch)
    made = batch([ANNA, OTTO], model.config, negatives_mention=5)
    for loaded in (MemoryJerexModel.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is MemoryJerexModel and not loaded.training
        assert loaded.config.memory_reading is options.get("memory_reading", True)
        state = loaded.state_dict()
        assert state.keys() == model.state_dict().keys()
        assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
        with torch.no_grad():
            assert_same_output(loaded(**made), model(**made), rtol=0, atol=1e-5)


def test_what_a_checkpoint_lacks_is_initialised(tmp_path, monkeypatch):
    """A model that was trained without reading goes on with it."""
    torch.manual_seed(0)
    source = MemoryJerexModel.from_encoder(tiny_encoder(), **MANY, read_levels="none")
    source.save_pretrained(tmp_path)
    poisoned(monkeypatch)
    loaded = MemoryJerexModel.from_pretrained(tmp_path, read_levels="tokens+mentions")
    assert_normal(loaded)
    state = loaded.state_dict()
    assert all(torch.equal(state[name], value) for name, value in source.state_dict().items())
    assert len(state) == len(source.state_dict()) + 4


@pytest.mark.parametrize("options", [{"entity_memory": False}, {"relation_memory": False}], ids=str)
@torch.no_grad()
def test_a_trained_model_without_one_memory_reads_the_other_as_before(options, tmp_path):
    """By the matrices that were trained for that memory."""
    trained = spread_memory_jerex(0.2)
    trained.save_pretrained(tmp_path)
    loaded = MemoryJerexModel.from_pretrained(tmp_path, **options)
    for level in ("tokens", "mentions"):
        entity, relation = trained.readers[level].queries.parameters()
        [query] = loaded.readers[level].queries.parameters()
        assert torch.equal(query, relation if "entity_memory" in options else entity), level


@pytest.mark.parametrize("options", [{}, {"slot_size": 25}, {"relation_head": "global", "slot_size": 25}], ids=str)
def test_a_checkpoint_of_the_other_system_is_refused_by_both_names(options, tmp_path):
    """Also where all shapes that the two have in common agree."""
    tiny_jerex().save_pretrained(tmp_path / "jerex")
    tiny_memory_jerex(**options).save_pretrained(tmp_path / "memory")
    with pytest.raises(ValueError, match=r"docre-jerex.*docre-memory-jerex"):
        MemoryJerexModel.from_pretrained(tmp_path / "jerex", **options)
    with pytest.raises(ValueError, match=r"docre-memory-jerex.*docre-jerex"):
        JerexModel.from_pretrained(tmp_path / "memory")


@pytest.mark.parametrize(("system", "folder"), [("memory_jerex", "jerex"), ("jerex", "memory_jerex")])
def test_training_goes_on_from_a_checkpoint_of_its_own_system_only(system, folder, tmp_path):
    models = {"jerex": tiny_jerex(), "memory_jerex": tiny_memory_jerex()}
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
        tiny_tokenizer().save_pretrained(tmp_path / name)
    names = {"jerex": "'docre-jerex'", "memory_jerex": "'docre-memory-jerex'"}
    with pytest.raises(ValueError, match=f"is a {names[folder]} model, --system {system} is {names[system]}"):
        run.build_model(run.ModelArguments(system, init_from=[str(tmp_path / folder)]), {}, {})
    model, _ = run.build_model(run.ModelArguments(system, init_from=[str(tmp_path / system)]), {}, {})
    assert type(model) is type(models[system])


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"meta_size": 9}, ["trained with meta_size 25", "--meta_size 9", "[30, 25] and [30, 9]"]),
        ({"size_rows": 60, "dropout": 0.3}, ["size_rows 30, dropout 0.1", "--size_rows 60, --dropout 0.3", "1 of its"]),
        ({"slot_size": 7}, ["slot_size None", "--slot_size 7", "[3, 32] and [3, 7]"]),
    ],
    ids=str,
)
def test_fine_tuning_with_other_widths_is_refused(options, parts, tmp_path):
    tiny_memory_jerex().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ValueError) as caught:
        run.build_model(run.ModelArguments("memory_jerex", init_from=[str(tmp_path)]), options, {})
    assert all(part in str(caught.value) for part in [f"--init_from {tmp_path}", *parts, "leave out"])


def test_fine_tuning_may_change_what_has_no_width(tmp_path):
    trained = spread_memory_jerex(0.2)
    trained.save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    options = {"dropout": 0.3, "read_grad": False, "relation_threshold": 0.2, "mention_read": "kept_only"}
    model, _ = run.build_model(run.ModelArguments("memory_jerex", init_from=[str(tmp_path)]), options, {})
    assert {name: getattr(model.config, name) for name in options} == options
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in model.state_dict().items())


# --- saved and used elsewhere -------------------------------------------------------------------------------------

FRESH = """
import json, sys
import torch
from transformers import AutoModel, AutoTokenizer
from modeling_docre import Document, Predictor

torch.set_num_threads(1)
document = Document.from_dict(json.loads(sys.argv[1]))
for folder in sys.argv[2:]:
    model = AutoModel.from_pretrained(folder)
    predictor = Predictor(model, AutoTokenizer.from_pretrained(folder))
    output, _ = predictor.run(predictor.featurizer([document]), "entities")
    print(json.dumps([model.config.memory_reading, output.relation_logits.tolist()]))
"""


@pytest.mark.slow
def test_a_fresh_process_reads_where_the_checkpoint_did(tmp_path):
    """During the warm-up of training, when reading is off, and after it."""
    model, wanted = spread_memory_jerex(similarity="cosine"), {}
    for reading in (False, True):
        model.config.memory_reading = reading
        folder = tmp_path / str(reading)
        model.save_pretrained(folder)
        tiny_tokenizer().save_pretrained(folder)
        assert json.loads((folder / "config.json").read_text())["memory_reading"] is reading
        predictor = Predictor(model, tiny_tokenizer())
        wanted[folder] = predictor.run(predictor.featurizer([ANNA]), "entities")[0].relation_logits
    assert not torch.allclose(*wanted.values(), atol=1e-2)
    command = [sys.executable, "-c", FRESH, json.dumps(ANNA.to_dict()), *map(str, wanted)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reading for reading, _ in found] == [False, True]
    for (_, logits), values in zip(found, wanted.values(), strict=True):
        torch.testing.assert_close(torch.tensor(logits), values, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_fresh_process_without_the_package(tmp_path):
    """Code and weights of JEREX with and without memories, loaded where the package cannot be imported."""
    low = {"mention_threshold": 0.45, "coreference_threshold": 0.5, "relation_threshold": 0.4}
    options = {"relation_head": "global", "mention_read": "kept_only", "slot_size": 20}
    models = {"memory": spread_memory_jerex(**low, **options), "plain": spread(tiny_jerex(**low))}
    expected = {}
    for name, model in models.items():
        pipe = build_pipeline(model)
        pipe.save_pretrained(tmp_path / name / "best")
        expected[name] = pipe(TEXTS[0])
        assert expected[name]["relations"], name
        copied = {path.stem for path in (tmp_path / name / "best").glob("*.py")}
        own = {"modeling_memory_jerex", "configuration_memory_jerex"}
        assert {"modeling_jerex", "configuration_jerex", "pipeline_docre"} <= copied
        assert copied & own == (own if name == "memory" else set())
        assert not copied & {"modeling_atlop", "modeling_kmgre", "trainer", "memory_warmup", "optimizer"}
    found = run_without_package(tmp_path, dict.fromkeys(expected, (TEXTS[0], None)))
    assert found["loaded"] == []
    assert found["configs"] == {"memory": ["docre-memory-jerex", "global"], "plain": ["docre-jerex", "multi_instance"]}
    assert close(found["results"], expected) and close(found["copies"], expected)


def test_the_pipeline_relates_given_entities():
    model = spread_memory_jerex(relation_threshold=0.0)
    found = build_pipeline(model)(TEXTS[0], entities=ENTITIES)
    assert len(found["relations"]) == 6 * len(RELATION_TYPES)
    assert all(relation["mention_pairs"] for relation in found["relations"])
