"""Joint against its formulas written out pair by pair, in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from literal_atlop import literal_threshold_loss
from literal_joint import (
    literal_entities,
    literal_evidence_loss,
    literal_incomplete_loss,
    literal_logits,
    mention_pair_weights,
    sentence_weights,
)
from samples import ANNA, ODD_DOCUMENTS, OTTO, THREE_WINDOWS, TWO_WINDOWS, batch
from tiny import tiny_jerex, tiny_joint

from modeling_docre.layers import adaptive_threshold_loss, threshold_losses
from modeling_docre.modeling_joint import evidence_loss

DOCUMENTS = [ANNA, TWO_WINDOWS, OTTO, THREE_WINDOWS]
OPTIONS = [
    {},
    {"mention_pool": "mean"},
    {"mention_pool": "first"},
    {"entity_pool": "max"},
    {"type_embedding": True},
    {"attended_context": False},
    {"pair_size": 48, "bilinear_groups": 3},
    {"loss": "bce"},
]


def exact(**options: Any) -> Any:
    """A tiny model in float64 with attention that is far from uniform; windows that share nothing, as the literal."""
    model = tiny_joint(**{"window_overlap": 0, **options}).double()
    for name, value in model.encoder.named_parameters():
        if value.dim() == 2 and "embedding" not in name:
            value.data *= 4
    return model


def literal(model: Any, documents: list, pairs: torch.Tensor) -> torch.Tensor:
    entities = literal_entities(model, documents)
    return torch.stack([literal_logits(model, entities[head], entities[tail]) for head, tail in pairs.tolist()])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@torch.no_grad()
def test_pairs_of_given_entities_and_their_loss_are_the_formulas(options: dict[str, Any]) -> None:
    model = exact(**options)
    output = model(**batch(DOCUMENTS, model.config, "entities"))
    logits = literal(model, DOCUMENTS, output.pairs)
    adaptive = model.config.loss == "at"
    expected = logits[:, 1:] - logits[:, :1] if adaptive else logits[:, 1:]
    assert torch.allclose(output.relation_logits, expected, atol=1e-9) and expected.std(0).min() > 1e-4

    training = batch(DOCUMENTS, model.config, negatives_relation=-1)
    output, labels = model(**training), training["relations"]["labels"]
    logits = literal(model, DOCUMENTS, output.pairs)
    if adaptive:
        loss = sum(map(literal_threshold_loss, logits, labels.bool())) / len(labels)
    else:
        chance = torch.sigmoid(logits[:, 1:])
        loss = -(labels * chance.log() + (1 - labels) * (1 - chance).log()).sum() / len(labels)
    assert output.losses["relation"].item() == pytest.approx(loss.item(), rel=1e-5)
    weighted = sum(getattr(model.config, f"{name}_weight") * value for name, value in output.losses.items())
    assert output.loss.item() == pytest.approx(weighted.item())


@torch.no_grad()
def test_mention_pairs_weigh_what_they_give_to_the_context() -> None:
    model = exact()
    output = model(**batch(DOCUMENTS, model.config, "entities"))
    entities = literal_entities(model, DOCUMENTS)
    sums = torch.zeros(len(output.pairs)).double().index_add(0, output.mention_pair_owner, output.mention_pair_weight)
    expected, members = [], []
    for head, tail in output.pairs.tolist():
        expected += mention_pair_weights(entities[head], entities[tail])
        members += [(i, j) for i in range(len(entities[head].attention)) for j in range(len(entities[tail].attention))]
    assert output.mention_pair_weight.tolist() == pytest.approx(expected, abs=1e-9)
    assert list(zip(output.mention_pair_head.tolist(), output.mention_pair_tail.tolist(), strict=True)) == members
    # Entities that no window holds together have no context in common.
    apart = sums == 0
    assert sums[~apart].tolist() == pytest.approx([1.0] * int((~apart).sum())) and 0 < apart.sum() < len(sums) / 4


@torch.no_grad()
def test_stages_a_to_c_are_those_of_jerex() -> None:
    """With JEREX's weights it finds the mentions, clusters and types of JEREX."""
    joint, jerex = tiny_joint(), tiny_jerex()
    source = jerex.state_dict()
    names = ("mention_classifier", "coreference_scorer", "entity_classifier")
    copied = {name: value for name, value in source.items() if name.split(".")[0] in names}
    copied |= {name.replace("encoders.0", "encoder"): v for name, v in source.items() if name.startswith("encoders.0")}
    missing = joint.load_state_dict(copied, strict=False)
    assert not missing.unexpected_keys
    joint.config.mention_threshold = jerex.config.mention_threshold = 0.5
    # JEREX reads no start and end tokens.
    given = batch([ANNA, OTTO], jerex.config, "candidates")
    found, expected = joint(**given), jerex(**given)
    fields = ("mention_logits", "mentions", "coreference_logits", "entity_members", "entity_sizes", "entity_types")
    for field in (*fields, "entity_type_logits", "pairs"):
        assert torch.equal(found[field], expected[field]), field
    assert 0 < len(found.mentions) < len(given["span_texts"])


