"""Relation classifiers against the papers' formulas with dense masks, in double precision."""

from __future__ import annotations

import pytest
import torch

import modeling_docre.stage_relations as relations
from modeling_docre.candidates import Entities, Spans, entity_pairs
from modeling_docre.stage_relations import GlobalRelationClassifier, MultiInstanceRelationClassifier, PairSizes, Scene

WIDTH, META = 6, 3
SIZES = PairSizes(WIDTH, entity_types=3, relation_types=5, meta=META, dropout=0.1)
OPTIONS = [
    {},
    {"entity_repr": False},
    {"localized_context": False},
    {"entity_repr": False, "localized_context": False},
    {"pairing": "intra_sentence_or_closest"},
]


def scene(seed: int = 0) -> Scene:
    """Two documents of 20 and 12 words with one to two subwords each; nested, adjacent and distant mentions."""
    torch.manual_seed(seed)
    sizes = torch.randint(1, 3, (32,))
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    words = [(0, 2), (5, 6), (13, 16), (2, 3), (14, 15), (18, 20), (9, 12), (0, 1), (4, 5), (1, 4), (10, 12)]
    sentences = [0, 0, 1, 0, 1, 2, 1, 0, 0, 0, 1]
    documents = [0] * 7 + [1] * 4
    ranges = torch.tensor(words)
    spans = Spans(
        starts[ranges + torch.tensor(documents)[:, None] * 20],
        ranges,
        torch.tensor(sentences),
        torch.tensor(documents),
    )
    entities = Entities(
        torch.tensor([5, 1, 0, 4, 6, 3, 2]), torch.tensor([3, 1, 2, 1]), torch.zeros(4, dtype=torch.int64)
    )
    entities = Entities(
        torch.cat([entities.members, torch.tensor([8, 7, 10, 9])]),
        torch.cat([entities.sizes, torch.tensor([2, 1, 1])]),
        torch.tensor([0, 0, 0, 0, 1, 1, 1]),
    )
    hidden = torch.randn(int(starts[-1]), WIDTH, dtype=torch.float64, requires_grad=True)
    span_vectors = torch.randn(11, WIDTH, dtype=torch.float64, requires_grad=True)
    entity_vectors = torch.randn(7, WIDTH, dtype=torch.float64, requires_grad=True)
    types = torch.tensor([0, 1, 1, 0, 2, 0, 1])
    return Scene(hidden, spans, span_vectors, entities, entity_vectors, types, entity_pairs(entities.document))


def members_of(entities: Entities) -> list[list[int]]:
    return [part.tolist() for part in entities.members.split(entities.sizes.tolist())]


def literal_network(network, vector: torch.Tensor) -> torch.Tensor:
    hidden = (network.hidden.weight @ vector + network.hidden.bias).clamp(min=0)
    return network.output.weight @ hidden + network.output.bias


def literal_context(scene: Scene, a: int, b: int) -> torch.Tensor:
    """Max-pool over a dense mask of the positions strictly between the two mentions; zeros for an empty one."""
    (start_a, end_a), (start_b, end_b) = scene.spans.subword_range[a].tolist(), scene.spans.subword_range[b].tolist()
    start, end = (end_a, start_b) if start_a < start_b else (end_b, start_a)
    positions = torch.arange(len(scene.hidden))
    mask = (positions >= start) & (positions < end)
    if not mask.any():
        return torch.zeros(WIDTH, dtype=torch.float64)
    return (scene.hidden + torch.where(mask, 0.0, -1e30)[:, None]).amax(0)


def literal_distances(scene: Scene, a: int, b: int) -> tuple[int, int]:
    first, second = sorted([scene.spans.word_range[a].tolist(), scene.spans.word_range[b].tolist()])
    sentences = scene.spans.sentence
    return max(0, second[0] - (first[1] - 1)), abs(int(sentences[a] - sentences[b]))


def literal_mention_pairs(scene: Scene, head: int, tail: int, pairing: str) -> list[tuple[int, int]]:
    members = members_of(scene.entities)
    pairs = [(a, b) for a in members[head] for b in members[tail]]
    if pairing == "all":
        return pairs
    intra = [pair for pair in pairs if scene.spans.sentence[pair[0]] == scene.spans.sentence[pair[1]]]
    return intra or [min(pairs, key=lambda pair: literal_distances(scene, *pair)[0])]


