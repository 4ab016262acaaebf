"""What all models share: construction from a pre-trained encoder, initialisation, and the output they return."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .configuration_docre import DocREConfig
from .encoder import DocumentEncoder, extend_positions


@dataclass
class DocREOutput(ModelOutput):
    """Scores and decisions of a model for a batch, flat; what a stage did not do is None.

    Args:
        loss: weighted sum of the stages' losses, where labels were given.
        losses: the stages' own losses by name.
        statistics: further figures of a training step by name, scalars that the trainer logs as means.
        mention_logits: [spans].
        mentions: [mentions] int64, the spans that coreference worked on.
        coreference_logits: [mention pairs]; at inference the pairs (earlier, later), and the reversed ones after them
            where both orders are scored.
        entity_members, entity_sizes, entity_documents: the entities (see `Entities`).
        entity_type_logits: [entities, entity types].
        entity_types: [entities] int64, gold or decided.
        pairs: [pairs, 2] int64 entity indices.
        relation_logits: [pairs, relation types]; for an adaptive threshold what they exceed it by.
        mention_pair_owner, mention_pair_head, mention_pair_tail: [mention pairs] int64, the entity pair of each mention
            pair and the positions of its mentions inside their entities.
        mention_pair_share: [mention pairs], its share in the entity pair's vector, or [mention pairs, relation types],
            its share in the logit of each type.
        mention_pair_logits: [mention pairs, relation types]; for an adaptive threshold what they exceed it by.
        mention_pair_key_logits: [mention pairs], of being key.
        evidence_pair, evidence_sentence: [items] int64, entity pairs, ascending, and sentences that carried them.
        evidence_weight: [items], the sentence's share of what carried the pair in all sentences.
    """

    loss: Tensor | None = None
    losses: dict[str, Tensor] | None = None
    statistics: dict[str, Tensor] | None = None
    mention_logits: Tensor | None = None
    mentions: Tensor | None = None
    coreference_logits: Tensor | None = None
    entity_members: Tensor | None = None
    entity_sizes: Tensor | None = None
    entity_documents: Tensor | None = None
    entity_type_logits: Tensor | None = None
    entity_types: Tensor | None = None
    pairs: Tensor | None = None
    relation_logits: Tensor | None = None
    mention_pair_owner: Tensor | None = None
    mention_pair_head: Tensor | None = None
    mention_pair_tail: Tensor | None = None
    mention_pair_share: Tensor | None = None
    mention_pair_logits: Tensor | None = None
    mention_pair_key_logits: Tensor | None = None
    evidence_pair: Tensor | None = None
    evidence_sentence: Tensor | None = None
    evidence_weight: Tensor | None = None


class DocREPreTrainedModel(PreTrainedModel):
    """Base class of all systems.

    `from_encoder` starts a model from a pre-trained text encoder, `from_pretrained` loads a trained one. A system's
    `training_defaults` are its paper's training arguments where they differ from those of `DocRETrainingArguments`;
    `mixed_precision` tells whether the paper trains in half precision where the device has it.
    `title` is the system's name for people and `citation` its paper as BibTeX; the model card shows both.

    A system whose parts are trained in turns names the phase that trains each of its modules in `phase_of_module`, in
    the order of the turns; `phases` are those of the present update, `phase` is the one whose loss `forward` returns.
    """

    title: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    training_defaults: ClassVar[dict[str, Any]] = {}
    mixed_precision: ClassVar[bool] = False
    phase_of_module: ClassVar[dict[str, str]] = {}
    phases: tuple[str, ...] = ("joint",)
    phase = "joint"

    config_class = DocREConfig
    base_model_prefix = "docre"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def new_encoder(self) -> DocumentEncoder:
        """An encoder for this model's configuration, with random weights."""
        return DocumentEncoder(self.config, gives_attention=self.config.needs_mention_attention)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = getattr(self.config.encoder_config, "initializer_range", None) or 0.02
        if isinstance(module, nn.Linear | nn.Embedding):
            init.normal_(module.weight, mean=0.0, std=std)
        if isinstance(module, nn.Linear) and module.bias is not None:
            init.zeros_(module.bias)

    @classmethod
    def from_encoder(cls, encoder: str | PreTrainedModel, **config: Any) -> DocREPreTrainedModel:
        """A model with a pre-trained encoder and freshly initialised heads.

        Args:
            encoder: name or folder of a text encoder (a checkpoint with another head on it serves too), or the encoder.
            **config: options of the model's configuration, at least its label lists.

        Returns:
            The model in float32 and evaluation mode; every encoder it has equals the given one.

        Raises:
            ValueError: an option is unknown, or the encoder cannot do what `long_input` asks.
        """
        if isinstance(encoder, str):
            encoder = AutoModel.from_pretrained(encoder, dtype=torch.float32)
        else:
            encoder = copy.deepcopy(encoder).float()
            encoder.config.dtype = torch.float32
        options = cls.config_class(encoder_config=copy.deepcopy(encoder.config), **config)
        if options.long_input == "extend" and options.encoder_positions is not None:
            unusable = options.encoder_config.max_position_embeddings - options.encoder_positions
            extend_positions(encoder, options.extended_positions + unusable, options.extra_position_std)
            options.encoder_config = copy.deepcopy(encoder.config)
        model = cls(options)
        for module in model.modules():
            if isinstance(module, DocumentEncoder):
                module.adopt(copy.deepcopy(encoder))
        return model.eval()


DocREPreTrainedModel.register_for_auto_class("AutoModel")
