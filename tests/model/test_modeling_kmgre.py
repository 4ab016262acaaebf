"""KMGRE against its equations written out mention pair by mention pair: scores, both steps, and their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from literal_kmgre import DOCUMENTS, SOME_KEYS, LiteralKmgre, LiteralNetwork, exact_kmgre
from samples import ANNA, ODD_DOCUMENTS, OTTO, THREE_WINDOWS, batch

from modeling_docre import modeling_kmgre, stage_key_pairs
from modeling_docre import stage_localized_context as localized_context
from modeling_docre.candidates import Entities, MentionPairs, Spans, Text, mention_pairs
from modeling_docre.modeling_kmgre import EXPECTATION, MAXIMIZATION, frozen

NORMS = ["norm_then_mean", "norm_then_sum", "sum_then_norm"]
MARKERS = ["star_per_token", "star_per_mention", "none"]


def marked(given: dict[str, Any]) -> tuple[Text, MentionPairs]:
    """What both networks read of a batch, and its mention pairs."""
    text = Text(given["input_ids"], given["document_lengths"], Spans(**given["spans"]), given["special_lengths"])
    return text, mention_pairs(Entities(**given["entities"]), given["relations"]["pairs"])


# --- scores --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity_markers", MARKERS)
@pytest.mark.parametrize("head_norm", NORMS)
@torch.no_grad()
def test_logits_of_mention_pairs_are_the_equations(head_norm, entity_markers):
    model = exact_kmgre(head_norm=head_norm, entity_markers=entity_markers)
    given = batch(DOCUMENTS, model.config, "entities")
    lengths = given["document_lengths"].tolist()
    assert lengths[0] <= 64 < lengths[1] <= 126 < lengths[3], lengths
    text, candidates = marked(given)
    literal = LiteralKmgre(model, DOCUMENTS, given["relations"]["pairs"])
    wanted = [(model.relation_extractor, torch.cat(literal.logits))]
    wanted.append((model.key_classifier, torch.cat(literal.key_logits)[:, None]))
    for network, expected in wanted:
        found = network(network.read(text), text, candidates)
        assert torch.allclose(found, expected, atol=1e-9)
        assert expected.std(0).min() > 0.05
    assert not torch.allclose(wanted[0][1][:, :1], wanted[1][1], atol=0.1)


DECISIONS = [
    {},
    SOME_KEYS,
    {**SOME_KEYS, "xi": 0.0, "head_norm": "sum_then_norm"},
    {**SOME_KEYS, "entity_markers": "none", "head_norm": "norm_then_sum"},
    {"expectation_updates": 100, "tau_base": 0.5, "tau_max": 1.0, "xi": 1.0},  # the best alone
    {**SOME_KEYS, "fusion": "label_assignment"},
    {"fusion": "label_assignment"},
    {**SOME_KEYS, "shared_encoder": True},
    {**SOME_KEYS, "key_classifier": False},
    {**SOME_KEYS, "key_classifier": False, "fusion": "label_assignment"},
]


@pytest.mark.parametrize("options", DECISIONS, ids=str)
@torch.no_grad()
def test_the_decision_is_the_equations(options):
    model = exact_kmgre(**options)
    given = batch(DOCUMENTS, model.config, "entities")
    pairs = given["relations"]["pairs"]
    output, literal = model(**given), LiteralKmgre(model, DOCUMENTS, pairs)
    fused, keys = literal.fused(), literal.selected()
    chosen = [key for row in keys for key in row]
    if model.key_classifier is None or model.config.tau == 0:
        assert all(chosen)
    else:
        assert len(keys) < sum(chosen) < len(chosen) or options.get("xi") == 1.0
        assert torch.allclose(output.mention_pair_key_logits, torch.cat(literal.key_logits), atol=1e-9)
    assert (output.mention_pair_key_logits is None) == (model.key_classifier is None)

    assert output.loss is None and output.losses is None and output.pairs is pairs
    expected = torch.stack([logits[1:] - logits[0] for logits in fused])
    assert torch.allclose(output.relation_logits, expected, atol=1e-9)
    assert expected.std(0).min() > 0.1
    own = torch.cat([logits[:, 1:] - logits[:, :1] for logits in literal.logits])
    assert torch.allclose(output.mention_pair_logits, own, atol=1e-9)
    shares = torch.cat([_shares(*each, model.config.fusion) for each in zip(literal.logits, keys, fused, strict=True)])
    assert torch.allclose(output.mention_pair_weight, shares, atol=1e-9)
    sizes = [len(entity.mentions) for document in DOCUMENTS for entity in document.entities]
    place = [(n, i, j) for n, (a, b) in enumerate(pairs.tolist()) for i in range(sizes[a]) for j in range(sizes[b])]
    found = (output.mention_pair_owner, output.mention_pair_head, output.mention_pair_tail)
    assert list(zip(*(values.tolist() for values in found), strict=True)) == place


def _shares(logits: torch.Tensor, keys: list[bool], fused: torch.Tensor, fusion: str) -> torch.Tensor:
    """The shares [mention pairs, types] of an entity pair's mention pairs in the logit of each type."""
    if fusion == "logsumexp":
        powers = logits[:, 1:].exp() * torch.tensor(keys)[:, None]
        return powers / powers.sum(0)
    excess = logits[:, 1:] - logits[:, :1]
    best = excess.masked_fill(~torch.tensor(keys)[:, None], float("-inf")).max(0).values
    return (excess == best).double()


