"""Letter case for encoders that do not see it, because their vocabulary holds lower-case pieces only.

An input id then says a piece and how its word is written: `piece + pieces in the vocabulary * case`. The encoder's
table of pieces adds a vector of the case; nothing else of the encoder changes.
"""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedModel

CASES = 4


def letter_case(word: str) -> int:
    """How a word is written: 0 without capitals, 1 with a capital first, 2 in capitals, 3 otherwise (`iPhone`)."""
    if word == word.lower():
        return 0
    if word[1:] == word[1:].lower():
        return 1
    return 2 if word == word.upper() else 3


class CasedEmbedding(nn.Embedding):
    """A table of pieces with a vector of the letter case added, zero at first: it begins as the table that it replaces.

    Its `weight` [pieces, width] is that of the table, `cases` an embedding [`CASES`, width].
    """

    def __init__(self, pieces: nn.Embedding):
        weight = pieces.weight
        super().__init__(pieces.num_embeddings, pieces.embedding_dim, pieces.padding_idx, _weight=weight)
        self.cases = nn.Embedding(CASES, pieces.embedding_dim, _weight=weight.new_zeros(CASES, pieces.embedding_dim))

    def forward(self, ids: Tensor) -> Tensor:
        """Embeddings [..., width] of ids [...], int64, each of a piece and a case."""
        return super().forward(ids % self.num_embeddings) + self.cases(ids // self.num_embeddings)


def add_letter_case(encoder: PreTrainedModel) -> None:
    """Make an encoder read ids of pieces and cases.

    Raises:
        ValueError: it has no table of pieces.
    """
    try:
        table = encoder.get_input_embeddings()
    except NotImplementedError:  # what transformers raises for encoders of characters
        table = None
    if type(table) is not nn.Embedding:
        raise ValueError(f"letter_case is true, and {type(encoder).__name__} has no table of pieces; leave it out")
    encoder.set_input_embeddings(CasedEmbedding(table))
