"""Memory-enhanced JEREX: the paper's formulas, gradients, switches, and what must not change scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_jerex import compare_losses, decide_in_the_middle, spread
from literal_memory import LiteralMemory, given_spans
from samples import ANNA, LONG, ODD_DOCUMENTS, OTTO, batch, build, per_document
from strategies import documents
from tiny import (
    ENTITY_TYPES,
    RELATION_TYPES,
    tiny_jerex,
    tiny_memory_jerex,
)
from torch import nn

from modeling_docre import MemoryJerexModel
from modeling_docre.candidates import Spans

REPOSITORY = Path(__file__).resolve().parents[1]
HALF = {"mention_threshold": 0.5, "coreference_threshold": 0.5, "relation_threshold": 0.5}
STAGES = ("mention", "coreference", "entity", "relation")
ENTITY_MEMORY, RELATION_MEMORY = (
    "entity_classifier.memory.weight",
    "relation_classifier.classifier.output.memory.weight",
)
SWITCHES: list[dict[str, Any]] = [
    {},
    {"relation_head": "global"},
    {"read_levels": "tokens"},
    {"read_levels": "mentions"},
    {"read_levels": "none"},
    {"mention_read": "kept_only"},
    {"mention_read": "kept_only", "read_levels": "mentions", "relation_head": "global"},
    {"mention_read": "off"},
    {"entity_memory": False},
    {"relation_memory": False, "mention_read": "kept_only"},
    {"entity_memory": False, "relation_memory": False},
    {"memory_read": False},
    {"memory_reading": False},
    {"read_grad": False},
    {"read_grad": False, "mention_read": "kept_only", "relation_head": "global"},
    {"similarity": "cosine"},
    {"similarity": "cosine", "relation_head": "global", "slot_size": 20, "cosine_scale": 5},
    {"read_similarity": "cosine"},
    {"read_similarity": "cosine", "slot_size": 20, "read_grad": False, "mention_read": "kept_only"},
    {"slot_size": 20},
]


def spread_memory_jerex(std: float = 0.3, **options: Any) -> MemoryJerexModel:
    """A model whose scores spread around one half and whose slots prefer some representations to others."""
    return spread(tiny_memory_jerex(**options), std=std)


def watch(model: MemoryJerexModel) -> dict[str, list[tuple[Any, torch.Tensor]]]:
    """What each reader is given and what it makes of it, from now on."""
    seen: dict[str, list[tuple[Any, torch.Tensor]]] = {}
    for level, reader in model.readers.items():
        found = seen.setdefault(level, [])
        reader.register_forward_hook(lambda module, given, result, found=found: found.append((given, result)))
    return seen


def assert_same_output(found: Any, wanted: Any, **tolerance: float) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[name], value, **(tolerance or {"rtol": 0, "atol": 0}), msg=name)


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
            assert len(model.readers) == (2 if model.config.levels_read else 0)
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


# --- over which spans mentions are read ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["candidates", "kept_only"])
@pytest.mark.parametrize("kind", ["training", "candidates", "mentions", "clusters", "entities"])
@torch.no_grad()
def test_spans_that_are_read(kind, mode):
    """All that are asked about; or the gold ones in training, the given ones, else those that reach the threshold."""
    model = spread_memory_jerex(0.2, mention_read=mode, **HALF)
    decide_in_the_middle(model, ANNA)
    seen = watch(model)
    made = batch([ANNA, OTTO, ODD_DOCUMENTS[0], LONG], model.config, kind, negatives_mention=20)
    output = model(**made)
    states, states_of = seen["tokens"][-1][1], seen["tokens"][-1][0][1]
    assert torch.bincount(states_of, minlength=4).tolist() == made["document_lengths"].tolist()
    assert len(states) == len(made["input_ids"])  # no padding
    ranges, owners = made["spans"]["subword_range"].tolist(), made["spans"]["document"]
    vectors = torch.stack([states[start:end].amax(0) for start, end in ranges])
    where = torch.arange(len(vectors))
    if mode == "kept_only":
        if kind == "training":
            where = made["span_labels"].nonzero().squeeze(1)
        elif kind == "candidates":
            where = (output.mention_logits.sigmoid() >= 0.5).nonzero().squeeze(1)
        assert (0 < len(where) < len(vectors)) == (kind in ("training", "candidates"))
    rows, documents_read = seen["mentions"][-1][0][:2]
    assert torch.equal(rows, vectors[where]) and torch.equal(documents_read, owners[where])


@torch.no_grad()
def test_only_kept_spans_change_and_after_they_are_scored():
    """Mention scores are those of a model whose mentions do not read; all that comes later differs."""
    kept, off = (spread_memory_jerex(0.2, mention_read=mode, **HALF) for mode in ("kept_only", "off"))
    off.load_state_dict(kept.state_dict(), strict=False)
    for model in (kept, off):
        decide_in_the_middle(model, OTTO)
    for made in (batch([ANNA, OTTO], kept.config), batch([OTTO], kept.config, "candidates")):
        ours, theirs = kept(**made), off(**made)
        assert torch.equal(ours.mention_logits, theirs.mention_logits)
        for name in ("coreference_logits", "entity_type_logits", "relation_logits"):
            mine, other = ours[name], theirs[name]
            assert mine.shape != other.shape or not torch.allclose(mine, other, atol=1e-3), name
    made = batch([ANNA], kept.config, negatives_mention=20)
    labels = made["span_labels"].bool()
    spans = Spans(**made["spans"])
    _, vectors = kept._encode(made["input_ids"], made["document_lengths"], spans, made["span_labels"])
    changed = (vectors["relation"] != vectors["mention"]).any(1)
    assert torch.equal(changed, labels)
    assert vectors["coreference"] is vectors["entity"] is vectors["relation"]


@pytest.mark.parametrize("mode", ["candidates", "kept_only", "off"])
@torch.no_grad()
def test_sampled_spans_share_the_slots_only_where_they_are_read(mode):
    model = spread_memory_jerex(mention_read=mode)
    few, many = (
        model(**batch([ANNA], model.config, negatives_mention=number, negatives_relation=-1)) for number in (2, 60)
    )
    assert len(few.mention_logits) + 50 < len(many.mention_logits)
    gold = sum(len(entity.mentions) for entity in ANNA.entities)
    changed = {
        "mention": not torch.allclose(few.mention_logits[:gold], many.mention_logits[:gold], atol=1e-3),
        "entity": not torch.allclose(few.entity_type_logits, many.entity_type_logits, atol=1e-3),
        "relation": not torch.allclose(few.relation_logits, many.relation_logits, atol=1e-3),
    }
    assert changed == dict.fromkeys(changed, mode == "candidates")


@pytest.mark.parametrize("document", [ANNA, OTTO, LONG, *ODD_DOCUMENTS], ids=lambda document: document.id)
@pytest.mark.parametrize("mode", ["candidates", "kept_only"])
@torch.no_grad()
def test_training_and_inference_ask_the_same_about_gold_entities(document, mode):
    model = spread_memory_jerex(mention_read=mode)
    negatives = 0 if mode == "candidates" else 30
    training = batch([document], model.config, negatives_relation=-1, negatives_mention=negatives)
    trained, found = model(**training), model(**batch([document], model.config, "entities"))
    assert torch.allclose(trained.entity_type_logits, found.entity_type_logits, atol=1e-5)
    row = {tuple(pair): number for number, pair in enumerate(found.pairs.tolist())}
    rows = [row.pop(tuple(pair)) for pair in trained.pairs.tolist()]
    assert not row
    assert torch.allclose(trained.relation_logits, found.relation_logits[rows], atol=1e-5)


# --- what must not change scores ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"relation_head": "global", "read_levels": "mentions"},
        {"mention_read": "kept_only", "similarity": "cosine"},
        {"read_levels": "tokens", "relation_memory": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["entities", "candidates"])
@torch.no_grad()
def test_company_order_and_padding_change_no_score(options, kind):
    model = spread_memory_jerex(0.1, max_span_size=3, **HALF, **options)
    corpus = [ANNA, LONG, OTTO, *ODD_DOCUMENTS]
    alone = []
    for document in corpus:
        made = batch([document], model.config, kind)
        alone += per_document(model(**made), made)
    for order in (list(range(len(corpus))), list(reversed(range(len(corpus))))):
        made = batch([corpus[index] for index in order], model.config, kind)
        for index, part in zip(order, per_document(model(**made), made), strict=True):
            for name, values in part.items():
                assert values.shape == alone[index][name].shape, (corpus[index].id, name)
                assert torch.allclose(values, alone[index][name], atol=1e-5, rtol=0), (corpus[index].id, name)
    assert made["document_lengths"].max() > 64 and made["document_lengths"].min() == 0
    assert any(len(part["relation"]) for part in alone)


@torch.no_grad()
def test_the_weights_of_each_document_of_a_batch_are_those_of_all_slots():
    """Over its own subwords and spans: whatever fills a batch up has none."""
    model = spread_memory_jerex(relation_types=[*RELATION_TYPES, "other"])
    seen = watch(model)
    corpus = [ANNA, ODD_DOCUMENTS[0], OTTO, build("one word", ["a"]), LONG]
    made = batch(corpus, model.config, "candidates")
    model(**made)
    for level, lengths in (
        ("tokens", made["document_lengths"]),
        ("mentions", torch.bincount(made["spans"]["document"], minlength=5)),
    ):
        [((rows, owners, number, memories), _)] = seen[level]
        assert number == 5 and len(rows) == len(owners) == lengths.sum()
        entity, relation = model.readers[level].weights(rows, owners, number, memories)
        for weights, slots in ((entity, 3), (relation, 4)):
            totals = torch.zeros(5).index_add(0, owners, weights)
            torch.testing.assert_close(totals, torch.where(lengths > 0, float(slots), 0.0))


MODES = ["candidates", "kept_only", "off"]


@pytest.mark.parametrize("options", [{}, {"relation_head": "global", "similarity": "cosine"}], ids=str)
@pytest.mark.parametrize("mode", MODES)
def test_odd_documents_train_alone_and_together(mode, options):
    model = spread_memory_jerex(0.1, mention_read=mode, **options)
    model.train()
    for corpus in [*([document] for document in ODD_DOCUMENTS), ODD_DOCUMENTS]:
        model.zero_grad()
        output = model(**batch(corpus, model.config))
        output.loss.backward()
        assert torch.isfinite(output.loss), corpus[0].id
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None), corpus[0].id
    empty = model(**batch([ODD_DOCUMENTS[0]], model.config))
    assert {name: loss.item() for name, loss in empty.losses.items()} == dict.fromkeys(STAGES, 0.0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
@torch.no_grad()
def test_odd_documents_are_read_whatever_is_kept_of_them(threshold, mode):
    """All spans, some, none; documents of one span and of no span."""
    model = spread_memory_jerex(0.1, mention_read=mode, max_span_size=3, **{**HALF, "mention_threshold": threshold})
    for corpus in [*([document] for document in ODD_DOCUMENTS), [*ODD_DOCUMENTS, ANNA]]:
        made = batch(corpus, model.config, "candidates")
        output = model(**made)
        kept = len(made["spans"]["document"]) if threshold == 0 else 0
        assert threshold == 0.5 or len(output.mentions) == kept
        for value in (output.mention_logits, output.entity_type_logits, output.relation_logits):
            assert torch.isfinite(value).all(), corpus[0].id


MODELS: dict[str, MemoryJerexModel] = {}


@given(st.lists(documents(ENTITY_TYPES, RELATION_TYPES), min_size=1, max_size=3), st.sampled_from(MODES))
@settings(max_examples=25, deadline=None)
def test_random_documents_train(corpus, mode):
    model = MODELS.setdefault(mode, spread_memory_jerex(0.1, mention_read=mode, **HALF))
    model.zero_grad()
    loss = model(**batch(corpus, model.config)).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("head", ["multi_instance", "global"])
@pytest.mark.parametrize("similarity", ["bilinear", "cosine"])
@torch.no_grad()
def test_half_precision_scores_alike(similarity, head):
    model = spread_memory_jerex(0.05, similarity=similarity, relation_head=head, cosine_scale=5.0)
    made = batch([ANNA, OTTO], model.config, "entities")
    wanted, found = model(**made), model.to(torch.bfloat16)(**made)
    for name in ("entity_type_logits", "relation_logits", "mention_logits"):
        torch.testing.assert_close(found[name].float(), wanted[name], atol=0.3, rtol=0.1)
