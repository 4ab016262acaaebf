"""Small configurations of many encoder architectures: two layers of width 16, 40 usable positions, 50 subwords."""

from __future__ import annotations

from transformers import (
    AlbertConfig,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    EuroBertConfig,
    LayoutLMConfig,
    LlamaConfig,
    LongformerConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

SMALL = {
    "vocab_size": 50,
    "num_hidden_layers": 2,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
_RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
_MODERN = {**SMALL, **_TOKENS, "max_position_embeddings": 40, "local_attention": 8}
ENCODERS = {
    "bert": BertConfig(**SMALL, max_position_embeddings=40),
    "roberta": RobertaConfig(**SMALL, max_position_embeddings=42, pad_token_id=1),
    "xlm-roberta": XLMRobertaConfig(**SMALL, max_position_embeddings=42, pad_token_id=1),
    "mpnet": MPNetConfig(**SMALL, max_position_embeddings=42, pad_token_id=1),
    "electra": ElectraConfig(**SMALL, max_position_embeddings=40, embedding_size=8),
    "modernbert": ModernBertConfig(**SMALL, **_TOKENS, max_position_embeddings=40, global_attn_every_n_layers=2),
    "distilbert": DistilBertConfig(
        vocab_size=50, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=40
    ),
    "albert": AlbertConfig(**SMALL, max_position_embeddings=40, embedding_size=8),
    "deberta-v2": DebertaV2Config(**SMALL, **_RELATIVE, max_position_embeddings=40),
    "deberta-v2, relative only": DebertaV2Config(
        **SMALL, **_RELATIVE, max_position_embeddings=40, position_biased_input=False, position_buckets=8
    ),
}
# Encoders that run fused attention and hand back query and key; the last layer of ModernBERT is local or global.
FUSED = {
    **{name: ENCODERS[name] for name in ("bert", "roberta", "xlm-roberta", "electra", "distilbert", "albert")},
    "camembert": CamembertConfig(**SMALL, max_position_embeddings=42, pad_token_id=1),
    "modernbert, last layer local": ModernBertConfig(**_MODERN, layer_types=["full_attention", "sliding_attention"]),
    "modernbert, last layer global": ModernBertConfig(**_MODERN, layer_types=["sliding_attention", "full_attention"]),
    "eurobert, heads share a key": EuroBertConfig(
        **SMALL, **_TOKENS, mask_token_id=3, max_position_embeddings=40, num_key_value_heads=1, head_dim=8
    ),
    "llama, looks back only": LlamaConfig(**SMALL, max_position_embeddings=40, num_key_value_heads=1),
}
# Encoders that run unfused.
EAGER = {
    **{name: ENCODERS[name] for name in ("deberta-v2", "deberta-v2, relative only", "mpnet")},
    "layoutlm": LayoutLMConfig(**SMALL, max_position_embeddings=40),
}
# An encoder whose attention is not told by position of the input.
LONGFORMER = LongformerConfig(**SMALL, max_position_embeddings=42, pad_token_id=1, attention_window=8)
