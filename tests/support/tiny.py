"""Tiny random encoders, tokenizers and models, built in memory: nothing is downloaded."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertModel, BertTokenizer, PreTrainedTokenizerBase

from modeling_docre.modeling_atlop import AtlopModel
from modeling_docre.modeling_docre import DocREPreTrainedModel
from modeling_docre.modeling_jerex import JerexModel
from modeling_docre.modeling_joint import JointModel
from modeling_docre.modeling_kmgre import KmgreModel
from modeling_docre.modeling_memory_jerex import MemoryJerexModel
from modeling_docre.modeling_spert import SpertModel

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHARACTERS = string.ascii_lowercase + string.digits
PIECES = ("the", "of", "and", "in", "is", "was", "born", "works", "anna", "berlin", "##ing", "##ed", "##er", "##en")
ENTITY_TYPES = ["PER", "LOC", "ORG"]
RELATION_TYPES = ["born", "works", "seat"]


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """Word pieces: single letters and digits at the start of a word and inside it, punctuation, some longer pieces."""
    inner = (f"##{character}" for character in CHARACTERS)
    return (*SPECIAL_TOKENS, *CHARACTERS, *inner, *string.punctuation, *PIECES)


@lru_cache(maxsize=1)
def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """A lower-casing word-piece tokenizer; ASCII words come apart into letters, everything else is unknown."""
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(vocabulary())}, do_lower_case=True)


def tiny_encoder_config() -> BertConfig:
    """Two layers of width 32 with 64 positions, over the tiny vocabulary."""
    return BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )


@lru_cache(maxsize=1)
def tiny_encoder() -> BertModel:
    """A random BERT, the same in each process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertModel(tiny_encoder_config()).eval()


def _tiny(model_class: type[DocREPreTrainedModel], seed: int, options: dict[str, Any]) -> Any:
    """A random model with the tiny encoder and tiny label lists."""
    defaults = {"entity_types": ENTITY_TYPES, "relation_types": RELATION_TYPES}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return model_class.from_encoder(tiny_encoder(), **{**defaults, **options})


def tiny_jerex(seed: int = 1, **options: Any) -> JerexModel:
    """A random JEREX with the tiny encoder.

    Args:
        seed: seed of the heads' weights.
        **options: options of its configuration, instead of tiny defaults.
    """
    return _tiny(JerexModel, seed, {"window_overlap": 16, **options})


def tiny_memory_jerex(seed: int = 1, **options: Any) -> MemoryJerexModel:
    """A random memory-enhanced JEREX with the tiny encoder; arguments as for `tiny_jerex`."""
    return _tiny(MemoryJerexModel, seed, {"window_overlap": 16, **options})


def tiny_joint(seed: int = 1, **options: Any) -> JointModel:
    """A random joint model with the tiny encoder; arguments as for `tiny_jerex`."""
    return _tiny(JointModel, seed, {"window_overlap": 16, "bilinear_groups": 4, **options})


def tiny_atlop(seed: int = 1, **options: Any) -> AtlopModel:
    """A random ATLOP with the tiny encoder; arguments as for `tiny_jerex`."""
    return _tiny(AtlopModel, seed, {"pair_size": 24, "bilinear_groups": 3, **options})


def tiny_kmgre(seed: int = 1, **options: Any) -> KmgreModel:
    """A random KMGRE with the tiny encoder; arguments as for `tiny_jerex`."""
    return _tiny(KmgreModel, seed, options)


def tiny_spert(seed: int = 1, **options: Any) -> SpertModel:
    """A random SpERT with the tiny encoder; arguments as for `tiny_jerex`."""
    return _tiny(SpertModel, seed, {"window_overlap": 16, **options})


TINY: dict[str, Callable[..., Any]] = {
    "jerex": tiny_jerex,
    "memory_jerex": tiny_memory_jerex,
    "atlop": tiny_atlop,
    "kmgre": tiny_kmgre,
    "spert": tiny_spert,
    "joint": tiny_joint,
}
"""What builds a tiny model of each system."""


def save_tiny(folder: str | Path, **options: Any) -> Path:
    """Write a tiny JEREX and its tokenizer into a folder and return the folder."""
    tiny_jerex(**options).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return Path(folder)
