"""Memories, the classifiers that write them and the readers that read them, against the written-out formulas."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_memory import literal_read, literal_similarity
from torch import nn

from modeling_docre.modeling_memory_jerex import MemoryReader, SimilarityClassifier
from modeling_docre.segments import positions_in_segments

SIZE = 6
COUNTS = [5, 0, 1, 9, 3, 0]  # representations by document
# Number of slots and their width, by memory.
MEMORIES = {"one": [(3, SIZE)], "both": [(3, SIZE), (7, SIZE)], "of other widths": [(2, 4), (5, 9)]}
each_set = pytest.mark.parametrize("shapes", MEMORIES.values(), ids=MEMORIES)


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)


def memories_of(shapes: list[tuple[int, int]]) -> nn.ModuleList:
    return nn.ModuleList(nn.Embedding(classes, slot_size) for classes, slot_size in shapes).double()


def reader_of(shapes: list[tuple[int, int]], read_grad: bool = True, cosine: bool = False) -> MemoryReader:
    return MemoryReader(SIZE, {str(n): width for n, (_, width) in enumerate(shapes)}, read_grad, cosine).double()


def rows_of(counts: list[int], scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Representations of documents end to end, and the document of each."""
    owners, _ = positions_in_segments(torch.tensor(counts, dtype=torch.int64))
    rows = torch.randn(len(owners), SIZE, dtype=torch.float64) * scale
    return rows.requires_grad_(), owners


def literal(reader: MemoryReader, rows: torch.Tensor, counts: list[int], memories: nn.ModuleList) -> torch.Tensor:
    matrices = list(reader.queries.parameters())
    slots = [memory.weight if reader.read_grad else memory.weight.detach() for memory in memories]
    pairs = list(zip(slots, matrices, strict=True))
    return torch.cat([literal_read(part, pairs, reader.cosine) for part in rows.split(counts)])


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [(3,), (1,), (96,), (3, 7), (6, 96)])
def test_equal_representations_share_the_slots_equally(slots):
    """Five equal representations: each has r / 5 of a memory of r slots."""
    shapes = [(count, SIZE) for count in slots]
    reader, memories = reader_of(shapes), memories_of(shapes)
    rows = torch.randn(SIZE, dtype=torch.float64).expand(5, SIZE)
    documents = torch.zeros(5, dtype=torch.int64)
    for weights, count in zip(reader.weights(rows, documents, 1, memories), slots, strict=True):
        torch.testing.assert_close(weights, torch.full((5,), count / 5, dtype=torch.float64), rtol=1e-12, atol=0)
    factor = (1 + sum(count / 5 for count in slots)) / (1 + len(slots))
    torch.testing.assert_close(reader(rows, documents, 1, memories), rows * factor, rtol=1e-12, atol=0)


@each_set
@pytest.mark.parametrize("cosine", [False, True], ids=["bilinear", "cosine"])
@pytest.mark.parametrize("read_grad", [True, False])
@pytest.mark.parametrize("counts", [[4], [1], COUNTS], ids=str)
def test_reading_equals_the_formula(counts, read_grad, shapes, cosine):
    reader, memories = reader_of(shapes, read_grad, cosine), memories_of(shapes)
    rows, documents = rows_of(counts)
    ours = reader(rows, documents, len(counts), memories)
    wanted = literal(reader, rows, counts, memories)
    torch.testing.assert_close(ours, wanted, rtol=1e-10, atol=1e-12)
    assert (ours - rows).abs().max() > 0.1
    pull = torch.randn_like(ours)
    leaves = [rows, *reader.parameters(), *(memories.parameters() if read_grad else [])]
    ours, wanted = (torch.autograd.grad((values * pull).sum(), leaves) for values in (ours, wanted))
    for found, expected in zip(ours, wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("read_grad", [True, False])
def test_gradients_reach_a_memory_only_if_they_may(read_grad):
    shapes = MEMORIES["both"]
    reader, memories = reader_of(shapes, read_grad), memories_of(shapes)
    rows, documents = rows_of(COUNTS)
    result = reader(rows, documents, len(COUNTS), memories)
    (result * torch.randn_like(result)).sum().backward()
    for memory in memories:
        assert (memory.weight.grad is not None) == read_grad
        assert not read_grad or memory.weight.grad.abs().min() > 0
    for query in reader.queries.parameters():
        assert query.grad.abs().min() > 0
    assert rows.grad.abs().min() > 0


@each_set
def test_the_order_of_representations_and_documents_does_not_matter(shapes):
    """Also where the representations of a document do not lie next to each other."""
    reader, memories = reader_of(shapes), memories_of(shapes)
    rows, documents = rows_of(COUNTS)
    order = torch.randperm(len(rows))
    shuffled = reader(rows[order], len(COUNTS) - 1 - documents[order], len(COUNTS), memories)
    torch.testing.assert_close(shuffled, reader(rows, documents, len(COUNTS), memories)[order])


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.sampled_from(sorted(MEMORIES)))
@settings(max_examples=40, deadline=None)
def test_documents_are_read_as_if_alone(counts, name):
    reader, memories = reader_of(MEMORIES[name]), memories_of(MEMORIES[name])
    rows, documents = rows_of(counts)
    together = reader(rows, documents, len(counts), memories)
    for part, alone in zip(together.split(counts), rows.split(counts), strict=True):
        single = reader(alone, torch.zeros(len(alone), dtype=torch.int64), 1, memories)
        torch.testing.assert_close(part, single, rtol=1e-10, atol=1e-12)


