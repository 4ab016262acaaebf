"""JEREX as a whole against the paper's formulas in double precision, its sizes, and what must not change scores."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_jerex import LiteralJerex, compare_gradients, compare_losses, decide_in_the_middle, network, spread
from samples import ANNA, LONG, ODD_DOCUMENTS, OTTO, batch, build, per_document
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_jerex
from torch import nn
from transformers import BertConfig

import modeling_docre.stage_entities as coreference
import modeling_docre.stage_relations as relations
from modeling_docre.candidates import Entities, Spans, mention_pairs
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.decoding import decode
from modeling_docre.modeling_jerex import JerexModel
from modeling_docre.stage_relations import contexts

HALF = {"mention_threshold": 0.5, "coreference_threshold": 0.5, "relation_threshold": 0.5}
HEADS = ["multi_instance", "global"]


@pytest.mark.parametrize("task", ["joint", "pipeline"])
@pytest.mark.parametrize("head", HEADS)
@torch.no_grad()
def test_inference_equals_the_formulas(head, task):
    model = tiny_jerex(relation_head=head, task=task, max_span_size=2, **HALF)
    for number, encoder in enumerate(model.encoders):  # tell the encoders of a pipeline apart
        encoder.model.embeddings.word_embeddings.weight.mul_(1 + number)
    model = spread(model, std=0.2).double()
    document = build("short", ["anna b in ulm .", "he is in ulm"])
    decide_in_the_middle(model, document)
    output = model(**batch([document], model.config, "candidates"))
    logits, groups, kinds, scored = LiteralJerex(model, document).extract()
    assert torch.allclose(output.mention_logits, logits, atol=1e-8)
    spans = [tuple(span) for span in batch([document], model.config, "candidates")["spans"]["word_range"].tolist()]
    found = [[spans[m] for m in part] for part in output.entity_members.split(output.entity_sizes.tolist())]
    assert found == groups and 1 < len(groups) < sum(map(len, groups)) < len(spans)
    assert output.entity_types.tolist() == kinds
    assert torch.allclose(output.relation_logits, scored, atol=1e-8)


@pytest.mark.parametrize("task", ["joint", "pipeline"])
@pytest.mark.parametrize("head", HEADS)
def test_training_losses_equal_the_formulas(head, task):
    model = spread(tiny_jerex(relation_head=head, task=task)).double()
    made = batch([ANNA, OTTO], model.config, negatives_mention=6, negatives_coreference=4, negatives_relation=3)
    output = model(**made)
    literal = [LiteralJerex(model, document) for document in (ANNA, OTTO)]
    spans = [tuple(span) for span in made["spans"]["word_range"].tolist()]
    owners = made["spans"]["document"].tolist()
    mention = [literal[d].mention_logit(span) for d, span in zip(owners, spans, strict=True)]
    pairs = made["coreference"]["pairs"].tolist()
    linked = [literal[owners[i]].coreference_logit(spans[i], spans[j]) for i, j in pairs]
    gold = [
        (d, [document.span(m) for m in entity.mentions], ENTITY_TYPES.index(entity.type))
        for d, document in enumerate((ANNA, OTTO))
        for entity in document.entities
    ]
    compare_losses(model, output, made, literal, gold, mention, linked)


# Sizes -----------------------------------------------------------------------------------------------------------


def sized(**options) -> JerexModel:
    """A model of the size of bert-base-cased with 700 positions and DocRED's labels, without memory."""
    config = JerexConfig(
        encoder_config=BertConfig(vocab_size=28996, max_position_embeddings=700),
        entity_types=[f"E{number}" for number in range(6)],
        relation_types=[f"P{number}" for number in range(96)],
        **options,
    )
    with torch.device("meta"):
        return JerexModel(config)


def count(module: nn.Module | None) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_of_the_paper():
    model = sized()
    assert count(model.encoders) == 107_719_680 + 188 * 768 == 107_864_064
    assert count(model.mention_classifier) == 611_311
    assert count(model.coreference_scorer) == 1_207_885
    assert count(model.entity_classifier) == 595_206
    assert count(model.relation_classifier) == 3_710_004
    assert count(model) == 113_988_470
    model = sized(relation_head="global")
    assert count(model.relation_classifier) == 1_292_790
    assert count(model) == 111_571_256
    assert count(sized(task="relation")) == 111_574_068
    assert count(sized(task="pipeline")) == 4 * 107_864_064 + 113_988_470 - 107_864_064


