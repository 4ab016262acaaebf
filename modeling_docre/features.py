"""From documents to subwords: tokenisation word by word, markers, and where each word lies in the encoder's input."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from .candidates import entity_pairs
from .configuration_docre import DocREConfig
from .configuration_limits import closest
from .documents import Document, DocumentError, as_documents
from .letter_case import letter_case

MARKER = "*"
BYTE_LEVEL_SPACE = "Ġ"

logger = logging.getLogger(__name__)

_WARNED_OF_SCRIPT = Event()


def entity_type_ids(document: Document, entity_types: Sequence[str]) -> np.ndarray:
    """Class index of each entity's type, [entities] int64; errors as for `type_ids`."""
    return type_ids(document, "entities", "entity_types", entity_types)


def type_ids(document: Document, field: str, option: str, types: Sequence[str]) -> np.ndarray:
    """Class index of the type of each item of a document's `field`, [items] int64.

    Raises:
        DocumentError: a type is not among `types`, which stand in the configuration's `option`.
    """
    index = {name: number for number, name in enumerate(types)}
    items = getattr(document, field)
    for number, item in enumerate(items):
        if item.type not in index:
            way = " (in a call of the pipeline, by an entity_type_map)" if field == "entities" else ""
            fix = f"the model knows the {option.replace('_', ' ')} {closest(item.type, types)}; rename it{way}, "
            fix += f"drop it, or add it to `{option}` of a new model"
            raise DocumentError(document.id, f"{field}[{number}].type", item.type, fix)
    return np.array([index[item.type] for item in items], dtype=np.int64)


def mention_table(document: Document) -> tuple[np.ndarray, np.ndarray]:
    """All mentions, entity by entity: document word ranges [mentions, 2] and sentence numbers [mentions], int64."""
    mentions = [mention for entity in document.entities for mention in entity.mentions]
    ranges = np.array([document.span(mention) for mention in mentions], dtype=np.int64).reshape(-1, 2)
    return ranges, np.array([mention.sentence for mention in mentions], dtype=np.int64)


def relation_pairs(document: Document) -> np.ndarray:
    """The ordered entity pairs that are asked about, [pairs, 2] int64, for entities that are given.

    They are the corpus' candidates but for those that its scorer leaves out, or where it names none all pairs,
    row-major (head outer, tail inner).
    """
    if document.candidates is None:
        return entity_pairs(torch.zeros(len(document.entities), dtype=torch.int64)).numpy()
    pairs = dict.fromkeys((item.head, item.tail) for item in document.candidates if item.scored)
    return np.array(list(pairs), dtype=np.int64).reshape(-1, 2)


class SpanTexts(Sequence[str]):
    """The strings of spans, cut out of a text when they are asked for: most candidates never are.

    `characters` [spans, 2] int64 are half-open ranges of the text. With `strip`, strings lose the blanks at their ends.
    """

    def __init__(self, text: str, characters: np.ndarray, strip: bool):
        self.text, self.characters, self.strip = text, characters, strip

    @classmethod
    def joined(cls, parts: Sequence[SpanTexts]) -> SpanTexts:
        """The strings of all parts, which strip alike."""
        starts = np.cumsum([0, *(len(part.text) for part in parts)]).tolist()
        characters = [part.characters + start for part, start in zip(parts, starts, strict=False)]
        return cls("".join(part.text for part in parts), np.concatenate(characters), parts[0].strip)

    def __len__(self) -> int:
        return len(self.characters)

    def __getitem__(self, index: Any) -> Any:
        start, end = self.characters[index].tolist()
        return self.text[start:end].strip() if self.strip else self.text[start:end]


