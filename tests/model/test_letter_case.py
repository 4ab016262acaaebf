"""Letter case for encoders of lower case: ids, embeddings, all systems, and what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_configs import ENCODERS
from pipelines import ENTITIES, TEXTS, build, close, finding
from samples import ANNA, featurize
from samples import build as written
from tiny import TINY, tiny_encoder_config, tiny_jerex, tiny_spert, tiny_tokenizer
from torch import nn
from training import trainer
from transformers import AutoModel, CanineConfig, CanineModel, pipeline

from modeling_docre import JerexModel
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.encoder import DocumentEncoder
from modeling_docre.features import Featurizer
from modeling_docre.hub.onnx_export import export_encoders
from modeling_docre.letter_case import CASES, CasedEmbedding, letter_case

LABELS: dict[str, Any] = {"entity_types": ["PER"], "relation_types": ["born"]}
SHOUTED = written("shouted", ["Anna B was born in BERLIN .", "x9 iPhone"], [("PER", [(0, 0, 2)]), ("LOC", [(0, 5, 6)])])


def cased(system: str, **options: Any) -> Any:
    """A tiny model that sees letter case, with case vectors as large as those of pieces."""
    model = TINY[system](letter_case=True, **options)
    for module in model.modules():
        if isinstance(module, CasedEmbedding):
            nn.init.normal_(module.cases.weight, std=0.5)
    return model


@pytest.mark.parametrize(
    ("word", "case"),
    [
        *(("berlin", 0), ("9", 0), ("", 0), ("–", 0), ("中", 0), ("straße", 0)),
        *(("Berlin", 1), ("A", 1), ("É", 1), ("Ärger", 1), ("3D", 2)),
        *(("UN", 2), ("U.N.", 2), ("COVID-19", 2), ("iPhone", 3), ("McAdam", 3), ("Jean-Luc", 3)),
    ],
)
def test_how_a_word_is_written(word: str, case: int) -> None:
    assert letter_case(word) == case < CASES


def test_ids_are_of_pieces_and_cases() -> None:
    plain, seeing = (
        JerexConfig(encoder_config=tiny_encoder_config(), window_overlap=16, letter_case=flag) for flag in (False, True)
    )
    (without,), (features,) = featurize([SHOUTED], plain), featurize([SHOUTED], seeing)
    size = tiny_encoder_config().vocab_size
    assert (features.input_ids % size).tolist() == without.input_ids.tolist()
    words = [word for sentence in SHOUTED.sentences for word in sentence]
    for word, (start, end) in zip(words, features.word_ranges.tolist(), strict=True):
        assert set((features.input_ids[start:end] // size).tolist()) == {letter_case(word)}
    spans = np.stack([np.arange(len(words)), 1 + np.arange(len(words))], axis=1)
    strings = Featurizer(tiny_tokenizer(), seeing).decoded_texts(features, spans)
    assert list(strings) == list(Featurizer(tiny_tokenizer(), plain).decoded_texts(without, spans))


def test_start_and_end_tokens_and_markers_have_no_case() -> None:
    for system in ("atlop", "spert"):
        (features,) = featurize([SHOUTED], TINY[system](letter_case=True).config)
        inside = torch.zeros(len(features.input_ids), dtype=torch.bool)
        for start, end in features.word_ranges.tolist():
            inside[start:end] = True
        outside = features.input_ids[~inside.numpy()]
        assert len(outside) > 3 and (outside < tiny_encoder_config().vocab_size).all()


def test_the_table_adds_the_vector_of_the_case() -> None:
    pieces = nn.Embedding(7, 3, padding_idx=0)
    table = CasedEmbedding(pieces)
    ids = torch.tensor([[0, 4, 6 + 7], [2 + 14, 5 + 21, 6]])
    assert torch.equal(table(ids), pieces(ids % 7)), "it begins as the table that it replaces"
    nn.init.normal_(table.cases.weight)
    assert torch.equal(table(ids), pieces.weight[ids % 7] + table.cases.weight[ids // 7])
    assert table.weight.data_ptr() == pieces.weight.data_ptr()


@pytest.mark.parametrize("architecture", ENCODERS)
@torch.no_grad()
def test_encoders_read_cases_and_pad_as_before(architecture: str) -> None:
    torch.manual_seed(0)
    pretrained = AutoModel.from_config(copy.deepcopy(ENCODERS[architecture])).eval()
    options = {"encoder_config": ENCODERS[architecture], "window_overlap": 8}
    plain, seeing = (DocumentEncoder(JerexConfig(**options, letter_case=flag)).eval() for flag in (False, True))
    seeing.adopt(copy.deepcopy(pretrained))
    plain.adopt(pretrained)
    ids, lengths = torch.arange(5, 50), torch.tensor([30, 15])
    before = plain(ids, lengths).hidden
    table = seeing.model.get_input_embeddings()
    capitals = ids + table.num_embeddings * (ids % 3 == 0)
    assert torch.allclose(seeing(capitals, lengths).hidden, before, atol=1e-6), "zero vectors change nothing"
    nn.init.normal_(table.cases.weight)
    table.cases.weight[0] = 0
    assert torch.allclose(seeing(ids, lengths).hidden, before, atol=1e-6), "lower case is as it was"
    together = seeing(capitals, lengths).hidden
    assert not torch.allclose(together, before, atol=1e-2)
    alone = [seeing(part, lengths[:1] * 0 + len(part)).hidden for part in capitals.split(lengths.tolist())]
    assert torch.allclose(torch.cat(alone), together, atol=1e-5)


@pytest.mark.parametrize("system", TINY)
def test_every_system_sees_it_and_is_saved_with_it(system: str, tmp_path: Path) -> None:
    model = finding(cased(system, relation_threshold=0.45))
    pipe = build(model)

    def results(of: Any, *texts: str) -> Any:
        return of(list(texts), entities=[ENTITIES] * len(texts), threshold=0.0)

    upper = results(pipe, TEXTS[0], TEXTS[0].upper())
    assert upper[0]["relations"]
    assert not close(upper[0]["relations"], upper[1]["relations"])
    pipe.save_pretrained(tmp_path)
    loaded = pipeline("doc-relation-extraction", model=str(tmp_path), device="cpu")
    assert close(results(loaded, TEXTS[0]), upper[:1])


@pytest.mark.slow
@pytest.mark.parametrize("system", ["jerex", "atlop"])
def test_onnx_runtime_sees_it_too(system: str, tmp_path: Path) -> None:
    build(finding(cased(system))).save_pretrained(tmp_path)
    export_encoders(tmp_path)
    wanted, found = (
        pipeline("doc-relation-extraction", model=str(tmp_path), device="cpu", model_kwargs={"backend": backend})(
            TEXTS[0], entities=ENTITIES, threshold=0.0
        )
        for backend in ("torch", "onnx")
    )
    assert wanted["relations"] and close(wanted, found)


def test_case_vectors_learn_as_fast_as_the_heads(tmp_path: Path) -> None:
    rates = {"learning_rate": 1e-3, "head_learning_rate": 1e-2}
    model = tiny_jerex(letter_case=True)
    groups = trainer(model, tmp_path, [ANNA], **rates).create_optimizer().param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    faster = [names[id(value)] for group in groups for value in group["params"] if group["lr"] == 1e-2]
    of_encoders = [name for name in faster if name.startswith("encoders.")]
    assert of_encoders == ["encoders.0.model.embeddings.word_embeddings.cases.weight"]


def test_case_vectors_are_learned() -> None:
    model = tiny_spert(letter_case=True)
    ids, lengths = torch.tensor([5, 6, 7]), torch.tensor([3])
    model.encoder(ids + tiny_encoder_config().vocab_size * 2, lengths).hidden[:, 0].sum().backward()
    gradient = model.encoder.model.get_input_embeddings().cases.weight.grad
    assert gradient[2].abs().sum() > 0 and not gradient[[0, 1, 3]].any()


def test_an_encoder_without_a_table_of_pieces_is_refused() -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    encoder = CanineModel(CanineConfig(**small, max_position_embeddings=64, num_hash_buckets=8))
    with pytest.raises(ValueError, match="letter_case is true, and CanineModel has no table of pieces"):
        JerexModel.from_encoder(encoder, window_overlap=8, letter_case=True, **LABELS)
