"""JEREX as a whole against the paper's formulas in double precision, its sizes, and what must not change scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANNA, ODD_DOCUMENTS, OTTO, batch, build, featurize
from strategies import documents
from tiny import ENTITY_TYPES, RELATION_TYPES, tiny_jerex
from torch import nn
from transformers import BertConfig

import modeling_docre.coreference as coreference
import modeling_docre.relations as relations
from modeling_docre.candidates import Entities, Spans, contexts, mention_pairs, span_candidates
from modeling_docre.configuration_jerex import JerexConfig
from modeling_docre.coreference import complete_linkage
from modeling_docre.decoding import decode
from modeling_docre.modeling_jerex import JerexModel

HALF = {"mention_threshold": 0.5, "coreference_threshold": 0.5, "relation_threshold": 0.5}
LONG = build(
    "long",
    ["anna abcdefgh lives in berlin ."] * 9,
    [("PER", [(0, 0, 1), (8, 0, 1)]), ("LOC", [(4, 4, 5)])],
    [(0, 1, "born")],
)
HEADS = ["multi_instance", "global"]


def spread(model: JerexModel, seed: int = 3, std: float = 0.3) -> JerexModel:
    """Move the heads away from their small initial weights, so that scores spread around one half."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "encoders" not in name:
            parameter.data += torch.randn(parameter.shape, generator=generator).to(parameter) * std
    return model.eval()


# The paper's formulas, one document at a time --------------------------------------------------------------------


def network(layer: nn.Module, *parts: torch.Tensor) -> torch.Tensor:
    hidden = (layer.hidden.weight @ torch.cat(parts) + layer.hidden.bias).clamp(min=0)
    return layer.output.weight @ hidden + layer.output.bias


def pooled(hidden: torch.Tensor, start: int, end: int) -> torch.Tensor:
    positions = torch.arange(len(hidden))
    mask = (positions >= start) & (positions < end)
    maximum = (hidden + torch.where(mask, 0.0, -1e30)[:, None]).amax(0)
    return maximum if mask.any() else torch.zeros_like(maximum)


class Literal:
    """JEREX on one short document by loops over spans, mentions, entities and pairs."""

    def __init__(self, model: JerexModel, document):
        self.model, self.config, self.document = model, model.config, document
        (self.features,) = featurize([document], model.config)
        ids = torch.from_numpy(self.features.input_ids)[None]
        states = [encoder.model(ids).last_hidden_state[0] for encoder in model.encoders]
        states = states if len(states) > 1 else states * 4
        self.hidden = dict(zip(("mention", "coreference", "entity", "relation"), states, strict=True))
        self.words = [word for sentence in document.sentences for word in sentence]

    def vector(self, span, stage: str) -> torch.Tensor:
        return pooled(self.hidden[stage], *self.features.subword_ranges(np.array([span]))[0].tolist())

    def entity_vector(self, cluster, stage: str) -> torch.Tensor:
        return torch.stack([self.vector(span, stage) for span in cluster]).amax(0)

    def mention_logit(self, span) -> torch.Tensor:
        head = self.model.mention_classifier
        size = head.size_embedding.weight[min(span[1] - span[0], self.config.size_rows - 1)]
        return network(head.classifier, self.vector(span, "mention"), size)[0]

    def coreference_logit(self, left, right) -> torch.Tensor:
        head = self.model.coreference_scorer
        texts = [" ".join(self.words[start:end]).strip() for start, end in (left, right)]
        distance = head.distance_embedding.weight[min(levenshtein(*texts), self.config.edit_distance_rows - 1)]
        vectors = [self.vector(span, "coreference") for span in (left, right)]
        return network(head.classifier, *vectors, distance)[0]

    def type_logits(self, cluster) -> torch.Tensor:
        return network(self.model.entity_classifier, self.entity_vector(cluster, "entity"))

    def sentence(self, span) -> int:
        return next(n for n, start in enumerate(self.document.sentence_starts[1:]) if span[0] < start)

    def relation_logits(self, head, tail, head_type: int, tail_type: int) -> torch.Tensor:
        classifier = self.model.relation_classifier
        vectors = [self.entity_vector(cluster, "relation") for cluster in (head, tail)]
        types = [classifier.type_embedding.weight[kind] for kind in (head_type, tail_type)]
        if self.config.relation_head == "global":
            return network(classifier.classifier, *vectors, *types)
        rows = []
        for a in head:
            for b in tail:
                (_, end), (start, _) = sorted([a, b])
                subwords = self.features.word_ranges
                words = classifier.word_distance_embedding.weight[max(0, start - (end - 1))]
                sentences = classifier.sentence_distance_embedding.weight[abs(self.sentence(a) - self.sentence(b))]
                parts = [self.vector(a, "relation"), self.vector(b, "relation"), *vectors]
                context = pooled(self.hidden["relation"], int(subwords[end - 1, 1]), int(subwords[start, 0]))
                parts += [context, words, sentences]
                rows.append(classifier.mention_pair.weight @ torch.cat(parts) + classifier.mention_pair.bias)
        return network(classifier.classifier, torch.stack(rows).amax(0), *types)

    def extract(self):
        """Mentions, clusters, their types and the logits of all pairs, chained as at inference."""
        ranges, _ = span_candidates(self.document.sentence_starts, self.config.max_span_size)
        spans = [tuple(span) for span in ranges.tolist()]
        logits = torch.stack([self.mention_logit(span) for span in spans])
        mentions = [s for s, logit in zip(spans, logits, strict=True) if logit.sigmoid() >= 0.5]
        count = range(len(mentions))
        scores = [
            self.coreference_logit(mentions[i], mentions[j]).sigmoid().item() for i in count for j in count if i < j
        ]
        labels = complete_linkage(torch.tensor(scores, dtype=torch.float64).numpy(), len(mentions), 0.5)
        groups = [[mentions[i] for i in count if labels[i] == number] for number in range(max(labels) + 1)]
        kinds = [int(self.type_logits(cluster).argmax()) for cluster in groups]
        pairs = [(i, j) for i in range(len(groups)) for j in range(len(groups)) if i != j]
        scored = [self.relation_logits(groups[i], groups[j], kinds[i], kinds[j]) for i, j in pairs]
        return logits, groups, kinds, torch.stack(scored)