def literal_multi_instance(model: MultiInstanceRelationClassifier, scene: Scene) -> torch.Tensor:
    """u' per mention pair, maximum over the mention pairs, then both types and the network."""
    rows = []
    for head, tail in scene.pairs.tolist():
        vectors = []
        for a, b in literal_mention_pairs(scene, head, tail, model.pairing):
            parts = [scene.span_vectors[a], scene.span_vectors[b]]
            if model.entity_repr:
                parts += [scene.entity_vectors[head], scene.entity_vectors[tail]]
            if model.localized_context:
                parts.append(literal_context(scene, a, b))
            words, sentences = literal_distances(scene, a, b)
            parts.append(model.word_distance_embedding.weight[min(words, 7)])
            parts.append(model.sentence_distance_embedding.weight[min(sentences, 1)])
            vectors.append(model.mention_pair.weight @ torch.cat(parts) + model.mention_pair.bias)
        types = [model.type_embedding.weight[scene.entity_types[entity]] for entity in (head, tail)]
        rows.append(literal_network(model.classifier, torch.cat([torch.stack(vectors).amax(0), *types])))
    return torch.stack(rows)


def literal_global(model: GlobalRelationClassifier, scene: Scene) -> torch.Tensor:
    rows = []
    for head, tail in scene.pairs.tolist():
        types = [model.type_embedding.weight[scene.entity_types[entity]] for entity in (head, tail)]
        vector = torch.cat([scene.entity_vectors[head], scene.entity_vectors[tail], *types])
        rows.append(literal_network(model.classifier, vector))
    return torch.stack(rows)


def multi_instance(**options) -> MultiInstanceRelationClassifier:
    torch.manual_seed(1)
    return MultiInstanceRelationClassifier(SIZES, 8, 2, **options).double().eval()


def values_and_gradients(model, scene: Scene, forward) -> list[torch.Tensor]:
    leaves = [scene.hidden, scene.span_vectors, scene.entity_vectors]
    model.zero_grad(set_to_none=False)
    for leaf in leaves:
        leaf.grad = torch.zeros_like(leaf)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    logits = forward(scene)
    (logits * torch.linspace(-1, 1, logits.numel()).view_as(logits)).sum().backward()
    gradients = [value.grad.clone() for value in (*leaves, *model.parameters())]
    return [logits.detach(), *gradients]


@pytest.mark.parametrize("chunk", [1, 4, 7, 65_536])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_multi_instance_equals_the_formula(options, chunk, monkeypatch):
    monkeypatch.setattr(relations, "PAIR_CHUNK", chunk)
    model, world = multi_instance(**options), scene()
    ours = values_and_gradients(model, world, lambda world: model(world)[0])
    literal = values_and_gradients(model, world, lambda world: literal_multi_instance(model, world))
    for value, expected in zip(ours, literal, strict=True):
        assert torch.allclose(value, expected, atol=1e-10)


@pytest.mark.parametrize("chunk", [1, 4, 65_536])
def test_global_equals_the_formula(chunk, monkeypatch):
    monkeypatch.setattr(relations, "PAIR_CHUNK", chunk)
    model, world = GlobalRelationClassifier(SIZES).double().eval(), scene()
    ours = values_and_gradients(model, world, lambda world: model(world)[0])
    literal = values_and_gradients(model, world, lambda world: literal_global(model, world))
    for value, expected in zip(ours, literal, strict=True):
        assert torch.allclose(value, expected, atol=1e-10)


def test_the_scene_has_cases_that_matter():
    """Empty and full contexts, clamped distances and entity pairs without a shared sentence occur in the scene."""
    world, members = scene(), members_of(scene().entities)
    pairs = [(a, b) for h, t in world.pairs.tolist() for a in members[h] for b in members[t]]
    contexts = [literal_context(world, a, b).any().item() for a, b in pairs]
    assert {True, False} == set(contexts)
    assert {0, 1} < {literal_distances(world, *pair)[0] for pair in pairs}
    assert max(literal_distances(world, *pair)[0] for pair in pairs) > 8
    kept = [literal_mention_pairs(world, h, t, "intra_sentence_or_closest") for h, t in world.pairs.tolist()]
    sentences = world.spans.sentence
    assert any(sentences[pairs[0][0]] != sentences[pairs[0][1]] for pairs in kept)
    assert any(len(pairs) < len(members[h]) * len(members[t]) for pairs, (h, t) in zip(kept, world.pairs, strict=True))