@each_set
def test_each_slot_spreads_a_weight_of_one_over_a_document(shapes):
    reader, memories = reader_of(shapes), memories_of(shapes)
    rows, documents = rows_of(COUNTS)
    found = reader.weights(rows, documents, len(COUNTS), memories)
    assert len(found) == len(shapes)
    for weights, (slots, _), query, memory in zip(found, shapes, reader.queries.children(), memories, strict=True):
        assert weights.shape == (len(rows),) and (weights > 0).all()
        by_slot = reader.slot_weights(rows, documents, len(COUNTS), query, memory)
        assert by_slot.shape == (len(rows), slots)
        for part, count in zip(by_slot.split(COUNTS), COUNTS, strict=True):
            torch.testing.assert_close(part.sum(0), torch.full((slots,), float(count > 0), dtype=torch.float64))
        torch.testing.assert_close(by_slot.sum(1), weights)


def test_a_representation_keeps_its_direction():
    shapes = MEMORIES["both"]
    rows, documents = rows_of(COUNTS)
    read = reader_of(shapes)(rows, documents, len(COUNTS), memories_of(shapes))
    torch.testing.assert_close(nn.functional.normalize(read), nn.functional.normalize(rows))
    assert ((read / rows).std(1) < 1e-10).all() and (read / rows).min() > 1 / 3


def test_a_cosine_reads_through_the_query_matrix_too():
    """A choice beside the release, which compares slots as they are and so needs slots as wide as representations."""
    reader, memories = reader_of([(3, SIZE + 2)], cosine=True), memories_of([(3, SIZE + 2)])
    [query] = reader.queries.values()
    assert tuple(query.weight.shape) == (SIZE, SIZE + 2)
    rows, documents = torch.randn(4, SIZE, dtype=torch.float64), torch.zeros(4, dtype=torch.int64)
    before = reader(rows, documents, 1, memories)
    query.weight.data[0] *= -3
    assert not torch.allclose(reader(rows, documents, 1, memories), before)


def test_a_cosine_reads_directions_only():
    reader, memories = reader_of(MEMORIES["both"], cosine=True), memories_of(MEMORIES["both"])
    rows, documents = rows_of(COUNTS)
    before = reader.weights(rows, documents, len(COUNTS), memories)
    for memory in memories:
        memory.weight.data *= torch.linspace(0.5, 4, len(memory.weight))[:, None]
    for weights, wanted in zip(reader.weights(7 * rows, documents, len(COUNTS), memories), before, strict=True):
        torch.testing.assert_close(weights, wanted)


def test_logits_are_not_scaled_by_the_width():
    reader, memories = reader_of([(1, SIZE)]), memories_of([(1, SIZE)])
    (query,) = reader.queries.parameters()
    query.data, memories[0].weight.data = torch.eye(SIZE).double(), torch.ones(1, SIZE).double()
    rows = torch.tensor([[1.0] * SIZE, [0.0] * SIZE], dtype=torch.float64)
    [weights] = reader.weights(rows, torch.zeros(2, dtype=torch.int64), 1, memories)
    assert weights.tolist() == pytest.approx([1 / (1 + 2.718281828459045**-6), 1 / (1 + 2.718281828459045**6)])


@pytest.mark.parametrize("cosine", [False, True], ids=["bilinear", "cosine"])
@pytest.mark.parametrize("scale", [1e3, 1e6])
def test_large_representations_do_not_overflow(scale, cosine):
    shapes = MEMORIES["both"]
    reader, memories = reader_of(shapes, cosine=cosine).float(), memories_of(shapes).float()
    rows, documents = rows_of(COUNTS, scale)
    rows = rows.detach().float().requires_grad_()
    read = reader(rows, documents, len(COUNTS), memories)
    read.sum().backward()
    assert torch.isfinite(read).all()
    for value in (rows, *reader.parameters(), *memories.parameters()):
        assert torch.isfinite(value.grad).all()


