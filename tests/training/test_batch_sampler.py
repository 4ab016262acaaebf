"""Training batches by subwords: within the limit, all documents once, drawn by seed and epoch alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import ANNA, OTTO, build
from tiny import tiny_spert
from training import trainer

from modeling_docre.training.batch_sampler import TokenBatchSampler
from modeling_docre.training.sampling import TrainingExamples


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200), st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_each_document_once_within_the_limit(lengths: list[int], limit: int, epoch: int):
    sampler = TokenBatchSampler(lengths, limit, seed=1)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or max(lengths[n] for n in batch) * len(batch) <= limit for batch in batches)
    assert len(batches) == len(sampler)


def test_a_draw_hangs_on_seed_and_epoch():
    def batches(seed: int, epoch: int) -> list[list[int]]:
        sampler = TokenBatchSampler([5] * 20 + [7] * 20, 20, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert batches(1, 0) == batches(1, 0)
    assert batches(1, 0) != batches(1, 1) != batches(2, 1)


class Seen(TrainingExamples):
    """Examples that note which ones are read, in which epoch."""

    read: list[tuple[int, int]] = []  # noqa: RUF012

    def __getitem__(self, index: int):
        self.read.append((self.epoch, index))
        return super().__getitem__(index)


def test_the_trainer_reads_by_subwords(tmp_path: Path):
    documents = [build(f"d{number}", ["a b c d"], [("PER", [(0, 0, 1)])]) for number in range(6)] + [ANNA, OTTO]
    Seen.read = []
    running = trainer(tiny_spert(), tmp_path, documents, examples=Seen, train_max_tokens=18, num_train_epochs=2)
    loader = running.get_train_dataloader()
    assert len(loader) == 2 + 2  # three of six subwords each; the longer ones alone
    running.train()
    assert running.state.global_step == 8
    first, second = ([index for epoch, index in Seen.read if epoch == n] for n in (0, 1))
    assert sorted(first) == sorted(second) == list(range(8)) and first != second


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    running = trainer(tiny_spert(), tmp_path, [ANNA], train_max_tokens=18)
    monkeypatch.setattr(type(running.args), "world_size", 2)
    with pytest.raises(ValueError, match="train_max_tokens"):
        running.get_train_dataloader()
