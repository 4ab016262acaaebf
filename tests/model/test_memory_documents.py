"""Memory-enhanced JEREX on documents: which spans are read, what must not change scores, odd documents."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_jerex import decide_in_the_middle
from literal_memory import HALF, spread_memory_jerex, watch
from samples import ANNA, LONG, ODD_DOCUMENTS, OTTO, batch, build, per_document
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES

from modeling_docre import MemoryJerexModel
from modeling_docre.candidates import Spans, Text

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
    vectors = kept.encode(Text(made["input_ids"], made["document_lengths"], spans), made["span_labels"]).vectors
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
    assert {name: loss.item() for name, loss in empty.losses.items()} == dict.fromkeys(model.config.traits.stages, 0.0)


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