# --- both steps ----------------------------------------------------------------------------------------------------


def learn(options: dict[str, Any], phase: str) -> tuple[Any, LiteralKmgre, Any, torch.Tensor]:
    """A model after a backward pass of a phase, the formula over the same pairs, the model's output, the labels."""
    model = exact_kmgre(**options)
    model.phase = phase
    training = batch(DOCUMENTS, model.config, negatives_relation=-1)
    output = model(**training)
    output.loss.backward()
    labels = training["relations"]["labels"]
    assert 0 < labels.any(1).sum() < len(labels)
    return model, LiteralKmgre(model, DOCUMENTS, training["relations"]["pairs"]), output, labels


def assert_gradients(network: Any, literal: LiteralNetwork, own_encoder: bool = True) -> None:
    compared = [("weight", network.classifier.weight, literal.weight), ("bias", network.classifier.bias, literal.bias)]
    if own_encoder:
        named = zip(network.encoder.model.named_parameters(), literal.encoder.parameters(), strict=True)
        compared += [(name, value, twin) for (name, value), twin in named]
    for name, value, twin in compared:
        assert torch.allclose(value.grad, twin.grad, rtol=1e-4, atol=1e-5 * twin.grad.abs().max().item() + 1e-12), name
        assert twin.grad.any() or "key.bias" in name, name


def assert_untouched(network: Any) -> None:
    assert [name for name, value in network.named_parameters() if value.grad is not None] == []


M_STEPS = [
    {},
    SOME_KEYS,
    {**SOME_KEYS, "head_norm": "norm_then_sum", "entity_markers": "none"},
    {**SOME_KEYS, "head_norm": "sum_then_norm", "entity_markers": "star_per_mention"},
    {**SOME_KEYS, "shared_encoder": True},
    {**SOME_KEYS, "key_classifier": False},
    {"fusion": "label_assignment"},
    {**SOME_KEYS, "fusion": "label_assignment"},
    {**SOME_KEYS, "fusion": "label_assignment", "shared_encoder": True, "head_norm": "norm_then_sum"},
]


@pytest.mark.parametrize("options", M_STEPS, ids=str)
def test_the_maximization_step_is_the_equations(options):
    model, literal, output, labels = learn(options, MAXIMIZATION)
    loss = literal.maximization_loss(labels)
    loss.backward()
    assert output.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert output.losses.keys() == {"relation"} and torch.equal(output.losses["relation"], output.loss)
    expected = torch.stack([logits[1:] - logits[0] for logits in literal.fused()])
    assert torch.allclose(output.relation_logits, expected, atol=1e-9)
    assert output.mention_pair_owner is None
    keys = [key for row in literal.selected() for key in row]
    assert output.statistics["kept_key"].item() == pytest.approx(sum(keys) / len(keys))
    assert_gradients(model.relation_extractor, literal.extractor)
    if model.key_classifier is not None:
        assert_untouched(model.key_classifier)


E_STEPS = [
    {"seed": 4},  # with other pseudo labels if logits were compared instead of probabilities
    {},
    SOME_KEYS,
    {"estep_pairs": "related"},
    {"focal_alpha": "balanced"},
    {"focal_alpha": "balanced", "alpha": 0.9, "gamma": 0.5, "estep_pairs": "related"},
    {"gamma": 0, "alpha": 1},
    {"head_norm": "norm_then_sum", "entity_markers": "none"},
    {"head_norm": "sum_then_norm"},
    {"shared_encoder": True},
    {"fusion": "label_assignment"},
]