@dataclass(frozen=True)
class Features:
    """A document with its subwords.

    `input_ids` [subwords] int64, with the tokenizer's start and end tokens and, where the configuration asks for them,
    with markers and letter cases. `word_ranges` [words, 2] int64: word i has the subwords from `word_ranges[i, 0]` up
    to `word_ranges[i, 1]`, at least one. `sentence_starts` [sentences + 1] int64: where each sentence begins, with its
    markers, and the last one ends. `markers` [words] int64: the first marker before word i, or -1; None where nothing
    is marked. `special_lengths` are the numbers of start and end tokens. `text_lengths` [texts] int64 are the subwords
    of what the encoder reads as one text, start and end tokens included: the document, or each of its sentences.
    """

    document: Document
    input_ids: np.ndarray
    word_ranges: np.ndarray
    sentence_starts: np.ndarray
    markers: np.ndarray | None = None
    special_lengths: tuple[int, int] = (0, 0)
    text_lengths: np.ndarray | None = None

    def subword_ranges(self, spans: np.ndarray) -> np.ndarray:
        """What stands for spans in the encoder's input, half-open subword ranges [spans, 2], from word ranges.

        It is the span's subwords or, where mentions are marked, the marker that opens the mention.
        """
        if self.markers is not None:
            return self.markers[spans[:, :1]] + np.array([0, 1])
        return np.stack([self.word_ranges[spans[:, 0], 0], self.word_ranges[spans[:, 1] - 1, 1]], axis=1)

    def span_texts(self, spans: np.ndarray) -> SpanTexts:
        """The words of each span joined by single spaces, from word ranges [spans, 2]."""
        words = [word for sentence in self.document.sentences for word in sentence]
        bounds = np.array([0, *(len(word) + 1 for word in words)]).cumsum()
        return SpanTexts(" ".join(words), bounds[spans] - np.array([0, 1]), strip=True)

    @property
    def subword_sentences(self) -> np.ndarray:
        """The sentence of each subword of a document read as one text, [subwords] int64; -1 for start, end tokens."""
        before, after = self.special_lengths
        sizes = np.diff(self.sentence_starts)
        return np.pad(np.repeat(np.arange(len(sizes)), sizes), (before, after), constant_values=-1)