def with_evidence(document: Any) -> Any:
    """The first relation is stated by sentence 0, the second by 0 and 1, the others by nothing that is known."""
    stated = [(0,), (0, 1), None, ()]
    relations = [replace(item, evidence=stated[n]) for n, item in enumerate(document.relations)]
    return replace(document, relations=tuple(relations))


@torch.no_grad()
def test_the_evidence_loss_of_a_batch_is_the_formula() -> None:
    model = exact()
    # A batch of documents of different numbers of sentences; the third has none that is known.
    documents = [with_evidence(ANNA), with_evidence(TWO_WINDOWS), OTTO]
    documents[0] = replace(  # two types of one pair: the mean of both distributions
        documents[0], relations=(*documents[0].relations[:2], replace(documents[0].relations[2], evidence=(2,)))
    )
    given = batch(documents, model.config, negatives_relation=-1)
    output, entities = model(**given), literal_entities(model, documents)
    pairs = [(0, 1), (0, 2), (4, 5), (4, 6)]
    shares = [[1, 0, 0], [0.25, 0.25, 0.5], [1, 0, 0], [0.5, 0.5, 0]]
    weights = [sentence_weights(entities[head], entities[tail], 3) for head, tail in pairs]
    assert output.losses["evidence"].item() == pytest.approx(literal_evidence_loss(weights, shares).item(), rel=1e-5)
    assert output.losses["evidence"].dtype == torch.float32
    plain = model(**batch([OTTO], model.config, negatives_relation=-1))
    assert plain.losses["evidence"].item() == 0


def test_evidence_trains_where_the_context_lies() -> None:
    model = exact()
    given = batch([with_evidence(ANNA)], model.config, negatives_relation=-1)
    model(**given).losses["evidence"].backward()
    assert model.encoder.model.encoder.layer[1].attention.self.query.weight.grad.abs().sum() > 0
    assert model.bilinear.linear.weight.grad is None


# --- the losses alone, on random input --------------------------------------------------------------------------------


def random_losses(pairs: int = 40, types: int = 5) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    kinds = torch.randint(4, (pairs, types), generator=generator)
    return torch.randn(pairs, 1 + types, generator=generator).double() * 3, {
        "labels": (kinds == 0).float(),
        "masked": kinds == 1,
        "complete": torch.rand(pairs, generator=generator) < 0.5,
        "soft": torch.rand(pairs, types, generator=generator),
        "taught": torch.rand(pairs, generator=generator) < 0.7,
    }


def test_masked_types_enter_no_term_and_unlabelled_ones_weigh_less() -> None:
    logits, relations = random_losses()
    logits.requires_grad_()
    loss = threshold_losses(logits, relations, 0.2)["relation"]
    weights = [1.0 if complete else 0.2 for complete in relations["complete"]]
    rows = zip(logits, relations["labels"], relations["masked"], weights, strict=True)
    expected = sum(literal_incomplete_loss(*row) for row in rows) / len(logits)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    [gradient] = torch.autograd.grad(loss, logits)
    assert (gradient[:, 1:][relations["masked"]] == 0).all() and (gradient[:, 1:][~relations["masked"]] != 0).all()


def test_complete_labels_without_masks_have_the_loss_of_the_paper() -> None:
    logits, relations = random_losses()
    relations |= {"masked": torch.zeros_like(relations["masked"]), "complete": torch.ones(40, dtype=torch.bool)}
    plain = threshold_losses(logits, {"labels": relations["labels"]}, 0.2)
    assert plain.keys() == {"relation"}
    assert threshold_losses(logits, relations, 0.2)["relation"].item() == plain["relation"].item()