@pytest.mark.parametrize("options", E_STEPS, ids=str)
def test_the_expectation_step_is_the_equations(options):
    model, literal, output, labels = learn(options, EXPECTATION)
    loss = literal.expectation_loss(labels)
    loss.backward()
    assert output.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert output.losses.keys() == {"key"} and output.losses["key"] is output.loss
    assert output.relation_logits is None
    assigned = [any(row) for rows in literal.assigned(labels) for row in rows]
    assert 0 < sum(assigned) < len(assigned)
    related = [rows for rows, gold in zip(literal.logits, labels, strict=True) if gold.any()]
    share = sum(assigned) / sum(map(len, related))  # of the mention pairs that could have been labelled
    assert output.statistics["labelled_key"].item() == pytest.approx(share) and 0 < share < 1
    assert_gradients(model.key_classifier, literal.classifier, own_encoder=not model.config.shared_encoder)
    assert_untouched(model.relation_extractor)


def test_the_options_of_the_expectation_step_are_different_losses():
    losses = [learn(options, EXPECTATION)[2].loss.item() for options in E_STEPS[3:7]]
    assert len({round(loss, 4) for loss in losses}) == len(losses)


# --- blocks --------------------------------------------------------------------------------------------------------


def everything(model: Any, documents: Any) -> list[torch.Tensor]:
    """Scores and explanation at inference, and losses and gradients of both phases."""
    given = batch(documents, model.config, "entities")
    with torch.no_grad():
        output = model(**given)
    found = [output.relation_logits, output.mention_pair_weight, output.mention_pair_key_logits]
    found.append(model(**given).relation_logits.detach())
    for phase in (EXPECTATION, MAXIMIZATION):
        model.phase = phase
        model.zero_grad()
        loss = model(**batch(documents, model.config, negatives_relation=-1)).loss
        loss.backward()
        found += [loss.detach(), *[value.grad.clone() for value in model.parameters() if value.grad is not None]]
    return found


@pytest.mark.parametrize("head_norm", NORMS)
def test_blocks_change_neither_scores_nor_losses_nor_gradients(head_norm, monkeypatch):
    model = exact_kmgre(head_norm=head_norm, **SOME_KEYS)
    documents, calls = [ANNA, *ODD_DOCUMENTS, THREE_WINDOWS, OTTO], []
    pool = stage_key_pairs._pool_block
    monkeypatch.setattr(stage_key_pairs, "_pool_block", lambda *given: calls.append(0) or pool(*given))
    counts = {}
    for weights in (2**40, 1, 300, 1500):
        monkeypatch.setattr(localized_context, "BLOCK_WEIGHTS", weights)
        calls.clear()
        found = everything(model, documents)
        counts[weights] = len(calls)
        if weights == 2**40:
            whole = found
        for value, expected in zip(found, whole, strict=True):
            assert torch.allclose(value, expected, atol=1e-8)
    assert counts[1] >= counts[300] >= counts[1500] > counts[2**40]


# --- a frozen network ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_a_frozen_network_runs_as_at_inference_and_takes_up_its_mode_again(training):
    network = exact_kmgre().relation_extractor.train(training)
    with frozen(network):
        assert not torch.is_grad_enabled() and not any(module.training for module in network.modules())
        with frozen(network):
            pass
        assert not torch.is_grad_enabled() and not any(module.training for module in network.modules())
    assert torch.is_grad_enabled() and all(module.training == training for module in network.modules())
    with pytest.raises(KeyError), frozen(network):
        raise KeyError
    assert torch.is_grad_enabled() and all(module.training == training for module in network.modules())


def test_pseudo_labels_come_without_dropout_and_keys_are_judged_without(monkeypatch):
    """What the other network says is the same in each pass; what the learning one says differs."""
    model = exact_kmgre(**SOME_KEYS).train()
    training = batch(DOCUMENTS, model.config, negatives_relation=-1)
    seen: dict[str, list[torch.Tensor]] = {"labels": [], "key logits": [], "keys": [], "losses": []}
    focal, select = modeling_kmgre.focal_loss, modeling_kmgre.select_key_pairs
    monkeypatch.setattr(
        modeling_kmgre,
        "focal_loss",
        lambda logits, labels, *rest: (
            seen["labels"].append(labels) or seen["key logits"].append(logits) or focal(logits, labels, *rest)
        ),
    )
    monkeypatch.setattr(
        modeling_kmgre,
        "select_key_pairs",
        lambda scores, *rest: seen["keys"].append(scores) or select(scores, *rest),
    )
    for _ in range(3):
        model.phase = EXPECTATION
        model(**training)
        model.phase = MAXIMIZATION
        seen["losses"].append(model(**training).loss)
    for name in ("labels", "keys"):
        assert all(torch.equal(values, seen[name][0]) for values in seen[name]), name
    for name in ("key logits", "losses"):
        assert not torch.equal(seen[name][0], seen[name][1]) and not torch.equal(seen[name][1], seen[name][2]), name