class Featurizer:
    """Turns documents into features: each word is tokenised on its own.

    A word that the tokenizer maps to nothing (a blank, unmapped characters) becomes one unknown token, so that no
    word and no mention is lost. An `add_prefix_space` of None in the configuration is set by the tokenizer.

    Raises:
        DocumentError: a document is longer than the configuration admits.
        ValueError: the tokenizer has no piece for the marker.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: DocREConfig):
        self.tokenizer, self.config = tokenizer, config
        if config.add_prefix_space is None:
            config.add_prefix_space = _marks_spaces(tokenizer)
            if config.add_prefix_space:
                logger.info("words are tokenised with a space before them, as this vocabulary needs (add_prefix_space)")
        fillers = tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.pad_token_id
        self.filler = next((token for token in fillers if token is not None), 0)
        self.marker = None if config.traits.entity_markers == "none" else _marker_id(tokenizer)
        # A case of a word adds this number once, twice or three times to the ids of its pieces.
        self.vocabulary = config.encoder_config.vocab_size if config.letter_case else None
        self.start, self.end = _special_ids(tokenizer) if config.traits.special_tokens else ([], [])

    def __call__(self, documents: Iterable[Document | Mapping[str, Any]]) -> list[Features]:
        """Features of documents, in order."""
        return [self._featurize(document) for document in as_documents(documents)]

    def _featurize(self, document: Document) -> Features:
        words = [word for sentence in document.sentences for word in sentence]
        pieces = self._tokenize(words)
        lengths = np.fromiter((len(piece) for piece in pieces), dtype=np.int64, count=len(pieces))
        opening, closing = self._marks(document, len(words))
        # A word with its markers is a block; the blocks of a text lie end to end between its start and end tokens.
        blocks = np.concatenate([[0], (opening + lengths + closing).cumsum()]).astype(np.int64)
        sentences = blocks[list(document.sentence_starts)]
        bounds = sentences if self.config.traits.reads_sentences else sentences[[0, -1]]
        before, after = len(self.start), len(self.end)
        text_lengths = np.diff(bounds) + before + after
        # The start and end tokens up to each block move it.
        texts = (np.searchsorted(bounds, blocks, side="right") - 1).clip(max=len(bounds) - 2)
        blocks = (blocks + before + (before + after) * texts)[:-1]
        word_starts = blocks + opening
        text_starts = text_lengths.cumsum() - text_lengths
        input_ids = np.full(text_lengths.sum(), self.marker or 0, dtype=np.int64)
        input_ids[text_starts[:, None] + np.arange(before)] = self.start
        input_ids[(text_starts + text_lengths)[:, None] - after + np.arange(after)] = self.end
        flat = np.fromiter((token for piece in pieces for token in piece), dtype=np.int64, count=lengths.sum())
        input_ids[np.repeat(word_starts - (lengths.cumsum() - lengths), lengths) + np.arange(len(flat))] = flat
        self._check_length(document, int(text_lengths.max(initial=0)))
        return Features(
            document,
            input_ids,
            np.stack([word_starts, word_starts + lengths], axis=1),
            sentences + before,
            None if self.marker is None else np.where(opening > 0, blocks, -1),
            (before, after),
            text_lengths,
        )

    def _marks(self, document: Document, words: int) -> tuple[np.ndarray, np.ndarray]:
        """Markers before and behind each word, [words] int64 each."""
        opening, closing = np.zeros((2, words), dtype=np.int64)
        if self.marker is None:
            return opening, closing
        marked = {(*document.span(mention), entity.type) for entity in document.entities for mention in entity.mentions}
        for start, end, _ in marked:
            opening[start] += 1
            closing[end - 1] += 1
        if self.config.traits.entity_markers == "star_per_token":
            return opening.clip(max=1), closing.clip(max=1)
        return opening, closing

    def _tokenize(self, words: Sequence[str]) -> list[list[int]]:
        if not words:
            return []
        prefix = " " if self.config.add_prefix_space else ""
        bare = dict.fromkeys(("add_special_tokens", "return_attention_mask", "return_token_type_ids", "verbose"), False)
        known = dict.fromkeys(words)  # each word once
        encoded = self.tokenizer([prefix + word for word in known], **bare)
        pieces = {word: ids or [self.filler] for word, ids in zip(known, encoded["input_ids"], strict=True)}
        if self.vocabulary:
            for word, ids in pieces.items():
                pieces[word] = [piece + self.vocabulary * letter_case(word) for piece in ids]
        return [pieces[word] for word in words]

    def _pieces(self, features: Features) -> np.ndarray:
        """The ids of the tokenizer's pieces, [subwords] int64."""
        return features.input_ids % self.vocabulary if self.vocabulary else features.input_ids

    def _check_length(self, document: Document, length: int) -> None:
        limit = self.config.encoder_positions
        if self.config.long_input == "windows" or limit is None or length <= limit:
            return
        fix = 'set `long_input="windows"`, or split the document'
        if self.config.long_input == "extend":
            fix = f"build the model with extended_positions >= {length}, {fix}"
        raise DocumentError(document.id, "length in subwords", length, f"the encoder has {limit} positions; {fix}")

    def warn_of_script(self, features: Features) -> None:
        """Say once in a process that most words of a document are unknown to the encoder or come apart into letters."""
        if _WARNED_OF_SCRIPT.is_set() or self.config.language in ("zh", "ja"):  # read letter by letter as a rule
            return
        words = [word for sentence in features.document.sentences for word in sentence]
        if 2 * sum(not word.isascii() for word in words) <= sum(len(word) > 1 and word.isalpha() for word in words):
            return  # most words are of letters that every encoder knows
        strange, ids = [], self._pieces(features)
        for word, (start, end) in zip(words, features.word_ranges.tolist(), strict=True):
            if (letters := sum(map(str.isalpha, word))) > 1:
                unread = end - start >= letters or self.tokenizer.unk_token_id in ids[start:end]
                strange.append(unread and not word.isascii())
        if 2 * sum(strange) > len(strange):
            _WARNED_OF_SCRIPT.set()
            logger.warning(
                "document %r: most of its words are unknown to the model's encoder or come apart into letters, so what "
                "is found in it means little. The model reads the language %r",
                *(features.document.id, self.config.language),
            )

    def decoded_texts(self, features: Features, spans: np.ndarray) -> SpanTexts:
        """The string of each span [spans, 2] as the tokenizer decodes its subwords, with unknown tokens visible."""
        ids, ranges = self._pieces(features), features.subword_ranges(spans).tolist()
        texts = [self.tokenizer.decode(ids[start:end], clean_up_tokenization_spaces=True) for start, end in ranges]
        ends = np.cumsum([0, *map(len, texts)])
        return SpanTexts("".join(texts), np.stack([ends[:-1], ends[1:]], axis=1), strip=False)


def _marker_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The piece that marks mentions."""
    for token in [tokenizer.convert_tokens_to_ids(MARKER), *tokenizer(MARKER, add_special_tokens=False)["input_ids"]]:
        if token is not None and token != tokenizer.unk_token_id:
            return token
    fix = 'set `entity_markers="none"`, or add the piece to tokenizer and encoder'
    raise ValueError(f"the tokenizer of {tokenizer.name_or_path!r} has no piece for the marker {MARKER!r}; {fix}")


def _marks_spaces(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it takes a space to make a word of letters: byte-level vocabularies have a letter for the space."""

    def begins_with_space(text: str) -> bool:
        pieces = tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False)["input_ids"])
        return bool(pieces) and pieces[0].startswith(BYTE_LEVEL_SPACE)

    return begins_with_space(" a") and not begins_with_space("a")


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The tokens that the tokenizer puts before and behind a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = next(n for n in range(len(whole)) if whole[n : n + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]