@pytest.mark.parametrize(
    ("options", "fewer"),
    [({"entity_repr": False}, 2 * 768 * 768), ({"localized_context": False}, 768 * 768), ({"pairing": "all"}, 0)],
)
def test_ablations_take_parameters_away(options, fewer):
    assert count(sized()) - count(sized(**options)) == fewer


@pytest.mark.parametrize("task", ["mention", "coreference", "entity", "relation"])
def test_a_single_stage_has_one_encoder_and_its_own_head(task):
    model = sized(task=task)
    heads = {
        "mention": model.mention_classifier,
        "coreference": model.coreference_scorer,
        "entity": model.entity_classifier,
        "relation": model.relation_classifier,
    }
    assert [name for name, head in heads.items() if head is not None] == [task]
    assert count(model) == 107_864_064 + count(heads[task])


# What must not change scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"relation_head": "global"}, {"task": "pipeline"}, {"task": "relation"}], ids=str
)
@pytest.mark.parametrize("kind", ["entities", "candidates"])
@torch.no_grad()
def test_company_order_and_padding_change_no_score(options, kind):
    if kind == "candidates" and options.get("task") == "relation":
        kind = "entities"
    model = spread(tiny_jerex(max_span_size=3, **HALF, **options), std=0.1)
    corpus = [ANNA, LONG, OTTO, *ODD_DOCUMENTS]
    alone = []
    for document in corpus:
        made = batch([document], model.config, kind)
        alone += per_document(model(**made), made)
    for order in (range(len(corpus)), reversed(range(len(corpus)))):
        order = list(order)
        made = batch([corpus[index] for index in order], model.config, kind)
        for index, part in zip(order, per_document(model(**made), made), strict=True):
            for name, values in part.items():
                assert values.shape == alone[index][name].shape, (corpus[index].id, name)
                assert torch.allclose(values, alone[index][name], atol=1e-5, rtol=0), (corpus[index].id, name)
    assert made["document_lengths"].max() > 64


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("document", [ANNA, OTTO, LONG, *ODD_DOCUMENTS], ids=lambda document: document.id)
@torch.no_grad()
def test_training_and_inference_ask_the_same_about_gold_entities(document, head):
    model = spread(tiny_jerex(relation_head=head))
    training, asked = (
        batch([document], model.config, "training", negatives_relation=-1, negatives_mention=0),
        batch([document], model.config, "entities"),
    )
    trained, found = model(**training), model(**asked)
    row = {tuple(pair): number for number, pair in enumerate(found.pairs.tolist())}
    rows = [row.pop(tuple(pair)) for pair in trained.pairs.tolist()]
    assert not row
    assert torch.allclose(trained.relation_logits, found.relation_logits[rows], atol=1e-6)
    if head == "multi_instance":
        for number, other in enumerate(rows):
            mine, theirs = trained.mention_pair_owner == number, found.mention_pair_owner == other
            for name in ("mention_pair_head", "mention_pair_tail", "mention_pair_weight"):
                assert torch.allclose(trained[name][mine].float(), found[name][theirs].float())
            contexts_of = [context_of(made, out.pairs) for made, out in ((training, trained), (asked, found))]
            for mine_values, theirs_values in zip(*contexts_of, strict=True):
                assert torch.equal(mine_values[mine], theirs_values[theirs])


def context_of(made, pairs):
    spans, entities = Spans(**made["spans"]), Entities(**made["entities"])
    listed = mention_pairs(entities, pairs)
    return contexts(spans, listed.head, listed.tail)


