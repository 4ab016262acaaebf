"""From raw text to a document: sentences and words with their character offsets."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import spacy

from .documents import Document


@lru_cache(maxsize=8)
def _splitter(language: str) -> Any:
    """A blank spaCy pipeline of a language with a rule-based sentence splitter."""
    try:
        pipeline = spacy.blank(language)
    except ImportError as error:
        raise ValueError(f"spaCy has no language {language!r}; set the config's `language` to one of its codes") from error
    pipeline.add_pipe("sentencizer")
    return pipeline


def document_from_text(text: str, identifier: str, language: str = "en") -> Document:
    """Cut raw text into sentences and words.

    Words are spaCy's tokens without white space, sentences end at sentence-final punctuation.

    Args:
        text: any text; may be empty.
        identifier: the document's id.
        language: spaCy language code.

    Returns:
        A document with `text` and `token_offsets`, so that mentions can be given in characters.

    Raises:
        ValueError: spaCy does not know the language.
    """
    splitter = _splitter(language)
    # The limit guards spaCy's statistical components, of which a blank pipeline has none.
    splitter.max_length = max(splitter.max_length, len(text) + 1)
    sentences = [[token for token in sentence if not token.is_space] for sentence in splitter(text).sents]
    sentences = [sentence for sentence in sentences if sentence]
    return Document(
        identifier,
        tuple(tuple(token.text for token in sentence) for sentence in sentences),
        text=text,
        token_offsets=tuple(
            tuple((token.idx, token.idx + len(token)) for token in sentence) for sentence in sentences
        ),
    )