@pytest.mark.parametrize("cosine", [False, True], ids=["bilinear", "cosine"])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32])
def test_every_float_type_is_read_into_itself(kind, cosine):
    shapes = MEMORIES["of other widths"]
    reader, memories = reader_of(shapes, cosine=cosine), memories_of(shapes)
    rows, documents = rows_of([40, 3])
    wanted = reader(rows, documents, 2, memories)
    found = reader.to(kind)(rows.to(kind), documents, 2, memories.to(kind))
    assert found.dtype == kind
    torch.testing.assert_close(found.double(), wanted, rtol=0.15, atol=0.15)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_softmax_of_a_long_document_adds_up_in_half_precision(kind):
    """Two thousand shares are added in single precision; a sum in half precision would stop growing."""
    reader, memories = reader_of([(96, SIZE)]).to(kind), memories_of([(96, SIZE)]).to(kind)
    rows, documents = torch.ones(2000, SIZE, dtype=kind), torch.zeros(2000, dtype=torch.int64)
    torch.testing.assert_close(reader.weights(rows, documents, 1, memories)[0], torch.full((2000,), 96 / 2000))
    assert reader(rows, documents, 1, memories)[0].tolist() == pytest.approx([(1 + 96 / 2000) / 2] * SIZE, rel=0.01)


@pytest.mark.parametrize("documents", [0, 1, 3])
def test_nothing_to_read_for_is_read_as_nothing(documents):
    shapes = MEMORIES["both"]
    reader, memories = reader_of(shapes), memories_of(shapes)
    rows, owners = rows_of([0] * documents)
    read = reader(rows, owners, documents, memories)
    assert read.shape == (0, SIZE)
    read.sum().backward()
    assert all(not value.grad.any() for value in (*reader.parameters(), *memories.parameters()))


def test_a_reader_wants_all_its_memories():
    rows, documents = rows_of([3])
    with pytest.raises(ValueError):
        reader_of(MEMORIES["both"])(rows, documents, 1, memories_of(MEMORIES["one"]))


# --- writing ------------------------------------------------------------------------------------------------------

SCALES = [None, 30.0, 1]
each_scale = pytest.mark.parametrize("scale", SCALES, ids=["bilinear", "cosine", "unscaled cosine"])


@pytest.mark.parametrize(("classes", "slot_size"), [(3, SIZE), (9, 4), (1, 11)])
@each_scale
def test_similarities_equal_the_formula(scale, classes, slot_size):
    classifier = SimilarityClassifier(SIZE, classes, slot_size, scale).double()
    vectors = torch.randn(8, SIZE, dtype=torch.float64, requires_grad=True)
    ours = classifier(vectors)
    wanted = torch.stack([literal_similarity(classifier, vector, scale) for vector in vectors])
    assert ours.shape == (8, classes)
    torch.testing.assert_close(ours, wanted, rtol=1e-10, atol=1e-12)
    pull = torch.randn_like(ours)
    leaves = [vectors, *classifier.parameters()]
    ours, wanted = (torch.autograd.grad((values * pull).sum(), leaves) for values in (ours, wanted))
    for found, expected in zip(ours, wanted, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)


@each_scale
def test_a_classifier_is_its_memory_and_one_matrix(scale):
    """No bias and no hidden layer."""
    classifier = SimilarityClassifier(SIZE, 3, 4, scale)
    assert {name: tuple(value.shape) for name, value in classifier.named_parameters()} == {
        "memory.weight": (3, 4),
        "write.weight": (4, SIZE),
    }
    assert not classifier(torch.zeros(2, SIZE)).any()


def test_a_cosine_sees_directions_only():
    classifier = SimilarityClassifier(SIZE, 3, 4, 30.0).double()
    vectors = torch.randn(8, SIZE, dtype=torch.float64)
    before = classifier(vectors)
    assert before.abs().max() <= 30
    torch.testing.assert_close(classifier(vectors * 7), before)
    classifier.memory.weight.data *= torch.tensor([[2.0], [0.1], [30.0]])
    torch.testing.assert_close(classifier(vectors), before)
    classifier.write.weight.data = torch.eye(4, SIZE, dtype=torch.float64)
    aligned = nn.functional.pad(classifier.memory.weight.detach(), (0, SIZE - 4))
    assert classifier(aligned).diagonal().tolist() == pytest.approx([30.0] * 3)


def test_a_bilinear_form_is_linear():
    classifier = SimilarityClassifier(SIZE, 3, 4).double()
    left, right = torch.randn(2, 8, SIZE, dtype=torch.float64)
    torch.testing.assert_close(classifier(2 * left - right), 2 * classifier(left) - classifier(right))


@each_scale
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32])
def test_classifiers_take_every_float_type(kind, scale):
    classifier = SimilarityClassifier(SIZE, 3, 4, scale).double()
    vectors = torch.randn(8, SIZE, dtype=torch.float64)
    wanted = classifier(vectors)
    found = classifier.to(kind)(vectors.to(kind))
    torch.testing.assert_close(found.double(), wanted, rtol=0.1, atol=0.05 * max(1.0, scale or 1.0))


def test_no_similarity_is_not_a_number():
    classifier = SimilarityClassifier(SIZE, 3, 4, 30.0)
    vectors = torch.zeros(2, SIZE, requires_grad=True)
    logits = classifier(vectors)
    logits.sum().backward()
    values = (logits, vectors.grad, *(value.grad for value in classifier.parameters()))
    assert all(torch.isfinite(value).all() for value in values)
