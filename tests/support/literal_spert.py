"""SpERT's equations sentence by sentence, span by span and pair by pair: spans are enumerated, nothing is shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from literal_encoding import eager_twin, encode_literally
from tiny import tiny_tokenizer
from torch import Tensor

from modeling_docre.documents import Document

Span = tuple[int, int]


class LiteralSentence(NamedTuple):
    """A sentence as the encoder sees it: `hidden` [subwords, hidden] from start to end token; the subwords by word.

    `blank` tells the words that are blanks alone, which make no span.
    """

    hidden: Tensor
    words: list[Span]
    blank: list[bool]


def literal_sentences(model: Any, document: Document, eager: Any = None) -> list[LiteralSentence]:
    """Each sentence of a document, read alone; `window_overlap` has to be 0 where one is longer than the positions.

    `eager` is an unfused encoder, by default a copy of the model's.
    """
    tokenizer, eager = tiny_tokenizer(), eager or eager_twin(model.encoder.model)
    found = []
    for sentence in document.sentences:
        ids, words = [tokenizer.cls_token_id], []
        for word in sentence:
            pieces = tokenizer(word, add_special_tokens=False)["input_ids"] or [tokenizer.unk_token_id]
            words.append((len(ids), len(ids) + len(pieces)))
            ids += pieces
        ids.append(tokenizer.sep_token_id)
        hidden, _ = encode_literally(eager, torch.tensor(ids), model.config.encoder_positions)
        found.append(LiteralSentence(hidden, words, [not word.strip() for word in sentence]))
    return found


def enumerated_spans(sentence: LiteralSentence, longest: int) -> Iterator[Span]:
    """All spans of at most so many words: by size, then by start."""
    count = len(sentence.words)
    spans = ((start, start + size) for size in range(1, longest + 1) for start in range(count - size + 1))
    return (span for span in spans if not all(sentence.blank[slice(*span)]))


def pooled(model: Any, rows: Tensor) -> Tensor:
    """The maximum over rows; zero takes part in it where the mask of the other rows is zero."""
    if len(rows) == 0:
        return rows.new_zeros(rows.shape[1])
    if model.config.pool_mask == "zero":
        rows = torch.cat([rows, rows.new_zeros(1, rows.shape[1])])
    return rows.max(0).values


def span_vector(model: Any, sentence: LiteralSentence, span: Span) -> Tensor:
    """f(s), the pooled subwords of a span."""
    rows = sentence.hidden[sentence.words[span[0]][0] : sentence.words[span[1] - 1][1]]
    if model.config.span_pooling == "sum":
        return rows.sum(0)
    return rows.mean(0) if model.config.span_pooling == "mean" else pooled(model, rows)


def size_vector(model: Any, span: Span) -> Tensor:
    """The row of the size embedding for a span's number of words."""
    return model.size_embedding.weight[min(span[1] - span[0], model.config.size_rows - 1)]


def literal_span_logits(model: Any, sentence: LiteralSentence, span: Span) -> Tensor:
    """W_s [c; f(s); w] + b_s, none first."""
    parts = [sentence.hidden[0], span_vector(model, sentence, span), size_vector(model, span)]
    return model.span_classifier.weight @ torch.cat(parts) + model.span_classifier.bias


def literal_context(model: Any, sentence: LiteralSentence, head: Span, tail: Span) -> Tensor:
    """What a pair sees beside its spans."""
    hidden = sentence.hidden
    if model.config.context == "cls":
        return hidden[0]
    if model.config.context == "full":
        return pooled(model, hidden[1:-1])
    first, second = sorted([head, tail])
    if first[1] >= second[0]:
        return torch.zeros_like(hidden[0])
    return pooled(model, hidden[sentence.words[first[1] - 1][1] : sentence.words[second[0]][0]])


def literal_pair_logits(model: Any, sentence: LiteralSentence, head: Span, tail: Span) -> Tensor:
    """W_r [context; f(head); f(tail); w_head; w_tail] + b_r."""
    spans = [span_vector(model, sentence, span) for span in (head, tail)]
    parts = [literal_context(model, sentence, head, tail), *spans, size_vector(model, head), size_vector(model, tail)]
    return model.relation_classifier.weight @ torch.cat(parts) + model.relation_classifier.bias