@pytest.mark.parametrize("document", [ANNA, OTTO, LONG], ids=lambda document: document.id)
@torch.no_grad()
def test_training_and_inference_ask_the_same_about_gold_mentions(document):
    model = spread(tiny_jerex(coref_symmetrise="mean"))
    training = batch([document], model.config, "training", negatives_coreference=10_000, negatives_mention=0)
    asked = batch([document], model.config, "mentions")
    trained, found = model(**training), model(**asked)
    by_spans = {}
    spans = [tuple(span) for span in asked["spans"]["word_range"].tolist()]
    half = len(found.coreference_logits) // 2
    listed = [(i, j) for i in range(len(spans)) for j in range(i + 1, len(spans))]
    for number, (i, j) in enumerate(listed):
        by_spans[spans[i], spans[j]] = found.coreference_logits[number]
        by_spans[spans[j], spans[i]] = found.coreference_logits[half + number]
    spans = [tuple(span) for span in training["spans"]["word_range"].tolist()]
    assert len(by_spans) == len(trained.coreference_logits)
    for (i, j), logit in zip(training["coreference"]["pairs"].tolist(), trained.coreference_logits, strict=True):
        assert logit.item() == pytest.approx(by_spans[spans[i], spans[j]].item(), abs=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_chunks_change_neither_scores_nor_gradients(head, monkeypatch):
    model = spread(tiny_jerex(relation_head=head))
    made = batch([ANNA, OTTO, LONG], model.config)
    whole = model(**made)
    with torch.no_grad():
        asked = model(**batch([ANNA, LONG], model.config, "mentions"))
    for module in (coreference, relations):
        monkeypatch.setattr(module, "PAIR_CHUNK", 3)
    parts = model(**made)
    compare_gradients(model, whole.loss, parts.loss)
    with torch.no_grad():
        again = model(**batch([ANNA, LONG], model.config, "mentions"))
    for first, second in ((whole, parts), (asked, again)):
        for name, value in first.items():
            if isinstance(value, torch.Tensor):
                assert torch.allclose(value, second[name], atol=1e-5), name


def test_the_upper_triangle_decides():
    """s(0, 1) merges, s(1, 0) does not, where only the score of (earlier, later) counts."""
    document = build("x", ["a b"], [("PER", [(0, 0, 1)]), ("PER", [(0, 1, 2)])])
    for high, low, merged in ((3.0, -3.0, True), (-3.0, 3.0, False)):
        for mode, expected in (("upper", merged), ("mean", False), ("max_distance", False)):
            model = tiny_jerex(coref_symmetrise=mode)

            def score(vectors, pairs, distances, high=high, low=low):
                return torch.where(pairs[:, 0] < pairs[:, 1], high, low)

            model.coreference_scorer.forward = score
            output = model(**batch([document], model.config, "mentions"))
            assert (len(output.entity_sizes) == 1) == expected, (mode, merged)


# Tasks and options -----------------------------------------------------------------------------------------------

GIVEN = {"mention": "candidates", "coreference": "mentions", "entity": "clusters", "relation": "entities"}


@pytest.mark.parametrize(
    "options",
    [
        {"task": "joint"},
        {"task": "pipeline"},
        {"task": "mention"},
        {"task": "coreference"},
        {"task": "entity"},
        {"task": "relation"},
        {"relation_head": "global"},
        {"entity_repr": False},
        {"localized_context": False},
        {"pairing": "intra_sentence_or_closest"},
        {"long_input": "extend", "extended_positions": 200},
    ],
    ids=str,
)
def test_every_variant_learns_and_predicts(options):
    torch.manual_seed(0)
    model = tiny_jerex(**options)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(12):
        output = model(**batch([ANNA, OTTO, LONG], model.config, seed=step, negatives_mention=30))
        optimizer.zero_grad()
        output.loss.backward()
        missing = [name for name, value in model.named_parameters() if value.grad is None]
        assert not missing
        optimizer.step()
        losses.append(output.loss.item())
    assert set(output.losses) == set(model.config.traits.stages)
    assert losses[-1] < 0.8 * losses[0]
    model.eval()
    kind = GIVEN.get(model.config.task, "candidates")
    made = batch([ANNA, OTTO], model.config, kind)
    with torch.no_grad():
        decoded = decode(
            model(**made), made["spans"], [ANNA, OTTO], model.config, kind if kind != "candidates" else None
        )
    assert [document.id for document in decoded] == ["anna", "otto"]


@pytest.mark.parametrize(
    "options",
    [
        {"entity_repr": False},
        {"localized_context": False},
        {"pairing": "intra_sentence_or_closest"},
        {"relation_head": "global"},
    ],
    ids=str,
)
def test_every_ablation_changes_scores(options):
    model, other = spread(tiny_jerex()), spread(tiny_jerex(**options))
    made = batch([ANNA], model.config, "entities")
    assert not torch.allclose(model(**made).relation_logits, other(**made).relation_logits)


def test_weights_of_stages_weigh_the_loss():
    weights = {"mention_weight": 2.0, "coreference_weight": 0.0, "entity_weight": 3.0, "relation_weight": 0.5}
    model = tiny_jerex(**weights)
    output = model(**batch([ANNA], model.config))
    expected = sum(weights[f"{name}_weight"] * loss for name, loss in output.losses.items())
    assert output.loss.item() == pytest.approx(expected.item())


def test_dropout_of_entities_feeds_types_and_relations_alike():
    model = tiny_jerex(relation_head="global")
    made = batch([ANNA], model.config, "entities")
    model.entity_dropout.train()
    model.entity_dropout.p = 1.0
    output = model(**made)
    zero = torch.zeros(32)
    assert torch.allclose(output.entity_type_logits, network(model.entity_classifier, zero).expand(4, -1), atol=1e-6)
    types = model.relation_classifier.type_embedding.weight[[0, 1]]
    assert torch.allclose(output.relation_logits[0], network(model.relation_classifier.classifier, zero, zero, *types))


@pytest.mark.parametrize("task", ["coreference", "entity", "relation"])
def test_a_stage_without_its_input_says_what_is_missing(task):
    model = tiny_jerex(task=task)
    with pytest.raises(ValueError, match=rf'task="{task}".*mentions'):
        model(**batch([ANNA], model.config, "candidates"))


def test_relations_need_typed_entities():
    model = tiny_jerex(task="relation")
    with pytest.raises(ValueError, match=r'task="relation".*types'):
        model(**batch([ANNA], model.config, "clusters"))


# Documents of every kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"relation_head": "global"},
        {"task": "pipeline"},
        {"pairing": "intra_sentence_or_closest"},
        {"task": "relation"},
    ],
    ids=str,
)
def test_odd_documents_train_alone_and_together(options):
    model = tiny_jerex(**options)
    model.train()
    for corpus in [*([document] for document in ODD_DOCUMENTS), ODD_DOCUMENTS]:
        model.zero_grad()
        output = model(**batch(corpus, model.config))
        output.loss.backward()
        assert torch.isfinite(output.loss), corpus[0].id
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None), corpus[0].id


