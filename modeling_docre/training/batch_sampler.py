"""Training batches of a number of subwords instead of a number of documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from modeling_docre.segments import token_batches


class TokenBatchSampler(Sampler[list[int]]):
    """Batches of neighbours in length with at most so many subwords, padding included, in random order.

    Which of the documents of one length share a batch, and the order of the batches, are drawn anew in each epoch, from
    a generator of its own per (seed, epoch), so that a resumed training goes on as it would have. The lengths in a
    batch are always the same, and so is the number of batches.

    Args:
        lengths: subwords per document.
        max_tokens: subwords per batch; a longer document forms a batch of its own.
        seed: seed of the draws.
    """

    def __init__(self, lengths: Sequence[int], max_tokens: int, seed: int):
        self.lengths, self.max_tokens, self.seed = np.asarray(lengths, dtype=np.int64), max_tokens, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the batches of this epoch from now on (the training loop calls it)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(1 for _ in token_batches(self.lengths.tolist(), self.max_tokens))

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng((self.seed, self.epoch))
        order = generator.permutation(len(self.lengths))
        batches = [order[batch].tolist() for batch in token_batches(self.lengths[order].tolist(), self.max_tokens)]
        return iter([batches[number] for number in generator.permutation(len(batches))])