def levenshtein(left: str, right: str) -> int:
    if not left or not right:
        return len(left) + len(right)
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


@pytest.mark.parametrize("task", ["joint", "pipeline"])
@pytest.mark.parametrize("head", HEADS)
@torch.no_grad()
def test_inference_equals_the_formulas(head, task):
    model = tiny_jerex(relation_head=head, task=task, max_span_size=2, **HALF)
    for number, encoder in enumerate(model.encoders):  # tell the encoders of a pipeline apart
        encoder.model.embeddings.word_embeddings.weight.mul_(1 + number)
    model = spread(model, std=0.2).double()
    document = build("short", ["anna b in ulm .", "he is in ulm"])
    for name, classifier in (
        ("mention_logits", model.mention_classifier.classifier),
        ("coreference_logits", model.coreference_scorer.classifier),
    ):  # half of the spans become mentions, half of the pairs coreferent
        classifier.output.bias -= model(**batch([document], model.config, "candidates"))[name].median()
    output = model(**batch([document], model.config, "candidates"))
    logits, groups, kinds, scored = Literal(model, document).extract()
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
    literal = [Literal(model, document) for document in (ANNA, OTTO)]
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


def compare_losses(
    model: JerexModel, output: Any, made: dict[str, Any], literal: list[Any], gold: list[Any], mention: Any, linked: Any
) -> None:
    """The losses of a training batch and their gradients are those of the literal logits.

    Args:
        model: the model.
        output: what it makes of the batch.
        made: the batch.
        literal: the formulas, by document.
        gold: document, spans and type of each gold entity.
        mention, linked: the literal logits of the sampled spans and mention pairs.
    """
    typed = [literal[d].type_logits(cluster) for d, cluster, _ in gold]
    related = [
        literal[gold[i][0]].relation_logits(gold[i][1], gold[j][1], gold[i][2], gold[j][2])
        for i, j in made["relations"]["pairs"].tolist()
    ]

    def bce(logits, labels):
        return nn.functional.binary_cross_entropy_with_logits(torch.stack(logits), labels.double(), reduction="none")

    losses = {
        "mention": bce(mention, made["span_labels"]).mean(),
        "coreference": bce(linked, made["coreference"]["labels"]).mean(),
        "entity": nn.functional.cross_entropy(torch.stack(typed), torch.tensor([kind for _, _, kind in gold])),
        "relation": bce(related, made["relations"]["labels"]).sum(1).mean(),
    }
    assert output.losses.keys() == losses.keys()
    for name, loss in losses.items():
        assert output.losses[name].item() == pytest.approx(loss.item(), rel=1e-5), name
    total = losses["mention"] + losses["coreference"] + 0.25 * losses["entity"] + losses["relation"]
    assert output.loss.item() == pytest.approx(total.item(), rel=1e-5)
    compare_gradients(model, output.loss, total)


def compare_gradients(model: JerexModel, *losses: torch.Tensor) -> None:
    gradients = []
    for loss in losses:
        model.zero_grad()
        loss.backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        # Losses are taken in single precision.
        assert torch.allclose(gradient, gradients[1][name], atol=1e-5, rtol=1e-3), name


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


def per_document(output, made) -> list[dict[str, torch.Tensor]]:
    """Logits document by document."""
    results = []
    for number in range(len(made["document_lengths"])):
        part = {}
        if output.mention_logits is not None:
            part["mention"] = output.mention_logits[made["spans"]["document"] == number]
        if output.entity_type_logits is not None:
            part["entity"] = output.entity_type_logits[output.entity_documents == number]
        owners = output.entity_documents[output.pairs[:, 0]]
        part["relation"] = output.relation_logits[owners == number]
        results.append(part)
    return results


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
            for name in ("mention_pair_head", "mention_pair_tail", "mention_pair_share"):
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
    assert set(output.losses) == set(model.config.stages)
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
    assert {name: loss.item() for name, loss in output.losses.items()} == dict.fromkeys(model.config.stages, 0.0)
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
