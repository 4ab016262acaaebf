"""What SpERT decides: entities, relations, and what is given to it."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch
from literal_spert import literal_pair_logits, literal_sentences
from samples import ANNA, batch, build
from test_modeling_spert import exact
from tiny import tiny_tokenizer

from modeling_docre import modeling_spert
from modeling_docre.documents import Document
from modeling_docre.predictor import Predictor


def decided(model: Any, document: Document) -> Document:
    return Predictor(model, tiny_tokenizer()).predict([document])[0]


def test_each_span_with_a_type_is_an_entity_also_where_spans_overlap():
    model = exact()
    found = decided(model, ANNA)
    spans = [(m.sentence, m.start, m.end) for entity in found.entities for m in entity.mentions]
    assert len(spans) == len(found.entities) == len(set(spans))
    assert any(a != b and a[0] == b[0] and a[1] <= b[1] < a[2] for a in spans for b in spans)
    assert {entity.type for entity in found.entities} <= set(model.config.entity_types)
    output = model(**batch([ANNA], model.config, "candidates"))
    probabilities = output.span_logits.softmax(1)
    scores = [
        probabilities[row, kind + 1].item()
        for row, kind in zip(output.entity_members, output.entity_types, strict=True)
    ]
    assert [entity.score for entity in found.entities] == pytest.approx(scores)
    assert all(
        found.entities[r.head].mentions[0].sentence == found.entities[r.tail].mentions[0].sentence
        for r in found.relations
    )


def test_relations_reach_the_threshold():
    model = exact(relation_threshold=0.5)
    output = model(**batch([ANNA], model.config, "candidates"))
    found = decided(model, ANNA)
    assert 0 < len(found.relations) == (output.relation_logits >= 0).sum() < output.relation_logits.numel()
    model.config.relation_threshold = 1.0
    assert decided(model, ANNA).relations == ()


def test_without_the_filter_a_related_span_may_have_no_type():
    model = exact(relation_negatives="weak", max_span_size=2)
    sentence = build("weak", ["anna was born in ulm"])
    output = model(**batch([sentence], model.config, "candidates"))
    model.config.relation_threshold = output.relation_logits.sigmoid().flatten().sort().values[-4].item() - 1e-6
    found = decided(model, sentence)
    assert len(found.relations) == 4
    typed = {span for span, kind in enumerate(output.entity_types.tolist()) if kind >= 0}
    rows = (output.relation_logits.sigmoid() >= model.config.relation_threshold).any(1).nonzero().squeeze(1)
    related = {span for row in rows for span in output.pairs[row].tolist()}
    assert related - typed, "the case is there"
    assert len(found.entities) == len(typed | related)
    without = [entity for entity in found.entities if entity.type == ""]
    assert len(without) == len(related - typed) and all(entity.score is None for entity in without)
    assert Document.from_dict(found.to_dict()) == found


def test_a_symmetric_relation_is_found_once_with_the_first_span_as_head():
    model = exact(symmetric_relations=["works"], relation_threshold=0.0)
    short = build("short", ["anna ulm b seat of"])
    found = decided(model, short)
    starts = [e.mentions[0].start for e in found.entities]
    works = [(r.head, r.tail) for r in found.relations if r.type == "works"]
    count = len(starts)
    # As in the release, spans that begin alike are related in both directions.
    wanted = {(head, tail) for head, tail in permutations(range(count), 2) if starts[head] <= starts[tail]}
    assert count > 2 and len(works) == len(set(works)) and set(works) == wanted
    assert any((tail, head) in wanted for head, tail in wanted), "nested spans are there"
    assert sum(r.type == "born" for r in found.relations) == count * (count - 1)
    output = model(**batch([short], model.config, "candidates"))
    scores = dict(zip(map(tuple, output.pairs.tolist()), output.relation_logits.sigmoid()[:, 1].tolist(), strict=True))
    for relation in found.relations:
        pair = (relation.head, relation.tail)
        best = scores[pair] if pair[::-1] in wanted else max(scores[pair], scores[pair[::-1]])
        assert relation.type != "works" or relation.score == pytest.approx(best)


def test_of_many_entities_of_a_sentence_the_best_are_related(caplog: pytest.LogCaptureFixture):
    document = build("long", ["anna was born in ulm or bern and b works in berlin", "ulm is the seat of a"])
    whole = exact()
    inputs = batch([document, ANNA], whole.config, "candidates")
    everything = whole(**inputs)
    sentences = inputs["spans"]["document"] * 100 + inputs["spans"]["sentence"]
    found = everything.entity_members
    counts = torch.bincount(sentences[found])
    assert counts.max() > 12 and len(everything.pairs) == (counts * (counts - 1)).sum()
    for limit in (1, 3, 12):
        model = exact(max_related_entities=limit)
        modeling_spert.logger.warning_once.cache_clear()
        caplog.clear()
        model(**inputs)
        output = model(**inputs)
        [message] = caplog.messages
        assert f"the {limit} best-scoring" in message
        assert torch.equal(output.entity_members, found), "all stay entities"
        kept = counts.clamp(max=limit)
        assert len(output.pairs) == (kept * (kept - 1)).sum()
        place = {tuple(pair): row for row, pair in enumerate(everything.pairs.tolist())}
        rows = [place[tuple(pair)] for pair in output.pairs.tolist()]
        torch.testing.assert_close(output.relation_logits, everything.relation_logits[rows])
        related = set(output.pairs.flatten().tolist())
        scores = everything.mention_logits[found]
        for sentence in sentences[found].unique() if limit > 1 else ():
            mine = (sentences[found] == sentence).nonzero().flatten().tolist()
            best = sorted(mine, key=lambda entity: -scores[entity].item())[:limit]
            assert len(best) < 2 or related & set(mine) == set(best)
    weak = exact(relation_negatives="weak", max_related_entities=1)(**inputs)
    spans = torch.bincount(sentences)
    assert len(weak.pairs) == (spans * (spans - 1)).sum(), "there all spans are related"


def test_given_entities_are_related_by_their_best_mentions_in_one_sentence():
    model = exact(relation_threshold=0.0)
    inputs = batch([ANNA], model.config, "entities")
    output = model(**inputs)
    [single] = [literal_sentences(model, ANNA)]
    rows = dict(zip(map(tuple, output.pairs.tolist()), output.relation_logits, strict=True))
    torch.testing.assert_close(rows[0, 2], literal_pair_logits(model, single[1], (0, 1), (3, 4)))
    assert torch.isinf(rows[0, 3]).all(), "no sentence holds both"
    found = Predictor(model, tiny_tokenizer()).predict([ANNA], given="entities")[0]
    assert found.entities == ANNA.entities
    assert {(r.head, r.tail) for r in found.relations} == {(0, 1), (1, 0), (0, 2), (2, 0), (2, 3), (3, 2)}
    doubled = build("doubled", ["a b a"], [("PER", [(0, 0, 1), (0, 2, 3)]), ("LOC", [(0, 1, 2)])])
    pairs = model(**batch([doubled], model.config, "entities")).relation_logits
    [sentence] = literal_sentences(model, doubled)
    both = [literal_pair_logits(model, sentence, span, (1, 2)) for span in ((0, 1), (2, 3))]
    torch.testing.assert_close(pairs[0], torch.maximum(*both))


def test_types_of_given_entities_change_no_score():
    model = exact(relation_threshold=0.0)
    other = replace(ANNA, entities=tuple(replace(entity, type="ORG") for entity in ANNA.entities))
    one, two = (Predictor(model, tiny_tokenizer()).predict([item], given="entities")[0] for item in (ANNA, other))
    assert one.relations == two.relations


@pytest.mark.parametrize("given", ["mentions", "clusters"])
def test_less_than_entities_cannot_be_given(given: str):
    with pytest.raises(ValueError, match=f"given is '{given}'; SpertConfig takes"):
        Predictor(exact(), tiny_tokenizer()).predict([ANNA], given=given)


def test_a_copy_is_as_good():
    model = exact()
    inputs = batch([ANNA], model.config, "candidates")
    assert torch.equal(copy.deepcopy(model)(**inputs).relation_logits, model(**inputs).relation_logits)
