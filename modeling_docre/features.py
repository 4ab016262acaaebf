"""From documents to subwords: tokenisation word by word, and where each word lies in the encoder's input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from .configuration_docre import DocREConfig
from .documents import Document, DocumentError, as_documents


def entity_type_ids(document: Document, entity_types: Sequence[str]) -> np.ndarray:
    """Class index of each entity's type, [entities] int64.

    Raises:
        DocumentError: a type is not among `entity_types`.
    """
    index = {name: number for number, name in enumerate(entity_types)}
    for number, entity in enumerate(document.entities):
        if entity.type not in index:
            fix = f"it is not among the {len(index)} entity types of the config; add it to `entity_types` or drop it"
            raise DocumentError(document.id, f"entities[{number}].type", entity.type, fix)
    return np.array([index[entity.type] for entity in document.entities], dtype=np.int64)


def relation_matrix(document: Document, relation_types: Sequence[str]) -> np.ndarray:
    """Gold relations as [entities, entities, types] bool: head, tail, class index.

    Raises:
        DocumentError: a type is not among `relation_types`.
    """
    index = {name: number for number, name in enumerate(relation_types)}
    matrix = np.zeros((len(document.entities), len(document.entities), len(index)), dtype=bool)
    for number, relation in enumerate(document.relations):
        if relation.type not in index:
            fix = (
                f"it is not among the {len(index)} relation types of the config; add it to `relation_types` or drop it"
            )
            raise DocumentError(document.id, f"relations[{number}].type", relation.type, fix)
        matrix[relation.head, relation.tail, index[relation.type]] = True
    return matrix


def mention_table(document: Document) -> tuple[np.ndarray, np.ndarray]:
    """All mentions, entity by entity: document word ranges [mentions, 2] and sentence numbers [mentions], int64."""
    mentions = [mention for entity in document.entities for mention in entity.mentions]
    ranges = np.array([document.span(mention) for mention in mentions], dtype=np.int64).reshape(-1, 2)
    return ranges, np.array([mention.sentence for mention in mentions], dtype=np.int64)


@dataclass(frozen=True)
class Features:
    """A document with its subwords.

    `input_ids` [subwords] int64; `word_starts` [words + 1] int64: word i has the subwords from `word_starts[i]` up to
    `word_starts[i + 1]`, at least one.
    """

    document: Document
    input_ids: np.ndarray
    word_starts: np.ndarray

    def subword_ranges(self, word_ranges: np.ndarray) -> np.ndarray:
        """Half-open subword ranges [spans, 2] of half-open document word ranges [spans, 2]."""
        return self.word_starts[word_ranges]

    def span_texts(self, word_ranges: np.ndarray) -> list[str]:
        """The words of each span joined by single spaces."""
        words = [word for sentence in self.document.sentences for word in sentence]
        return [" ".join(words[start:end]).strip() for start, end in word_ranges.tolist()]


class Featurizer:
    """Turns documents into features: each word is tokenised on its own, without special tokens.

    A word that the tokenizer maps to nothing (a blank, unmapped characters) becomes one unknown token, so that no
    word and no mention is lost.

    Args:
        tokenizer: the encoder's tokenizer.
        config: the model's configuration; its `long_input` decides whether a long document is accepted.

    Raises:
        DocumentError: a document is longer than the configuration admits.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: DocREConfig):
        self.tokenizer, self.config = tokenizer, config
        self.filler = next(
            (
                token
                for token in (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.pad_token_id)
                if token is not None
            ),
            0,
        )

    def __call__(self, documents: Iterable[Document | Mapping[str, Any]]) -> list[Features]:
        """Features of documents, in order."""
        return [self._featurize(document) for document in as_documents(documents)]

    def _featurize(self, document: Document) -> Features:
        words = [word for sentence in document.sentences for word in sentence]
        pieces = self._tokenize(words)
        lengths = np.fromiter((len(piece) for piece in pieces), dtype=np.int64, count=len(pieces))
        word_starts = np.concatenate([[0], lengths.cumsum()]).astype(np.int64)
        input_ids = np.fromiter((token for piece in pieces for token in piece), dtype=np.int64, count=word_starts[-1])
        self._check_length(document, len(input_ids))
        return Features(document, input_ids, word_starts)

    def _tokenize(self, words: Sequence[str]) -> list[list[int]]:
        if not words:
            return []
        prefix = " " if self.config.add_prefix_space else ""
        encoded = self.tokenizer(
            [prefix + word for word in words],
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return [ids or [self.filler] for ids in encoded["input_ids"]]

    def _check_length(self, document: Document, length: int) -> None:
        limit = self.config.encoder_positions
        if self.config.long_input == "windows" or limit is None or length <= limit:
            return
        fix = 'set `long_input="windows"`, or split the document'
        if self.config.long_input == "extend":
            fix = f"build the model with extended_positions >= {length}, {fix}"
        raise DocumentError(document.id, "length in subwords", length, f"the encoder has {limit} positions; {fix}")

    def decoded_texts(self, features: Features, word_ranges: np.ndarray) -> list[str]:
        """The string of each span as the tokenizer decodes its subwords, with unknown tokens visible."""
        ids = features.input_ids
        return [
            self.tokenizer.decode(ids[start:end], clean_up_tokenization_spaces=True)
            for start, end in features.subword_ranges(word_ranges).tolist()
        ]
