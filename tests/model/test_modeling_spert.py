"""SpERT against its equations written out span by span, and what must change nothing or something."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import torch
from literal_encoding import eager_twin
from literal_spert import enumerated_spans, literal_pair_logits, literal_sentences, literal_span_logits
from samples import ANNA, ODD_DOCUMENTS, OTTO, batch, build
from tiny import tiny_encoder, tiny_spert, tiny_tokenizer
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from modeling_docre import encoder, modeling_spert
from modeling_docre.candidates import span_candidates
from modeling_docre.configuration_spert import SpertConfig
from modeling_docre.documents import Document
from modeling_docre.modeling_spert import SpertModel
from modeling_docre.predictor import Predictor

UNICODE = build("unicode", ["日 \u200b e\u0301 anna \u00e9 🇨🇭 ulm"], [("PER", [(0, 3, 4)]), ("LOC", [(0, 6, 7)])])
WIDE = build(
    "three hundred words",
    ["anna b was born in berlin , ulm or bern ." + " and she works in ulm or x9" * 41 + " is the seat"],
    [("PER", [(0, 0, 2)]), ("LOC", [(0, 5, 6)]), ("ORG", [(0, 299, 301)])],
    [(0, 1, "born"), (0, 2, "works")],
)
DOCUMENTS = [ANNA, *ODD_DOCUMENTS, UNICODE, OTTO]
OPTIONS = [
    {},
    {"context": "full"},
    {"context": "cls"},
    {"span_pooling": "sum"},
    {"span_pooling": "mean", "context": "full"},
    {"pool_mask": "zero"},
    {"pool_mask": "zero", "context": "full"},
    {"size_rows": 3, "meta_size": 7},
    {"relation_negatives": "weak", "max_span_size": 3},
]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


def exact(**options: Any) -> Any:
    """A tiny model in float64, with weights that make a difference; about half of the spans are entities."""
    model = tiny_spert(**{"window_overlap": 0, "max_related_entities": 10_000, **options}).double().eval()
    for name, value in model.named_parameters():
        if value.dim() == 2 and "embedding" not in name:
            value.data *= 4
    model.size_embedding.weight.data *= 20
    with torch.no_grad():
        logits = model(**batch([ANNA], model.config, "candidates")).span_logits
        model.span_classifier.bias[0] += (logits[:, 1:].max(1).values - logits[:, 0]).median() + 1e-6
    return model


def spans_of(output_spans: dict[str, Tensor], documents: list[Document]) -> list[tuple[int, int, tuple[int, int]]]:
    """Document, sentence and words inside the sentence of each span of a batch."""
    found = []
    for (start, end), sentence, number in zip(
        output_spans["word_range"].tolist(),
        output_spans["sentence"].tolist(),
        output_spans["document"].tolist(),
        strict=True,
    ):
        first = documents[number].sentence_starts[sentence]
        found.append((number, sentence, (start - first, end - first)))
    return found


@each_option
@torch.no_grad()
def test_forward_is_the_equations_over_enumerated_spans(options: dict[str, Any]):
    model = exact(**options)
    documents = [ANNA, UNICODE, *ODD_DOCUMENTS[-5:]]
    inputs = batch(documents, model.config, "candidates")
    output, spans = model(**inputs), spans_of(inputs["spans"], documents)
    literal = [literal_sentences(model, document) for document in documents]
    longest = model.config.max_span_size
    assert spans == [
        (number, place, span)
        for number, sentences in enumerate(literal)
        for place, sentence in enumerate(sentences)
        for span in enumerated_spans(sentence, longest)
    ]
    wanted = torch.stack([literal_span_logits(model, literal[n][place], span) for n, place, span in spans])
    torch.testing.assert_close(output.span_logits, wanted)

    kept = [number for number, logits in enumerate(wanted.tolist()) if max(logits) > logits[0]]
    kept.sort(key=lambda number: spans[number])  # as the text names them
    assert 0 < len(kept) < len(spans)
    if model.config.relation_negatives == "weak":
        kept = list(range(len(spans)))
    assert output.entity_members.tolist() == kept
    assert output.entity_types.tolist() == (wanted[kept].argmax(1) - 1).tolist()
    pairs = [(a, b) for a, b in permutations(range(len(kept)), 2) if spans[kept[a]][:2] == spans[kept[b]][:2]]
    assert output.pairs.tolist() == [list(pair) for pair in pairs]
    for row, (head, tail) in list(enumerate(pairs))[:: max(1, len(pairs) // 150)]:
        number, place, head_span = spans[kept[head]]
        logits = literal_pair_logits(model, literal[number][place], head_span, spans[kept[tail]][2])
        torch.testing.assert_close(output.relation_logits[row], logits)


@pytest.mark.slow
@torch.no_grad()
def test_a_sentence_of_three_hundred_words_is_read_in_windows():
    model = exact()
    inputs = batch([WIDE], model.config, "entities")
    assert len(WIDE.sentences[0]) > 300
    logits = model(**inputs).relation_logits
    [sentence], spans = literal_sentences(model, WIDE), [(0, 2), (5, 6), (299, 301)]
    for row, (head, tail) in enumerate(permutations(range(3), 2)):
        wanted = literal_pair_logits(model, sentence, spans[head], spans[tail])
        torch.testing.assert_close(logits[row], wanted)
    # Without the relations between any two of its more than a thousand spans.
    [found] = Predictor(model, tiny_tokenizer()).predict([Document("bare", WIDE.sentences)], relation_threshold=1.0)
    assert len(found.entities) > 1000
    inputs = batch([WIDE], model.config, negatives_mention=20, negatives_relation=5)
    output = model(**inputs)
    for row, (_, _, span) in enumerate(spans_of(inputs["spans"], [WIDE])):
        torch.testing.assert_close(output.span_logits[row], literal_span_logits(model, sentence, span))
    assert output.loss.isfinite()


@torch.no_grad()
def test_given_entities_are_all_related_where_no_pairs_are_listed():
    model = exact()
    inputs = batch([ANNA, OTTO], model.config, "entities")
    listed = model(**inputs)
    del inputs["relations"]
    output = model(**inputs)
    assert output.pairs.tolist() == listed.pairs.tolist()
    torch.testing.assert_close(output.relation_logits, listed.relation_logits)


@pytest.mark.parametrize("options", [{}, {"context": "full"}, {"context": "cls", "span_pooling": "sum"}], ids=str)
def test_loss_and_gradients_are_those_of_the_equations(options: dict[str, Any]):
    model, twin = exact(**options), exact(**options)
    twin.encoder.model = eager_twin(twin.encoder.model)
    documents = [ANNA, OTTO, UNICODE]
    inputs = batch(documents, model.config, negatives_mention=6, negatives_relation=3)
    output = model(**inputs)
    output.loss.backward()

    spans, literal = (
        spans_of(inputs["spans"], documents),
        [literal_sentences(twin, item, twin.encoder.model) for item in documents],
    )
    logits = torch.stack([literal_span_logits(twin, literal[n][place], span) for n, place, span in spans])
    pairs, members = inputs["relations"]["pairs"].tolist(), inputs["entities"]["members"].tolist()
    related = []
    for head, tail in pairs:
        number, place, head_span = spans[members[head]]
        related.append(literal_pair_logits(twin, literal[number][place], head_span, spans[members[tail]][2]))
    chosen = logits.log_softmax(1)[range(len(logits)), inputs["span_labels"].tolist()]
    span_loss = -chosen.sum() / len(logits)
    scores, gold = torch.stack(related).sigmoid(), inputs["relations"]["labels"].double()
    binary = -(gold * scores.log() + (1 - gold) * (1 - scores).log())
    relation_loss = binary.mean(1).mean()  # averaged over the types and over the samples
    torch.testing.assert_close(output.losses["span"], span_loss.float().to(output.losses["span"]))
    torch.testing.assert_close(output.losses["relation"], relation_loss.float().to(output.losses["relation"]))
    (span_loss + relation_loss).backward()
    for (name, value), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        if other.grad is None:
            assert value.grad is None or not value.grad.any(), name
        else:
            torch.testing.assert_close(value.grad, other.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_without_a_relation_sample_the_spans_alone_are_learned():
    model = exact()
    output = model(**batch([build("bare", ["a b c"], [("PER", [(0, 0, 1)])])], model.config))
    assert output.losses["relation"] == 0 and output.loss == output.losses["span"] > 0
    output.loss.backward()
    assert not model.relation_classifier.weight.grad.any()


# --- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("entities", "relations", "heads"), [(4, 5, 22_085), (6, 7, 29_919), (2, 1, 9_541)])
def test_parameters_of_the_paper(entities: int, relations: int, heads: int):
    bert = BertConfig(vocab_size=28_996)
    labels = {"entity_types": list("abcdef"[:entities]), "relation_types": list("abcdefg"[:relations])}
    with torch.device("meta"):
        model = SpertModel(SpertConfig(encoder_config=bert, **labels))
        whole = sum(value.numel() for value in BertModel(bert).parameters())
    own = {name: value.numel() for name, value in model.named_parameters() if not name.startswith("encoder.")}
    assert sum(own.values()) == heads
    if entities == 4:
        assert whole + heads == 108_332_357, "with the pooler, which is not read"


def test_new_weights_are_drawn_as_in_the_paper():
    model = tiny_spert(entity_types=[f"E{n}" for n in range(40)], relation_types=[f"R{n}" for n in range(60)])
    for layer in (model.span_classifier, model.relation_classifier):
        assert abs(layer.weight.std().item() - 0.02) < 0.001 and not layer.bias.any()


def test_the_pretraining_ablation_forgets_layers_or_all():
    source = tiny_encoder()
    for pretraining, layers, embeddings in (
        ("full", True, True),
        ("layers_random", False, True),
        ("all_random", False, False),
    ):
        model = tiny_spert(pretraining=pretraining).encoder.model
        assert (
            torch.equal(model.encoder.layer[0].output.dense.weight, source.encoder.layer[0].output.dense.weight)
            == layers
        )
        for name in ("word_embeddings", "position_embeddings"):
            ours, theirs = (getattr(m.embeddings, name).weight for m in (model, source))
            assert torch.equal(ours, theirs) == embeddings, name
        assert model.pooler is None


def test_labels_are_needed():
    with pytest.raises(ValueError, match="entity_types is empty"):
        tiny_spert(entity_types=[])
    with pytest.raises(ValueError, match="relation_types is empty"):
        tiny_spert(relation_types=[])


# --- what must change something, and what nothing -----------------------------------------------------------------


@torch.no_grad()
def test_every_option_changes_the_scores():
    base = exact()
    inputs = batch([ANNA], base.config, "entities")
    wanted = base(**inputs).relation_logits
    for options in (
        {"context": "full"},
        {"context": "cls"},
        {"span_pooling": "sum"},
        {"span_pooling": "mean"},
        {"pool_mask": "zero"},
    ):
        model = exact(**options)
        model.load_state_dict(base.state_dict())
        assert not torch.allclose(model(**inputs).relation_logits, wanted), options
    lower = {"max_span_size": 2}, {"max_span_size": 3}
    assert len({len(batch([ANNA], exact(**item).config, "candidates")["spans"]["sentence"]) for item in lower}) == 2


def test_dropout_is_on_the_inputs_of_both_classifiers():
    model = tiny_spert(dropout=0.5).train()
    for module in model.encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    inputs = batch([ANNA], model.config)
    one, two = model(**inputs), model(**inputs)
    assert not torch.equal(one.span_logits, two.span_logits)
    assert not torch.equal(one.relation_logits, two.relation_logits)
    model.span_classifier.dropout.p = model.relation_classifier.dropout.p = 0.0
    assert torch.equal(model(**inputs).relation_logits, model(**inputs).relation_logits)


@torch.no_grad()
def test_chunks_change_no_score(monkeypatch: pytest.MonkeyPatch):
    for options in ({}, {"relation_negatives": "weak", "max_span_size": 2, "context": "full"}):
        model = exact(**options)
        inputs = batch(DOCUMENTS, model.config, "candidates")
        wanted = model(**inputs)
        for chunk in (1, 7):
            with monkeypatch.context() as patch:
                patch.setattr(modeling_spert, "SPAN_CHUNK", chunk)
                patch.setattr(modeling_spert, "PAIR_CHUNK", 40 * chunk)
                patch.setattr(encoder, "READ_POSITIONS", 30 * chunk)
                found = model(**inputs)
            for name in ("span_logits", "relation_logits", "pairs"):
                torch.testing.assert_close(getattr(found, name), getattr(wanted, name))


@torch.no_grad()
def test_groups_of_windows_change_no_score(monkeypatch: pytest.MonkeyPatch):
    model = exact(window_overlap=20)
    inputs = batch([WIDE, ANNA], model.config, "entities")
    wanted = model(**inputs).relation_logits
    monkeypatch.setattr(encoder, "READ_POSITIONS", 70)
    torch.testing.assert_close(model(**inputs).relation_logits, wanted)


def test_a_training_batch_in_groups_learns_the_same(monkeypatch: pytest.MonkeyPatch):
    model, inputs = exact(), batch([ANNA, OTTO, *ODD_DOCUMENTS], exact().config)
    model(**inputs).loss.backward()
    wanted = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    monkeypatch.setattr(encoder, "READ_POSITIONS", 50)
    model(**inputs).loss.backward()
    for name, gradient in wanted.items():
        torch.testing.assert_close(dict(model.named_parameters())[name].grad, gradient)


@torch.no_grad()
def test_sentences_do_not_see_each_other():
    model = exact()
    alone = model(**batch([build("alone", ["she works in ulm ."])], model.config, "candidates")).span_logits
    among = batch([ANNA], model.config, "candidates")
    second = among["spans"]["sentence"] == 1
    torch.testing.assert_close(model(**among).span_logits[second], alone)


def test_no_word_and_one_word():
    model = exact()
    predictor = Predictor(model, tiny_tokenizer())
    for document in (build("none", []), build("empty", ["", ""]), build("one", ["a"]), build("ones", ["a", "", "b"])):
        [found] = predictor.predict([document])
        assert found.sentences == document.sentences and not found.relations
        assert model(**batch([document], model.config)).loss.isfinite()
    assert len(span_candidates(build("one", ["a"]).sentence_starts, 10)[0]) == 1
