"""Variants of KMGRE: what they leave out, which pairs they score, mixed precision, odd documents, and their files."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
import torch
from encoder_configs import SMALL
from literal_kmgre import DOCUMENTS, SOME_KEYS, LiteralKmgre, exact_kmgre
from samples import ANNA, ODD_DOCUMENTS, OTTO, TWO_WINDOWS, batch, build
from tiny import ENTITY_TYPES, tiny_encoder, tiny_encoder_config, tiny_kmgre
from transformers import AutoModel, BertConfig

from modeling_docre.configuration_kmgre import KmgreConfig
from modeling_docre.documents import Candidate
from modeling_docre.modeling_kmgre import EXPECTATION, MAXIMIZATION, KmgreModel

PHASES = (EXPECTATION, MAXIMIZATION)
ABLATIONS: dict[str, dict[str, Any]] = {
    "kmgre": {},
    "some key pairs": SOME_KEYS,
    "without key classifier": {"key_classifier": False},
    "without fusion": {**SOME_KEYS, "fusion": "label_assignment"},
    "without both": {"key_classifier": False, "fusion": "label_assignment"},
    "shared encoder": {**SOME_KEYS, "shared_encoder": True},
    "sum of the heads": {"head_norm": "norm_then_sum"},
    "heads joined first": {"head_norm": "sum_then_norm"},
    "other relaxation": {**SOME_KEYS, "tau_max": 1.0, "xi": 0.9},
    "marked per mention": {"entity_markers": "star_per_mention"},
    "without markers": {"entity_markers": "none"},
}
SHARED_START = build(
    "nested", ["anna b is of bern"], [("PER", [(0, 0, 2), (0, 4, 5)]), ("ORG", [(0, 0, 1)])], [(0, 1, "seat")]
)


def learn(model: Any, training: dict[str, Any], phase: str) -> torch.Tensor:
    model.phase = phase
    return model(**training).loss


def own_phases(model: Any) -> tuple[str, ...]:
    return PHASES if model.key_classifier is not None else (MAXIMIZATION,)


@pytest.mark.slow
def test_every_ablation_learns_and_is_another_function():
    seen, documents = {}, [SHARED_START, OTTO]
    for name, options in ABLATIONS.items():
        model = exact_kmgre(**options)
        with torch.no_grad():
            seen[name] = model(**batch([SHARED_START, *DOCUMENTS], model.config, "entities")).relation_logits
        training = batch(documents, model.config, negatives_relation=-1)
        for phase in own_phases(model):
            optimizer, losses = torch.optim.AdamW(model.parameters(), lr=1e-4), []
            for _ in range(3):
                optimizer.zero_grad()
                loss = learn(model, training, phase)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            assert losses[0] > losses[1] > losses[2] > 0, (name, phase, losses)
    for first, second in combinations(seen, 2):
        assert not torch.allclose(seen[first], seen[second], atol=1e-4), (first, second)


def test_without_key_classifier_nothing_of_it_is_left_and_all_mention_pairs_are_fused():
    whole, without = exact_kmgre(), exact_kmgre(key_classifier=False, **SOME_KEYS)
    without.relation_extractor.load_state_dict(whole.relation_extractor.state_dict())
    assert without.key_classifier is None
    assert {name.split(".")[0] for name, _ in without.named_parameters()} == {"relation_extractor"}
    assert not [key for key in without.state_dict() if "key" in key.split(".")[0]]
    given = batch(DOCUMENTS, without.config, "entities")
    output = without(**given)
    literal = LiteralKmgre(without, DOCUMENTS, given["relations"]["pairs"])
    expected = torch.stack([logits.logsumexp(0) for logits in literal.logits])
    assert torch.allclose(output.relation_logits, expected[:, 1:] - expected[:, :1], atol=1e-9)
    # Without an update of the E-step the classifier does not count either.
    assert torch.allclose(output.relation_logits, whole(**given).relation_logits, atol=1e-9)
    training = batch([ANNA], without.config)
    assert torch.equal(learn(without, training, MAXIMIZATION), learn(whole, training, MAXIMIZATION))


@torch.no_grad()
def test_before_the_first_expectation_step_all_mention_pairs_are_key():
    model = exact_kmgre()
    given = batch(DOCUMENTS, model.config, "entities")
    everyone = model(**given).mention_pair_weight
    model.config.expectation_updates = 100_000
    some = model(**given).mention_pair_weight
    assert everyone.min() > 0 and 0 < (some == 0).all(1).sum() < len(some)
    for shares in (everyone, some):
        owners = model(**given).mention_pair_owner
        sums = torch.zeros(int(owners.max()) + 1, 3).double().index_add(0, owners, shares)
        assert torch.allclose(sums, torch.ones_like(sums))


@torch.no_grad()
def test_a_mention_pair_alone_decides_alone():
    one = build("one", ["a b c d"], [("PER", [(0, 0, 1)]), ("LOC", [(0, 2, 3)])], [(0, 1, "born")])
    for options in (SOME_KEYS, {**SOME_KEYS, "fusion": "label_assignment"}, {"key_classifier": False}):
        model = exact_kmgre(**options)
        output = model(**batch([one], model.config, "entities"))
        assert torch.allclose(output.relation_logits, output.mention_pair_logits)
        assert torch.allclose(output.mention_pair_weight, torch.ones(2, 3).double())


@torch.no_grad()
def test_of_equal_mention_pairs_all_that_are_key_decide():
    for fusion in ("logsumexp", "label_assignment"):
        model = exact_kmgre(**SOME_KEYS, fusion=fusion)
        model.relation_extractor.classifier.weight.zero_()
        output = model(**batch(DOCUMENTS, model.config, "entities"))
        keys, owners = output.mention_pair_weight.any(1), output.mention_pair_owner
        assert (~keys).sum() > 0 and set(owners[keys].tolist()) == set(owners.tolist())
        shares = 1 / torch.bincount(owners[keys])[owners[keys]] if fusion == "logsumexp" else torch.ones(keys.sum())
        assert torch.allclose(output.mention_pair_weight[keys], shares[:, None].double().expand(-1, 3))
        assert torch.allclose(output.relation_logits, output.relation_logits[:1].expand(len(output.pairs), 3))


# --- pairs and batches ---------------------------------------------------------------------------------------------


@torch.no_grad()
def test_pairs_in_any_order_in_one_direction_and_twice_have_their_scores():
    model = exact_kmgre(**SOME_KEYS)
    given = batch(DOCUMENTS, model.config, "entities")
    whole, pairs = model(**given), given["relations"]["pairs"]
    one_way = (pairs[:, 0] > pairs[:, 1]).nonzero().squeeze(1)
    for chosen in (torch.randperm(len(pairs)), one_way, one_way[:1], torch.tensor([5, 0, 5, 1]), one_way[:0]):
        found = model(**{**given, "relations": {"pairs": pairs[chosen]}})
        assert torch.allclose(found.relation_logits, whole.relation_logits[chosen], atol=1e-10)
        assert found.mention_pair_weight.shape == (len(found.mention_pair_owner), 3)


@torch.no_grad()
def test_both_orders_of_a_mention_pair_weight_the_context():
    """With the same weights for head and tail, nothing tells both orders apart."""
    for head_norm in ("norm_then_mean", "norm_then_sum", "sum_then_norm"):
        model = exact_kmgre(head_norm=head_norm)
        weight = model.relation_extractor.classifier.weight
        weight[:, 32:64] = weight[:, :32]
        output = model(**batch([ANNA, TWO_WINDOWS], model.config, "entities"))
        place = {tuple(pair): number for number, pair in enumerate(output.pairs.tolist())}
        logits = output.relation_logits
        for (head, tail), number in place.items():
            assert torch.allclose(logits[number], logits[place[tail, head]], atol=1e-12)
        assert logits.std(0).min() > 0.1


@torch.no_grad()
def test_documents_in_a_batch_have_the_scores_of_the_documents_alone():
    model, documents = exact_kmgre(**SOME_KEYS), [*ODD_DOCUMENTS, *DOCUMENTS]
    alone = [model(**batch([document], model.config, "entities")) for document in documents]
    together = model(**batch(documents, model.config, "entities"))
    for name in ("relation_logits", "mention_pair_weight", "mention_pair_key_logits"):
        expected = torch.cat([getattr(output, name) for output in alone])
        assert torch.allclose(getattr(together, name), expected, atol=1e-9)


@torch.no_grad()
def test_candidates_restrict_training_and_inference_alike():
    model = exact_kmgre(**SOME_KEYS)
    some = replace(ANNA, candidates=(Candidate(2, 3), Candidate(0, 1), Candidate(1, 3, scored=False)))
    whole = model(**batch([ANNA], model.config, "entities"))
    expected = dict(zip(map(tuple, whole.pairs.tolist()), whole.relation_logits, strict=True))
    for kind in ("training", "entities"):
        output = model(**batch([some], model.config, kind))
        assert sorted(map(tuple, output.pairs.tolist())) == [(0, 1), (2, 3)]
        for pair, logits in zip(output.pairs.tolist(), output.relation_logits, strict=True):
            assert torch.allclose(logits, expected[tuple(pair)], atol=1e-10)


# --- odd documents and mixed precision -----------------------------------------------------------------------------

LEARNING = [{}, SOME_KEYS, {**SOME_KEYS, "fusion": "label_assignment"}, {**SOME_KEYS, "shared_encoder": True}]
LEARNING += [{**SOME_KEYS, "estep_pairs": "related", "entity_markers": "none"}, {"key_classifier": False}]
each_learning = pytest.mark.parametrize("options", LEARNING, ids=str)


@each_learning
def test_odd_documents_in_every_phase(options):
    model = tiny_kmgre(**options).train()
    for phase in own_phases(model):
        for documents in (*[[document] for document in ODD_DOCUMENTS], ODD_DOCUMENTS[:5], ODD_DOCUMENTS):
            model.zero_grad()
            training = batch(documents, model.config, negatives_relation=-1)
            loss = learn(model, training, phase)
            loss.backward()
            assert torch.isfinite(loss) and loss.requires_grad
            labels = training["relations"]["labels"]
            unread = phase == EXPECTATION and model.config.estep_pairs == "related" and not labels.any()
            assert (loss == 0) == (len(labels) == 0 or unread)
            found = [value.grad for value in model.parameters() if value.grad is not None]
            assert found and all(torch.isfinite(gradient).all() for gradient in found)
            assert loss > 0 or not any(gradient.any() for gradient in found)


def bf16_gradients(model: Any, training: dict[str, Any], phases: tuple[str, ...], together: bool) -> dict[str, Any]:
    """Losses and gradients of some steps in bfloat16, one after the other, all within one context or each in its own.

    A context keeps what it has cast once.
    """
    model.zero_grad()
    losses: list[torch.Tensor] = []
    if together:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses += [learn(model, training, phase) for phase in phases]
    for phase in () if together else phases:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses.append(learn(model, training, phase))
    sum(losses).backward()
    assert all(loss.dtype == torch.float32 for loss in losses)
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    return {"losses": torch.stack(losses).detach(), **gradients}


@each_learning
def test_a_frozen_pass_takes_no_gradient_from_a_later_one_in_mixed_precision(options):
    model = tiny_kmgre(**options)
    training = batch(DOCUMENTS, model.config, negatives_relation=-1)
    for phases in (own_phases(model), (MAXIMIZATION, *own_phases(model)), own_phases(model) * 2):
        wanted = bf16_gradients(model, training, phases, together=False)
        found = bf16_gradients(model, training, phases, together=True)
        assert wanted.keys() == found.keys() == {"losses", *dict(model.named_parameters())}
        for name, value in wanted.items():
            assert torch.allclose(found[name], value, rtol=1e-2, atol=1e-3 * value.abs().max().item()), (phases, name)
            assert value.any(), name


@each_learning
def test_mixed_precision_has_the_losses_of_float32(options):
    model = tiny_kmgre(**options)
    for documents in (DOCUMENTS, ODD_DOCUMENTS, ODD_DOCUMENTS[:3]):
        training = batch(documents, model.config, negatives_relation=-1)
        found = bf16_gradients(model, training, own_phases(model), together=True)
        exact = [learn(model, training, phase).item() for phase in own_phases(model)]
        assert found["losses"].tolist() == pytest.approx(exact, rel=0.05)


# --- parameters and files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("types", "heads"), [(96, 223_585), (65, 152_130)])
def test_parameters_of_the_heads(types, heads):
    encoder = BertConfig(**{**SMALL, "hidden_size": 768, "num_hidden_layers": 1, "max_position_embeddings": 8})
    model = KmgreModel(KmgreConfig(encoder_config=encoder, relation_types=[f"P{number}" for number in range(types)]))
    sizes: dict[str, int] = {}
    for name, value in model.named_parameters():
        part = ".".join(name.split(".")[:2])
        sizes[part] = sizes.get(part, 0) + value.numel()
    assert sizes["relation_extractor.classifier"] == heads and sizes["key_classifier.classifier"] == 2305
    assert sizes["relation_extractor.encoder"] == sizes["key_classifier.encoder"]


def test_a_warm_start_fills_every_encoder_and_leaves_nothing_uninitialised():
    model, shared = tiny_kmgre(), tiny_kmgre(shared_encoder=True)
    source = {name: value for name, value in tiny_encoder().state_dict().items() if "pooler" not in name}
    for encoder in (model.relation_extractor.encoder, model.key_classifier.encoder, shared.relation_extractor.encoder):
        found = encoder.model.state_dict()
        assert found.keys() == source.keys() and all(torch.equal(found[name], value) for name, value in source.items())
    assert shared.key_classifier.encoder is None
    assert {name for name, _ in shared.named_parameters() if name.startswith("key")} == {
        "key_classifier.classifier.weight",
        "key_classifier.classifier.bias",
    }
    pointers = [value.data_ptr() for value in model.parameters()]
    assert len(set(pointers)) == len(pointers)
    for network in (model.relation_extractor, model.key_classifier, shared.key_classifier):
        assert network.classifier.weight.std().item() == pytest.approx(0.02, rel=0.35)
        assert not network.classifier.bias.any()


@pytest.mark.parametrize("options", [SOME_KEYS, {"key_classifier": False}, {**SOME_KEYS, "shared_encoder": True}])
@torch.no_grad()
def test_saving_and_loading_keep_scores(options, tmp_path):
    model = tiny_kmgre(**options)
    given = batch([ANNA, *ODD_DOCUMENTS, OTTO], model.config, "entities")
    wanted = model(**given)
    model.save_pretrained(tmp_path)
    for loaded in (KmgreModel.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)):
        assert type(loaded) is KmgreModel and loaded.config.tau == model.config.tau
        output = loaded(**given)
        assert torch.equal(output.relation_logits, wanted.relation_logits)
        assert torch.equal(output.mention_pair_weight, wanted.mention_pair_weight)
    eager = KmgreModel.from_pretrained(tmp_path, attn_implementation="eager")
    assert torch.allclose(eager(**given).relation_logits, wanted.relation_logits, atol=1e-5)


def test_heads_that_a_file_does_not_hold_are_initialised(tmp_path, monkeypatch):
    """Models are built without memory for their weights; what the file lacks must be drawn, not left as it lies."""
    model = tiny_kmgre()
    kept = {name: value for name, value in model.state_dict().items() if ".encoder." in name}
    model.save_pretrained(tmp_path, state_dict=kept)
    make = torch.empty_like

    def poisoned(*arguments: Any, **options: Any) -> torch.Tensor:
        made = make(*arguments, **options)
        return made.fill_(float("nan")) if made.is_floating_point() and made.device.type != "meta" else made

    monkeypatch.setattr(torch, "empty_like", poisoned)
    loaded = KmgreModel.from_pretrained(tmp_path)
    assert all(torch.isfinite(value).all() for value in loaded.parameters())
    for network in (loaded.relation_extractor, loaded.key_classifier):
        assert network.classifier.weight.std() > 0.01 and not network.classifier.bias.any()


def test_no_relation_types_are_refused():
    with pytest.raises(ValueError, match="relation_types is empty"):
        KmgreModel(KmgreConfig(encoder_config=tiny_encoder_config(), entity_types=ENTITY_TYPES))