def test_positives_inside_one_logarithm_are_the_same_loss_for_at_most_one() -> None:
    logits, relations = random_losses()
    labels = relations["labels"]
    margins = logits[:, 1:] - logits[:, :1]
    inside = torch.where(labels.bool(), (-margins).exp(), 0.0).sum(1)
    outside = torch.where(labels.bool(), 0.0, margins.exp()).sum(1)
    variant = torch.log(1 + inside) + torch.log(1 + outside)
    single = labels.sum(1) <= 1
    for number in range(len(logits)):
        loss = adaptive_threshold_loss(logits[number : number + 1], labels[number : number + 1])
        assert (loss.item() == pytest.approx(variant[number].item(), rel=1e-5)) == bool(single[number])
    assert 5 < single.sum() < 35


def test_distillation_is_the_cross_entropy_between_the_scores_of_taught_pairs() -> None:
    logits, relations = random_losses()
    expected = []
    for number in relations["taught"].nonzero().flatten().tolist():
        chance = torch.sigmoid(logits[number, 1:] - logits[number, 0])
        soft = relations["soft"][number]
        expected.append(-(soft * chance.log() + (1 - soft) * (1 - chance).log()).sum())
    loss = threshold_losses(logits, relations, 0.2)["distillation"]
    assert loss.item() == pytest.approx((sum(expected) / len(expected)).item(), rel=1e-5)
    nobody = {**relations, "taught": torch.zeros(40, dtype=torch.bool)}
    assert threshold_losses(logits, nobody, 0.2)["distillation"].item() == 0


def test_evidence_loss_on_random_weights() -> None:
    generator = torch.Generator().manual_seed(1)
    counts = torch.tensor([3, 5, 1, 4])
    weights = torch.rand(4, 5, generator=generator).double()
    weights[torch.arange(5) >= counts[:, None]] = 0.0
    weights[1, 2] = 0.0  # nothing lies on its evidence
    pairs, sentences = torch.tensor([0, 1, 1, 3]), torch.tensor([2, 2, 4, 0])
    shares = torch.tensor([1.0, 0.5, 0.5, 1.0])
    table = torch.zeros(4, 5).index_put((pairs, sentences), shares)
    rows = [0, 1, 3]  # the third has no evidence
    expected = literal_evidence_loss(
        [weights[r, : counts[r]] for r in rows], [table[r, : counts[r]].tolist() for r in rows]
    )
    loss = evidence_loss(weights, counts, pairs, sentences, shares)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(expected.item(), rel=1e-5)
    nothing = torch.zeros(0, dtype=torch.int64)
    assert evidence_loss(weights, counts, nothing, nothing, torch.zeros(0)).item() == 0
    half = evidence_loss(weights.half(), counts, pairs, sentences, shares)
    assert half.dtype == torch.float32 and half.item() == pytest.approx(expected.item(), rel=1e-2)


