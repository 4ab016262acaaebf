"""ATLOP against its equations written out pair by pair, and what must change nothing."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from literal_atlop import literal_logits, literal_threshold_loss
from samples import ANNA, ODD_DOCUMENTS, OTTO, THREE_WINDOWS, TWO_WINDOWS, batch
from tiny import tiny_atlop

from modeling_docre import features, stage_pairs
from modeling_docre import stage_localized_context as localized_context
from modeling_docre.documents import Candidate
from modeling_docre.stage_pairs import PairClassifier

DOCUMENTS = [ANNA, TWO_WINDOWS, OTTO, THREE_WINDOWS]
OPTIONS = [
    {},
    {"entity_markers": "star_per_mention"},
    {"entity_markers": "none"},
    {"entity_markers": "none", "localized_context": False, "mention_pool": "mean", "bilinear_groups": 1},
    {"mention_pool": "mean"},
    {"mention_pool": "max"},
    {"localized_context": False},
    {"bilinear_groups": 1},
    {"bilinear_groups": 24},
    {"pair_size": 48, "bilinear_groups": 12},
    {"loss": "bce", "threshold": "global"},
    {"loss": "bce", "threshold": "adaptive"},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def exact(**options: Any) -> Any:
    """A tiny model in float64 with attention that is far from uniform."""
    model = tiny_atlop(**options).double()
    for name, value in model.encoder.named_parameters():
        if value.dim() == 2 and "embedding" not in name:
            value.data *= 4
    return model


def assert_evidence(output: Any, shares: list[dict[int, float]]) -> None:
    """The fewest sentences with more than half of the weight, by pair; none where no window holds both entities."""
    pair, sentence = output.evidence_pair.tolist(), output.evidence_sentence.tolist()
    assert pair == sorted(pair)
    for number, share in enumerate(shares):
        found = {s for p, s in zip(pair, sentence, strict=True) if p == number}
        half = sum(share.values()) / 2
        sizes = [n for n in range(1, len(share) + 1) if sum(sorted(share.values())[-n:]) > half]
        assert len(found) == min(sizes, default=0)
        assert not found if half == 0 else sum(share[s] for s in found) > half
    weights = [shares[p][s] / sum(shares[p].values()) for p, s in zip(pair, sentence, strict=True)]
    assert output.evidence_weight.tolist() == pytest.approx(weights, abs=1e-9)


@each_option
@torch.no_grad()
def test_forward_is_the_equations(options):
    model = exact(**options)
    given = batch(DOCUMENTS, model.config, "entities")
    lengths = given["document_lengths"].tolist()
    assert lengths[0] <= 64 < lengths[1] <= 126 < lengths[3], lengths
    output = model(**given)
    logits, shares = literal_logits(model, DOCUMENTS, output.pairs)
    assert output.pairs.tolist() == given["relations"]["pairs"].tolist() and output.loss is None
    expected = logits[:, 1:] - logits[:, :1] if model.config.threshold == "adaptive" else logits[:, 1:]
    assert torch.allclose(output.relation_logits, expected, atol=1e-9)
    assert expected.std(0).min() > 1e-3
    if model.config.localized_context:
        assert_evidence(output, shares)
    else:
        assert output.evidence_pair is None

    training = batch(DOCUMENTS, model.config, negatives_relation=-1)
    output, labels = model(**training), training["relations"]["labels"]
    logits, _ = literal_logits(model, DOCUMENTS, output.pairs)
    if model.config.loss == "at":
        loss = sum(map(literal_threshold_loss, logits, labels.bool())) / len(labels)
    else:
        chance = torch.sigmoid(logits[:, 1:])
        loss = -(labels * chance.log() + (1 - labels) * (1 - chance).log()).sum() / len(labels)
    assert output.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert torch.equal(output.losses["relation"], output.loss)


@each_option
def test_gradients_are_those_of_the_equations(options):
    model = exact(**options)
    twin, given = copy.deepcopy(model), batch([OTTO, TWO_WINDOWS], model.config, "entities")
    pull = torch.randn(14, 3).double()
    (model(**given).relation_logits * pull).sum().backward()
    logits, _ = literal_logits(twin, [OTTO, TWO_WINDOWS], given["relations"]["pairs"])
    expected = logits[:, 1:] - logits[:, :1] if model.config.threshold == "adaptive" else logits[:, 1:]
    # The literal encoder is a copy: its gradients stay there, those of the heads come back.
    (expected * pull).sum().backward()
    compared = 0
    for (name, value), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        if not name.startswith("encoder."):
            assert torch.allclose(value.grad, other.grad, atol=1e-8), name
            compared += 1
        else:
            assert value.grad is None or torch.isfinite(value.grad).all()
    assert compared == 6 and model.encoder.model.embeddings.word_embeddings.weight.grad.any()


def test_gradients_of_the_encoder_are_those_of_finite_differences():
    model, generator = exact(), torch.Generator().manual_seed(0)
    given, step = batch([OTTO, TWO_WINDOWS], model.config, negatives_relation=-1), 1e-3
    pull = torch.randn(14, 3, generator=generator).double()

    def value() -> torch.Tensor:
        return (model(**given).relation_logits * pull).sum()

    value().backward()
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.1.attention.self.query.weight"):
        parameter = model.encoder.model.get_parameter(name)
        direction = torch.randn(parameter.shape, generator=generator).double() * 1e-2
        slope = (parameter.grad * direction).sum().item()
        with torch.no_grad():
            parameter += step * direction
            ahead = value().item()
            parameter -= 2 * step * direction
            behind = value().item()
            parameter += step * direction
        assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=1e-4, abs=1e-9)
        assert abs(slope) > 1e-6


# --- what changes nothing ------------------------------------------------------------------------------------------


def results(model: Any, given: dict[str, Any], patch: pytest.MonkeyPatch, chunk: int, weights: int) -> list[Any]:
    """Logits, evidence and gradients with chunks of some size."""
    patch.setattr(stage_pairs, "PAIR_CHUNK", chunk)
    patch.setattr(localized_context, "BLOCK_WEIGHTS", weights)
    model.zero_grad()
    output = model(**given)
    pull = torch.linspace(-1, 1, output.relation_logits.numel()).view_as(output.relation_logits)
    (output.relation_logits * pull).sum().backward()
    evidence = [output.evidence_pair, output.evidence_sentence, output.evidence_weight]
    return [output.relation_logits, *evidence, *[value.grad.clone() for value in model.parameters()]]


@pytest.mark.parametrize(("chunk", "weights"), [(2, 1), (4, 300), (6, 2**23), (16_384, 1), (16_384, 500)])
def test_chunks_change_neither_scores_nor_evidence_nor_gradients(chunk, weights, monkeypatch):
    model = exact()
    given = batch([ANNA, *ODD_DOCUMENTS, TWO_WINDOWS, OTTO], model.config, "entities")
    whole = results(model, given, monkeypatch, 10**9, 2**40)
    cut = results(model, given, monkeypatch, chunk, weights)
    for found, expected in zip(cut, whole, strict=True):
        assert torch.allclose(found, expected, atol=1e-9)
    with torch.no_grad():
        assert torch.allclose(model(**given).relation_logits, whole[0], atol=1e-9)


def test_chunks_are_classified_again_in_the_backward_pass_only_where_there_are_several(monkeypatch):
    model, calls = exact(), []
    score = PairClassifier._score_run
    monkeypatch.setattr(PairClassifier, "_score_run", lambda *given: calls.append(1) or score(*given))
    given = batch([ANNA, OTTO], model.config, negatives_relation=-1)
    model(**given).loss.backward()
    assert len(calls) == 1
    monkeypatch.setattr(stage_pairs, "PAIR_CHUNK", 2)
    calls.clear()
    loss = model(**given).loss
    forward = len(calls)
    loss.backward()
    assert forward > 1 and len(calls) == 2 * forward


@torch.no_grad()
def test_pairs_in_any_order_in_one_direction_and_twice_have_their_scores():
    model = exact()
    given = batch(DOCUMENTS, model.config, "entities")
    whole, pairs = model(**given), given["relations"]["pairs"]
    one_way = (pairs[:, 0] > pairs[:, 1]).nonzero().squeeze(1)
    for chosen in (torch.randperm(len(pairs)), one_way, one_way[:1], torch.tensor([5, 0, 5, 1]), one_way[:0]):
        found = model(**{**given, "relations": {"pairs": pairs[chosen]}})
        assert torch.allclose(found.relation_logits, whole.relation_logits[chosen], atol=1e-10)
        evidence = evidence_by_pair(found)
        expected = evidence_by_pair(whole)
        for number, source in enumerate(chosen.tolist()):
            assert evidence[number] == expected[source]


def evidence_by_pair(output: Any) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in output.pairs]
    if output.evidence_pair is not None:
        for pair, sentence in zip(output.evidence_pair.tolist(), output.evidence_sentence.tolist(), strict=True):
            found[pair].append(sentence)
    return found


@torch.no_grad()
def test_documents_in_a_batch_have_the_scores_of_the_documents_alone():
    model, documents = exact(), [*ODD_DOCUMENTS, *DOCUMENTS]
    alone = [model(**batch([document], model.config, "entities")) for document in documents]
    together = model(**batch(documents, model.config, "entities"))
    assert torch.allclose(together.relation_logits, torch.cat([output.relation_logits for output in alone]), atol=1e-9)
    assert evidence_by_pair(together) == [sentences for output in alone for sentences in evidence_by_pair(output)]


def test_a_long_document_without_entities_is_read():
    model = tiny_atlop()
    long = replace(THREE_WINDOWS, entities=(), relations=())
    for kind in ("training", "entities"):
        assert model(**batch([long], model.config, kind)).relation_logits.shape == (0, 3)
    model(**batch([long], model.config)).loss.backward()
    assert model(**batch([long, ANNA], model.config, "entities")).relation_logits.shape == (12, 3)


@pytest.mark.parametrize("documents", [[ANNA, ODD_DOCUMENTS[0]], [ODD_DOCUMENTS[0]], [ODD_DOCUMENTS[1]] * 2])
def test_a_tokenizer_without_start_and_end_tokens_serves(documents, monkeypatch):
    monkeypatch.setattr(features, "_special_ids", lambda tokenizer: ([], []))
    model = tiny_atlop()
    output = model(**batch(documents, model.config, "entities"))
    assert output.relation_logits.shape == (12 if ANNA in documents else 0, 3)
    assert torch.isfinite(output.relation_logits).all()


# --- which pairs ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_candidates_restrict_training_and_inference_alike():
    model = exact()
    candidates = (Candidate(2, 3), Candidate(0, 1), Candidate(1, 3, scored=False), Candidate(0, 1))
    some = replace(ANNA, candidates=candidates)
    inference = model(**batch([OTTO, some], model.config, "entities"))
    assert inference.pairs.tolist() == [[0, 1], [1, 0], [4, 5], [2, 3]]
    training = model(**batch([OTTO, some], model.config, negatives_relation=-1))
    whole = model(**batch([OTTO, ANNA], model.config, "entities"))
    expected = dict(zip(map(tuple, whole.pairs.tolist()), whole.relation_logits, strict=True))
    for output in (inference, training):
        assert len(output.pairs) == 4 and {tuple(p) for p in output.pairs.tolist()} == {(0, 1), (1, 0), (4, 5), (2, 3)}
        for pair, logits in zip(output.pairs.tolist(), output.relation_logits, strict=True):
            assert torch.allclose(logits, expected[tuple(pair)], atol=1e-10)
    nothing = model(**batch([replace(ANNA, candidates=())], model.config))
    assert nothing.relation_logits.shape == (0, 3) and nothing.loss.item() == 0


@torch.no_grad()
def test_training_and_inference_score_the_same_pairs_of_gold_documents():
    model = exact()
    training = model(**batch([*ODD_DOCUMENTS, *DOCUMENTS], model.config, negatives_relation=-1))
    inference = model(**batch([*ODD_DOCUMENTS, *DOCUMENTS], model.config, "entities"))
    found = dict(zip(map(tuple, training.pairs.tolist()), training.relation_logits, strict=True))
    assert sorted(found) == sorted(map(tuple, inference.pairs.tolist())) and len(found) == len(training.pairs)
    for pair, logits in zip(inference.pairs.tolist(), inference.relation_logits, strict=True):
        assert torch.allclose(found[tuple(pair)], logits, atol=1e-10)