@pytest.mark.parametrize(("options", "width"), list(zip(OPTIONS, (5, 3, 4, 2, 5), strict=True)))
def test_ablations_narrow_the_mention_pair_layer(options, width):
    assert multi_instance(**options).mention_pair.in_features == width * WIDTH + 2 * META


@pytest.mark.parametrize("chunk", [3, 65_536])
@pytest.mark.parametrize("pairing", ["all", "intra_sentence_or_closest"])
def test_shares_say_which_mention_pairs_carried_a_pair(pairing, chunk, monkeypatch):
    monkeypatch.setattr(relations, "PAIR_CHUNK", chunk)
    model, world = multi_instance(pairing=pairing), scene()
    _, weights = model(world)
    expected = [
        (owner, a, b)
        for owner, (head, tail) in enumerate(world.pairs.tolist())
        for a, b in literal_mention_pairs(world, head, tail, pairing)
    ]
    owners, heads, tails = weights.pairs.owner, weights.pairs.head, weights.pairs.tail
    assert list(zip(owners.tolist(), heads.tolist(), tails.tolist(), strict=True)) == expected
    members = members_of(world.entities)
    for row, (owner, a, b) in enumerate(expected):
        head, tail = world.pairs[owner].tolist()
        assert members[head][weights.pairs.head_mention[row]] == a
        assert members[tail][weights.pairs.tail_mention[row]] == b
    totals = torch.zeros(len(world.pairs)).index_add(0, owners, weights.weight.float())
    assert torch.allclose(totals, torch.ones(len(world.pairs)))


def test_mention_pairs_that_tie_share_what_they_won():
    model, world = multi_instance(), scene()
    repeated = next(n for n, size in enumerate(world.entities.sizes.tolist()) if size > 1)
    first = int(world.entities.sizes[:repeated].sum())
    members = world.entities.members.clone()
    members[first + 1] = members[first]
    _, weights = model(world._replace(entities=world.entities._replace(members=members)))
    owners, weight = weights.pairs.owner, weights.weight
    totals = torch.zeros(len(world.pairs), dtype=weight.dtype).index_add(0, owners, weight)
    assert torch.allclose(totals, torch.ones_like(totals))
    of_entity = world.pairs[owners, 0] == repeated
    both = [weight[of_entity & (weights.pairs.head_mention == number)] for number in (0, 1)]
    assert len(both[0]) and torch.equal(*both)


def test_the_order_of_mentions_does_not_matter():
    model, world = multi_instance(), scene()
    members = world.entities.members.clone()
    members[:3] = members[:3].flip(0)
    shuffled = world._replace(entities=world.entities._replace(members=members))
    assert torch.allclose(model(world)[0], model(shuffled)[0], atol=1e-12)


@pytest.mark.parametrize("entities", [0, 1])
@pytest.mark.parametrize("options", [*OPTIONS, None], ids=str)
def test_no_pairs_have_no_logits_but_a_gradient(entities, options):
    world = scene()
    few = Entities(torch.arange(entities), torch.ones(entities, dtype=torch.int64), world.entities.document[:entities])
    world = world._replace(
        entities=few,
        entity_vectors=world.entity_vectors[:entities],
        entity_types=world.entity_types[:entities],
        pairs=entity_pairs(few.document),
    )
    model = GlobalRelationClassifier(SIZES).double() if options is None else multi_instance(**options)
    logits, weights = model(world)
    assert logits.shape == (0, 5) and logits.requires_grad
    assert options is None or (len(weights.weight) == 0 and len(weights.pairs.owner) == 0)
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_dropout_acts_on_mention_pairs_before_the_maximum():
    model, world = multi_instance(), scene()
    model.train()
    model.classifier.dropout.p = 0.0
    model.dropout.p = 1.0
    logits, _ = model(world)
    zero = torch.zeros(WIDTH, dtype=torch.float64)
    head, tail = world.pairs[0].tolist()
    types = [model.type_embedding.weight[world.entity_types[entity]] for entity in (head, tail)]
    assert torch.allclose(logits[0], literal_network(model.classifier, torch.cat([zero, *types])))