def test_a_teachers_weights_pull_as_their_divergence() -> None:
    """The loss is the Kullback-Leibler divergence from the teacher up to a constant: the same gradient."""
    generator = torch.Generator().manual_seed(2)
    weights = torch.rand(3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    teacher = torch.softmax(torch.randn(3, 4, generator=generator), dim=1)
    pairs, sentences = torch.ones(3, 4).nonzero(as_tuple=True)
    loss = evidence_loss(weights, torch.full((3,), 4), pairs, sentences, teacher.flatten())
    student = (weights + 1e-6) / (weights + 1e-6).sum(1, keepdim=True)
    divergence = (teacher * (teacher.log() - student.log())).sum() / 3
    found, expected = (torch.autograd.grad(value, weights)[0] for value in (loss, divergence))
    assert torch.allclose(found, expected, atol=1e-6) and expected.abs().min() > 1e-4
    assert loss.item() != pytest.approx(divergence.item())


# --- what is damaged, left out or odd ---------------------------------------------------------------------------------


@torch.no_grad()
def test_pairs_of_damaged_entities_are_scored_as_such_and_the_other_stages_keep_gold() -> None:
    model = exact()
    whole = batch([TWO_WINDOWS, ANNA], model.config, negatives_relation=-1)
    given = batch([TWO_WINDOWS, ANNA], model.config, negatives_relation=-1, entity_noise=1.0)
    relations = given["relations"]
    assert not torch.equal(relations["members"], given["entities"]["members"])
    damaged = []
    for number, document in enumerate([TWO_WINDOWS, ANNA]):
        mentions = [(mention, entity.type) for entity in document.entities for mention in entity.mentions]
        first = int((given["spans"]["document"] < number).sum())
        rows = (relations["document"] == number).nonzero().flatten().tolist()
        starts = (relations["sizes"].cumsum(0) - relations["sizes"]).tolist()
        entities = []
        for row in rows:
            members = relations["members"][starts[row] : starts[row] + relations["sizes"][row]] - first
            own = [mentions[member] for member in members.tolist()]
            entities.append(replace(document.entities[0], type=own[0][1], mentions=tuple(item for item, _ in own)))
        damaged.append(replace(document, entities=tuple(entities), relations=()))
    output = model(**given)
    logits = literal(model, damaged, relations["pairs"])
    assert torch.allclose(output.relation_logits, logits[:, 1:] - logits[:, :1], atol=1e-9)
    kept = ("members", "sizes", "document")
    assert all(torch.equal(given["entities"][name], whole["entities"][name]) for name in kept)


@torch.no_grad()
def test_what_the_types_of_a_pair_do_not_allow_is_not_scored() -> None:
    model = tiny_joint(mention_threshold=0.0, coreference_threshold=1.0)
    given = batch([OTTO], model.config, "candidates")
    given["spans"] = {name: values[:8] for name, values in given["spans"].items()}
    given["span_texts"] = list(given["span_texts"])[:8]
    model.entity_classifier.output.bias.data -= model(**given).entity_type_logits.mean(0)  # each type somewhere
    every = model(**given)
    allowed = torch.tensor(np.eye(3, dtype=bool))[:, :, None] & torch.tensor([True, False, True])
    some = model(**given, allowed_types=allowed)
    of_pairs = allowed[every.entity_types[every.pairs[:, 0]], every.entity_types[every.pairs[:, 1]]]
    kept = of_pairs.any(1)
    assert torch.equal(some.pairs, every.pairs[kept]) and 0 < kept.sum() < len(kept)
    expected = every.relation_logits.masked_fill(~of_pairs, -torch.inf)[kept]
    assert expected.isinf().any() and torch.allclose(some.relation_logits, expected, atol=1e-6)
    nothing = model(**given, allowed_types=torch.zeros(3, 3, 3, dtype=torch.bool))
    assert nothing.relation_logits.shape == (0, 3) and len(nothing.mention_pair_owner) == 0


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"attended_context": False}, {"loss": "bce"}])
def test_given_pairs_are_all_kept_whatever_their_types_allow(options: dict[str, Any]) -> None:
    model = tiny_joint(**options)
    given = batch([ANNA, OTTO], model.config, "entities")
    allowed = torch.arange(27).view(3, 3, 3) % 4 == 0
    every, some = model(**given), model(**given, allowed_types=allowed)
    head, tail = given["entity_types"][given["relations"]["pairs"]].unbind(1)
    expected = every.relation_logits.masked_fill(~allowed[head, tail], -torch.inf)
    assert 0 < expected.isinf().sum() < expected.numel()
    assert torch.equal(some.pairs, every.pairs) and torch.allclose(some.relation_logits, expected, atol=1e-6)


def test_groups_that_do_not_divide_the_pair_are_refused() -> None:
    with pytest.raises(
        StrictDataclassClassValidationError, match="bilinear_groups is 5; give a divisor of the pair's width, 32"
    ):
        tiny_joint(bilinear_groups=5)
    with pytest.raises(StrictDataclassClassValidationError, match="pair_size"):
        tiny_joint(pair_size=0)
    assert tiny_joint(bilinear_groups=None, pair_size=128).config.pair_groups == 2


def test_odd_documents_have_finite_gradients_with_evidence() -> None:
    model = tiny_joint()
    for document in ODD_DOCUMENTS:
        stated = tuple(replace(item, evidence=(0,)) for item in document.relations)
        loss = model(**batch([replace(document, relations=stated)], model.config, negatives_relation=-1)).loss
        if loss.requires_grad:
            model.zero_grad()
            loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