def test_stages_without_samples_contribute_nothing():
    model = tiny_jerex()
    output = model(**batch([ODD_DOCUMENTS[0]], model.config))
    assert {name: loss.item() for name, loss in output.losses.items()} == dict.fromkeys(model.config.traits.stages, 0.0)
    one = next(document for document in ODD_DOCUMENTS if document.id == "one entity")
    losses = model(**batch([one], model.config)).losses
    assert losses["coreference"].item() == losses["relation"].item() == 0 < losses["entity"].item()


def test_documents_without_samples_do_not_dilute_the_mean():
    model = tiny_jerex(task="relation")
    with_empty = model(**batch([ANNA, ODD_DOCUMENTS[0], ODD_DOCUMENTS[2]], model.config)).loss
    assert with_empty.item() == pytest.approx(model(**batch([ANNA], model.config)).loss.item(), rel=1e-5)


RANDOM = st.lists(documents(ENTITY_TYPES, RELATION_TYPES), min_size=1, max_size=3)
MODELS = {}


@given(RANDOM, st.sampled_from(HEADS))
@settings(max_examples=25, deadline=None)
def test_random_documents_train(corpus, head):
    model = MODELS.setdefault(head, spread(tiny_jerex(relation_head=head, **HALF), std=0.1))
    model.zero_grad()
    loss = model(**batch(corpus, model.config)).loss
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
