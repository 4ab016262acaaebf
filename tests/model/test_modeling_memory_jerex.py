"""Memory-enhanced JEREX: the paper's formulas, gradients and switches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from literal_jerex import compare_losses, decide_in_the_middle
from literal_memory import HALF, SWITCHES, LiteralMemory, assert_same_output, given_spans, spread_memory_jerex, watch
from samples import ANNA, ODD_DOCUMENTS, OTTO, batch, build
from tiny import (
    ENTITY_TYPES,
    tiny_jerex,
    tiny_memory_jerex,
)
from torch import nn

from modeling_docre import MemoryJerexModel

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = ("mention", "coreference", "entity", "relation")
ENTITY_MEMORY, RELATION_MEMORY = (
    "entity_classifier.memory.weight",
    "relation_classifier.classifier.output.memory.weight",
)
# --- the formulas -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", SWITCHES, ids=str)
@torch.no_grad()
def test_inference_equals_the_formulas(options):
    model = spread_memory_jerex(0.2, max_span_size=2, **HALF, **options).double()
    document = build("short", ["anna b in ulm .", "he is in ulm"])
    decide_in_the_middle(model, document)
    made = batch([document], model.config, "candidates")
    output, spans = model(**made), given_spans(made)
    logits, groups, kinds, scored = LiteralMemory(model, document, spans).extract()
    assert torch.allclose(output.mention_logits, logits, atol=1e-8)
    found = [[spans[m] for m in part] for part in output.entity_members.split(output.entity_sizes.tolist())]
    assert found == groups and 1 < len(groups) < sum(map(len, groups)) < len(spans)
    assert output.entity_types.tolist() == kinds
    assert torch.allclose(output.relation_logits, scored, atol=1e-8)


@pytest.mark.parametrize("options", SWITCHES, ids=str)
def test_training_losses_and_gradients_equal_the_formulas(options):
    """Two documents of different length, whose slots each have a weight of one in either."""
    model, corpus = spread_memory_jerex(0.2, **options).double(), (ANNA, OTTO)
    made = batch(corpus, model.config, negatives_mention=6, negatives_coreference=4, negatives_relation=3)
    output = model(**made)
    spans, owners = [tuple(span) for span in made["spans"]["word_range"].tolist()], made["spans"]["document"].tolist()
    gold = [
        (number, [document.span(mention) for mention in entity.mentions], ENTITY_TYPES.index(entity.type))
        for number, document in enumerate(corpus)
        for entity in document.entities
    ]
    literal = []
    for number, document in enumerate(corpus):
        own = given_spans(made, number)
        known = [n for n, span in enumerate(own) if any(span in cluster for d, cluster, _ in gold if d == number)]
        literal.append(LiteralMemory(model, document, own, known))
    mention = [literal[d].mention_logit(span) for d, span in zip(owners, spans, strict=True)]
    linked = [
        literal[owners[i]].coreference_logit(spans[i], spans[j]) for i, j in made["coreference"]["pairs"].tolist()
    ]
    compare_losses(model, output, made, literal, gold, mention, linked)


@torch.no_grad()
def test_one_subword_is_read_with_the_weight_of_all_slots():
    """Golden by hand: alone in its document, it has the weight 3 of either memory, then again as a span."""
    document, made = build("one word", ["a"]), {}
    for options in ({}, {"entity_memory": False}, {"mention_read": "off"}, {"memory_reading": False}):
        model = spread_memory_jerex(**options)
        seen = watch(model)
        model(**batch([document], model.config, "candidates"))
        made[str(options)] = {level: found[0][1] / found[0][0][0] for level, found in seen.items() if found}
    both, one = torch.full((1, 32), (1 + 3 + 3) / 3), torch.full((1, 32), (1 + 3) / 2)
    torch.testing.assert_close(made["{}"], {"tokens": both, "mentions": both})
    torch.testing.assert_close(made["{'entity_memory': False}"], {"tokens": one, "mentions": one})
    torch.testing.assert_close(made["{'mention_read': 'off'}"], {"tokens": both})
    assert made["{'memory_reading': False}"] == {}


# --- gradients into and around the memories -------------------------------------------------------------------------


def reached(model: MemoryJerexModel, stage: str) -> set[str]:
    """Parameters that the loss of a stage moves."""
    model.zero_grad()
    made = batch([ANNA, OTTO], model.config, negatives_mention=10)
    model(**made).losses[stage].backward()
    return {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}


OF_STAGE = {"entity": {ENTITY_MEMORY}, "relation": {RELATION_MEMORY}}  # what a stage writes itself


@pytest.mark.parametrize("head", ["multi_instance", "global"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("read_grad", [True, False])
def test_which_losses_reach_which_memory(read_grad, stage, head):
    model = spread_memory_jerex(read_grad=read_grad, relation_head=head)
    found = reached(model, stage)
    both = {ENTITY_MEMORY, RELATION_MEMORY}
    assert found & both == (both if read_grad else OF_STAGE.get(stage, set()))
    matrices = {name for name, _ in model.named_parameters() if name.startswith("readers.")}
    assert len(matrices) == 4 and matrices <= found  # readers learn from each stage, whatever the memories do
    assert any(name.startswith("encoders.") for name in found)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({"memory_reading": False}, ()),
        ({"memory_read": False}, ()),
        ({"read_levels": "none"}, ()),
        ({"entity_memory": False}, (RELATION_MEMORY,)),
        ({"relation_memory": False}, (ENTITY_MEMORY,)),
        ({"read_levels": "tokens"}, (ENTITY_MEMORY, RELATION_MEMORY)),
        ({"read_levels": "mentions"}, (ENTITY_MEMORY, RELATION_MEMORY)),
        ({"similarity": "cosine"}, (ENTITY_MEMORY, RELATION_MEMORY)),
    ],
    ids=str,
)
def test_what_is_not_read_is_reached_by_its_own_classifier_alone(options, read, stage):
    model = spread_memory_jerex(**options)
    found = reached(model, stage)
    assert found & {ENTITY_MEMORY, RELATION_MEMORY} == {*read, *OF_STAGE.get(stage, ())}
    assert any(name.startswith("readers.") for name in found) == bool(read)


def test_mentions_are_decided_before_the_kept_ones_read():
    model = spread_memory_jerex(mention_read="kept_only", read_levels="mentions")
    assert not {name for name in reached(model, "mention") if "memory" in name or name.startswith("readers.")}
    assert {ENTITY_MEMORY, RELATION_MEMORY} <= reached(model, "coreference")


@pytest.mark.parametrize("head", ["multi_instance", "global"])
def test_types_enter_relations_as_slots_without_a_gradient(head):
    model = spread_memory_jerex(relation_head=head, memory_reading=False, slot_size=20)
    made = batch([ANNA], model.config, "entities")
    before = model(**made).relation_logits
    before.sum().backward()
    assert model.entity_classifier.memory.weight.grad is None
    with torch.no_grad():
        model.entity_classifier.memory.weight[ENTITY_TYPES.index("ORG")] += 1.0
    changed = (model(**made).relation_logits != before).any(1)
    organisations = {n for n, entity in enumerate(ANNA.entities) if entity.type == "ORG"}
    assert changed.tolist() == [bool(organisations & set(pair)) for pair in made["relations"]["pairs"].tolist()]
    assert not hasattr(model.relation_classifier.type_embedding, "weight")


def test_dropout_is_where_jerex_has_it():
    model = spread_memory_jerex(relation_head="global")
    plain = [name for name, module in tiny_jerex(relation_head="global").named_modules() if is_dropout(module)]
    ours = [name for name, module in model.named_modules() if is_dropout(module)]
    assert ours == [name for name in plain if name != "entity_classifier.dropout"]
    model.entity_dropout.train()
    model.entity_dropout.p = 1.0
    output = model(**batch([ANNA], model.config, "entities"))
    assert not output.entity_type_logits.any()
    hidden = model.relation_classifier.classifier.hidden
    slots = model.entity_classifier.memory.weight
    inputs = torch.cat([torch.zeros(64), slots[ENTITY_TYPES.index("PER")], slots[ENTITY_TYPES.index("LOC")]])
    wanted = model.relation_classifier.classifier.output(torch.relu(hidden.weight @ inputs + hidden.bias)[None])
    torch.testing.assert_close(output.relation_logits[:1], wanted)


def is_dropout(module: nn.Module) -> bool:
    return isinstance(module, nn.Dropout)


# --- switches -----------------------------------------------------------------------------------------------------

OFF: list[dict[str, Any]] = [
    {"memory_read": False},
    {"read_levels": "none"},
    {"memory_reading": False},
    {"entity_memory": False, "relation_memory": False},
    {"read_levels": "mentions", "mention_read": "off"},
    {"memory_read": False, "mention_read": "kept_only"},
    {"memory_reading": False, "mention_read": "kept_only"},
]


@pytest.mark.parametrize("head", ["multi_instance", "global"])
@torch.no_grad()
def test_all_ways_not_to_read_give_the_same_scores(head):
    reading = spread_memory_jerex(0.1, relation_head=head, max_span_size=3, **HALF)
    corpus = [ANNA, OTTO, ODD_DOCUMENTS[0]]
    for kind in ("training", "candidates", "entities"):
        made = batch(corpus, reading.config, kind)
        outputs = []
        for options in OFF:
            model = tiny_memory_jerex(relation_head=head, max_span_size=3, **HALF, **options)
            assert model.load_state_dict(reading.state_dict(), strict=False).missing_keys == []
            assert len(model.readers) == (2 if model.config.traits.memory_levels else 0)
            outputs.append(model(**made))
        for output in outputs[1:]:
            assert_same_output(output, outputs[0])
        assert not torch.allclose(reading(**made).mention_logits, outputs[0].mention_logits, atol=1e-3)


@pytest.mark.parametrize(
    "options",
    [options for options in SWITCHES[1:] if not {"relation_head", "slot_size", "read_grad"} & options.keys()],
    ids=str,
)
@torch.no_grad()
def test_every_switch_changes_scores_under_the_same_weights(options):
    usual, other = spread_memory_jerex(), spread_memory_jerex(**options)
    assert other.load_state_dict(usual.state_dict(), strict=False).missing_keys == []
    made = batch([ANNA], usual.config)
    assert not torch.allclose(usual(**made).relation_logits, other(**made).relation_logits, atol=1e-3)


@torch.no_grad()
def test_read_grad_changes_no_score():
    made = batch([ANNA, OTTO], tiny_memory_jerex().config)
    first, second = (spread_memory_jerex(read_grad=value)(**made) for value in (True, False))
    assert_same_output(first, second)


@torch.no_grad()
def test_reading_is_switched_by_the_configuration_while_the_model_lives():
    model = spread_memory_jerex()
    made, seen = batch([ANNA], model.config), watch(model)
    scores, calls = [], []
    for reading in (True, False, True):
        model.config.memory_reading = reading
        scores.append(model(**made).relation_logits)
        calls.append([len(found) for found in seen.values()])
    assert calls == [[1, 1], [1, 1], [2, 2]]
    assert torch.equal(scores[0], scores[2]) and not torch.allclose(scores[0], scores[1], atol=1e-3)
